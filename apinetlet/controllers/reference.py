"""How load balancers and NAT gateways know their Network, and hear when it becomes another one.

They name it; what they need of it is the name of its counterpart, which follows from its uid. So they are looked at
again when a Network of that name comes or goes, and not when anything else about it changes.
"""

from collections.abc import Callable
from typing import Any

from apinetlet.api import Generation, networking
from apinetlet.controllers.bridge import Bridge
from apinetlet.translate.network import counterpart_name
from reconcile import Change, Index, NotFound, ObjectKey, Request, Resource
from reconcile.controller.predicate import Exactly, Rule, exactly

NETWORK = "network"
"""The index over source objects: by the key of the Network that each names."""


def by_network() -> Index:
    """That index."""
    return Index(NETWORK, lambda one: (ObjectKey(one.metadata.namespace, one.spec.network_ref.name),))


def referring(bridge: Bridge, kind: Resource[Any]) -> Callable[[Change[Any]], list[Request]]:
    """Maps a change of a Network to the objects of ``kind`` that name it."""

    def requests(change: Change[Any]) -> list[Request]:
        keys = bridge.source.store(kind).keys_by(NETWORK, change.key)
        return [Request(bridge.source.name, *key) for key in keys]

    return requests


def is_another(generation: Generation, namespace: str) -> Exactly:
    """Passes what gives a Network another counterpart, or none: it came, it went, it was made anew."""

    def name(network: networking.Network | None) -> str:
        return "" if network is None else counterpart_name(network, generation, namespace)

    return exactly(Rule("is_another", lambda change: name(change.old_object) != name(change.new_object)))


def network_of(bridge: Bridge, source: Any) -> str:
    """The name of the api-net Network that ``source`` belongs to; "" while there is none, and the user is told."""
    named = source.spec.network_ref.name
    network = bridge.source.store(bridge.kinds.network).get(ObjectKey(source.metadata.namespace, named))
    if network is None:
        bridge.warn(source, "NetworkNotFound", f"spec.networkRef.name is {named!r}, and there is no such Network")
        return ""
    return counterpart_name(network, bridge.generation, bridge.namespace)


async def is_live(bridge: Bridge, source: Any, name: str) -> bool:
    """Whether the source cluster itself says that the Network of ``source`` has the counterpart ``name``."""
    key = ObjectKey(source.metadata.namespace, source.spec.network_ref.name)
    try:
        network = await bridge.source.get(bridge.kinds.network, key)
    except NotFound:
        return False
    return counterpart_name(network, bridge.generation, bridge.namespace) == name
