"""What a kind is called on the wire, and where its objects live.

A ``Resource[T]`` ties group, version, plural and scope to the class its objects are read as. It is a value: two equal
ones mean the same. Whether a server has it is discovery's question. Pure.
"""

import functools
import re
import sys
from typing import TYPE_CHECKING, Final, Generic, TypeVar
from urllib.parse import quote

import attrs

from reconcile.kube.objects import Object

if TYPE_CHECKING:
    from reconcile.kube.codec import Codec

T = TypeVar("T")


@attrs.frozen(repr=False, cache_hash=True)
class Resource(Generic[T]):
    """One kind at one version. ``group`` is "" for the core group; ``type`` is an attrs class or ``Object``."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    type: type[T] = Object  # type: ignore[assignment]
    _codec: "Codec[T] | None" = attrs.field(default=None, init=False, eq=False)

    @staticmethod
    def untyped(api_version: str, kind: str, plural: str, namespaced: bool = True) -> "Resource[Object]":
        """A kind whose objects are read as ``Object``. ``api_version`` is ``v1`` or ``group/version``."""
        group, _, version = api_version.rpartition("/")
        return Resource(group, version, kind, plural, namespaced)

    @property
    def api_version(self) -> str:
        """As objects carry it: ``v1`` or ``group/version``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def name(self) -> str:
        """``plural.group``, just the plural in the core group: for logs, errors and RBAC rules."""
        return _name(self.plural, self.group)

    @property
    def codec(self) -> "Codec[T]":
        """Reads and writes objects of this kind; built on first use."""
        if self._codec is None:
            from reconcile.kube.codec import Codec

            object.__setattr__(self, "_codec", Codec(self.type, api_version=self.api_version, kind=self.kind))
        return self._codec  # type: ignore[return-value]

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of an object, or of the collection without ``name``; "" as namespace means all of them.

        Raises:
            ValueError: a namespace for a cluster-scoped kind, an object of a namespaced kind without one, or a
                subresource of a collection.
        """
        if namespace and not self.namespaced:
            raise ValueError(f"{self.name} is cluster-scoped, yet namespace {namespace!r} was given")
        if self.namespaced and name and not namespace:
            raise ValueError(f"{self.name} {name!r} lives in a namespace, yet none was given")
        if subresource and not name:
            raise ValueError(f"{subresource!r} is a subresource of one object of {self.name}, yet no name was given")
        path = _collection(self.group, self.version, self.plural, namespace)
        if name:
            path = f"{path}/{name if _PLAIN.fullmatch(name) else quote(name, safe=':')}"
        return f"{path}/{subresource}" if subresource else path

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<Resource {self.kind} {self.api_version}>"


@functools.lru_cache(maxsize=1024)
def _name(plural: str, group: str) -> str:
    return sys.intern(f"{plural}.{group}" if group else plural)


_PLAIN: Final = re.compile(r"[A-Za-z0-9.-]+")
"""Names that need no quoting: nearly all of them."""


@functools.lru_cache(maxsize=1024)
def _collection(group: str, version: str, plural: str, namespace: str) -> str:
    parts = ["/apis", group, version] if group else ["/api", version]
    if namespace:
        parts += ["namespaces", quote(namespace, safe=":")]
    return "/".join([*parts, plural])
