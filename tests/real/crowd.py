"""Users who change their minds about everything, on real servers, and how both clusters must look when they stop.

A crowd declares, changes and deletes objects of all five kinds, and an operator deletes api-net objects by hand.
``tidy`` puts right what no daemon can; then ``wrong`` names whatever is not exactly as users want it.
"""

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, TypeAlias

import anyio
import orjson
from attrs import define, field

from provider import ProviderID
from reconcile import NotFound, ObjectKey, Resource
from reconcile.core.clock import Seconds
from reconcile.kube import MergePatch
from reconcile.kube.errors import AlreadyExists, Conflict
from tests.real.daemon import Place

PLACES: Final = 5
"""Names of each kind."""
NETWORK: Final = {"networkRef": {"name": "blue"}}
Document: TypeAlias = Mapping[str, Any]
Documents: TypeAlias = Mapping[str, Document]
PAIRS: Final = (
    ("networks", "networks"),
    ("virtualips", "ips"),
    ("loadbalancers", "loadbalancers"),
    ("loadbalancers", "loadbalancerroutings"),
    ("natgateways", "natgateways"),
    ("natgateways", "natgatewayautoscalers"),
)
"""A source kind, and of what every object has one in the api-net cluster, named after its uid."""


@define(eq=False)
class Crowd:
    """All users of one source cluster, and the operator of its api-net cluster."""

    world: Place
    rng: random.Random
    done: Counter[str] = field(factory=Counter, init=False)
    _machines: dict[str, str] = field(factory=dict, init=False)
    """The uids of the interfaces that providers made, by name."""

    async def settle_in(self) -> None:
        """The network of everybody, and the machines."""
        await self.world.create("blue")
        for number in range(PLACES):
            spec = {"nodeRef": {"name": "node"}, "networkRef": {"name": "net"}, "ips": ["10.0.0.1"]}
            body = {"metadata": {"name": f"machine-{number}"}, "spec": spec}
            kind = self.world.kinds.apinet_network_interface
            made = await self.world.apinet.create(kind, body, namespace=self.world.target)
            self._machines[f"{number}"] = made.metadata.uid

    async def act(self, pause: Seconds) -> None:
        """For ever; ``pause`` is how long they think at most."""
        while True:
            await anyio.sleep(self.rng.uniform(0, pause))
            name = f"{self.rng.randrange(PLACES)}"
            what = self.rng.choice((self._make, self._make, self._make, self._delete, self._change, self._take_away))
            with suppress(NotFound, AlreadyExists, Conflict):
                await what(name)
                self.done[what.__name__.strip("_")] += 1

    async def _make(self, name: str) -> None:
        kinds, ports = self.world.kinds, [{"port": self.rng.randrange(1, 1000)}]
        match self.rng.choice(("net", "vip", "lb", "nat", "nic")):
            case "net":
                await self.world.create(f"net-{name}")
            case "vip":
                await self._declare(kinds.virtual_ip, f"vip-{name}", {"type": "Public", "ipFamily": "IPv4"})
            case "lb":
                body = {"networkRef": {}, "destinations": self._destinations()}
                await self._create(kinds.load_balancer_routing, {"metadata": {"name": f"lb-{name}"}, **body})
                spec = {"type": "Public", "ipFamilies": ["IPv4"], "ports": ports, **NETWORK}
                await self._declare(kinds.load_balancer, f"lb-{name}", spec)
            case "nat":
                await self._declare(kinds.nat_gateway, f"nat-{name}", {"type": "Public", "ipFamily": "IPv4", **NETWORK})
            case "nic":
                provider_id = ProviderID.network_interface(
                    self.world.generation.scheme,
                    namespace=self.world.target,
                    name="any",
                    node="any",
                    uid=self._machines[name],
                )
                spec = {"networkRef": {"name": "net"}, "ips": [{"value": "10.0.0.1"}], "providerID": str(provider_id)}
                await self._declare(kinds.network_interface, f"nic-{name}", {**spec, **self._wish()})

    async def _delete(self, name: str) -> None:
        kinds = self.world.kinds
        match self.rng.choice(("net", "vip", "lb", "nat", "nic")):
            case "net":
                await self.world.delete(f"net-{name}")
            case "vip":
                await self._drop(kinds.virtual_ip, f"vip-{name}")
            case "lb":
                await self._drop(kinds.load_balancer_routing, f"lb-{name}")
                await self._drop(kinds.load_balancer, f"lb-{name}")
            case "nat":
                await self._drop(kinds.nat_gateway, f"nat-{name}")
            case "nic":
                await self._drop(kinds.network_interface, f"nic-{name}")

    async def _change(self, name: str) -> None:
        kinds, number = self.world.kinds, self.rng.randrange(1, 1000)
        match self.rng.choice(("lb", "routing", "nat", "nic")):
            case "lb":
                await self._patch(kinds.load_balancer, f"lb-{name}", {"spec": {"ports": [{"port": number}]}})
            case "routing":
                await self._patch(kinds.load_balancer_routing, f"lb-{name}", {"destinations": self._destinations()})
            case "nat":
                ports = {"portsPerNetworkInterface": self.rng.choice((64, 128, 256))}
                await self._patch(kinds.nat_gateway, f"nat-{name}", {"spec": ports})
            case "nic":
                await self._patch(kinds.network_interface, f"nic-{name}", {"spec": self._wish()})

    async def _take_away(self, name: str) -> None:
        """The operator."""
        kinds = self.world.kinds
        kind: Resource[Any] = self.rng.choice((kinds.apinet_load_balancer, kinds.apinet_nat_gateway))
        if there := sorted(await documents(self.world, kind)):
            await self.world.apinet.delete(kind, ObjectKey(self.world.target, self.rng.choice(there)))

    def _destinations(self) -> list[dict[str, str]]:
        return [{"ip": f"10.0.0.{number}"} for number in sorted(self.rng.sample(range(1, 9), self.rng.randint(1, 4)))]

    def _wish(self) -> dict[str, Any]:
        vip = self.rng.choice((None, {"virtualIPRef": {"name": f"vip-{self.rng.randrange(PLACES)}"}}))
        return {"virtualIP": vip, "prefixes": [{"value": f"10.{self.rng.randrange(1, 99)}.0.0/24"}]}

    async def _create(self, kind: Resource[Any], body: Document) -> None:
        await self.world.source.create(kind, body, namespace=self.world.home)

    async def _declare(self, kind: Resource[Any], name: str, spec: Document) -> None:
        given = {key: value for key, value in spec.items() if value is not None}
        await self._create(kind, {"metadata": {"name": name}, "spec": given})

    async def _drop(self, kind: Resource[Any], name: str) -> None:
        with suppress(NotFound):
            await self.world.source.delete(kind, ObjectKey(self.world.home, name))

    async def _patch(self, kind: Resource[Any], name: str, body: Document) -> None:
        await self.world.source.patch(kind, ObjectKey(self.world.home, name), MergePatch(body))

    async def tidy(self) -> None:
        """Two interfaces that want one address, an address that nobody declared, a routing without its balancer."""
        kinds, taken = self.world.kinds, set[str]()
        vips = await documents(self.world, kinds.virtual_ip)
        for name, one in (await documents(self.world, kinds.network_interface)).items():
            wanted = _wanted(one)
            if wanted and (wanted in taken or wanted not in vips or _is_going(vips[wanted])):
                with suppress(NotFound):
                    await self._patch(kinds.network_interface, name, {"spec": {"virtualIP": None}})
            elif wanted:
                taken.add(wanted)
        balancers = await documents(self.world, kinds.load_balancer)
        routings = await documents(self.world, kinds.load_balancer_routing)
        for name in routings.keys() - balancers.keys():
            await self._drop(kinds.load_balancer_routing, name)
        for name in balancers.keys() - routings.keys():
            await self._drop(kinds.load_balancer, name)

    async def leave(self) -> None:
        """Everything of users goes; machines stay."""
        for kind in _of_users(self.world):
            for name in await documents(self.world, kind):
                await self._drop(kind, name)


