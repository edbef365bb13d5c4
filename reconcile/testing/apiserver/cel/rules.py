"""The rules of a schema (``x-kubernetes-validations``), at every place where it has some.

``definition_faults`` is what is wrong with the rules themselves; ``RuleTree`` holds an object against them. Pure.
Source of rules and texts: apiextensions-apiserver, ``apiserver/schema/cel``.
"""

import contextlib
import functools
from collections.abc import Hashable, Iterator
from typing import Any, Final

import attrs

from reconcile.testing.apiserver import go_forms
from reconcile.testing.apiserver.cel.checker import BadExpression, Environment
from reconcile.testing.apiserver.cel.evaluate import Program, TooExpensive
from reconcile.testing.apiserver.cel.shapes import Shape, escaped, shape_of, value_of
from reconcile.testing.apiserver.cel.values import NONE, Optional
from reconcile.testing.apiserver.failure import (
    Document,
    Fault,
    duplicate,
    forbidden_field,
    invalid_value,
    required,
)
from reconcile.testing.apiserver.fieldpaths import BadPath, follow
from reconcile.testing.apiserver.walks import equal

KEYWORD: Final = "x-kubernetes-validations"
BUDGET: Final = 10_000_000
"""What all rules of an object may cost."""
_MESSAGE_LIMIT: Final = 5 * 1024
_LAST: Final = "no further validation rules will be run"


@attrs.frozen(eq=False)
class Rule:
    """One rule that was understood."""

    text: Document
    program: Program
    message: Program | None
    path: str
    """The field that a fault is about, below the value; "" for the value."""

    @property
    def is_transition(self) -> bool:
        """Whether it compares with the value as it was."""
        return "oldSelf" in self.program.names

    @property
    def name(self) -> str:
        """How a text calls it."""
        return (self.text.get("message") or self.text["rule"]).strip()  # type: ignore[no-any-return]


# -- what is wrong with rules --------------------------------------------------------------------------------------


def definition_faults(schema: Document, path: str) -> Iterator[Fault]:
    """What is wrong with the rules of a schema that is in order otherwise."""
    yield from _rule_faults(schema, path, shape_of(schema, is_object=True), "")


def _rule_faults(schema: Document, path: str, shape: Shape | None, torn: str) -> Iterator[Fault]:
    """``torn``: where, on the way here, old and new values stop to belong to each other."""
    for step, child, below in _children(schema, shape):
        lost = torn or (path if step == "items" and schema.get("x-kubernetes-list-type") != "map" else "")
        yield from _rule_faults(child, f"{path}.{step}", below, lost)
    for index, rule in enumerate(schema.get(KEYWORD) or ()):
        at = f"{path}.{KEYWORD}[{index}]"
        if shape is None:
            says = "Internal error: failed to retrieve type information for x-kubernetes-validations"
            yield Fault(f"{path}.{KEYWORD}", "InternalError", says)
            return
        yield from _problems(rule, schema, shape, at, torn)


def _children(schema: Document, shape: Shape | None) -> Iterator[tuple[str, Document, Shape | None]]:
    for name, child in (schema.get("properties") or {}).items():
        below = shape.fields.get(escaped(name)) if shape is not None and shape.form == "object" else None
        yield f"properties[{name}]", child, below if below is not None else _own(child)
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            yield name, schema[name], shape.of if shape is not None else None


def _own(schema: Document) -> Shape | None:
    return shape_of(schema, is_object=bool(schema.get("x-kubernetes-embedded-resource")))


def _problems(rule: Document, schema: Document, shape: Shape, path: str, torn: str) -> Iterator[Fault]:
    environment = _environment(shape, optional=bool(rule.get("optionalOldSelf")))
    shown = go_forms.rule(rule)
    try:
        program = _program(environment, rule["rule"])
    except BadExpression as error:
        yield invalid_value(f"{path}.rule", shown, f"compilation failed: {error}")
        yield from _needless(rule, path)
        return
    if program.type != ("bool",):
        yield invalid_value(f"{path}.rule", shown, "cel expression must evaluate to a bool")
        return
    if text := rule.get("messageExpression"):
        at = f"{path}.messageExpression"
        try:
            if _program(environment, text).type != ("string",):
                yield invalid_value(at, shown, "messageExpression must evaluate to a string")
        except BadExpression as error:
            yield invalid_value(at, shown, f"messageExpression compilation failed: {error}")
    if "oldSelf" in program.names:
        if torn:
            says = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {torn}"
            yield invalid_value(f"{path}.rule", rule["rule"], says)
    else:
        yield from _needless(rule, path)


