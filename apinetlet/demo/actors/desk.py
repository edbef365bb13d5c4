"""What everybody else in the two clusters works with: both clusters' stores and clients, untyped.

Actors read documents as they come, for they stand for programs that know fields the daemon does not. Each says what it
reads of the kinds it watches (``sees``), so that it is asked again only where that has changed.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from apinetlet.api import ONMETAL, Generation
from apinetlet.demo.definitions import source_kinds
from apinetlet.demo.schemas import described
from reconcile import (
    DONE,
    Change,
    Client,
    Cluster,
    Controller,
    ControllerSettings,
    Index,
    NotFound,
    Object,
    ObjectKey,
    ObjectMeta,
    Reconciler,
    Request,
    Resource,
    Result,
    Seconds,
    Watched,
)
from reconcile.controller.predicate import Exactly, Rule, exactly
from reconcile.controller.source import AnySource

SOURCE, APINET = "source", "apinet"
NETWORK, OWNER, CLAIMER, PEER = "network", "owner", "claimer", "peer"
"""Indexes: what is in a network, prefixes by the uid of who controls them, virtual IPs by who has them, networks by
those that they want to be peers of."""
PARENT, WAITING, SELECTING = "parent", "waiting", "selecting"
"""Indexes: prefixes out of another, those that wait for a part of it, and by namespace those that wait for a parent."""
MACHINE, TARGET, GATEWAY = "machine", "target", "gateway"
"""Indexes of the api-net cluster: interfaces by whom a machine made them for, tables by the uids they send to, and
whatever refers to a NAT gateway."""
_SOURCES = ("networks", "networkinterfaces", "loadbalancers", "natgateways", "virtualips", "prefixes")
_TARGETS = (
    "networks",
    "networkinterfaces",
    "loadbalancers",
    "loadbalancerroutings",
    "natgateways",
    "natgatewayautoscalers",
    "nattables",
)


@frozen
class Desk:
    """Both clusters as the actors see them."""

    generation: Generation
    source: Cluster
    apinet: Cluster
    at_source: Mapping[str, Resource[Object]]
    """The kinds by plural."""
    at_apinet: Mapping[str, Resource[Object]]
    pace: Seconds
    """How long something takes that takes time: a node to program an interface, a machine to begin."""
    rng: random.Random = field(factory=random.Random)

    @classmethod
    def between(
        cls, generation: Generation, source: Client, apinet: Client, *, pace: Seconds, rng: random.Random
    ) -> "Desk":
        """A desk with the stores and indexes that all actors need together."""
        at_source = {kind.resource.plural: kind.resource for kind in source_kinds(generation)}
        at_apinet = {kind.resource.plural: kind.resource for kind in described(generation.name, generation.apinet)}
        indexes = _indexes(generation)

        def cluster(
            name: str, client: Client, kinds: Mapping[str, Resource[Object]], watched: tuple[str, ...]
        ) -> Cluster:
            return Cluster(
                name,
                client,
                [Watched(kinds[one], indexes=indexes[name].get(one, ())) for one in watched],
                kinds=[kinds[one] for one in kinds if one not in watched],
                rng=rng,
            )

        source_cluster = cluster(SOURCE, source, at_source, _SOURCES)
        apinet_cluster = cluster(APINET, apinet, at_apinet, _TARGETS)
        return cls(generation, source_cluster, apinet_cluster, at_source, at_apinet, pace, rng)

    def of(self, plural: str, key: ObjectKey) -> Object | None:
        """A source object, as the cache has it."""
        return self.source.store(self.at_source[plural]).get(key)

    def there(self, plural: str, key: ObjectKey) -> Object | None:
        """An api-net object, as the cache has it."""
        return self.apinet.store(self.at_apinet[plural]).get(key)

    def all_of(self, plural: str, index: str, value: Any) -> list[Object]:
        """Source objects by an index."""
        return self.source.store(self.at_source[plural]).by(index, value)

    def all_there(self, plural: str, index: str, value: Any) -> list[Object]:
        """Api-net objects by an index."""
        return self.apinet.store(self.at_apinet[plural]).by(index, value)

    def controller(
        self,
        name: str,
        reconciler: Reconciler,
        sources: Sequence[AnySource],
        settings: ControllerSettings | None = None,
    ) -> Controller:
        """A controller that takes it calmly when what it is about goes away meanwhile: that is an event of its own."""

        async def calmly(request: Request) -> Result:
            try:
                return await reconciler.reconcile(request) or DONE
            except NotFound:
                return DONE

        return Controller(name, calmly, sources, settings, rng=self.rng)

    @property
    def metalnetlet(self) -> str:
        """The domain of the finalizers that partitions set."""
        return f"partition.metalnetlet.apinet.{'onmetal.de' if self.generation is ONMETAL else 'ironcore.dev'}"

    @property
    def machine_label(self) -> str:
        """On interfaces that a machine made: the namespace of whom for; ``-name`` and ``-uid`` say the rest."""
        return f"machines.{self.generation.finalizers}/for"


def look(found: Any, *path: str) -> Any:
    """The value at a path of fields, to read and never to change; ``None`` for what is absent, null or empty."""
    value = found.inside if isinstance(found, Object) else found
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value or None


def sees(read: Callable[[Object], Any]) -> Exactly:
    """Passes a change of what ``read`` sees of an object. It sees nothing, ``None``, of one that is not there."""

    def differs(change: Change[Object]) -> bool:
        old, new = change.old_object, change.new_object
        return (None if old is None else read(old)) != (None if new is None else read(new))

    return exactly(Rule("sees", differs))


def goes(change: Change[Object]) -> bool:
    """Whether an object is there no more. Stand ``exactly`` around it."""
    return change.new is None


def spec_of(found: Object) -> tuple[Any, ...]:
    """All that somebody wants of an object, and whether it has to go."""
    return look(found, "spec"), found.metadata.is_deleting


def wishes(*fields: str) -> Callable[[Object], Any]:
    """As ``spec_of``, for these fields of it."""

    def read(found: Object) -> tuple[Any, ...]:
        spec = look(found, "spec") or {}
        return [spec.get(field) for field in fields], found.metadata.is_deleting

    return read


def owners_of(found: Object) -> tuple[Any, ...]:
    """What an owner sees of what it owns."""
    return found.metadata.owner_references, found.metadata.is_deleting


def held(domain: str) -> Callable[[Object], Any]:
    """What those see who hold an object by a finalizer that begins so: whether they do, and whether it has to go."""
    return lambda found: (
        [one for one in found.metadata.finalizers if one.startswith(domain)],
        found.metadata.is_deleting,
    )


def place_of(found: Object) -> tuple[Any, ...]:
    """Which network an object is in, and on which node, if it stays."""
    return look(found, "spec", "networkRef"), look(found, "spec", "nodeRef"), found.metadata.is_deleting


def named(found: Object) -> str:
    return found.metadata.name


def key_of(found: Object, name: str) -> ObjectKey:
    """The key of an object of that name beside another."""
    return ObjectKey(found.metadata.namespace, name)


def requests(cluster: str, keys: Iterable[ObjectKey]) -> list[Request]:
    return [Request(cluster, *key) for key in keys]


def document(kind: Resource[Object], key: ObjectKey, owner: Mapping[str, Any] | None = None, **parts: Any) -> Any:
    """The body of an object; ``parts`` are ``metadata``, ``spec`` and the like."""
    metadata: dict[str, Any] = {"namespace": key.namespace, "name": key.name, **parts.pop("metadata", {})}
    if owner is not None:
        metadata["ownerReferences"] = [owner]
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **parts}


def owned_by(owner: Object, kind: Resource[Object]) -> dict[str, Any]:
    """The reference of an owner that controls."""
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "name": owner.metadata.name,
        "uid": owner.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_controlled(found: Object, owner: Object) -> bool:
    return (one := found.metadata.controller) is not None and one.uid == owner.metadata.uid


# -- indexes -----------------------------------------------------------------------------------------------------------


def network_of(found: Object) -> ObjectKey | None:
    name = look(found, "spec", "networkRef", "name")
    return key_of(found, name) if name else None


def claimer_of(virtual_ip: Object) -> ObjectKey | None:
    name = look(virtual_ip, "spec", "targetRef", "name")
    return key_of(virtual_ip, name) if name else None


def peers_of(network: Object) -> list[ObjectKey]:
    """The networks that it wants to exchange traffic with."""
    wanted = [look(one, "networkRef") for one in look(network, "spec", "peerings") or ()]
    return [ObjectKey(one.get("namespace") or network.metadata.namespace, one["name"]) for one in wanted]


def parent_of(prefix: Object) -> ObjectKey | None:
    name = look(prefix, "spec", "parentRef", "name")
    return key_of(prefix, name) if name else None


def is_allocated(prefix: Object) -> bool:
    return bool(look(prefix, "status", "phase") == "Allocated")


def is_selecting(prefix: Object) -> bool:
    """Whether it waits for a parent that its labels make fit."""
    spec = look(prefix, "spec") or {}
    return spec.get("parentSelector") is not None and parent_of(prefix) is None and not is_allocated(prefix)


def targets_of(table: Object) -> Iterator[str]:
    """The uids of the interfaces that a NAT table sends to."""
    for ip in look(table, "ips") or ():
        for section in ip.get("sections") or ():
            if uid := look(section, "targetRef", "uid"):
                yield uid


def gateways_of(interface: Object) -> list[ObjectKey]:
    """The NAT gateways that have claimed an interface of the data plane."""
    return [key_of(interface, one["claimRef"]["name"]) for one in look(interface, "spec", "natGateways") or ()]


def _one(value: ObjectKey | None) -> tuple[ObjectKey, ...]:
    return () if value is None else (value,)


def _controller(meta: ObjectMeta) -> tuple[str, ...]:
    return (owner.uid,) if (owner := meta.controller) is not None else ()


def _indexes(generation: Generation) -> dict[str, dict[str, tuple[Index, ...]]]:
    by_network = Index(NETWORK, lambda found: _one(network_of(found)))
    label = f"machines.{generation.finalizers}/for"

    def machine(found: Object) -> Iterator[ObjectKey]:
        if name := found.metadata.labels.get(f"{label}-name"):
            yield ObjectKey(found.metadata.labels[label], name)

    return {
        SOURCE: {
            "networks": (Index(PEER, peers_of),),
            "networkinterfaces": (by_network,),
            "loadbalancers": (by_network,),
            "natgateways": (by_network,),
            "virtualips": (Index(CLAIMER, lambda found: _one(claimer_of(found))),),
            "prefixes": (
                Index(PARENT, lambda found: _one(parent_of(found))),
                Index(WAITING, lambda found: () if is_allocated(found) else _one(parent_of(found))),
                Index(SELECTING, lambda found: (found.metadata.namespace,) if is_selecting(found) else ()),
                Index(OWNER, _controller, needs="meta"),
            ),
        },
        APINET: {
            "networkinterfaces": (by_network, Index(MACHINE, machine), Index(GATEWAY, gateways_of)),
            "natgateways": (by_network,),
            "nattables": (Index(TARGET, targets_of),),
            "natgatewayautoscalers": (
                Index(GATEWAY, lambda one: _one(key_of(one, look(one, "spec", "natGatewayRef", "name") or ""))),
            ),
        },
    }
