"""How to change an object by sending only what differs.

A merge patch (RFC 7396) is what ``merge`` makes: the smallest that turns one document into another, ``None`` when they
are equal. ``apply_merge`` says what the server will make of one, so that a patch that changes nothing can be seen
before it is sent. JSON and strategic merge patches are carried as they are. Whether an apply changes anything is
``fieldset.py``'s question. Pure.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import attrs

from reconcile.kube.objects import dumps


@attrs.frozen
class MergePatch:
    """RFC 7396: nested objects are merged, null removes, anything else (lists too) replaces."""

    content_type: ClassVar[str] = "application/merge-patch+json"
    value: Mapping[str, Any]

    def encode(self) -> bytes:
        """The body of the request."""
        return dumps(self.value)


@attrs.frozen
class JsonPatch:
    """RFC 6902: operations in order, all or none; ``test`` operations guard the others."""

    content_type: ClassVar[str] = "application/json-patch+json"
    ops: Sequence[Mapping[str, Any]]

    def encode(self) -> bytes:
        """The body of the request."""
        return dumps(self.ops)


@attrs.frozen
class StrategicPatch:
    """A merge patch that merges lists by the keys of their type. Built-in kinds only; custom resources answer 415."""

    content_type: ClassVar[str] = "application/strategic-merge-patch+json"
    value: Mapping[str, Any]

    def encode(self) -> bytes:
        """The body of the request."""
        return dumps(self.value)


Patch: TypeAlias = MergePatch | JsonPatch | StrategicPatch
