"""What fields a document has, how two documents differ, and how one looks without some fields.

Each walk goes through a document and its ``Schema`` side by side and answers in ``FieldSet`` terms. Documents are
left alone; results may share parts with them. A document must have passed ``check`` before it takes other walks.
Pure. Source of the rules: structured-merge-diff, ``typed``; oddities of the real library are kept on purpose.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

from reconcile.testing.apiserver import fields as fieldsets
from reconcile.testing.apiserver.fields import EMPTY, MEMBER, FieldSet, is_member, key_element, node_of, value_element
from reconcile.testing.apiserver.schema import MISSING, Items, Schema

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
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and len(left) == len(right)
            and all(name in right and equal(value, right[name]) for name, value in left.items())
        )
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


# -- does it fit? --------------------------------------------------------------------------------------------------


def check(schema: Schema, value: Any, *, duplicates: bool = False) -> None:
    """Say whether a document fits its schema as merging needs it: forms, declared fields, identities of list items.

    ``duplicates`` allows two items of one identity, as stored objects may have.

    Raises:
        BadDocument: with every problem, worded and placed as the real library does.
    """
    problems = list(_problems(schema, value, duplicates))
    if problems:
        text = problems[0] if len(problems) == 1 else "errors:\n" + "\n".join(f"  {problem}" for problem in problems)
        raise BadDocument(text)


def _problems(schema: Schema, value: Any, duplicates: bool, path: str = "") -> Iterator[str]:
    def say(text: str, at: str = path) -> str:
        return f"{at}: {text}" if at else text

    if value is None:
        return
    form = form_of(schema, value)
    if form == Form.MAP:
        if not isinstance(value, dict):
            yield say(f"expected map, got &{{{go_plain(value)}}}")
            return
        for name, child in value.items():
            below = schema.child(name)
            if below is None:
                yield say("field not declared in schema", f"{path}.{name}")
            else:
                yield from _problems(below, child, duplicates, f"{path}.{name}")
    elif form == Form.LIST:
        if not isinstance(value, list):
            yield say(f"expected list, got &{{{go_plain(value)}}}")
            return
        assert schema.items is not None
        seen: set[str] = set()
        for index, item in enumerate(value):
            element = f"i:{index}"
            if schema.relation is not Items.ATOMIC:
                try:
                    element = element_of(schema, item)
                except BadDocument as error:
                    yield say(f"element {index}: {error}")
                    return
                if element in seen and not duplicates:
                    yield say(f"duplicate entries for key {fieldsets.say((element,))}")
                seen.add(element)
            yield from _problems(schema.items, item, duplicates, path + fieldsets.say((element,)))
    else:
        problem = _scalar_problem(schema, value)
        if problem:
            yield say(problem)


def _scalar_problem(schema: Schema, value: Any) -> str:
    if schema.type in ("integer", "number"):
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"expected numeric (int or float), got {_GO_TYPES.get(type(value), 'map[string]interface {}')}"
    elif schema.type == "string":
        if not isinstance(value, str):
            return f"expected string, got &value.valueUnstructured{{Value:{_go_syntax(value)}}}"
    elif schema.type == "boolean":
        if not isinstance(value, bool):
            return f"expected boolean, got &{{{go_plain(value)}}}"
    elif isinstance(value, dict | list):
        return f"expected any scalar, got &{{{go_plain(value)}}}"
    return ""


_GO_TYPES = {str: "string", bool: "bool", list: "[]interface {}", type(None): "<nil>"}


def _go_syntax(value: Any) -> str:
    """A value as Go source."""
    if isinstance(value, dict):
        inside = ", ".join(f'"{name}":{_go_syntax(value[name])}' for name in sorted(value))
        return f"map[string]interface {{}}{{{inside}}}"
    if isinstance(value, list):
        return f"[]interface {{}}{{{', '.join(map(_go_syntax, value))}}}"
    return f'"{value}"' if isinstance(value, str) else go_plain(value)


def go_plain(value: Any) -> str:
    """A value as Go prints it plainly."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{name}:{go_plain(value[name])}" for name in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(go_plain, value)) + "]"
    return "<nil>" if value is None else str(value)


