"""How to change an object by sending only what differs.

A merge patch (RFC 7396) is what ``merge`` makes: the smallest that turns one document into another, ``None`` when they
are equal. ``apply_merge`` says what a server makes of one, so a patch that changes nothing is seen before it is sent.
JSON and strategic merge patches are carried as they are. Whether an apply changes anything is ``fieldset.py``'s
question. Null is absent here, as everywhere in the API. Pure.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, TypeAlias

import attrs

from reconcile.kube.objects import ObjectMeta
from reconcile.kube.views import ListView, dumps, thaw


@attrs.frozen
class MergePatch:
    """RFC 7396: nested objects are merged, null removes, anything else (lists too) replaces."""

    content_type: ClassVar[str] = "application/merge-patch+json"
    value: Mapping[str, Any]

    def encode(self) -> bytes:
        """The body of the request."""
        return dumps(self.value)

    @property
    def paths(self) -> tuple[str, ...]:
        """What it touches: ``spec.replicas``, ``metadata.labels[app.kubernetes.io/name]``, in the patch's order."""
        return tuple(_paths(self.value, ""))


@attrs.frozen
class JsonPatch:
    """RFC 6902: operations in order, all or none; a ``test`` guards what follows. Paths are made by ``pointer``."""

    content_type: ClassVar[str] = "application/json-patch+json"
    ops: Sequence[Mapping[str, Any]]

    def encode(self) -> bytes:
        """The body of the request."""
        return dumps(self.ops)

    @property
    def paths(self) -> tuple[str, ...]:
        """The JSON pointers that it may change."""
        return tuple(str(op.get("path")) for op in self.ops if op.get("op") != "test")


@attrs.frozen
class StrategicPatch:
    """A merge patch that merges lists by the keys of their type. Built-in kinds only; custom resources answer 415."""

    content_type: ClassVar[str] = "application/strategic-merge-patch+json"
    value: Mapping[str, Any]

    def encode(self) -> bytes:
        """The body of the request."""
        return dumps(self.value)

    @property
    def paths(self) -> tuple[str, ...]:
        """What it touches, as ``MergePatch.paths``."""
        return tuple(_paths(self.value, ""))


Patch: TypeAlias = MergePatch | JsonPatch | StrategicPatch


def merge(old: Mapping[str, Any], new: Mapping[str, Any]) -> MergePatch | None:
    """The smallest merge patch that turns ``old`` into ``new``; ``None`` if there is nothing to do.

    A null in ``new`` means the same as its absence. Within lists it is kept, for lists are replaced whole.
    """
    value = _difference(old, new)
    return MergePatch(value) if value else None


def apply_merge(document: Mapping[str, Any], patch: MergePatch | Mapping[str, Any]) -> dict[str, Any]:
    """What ``document`` becomes. Nothing that was passed in is changed; the answer may share parts with it."""
    return _applied(document, patch.value if isinstance(patch, MergePatch) else patch)


def changes_nothing(document: Mapping[str, Any], patch: MergePatch) -> bool:
    """Whether ``document`` already is what ``patch`` asks for.

    A resource version in the patch is only a guard and does not count; one against another uid is never a no-op.
    """
    value, guards = patch.value, patch.value.get("metadata")
    if isinstance(guards, Mapping) and guards.get("resourceVersion") is not None:
        value = {**value, "metadata": {name: item for name, item in guards.items() if name != "resourceVersion"}}
    return _holds(document, value)


def replace_guarded(meta: ObjectMeta, field: str, items: Sequence[Any]) -> MergePatch:
    """Replace a list of ``metadata`` that others write too: refused with ``Conflict`` if anyone did since it was read.

    Raises:
        ValueError: the object was never read from a server, so there is no version to guard with.
    """
    if not meta.resource_version:
        raise ValueError(f"{meta.key} has no resource version: it was never read from a server")
    return MergePatch({"metadata": {"resourceVersion": meta.resource_version, field: list(items) or None}})


def same(left: Any, right: Any) -> bool:
    """Whether two JSON values are equal: as Python says, but true is not 1. Views and tuples count as JSON too."""
    if left is right:
        return True
    if type(left) is str:  # most values are, and asking whether one is a mapping takes longer
        return bool(left == right)
    if isinstance(left, bool) or isinstance(right, bool):
        return False
    if type(left) is dict and type(right) is dict:  # likewise: what was parsed needs no abstract class asked
        if left.keys() != right.keys():
            return False
        for key, value in left.items():  # noqa: SIM110 - a generator costs as much as the comparison
            if not same(value, right[key]):
                return False
        return True
    if isinstance(left, Mapping):
        return (
            isinstance(right, Mapping)
            and len(left) == len(right)
            and all(key in right and same(value, right[key]) for key, value in left.items())
        )
    if isinstance(left, LISTS):
        return isinstance(right, LISTS) and len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def pointer(*path: str | int) -> str:
    """The JSON pointer (RFC 6901) of a path: ``pointer("metadata", "labels", "a/b") == "/metadata/labels/a~1b"``."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


LISTS: Final = (list, tuple, ListView)
"""What stands for a JSON list."""


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for key, value in new.items():
        before = old.get(key)
        if same(before, value):
            continue
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            if nested := _difference(before, value):
                changes[key] = nested
        else:
            changes[key] = _applied({}, value) if isinstance(value, Mapping) else thaw(value)
    changes.update((key, None) for key, value in old.items() if value is not None and key not in new)
    return changes


def _applied(document: Any, patch: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(document) if isinstance(document, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            result[key] = _applied(result.get(key), value)
        else:
            result[key] = value
    return result


def _holds(document: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    """Whether merging ``value`` leaves ``document`` as it is."""
    for name, wanted in value.items():
        held = document.get(name)
        if isinstance(wanted, Mapping):
            if not isinstance(held, Mapping) or not _holds(held, wanted):
                return False
        elif name in document if wanted is None else not same(held, wanted):
            return False
    return True


def _paths(value: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for key, item in value.items():
        step = key if key.replace("_", "").isalnum() else f"[{key}]"
        path = prefix + step if step.startswith("[") or not prefix else f"{prefix}.{step}"
        if isinstance(item, Mapping) and item:
            yield from _paths(item, path)
        else:
            yield path
