"""Which objects the selectors of a policy mean, and which policies an object concerns, each found by an index.

Labels stand on both sides: machine providers put some on what they make in the api-net cluster, users put theirs on
what they declare. So an object counts if either it or its source has the labels. Nobody goes through all objects of a
namespace or all policies; the cost is that of what is found.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, TypeAlias

import msgspec
from attrs import frozen

from apinetlet.api import Generation, apinet, networking
from apinetlet.controllers.bridge import Bridge
from apinetlet.controllers.indexes import UID
from apinetlet.controllers.reference import NETWORK, by_network
from apinetlet.origin import Origin, Origins
from apinetlet.selection import facets, sought
from apinetlet.translate import policyrules
from apinetlet.translate.network import counterpart_name
from apinetlet.translate.networkpolicy import Reachable
from apinetlet.translate.policyrules import INTERFACE, VIRTUAL_IP
from apinetlet.translate.refused import Refused
from reconcile import Index, ObjectKey, ObjectMeta, Resource
from reconcile.cache.entry import Entry
from reconcile.cache.store import Store
from reconcile.kube.objects import BadObject
from reconcile.kube.selector import LabelSelector

LABELS: Final = "labels"
"""The index over what can be selected: by the network that it is in (a virtual IP: by its namespace) and a facet."""
SELECTS: Final = "selects"
"""The index over policies: by kind, network and facet of what each selects."""
HOLDER: Final = "holder"
"""The index over interfaces of the data plane: by the very source interface that has claimed each."""
COUNTERPART: Final = "counterpart"
"""The index over source Networks: by the name of what stands for each in the api-net cluster."""
READY: Final = "Ready"
"""The state of an interface that traffic can reach."""

Place: TypeAlias = tuple[ObjectKey, ObjectMeta]
"""The source network that something is in, as policies name it, and the head with the labels that count there."""


@frozen
class Selection:
    """What selectors mean in one network: to its user, and in the api-net cluster."""

    bridge: Bridge
    network: ObjectKey
    """The source network, in whose namespace the policy is."""
    counterpart: str
    """The name of the api-net Network."""

    def addresses(self, kind: str, selector: LabelSelector) -> Iterator[str]:
        """The addresses of all objects of a kind that are meant."""
        kinds, source = self.bridge.kinds, self.bridge.source
        match kind:
            case policyrules.INTERFACE:
                for nic in self.interfaces(selector):
                    yield from nic.ips
            case policyrules.BALANCER:
                targets = self.bridge.apinet.store(kinds.apinet_load_balancer)
                own = meant(source.store(kinds.load_balancer), self.network, selector)
                made = (ObjectKey(self.bridge.namespace, one.uid) for one in own)
                for key in {*made, *(one.key for one in meant(targets, self.counterpart, selector))}:
                    if (balancer := targets.get(key)) is not None:
                        yield from (one.ip for one in balancer.spec.ips if one.ip)
            case _:
                vips = source.store(kinds.virtual_ip)
                for one in meant(vips, ObjectKey(self.network.namespace, ""), selector):
                    if (vip := vips.get(one.key)) is not None:
                        yield vip.status.ip

    def interfaces(self, selector: LabelSelector) -> Iterator[Reachable]:
        """The interfaces of the data plane that are meant and can be reached, each once."""
        bridge = self.bridge
        nics = bridge.apinet.store(bridge.kinds.apinet_network_interface)
        keys = {one.key for one in meant(nics, self.counterpart, selector)}
        for source in meant(bridge.source.store(bridge.kinds.network_interface), self.network, selector):
            keys.update(nics.keys_by(HOLDER, Origin(source.namespace, source.name, source.uid)))
        for key in keys:
            if (entry := nics.entry(key)) is not None and (reached := _reached(entry)) is not None:
                yield reached


def _reached(entry: Entry) -> Reachable | None:
    """``None``: nobody reaches it, or it cannot be read."""
    try:
        seen = _SEEN.decode(entry.raw)
    except msgspec.DecodeError:
        return None
    if seen.status is None or seen.status.state != READY:
        return None
    ips = (seen.spec.ips if seen.spec is not None else None) or ()
    return Reachable(entry.meta.name, entry.meta.uid, tuple(filter(None, ips)))


class _Spec(msgspec.Struct):
    ips: list[str | None] | None = None


class _Status(msgspec.Struct):
    state: str | None = None


class _Seen(msgspec.Struct):
    """Of an interface, what a rule is made of. A rule may have thousands, so no more of each is decoded."""

    spec: _Spec | None = None
    status: _Status | None = None


_SEEN: Final = msgspec.json.Decoder(_Seen)


def meant(store: Store[Any], place: Any, selector: LabelSelector) -> Iterator[ObjectMeta]:
    """The heads of the objects in a place that ``selector`` means."""
    seen = set[ObjectKey]()
    for facet in sought(selector):
        for key in store.keys_by(LABELS, (place, facet)):
            meta = store.meta(key)
            if key not in seen and meta is not None and selector.matches(meta.labels):
                seen.add(key)
                yield meta


# -- who selects an object ---------------------------------------------------------------------------------------------


@frozen
class Interest:
    """Finds the policies that an object concerns."""

    bridge: Bridge
    policies: Resource[networking.NetworkPolicy]

    def in_places(self, kind: str, places: Iterable[Place]) -> Iterator[ObjectKey]:
        """The policies that select an object of that kind in one of these places."""
        store = self.bridge.source.store(self.policies)
        for network, meta in places:
            for key in {key for one in facets(meta.labels) for key in store.keys_by(SELECTS, (kind, network, one))}:
                if (policy := store.get(key)) is not None and _selects(policy, kind, meta):
                    yield key

    def of_network(self, counterpart: str) -> Iterator[ObjectKey]:
        """The policies of the networks that an api-net Network stands for."""
        store = self.bridge.source.store(self.policies)
        return (key for network in self._networks(counterpart) for key in store.keys_by(NETWORK, network))

    def places_of_interface(self, nic: apinet.NetworkInterface) -> list[Place]:
        """Where an interface of the data plane counts: by its own labels, and by those of who has claimed it."""
        kinds, origins = self.bridge.kinds, self.bridge.origins(INTERFACE)
        found = [(network, nic.metadata) for network in self._networks(nic.spec.network_ref.name)]
        store, origin = self.bridge.source.store(kinds.network_interface), origins.of(nic.metadata)
        return found if origin is None else [*found, *_place_in(store, origin.key, origin.uid)]

    def places_of_balancer(self, balancer: apinet.LoadBalancer) -> list[Place]:
        """Likewise, where its source is the one whose uid is its name."""
        sources = self.bridge.source.store(self.bridge.kinds.load_balancer)
        found = [(network, balancer.metadata) for network in self._networks(balancer.spec.network_ref.name)]
        uid = balancer.metadata.name
        return [*found, *(place for key in sources.keys_by(UID, uid) for place in _place_in(sources, key, uid))]

    def _networks(self, counterpart: str) -> list[ObjectKey]:
        return self.bridge.source.store(self.bridge.kinds.network).keys_by(COUNTERPART, counterpart)


def place_of(source: Any) -> Place:
    """Where a source object counts that is in a network."""
    return ObjectKey(source.metadata.namespace, source.spec.network_ref.name), source.metadata


def _place_in(store: Store[Any], key: ObjectKey, uid: str) -> Iterator[Place]:
    """That of the source ``uid``; none if another one has its name by now, or nobody can read it and so selects it."""
    with suppress(BadObject):
        source = store.get(key)
        if source is not None and source.metadata.uid == uid:
            yield place_of(source)


def _selects(policy: networking.NetworkPolicy, kind: str, meta: ObjectMeta) -> bool:
    try:
        selectors = policyrules.read(policy).selectors()
    except Refused:
        return False
    return any(one == kind and selector.matches(meta.labels) for one, selector in selectors)


# -- indexes -----------------------------------------------------------------------------------------------------------


def by_policies() -> tuple[Index, ...]:
    """The indexes over policies: by their networks, and by what they select. A refused one selects nothing."""

    def selects(policy: networking.NetworkPolicy) -> list[Hashable]:
        try:
            read = policyrules.read(policy)
        except Refused:
            return []
        network, _ = place_of(policy)
        home = ObjectKey(network.namespace, "")
        return [
            (kind, home if kind == VIRTUAL_IP else network, facet)
            for kind, selector in read.selectors()
            for facet in sought(selector)
        ]

    return by_network(), Index(SELECTS, selects)


def selectable_sources(generation: Generation, namespace: str) -> Mapping[str, tuple[Index, ...]]:
    """The indexes over source kinds by which selectors find objects; none in a generation without policies."""
    if not generation.rule_manager:
        return defaultdict(tuple)
    in_network = _by_labels(lambda one: place_of(one)[0])
    return {
        "Network": (Index(COUNTERPART, lambda network: (counterpart_name(network, generation, namespace),)),),
        "NetworkInterface": (in_network,),
        "LoadBalancer": (in_network,),
        "VirtualIP": (_by_labels(lambda vip: ObjectKey(vip.metadata.namespace, "")),),
    }


def selectable_targets(generation: Generation) -> Mapping[str, tuple[Index, ...]]:
    """Likewise over kinds of the api-net cluster."""
    if not generation.rule_manager:
        return defaultdict(tuple)
    origins, in_network = Origins(generation, INTERFACE), _by_labels(lambda one: one.spec.network_ref.name)
    holder = Index(HOLDER, lambda meta: [one for one in [origins.of(meta)] if one is not None], needs="meta")
    return {"NetworkInterface": (in_network, holder), "LoadBalancer": (in_network,)}


def _by_labels(place: Callable[[Any], Hashable]) -> Index:
    return Index(LABELS, lambda one: [(place(one), facet) for facet in facets(one.metadata.labels)])