def _of_users(world: Place) -> tuple[Resource[Any], ...]:
    kinds = world.kinds
    return (
        *(kinds.network_interface, kinds.load_balancer, kinds.nat_gateway, kinds.virtual_ip),
        *(kinds.load_balancer_routing, kinds.network),
    )


async def documents(world: Place, kind: Resource[Any]) -> Documents:
    """The objects of a kind by name, whole."""
    here = kind.group == world.generation.networking
    client, namespace = (world.source, world.home) if here else (world.apinet, world.target)
    found = (await client.list(kind, namespace=namespace)).items
    return {one.metadata.name: orjson.loads(one.metadata.raw) for one in found}


# -- what is wrong -----------------------------------------------------------------------------------------------------


async def wrong(world: Place) -> list[str]:
    """Whatever is not exactly as users want it."""
    kinds = world.kinds
    here = {kind.plural: await documents(world, kind) for kind in _of_users(world)}
    there: dict[str, Documents] = {}
    made: tuple[Resource[Any], ...] = (
        *(kinds.apinet_network, kinds.apinet_ip, kinds.apinet_load_balancer, kinds.apinet_load_balancer_routing),
        *(kinds.apinet_nat_gateway, kinds.apinet_nat_gateway_autoscaler, kinds.apinet_network_interface),
    )
    for kind in made:
        there[kind.plural] = await documents(world, kind)
    found = [f"{name} still goes" for every in here.values() for name, one in every.items() if _is_going(one)]
    for source, target in PAIRS:
        uids, names = {_uid(one) for one in here[source].values()}, set(there[target])
        if uids != names:
            found.append(f"{target}: {len(uids - names)} missing, {len(names - uids)} of nobody")
    if found:
        return found
    found += _networks(world, here["networks"], there["networks"])
    # without it there is nothing that refers to it
    network = _uid(here["networks"]["blue"]) if "blue" in here["networks"] else ""
    found += _balancers(network, here, there)
    found += _gateways(network, here, there)
    found += _interfaces(here["networkinterfaces"], there["networkinterfaces"], here["virtualips"], there["ips"])
    return found