def _needless(rule: Document, path: str) -> Iterator[Fault]:
    if rule.get("optionalOldSelf") is not None:
        says = "may not be set if oldSelf is not used in rule"
        yield invalid_value(f"{path}.optionalOldSelf", rule["optionalOldSelf"], says)


@functools.lru_cache(maxsize=512)
def _of_shape(key: Hashable, optional: bool) -> list[Environment]:
    """Room for the environment of all values of one shape."""
    return []


def _environment(shape: Shape, *, optional: bool) -> Environment:
    room = _of_shape(shape.key, optional)
    if not room:
        room.append(Environment({"self": shape, "oldSelf": shape}, frozenset({"oldSelf"} if optional else ())))
    return room[0]


@functools.lru_cache(maxsize=4096)
def _program(environment: Environment, text: str) -> Program:
    return environment.compile(text)


# -- what is wrong with objects ------------------------------------------------------------------------------------


@attrs.define
class Spent:
    """What is left of the budget, and what was found on the way."""

    left: int = BUDGET
    faults: list[Fault] = attrs.field(factory=list)
    warnings: list[str] = attrs.field(factory=list)


class _Over(Exception):
    """The budget is spent; nothing more is looked at."""


_ABSENT: Final = object()


@attrs.frozen(eq=False)
class RuleTree:
    """The rules at one place of a schema, and below it."""

    schema: Document
    shape: Shape | None
    rules: tuple[Rule, ...]
    fields: "dict[str, RuleTree]"
    of: "RuleTree | None"

    @classmethod
    def read(cls, schema: Document) -> "RuleTree | None":
        """The rules of a kind; ``None`` if it has none."""
        return _read(schema, shape_of(schema, is_object=True))

    def judge(self, new: Any, old: Any = None, path: str = "") -> Spent:
        """Hold an object against the rules; ``old`` is what it was, if it was."""
        spent = Spent()
        values = value_of(self.shape, new), value_of(self.shape, old)
        with contextlib.suppress(_Over):
            self._judge(new, old if old is not None else _ABSENT, values, path, spent, parent_same=False)
        return spent

    def _judge(
        self, new: Any, old: Any, values: tuple[Any, Any], path: str, spent: Spent, *, parent_same: bool
    ) -> None:
        if new is None:
            return
        self._expressions(new, old, values, path, spent, parent_same=parent_same)
        same = parent_same if old is _ABSENT else equal(new, old)
        if isinstance(new, dict):
            for name, one in new.items():
                below = self.fields.get(name)
                at = f"{path}.{name}" if path else name
                if below is None and self.of is not None and not self.fields:
                    below, at = self.of, f"{path}[{name}]"
                if below is not None:
                    before = old.get(name, _ABSENT) if isinstance(old, dict) else _ABSENT
                    parts = values[0][name], values[1].get(name) if isinstance(values[1], dict) else None
                    below._judge(one, before, parts, at, spent, parent_same=same)
        elif isinstance(new, list) and self.of is not None:
            before_items = self._by_key(old) if isinstance(old, list) else {}
            for index, one in enumerate(new):
                before, number = before_items.get(self._key(one), (_ABSENT, 0))
                parts = values[0][index], values[1][number] if before is not _ABSENT else None
                self.of._judge(one, before, parts, f"{path}[{index}]", spent, parent_same=same)

    def _key(self, item: Any) -> Any:
        keys = self.schema.get("x-kubernetes-list-map-keys") or ()
        if self.schema.get("x-kubernetes-list-type") != "map" or not isinstance(item, dict):
            return object()
        return tuple(str(item.get(name)) for name in keys)

    def _by_key(self, items: list[Any]) -> dict[Any, tuple[Any, int]]:
        return {self._key(one): (one, index) for index, one in enumerate(items)}

    def _expressions(
        self, new: Any, old: Any, values: tuple[Any, Any], path: str, spent: Spent, *, parent_same: bool
    ) -> None:
        type_, at = self.schema.get("type") or "", path or "<nil>"
        has_old = old is not _ABSENT and old is not None
        for rule in self.rules:
            if spent.left <= 0:
                says = "validation failed due to running out of cost budget, no further validation rules will be run"
                spent.faults.append(invalid_value(at, type_, says))
                raise _Over
            optional = bool(rule.text.get("optionalOldSelf"))
            if rule.is_transition and not has_old and not optional:
                continue
            variables = {"self": values[0]}
            if rule.is_transition:
                variables["oldSelf"] = (Optional(values[1]) if has_old else NONE) if optional else values[1]
            outcome = rule.program.run(variables)
            spent.left -= outcome.cost
            if outcome.error is not None:
                self._fail(rule, outcome.error, at, type_, spent)
            elif outcome.value is not True:
                same = parent_same if old is _ABSENT else equal(new, old)
                fault = self._fault(rule, new, variables, path, type_, spent)
                if same and not rule.is_transition:
                    spent.warnings.append(str(fault))
                else:
                    spent.faults.append(fault)

    def _fail(self, rule: Rule, error: Exception, at: str, type_: str, spent: Spent) -> None:
        text = str(error)
        if isinstance(error, TooExpensive):
            says = f"'{text}': {_LAST} due to call cost exceeds limit for rule: {rule.name}"
            spent.faults.append(invalid_value(at, type_, says))
            raise _Over
        if text.startswith("no such overload"):
            what = "call arguments did not match a supported operator, function or macro signature for rule"
            spent.faults.append(invalid_value(at, type_, f"'{text}': {what}: {rule.name}"))
        else:
            spent.faults.append(invalid_value(at, type_, f"{text} evaluating rule: {rule.name}"))

    def _fault(self, rule: Rule, new: Any, variables: dict[str, Any], path: str, type_: str, spent: Spent) -> Fault:
        at = f"{path}.{rule.path}" if path and rule.path else path or rule.path or "<nil>"
        detail = _message(rule, variables, spent) or _default_message(rule)
        match rule.text.get("reason"):
            case "FieldValueForbidden":
                return forbidden_field(at, detail)
            case "FieldValueRequired":
                return required(at, detail)
            case "FieldValueDuplicate":
                return (
                    duplicate(at, new)
                    if type_ not in ("object", "array")
                    else Fault(at, "FieldValueDuplicate", "Duplicate value")
                )
        if type_ in ("object", "array"):
            return Fault(at, "FieldValueInvalid", f"Invalid value: {detail}")
        return invalid_value(at, new, detail)


