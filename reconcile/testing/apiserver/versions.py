"""The versions of one custom resource: what is stored in one of them is seen through each.

``Family.seen`` is a stored object as a version shows it: pruned and filled in by the schema of the version it was
stored in, converted, pruned by the schema of the other. ``Family.kept`` is the way back. What a version shows is
remembered as long as the object is stored. Pure; a conversion that others have to make is asked for through
``converter``. Source of the order: apiextensions-apiserver, ``customresource_handler.go`` (crdConversionRESTOptions).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias
from weakref import WeakKeyDictionary

import attrs

from reconcile.testing.apiserver.failure import Document, Failure
from reconcile.testing.apiserver.schema import Schema
from reconcile.testing.apiserver.shaping import pruned, with_defaults
from reconcile.testing.apiserver.storage import Stored, stored

if TYPE_CHECKING:
    from reconcile.testing.apiserver.strategy import Kind

Converter: TypeAlias = Callable[[list[Document], str], list[Document]]
"""Documents in another apiVersion, in their order."""

_VERSION: Final = re.compile(r"v([1-9]\d*)(?:(alpha|beta)([1-9]\d*))?")


def priority(version: str) -> tuple[int, int, int, str]:
    """By which the versions of a group are sorted: v10, v2, v1, v2beta1, v1alpha2, and the others by name."""
    found = _VERSION.fullmatch(version)
    if found is None:
        return 3, 0, 0, version
    kind = {None: 0, "beta": 1, "alpha": 2}[found.group(2)]
    return kind, -int(found.group(1)), -int(found.group(3) or 0), version


def relabelled(documents: list[Document], api_version: str) -> list[Document]:
    """The conversion of those who have none: only the apiVersion is another."""
    return [{**document, "apiVersion": api_version} for document in documents]


@attrs.define(eq=False)
class Family:
    """All versions of a custom resource, served or not."""

    group: str
    storage: str
    """The version that is stored now."""
    schemas: Mapping[str, Schema]
    fields: Mapping[str, Mapping[str, tuple[str, ...]]]
    """What field selectors may ask for, by version."""
    since: int
    """Objects stored after this resource version are as the schemas want them."""
    converter: Converter = relabelled
    _views: "WeakKeyDictionary[Stored, dict[str, Stored]]" = attrs.field(factory=WeakKeyDictionary, init=False)

    def is_plain(self, kind: "Kind", found: Stored) -> bool:
        """Whether a stored object is already as its kind shows it."""
        return found.version > self.since and kind.resource.version == self.storage

    def seen(self, kind: "Kind", found: Stored) -> Stored:
        """A stored object as one of the versions shows it."""
        if self.is_plain(kind, found):
            return found
        views = self._views.setdefault(found, {})
        version = kind.resource.version
        if version not in views:
            views[version] = self._view(kind, found)
        return views[version]

    def learn(self, kind: "Kind", objects: Iterable[Stored]) -> None:
        """Convert several objects at once that are to be seen next."""
        missing = [one for one in objects if not self.is_plain(kind, one) and one not in self._views]
        if len(missing) > 1 and self.converter is not relabelled:
            self.converter([self.read(one) for one in missing], kind.resource.api_version)

    def read(self, found: Stored) -> Document:
        """A stored object as it is read in: by the schema of today of the version it was stored in."""
        document = found.value
        schema = self.schemas.get(document["apiVersion"].rpartition("/")[2])
        return with_defaults(schema, pruned(schema, document)) if schema is not None else document

    def _view(self, kind: "Kind", found: Stored) -> Stored:
        raw = found.value
        document = self.read(found)
        shown = self.converted(document, kind.resource.version)
        is_stale = document != raw or raw["apiVersion"] != f"{self.group}/{self.storage}"
        return stored(shown, found.version, kind.selectable(shown), untidy=found.untidy or is_stale)

    def converted(self, document: Document, version: str) -> Document:
        """A document in another version."""
        if document.get("apiVersion") == f"{self.group}/{version}":
            return document
        return pruned(self.schemas[version], self.raw(document, version))  # type: ignore[no-any-return]

    def raw(self, document: Document, version: str) -> Document:
        """A document in another version, with whatever the conversion made of it.

        Raises:
            Failure: 500: the version that it is in is no more.
        """
        was = str(document.get("apiVersion"))
        if was.rpartition("/")[2] not in self.schemas:
            raise Failure(500, "", f"request to convert CR from an invalid group/version: {was}")
        [result] = self.converter([document], f"{self.group}/{version}")
        return result

    def kept(self, document: Document) -> Document:
        """A document as it is stored."""
        schema = self.schemas[self.storage]
        converted = self.converted(document, self.storage)
        # reads would fill it in anyway
        return converted if converted is document else with_defaults(schema, converted)
