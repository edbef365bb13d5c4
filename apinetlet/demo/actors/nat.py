"""NAT gateways of the api-net cluster: how many addresses they have, and who sends from which.

Plays the autoscaler, the gateway controller, and the one that frees interfaces whose gateway is gone. Source: these
controllers of the Go api-net servers; like theirs, the first generation's takes interfaces of any network.
"""

from typing import Any

from attrs import frozen

from apinetlet.api import IRONCORE
from apinetlet.demo import checks
from apinetlet.demo.actors.desk import (
    APINET,
    GATEWAY,
    NETWORK,
    Desk,
    document,
    gateways_of,
    goes,
    key_of,
    look,
    network_of,
    owned_by,
    owners_of,
    requests,
    sees,
    spec_of,
)
from apinetlet.demo.actors.slots import Target, desired, slots_of, table
from reconcile import DONE, Controller, For, Object, ObjectKey, Owns, Request, Result, Watches, enqueue_by
from reconcile.controller.predicate import exactly
from reconcile.controller.source import AnySource
from reconcile.kube import MergePatch

_WAYS = ("publicIPs", "natGateways")
"""By which an interface sends what it sends to the outside."""
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


@frozen
class Autoscaler:
    """Gives a gateway entries for addresses, and takes the newest away."""

    desk: Desk

    async def reconcile(self, request: Request) -> Result:
        desk = self.desk
        scaler = desk.there("natgatewayautoscalers", request.key)
        if scaler is None or scaler.metadata.is_deleting:
            return DONE
        gateway = desk.there("natgateways", key_of(scaler, look(scaler, "spec", "natGatewayRef", "name") or ""))
        if gateway is None or gateway.metadata.is_deleting:
            return DONE
        ips, bounds = look(gateway, "spec", "ips") or [], look(scaler, "spec")
        count = desired(
            len(ips),
            look(gateway, "status", "requestedNATIPs") or 0,
            look(gateway, "spec", "portsPerNetworkInterface") or 0,
            lowest=bounds.get("minPublicIPs"),  # 0 is a bound, too
            highest=bounds.get("maxPublicIPs"),
        )
        if count != len(ips):
            new = [{"name": "".join(desk.rng.choices(_LETTERS, k=10))} for _ in range(count - len(ips))]
            metadata = {"resourceVersion": gateway.metadata.resource_version}
            await desk.apinet.patch(gateway, MergePatch({"metadata": metadata, "spec": {"ips": [*ips[:count], *new]}}))
        return DONE


def _demand(gateway: Object) -> tuple[Any, ...]:
    """What the autoscaler sees of a gateway."""
    return spec_of(gateway), look(gateway, "status", "requestedNATIPs")


@frozen
class Gateways:
    """Claims interfaces for a gateway, writes who sends from where, and counts."""

    desk: Desk

    async def reconcile(self, request: Request) -> Result:
        desk = self.desk
        gateway = desk.there("natgateways", request.key)
        known = desk.there("nattables", request.key)
        if gateway is None:
            if known is not None:
                await desk.apinet.delete(known)
            return DONE
        ports = look(gateway, "spec", "portsPerNetworkInterface") or 0
        if gateway.metadata.is_deleting or not ports or not slots_of(ports):
            return DONE
        addresses = [one["ip"] for one in look(gateway, "spec", "ips") or () if one.get("ip")]
        fitting = [one for one in self._interfaces(gateway) if self._fits(one, gateway)]
        wanted = [one for one in fitting if self._claimer(one, gateway) in (None, gateway.metadata.uid)]
        wanted.sort(key=lambda one: self._claimer(one, gateway) is None)  # who has a place comes first
        found = table(addresses, ports, [self._target(one, gateway) for one in wanted], look(known, "ips") or ())
        served = {section["targetRef"]["uid"] for ip in found for section in ip["sections"]}
        for one in wanted:
            if (now := desk.there("networkinterfaces", one.metadata.key)) is not None and self._fits(now, gateway):
                await self._claim(now, gateway, is_served=now.metadata.uid in served)
        stay = {one.metadata.uid for one in wanted}
        for one in desk.all_there("networkinterfaces", GATEWAY, gateway.metadata.key):
            if self._claimer(one, gateway) == gateway.metadata.uid and one.metadata.uid not in stay:
                await self._claim(one, gateway, is_served=False)
        if found or known is not None:
            owner = owned_by(gateway, desk.at_apinet["natgateways"])
            await desk.apinet.apply(document(desk.at_apinet["nattables"], request.key, owner, ips=found))
        counts = {"usedNATIPs": len(served), "requestedNATIPs": len(wanted)}
        if {name: look(gateway, "status", name) or 0 for name in counts} != counts:
            await desk.apinet.patch_status(gateway, MergePatch({"status": counts}))
        return DONE

    def _interfaces(self, gateway: Object) -> list[Object]:
        if self.desk.generation is IRONCORE:
            return self.desk.all_there("networkinterfaces", NETWORK, network_of(gateway))
        store = self.desk.apinet.store(self.desk.at_apinet["networkinterfaces"])
        return store.list(gateway.metadata.namespace)

    def _fits(self, interface: Object, gateway: Object) -> bool:
        """It has an address of the family, no public one, and stays."""
        family = look(gateway, "spec", "ipFamily")
        public = [one.get("ipFamily") for one in look(interface, "spec", "publicIPs") or ()]
        return (
            self._own_address(interface, family) != "" and family not in public and not interface.metadata.is_deleting
        )

    def _own_address(self, interface: Object, family: str) -> str:
        return next((ip for ip in look(interface, "spec", "ips") or () if checks.family_of(ip) == family), "")

    def _claimer(self, interface: Object, gateway: Object) -> str | None:
        """The uid of the gateway that has an interface, in the family of this one."""
        family = look(gateway, "spec", "ipFamily")
        claims = [one for one in look(interface, "spec", "natGateways") or () if one.get("ipFamily") == family]
        return claims[0]["claimRef"]["uid"] if claims else None

    def _target(self, interface: Object, gateway: Object) -> Target:
        ip = self._own_address(interface, look(gateway, "spec", "ipFamily"))
        node = look(interface, "spec", "nodeRef", "name")
        return Target(interface.metadata.uid, interface.metadata.name, node, ip)

    async def _claim(self, interface: Object, gateway: Object, *, is_served: bool) -> None:
        family, before = look(gateway, "spec", "ipFamily"), look(interface, "spec", "natGateways") or []
        after = [one for one in before if one.get("ipFamily") != family]
        if is_served:
            claim = {"name": gateway.metadata.name, "uid": gateway.metadata.uid}
            after.append({"ipFamily": family, "claimRef": claim})
        await _set_gateways(self.desk, interface, before, after)


