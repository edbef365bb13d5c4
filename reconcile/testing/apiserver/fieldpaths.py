"""Paths into the schema of a kind, as definitions write them: ``.spec.hosts``, ``.spec['a-b']``.

Pure. Source of rules and texts: apiextensions-apiserver, ``apiserver/schema/cel`` (ValidFieldPath).
"""

import re
from collections.abc import Iterator
from typing import Final

from reconcile.testing.apiserver.failure import Document, Fault, duplicate, invalid_value, required, too_many


class BadPath(ValueError):
    """A path that leads to no field of a schema; the text is the real server's."""


_TOKEN: Final = re.compile(r"'(?:[^'\\]|\\.)*'|[.\[\]]|[^.\[\]]+")
_LOST: Final = "does not refer to a valid field"


def follow(path: str, schema: Document, *, indexes: bool = True) -> tuple[tuple[str, ...], Document]:
    """The steps of a path and the schema it leads to. ``indexes``: whether ``['name']`` may be used.

    Raises:
        BadPath: it is none, or the schema has no such field.
    """
    words = iter(_TOKEN.findall(path))
    steps: list[str] = []
    for word in words:
        if word == "[":
            if not indexes:
                raise BadPath("array notation is not allowed")
            name = _next(words)
            if len(name) < 2 or name[0] != "'" or name[-1] != "'":
                raise BadPath(f"expected single quoted string but got {name}")
            name = re.sub(r"\\(.)", r"\1", name[1:-1])
            schema = _child(schema, name)
            if (end := _next(words)) != "]":
                raise BadPath(f"expected ] but got {end}")
        elif word == ".":
            name = _next(words)
            schema = _child(schema, name)
        else:
            raise BadPath(f"expected [ or . but got: {word}")
        steps.append(name)
    return tuple(steps), schema


def _next(words: Iterator[str]) -> str:
    word = next(words, None)
    if word is None:
        raise BadPath("unexpected end of JSON path")
    return word


def _child(schema: Document, name: str) -> Document:
    properties = schema.get("properties") or {}
    found = properties.get(name) if properties else schema.get("additionalProperties")
    if not isinstance(found, dict):
        raise BadPath(_LOST)
    return found


SELECTABLE_LIMIT: Final = 8


def selectable_faults(fields: list[Document], schema: Document, path: str) -> Iterator[Fault]:
    """What is wrong with the ``selectableFields`` of a version."""
    seen: set[tuple[str, ...]] = set()
    for index, field in enumerate(fields):
        text, at = field.get("jsonPath") or "", f"{path}[{index}].jsonPath"
        if not text:
            yield required(at)
            continue
        try:
            steps, found = follow(text, schema, indexes=False)
        except BadPath as problem:
            yield invalid_value(at, text, f"is an invalid path: {problem}")
            continue
        if steps[0] == "metadata":
            yield invalid_value(at, text, "must not point to fields in metadata")
        if found.get("type") not in ("string", "boolean", "integer"):
            says = (
                "must point to a field of type string, boolean or integer. Enum string fields and strings with "
                "formats are allowed."
            )
            yield invalid_value(at, text, says)
        if steps in seen:
            yield duplicate(at, text)
        seen.add(steps)
    if len(seen) > SELECTABLE_LIMIT:
        yield too_many(path, len(seen), SELECTABLE_LIMIT)
