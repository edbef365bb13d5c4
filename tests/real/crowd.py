"""Users who change their minds about everything, on real servers.

A crowd declares, changes and deletes objects of all kinds of its generation, and an operator deletes api-net objects by
hand. ``tidy`` puts right what no daemon can.
"""

import random
from collections import Counter
from collections.abc import Mapping
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
ROLES: Final = ("web", "client")
"""What interfaces are, and what policies ask for."""
Document: TypeAlias = Mapping[str, Any]
Documents: TypeAlias = Mapping[str, Document]


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
        blue = await self.world.create("blue")
        for number in range(PLACES):
            spec = {"nodeRef": {"name": "node"}, "networkRef": {"name": blue.metadata.uid}, "ips": [machine_ip(number)]}
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
        match self.rng.choice(self._sorts):
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
                spec = {**NETWORK, "ips": [{"value": machine_ip(name)}], "providerID": str(provider_id), **self._wish()}
                await self._declare(kinds.network_interface, f"nic-{name}", spec, labels=self._role())
            case "policy" if kinds.policies is not None:
                to, others = self.rng.sample(ROLES, 2)
                peer = {"objectSelector": {"kind": "NetworkInterface", "matchLabels": {"role": others}}}
                spec = {**NETWORK, "networkInterfaceSelector": {"matchLabels": {"role": to}}}
                spec |= {"ingress": [{"from": [peer]}], "policyTypes": ["Ingress"]}
                await self._declare(kinds.policies.source, f"policy-{name}", spec)

    async def _delete(self, name: str) -> None:
        kinds = self.world.kinds
        match self.rng.choice(self._sorts):
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
            case "policy" if kinds.policies is not None:
                await self._drop(kinds.policies.source, f"policy-{name}")

    async def _change(self, name: str) -> None:
        kinds, number = self.world.kinds, self.rng.randrange(1, 1000)
        peers = ("peers",) if self.world.generation.has_peerings else ()
        match self.rng.choice(("lb", "routing", "nat", "nic", "role", *peers)):
            case "lb":
                await self._patch(kinds.load_balancer, f"lb-{name}", {"spec": {"ports": [{"port": number}]}})
            case "routing":
                await self._patch(kinds.load_balancer_routing, f"lb-{name}", {"destinations": self._destinations()})
            case "nat":
                ports = {"portsPerNetworkInterface": self.rng.choice((64, 128, 256))}
                await self._patch(kinds.nat_gateway, f"nat-{name}", {"spec": ports})
            case "nic":
                await self._patch(kinds.network_interface, f"nic-{name}", {"spec": self._wish()})
            case "role":
                await self._patch(kinds.network_interface, f"nic-{name}", {"metadata": {"labels": self._role()}})
            case "peers":
                await self._patch(kinds.network, f"net-{name}", {"spec": await self._peers(name)})

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

    def _role(self) -> dict[str, str]:
        return {"role": self.rng.choice(ROLES)}

    async def _peers(self, name: str) -> dict[str, Any]:
        """Networks that one wants as peers, and that want it, too: what their controllers would say is said at once."""
        networks = await documents(self.world, self.world.kinds.network)
        others = sorted(networks.keys() - {f"net-{name}", "blue"})
        chosen = self.rng.sample(others, min(len(others), self.rng.randint(0, 2)))
        claims = [{"name": one, "namespace": self.world.home, "uid": uid(networks[one])} for one in chosen]
        return {"peerings": [{"name": one, "networkRef": {"name": one}} for one in chosen], "incomingPeerings": claims}

    @property
    def _sorts(self) -> tuple[str, ...]:
        """Of what users make and delete."""
        return "net", "vip", "lb", "nat", "nic", *(("policy",) if self.world.kinds.policies is not None else ())

    async def _create(self, kind: Resource[Any], body: Document) -> None:
        await self.world.source.create(kind, body, namespace=self.world.home)

    async def _declare(self, kind: Resource[Any], name: str, spec: Document, **metadata: Any) -> None:
        given = {key: value for key, value in spec.items() if value is not None}
        await self._create(kind, {"metadata": {"name": name, **metadata}, "spec": given})

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
            wanted = wanted_address(one)
            if wanted and (wanted in taken or wanted not in vips or is_going(vips[wanted])):
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
        for kind in of_users(self.world):
            for name in await documents(self.world, kind):
                await self._drop(kind, name)


def machine_ip(machine: int | str) -> str:
    """Of its interface."""
    return f"10.0.0.{int(machine) + 1}"


def of_users(world: Place) -> tuple[Resource[Any], ...]:
    """What users declare, in the order in which they take it away."""
    kinds, policies = world.kinds, world.kinds.policies
    return (
        *((policies.source,) if policies is not None else ()),
        *(kinds.network_interface, kinds.load_balancer, kinds.nat_gateway, kinds.virtual_ip),
        *(kinds.load_balancer_routing, kinds.network),
    )


async def documents(world: Place, kind: Resource[Any]) -> Documents:
    """The objects of a kind by name, whole."""
    here = kind.group == world.generation.networking
    client, namespace = (world.source, world.home) if here else (world.apinet, world.target)
    found = (await client.list(kind, namespace=namespace)).items
    return {one.metadata.name: orjson.loads(one.metadata.raw) for one in found}


def uid(document: Document) -> str:
    return str(document["metadata"]["uid"])


def is_going(document: Document) -> bool:
    return bool(document["metadata"].get("deletionTimestamp"))


def wanted_address(nic: Document) -> str:
    return str(((nic["spec"].get("virtualIP") or {}).get("virtualIPRef") or {}).get("name", ""))
