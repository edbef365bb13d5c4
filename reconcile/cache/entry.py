"""What the cache keeps of one object: its bytes, its head, and what we last applied to it.

The bytes are the document as the server sent it, less what no controller reads: ``managedFields``, kubectl's copy of
the last applied configuration, and, where a kind declares which paths it keeps, everything else. The head is decoded at
once, for indexes and predicates live on it; the body stays bytes until somebody asks for the typed object. Of
``managedFields`` our own Apply entries are kept, for they prove that an apply would change nothing. Pure.
"""

from collections.abc import Hashable, Mapping
from typing import Any, Final, NamedTuple, NoReturn, TypeAlias, TypeVar

import attrs
import msgspec
import orjson
from msgspec.structs import force_setattr

from reconcile.kube.objects import BadObject, ObjectKey, ObjectMeta, decode_meta, excerpt
from reconcile.kube.resource import Resource

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"


class Applied(NamedTuple):
    """One Apply entry of our field manager: ``fields`` is its ``fieldsV1``, JSON."""

    subresource: str
    api_version: str
    fields: bytes


class Entry(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One version of one object. Compared and hashed by identity, so that it can be the key of what is made from it."""

    meta: ObjectMeta
    applied: tuple[Applied, ...] = ()
    is_partial: bool = False
    """Whether ``raw`` lacks fields that the server has, other than ``managedFields``."""

    @property
    def raw(self) -> bytes:
        """The document, JSON; always has ``apiVersion`` and ``kind``."""
        return self.meta.raw

    @property
    def key(self) -> ObjectKey:
        """Which object of its kind."""
        return self.meta.key


@attrs.frozen
class EntryReader:
    """Reads documents of one kind into entries.

    ``manager``: whose Apply entries to keep. ``keep``: dotted paths to keep beside ``apiVersion``, ``kind`` and
    ``metadata``, through lists into every item; none means everything. ``metadata_only``: the body is dropped.
    """

    resource: Resource[Any]
    manager: str = ""
    keep: tuple[str, ...] = ()
    metadata_only: bool = False
    _type: bytes = attrs.field(init=False, repr=False)
    _manager_json: bytes = attrs.field(init=False, repr=False)
    _tree: "_Tree" = attrs.field(init=False, repr=False, eq=False)
    _known_applied: dict[tuple[Applied, ...], tuple[Applied, ...]] = attrs.field(
        init=False, repr=False, eq=False, factory=dict
    )
    _known_labels: dict[tuple[tuple[str, str], ...], Mapping[str, str]] = attrs.field(
        init=False, repr=False, eq=False, factory=dict
    )

    def __attrs_post_init__(self) -> None:
        resource = self.resource
        named = orjson.dumps({"apiVersion": resource.api_version, "kind": resource.kind})
        object.__setattr__(self, "_type", named[:-1] + b",")
        object.__setattr__(self, "_manager_json", orjson.dumps(self.manager))
        object.__setattr__(self, "_tree", _tree(("apiVersion", "kind", "metadata", *self.keep)))

    def read(self, raw: bytes) -> Entry:
        """Read one document; the entry owns what it keeps of it.

        Raises:
            BadObject: not JSON, no metadata, no name, or a field of the head has another type.
        """
        try:
            head = _HEAD.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            _refuse(raw, error)
        if (meta := head.metadata) is None:
            _refuse(raw)
        kept = raw
        applied: tuple[Applied, ...] = ()
        is_partial = self.metadata_only or bool(self.keep)
        if meta.managed_fields:
            managed_fields = bytes(meta.managed_fields)
            kept = _without(kept, _MANAGED_FIELDS, managed_fields) or _rewritten(kept)
            if not is_partial and self._manager_json in managed_fields:
                applied = self._applied(managed_fields)
        if meta.annotations is not None and meta.annotations.last_applied:
            kept = _without(kept, _LAST_APPLIED, bytes(meta.annotations.last_applied)) or _rewritten(kept)
            is_partial = True
        if self.metadata_only:
            kept = self._type + b'"metadata":' + bytes(_BODY.decode(kept).metadata) + b"}"
        elif self.keep:
            kept = _copied(orjson.dumps(_pick(orjson.loads(kept), self._tree)))
        if not (self.metadata_only or head.kind or head.api_version):
            kept = self._type + kept.lstrip()[1:]  # the items of a list of a built-in kind do not say what they are
        kept_head = decode_meta(kept)
        if kept_head.labels:
            shared = _shared(self._known_labels, tuple(kept_head.labels.items()), kept_head.labels)
            force_setattr(kept_head, "labels", shared)
        return Entry(kept_head, applied, is_partial)

    def _applied(self, managed_fields: bytes) -> tuple[Applied, ...]:
        try:
            managers = _MANAGERS.decode(managed_fields)
        except msgspec.DecodeError:  # no proof of anything, then
            return ()
        ours = [entry for entry in managers if entry.operation == "Apply" and entry.manager == self.manager]
        if not ours:
            return ()
        applied = tuple([Applied(entry.subresource, entry.api_version, bytes(entry.fields_v1)) for entry in ours])
        return _shared(self._known_applied, applied, applied)


V = TypeVar("V")


def _shared(known: dict[Any, V], key: Hashable, value: V) -> V:
    """One value for all that are equal: the objects of a kind have few sets of labels and of applied fields."""
    if len(known) < _SHARED_LIMIT:
        return known.setdefault(key, value)
    return known.get(key, value)


class _Annotations(msgspec.Struct, gc=False):
    last_applied: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name=LAST_APPLIED)


class _Meta(msgspec.Struct, gc=False, rename="camel"):
    managed_fields: msgspec.Raw = msgspec.Raw()
    annotations: _Annotations | None = None


class _Head(msgspec.Struct, gc=False, rename="camel"):
    api_version: str = ""
    kind: str = ""
    metadata: _Meta | None = None


class _Body(msgspec.Struct, gc=False):
    metadata: msgspec.Raw


class _Manager(msgspec.Struct, gc=False, rename="camel"):
    manager: str = ""
    operation: str = ""
    subresource: str = ""
    api_version: str = ""
    fields_v1: msgspec.Raw = msgspec.field(default=msgspec.Raw(b"{}"), name="fieldsV1")


_SHARED_LIMIT: Final = 256
_HEAD: Final = msgspec.json.Decoder(_Head)
_BODY: Final = msgspec.json.Decoder(_Body)
_MANAGERS: Final = msgspec.json.Decoder(list[_Manager])
_MANAGED_FIELDS: Final = b'"managedFields":'
_LAST_APPLIED: Final = orjson.dumps(LAST_APPLIED) + b":"


def _without(raw: bytes, name: bytes, value: bytes) -> bytes | None:
    """Cut a member out of the text, with its comma. ``None`` unless ``name`` stands there exactly once and compact."""
    start = raw.find(name)
    end = start + len(name) + len(value)
    if start < 0 or raw.find(name, end) >= 0 or raw[start + len(name) : end] != value:
        return None
    if raw[start - 1] == _COMMA:
        return raw[: start - 1] + raw[end:]
    return raw[:start] + raw[end + 1 if raw[end] == _COMMA else end :]


_COMMA: Final = ord(",")


def _rewritten(raw: bytes) -> bytes:
    """The slow way to the same: for documents with white space, or whose body talks about managed fields itself."""
    document = orjson.loads(raw)
    document["metadata"].pop("managedFields", None)
    (document["metadata"].get("annotations") or {}).pop(LAST_APPLIED, None)
    return _copied(orjson.dumps(document))


def _copied(encoded: bytes) -> bytes:
    """What orjson returns keeps a block of whole pages alive; in a cache that is several times the object."""
    return bytes(memoryview(encoded))


_Tree: TypeAlias = "dict[str, _Tree | None]"


def _tree(paths: tuple[str, ...]) -> _Tree:
    """The paths as nested names; ``None`` stands for all that is below."""
    root: _Tree = {}
    for path in sorted(paths, key=len):  # a path comes before those below it, which add nothing to it
        node: _Tree | None = root
        *parents, last = path.split(".")
        for step in parents:
            node = node.setdefault(step, {}) if node is not None else None
        if node is not None:
            node.setdefault(last, None)
    return root


def _pick(value: Any, tree: "_Tree | None") -> Any:
    if tree is None:
        return value
    if isinstance(value, list):
        return [_pick(item, tree) for item in value]
    if isinstance(value, dict):
        return {name: _pick(inner, tree[name]) for name, inner in value.items() if name in tree}
    return value


def _refuse(raw: bytes, error: Exception | None = None) -> NoReturn:
    decode_meta(raw)  # says what is wrong and where, better than we can
    raise BadObject(str(error), excerpt=excerpt(raw)) from error
