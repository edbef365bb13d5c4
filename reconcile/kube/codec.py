"""Objects of a kind as attrs classes: read from bytes, written as plain data, updated without loss.

A class of a kind is ``attrs.frozen`` with a field ``metadata: ObjectMeta``; lists are ``tuple[X, ...]``, maps are
``Mapping[str, X]``. Names are camel case on the wire unless ``wire`` says otherwise. Times, IP addresses, enums,
literals and ``Quantity`` have their own types. Without a class an object is an ``Object``. Pure.
"""

from collections.abc import Mapping
from typing import Any, Final, Generic, TypeVar, cast

import attrs
import orjson

from reconcile.kube.encoding import carry, encode, wire
from reconcile.kube.objects import BadObject, Object, ObjectMeta, decode_meta, excerpt
from reconcile.kube.patch import MergePatch, merge
from reconcile.kube.views import thaw

__all__ = ["Codec", "wire"]

T = TypeVar("T")


@attrs.frozen
class Codec(Generic[T]):
    """Reads and writes objects of class ``type``. ``api_version`` and ``kind`` are written where they are missing.

    Raises:
        TypeError: the class is neither ``Object`` nor an attrs class with ``metadata``.
    """

    type: type[T]
    api_version: str = ""
    kind: str = ""

    def __attrs_post_init__(self) -> None:
        kind: Any = self.type
        if kind is not Object and not (attrs.has(kind) and "metadata" in attrs.fields_dict(kind)):
            raise TypeError(f"{kind!r} is no class of a kind: an attrs class with a field metadata, or Object")

    def decode(self, raw: bytes) -> T:
        """Read a document; ``metadata.raw`` is the document.

        Raises:
            BadObject: not JSON, or a field is missing or of the wrong type.
        """
        return self.complete(decode_meta(raw, named=False))

    def complete(self, meta: ObjectMeta) -> T:
        """The object whose head was read already, out of the document that the head knows.

        Raises:
            BadObject: as ``decode``.
        """
        if self.type is Object:
            return cast(T, Object.of(meta))
        raw = meta.raw
        try:
            value = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise BadObject(str(error), excerpt=excerpt(raw)) from error
        value["metadata"] = meta
        return self._structured(value, raw)

    def structure(self, value: Mapping[str, Any]) -> T:
        """Make an object of parsed JSON, which is copied. ``metadata.raw`` is empty.

        Raises:
            BadObject: a field is missing or of the wrong type.
        """
        copy = thaw(value)
        return cast(T, Object(copy)) if self.type is Object else self._structured(copy, b"")

    def encode(self, obj: T | Mapping[str, Any]) -> dict[str, Any]:
        """The whole object as plain data: a new dict, the caller's to change.

        A field that equals its default is left out when that default is empty; a mapping is written as it is.
        """
        return {"apiVersion": self.api_version, "kind": self.kind, **encode(obj)} if self.kind else encode(obj)

    def dumps(self, obj: T | Mapping[str, Any]) -> bytes:
        """The same as JSON. Plain data, which most bodies are, goes there in one step.

        Raises:
            TypeError: something in it has no JSON form.
        """
        if type(obj) is not dict:
            return orjson.dumps(self.encode(obj))
        whole = obj
        if self.kind and not ("kind" in obj and "apiVersion" in obj):
            whole = {"apiVersion": self.api_version, "kind": self.kind, **obj}
        try:
            return orjson.dumps(whole, default=encode, option=_AS_WE_DO)
        except TypeError:
            return orjson.dumps(self.encode(obj))

    def document(self, obj: T | Mapping[str, Any]) -> dict[str, Any]:
        """What an update of ``obj`` sends: the document it was read from, with what has changed since.

        Fields that the class does not know stay as they were read, also within items of lists.
        """
        after = self.encode(obj)
        raw = _raw(obj)
        if not raw or isinstance(obj, Mapping):
            return after
        return self.encode(thaw(carry(orjson.loads(raw), self.encode(self.decode(raw)), after)))

    def patch(self, obj: T) -> MergePatch | None:
        """What has changed in ``obj`` since it was read, as the smallest merge patch; ``None`` if nothing has.

        Raises:
            ValueError: the object was never read from a server.
        """
        raw = _raw(obj)
        if not raw:
            raise ValueError("an object that was not read has nothing to differ from: create or apply it")
        return merge(orjson.loads(raw), self.document(obj))

    def _structured(self, value: dict[str, Any], raw: bytes) -> T:
        from reconcile.kube.decoding import Wrong, converter

        try:
            return converter().structure(value, self.type)
        except Wrong as error:
            raise BadObject(error.what, where=error.where, excerpt=excerpt(raw)) from error


_AS_WE_DO: Final = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATACLASS
"""What orjson would write in a form of its own, ``encode`` writes."""


def _raw(obj: object) -> bytes:
    meta = getattr(obj, "metadata", None)
    return meta.raw if isinstance(meta, ObjectMeta) else b""
