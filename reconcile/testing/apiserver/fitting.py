"""Whether a document fits its schema as merging needs it.

Right forms, declared fields only, an identity for each item of a list that tells its items apart. This is less than
validation: ranges, patterns and required fields do not matter here. Pure. Source of the texts: structured-merge-diff,
``typed/validate.go``.
"""

from collections.abc import Iterator
from typing import Any

from reconcile.testing.apiserver import fields as fieldsets
from reconcile.testing.apiserver.gotext import go_plain, go_syntax
from reconcile.testing.apiserver.schema import DEDUCED, MISSING, Items, Schema
from reconcile.testing.apiserver.walks import BadDocument, Form, element_of, form_of


def check(schema: Schema, value: Any, *, duplicates: bool = False, known: Any = MISSING) -> None:
    """Let a document pass, or say all that is wrong with it.

    ``duplicates`` allows two items of one identity, as stored objects may have. What the document shares with ``known``
    is taken to be good.

    Raises:
        BadDocument: with every problem, worded and placed as the real library does.
    """
    if _is_plain(schema, value, known):
        return
    problems = list(_problems(schema, value, duplicates, known=known))
    if problems:
        text = problems[0] if len(problems) == 1 else "errors:\n" + "\n".join(f"  {problem}" for problem in problems)
        raise BadDocument(text)


def _is_plain(schema: Schema, value: Any, known: Any) -> bool:
    """Whether a document surely fits: what is new in it are maps and scalars that do. Tells most at once."""
    if schema is DEDUCED:
        return True
    if not isinstance(value, dict) or schema.type != "object":
        return False
    before = known if isinstance(known, dict) else {}
    for name, child in value.items():
        if child is None or child is before.get(name, MISSING):
            continue
        below = schema.fields.get(name, schema.rest)
        if below is None:
            return False
        if isinstance(child, str):
            if below.type not in ("string", ""):
                return False
        elif isinstance(child, dict):
            if not _is_plain(below, child, before.get(name, MISSING)):
                return False
        elif isinstance(child, list):
            if not _is_open(below):
                return False
        elif _scalar_problem(below, child):
            return False
    return True


def _is_open(schema: Schema) -> bool:
    """Whether any list will do, as for managedFields."""
    return schema.type == "array" and schema.relation is Items.ATOMIC and schema.items is DEDUCED


def _problems(schema: Schema, value: Any, duplicates: bool, path: str = "", known: Any = MISSING) -> Iterator[str]:
    if value is None or value is known or schema is DEDUCED:  # of what is deduced nothing is wrong
        return
    form = form_of(schema, value)
    if form == Form.MAP:
        if not isinstance(value, dict):
            yield _say(path, f"expected map, got &{{{go_plain(value)}}}")
            return
        before = known if isinstance(known, dict) else {}
        for name, child in value.items():
            below = schema.fields.get(name, schema.rest)
            if below is None:
                yield _say(f"{path}.{name}", "field not declared in schema")
            elif isinstance(child, dict | list):
                yield from _problems(below, child, duplicates, f"{path}.{name}", before.get(name, MISSING))
            elif problem := _scalar_problem(below, child):
                yield _say(f"{path}.{name}", problem)
    elif form == Form.LIST:
        if not isinstance(value, list):
            yield _say(path, f"expected list, got &{{{go_plain(value)}}}")
            return
        if not _is_open(schema):
            yield from _item_problems(schema, value, duplicates, path)
    elif problem := _scalar_problem(schema, value):
        yield _say(path, problem)


def _item_problems(schema: Schema, items: list[Any], duplicates: bool, path: str) -> Iterator[str]:
    assert schema.items is not None
    seen: set[str] = set()
    for index, item in enumerate(items):
        element = f"i:{index}"
        if schema.relation is not Items.ATOMIC:
            try:
                element = element_of(schema, item)
            except BadDocument as error:
                yield _say(path, f"element {index}: {error}")
                return
            if element in seen and not duplicates:
                yield _say(path, f"duplicate entries for key {fieldsets.say((element,))}")
            seen.add(element)
        if isinstance(item, dict | list) or _scalar_problem(schema.items, item):
            yield from _problems(schema.items, item, duplicates, path + fieldsets.say((element,)))


def _scalar_problem(schema: Schema, value: Any) -> str:
    """What is wrong with a scalar, or with what should be one; "" if nothing."""
    if value is None:
        return ""
    wanted = schema.type
    if wanted == "string":
        return (
            ""
            if isinstance(value, str)
            else _expected("string", f"value.valueUnstructured{{Value:{go_syntax(value)}}}")
        )
    if wanted in ("integer", "number"):
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"expected numeric (int or float), got {_GO_TYPES.get(type(value), 'map[string]interface {}')}"
    elif wanted == "boolean":
        return "" if isinstance(value, bool) else _expected("boolean", f"{{{go_plain(value)}}}")
    elif wanted == "object":
        return "" if isinstance(value, dict) else _expected("map", f"{{{go_plain(value)}}}")
    elif wanted == "array":
        return "" if isinstance(value, list) else _expected("list", f"{{{go_plain(value)}}}")
    return ""


def _expected(what: str, found: str) -> str:
    return f"expected {what}, got &{found}"


_GO_TYPES = {str: "string", bool: "bool", list: "[]interface {}", type(None): "<nil>"}


def _say(path: str, text: str) -> str:
    return f"{path}: {text}" if path else text
