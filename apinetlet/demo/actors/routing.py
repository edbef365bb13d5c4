"""Where load balancers send their traffic, and what holds a network: the rest of the source cluster's own controllers.

Source: the controllers for load balancers and for the protection of networks of the Go source clusters.
"""

from typing import Any

from attrs import frozen

from apinetlet.demo.actors.desk import (
    NETWORK,
    SOURCE,
    Desk,
    document,
    held,
    look,
    network_of,
    owned_by,
    place_of,
    requests,
    sees,
    spec_of,
)
from reconcile import DONE, Controller, For, Object, Request, Result, Watches, enqueue_by
from reconcile.controller.source import AnySource
from reconcile.kube import finalizers
from reconcile.kube.selector import labels_from


@frozen
class Routing:
    """Lists, for a load balancer with a selector, the addresses of all available interfaces of its network."""

    desk: Desk

    async def reconcile(self, request: Request) -> Result:
        desk = self.desk
        balancer = desk.of("loadbalancers", request.key)
        if balancer is None or balancer.metadata.is_deleting:
            return DONE
        selector, key = look(balancer, "spec").get("networkInterfaceSelector"), network_of(balancer)
        network = desk.of("networks", key) if key is not None else None
        if selector is None or network is None:
            return DONE
        matching = labels_from(selector)
        chosen = [
            one
            for one in desk.all_of("networkinterfaces", NETWORK, network.metadata.key)
            if matching.matches(one.metadata.labels) and _is_available(one)
        ]
        owner = owned_by(balancer, desk.at_source["loadbalancers"])
        body = document(desk.at_source["loadbalancerroutings"], request.key, owner)
        body["networkRef"] = {"name": network.metadata.name, "uid": network.metadata.uid}
        body["destinations"] = [one for interface in chosen for one in _destinations(interface)]
        await desk.source.apply(body)
        return DONE


def _is_available(interface: Object) -> bool:
    return bool(look(interface, "status", "state") == "Available")


def _served(interface: Object) -> Any:
    """What load balancers see of an interface: nothing before it is available."""
    return (interface.metadata.labels, _destinations(interface)) if _is_available(interface) else None


def _destinations(interface: Object) -> list[dict[str, Any]]:
    target = {
        "uid": interface.metadata.uid,
        "name": interface.metadata.name,
        "providerID": look(interface, "spec", "providerID") or "",
    }
    return [{"ip": ip, "targetRef": target} for ip in look(interface, "status", "ips") or ()]


@frozen
class Protection:
    """Holds a network while anything that lives refers to it."""

    desk: Desk

    async def reconcile(self, request: Request) -> Result:
        network = self.desk.of("networks", request.key)
        if network is None:
            return DONE
        name = _protection(self.desk)
        users = [
            one
            for plural in USERS
            for one in self.desk.all_of(plural, NETWORK, request.key)
            if not one.metadata.is_deleting
        ]
        if not users:
            await self.desk.source.patch(network, finalizers.remove(network, name))
        elif not network.metadata.is_deleting:
            await self.desk.source.patch(network, finalizers.add(network, name))
        return DONE


def _protection(desk: Desk) -> str:
    """The finalizer."""
    return f"{desk.generation.networking}/network"


USERS = ("networkinterfaces", "loadbalancers", "natgateways")
"""What refers to a network."""


def routing(desk: Desk) -> list[Controller]:
    """The destinations of load balancers."""
    balancers, interfaces, networks = (
        desk.at_source[one] for one in ("loadbalancers", "networkinterfaces", "networks")
    )

    def beside(found: Object) -> list[Request]:
        key = network_of(found)
        return requests(SOURCE, desk.source.store(balancers).keys_by(NETWORK, key))

    def within(network: Object) -> list[Request]:
        return requests(SOURCE, desk.source.store(balancers).keys_by(NETWORK, network.metadata.key))

    sources: list[AnySource] = [
        For(desk.source, balancers, sees(spec_of)),
        Watches(desk.source, interfaces, enqueue_by(beside), sees(_served)),
        Watches(desk.source, networks, enqueue_by(within), sees(lambda network: network.metadata.uid)),
    ]
    return [desk.controller("load-balancer-routing", Routing(desk), sources)]


def protection(desk: Desk) -> list[Controller]:
    """The finalizers of networks."""

    def used(found: Object) -> list[Request]:
        return requests(SOURCE, [key] if (key := network_of(found)) is not None else [])

    users = [Watches(desk.source, desk.at_source[one], enqueue_by(used), sees(place_of)) for one in USERS]
    sources: list[AnySource] = [For(desk.source, desk.at_source["networks"], sees(held(_protection(desk)))), *users]
    return [desk.controller("network-protection", Protection(desk), sources)]
