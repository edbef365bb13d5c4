"""Which fields a document has, and how it looks without some of them.

Each walk goes through a document and its ``Schema`` side by side and answers in ``FieldSet`` terms. Documents are
left alone; results may share parts with them. A document must have passed ``fitting.check`` before it takes a walk.
Pure. Source of the rules: structured-merge-diff, ``typed``; oddities of the real library are kept on purpose.
"""

from typing import Any, TypeAlias

import orjson

from reconcile.testing.apiserver import fields as fieldsets
from reconcile.testing.apiserver.fields import EMPTY, MEMBER, FieldSet, is_member, key_element, node_of, value_element
from reconcile.testing.apiserver.remembering import remembered
from reconcile.testing.apiserver.schema import DEDUCED, MISSING, UNTYPED, Items, Schema

Node: TypeAlias = FieldSet | None
"""The set below a value, its own membership included; ``None`` when nothing is in it."""


class BadDocument(ValueError):
    """A document that does not fit its schema; the text is the real library's."""


class Form:
    """What a value is treated as: its own form where the schema allows it, the schema's where the value is null."""

    MAP = "map"
    LIST = "list"
    SCALAR = "scalar"


def form_of(schema: Schema, value: Any) -> str:
    """Which of the schema's forms this value takes."""
    if schema.type == "object":
        return Form.MAP
    if schema.type == "array":
        return Form.LIST
    if schema.type:
        return Form.SCALAR
    if isinstance(value, dict) or value is None or value is MISSING:
        return Form.MAP
    return Form.LIST if isinstance(value, list) else Form.SCALAR


def equal(left: Any, right: Any) -> bool:
    """JSON equality: unlike Python's, true is not 1."""
    if left is right:
        return True
    if isinstance(left, str):  # as most values are
        return bool(left == right)
    if isinstance(left, dict):
        if not isinstance(right, dict) or len(left) != len(right):
            return False
        for name, value in left.items():
            other = right.get(name, MISSING)
            if value is not other and not equal(value, other):
                return False
        return True
    if isinstance(left, list):
        return isinstance(right, list) and len(left) == len(right) and all(map(equal, left, right))
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)


def element_of(schema: Schema, item: Any) -> str:
    """The path element of a list's item. ``schema`` is the list's.

    Raises:
        BadDocument: the item has no identity.
    """
    if schema.relation is Items.MAP:
        if item is None:
            raise BadDocument("associative list with keys may not have a null element")
        if not isinstance(item, dict):
            raise BadDocument("associative list with keys may not have non-map elements")
        keys = {}
        for key in schema.keys:
            value = item.get(key, MISSING)
            if value is MISSING and schema.items is not None and (field := schema.items.fields.get(key)) is not None:
                value = field.default
            if (value is not MISSING and value is not None) or key in item:
                keys[key] = value
        if not keys:
            names = " ".join(f'"{key}"' for key in schema.keys)
            raise BadDocument(
                f"associative list with keys has an element that omits all key fields [{names}] "
                "(and doesn't have default values for any key fields)"
            )
        return key_element(keys)
    if isinstance(item, dict):
        raise BadDocument("associative list without keys has an element that's a map type")
    if isinstance(item, list):
        raise BadDocument("not supported: associative list with lists as elements")
    if item is None:
        raise BadDocument("associative list without keys has an element that's an explicit null")
    return value_element(item)


def field_set(schema: Schema, value: Any) -> FieldSet:
    """The fields that a document sets: what its applier owns."""
    return _fields_below(schema, value)[1]


def _fields_below(schema: Schema, value: Any) -> tuple[bool, dict[str, FieldSet]]:
    """Whether the value itself is one field, and the fields below it."""
    form = form_of(schema, value)
    if form == Form.SCALAR:
        return True, {}
    below: dict[str, FieldSet] = {}
    if form == Form.MAP:
        if schema.atomic:
            return True, below
        for name, child in (value or {}).items():
            of_child = schema.child(name)
            assert of_child is not None
            member, under = _fields_below(of_child, child)
            # an empty map is a value of its own; so is every entry of a map whose names are data
            member = member or child is None or child == {} or name not in schema.fields
            node = node_of(member, under)
            if node is not None:
                below[f"f:{name}"] = node
        return False, below
    if schema.relation is Items.ATOMIC:
        return True, below
    assert schema.items is not None
    twice: set[str] = set()
    for item in value or ():
        element = element_of(schema, item)
        if element in below:
            twice.add(element)
        below[element] = node_of(True, _fields_below(schema.items, item)[1]) or MEMBER
    below.update(dict.fromkeys(twice, MEMBER))
    return False, below


def remove(schema: Schema, value: Any, fields: FieldSet) -> Any:
    """The document without these fields; what is inside an atomic value stays."""
    form = form_of(schema, value)
    if form == Form.SCALAR:
        return value
    if form == Form.MAP:
        if schema.atomic or not isinstance(value, dict) or not value:
            return None
        kept = {}
        for name, child in value.items():
            node = fields.get(f"f:{name}")
            of_child = schema.child(name)
            if is_member(node):
                continue
            kept[name] = child if node is None or of_child is None else remove(of_child, child, node)
        return kept or None
    if schema.relation is Items.ATOMIC or not isinstance(value, list):
        return None
    assert schema.items is not None
    left = []
    for item in value:
        node = fields.get(element_of(schema, item))
        if not is_member(node):
            left.append(item if node is None else remove(schema.items, item, node))
    return left or None


def with_named_fields(schema: Schema | None, fields: FieldSet) -> FieldSet:
    """The set plus every declared field on the way to a member: a struct's field goes when all below it goes."""
    result: dict[str, FieldSet] = {}
    for element, node in fieldsets.children(fields):
        below: Schema | None = None
        named = False
        if schema is not None:
            if element.startswith("f:"):
                name = element[2:]
                below = schema.child(name)
                named = name in schema.fields and any(True for _ in fieldsets.children(node))
            elif element.startswith("k:"):
                below = schema.items
        under = dict(with_named_fields(below, node))
        result[element] = node_of(is_member(node) or named, under) or MEMBER
    return result or EMPTY


def reconciled(schema: Schema, fields: FieldSet) -> FieldSet:
    """An old set in the words of the schema of today: what has become one value since is owned as a whole.

    The answer is the set itself if it is in these words, as nearly all are.
    """
    return fields if _is_current(schema, orjson.dumps(fields)) else _reconciled(schema, fields, member=False)


@remembered(512, of=lambda _, raw: len(raw), most=8192)
def _is_current(schema: Schema, raw: bytes) -> bool:
    """Whether a set is in the words of a schema; remembered, for objects of a kind own much the same fields."""
    fields = orjson.loads(raw)
    return _reconciled(schema, fields, member=False) is fields


def _reconciled(schema: Schema, fields: FieldSet, *, member: bool) -> FieldSet:
    result: dict[str, FieldSet] = {}
    changed = False
    for element, node in fieldsets.children(fields):
        below = schema.items if element[:2] in ("k:", "v:") else schema.child(element[2:])
        new = node
        if below is not None and below is not DEDUCED and below is not UNTYPED:
            inside = any(True for _ in fieldsets.children(node))
            whole = below.atomic if below.type in ("object", "") else below.relation is Items.ATOMIC
            if inside and whole and below.type in ("object", "array"):
                new = MEMBER
            elif inside:
                under = _reconciled(below, node, member=is_member(node))
                new = under if under is not node else node
        changed = changed or new is not node
        result[element] = new
    if not changed:
        return fields
    return node_of(member, result) or MEMBER
