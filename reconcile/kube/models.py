"""Classes that a generator made (``V1Pod`` and its like) as the typed objects of our resources.

``resource_of(V1Pod)`` is a ``Resource[V1Pod]``: whatever is read through it comes out as that class, its parts by their
own classes, made on first access like any typed object. Only ``metadata`` is ours: an ``ObjectMeta``, read-only and the
same for all kinds. Works by what the generator writes on its classes, so it imports none of them; the classes of
``kubernetes_asyncio`` and of the official client are alike in this. Pure.
"""

import datetime as dt
import functools
import re
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Final, Generic, TypeAlias, TypeVar

import attrs
import orjson

from reconcile.kube import kinds
from reconcile.kube.encoding import carry, encode
from reconcile.kube.objects import BadObject, ObjectMeta, decode_meta, excerpt, structure_meta
from reconcile.kube.patch import MergePatch, merge
from reconcile.kube.resource import Resource
from reconcile.kube.times import format_time, parse_time
from reconcile.kube.views import thaw

T = TypeVar("T")
Reader: TypeAlias = Callable[[Any], Any]


@attrs.frozen(repr=False)
class ModelResource(Resource[T]):
    """A resource whose objects are of a generated class."""

    @property
    def codec(self) -> "ModelCodec[T]":  # type: ignore[override]  # the same methods
        return ModelCodec(self.type, self.api_version, self.kind)


def resource_of(model: type[T], like: Resource[Any] | None = None) -> ModelResource[T]:
    """The resource whose objects are read as ``model``.

    ``like`` says how it is called and where it lives; by default that is looked up by the name of the class among the
    kinds of ``kinds.py``.

    Raises:
        ValueError: no such kind is known.
    """
    known = like or _known(model.__name__)
    if known is None:
        remedy = "pass like=Resource.untyped(api_version, kind, plural)"
        raise ValueError(f"which resource {model.__name__} is of is not known: {remedy}")
    return ModelResource(known.group, known.version, known.kind, known.plural, known.namespaced, model)


@attrs.frozen
class ModelCodec(Generic[T]):
    """Reads and writes objects of a generated class, as ``Codec`` does those of attrs classes."""

    type: type[T]
    api_version: str = ""
    kind: str = ""

    def decode(self, raw: bytes) -> T:
        """Read a document; ``metadata.raw`` is the document.

        Raises:
            BadObject: not JSON, or a part has another shape than its class.
        """
        return self.complete(decode_meta(raw, named=False))

    def complete(self, meta: ObjectMeta) -> T:
        """The object whose head was read already, out of the document that the head knows. Raises as ``decode``."""
        raw = meta.raw
        try:
            value = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise BadObject(str(error), excerpt=excerpt(raw)) from error
        return self._structured(value, meta)

    def structure(self, value: Mapping[str, Any]) -> T:
        """Make an object of parsed JSON, which is copied. ``metadata.raw`` is empty.

        Raises:
            BadObject: a part has another shape than its class.
        """
        return self._structured(thaw(value), structure_meta(value.get("metadata") or {}))

    def encode(self, obj: T | Mapping[str, Any]) -> dict[str, Any]:
        """The whole object as plain data: a new dict, the caller's to change. What is None is left out."""
        return {"apiVersion": self.api_version, "kind": self.kind, **plain(obj)}

    def dumps(self, obj: T | Mapping[str, Any]) -> bytes:
        """The same as JSON."""
        return orjson.dumps(self.encode(obj))

    def document(self, obj: T | Mapping[str, Any]) -> dict[str, Any]:
        """What an update of ``obj`` sends: the document it was read from, with what has changed since."""
        after = self.encode(obj)
        raw = getattr(getattr(obj, "metadata", None), "raw", b"")
        if not raw:
            return after
        return self.encode(thaw(carry(orjson.loads(raw), self.encode(self.decode(raw)), after)))

    def patch(self, obj: T) -> MergePatch | None:
        """What has changed in ``obj`` since it was read, as the smallest merge patch; ``None`` if nothing has.

        Raises:
            ValueError: the object was never read from a server.
        """
        raw = getattr(getattr(obj, "metadata", None), "raw", b"")
        if not raw:
            raise ValueError("an object that was not read has nothing to differ from: create or apply it")
        return merge(orjson.loads(raw), self.document(obj))

    def _structured(self, value: dict[str, Any], meta: ObjectMeta) -> T:
        package, _, _ = self.type.__module__.rpartition(".")
        value.pop("metadata", None)
        obj: T = read(sys.modules[package], self.type.__name__, value)
        obj.metadata = meta  # type: ignore[attr-defined]
        return obj


