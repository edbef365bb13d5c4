"""What an object is to us: a key, a head of metadata that is decoded at once, and a body that is read on demand.

Everything handed out here is read-only all the way down, so what lies in a cache cannot be changed by accident; a copy
to change is asked for by name (``thaw``). Typed bodies are ``codec.py``'s. Pure.
"""

import datetime as dt
import re
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, Protocol, Self, TypeAlias

import msgspec
import orjson
from msgspec.structs import force_setattr

from reconcile.kube.views import View, thaw
from reconcile.kube.views import dumps as dumps

EMPTY: Final[Mapping[str, str]] = MappingProxyType({})
"""Shared by every object without labels or annotations."""


class BadObject(ValueError):
    """A document that is no object of its kind.

    ``what`` is wrong, ``where`` it is (dotted path, "" for the whole document), ``excerpt`` is how the document starts.
    """

    def __init__(self, what: str, *, where: str = "", excerpt: str = "") -> None:
        super().__init__(what, where, excerpt)
        self.what = what
        self.where = where
        self.excerpt = excerpt

    def __str__(self) -> str:
        place = f" at {self.where}" if self.where else ""
        return f"bad object{place}: {self.what}" + (f" in {self.excerpt}" if self.excerpt else "")


class ObjectKey(NamedTuple):
    """Which object of a kind. ``namespace`` is "" for what is cluster-scoped."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


if TYPE_CHECKING:
    Texts: TypeAlias = Mapping[str, str]
    Names: TypeAlias = tuple[str, ...]
    Owners: TypeAlias = tuple["OwnerReference", ...]
    Flag: TypeAlias = bool
else:  # what the wire may hold: Go writes null for an empty list or map, and reads it as one
    Texts = Mapping[str, str] | None
    Names = tuple[str, ...] | None
    Owners = tuple["OwnerReference", ...] | None
    Flag = bool | None


class OwnerReference(msgspec.Struct, frozen=True, kw_only=True, gc=False, rename="camel", omit_defaults=True):
    """One owner, as in ``metadata.ownerReferences``."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: Flag = False
    block_owner_deletion: Flag = False


class _Document:
    """Where ``raw`` lives: beside the struct's fields, so that neither the wire, ``==`` nor an encoder sees it."""

    __slots__ = ("raw",)
    raw: bytes


class ObjectMeta(msgspec.Struct, _Document, frozen=True, kw_only=True, gc=False, rename="camel", omit_defaults=True):
    """The head of an object, as in ``metadata``. Labels and annotations are read-only.

    ``raw`` is the whole document this head was read from, b"" when it was made by hand. It lets unknown fields survive
    an update and a patch that changes nothing be seen. ``evolve`` keeps it; ``msgspec.structs.replace`` forgets it.
    """

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: dt.datetime | None = None
    deletion_timestamp: dt.datetime | None = None
    deletion_grace_period_seconds: int | None = None
    labels: Texts = EMPTY
    annotations: Texts = EMPTY
    finalizers: Names = ()
    owner_references: Owners = ()

    def __post_init__(self) -> None:
        force_setattr(self, "raw", b"")
        if self.namespace:
            force_setattr(self, "namespace", sys.intern(self.namespace))
        if self.labels is not EMPTY:
            force_setattr(self, "labels", MappingProxyType(self.labels) if self.labels else EMPTY)
        if self.annotations is not EMPTY:
            force_setattr(self, "annotations", MappingProxyType(self.annotations) if self.annotations else EMPTY)
        if not self.finalizers:
            force_setattr(self, "finalizers", ())
        if not self.owner_references:
            force_setattr(self, "owner_references", ())

    @property
    def key(self) -> ObjectKey:
        """Which object this is."""
        return ObjectKey(self.namespace, self.name)

    @property
    def is_deleting(self) -> bool:
        """Whether somebody asked for its deletion; it goes when its last finalizer does."""
        return self.deletion_timestamp is not None

    @property
    def version(self) -> int:
        """The resource version as a number, to compare within one resource; 0 if it is none.

        Source: the API promises ordered decimal numbers since 1.35; servers built on etcd always gave them.
        """
        text = self.resource_version
        return int(text) if text.isascii() and text.isdigit() else 0

    @property
    def controller(self) -> OwnerReference | None:
        """The one owner that controls this object, or ``None``."""
        return next((owner for owner in self.owner_references if owner.controller), None)

    def evolve(self, **changes: Any) -> Self:
        """The same head with some fields changed, still knowing the document it was read from."""
        changed = msgspec.structs.replace(self, **changes)
        force_setattr(changed, "raw", self.raw)
        return changed

    __replace__ = evolve

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self


