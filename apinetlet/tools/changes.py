"""What differs between an object and what would become of it, in lines that a person can read.

A line is a path with what was and what will be there; what the server keeps for itself is left out. Pure.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson
from attrs import frozen

from apinetlet.tools.applied import GIVEN
from apinetlet.tools.captured import Touched

_SERVERS: Final = ("managedFields", "resourceVersion", "generation", "creationTimestamp", "uid", "selfLink")
_SIGNS: Final = {"create": "+", "update": "~", "delete": "-"}


@frozen
class Line:
    """One path; ``None``: nothing there."""

    path: str
    before: Any
    after: Any

    def __str__(self) -> str:
        if self.before is None:
            return f"+ {self.path}: {_text(self.after)}"
        if self.after is None:
            return f"- {self.path}: {_text(self.before)}"
        return f"~ {self.path}: {_text(self.before)} -> {_text(self.after)}"


@frozen
class Difference:
    """Of one object."""

    verb: str
    """create, update or delete."""
    touched: Touched
    lines: tuple[Line, ...]

    @property
    def facts(self) -> Mapping[str, Any]:
        """As JSON."""
        one = self.touched
        return {
            "verb": self.verb,
            "cluster": one.cluster,
            "resource": one.resource,
            "namespace": one.key.namespace,
            "name": one.key.name,
            "changes": [{"path": line.path, "before": line.before, "after": line.after} for line in self.lines],
        }

    def __str__(self) -> str:
        one = self.touched
        head = f"{_SIGNS[self.verb]} {self.verb} {one.cluster} {one.resource} {one.key}"
        return "\n".join([head, *(f"    {line}" for line in self.lines)])


def difference(touched: Touched) -> Difference | None:
    """What would happen to an object; ``None`` if nothing."""
    before, after = touched.before, touched.after
    if after is None or (_is_deleting(after) and not (before is not None and _is_deleting(before))):
        return Difference("delete", touched, ())
    lines = tuple(_lines(_ours(before or {}), _ours(after)))
    return Difference("update" if before is not None else "create", touched, lines) if lines else None


def _is_deleting(document: Mapping[str, Any]) -> bool:
    return bool((document.get("metadata") or {}).get("deletionTimestamp"))


def _ours(document: Mapping[str, Any]) -> Mapping[str, Any]:
    head = {name: value for name, value in (document.get("metadata") or {}).items() if name not in _SERVERS}
    head = {name: value for name, value in head.items() if name not in ("name", "namespace")}
    return {**{name: value for name, value in document.items() if name not in ("apiVersion", "kind")}, "metadata": head}


def _lines(before: Any, after: Any, path: str = "") -> Iterator[Line]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in (*before, *(name for name in after if name not in before)):
            yield from _lines(before.get(name), after.get(name), _step(path, str(name)))
    elif isinstance(before, list) and isinstance(after, list):
        for place in range(max(len(before), len(after))):
            yield from _lines(_at(before, place), _at(after, place), f"{path}[{place}]")
    elif before != after:
        if isinstance(after, (Mapping, list)) and before is None and after:
            yield from _lines(type(after)(), after, path)
        elif isinstance(before, (Mapping, list)) and after is None and before:
            yield from _lines(before, type(before)(), path)
        else:
            yield Line(path, before, after)


def _at(items: Sequence[Any], place: int) -> Any:
    return items[place] if place < len(items) else None


def _step(path: str, name: str) -> str:
    plain = name.replace("_", "").isalnum()
    return f"{path}.{name}" if path and plain else f"{path}[{name}]" if path else name


def _text(value: Any) -> str:
    return GIVEN if value == GIVEN else orjson.dumps(value).decode() if not isinstance(value, str) else value
