"""Which fields a new version of a document removed, modified and added.

Documents have passed ``fitting.check``. Parts that both share (one object in memory) are not looked into. Pure.
Source of the rules: structured-merge-diff, ``typed/compare.go``.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from reconcile.testing.apiserver import fields as fieldsets
from reconcile.testing.apiserver.fields import EMPTY, MEMBER, FieldSet, node_of
from reconcile.testing.apiserver.schema import MISSING, Items, Schema
from reconcile.testing.apiserver.walks import Form, element_of, equal, form_of


class Difference(NamedTuple):
    """The fields in which a new document differs from an old one; no field is in two of the sets."""

    removed: FieldSet
    modified: FieldSet
    added: FieldSet

    @property
    def changed(self) -> FieldSet:
        """What the new document says otherwise than the old one, or for the first time."""
        return fieldsets.union(self.modified, self.added)

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
    _maps(schema, old, new, sets)
    return Difference(*sets)


def _compare(schema: Schema, old: Any, new: Any, element: str, into: _Sets) -> None:
    if old is new:
        return
    if not isinstance(old, dict | list) and not isinstance(new, dict | list):
        if old is MISSING or new is MISSING:
            (into.added if old is MISSING else into.removed)[element] = MEMBER
        elif not equal(old, new):
            into.modified[element] = MEMBER
        return
    below = _Sets({}, {}, {})
    if isinstance(old, dict) and isinstance(new, dict) and schema.type == "object" and not schema.atomic:
        _maps(schema, old, new, below)
        for target, under in zip(into, below, strict=True):
            if under:
                target[element] = under
        return
    modified = False
    for form in _forms(schema, old, new):
        if form == Form.MAP and not schema.atomic and (_is_full(old, dict) or _is_full(new, dict)):
            _maps(schema, old, new, below)
        elif form == Form.LIST and schema.relation is not Items.ATOMIC and (_is_full(old, list) or _is_full(new, list)):
            _lists(schema, old, new, below)
        else:
            modified = old is not MISSING and new is not MISSING and not equal(old, new)
    marks = (new is MISSING, modified, old is MISSING)
    for target, under, member in zip(into, below, marks, strict=True):
        if member or under:
            target[element] = node_of(member, under) or MEMBER


def _forms(schema: Schema, old: Any, new: Any) -> Iterable[str]:
    if type(old) is type(new):
        return (form_of(schema, old),)
    return dict.fromkeys(form_of(schema, value) for value in (old, new) if value is not MISSING)


def _is_full(value: Any, form: type) -> bool:
    return isinstance(value, form) and bool(value)


def _maps(schema: Schema, old: Any, new: Any, into: _Sets) -> None:
    left = old if isinstance(old, dict) else {}
    right = new if isinstance(new, dict) else {}
    for name, before in left.items():
        after = right.get(name, MISSING)
        if before is not after and (child := schema.child(name)) is not None:
            _compare(child, before, after, f"f:{name}", into)
    for name, after in right.items():
        if name not in left and (child := schema.child(name)) is not None:
            _compare(child, MISSING, after, f"f:{name}", into)


def _lists(schema: Schema, old: Any, new: Any, into: _Sets) -> None:
    assert schema.items is not None
    left = _grouped(schema, old)
    right = _grouped(schema, new)
    for element in dict.fromkeys((*left, *right)):
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
    """The items by their identity; more than one where an identity is there twice."""
    groups: dict[str, list[Any]] = {}
    for item in value if isinstance(value, list) else ():
        groups.setdefault(element_of(schema, item), []).append(item)
    return groups
