"""Runs a checked expression: each part of it becomes a function of the variables.

An error does not end everything: ``false && error`` is false, and so is ``all`` over items of which one fails. Every
step costs, and a program that costs too much is stopped. Pure. Source of the rules: cel-go, ``interpreter``.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

import attrs

from reconcile.testing.apiserver.cel import functions
from reconcile.testing.apiserver.cel.syntax import (
    Call,
    Checked,
    Const,
    Fold,
    Ident,
    MakeList,
    MakeMap,
    Node,
    Select,
)
from reconcile.testing.apiserver.cel.values import NONE, CelError, Optional, TypeOf, equal, is_number, type_name

CALL_LIMIT: Final = 1_000_000
"""What one run may cost."""


class TooExpensive(CelError):
    """A program that was stopped."""

    def __init__(self) -> None:
        super().__init__("operation cancelled: actual cost limit exceeded")


@attrs.define
class Run:
    """One run: the variables, and what it has cost so far."""

    variables: dict[str, Any]
    limit: int = CALL_LIMIT
    cost: float = 0

    def pay(self, cost: float) -> None:
        """Add to the cost. Raises ``TooExpensive``."""
        self.cost += cost
        if self.cost > self.limit:
            raise TooExpensive


Step: TypeAlias = Callable[[Run], Any]


@attrs.frozen(eq=False)
class Program:
    """A text that was understood. ``names`` are the variables it uses, ``type`` is that of its value."""

    step: Step
    names: frozenset[str]
    type: Any

    def run(self, variables: Mapping[str, Any], limit: int = CALL_LIMIT) -> "Outcome":
        """Run it; never raises."""
        run = Run(dict(variables), limit)
        try:
            value = self.step(run)
            return Outcome(value, None, int(run.cost))
        except CelError as error:
            return Outcome(None, error, int(run.cost))
        except RecursionError:
            return Outcome(None, CelError("max recursion depth exceeded"), int(run.cost))


@attrs.frozen
class Outcome:
    """What came of a run."""

    value: Any
    error: CelError | None
    cost: int


def program(checked: Checked, unescape: Callable[[str], str]) -> Program:
    """Make a program of a checked expression. ``unescape`` gives the name in a document of a field of an object."""
    builder = _Builder(checked.types, unescape)
    return Program(builder.build(checked.root), checked.names, checked.types.get(checked.root.id, ("dyn",)))


_TYPES: Final = ("bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type")
_TYPES_BY_NAME: Final[Mapping[str, TypeOf]] = {
    **{name: TypeOf(name) for name in _TYPES},
    "google.protobuf.Timestamp": TypeOf("google.protobuf.Timestamp"),
    "google.protobuf.Duration": TypeOf("google.protobuf.Duration"),
    **{name: TypeOf(name) for name in functions.OWN_TYPES},
}


@attrs.frozen
class _Builder:
    types: Mapping[int, Any]
    unescape: Callable[[str], str]

    def build(self, node: Node) -> Step:
        match node:
            case Const(value=value):
                return lambda run: value
            case Ident(name=name):
                return _ident(name)
            case Select():
                return self._select(node)
            case Call():
                return self._call(node)
            case MakeList():
                return self._list(node)
            case MakeMap():
                return self._map(node)
            case Fold():
                return self._fold(node)
        raise AssertionError(node)

    def _select(self, node: Select) -> Step:
        if (found := _TYPES_BY_NAME.get(_dotted(node))) is not None:
            return lambda run: found
        operand, name, test_only = self.build(node.operand), self.field(node.operand, node.field), node.test_only

        def step(run: Run) -> Any:
            value = operand(run)
            if isinstance(value, Optional):
                if test_only:
                    return value.is_some and _has(value.value, name)
                return _optional_field(value, name)
            if test_only:
                return _has(value, name)
            run.pay(1)
            return _field(value, name)

        return step

    def field(self, operand: Node, field: str) -> str:
        """The name of a field in a document."""
        type_ = self.types.get(operand.id, ("dyn",))
        return self.unescape(field) if type_[0] == "object" else field

    def _call(self, node: Call) -> Step:
        name = node.function
        parts: list[Node] = [*([node.target] if node.target is not None else ()), *node.args]
        if name in ("_?._", "_[?_]") and isinstance(parts[1], Const):
            return self._optional_select(parts[0], parts[1].value)
        steps = [self.build(part) for part in parts]
        if (special := _SPECIAL.get(name)) is not None:
            return special(*steps)
        function = functions.FUNCTIONS.get(name)
        if function is None:
            raise AssertionError(f"no function {name}")
        own = function

        def step(run: Run) -> Any:
            arguments = [one(run) for one in steps]
            run.pay(functions.cost(name, arguments))
            try:
                return own(*arguments)
            except (TypeError, AttributeError) as error:
                raise CelError("no such overload") from error

        return step

    def _optional_select(self, operand: Node, key: Any) -> Step:
        step = self.build(operand)
        name = self.field(operand, key) if isinstance(key, str) else key

        def selected(run: Run) -> Any:
            run.pay(1)
            return _optional_field(step(run), name)

        return selected

    def _list(self, node: MakeList) -> Step:
        items = [(self.build(item), index in node.optional) for index, item in enumerate(node.items)]

        def step(run: Run) -> Any:
            run.pay(10)
            result = []
            for item, optional in items:
                value = item(run)
                if not optional:
                    result.append(value)
                elif value.is_some:
                    result.append(value.value)
            return result

        return step

    def _map(self, node: MakeMap) -> Step:
        entries = [
            ((lambda run, key=key: key) if isinstance(key, str) else self.build(key), self.build(value), optional)
            for key, value, optional in node.entries
        ]

        def step(run: Run) -> Any:
            run.pay(40 if node.name else 30)
            result: dict[Any, Any] = {}
            for key, value, optional in entries:
                name, one = key(run), value(run)
                if optional:
                    if not one.is_some:
                        continue
                    one = one.value
                if name in result:
                    raise CelError(f"duplicate key: {name}")
                result[name] = one
            return result

        return step

    def _fold(self, node: Fold) -> Step:
        over, start, condition = self.build(node.over), self.build(node.start), self.build(node.condition)
        step_, result = self.build(node.step), self.build(node.result)

        def step(run: Run) -> Any:
            items = over(run)
            pairs: Iterable[tuple[Any, Any]]
            if isinstance(items, dict):
                pairs = items.items() if node.second else ((name, None) for name in items)
            elif isinstance(items, list):
                pairs = enumerate(items) if node.second else ((item, None) for item in items)
            else:
                raise CelError("no such overload")
            variables = run.variables
            names = (node.variable, node.second, node.accu)
            outside = {name: variables[name] for name in names if name in variables}
            try:
                variables[node.accu] = start(run)
                for first, second in pairs:
                    variables[node.variable] = first
                    if node.second:
                        variables[node.second] = second
                    if condition(run) is False:
                        break
                    try:
                        variables[node.accu] = step_(run)
                    except TooExpensive:
                        raise
                    except CelError as error:
                        # it may not matter yet
                        variables[node.accu] = error
                return result(run)
            finally:
                for name in names:
                    variables.pop(name, None)
                variables.update(outside)

        return step


def _ident(name: str) -> Step:
    found = _TYPES_BY_NAME.get(name)

    def step(run: Run) -> Any:
        run.pay(1)
        try:
            value = run.variables[name]
        except KeyError:
            if found is not None:
                return found
            raise CelError(f"no such attribute(s): {name}") from None
        if isinstance(value, CelError):
            raise value
        return value() if isinstance(value, Lazy) else value

    return step


@attrs.define
class Lazy:
    """A variable that is worked out when it is first asked for."""

    make: Callable[[], Any]
    _made: list[Any] = attrs.field(factory=list)

    def __call__(self) -> Any:
        if not self._made:
            self._made.append(self.make())
        return self._made[0]


def _dotted(node: Node) -> str:
    if isinstance(node, Ident):
        return node.name
    return f"{_dotted(node.operand)}.{node.field}" if isinstance(node, Select) and not node.test_only else ""


def _has(value: Any, name: str) -> bool:
    if isinstance(value, dict):
        return name in value
    raise CelError("no such overload")


def _field(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        if name not in value:
            raise CelError(f"no such key: {name}")
        return value[name]
    raise CelError("no such overload")


def _optional_field(value: Any, key: Any) -> Optional:
    if isinstance(value, Optional):
        if not value.is_some:
            return NONE
        value = value.value
    if isinstance(value, dict):
        return Optional(value[key]) if key in value else NONE
    if isinstance(value, list) and is_number(key):
        return Optional(value[int(key)]) if 0 <= key < len(value) else NONE
    raise CelError("no such overload")


def _index(left: Step, right: Step) -> Step:
    def step(run: Run) -> Any:
        value, key = left(run), right(run)
        run.pay(1)
        if isinstance(value, Optional):
            return _optional_field(value, key)
        if isinstance(value, dict):
            if key in value:
                return value[key]
            raise CelError(f"no such key: {key}")
        if isinstance(value, list):
            if not is_number(key) or key != int(key):
                raise CelError(f"unsupported index type '{type_name(key)}' in list")
            if not 0 <= key < len(value):
                raise CelError(f"index out of bounds: {int(key)}")
            return value[int(key)]
        raise CelError("no such overload")

    return step


def _logic(absorbing: bool) -> Callable[[Step, Step], Step]:
    """And, or: the value that settles the matter wins over an error on the other side."""

    def make(left: Step, right: Step) -> Step:
        def step(run: Run) -> Any:
            failed: CelError | None = None
            for side in (left, right):
                try:
                    value = side(run)
                except TooExpensive:
                    raise
                except CelError as error:
                    failed = failed or error
                    continue
                if value is absorbing:
                    return absorbing
                if not isinstance(value, bool):
                    failed = failed or CelError("no such overload")
            run.pay(1)
            if failed is not None:
                raise failed
            return not absorbing

        return step

    return make


def _ternary(condition: Step, yes: Step, no: Step) -> Step:
    def step(run: Run) -> Any:
        value = condition(run)
        if not isinstance(value, bool):
            raise CelError("no such overload")
        return yes(run) if value else no(run)

    return step


def _not_strictly_false(operand: Step) -> Step:
    def step(run: Run) -> Any:
        try:
            return operand(run) is not False
        except TooExpensive:
            raise
        except CelError:
            return True

    return step


def _or_value(optional: Step, other: Step) -> Step:
    def step(run: Run) -> Any:
        found = optional(run)
        return found.value if found.is_some else other(run)

    return step


def _or(optional: Step, other: Step) -> Step:
    def step(run: Run) -> Any:
        found = optional(run)
        return found if found.is_some else other(run)

    return step


def _equality(wanted: bool) -> Callable[[Step, Step], Step]:
    def make(left: Step, right: Step) -> Step:
        def step(run: Run) -> Any:
            one, other = left(run), right(run)
            run.pay(functions.cost("_==_", [one, other]))
            return equal(one, other) is wanted

        return step

    return make


_SPECIAL: Final[Mapping[str, Callable[..., Step]]] = {
    "_&&_": _logic(False),
    "_||_": _logic(True),
    "_?_:_": _ternary,
    "_[_]": _index,
    "_[?_]": lambda left, right: lambda run: _optional_field(left(run), right(run)),
    "@not_strictly_false": _not_strictly_false,
    "_==_": _equality(True),
    "_!=_": _equality(False),
    "orValue": _or_value,
    "or": _or,
}
