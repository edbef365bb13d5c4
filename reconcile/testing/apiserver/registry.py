"""Which kinds are served now: built in, declared in Python, or by a CustomResourceDefinition.

Kinds come and go while the server runs. Pure.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from reconcile.kube.resource import Resource
from reconcile.testing.apiserver.strategy import Kind


@attrs.define(eq=False)
class Registry:
    """Kinds by group, version and plural."""

    _kinds: dict[tuple[str, str, str], Kind] = attrs.field(factory=dict)

    def add(self, *kinds: Kind) -> None:
        """Serve kinds, in place of those of the same name and version."""
        for kind in kinds:
            resource = kind.resource
            self._kinds[resource.group, resource.version, resource.plural] = kind

    def remove(self, kind: Kind) -> None:
        """Serve a kind no longer."""
        resource = kind.resource
        self._kinds.pop((resource.group, resource.version, resource.plural), None)

    def find(self, group: str, version: str, plural: str) -> Kind | None:
        """The kind at a path."""
        return self._kinds.get((group, version, plural))

    def of(self, resource: Resource[Any]) -> Kind | None:
        """The kind of a resource."""
        return self.find(resource.group, resource.version, resource.plural)

    def of_kind(self, api_version: str, kind: str) -> Kind | None:
        """The kind that an owner reference or a document names."""
        return next((one for one in self if (one.resource.api_version, one.resource.kind) == (api_version, kind)), None)

    def all_of_table(self, table: str) -> list[Kind]:
        """The kinds whose objects lie in a table: the versions of one resource."""
        return [one for one in self if one.table == table]

    def of_table(self, table: str) -> Kind | None:
        """A kind whose objects lie in a table."""
        return next((one for one in self if one.table == table), None)

    def __iter__(self) -> Iterator[Kind]:
        return iter(tuple(self._kinds.values()))

    def groups(self) -> Iterable[str]:
        """Groups that have a kind, the core group first."""
        return sorted({group for group, _, _ in self._kinds})