def _message(rule: Rule, variables: dict[str, Any], spent: Spent) -> str:
    """What the rule's own expression says; "" if that cannot be used."""
    if rule.message is None:
        return ""
    outcome = rule.message.run(variables)
    spent.left -= outcome.cost
    text = outcome.value.strip() if isinstance(outcome.value, str) else ""
    return "" if outcome.error is not None or "\n" in text or len(text) > _MESSAGE_LIMIT else text


def _default_message(rule: Rule) -> str:
    return (rule.text.get("message") or "").strip() or f"failed rule: {rule.name}"


def _read(schema: Document, shape: Shape | None) -> RuleTree | None:
    fields: dict[str, RuleTree] = {}
    of: RuleTree | None = None
    for step, child, below in _children(schema, shape):
        tree = _read(child, below)
        if tree is not None and step.startswith("properties["):
            fields[step[len("properties[") : -1]] = tree
        elif tree is not None:
            of = tree
    rules = tuple(_compiled(rule, schema, shape) for rule in schema.get(KEYWORD) or ()) if shape is not None else ()
    return RuleTree(schema, shape, rules, fields, of) if rules or fields or of is not None else None


def _compiled(rule: Document, schema: Document, shape: Shape) -> Rule:
    environment = _environment(shape, optional=bool(rule.get("optionalOldSelf")))
    message = _program(environment, rule["messageExpression"]) if rule.get("messageExpression") else None
    path = ""
    if rule.get("fieldPath"):
        try:
            path = ".".join(follow(rule["fieldPath"], schema)[0])
        except BadPath:
            path = ""
    return Rule(rule, _program(environment, rule["rule"]), message, path)