class _Head(msgspec.Struct, frozen=True, gc=False):
    metadata: ObjectMeta | None = None


_HEAD: Final = msgspec.json.Decoder(_Head)


def decode_meta(raw: bytes, *, named: bool = True) -> ObjectMeta:
    """Read only the head of a JSON document; the rest is checked for syntax and skipped.

    ``named=False`` is for answers that are no stored objects (reviews), where metadata or its name may be missing.

    Raises:
        BadObject: not JSON, no metadata, no name, or a field of the head has another type.
    """
    try:
        meta = _HEAD.decode(raw).metadata
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        _refuse(error, raw)
    if meta is None:
        if named:
            raise BadObject("no metadata", where="metadata", excerpt=excerpt(raw))
        meta = ObjectMeta()
    if named and not meta.name:
        raise BadObject("no name", where="metadata.name", excerpt=excerpt(raw))
    force_setattr(meta, "raw", raw)
    return meta


def structure_meta(value: object, *, where: str = "metadata") -> ObjectMeta:
    """The head out of the parsed value that lies at ``where``. ``raw`` is empty.

    Raises:
        BadObject: a field has another type.
    """
    try:
        return msgspec.convert(thaw(value), ObjectMeta)
    except (msgspec.ValidationError, RecursionError) as error:
        _refuse(error, b"", prefix=where)


def excerpt(raw: bytes, length: int = 80) -> str:
    """How a document starts: printable, on one line, at most ``length`` characters and a mark that there was more."""
    text = " ".join(raw[: 4 * length].decode("utf-8", "replace").split())
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return text if len(text) <= length and len(raw) <= 4 * length else text[:length] + "..."


_PLACE: Final = re.compile(r"^(?P<what>.*?)(?: - at `(?:key in )?\$\.?(?P<where>[^`]*)`)?$", re.DOTALL)


def _refuse(error: Exception, raw: bytes, prefix: str = "") -> NoReturn:
    """Turn what the decoder said into what, where and how the document starts."""
    found = _PLACE.match(str(error))
    what, where = (found["what"], found["where"] or "") if found else (str(error), "")
    what = what.replace("`", "")
    path = ".".join(part for part in (prefix, where) if part)
    what = what if what.startswith("JSON") else what[:1].lower() + what[1:]
    raise BadObject(what, where=path, excerpt=excerpt(raw)) from error


class Object(View):
    """An object of any kind, untyped: ``obj["spec"]["x"]``, ``obj.at("spec", "x")``. Read-only all the way down.

    Takes ownership of ``value``: who made the dict must not change it any more.

    Raises:
        BadObject: the value is no mapping, or its metadata is malformed.
    """

    __slots__ = ("metadata",)
    metadata: ObjectMeta

    def __init__(self, value: Mapping[str, Any]) -> None:
        super().__init__(value)
        self.metadata = structure_meta(value.get("metadata") or {})

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read a document. Its metadata may lack a name: not every answer is a stored object.

        The body is read when it is first looked at.

        Raises:
            BadObject: not JSON, no JSON object, or its metadata is malformed.
        """
        return cls.of(decode_meta(raw, named=False))

    @classmethod
    def of(cls, meta: ObjectMeta) -> Self:
        """The object whose head was read already, out of the document that the head knows."""
        self = cls.__new__(cls)
        self.metadata = meta
        return self

    def __getattr__(self, name: str) -> Any:
        if name != "_inside":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        raw = self.metadata.raw
        try:
            self._inside = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            _refuse(error, raw)
        return self._inside

    @property
    def inside(self) -> Mapping[str, Any]:
        """The document as it was parsed, to read and never to change: nothing protects it."""
        return self._inside

    @property
    def api_version(self) -> str:
        """``v1`` or ``group/version``; "" if it does not say."""
        return str(self._inside.get("apiVersion") or "")

    @property
    def kind(self) -> str:
        """The kind's name; "" if it does not say."""
        return str(self._inside.get("kind") or "")

    def __repr__(self) -> str:
        return f"<{self.kind or 'Object'} {self.metadata.key}>"


class KubeObject(Protocol):
    """Anything with a head: every attrs class of a kind, and ``Object``."""

    @property
    def metadata(self) -> ObjectMeta:
        """The head."""