def read(package: ModuleType, name: str, value: Any) -> Any:
    """Make of parsed JSON what the generator calls ``name``, with the classes of ``package`` all the way down.

    Raises:
        BadObject: a part has another shape than its class.
    """
    try:
        return _reader(package, name)(value)
    except (TypeError, ValueError) as error:
        raise error if isinstance(error, BadObject) else BadObject(str(error)) from error


def plain(value: Any) -> Any:
    """Plain data out of objects of generated classes, with our metadata or their own, and of all they hold."""
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dt.datetime):
        return format_time(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    names: Mapping[str, str] | None = getattr(value, "attribute_map", None)
    if names is None:
        return encode(value)
    found = ((wire, getattr(value, name)) for name, wire in names.items())
    return {wire: plain(item) for wire, item in found if item is not None}


_PRIMITIVES: Final = frozenset({"str", "int", "float", "bool", "object"})
_NESTED: Final = re.compile(r"(?:list\[|dict\(str, )(.*)[\])]")


@functools.cache
def _reader(package: ModuleType, name: str) -> Reader:
    """What reads a value of a type, as the generator spells types: ``list[V1Container]``, ``dict(str, str)``."""
    if name in _PRIMITIVES:
        return lambda value: value
    if nested := _NESTED.fullmatch(name):
        inner = _reader(package, nested[1])
        return _list(inner) if name.startswith("list") else _dict(inner)
    if name == "datetime":
        return parse_time
    if name == "date":
        return dt.date.fromisoformat
    return _model(package, name)


def _list(inner: Reader) -> Reader:
    def read(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise TypeError("a list is expected")
        return [inner(item) for item in value]

    return read


def _dict(inner: Reader) -> Reader:
    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise TypeError("an object is expected")
        return {key: inner(item) for key, item in value.items()}

    return read


def _model(package: ModuleType, name: str) -> Reader:
    made: Any = getattr(package, name)
    if not made.openapi_types:
        return lambda value: value
    types: list[tuple[str, str, str]] = [
        (attribute, made.attribute_map[attribute], kind) for attribute, kind in made.openapi_types.items()
    ]
    # without it every object would make a configuration of its own, and check what a server said
    configuration = _unchecking(made)
    readers: list[tuple[str, str, Reader]] = []

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise TypeError("an object is expected")
        if not readers:  # on first use: a class may hold itself
            readers.extend((attribute, wire, _reader(package, kind)) for attribute, wire, kind in types)
        parts = {}
        for attribute, wire, reader in readers:
            if (item := value.get(wire)) is not None:
                try:
                    parts[attribute] = reader(item)
                except BadObject as error:
                    raise BadObject(error.what, where=".".join(filter(None, (wire, error.where)))) from error
                except (TypeError, ValueError) as error:
                    raise BadObject(str(error), where=wire) from error
        return made(**parts, local_vars_configuration=configuration)

    return read


def _unchecking(made: Any) -> Any:
    configuration = sys.modules[made.__module__].Configuration()
    configuration.client_side_validation = False
    return configuration


def _known(model: str) -> Resource[Any] | None:
    """``V1Pod`` is the Pod of a group's version v1."""
    named = re.fullmatch(r"(V\d+(?:(?:alpha|beta)\d+)?)(.+)", model)
    if named is None:
        return None
    version, kind = named[1].lower(), named[2]
    found = (one for one in vars(kinds).values() if isinstance(one, Resource))
    return next((one for one in found if (one.version, one.kind) == (version, kind)), None)