def _balancers(network: str, here: Mapping[str, Documents], there: Mapping[str, Documents]) -> Iterator[str]:
    for name, one in here["loadbalancers"].items():
        target, routing = there["loadbalancers"][_uid(one)], there["loadbalancerroutings"][_uid(one)]
        wanted = here["loadbalancerroutings"].get(name, {})
        facts = {
            "network": target["spec"].get("networkRef") == {"name": network},
            "ports": target["spec"].get("ports") == one["spec"].get("ports"),
            "destinations": _ips(routing.get("destinations")) == _ips(wanted.get("destinations")),
            "owner": _owners(routing) == [_uid(target)],
            "address": _reported(one) == _ips(target["spec"].get("ips")) != [],
        }
        yield from (f"{name}: {what}" for what, holds in facts.items() if not holds)


def _gateways(network: str, here: Mapping[str, Documents], there: Mapping[str, Documents]) -> Iterator[str]:
    for name, one in here["natgateways"].items():
        target, scaler = there["natgateways"][_uid(one)], there["natgatewayautoscalers"][_uid(one)]
        facts = {
            "network": target["spec"].get("networkRef") == {"name": network},
            "ports": target["spec"].get("portsPerNetworkInterface")
            == one["spec"].get("portsPerNetworkInterface", 2048),
            "owner": _owners(scaler) == [_uid(target)],
            "address": _reported(one) == _ips(target["spec"].get("ips")) != [],
        }
        yield from (f"{name}: {what}" for what, holds in facts.items() if not holds)


def _networks(world: Place, here: Documents, there: Documents) -> Iterator[str]:
    for name, one in here.items():
        target = there[_uid(one)]
        number = target["spec"].get("id", "")
        id_ = ProviderID.network(
            world.generation.scheme, namespace=world.target, name=_uid(one), id=number, uid=_uid(target)
        )
        state = one.get("status", {}).get("state")
        if not number or one["spec"].get("providerID") != str(id_) or state != "Available":
            yield f"{name}: {number} {one['spec'].get('providerID')} {state}"


def _interfaces(nics: Documents, machines: Documents, vips: Documents, ips: Documents) -> Iterator[str]:
    """Interfaces, the machines' and the addresses: who has which, told the same by all four objects."""
    holders: dict[str, str] = {}
    held = set[str]()
    for name, one in nics.items():
        machine = machines[f"machine-{name.removeprefix('nic-')}"]
        wanted = _wanted(one)
        address = ips[_uid(vips[wanted])]["spec"].get("ip", "") if wanted else ""
        if wanted:
            holders[wanted] = _uid(one)
        held.add(machine["metadata"]["name"])
        status, prefixes = one.get("status", {}), [each["value"] for each in one["spec"].get("prefixes", ())]
        marks = {**machine["metadata"].get("labels", {}), **machine["metadata"].get("annotations", {})}
        facts = {
            "origin": _uid(one) in marks.values(),
            "public": _ips(machine["spec"].get("publicIPs")) == ([address] if address else []),
            "prefixes": machine["spec"].get("prefixes") == prefixes == status.get("prefixes"),
            "status": (status.get("state"), status.get("ips")) == ("Available", ["10.0.0.1"]),
            "address": status.get("virtualIP", "") == address and bool(address) == bool(wanted),
        }
        yield from (f"{name}: {what}" for what, holds in facts.items() if not holds)
    for name, vip in vips.items():
        ip = ips[_uid(vip)]["spec"]
        target = (vip["spec"].get("targetRef") or {}).get("uid")
        if not ip.get("ip") or vip.get("status", {}).get("ip") != ip["ip"] or target != holders.get(name):
            yield f"{name}: {ip.get('ip')} {vip.get('status')} {target} of {holders.get(name)}"
        if bool(ip.get("claimRef")) != (name in holders):
            yield f"{name}: claimed {ip.get('claimRef')}"
    for name, machine in machines.items():
        spec = machine["spec"]
        if name not in held and (spec.get("publicIPs") or spec.get("prefixes") or machine["metadata"].get("labels")):
            yield f"{name} is of nobody and not bare"


def _uid(document: Document) -> str:
    return str(document["metadata"]["uid"])


def _is_going(document: Document) -> bool:
    return bool(document["metadata"].get("deletionTimestamp"))


def _owners(document: Document) -> list[str]:
    return [str(one["uid"]) for one in document["metadata"].get("ownerReferences", ())]


def _ips(entries: Any) -> list[str]:
    return [str(one["ip"]) for one in entries or () if one.get("ip")]


def _reported(document: Document) -> list[str]:
    return document.get("status", {}).get("ips") or []


def _wanted(nic: Document) -> str:
    return str(((nic["spec"].get("virtualIP") or {}).get("virtualIPRef") or {}).get("name", ""))
