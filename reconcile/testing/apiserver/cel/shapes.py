"""What a schema says a value is, in the types of the language.

A ``Shape`` is made of the schema of a definition or of nothing (``DYN``). It tells the checker which fields there are,
and turns a JSON value into one of the language: texts that are times, lists that are sets. Pure. Source of the rules:
apiserver, ``pkg/cel/common`` (schemas.go, values.go) and ``pkg/cel/escaping.go``.
"""

import base64
import binascii
import datetime as dt
import functools
import re
from collections.abc import Hashable, Mapping
from typing import Any, Final

import attrs

from reconcile.testing.apiserver.cel.values import CelError, MapList, SetList, duration
from reconcile.testing.apiserver.failure import Document


@attrs.define(eq=False)
class Shape:
    """The type of a value: ``object``, ``list``, ``map``, or the name of a scalar; ``dyn`` is anything."""

    form: str
    fields: "Mapping[str, Shape]" = attrs.field(factory=dict)
    """By the names that an expression uses."""
    of: "Shape | None" = None
    relation: str = "atomic"
    keys: tuple[str, ...] = ()
    limit: int = 0
    """How many characters, items or entries there may be."""
    least: int = 0
    """How many bytes it takes at least."""
    is_plain: bool = True
    """Whether its values are those of JSON, as they are."""

    @functools.cached_property
    def key(self) -> Hashable:
        """The same for shapes that look the same to an expression."""
        inside = tuple(sorted((name, child.key) for name, child in self.fields.items()))
        return self.form, inside, self.of.key if self.of is not None else None


DYN: Final = Shape("dyn")
_WORDS: Final = (
    "true false null in as break const continue else for function if import let loop package namespace return var void "
    "while"
)
_RESERVED: Final = frozenset(_WORDS.split(" "))
_ESCAPES: Final = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_BACK: Final = re.compile("__(underscores|dot|dash|slash)__")
_SIGNS: Final = {"underscores": "__", "dot": ".", "dash": "-", "slash": "/"}
REQUEST_LIMIT: Final = 3 * 1024 * 1024


def escaped(name: str) -> str:
    """The name of a field as an expression writes it; "" if it cannot."""
    if not name or name[0].isdigit():
        return ""
    if name in _RESERVED:
        return f"__{name}__"
    if re.search(r"[^a-zA-Z0-9-./_]", name):
        return ""
    return re.sub(r"__|[-./]", lambda found: _ESCAPES[found.group()], name)


def unescaped(name: str) -> str:
    """The name of a field as documents have it."""
    if name.startswith("__") and name.endswith("__") and name[2:-2] in _RESERVED:
        return name[2:-2]
    return _BACK.sub(lambda found: _SIGNS[found.group(1)], name)


_TEXT: Final[Document] = {"type": "string"}
_META: Final[Document] = {"type": "object", "properties": {"name": _TEXT, "generateName": _TEXT}}


def shape_of(schema: Document, *, is_object: bool = False) -> Shape | None:
    """The type that a schema gives; ``None``: expressions cannot see it. ``is_object``: it has kind and metadata."""
    if schema.get("x-kubernetes-int-or-string"):
        return Shape("dyn", limit=schema.get("maxLength", REQUEST_LIMIT - 2), least=1)
    if is_object:
        own = {"kind": _TEXT, "apiVersion": _TEXT, "metadata": _META}
        schema = {**schema, "properties": {**(schema.get("properties") or {}), **own}}
    match schema.get("type"):
        case "array":
            return _list(schema)
        case "object":
            return _map(schema) if isinstance(schema.get("additionalProperties"), dict) else _object(schema)
        case "string":
            return _text(schema)
        case "boolean":
            return Shape("bool", least=4)
        case "number":
            return Shape("double", least=1, is_plain=False)
        case "integer":
            return Shape("int", least=1)
    return None


def _child(schema: Document) -> Shape | None:
    return shape_of(schema, is_object=bool(schema.get("x-kubernetes-embedded-resource")))


def _list(schema: Document) -> Shape | None:
    of = _child(schema["items"]) if isinstance(schema.get("items"), dict) else None
    if of is None:
        return None
    relation = schema.get("x-kubernetes-list-type", "atomic")
    limit = schema.get("maxItems", (REQUEST_LIMIT - 2) // (of.least + 1))
    keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
    plain = of.is_plain and relation == "atomic"
    return Shape("list", of=of, relation=relation, keys=keys, limit=max(limit, 0), least=2, is_plain=plain)


def _map(schema: Document) -> Shape | None:
    of = _child(schema["additionalProperties"])
    if of is None:
        return None
    limit = schema.get("maxProperties", (REQUEST_LIMIT - 2) // (of.least + 5))
    return Shape("map", of=of, limit=max(limit, 0), least=2, is_plain=of.is_plain)


def _object(schema: Document) -> Shape:
    found = {name: _child(child) for name, child in (schema.get("properties") or {}).items()}
    wanted = schema.get("required") or ()
    least = 2 + sum(
        len(name) + shape.least + 4
        for name, shape in found.items()
        if shape is not None and name in wanted and schema["properties"][name].get("default") is None
    )
    fields = {escaped(name): shape for name, shape in found.items() if shape is not None and escaped(name)}
    plain = all(shape.is_plain for shape in fields.values())
    return Shape("object", fields=fields, least=least, is_plain=plain)


_BY_FORMAT: Final = {"byte": "bytes", "duration": "duration", "date": "timestamp", "date-time": "timestamp"}
_TIME_LIMITS: Final = {"duration": (64, 3), "date": (12, 12), "date-time": (37, 22)}


def _text(schema: Document) -> Shape:
    format_ = schema.get("format", "")
    form = _BY_FORMAT.get(format_, "string")
    if format_ in _TIME_LIMITS:
        limit, least = _TIME_LIMITS[format_]
    else:
        longest = max((len(one) for one in schema.get("enum") or () if isinstance(one, str)), default=0)
        most = schema.get("maxLength")
        limit = (most if form == "bytes" else most * 4) if most is not None else longest or REQUEST_LIMIT - 2
        least = 2
    return Shape(form, limit=max(limit, 0), least=least, is_plain=form == "string")


# -- values --------------------------------------------------------------------------------------------------------


def value_of(shape: Shape | None, value: Any) -> Any:
    """A JSON value as one of the language. Parts of the wrong form stay as they are."""
    if shape is None or shape.is_plain or value is None:
        return value
    match shape.form:
        case "object" if isinstance(value, dict):
            return {name: value_of(shape.fields.get(escaped(name)), one) for name, one in value.items()}
        case "map" if isinstance(value, dict):
            return {name: value_of(shape.of, one) for name, one in value.items()}
        case "list" if isinstance(value, list):
            items = [value_of(shape.of, one) for one in value]
            if shape.relation == "set":
                return SetList(items)
            if shape.relation == "map":
                result = MapList(items)
                result.keys = shape.keys
                return result
            return items
        case "double" if isinstance(value, int) and not isinstance(value, bool):
            return float(value)
    return _of_text(shape.form, value) if isinstance(value, str) else value


def _of_text(form: str, text: str) -> Any:
    try:
        match form:
            case "bytes":
                return base64.b64decode(text, validate=True)
            case "duration":
                return duration(text)
            case "timestamp":
                moment = dt.datetime.fromisoformat(text)
                return moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
    except (ValueError, binascii.Error, CelError):
        return text
    return text
