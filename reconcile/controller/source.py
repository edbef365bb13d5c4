"""What a controller looks at, as values that can be listed, printed and turned into rights.

``For`` is the kind it reconciles, ``Owns`` what belongs to such objects, ``Watches`` whatever else matters to them, in
any cluster. What comes from elsewhere (a poll, a socket, a timer) is a function that returns an async iterator of keys;
it is started again when it fails. ``intake.py`` listens to all of them.
"""

from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

import attrs

from reconcile.cache.change import Change
from reconcile.cache.cluster import Cluster
from reconcile.cache.informer import Informer
from reconcile.controller.handler import Handler, enqueue_owner, enqueue_self
from reconcile.controller.predicate import Predicate, Rule, rule_of
from reconcile.kube.resource import Resource

T = TypeVar("T")
AnyKind: TypeAlias = type[Any] | Resource[Any]


@attrs.frozen
class For(Generic[T]):
    """The kind whose objects are the keys. ``priority``: of the runs it asks for, if not the usual one."""

    cluster: Cluster
    type: type[T] | Resource[T]
    predicate: Predicate | None = None
    priority: int | None = None


@attrs.frozen
class Owns(Generic[T]):
    """A kind whose objects name their owner: the owner is the key.

    ``owner``: its kind, if not that of the controller's one ``For``. ``controller_only``: other owners do not count.
    """

    cluster: Cluster
    type: type[T] | Resource[T]
    predicate: Predicate | None = None
    priority: int | None = None
    owner: AnyKind | None = attrs.field(default=None, kw_only=True)
    controller_only: bool = attrs.field(default=True, kw_only=True)


@attrs.frozen
class Watches(Generic[T]):
    """A kind whose changes concern the keys that ``handler`` tells."""

    cluster: Cluster
    type: type[T] | Resource[T]
    handler: Handler
    predicate: Predicate | None = None
    priority: int | None = None


Source: TypeAlias = Callable[[], AsyncIterator[Hashable]]
"""Returns a new iterator over keys each time it is called. That it ends without an error is its right.

A poll, for example::

    async def poll() -> AsyncIterator[Request]:
        while True:
            for name in await what_has_expired():
                yield Request("home", "default", name)
            await anyio.sleep(30.0)
"""

AnySource: TypeAlias = For[Any] | Owns[Any] | Watches[Any] | Source


def passes_all(_change: Change[Any]) -> bool:
    """The predicate of a source that has none."""
    return True


@attrs.frozen(eq=False)
class Wire:
    """One informer, and what its changes mean to one controller."""

    informer: Informer[Any]
    resource: Resource[Any]
    cluster: Cluster
    rule: Rule
    handler: Handler
    priority: int | None = None

    def __str__(self) -> str:
        return f"{self.cluster.name} {self.resource.name}"


def kinds_and_others(sources: Sequence[AnySource]) -> tuple[list[Wire], list[Source]]:
    """The sources that are kinds as wires, and the rest.

    Raises:
        UndeclaredKind: a cluster was not told to watch that kind.
        ValueError: ``Owns`` cannot tell which owner is meant.
    """
    primary = [source for source in sources if isinstance(source, For)]
    wires: list[Wire] = []
    others: list[Source] = []
    for source in sources:
        match source:
            case For():
                wires.append(_wire(source, enqueue_self))
            case Owns():
                owner = source.cluster.resource(source.owner or _owner_of(source, primary))
                wires.append(_wire(source, enqueue_owner(owner, controller_only=source.controller_only)))
            case Watches():
                wires.append(_wire(source, source.handler))
            case _:
                others.append(source)
    return wires, others


def _wire(source: For[Any] | Owns[Any] | Watches[Any], handler: Handler) -> Wire:
    cluster = source.cluster
    resource, informer = cluster.resource(source.type), cluster.informer(source.type)
    return Wire(informer, resource, cluster, rule_of(source.predicate or passes_all), handler, source.priority)


def _owner_of(owned: Owns[Any], primary: Sequence[For[Any]]) -> AnyKind:
    here = [source for source in primary if source.cluster is owned.cluster]
    if len(here) != 1:
        name = owned.cluster.resource(owned.type).name
        raise ValueError(f"Owns({owned.cluster.name}, {name}) needs owner=: {len(here)} For(...) are of its cluster")
    return here[0].type


def name_of(function: Any) -> str:
    """What to call a function in a log."""
    return getattr(function, "name", None) or getattr(function, "__qualname__", None) or repr(function)