@frozen
class Release:
    """Takes claims of gateways that are gone off an interface."""

    desk: Desk

    async def reconcile(self, request: Request) -> Result:
        interface = self.desk.there("networkinterfaces", request.key)
        if interface is None or interface.metadata.is_deleting:
            return DONE
        before = look(interface, "spec", "natGateways") or []
        await _set_gateways(self.desk, interface, before, [one for one in before if self._lives(interface, one)])
        return DONE

    def _lives(self, interface: Object, claim: dict[str, Any]) -> bool:
        gateway = self.desk.there("natgateways", key_of(interface, claim["claimRef"]["name"]))
        return gateway is not None and gateway.metadata.uid == claim["claimRef"]["uid"]


async def _set_gateways(desk: Desk, interface: Object, before: list[Any], after: list[Any]) -> None:
    if before != after:
        metadata = {"resourceVersion": interface.metadata.resource_version}
        await desk.apinet.patch(interface, MergePatch({"metadata": metadata, "spec": {"natGateways": after}}))


def autoscaler(desk: Desk) -> list[Controller]:
    """How many addresses gateways have."""
    scalers = desk.at_apinet["natgatewayautoscalers"]

    def scaling(gateway: Object) -> list[Request]:
        return requests(APINET, desk.apinet.store(scalers).keys_by(GATEWAY, gateway.metadata.key))

    sources: list[AnySource] = [
        For(desk.apinet, scalers, sees(spec_of)),
        Watches(desk.apinet, desk.at_apinet["natgateways"], enqueue_by(scaling), sees(_demand)),
    ]
    return [desk.controller("nat-autoscaler", Autoscaler(desk), sources)]


def gateways(desk: Desk) -> list[Controller]:
    """Who sends from which address, and what becomes of it when the gateway goes."""
    kind, interfaces = desk.at_apinet["natgateways"], desk.at_apinet["networkinterfaces"]

    def around(interface: Object) -> list[Request]:
        """Who has claimed an interface, and who might."""
        store, near = desk.apinet.store(kind), list[ObjectKey]()
        taken = {one.get("ipFamily") for name in _WAYS for one in look(interface, "spec", name) or ()}
        if any(checks.family_of(ip) not in taken for ip in look(interface, "spec", "ips") or ()):
            near = store.keys_by(NETWORK, network_of(interface)) if desk.generation is IRONCORE else store.keys()
        return requests(APINET, dict.fromkeys([*near, *gateways_of(interface)]))

    def claimed(gateway: Object) -> list[Request]:
        return requests(APINET, desk.apinet.store(interfaces).keys_by(GATEWAY, gateway.metadata.key))

    return [
        desk.controller(
            "nat-gateways",
            Gateways(desk),
            [
                For(desk.apinet, kind, sees(spec_of)),
                Owns(desk.apinet, desk.at_apinet["nattables"], sees(owners_of)),
                Watches(desk.apinet, interfaces, enqueue_by(around), sees(spec_of)),
            ],
        ),
        desk.controller(
            "nat-release",
            Release(desk),
            [
                For(desk.apinet, interfaces, sees(lambda one: look(one, "spec", "natGateways"))),
                Watches(desk.apinet, kind, enqueue_by(claimed), exactly(goes)),
            ],
        ),
    ]