# -- which fields does it have? ------------------------------------------------------------------------------------


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


# -- how do two differ? --------------------------------------------------------------------------------------------


class Difference(NamedTuple):
    """The fields in which a new document differs from an old one; no field is in two of the sets."""

    removed: FieldSet
    modified: FieldSet
    added: FieldSet

    def without(self, excluded: FieldSet) -> "Difference":
        """The same, blind to some fields and all below them."""
        if not excluded:
            return self
        return Difference(*(fieldsets.recursive_difference(one, excluded) for one in self))


class _Sets(NamedTuple):
    removed: dict[str, FieldSet]
    modified: dict[str, FieldSet]
    added: dict[str, FieldSet]


def compare(schema: Schema, old: Any, new: Any) -> Difference:
    """What became of the fields of ``old`` in ``new``."""
    sets = _Sets({}, {}, {})
    _compare_maps(schema, old, new, sets)
    return Difference(*sets)


def _compare(schema: Schema, old: Any, new: Any, element: str, into: _Sets) -> None:
    if old is new:
        return
    forms = dict.fromkeys(form_of(schema, value) for value in (old, new) if value is not MISSING)
    marks: list[dict[str, FieldSet]] = []
    below = _Sets({}, {}, {})
    for form in forms:
        if form == Form.MAP and not schema.atomic and (_is_full(old, dict) or _is_full(new, dict)):
            _compare_maps(schema, old, new, below)
        elif form == Form.LIST and schema.relation is not Items.ATOMIC and (_is_full(old, list) or _is_full(new, list)):
            _compare_lists(schema, old, new, below)
        elif old is not MISSING and new is not MISSING and not equal(old, new):
            marks.append(into.modified)
    if old is MISSING:
        marks.append(into.added)
    elif new is MISSING:
        marks.append(into.removed)
    for target, under in zip(into, below, strict=True):
        node = node_of(any(target is mark for mark in marks), under)
        if node is not None:
            target[element] = node


def _is_full(value: Any, form: type) -> bool:
    return isinstance(value, form) and bool(value)


def _compare_maps(schema: Schema, old: Any, new: Any, into: _Sets) -> None:
    left = old if isinstance(old, dict) else {}
    right = new if isinstance(new, dict) else {}
    for name in left.keys() | right.keys():
        child = schema.child(name)
        if child is not None:
            _compare(child, left.get(name, MISSING), right.get(name, MISSING), f"f:{name}", into)


def _compare_lists(schema: Schema, old: Any, new: Any, into: _Sets) -> None:
    assert schema.items is not None
    left = _grouped(schema, old)
    right = _grouped(schema, new)
    for element in left.keys() | right.keys():
        before, after = left.get(element, []), right.get(element, [])
        if len(before) <= 1 and len(after) <= 1:
            _compare(schema.items, before[0] if before else MISSING, after[0] if after else MISSING, element, into)
        elif len(before) > 1 and len(after) > 1:
            if not equal(before, after):
                into.modified[element] = MEMBER
        elif len(before) > 1:
            if after:
                _compare(schema.items, MISSING, after[0], element, into)
            _mark(into.removed, element)
        else:
            if before:
                _compare(schema.items, before[0], MISSING, element, into)
            _mark(into.added, element)


def _mark(sets: dict[str, FieldSet], element: str) -> None:
    sets[element] = node_of(True, dict(fieldsets.children(sets.get(element, EMPTY)))) or MEMBER


def _grouped(schema: Schema, value: Any) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for item in value if isinstance(value, list) else ():
        groups.setdefault(element_of(schema, item), []).append(item)
    return groups


# -- how does it look without? -------------------------------------------------------------------------------------


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
