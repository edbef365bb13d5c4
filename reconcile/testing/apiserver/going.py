"""A document of a built-in kind as Go's decoder and encoder leave it.

``as_go`` drops what an encoder would not write, fills in what it always writes and what decoding defaults, and brings
times and quantities into their one form. ``type_problem`` is what the decoder says of a value of the wrong type. Pure;
documents are left alone, results may share parts with them. Source: the Go types, as ``published.py`` has them.
"""

import base64
import copy
from typing import Any, Final

from reconcile.kube.quantity import Quantity
from reconcile.testing.apiserver import times
from reconcile.testing.apiserver.content import misfit
from reconcile.testing.apiserver.failure import Document
from reconcile.testing.apiserver.openapi import INT_OR_STRING, QUANTITY
from reconcile.testing.apiserver.rules import base64_problem
from reconcile.testing.apiserver.schema import DEDUCED, UNTYPED, Schema

_ZERO: Final = ("", 0, False)
_NOTHING: Final[Document] = {}


def as_go(schema: Schema, value: Document, known: Document = _NOTHING) -> Document:
    """A whole object; its metadata is left as it is, and so is what it shares with ``known``, which has its Go form."""
    return _struct(schema, value, known, root=True)


def blank(schema: Schema) -> Document:
    """What an object of a kind has before anything is set, its metadata apart."""
    assert schema.go is not None
    return {name: copy.deepcopy(zero) for name, zero in schema.go.always.items() if name != "metadata"}


def _struct(schema: Schema, value: Document, known: Any = None, *, root: bool = False) -> Document:
    go = schema.go
    assert go is not None
    before = known if isinstance(known, dict) else _NOTHING
    result: Document = {}
    for name, one in value.items():
        child = schema.fields.get(name)
        if child is None or (root and name == "metadata"):
            result[name] = one
            continue
        if one is None:
            continue
        if one is (was := before.get(name)):
            result[name] = one
            continue
        made = _value(child, one, was)
        if made in _ZERO and name in go.omits:
            continue
        empty = made == [] or (made == {} and (child.go is None or name in go.omits))
        if empty and child is not UNTYPED:
            # what is stored as protobuf comes back without them; where they are always written, they are null
            continue
        result[name] = made
    for name, zero in go.always.items():
        if name not in result and not (root and name == "metadata"):
            child = schema.fields[name]
            result[name] = _struct(child, {}) if child.go is not None and zero is not None else copy.deepcopy(zero)
    for name, default in go.defaults.items():
        if name not in result or (name in go.always and result[name] == go.always[name]):
            result[name] = copy.deepcopy(default)
    return result


def _value(schema: Schema, value: Any, known: Any = None) -> Any:
    if value is known:
        return value
    if isinstance(value, str):
        form = schema.rules.get("format")
        return _text(form, value) if form is not None else value
    if isinstance(value, dict):
        if schema.go is not None:
            return _struct(schema, value, known)
        rest = schema.rest
        if rest is None or rest is DEDUCED or rest is UNTYPED or schema is UNTYPED:
            return value
        was = known if isinstance(known, dict) else _NOTHING
        return {
            name: _value(rest, one, was.get(name)) if one is not None else _zero(rest) for name, one in value.items()
        }
    if isinstance(value, list):
        items = schema.items
        if items is None or schema is UNTYPED or items is UNTYPED:
            return value
        return [_value(items, one) if one is not None else _zero(items) for one in value]
    if schema.rules.get("format") == QUANTITY and not isinstance(value, bool):
        return str(Quantity(str(value)))
    return value


def _text(form: str, value: str) -> str:
    if form in (times.TIME, times.MICRO_TIME):
        return times.canonical(form, value)
    if form == QUANTITY:
        return str(Quantity(value))
    if form == "byte":
        return base64.b64encode(base64.b64decode(value)).decode()
    return value


def _zero(schema: Schema) -> Any:
    """What null is in the place of a value that Go keeps by value."""
    if schema.go is not None:
        return _struct(schema, {})
    if schema.rules.get("format") in (times.TIME, times.MICRO_TIME):
        return None
    return {"string": "", "integer": 0, "number": 0, "boolean": False}.get(schema.type)


def type_problem(schema: Schema, value: Document, known: Document = _NOTHING) -> str:
    """The first thing in a document that Go cannot decode, in its words; "" if there is none.

    What it shares with ``known`` is taken to be good.
    """
    return _problem_in(schema, value, known, "")


def _problem_in(schema: Schema, value: Document, known: Any, path: str) -> str:
    go = schema.go
    assert go is not None
    before = known if isinstance(known, dict) else _NOTHING
    for name, one in value.items():
        child = schema.fields.get(name)
        if child is None or one is None or one is (was := before.get(name)) or (not path and name == "metadata"):
            continue
        where = f"{go.name}.{path}{name}"
        problem = _problem(child, one, was, where, f"{path}{name}.", go.types.get(name, ""))
        if problem:
            return problem
    return ""


def _problem(schema: Schema, value: Any, known: Any, where: str, path: str, go_type: str) -> str:
    form = schema.rules.get("format", "")
    if schema is UNTYPED or schema is DEDUCED:
        return ""
    if form == QUANTITY:
        return _quantity_problem(value)
    if form == INT_OR_STRING:
        return "" if isinstance(value, str) else _scalar_problem("int32", value, "")
    if schema.go is not None:
        if not isinstance(value, dict):
            return misfit(value, go_type, where)
        return _problem_in(schema, value, known, path)
    if schema.type == "array":
        if not isinstance(value, list):
            return misfit(value, go_type or _TYPES.get(form) or "[]string", where)
        items = schema.items
        assert items is not None
        below = go_type.removeprefix("[]") if go_type.startswith("[]") else ""
        problems = (_problem(items, one, None, where, path, below) for one in value if one is not None)
        return next(filter(None, problems), "")
    if schema.type == "object":
        if not isinstance(value, dict):
            return misfit(value, go_type or "map[string]string", where)
        rest = schema.rest
        if rest is None or rest is DEDUCED:
            return ""
        below = go_type.partition("]")[2] if go_type.startswith("map[") else ""
        before = known if isinstance(known, dict) else _NOTHING
        for name, one in value.items():
            if one is not None and one is not before.get(name):
                problem = _problem(rest, one, None, where, path, below)
                if problem:
                    return problem
        return ""
    if form in (times.TIME, times.MICRO_TIME):
        return times.problem(form, value) if isinstance(value, str) else misfit(value, "string")
    if form == "byte":
        return base64_problem({"": value}) if isinstance(value, str) else misfit(value, go_type or "[]uint8", where)
    wanted = {"string": "string", "boolean": "bool", "number": "float64", "integer": form or "int64"}.get(schema.type)
    return _scalar_problem(wanted, value, where, go_type) if wanted else ""


_TYPES: Final = {"byte": "[]uint8"}


def _scalar_problem(wanted: str, value: Any, where: str, go_type: str = "") -> str:
    name = go_type or wanted
    if wanted == "string":
        return "" if isinstance(value, str) else misfit(value, name, where)
    if wanted == "bool":
        return "" if isinstance(value, bool) else misfit(value, name, where)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return misfit(value, name, where)
    if wanted == "float64":
        return ""
    bits = 31 if wanted == "int32" else 63
    if isinstance(value, float) or not -(2**bits) <= value < 2**bits:
        return misfit(value, name, where).replace("unmarshal number", f"unmarshal number {value}")
    return ""


def _quantity_problem(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return _NO_QUANTITY
    try:
        Quantity(str(value))
    except ValueError:
        return _NO_QUANTITY
    return ""


_NO_QUANTITY: Final = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
