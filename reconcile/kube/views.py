"""JSON that cannot be changed: what is handed out of a cache stays what it was.

A view shows a dict or a list, and views of what lies in it; it is equal to what it shows. ``thaw`` makes a copy to
change. Pure.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import orjson


class View(Mapping[str, Any]):
    """A JSON object that cannot be changed; nested objects and lists come out as views too. Equal to an equal dict."""

    __slots__ = ("_inside",)

    def __init__(self, inside: Mapping[str, Any]) -> None:
        self._inside = inside

    def __getitem__(self, key: str) -> Any:
        return view(self._inside[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._inside)

    def __len__(self) -> int:
        return len(self._inside)

    def __contains__(self, key: object) -> bool:
        return key in self._inside

    def __eq__(self, other: object) -> bool:
        return bool(self._inside == (other._inside if isinstance(other, View) else other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._inside!r})"

    def at(self, *path: str | int, default: Any = None) -> Any:
        """What lies at ``path``; ``default`` if a step is missing, null or of another type, or the value is null."""
        found: Any = self._inside
        for step in path:
            if not isinstance(found, Mapping if isinstance(step, str) else (list, tuple, ListView)):
                return default
            try:
                found = found[step]  # type: ignore[index]
            except LookupError:
                return default
        return default if found is None else view(found)

    def thaw(self) -> dict[str, Any]:
        """A deep copy out of plain dicts and lists, to change at will."""
        return {key: thaw(value) for key, value in self._inside.items()}


class ListView(Sequence[Any]):
    """A JSON list that cannot be changed. Equal to an equal list."""

    __slots__ = ("_inside",)

    def __init__(self, inside: Sequence[Any]) -> None:
        self._inside = inside

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> "ListView": ...
    def __getitem__(self, index: int | slice) -> Any:
        return view(self._inside[index])

    def __len__(self) -> int:
        return len(self._inside)

    def __eq__(self, other: object) -> bool:
        return bool(self._inside == (other._inside if isinstance(other, ListView) else other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"ListView({self._inside!r})"

    def thaw(self) -> list[Any]:
        """A deep copy out of plain dicts and lists, to change at will."""
        return [thaw(value) for value in self._inside]


def view(value: Any) -> Any:
    """``value`` so that it cannot be changed through what is returned. Scalars are themselves."""
    kind = type(value)
    if kind is dict:
        return View(value)
    if kind is list:
        return ListView(value)
    return value


def thaw(value: Any) -> Any:
    """A deep copy of JSON-like data out of plain dicts and lists; views, other mappings and tuples included."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return {key: thaw(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, ListView)):
        return [thaw(item) for item in value]
    return value


def plain(value: Any) -> Any:
    """``orjson.dumps(x, default=plain)``: what lies inside a view or another mapping. For encoders: read it, no more.

    Raises:
        TypeError: ``value`` is nothing of ours.
    """
    if isinstance(value, (View, ListView)):
        return value._inside
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def dumps(value: Any) -> bytes:
    """JSON out of plain data, views and any other mapping."""
    return orjson.dumps(value, default=plain)
