"""Keeps one api-net IP per source VirtualIP, and reports its address back.

Reads as its decision table: gone, deleting, not ours, refused, mapped. An address is given back only once nobody uses
it: an IP that something claims is not deleted, and one that nobody claims only as it was seen, for a claim changes it.
"""

from functools import partial
from random import Random
from typing import Any

from attrs import frozen

from apinetlet.api import apinet, networking
from apinetlet.controllers.bridge import Bridge, Mapped
from apinetlet.controllers.guarded import guarded
from apinetlet.controllers.refusals import is_about, is_refusal
from apinetlet.translate import virtualip as translate
from apinetlet.translate.refused import Refused
from reconcile import (
    DONE,
    Controller,
    ControllerSettings,
    For,
    Index,
    KubeError,
    NotFound,
    ObjectKey,
    Request,
    Resource,
    Result,
    Watches,
)

TARGET = "target"
"""The index over VirtualIPs: by the key of the network interface that has claimed each."""


@frozen
class VirtualIPReconciler:
    """Brings one source VirtualIP and its counterpart to agree."""

    bridge: Bridge
    mapped: Mapped[networking.VirtualIP]

    async def reconcile(self, request: Request) -> Result:
        vip = self.bridge.source.store(self.mapped.source).get(request.key)
        if vip is None:
            return await self.bridge.delete_dangling(self.mapped, request.key, end=partial(self._end, None))
        if vip.metadata.is_deleting:
            return await self.bridge.finalize(self.mapped, vip, end=partial(self._end, vip))
        if not self.bridge.maps(self.mapped, vip):
            return DONE
        return await self._map(vip)

    async def _map(self, vip: networking.VirtualIP) -> Result:
        bridge, resource = self.bridge, self.bridge.kinds.apinet_ip
        vip = await bridge.hold(self.mapped, vip)
        waiting = await bridge.delete_stale(self.mapped, vip, end=partial(self._end, vip))
        try:
            body = translate.ip(vip, resource=resource, namespace=bridge.namespace, origins=bridge.origins("VirtualIP"))
        except Refused as refused:
            bridge.warn(vip, refused.reason, str(refused))
            return waiting
        found = bridge.apinet.store(resource).get(ObjectKey(bridge.namespace, vip.metadata.uid))
        if found is not None and not await self._is_fitting(vip, found):
            return Result(requeue_after=bridge.deletion_poll)
        await self._report(vip, await self._apply(vip, body))
        return waiting

    async def _is_fitting(self, vip: networking.VirtualIP, found: apinet.IP) -> bool:
        """Whether an apply can make of ``found`` what is wanted. If not, it ends first; then it can be made anew."""
        if not (field := translate.immutable(vip, found)):
            return True
        resource = self.bridge.kinds.apinet_ip
        return await self.bridge.recreate(vip, resource, found, field, end=partial(self._end, vip))

    async def _apply(self, vip: networking.VirtualIP, body: dict[str, Any]) -> apinet.IP:
        try:
            target: apinet.IP = await self.bridge.apply(body)
            return target
        except KubeError as error:
            if is_refusal(error):
                self.bridge.warn(vip, "AllocationFailed", f"the api-net cluster gives no address: {error}")
            raise

    async def _report(self, vip: networking.VirtualIP, target: apinet.IP) -> None:
        patch = translate.status(vip, target)
        if patch is not None and vip.status.ip:
            self.bridge.warn(vip, "AddressChanged", f"the address is {target.spec.ip} now, and was {vip.status.ip}")
        await self.bridge.report(vip, patch)

    async def _end(self, vip: networking.VirtualIP | None, resource: Resource[apinet.IP], target: apinet.IP) -> bool:
        """Delete an IP that nobody claims. Its release is an event of it, and who claims it knows that it has to go."""
        claim = target.spec.claim_ref
        if claim is not None and not target.metadata.is_deleting and await self._holds(claim):
            if vip is not None:
                who = f"{claim.resource} {claim.name}"
                self.bridge.warn(vip, "StillClaimed", f"{who} of the api-net cluster still uses {target.spec.ip}")
            return False
        return await self.bridge.delete(resource, target, unchanged=True)

    async def _holds(self, claim: apinet.ClaimRef) -> bool:
        """Whether the object that claims an IP is still there. Of a kind that we do not know we believe it."""
        kinds, bridge = self.bridge.kinds, self.bridge
        claiming: tuple[Resource[Any], ...] = (
            kinds.apinet_network_interface,
            kinds.apinet_load_balancer,
            kinds.apinet_nat_gateway,
        )
        resource = next((one for one in claiming if (one.group, one.plural) == (claim.group, claim.resource)), None)
        if resource is None:
            return True
        key = ObjectKey(bridge.namespace, claim.name)
        try:
            holder = await bridge.apinet.client.get(resource, key)
        except NotFound as error:
            return not is_about(error, key)  # a server that lacks the kind says nothing about the object
        return bool(holder.metadata.uid == claim.uid)


def virtual_ip_controller(bridge: Bridge, settings: ControllerSettings, *, rng: Random | None = None) -> Controller:
    """The controller and its table of watches."""
    kinds = bridge.kinds
    sources: list[For[Any] | Watches[Any]] = [
        For(bridge.source, kinds.virtual_ip),
        Watches(bridge.apinet, kinds.apinet_ip, bridge.to_source("VirtualIP")),
    ]
    return guarded(
        bridge,
        "virtualip",
        VirtualIPReconciler(bridge, Mapped(kinds.virtual_ip, (kinds.apinet_ip,))),
        sources,
        settings,
        rng,
    )


def by_target() -> Index:
    """The index ``TARGET``."""
    return Index(TARGET, target_keys)


def target_keys(vip: networking.VirtualIP) -> tuple[ObjectKey, ...]:
    """The interface that has claimed ``vip``: one, or none."""
    target = vip.spec.target_ref
    return () if target is None or not target.name else (ObjectKey(vip.metadata.namespace, target.name),)
