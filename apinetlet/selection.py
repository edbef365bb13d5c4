"""Which objects a label selector means, and which selectors mean an object, without looking through either.

Both are filed under facets: one of its labels, the key of one, or nothing at all. An object has all of its facets; a
selector has some of which each object that it means has at least one. So each finds the other in an index, and what is
found has only to be looked at once more. A selector that asks for nothing that a label could answer (it is empty, or
says only what must not be) is filed under nothing, and finds everything in its scope. Pure.
"""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from reconcile.kube.selector import LabelSelector, Operator, Requirement

Facet: TypeAlias = tuple[str, ...]
"""Key and value of a label, its key, or nothing."""


def facets(labels: Mapping[str, str]) -> Iterator[Facet]:
    """All facets of an object."""
    yield ()
    for key, value in labels.items():
        yield (key,)
        yield (key, value)


def sought(selector: LabelSelector) -> tuple[Facet, ...]:
    """The facets that a selector is filed under: those of the requirement that says most. None if it means nothing."""
    if selector.nothing:
        return ()
    return min((found for one in selector.requirements if (found := _sought(one))), key=_breadth, default=((),))


def _sought(requirement: Requirement) -> tuple[Facet, ...]:
    """The facets of which each object that passes has one; none if there are no such."""
    match requirement.operator:
        case Operator.IN:
            return tuple((requirement.key, value) for value in sorted(requirement.values))
        case Operator.EXISTS:
            return ((requirement.key,),)
        case _:
            return ()


def _breadth(found: tuple[Facet, ...]) -> tuple[bool, int]:
    """Labels say more than a key, and few of them more than many."""
    return len(found[0]) < 2, len(found)
