"""The committed CustomResourceDefinitions of both clusters, and the kinds that they describe.

They give schema, scope, names and subresources. What the real, aggregated servers do beyond a schema is said where
their kinds are declared: ``definitions.py`` and ``apinet.py``.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from importlib.resources import files
from typing import Any, TypeAlias

import attrs
import yaml

from apinetlet.demo import checks
from reconcile.testing.apiserver import Fault, Hooks, Kind, Write
from reconcile.testing.apiserver.crds import kind_of
from reconcile.testing.apiserver.failure import Document
from reconcile.testing.apiserver.names import NameRule
from reconcile.testing.apiserver.schema import Items, Schema

Rule: TypeAlias = Callable[[Write], Iterable[Fault]]

WITH_METADATA = ("status", "metadata")
"""What a write through a status subresource changes: the real servers only put the old spec back."""


@cache
def crds(generation: str, group: str) -> tuple[Document, ...]:
    """The committed CustomResourceDefinitions of one API group."""
    text = files("apinetlet").joinpath("crds", generation, f"{group}.yaml").read_text(encoding="utf-8")
    return tuple(yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


@cache
def described(generation: str, group: str) -> tuple[Kind, ...]:
    """The kinds of one API group as their definitions describe them."""
    found = (kind_of(definition) for definition in crds(generation, group))
    return tuple(attrs.evolve(kind, schema=_merging(kind.schema)) for kind in found if kind is not None)


def _merging(schema: Schema) -> Schema:
    """The schema, its keyed lists merged by strategic patches, too: it is by their patch keys that they are keyed."""
    own: dict[str, Any] = {"patch_merges": True, "patch_key": schema.keys[0]} if schema.relation is Items.MAP else {}
    fields = {name: one if name == "metadata" else _merging(one) for name, one in schema.fields.items()}
    return attrs.evolve(schema, fields=fields, **own) if fields or own else schema


def aggregated(
    kind: Kind,
    hooks: Hooks,
    *,
    name_rule: NameRule,
    status: tuple[str, ...] = WITH_METADATA,
    judge_status: Rule | None = None,
    **changes: Any,
) -> Kind:
    """The kind as an aggregated server serves it.

    No update without a version, no generation, strategic merge patches; a main write may set the status unless
    ``changes`` of the strategy say otherwise. ``status`` are the parts that a write through the status subresource
    changes: such a write is judged by ``judge_status`` alone, every other by the hooks, too.
    """
    strategy = attrs.evolve(
        kind.strategy,
        generation=(),
        main_keeps=(),
        name_rule=name_rule,
        strategic=True,
        subresources={"status": status} if kind.strategy.subresources else {},
    )
    return attrs.evolve(
        kind,
        strategy=attrs.evolve(strategy, **changes),
        hooks=attrs.evolve(
            hooks,
            default=partial(_default, hooks.default),
            validate=partial(_judge, hooks.validate, judge_status),
        ),
    )


def _default(own: Callable[[Document], None] | None, document: Document) -> None:
    checks.without_nulls(document)
    if own is not None:
        own(document)


def _judge(judge: Rule | None, judge_status: Rule | None, write: Write) -> Iterator[Fault]:
    if judge is not None and not write.subresource:
        yield from judge(write)
    if judge_status is not None:
        yield from judge_status(write)
