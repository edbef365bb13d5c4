"""JSON patches, as the real server's library reads them.

It is more lenient than RFC 6902 in two places: it replaces what is not there, and a test for null holds of it.
Documents are left alone. Pure. Source of the rules: evanphx/json-patch, version 4.
"""

import copy
from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from reconcile.testing.apiserver.schema import MISSING
from reconcile.testing.apiserver.walks import equal

COPY_LIMIT: Final = 3 * 1024 * 1024
"""Bytes that the copies of one patch may add: each may copy what the one before it has made."""


class CannotApply(ValueError):
    """An operation that does not fit the document, or is none."""


def patched(document: Any, operations: Iterable[Mapping[str, Any]]) -> Any:
    """``document`` after all operations, in order.

    Raises:
        CannotApply: one of them cannot be done.
    """
    result, room = orjson.loads(orjson.dumps(document)), COPY_LIMIT
    try:
        for operation in operations:
            if operation.get("op") == "copy":
                room -= len(orjson.dumps(_copied(result, operation)))
                if room < 0:
                    raise CannotApply("copies too much")
            result = _done(result, operation)
    except (RecursionError, orjson.JSONEncodeError) as error:
        raise CannotApply("nested too deep") from error
    return result


def _done(document: Any, operation: Mapping[str, Any]) -> Any:
    name, path = operation.get("op"), operation.get("path")
    if not isinstance(path, str):
        raise CannotApply("no path")
    if not path:
        return _whole(document, str(name), operation)
    match name:
        case "add":
            _add(document, path, _value(operation))
        case "remove":
            _remove(document, path)
        case "replace":
            _replace(document, path, _value(operation))
        case "move":
            moved = _find(document, _from(operation))
            _remove(document, _from(operation))
            _add(document, path, moved)
        case "copy":
            _add(document, path, copy.deepcopy(_copied(document, operation)))
        case "test":
            found = _find(document, path)
            if not equal(None if found is MISSING else found, operation.get("value")):
                raise CannotApply("the test does not hold")
        case _:
            raise CannotApply("no such operation")
    return document


def _whole(document: Any, name: str, operation: Mapping[str, Any]) -> Any:
    """An operation on the document itself."""
    if name in ("add", "replace"):
        return _value(operation)
    if name == "test" and equal(document, operation.get("value")):
        return document
    raise CannotApply("not of the whole document")


def _value(operation: Mapping[str, Any]) -> Any:
    return copy.deepcopy(operation.get("value"))


def _copied(document: Any, operation: Mapping[str, Any]) -> Any:
    found = _find(document, _from(operation))
    return None if found is MISSING else found


def _from(operation: Mapping[str, Any]) -> str:
    source = operation.get("from")
    if not isinstance(source, str):
        raise CannotApply("no source")
    return source


def _add(document: Any, path: str, value: Any) -> None:
    container, key = _place(document, path)
    if isinstance(container, dict):
        container[key] = value
    elif key == "-":
        container.append(value)
    else:
        container.insert(_index(key, len(container) + 1), value)


def _remove(document: Any, path: str) -> None:
    container, key = _place(document, path)
    if isinstance(container, list):
        del container[_index(key, len(container))]
    elif key in container:
        del container[key]
    else:
        raise CannotApply("nothing to remove")


def _replace(document: Any, path: str, value: Any) -> None:
    container, key = _place(document, path)
    container[_index(key, len(container)) if isinstance(container, list) else key] = value


def _find(document: Any, path: str) -> Any:
    """What is there; MISSING where a map has no such field."""
    container, key = _place(document, path)
    if isinstance(container, list):
        return container[_index(key, len(container))]
    return container.get(key, MISSING)


def _place(document: Any, path: str) -> tuple[Any, str]:
    """The map or list that holds what a path means, and under which key."""
    start, *parts = path.split("/")
    if start or not parts:
        raise CannotApply("no path")
    *way, key = (part.replace("~1", "/").replace("~0", "~") for part in parts)
    for part in way:
        if isinstance(document, list):
            document = document[_index(part, len(document))]
        else:
            document = document.get(part) if isinstance(document, dict) else None
    if not isinstance(document, dict | list):
        raise CannotApply("nothing there")
    return document, key


def _index(text: str, size: int) -> int:
    """A place in a list of so many; counted from its end below 0."""
    try:
        index = int(text)
    except ValueError as error:
        raise CannotApply("no index") from error
    if not -size <= index < size:
        raise CannotApply("out of range")
    return index + size if index < 0 else index


__all__: Final = ["CannotApply", "patched"]
