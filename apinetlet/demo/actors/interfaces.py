"""The partitions of the data plane: they hold what they program, and tell how it stands.

Plays the metalnetlet of each partition, for interfaces and networks. An interface is seen, is programmed after a while,
and works; what it was given is what its status says. Peered networks are connected where they are held. What is deleted
is let go of once it is taken down.
"""

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

from attrs import define, field, frozen

from apinetlet.demo.actors.desk import APINET, NETWORK, TARGET, Desk, held, look, place_of, requests, sees
from reconcile import DONE, Change, Controller, For, Object, ObjectKey, Request, Result, Seconds, Watches, enqueue_by
from reconcile.core import now
from reconcile.kube import MergePatch, finalizers

_DEVICE = {"domain": "0000", "bus": "06", "slot": "3", "function": "2"}


@define
class Interfaces:
    """Moves the state of interfaces: from nothing to Pending, and after ``pace`` to Ready."""

    desk: Desk
    _due: dict[ObjectKey, Seconds] = field(factory=dict)
    """When those that are being programmed are done."""

    async def reconcile(self, request: Request) -> Result:
        desk = self.desk
        interface = desk.there("networkinterfaces", request.key)
        if interface is None:
            self._due.pop(request.key, None)
            return DONE
        finalizer = f"{desk.metalnetlet}/{look(interface, 'spec', 'nodeRef', 'name').partition('.')[0]}"
        if interface.metadata.is_deleting:
            await desk.apinet.patch(interface, finalizers.remove(interface, finalizer))
            return DONE
        status = look(interface, "status") or {}
        state = status.get("state")
        if not state or state == "Pending":
            left = self._due.setdefault(request.key, now() + desk.pace) - now()
            if left > 0:
                await self._tell(interface, finalizer, {"state": "Pending"})
                return Result(requeue_after=left)
            del self._due[request.key]
        wanted = {**status, **self._programmed(interface)}
        if not state or state == "Pending":
            wanted |= {"state": "Ready", "pciAddress": _DEVICE}
        elif state != "Ready":
            wanted = {}  # Error: whoever set it knows why
        await self._tell(interface, finalizer, {name: wanted[name] or None for name in wanted})
        return DONE

    async def _tell(self, interface: Object, finalizer: str, status: dict[str, Any]) -> None:
        """What there is to say of an interface that is held; whoever takes hold of it says so in the same write."""
        hold, cluster = finalizers.add(interface, finalizer), self.desk.apinet
        if hold is not None:
            await cluster.patch(interface, MergePatch({**hold.value, "status": status}))
        else:
            await cluster.patch_status(interface, MergePatch({"status": status}))

    def _programmed(self, interface: Object) -> dict[str, Any]:
        """What the node was given: one IPv4 address, one NAT address, the prefixes."""
        public = [one for one in look(interface, "spec", "publicIPs") or () if one.get("ipFamily") == "IPv4"]
        tables = self.desk.all_there("nattables", TARGET, interface.metadata.uid)
        return {
            "publicIPs": [one["ip"] for one in public[:1] if one.get("ip")],
            "natIPs": [ip for table in tables for ip in _sending(table, interface.metadata.uid)][:1],
            "prefixes": [str(ip_network(one, strict=False)) for one in look(interface, "spec", "prefixes") or ()],
        }


def _given(interface: Object) -> tuple[Any, ...]:
    """What a node sees of an interface: who holds it, what it was given, and its state, which others may set."""
    spec = look(interface, "spec") or {}
    head = interface.metadata.finalizers, interface.metadata.is_deleting
    return *head, spec.get("publicIPs"), spec.get("prefixes"), look(interface, "status", "state")


def _names(ip: dict[str, Any]) -> Iterator[str]:
    """The interfaces that a NAT table sends to from one address."""
    for section in ip.get("sections") or ():
        if name := look(section, "targetRef", "name"):
            yield name


def _sending(table: Object, uid: str) -> list[str]:
    """The addresses of a NAT table that send to an interface."""
    return [
        ip["ip"]
        for ip in look(table, "ips") or ()
        if any(look(section, "targetRef", "uid") == uid for section in ip.get("sections") or ())
    ]


@frozen
class Networks:
    """Holds a network for each partition that has interfaces in it, and lets go of it when it is deleted.

    Whoever holds it says that its peerings work.
    """

    desk: Desk

    async def reconcile(self, request: Request) -> Result:
        desk = self.desk
        network = desk.there("networks", request.key)
        if network is None:
            return DONE
        if network.metadata.is_deleting:
            for one in filter(self._is_ours, network.metadata.finalizers):
                network = await desk.apinet.patch(network, finalizers.remove(network, one))
            return DONE
        interfaces = desk.all_there("networkinterfaces", NETWORK, request.key)
        for partition in sorted({look(one, "spec", "nodeRef", "name").partition(".")[0] for one in interfaces}):
            network = await desk.apinet.patch(network, finalizers.add(network, f"{desk.metalnetlet}/{partition}"))
        await self._report(network)
        return DONE

    async def _report(self, network: Object) -> None:
        holders = [one.rpartition("/")[2] for one in network.metadata.finalizers if self._is_ours(one)]
        wanted = [{"id": int(one["id"]), "state": "Ready"} for one in look(network, "spec", "peerings") or ()]
        differing = [one for one in holders if (look(network, "status", "peerings", one) or []) != wanted]
        if differing:
            reports = dict.fromkeys(differing, wanted or None)
            await self.desk.apinet.patch_status(network, MergePatch({"status": {"peerings": reports}}))

    def _is_ours(self, finalizer: str) -> bool:
        return finalizer.startswith(f"{self.desk.metalnetlet}/")


def controllers(desk: Desk) -> list[Controller]:
    """Interfaces and networks."""
    interfaces = desk.at_apinet["networkinterfaces"]

    def sent_to(change: Change[Object]) -> list[Request]:
        """The interfaces whose address of a table became another one."""
        old, new = (
            {(name, ip["ip"]) for ip in look(table, "ips") or () for name in _names(ip)}
            for table in (change.old_object, change.new_object)
        )
        return requests(APINET, [ObjectKey(change.key.namespace, name) for name, _ in sorted(old ^ new)])

    def network(interface: Object) -> list[Request]:
        name = look(interface, "spec", "networkRef", "name")
        return requests(APINET, [ObjectKey(interface.metadata.namespace, name)] if name else [])

    def connected(found: Object) -> tuple[Any, ...]:
        """What a node sees of a network: who holds it, its peerings, and what is said of them."""
        peerings = look(found, "spec", "peerings"), look(found, "status", "peerings")
        return *held(desk.metalnetlet)(found), *peerings

    return [
        desk.controller(
            "interfaces",
            Interfaces(desk),
            [For(desk.apinet, interfaces, sees(_given)), Watches(desk.apinet, desk.at_apinet["nattables"], sent_to)],
        ),
        desk.controller(
            "partitions",
            Networks(desk),
            [
                For(desk.apinet, desk.at_apinet["networks"], sees(connected)),
                Watches(desk.apinet, interfaces, enqueue_by(network), sees(place_of)),
            ],
        ),
    ]
