"""Which changes are worth a reconcile.

A predicate is any function from a ``Change`` to a bool; it always sees the old and the new object. No predicate here,
nor any combination of them, hides the end of an object: that it is gone, that its deletion was asked for, or that
another object took its name. Only ``exactly(...)`` around the whole does, and says so by its name. Pure.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn, TypeAlias

import attrs
import orjson

from reconcile.cache.change import Change
from reconcile.cache.entry import Entry
from reconcile.kube.objects import Object, ObjectMeta
from reconcile.kube.selector import labels_from, parse_labels

Predicate: TypeAlias = Callable[[Change[Any]], bool]


@attrs.frozen(eq=False, repr=False)
class Rule:
    """A predicate with a name, to be combined by ``&``, ``|`` and ``~`` with other predicates.

    Called, it passes every end of an object, whatever its function says.
    """

    name: str
    _function: Predicate

    def holds(self, change: Change[Any]) -> bool:
        """What the rule itself says, also about an end."""
        return self._function(change)

    def __call__(self, change: Change[Any]) -> bool:
        return is_end(change) or self._function(change)

    def __and__(self, other: Predicate) -> "Rule":
        return all_of(self, other)

    def __or__(self, other: Predicate) -> "Rule":
        return any_of(self, other)

    def __invert__(self) -> "Rule":
        return not_(self)

    __rand__ = __and__
    __ror__ = __or__

    def __repr__(self) -> str:
        return self.name


class Exactly(Rule):
    """A rule whose word counts for an end, too. Made by ``exactly``; stands around the whole."""

    __slots__ = ()

    def __call__(self, change: Change[Any]) -> bool:
        return self.holds(change)

    def _refuse(self, *_other: object) -> NoReturn:
        raise ValueError(f"{self!r} stands around a whole predicate: inside another one it would lose its meaning")

    __and__ = __or__ = __rand__ = __ror__ = __invert__ = _refuse


def is_end(change: Change[Any]) -> bool:
    """Whether an object went, began to go (or is first seen going), or lost its name to another one."""
    old, new = change.old, change.new
    if new is None:
        return True
    if old is None:
        return new.meta.is_deleting
    return (new.meta.is_deleting and not old.meta.is_deleting) or new.meta.uid != old.meta.uid


def rule_of(predicate: Predicate) -> Rule:
    """Any function as a rule, with its own name."""
    if isinstance(predicate, Rule):
        return predicate
    return Rule(getattr(predicate, "__qualname__", None) or repr(predicate), predicate)


def all_of(*predicates: Predicate) -> Rule:
    """Passes what all of them pass."""
    rules = _inside(predicates)
    functions = [rule.holds for rule in rules]

    def holds(change: Change[Any]) -> bool:
        for function in functions:  # noqa: SIM110 - a generator costs more than most of them
            if not function(change):
                return False
        return True

    return Rule(_call("all_of", rules), holds)


def any_of(*predicates: Predicate) -> Rule:
    """Passes what one of them passes."""
    rules = _inside(predicates)
    return Rule(_call("any_of", rules), lambda change: any(rule.holds(change) for rule in rules))


def not_(predicate: Predicate) -> Rule:
    """Passes what the other one does not, and every end."""
    [rule] = _inside((predicate,))
    return Rule(_call("not_", [rule]), lambda change: not rule.holds(change))


def exactly(predicate: Predicate) -> Exactly:
    """Passes what the predicate says and nothing else: an end may be hidden."""
    [rule] = _inside((predicate,))
    return Exactly(_call("exactly", [rule]), rule.holds)


def changed(*paths: str | tuple[str, ...]) -> Rule:
    """Something at one of the paths differs, or the object came or went.

    A path is dotted, in wire names: ``"spec"``, ``"metadata.labels"``; one with dots in a name is a tuple of its steps.
    What the watched kind's projection does not keep never differs.
    """
    steps = [tuple(path.split(".")) if isinstance(path, str) else path for path in paths]
    names = ", ".join(map(repr, paths))

    def differs(change: Change[Any]) -> bool:
        if change.old is None or change.new is None:
            return True
        old, new = _document(change, change.old), _document(change, change.new)
        return any(_at(old, path) != _at(new, path) for path in steps)

    return Rule(f"changed({names})", differs)


def label_selector(selector: str | Mapping[str, str]) -> Rule:
    """The old or the new labels match: an object that leaves the selection passes once more.

    ``selector`` as kubectl takes it (``"app=web,tier in (a, b),!legacy"``), or labels that must all be there.

    Raises:
        BadSelector: it is none.
    """
    wanted = parse_labels(selector) if isinstance(selector, str) else labels_from({"matchLabels": selector})
    matches = wanted.matches

    def holds(change: Change[Any]) -> bool:
        old, new = change.old, change.new
        return (new is not None and matches(new.meta.labels)) or (old is not None and matches(old.meta.labels))

    return Rule(f"label_selector({str(wanted)!r})", holds)


def _meta_rule(name: str, read: Callable[[ObjectMeta], object]) -> Rule:
    def differs(change: Change[Any]) -> bool:
        old, new = change.old, change.new
        return old is None or new is None or read(old.meta) != read(new.meta)

    return Rule(name, differs)


def _generation_changed(change: Change[Any]) -> bool:
    old, new = change.old, change.new
    if old is None or new is None or not new.meta.generation:
        return True
    return old.meta.generation != new.meta.generation


generation_changed: Final = Rule("generation_changed", _generation_changed)
"""The spec differs, by the server's count. What has no generation (a ConfigMap) always passes."""
labels_changed: Final = _meta_rule("labels_changed", lambda meta: meta.labels)
annotations_changed: Final = _meta_rule("annotations_changed", lambda meta: meta.annotations)
resource_version_changed: Final = _meta_rule("resource_version_changed", lambda meta: meta.resource_version)
"""Anything differs: drops what is only shown again."""


def _inside(predicates: tuple[Predicate, ...]) -> list[Rule]:
    for predicate in predicates:
        if isinstance(predicate, Exactly):
            predicate._refuse()
    return [rule_of(predicate) for predicate in predicates]


def _call(name: str, rules: list[Rule]) -> str:
    return f"{name}({', '.join(rule.name for rule in rules)})"


def _document(change: Change[Any], entry: Entry) -> Any:
    """The parsed document; of untyped objects the one that the store remembers."""
    if change.structure is not None and change.resource.type is Object:
        return change.structure(entry).inside
    return orjson.loads(entry.raw)


def _at(document: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        if not isinstance(document, dict):
            return None
        document = document.get(step)
    return document
