"""Keeps one api-net NetworkPolicy and the rule it comes to per source NetworkPolicy.

Reads as its decision table: gone, deleting, not ours, without a network, refused, to be made anew, mapped. A rule names
its network by uid, so it waits for that of the api-net cluster; what is enforced stays as it is meanwhile.
"""

from collections.abc import Callable, Hashable, Iterable
from random import Random
from typing import Any, TypeAlias

from attrs import frozen

from apinetlet.api import PolicyKinds, apinet, networking
from apinetlet.controllers.bridge import Bridge, Mapped
from apinetlet.controllers.guarded import guarded
from apinetlet.controllers.owned import apply, apply_owned, make_room, ownership, without
from apinetlet.controllers.reference import is_another, network_of, referring
from apinetlet.controllers.selecting import READY, Interest, Place, Selection, place_of
from apinetlet.translate import networkpolicy as translate
from apinetlet.translate import policyrules
from apinetlet.translate.networkpolicy import View
from apinetlet.translate.policyrules import BALANCER, INTERFACE, VIRTUAL_IP
from apinetlet.translate.refused import Refused
from reconcile import DONE, Change, Controller, ControllerSettings, For, ObjectKey, Request, Result, Watches
from reconcile.cache.entry import Entry
from reconcile.controller.predicate import Exactly, Rule, exactly
from reconcile.kube.objects import BadObject

Face: TypeAlias = tuple[list[Place], Hashable]
"""What policies see of an object: where it counts with which labels, and what they make of it."""


@frozen
class NetworkPolicyReconciler:
    """Brings one source NetworkPolicy and its two counterparts to agree."""

    bridge: Bridge
    kinds: PolicyKinds
    expands: bool = True
    """Whether an empty list of peers or ports is written out."""

    @property
    def mapped(self) -> Mapped[networking.NetworkPolicy]:
        return Mapped(self.kinds.source, (self.kinds.target, self.kinds.rule))

    async def reconcile(self, request: Request) -> Result:
        policy = self.bridge.source.store(self.kinds.source).get(request.key)
        if policy is None:
            return await self.bridge.delete_dangling(self.mapped, request.key)
        if policy.metadata.is_deleting:
            return await self.bridge.finalize(self.mapped, policy)
        if not self.bridge.maps(self.mapped, policy):
            return DONE
        return await self._map(policy)

    async def _map(self, policy: networking.NetworkPolicy) -> Result:
        bridge = self.bridge
        policy = await bridge.hold(self.mapped, policy)
        waiting = await bridge.delete_stale(self.mapped, policy)
        if not (network := network_of(bridge, policy)):
            return waiting
        try:
            view = self._view(policy, network)
        except Refused as refused:
            bridge.warn(policy, refused.reason, str(refused))
            return waiting
        self._tell(view)
        differing = translate.differences(view)
        if not await make_room(
            bridge, self.mapped, policy, network=network, differing=differing, costs="it is made anew"
        ):
            return Result(requeue_after=bridge.deletion_poll)
        body = translate.network_policy(view)
        target: apinet.NetworkPolicy = await apply(bridge, policy, body)
        for name in ("ingress", "egress"):
            if getattr(target.spec, name) and name not in body["spec"]:  # none of ours
                target = await without(bridge, target, ("spec", name))
        await self._enforce(view, target)
        return waiting

    async def _enforce(self, view: View, target: apinet.NetworkPolicy) -> None:
        """Apply the rule, once there is a network to name in it."""
        bridge = self.bridge
        key = ObjectKey(bridge.namespace, view.network)
        if (network := bridge.apinet.store(bridge.kinds.apinet_network).get(key)) is None:
            return
        regulated = self._selection(view.source, view.network).interfaces(view.policy.regulated)
        body = translate.network_policy_rule(view, network, regulated, ownership(self.kinds.target, target))
        made: apinet.NetworkPolicyRule = await apply_owned(
            bridge, view.source, self.kinds.rule, body, owner=target, owned_by=self.kinds.target
        )
        for name, live in (
            ("targets", made.targets),
            ("ingressRule", made.ingress_rule),
            ("egressRule", made.egress_rule),
        ):
            if live and name not in body:
                made = await without(bridge, made, (name,))

    def _tell(self, view: View) -> None:
        """What of the policy has no effect."""
        for fault in view.policy.unsupported:
            self.bridge.warn(view.source, "UnsupportedPeer", fault)
        if cut_off := view.policy.isolations:
            why = f"spec.policyTypes names {' and '.join(cut_off)}, and no rule is left for it: that cannot be enforced"
            self.bridge.warn(view.source, "IsolationNotExpressible", why)

    def _view(self, policy: networking.NetworkPolicy, network: str) -> View:
        bridge = self.bridge
        return View(
            policy,
            policy=policyrules.read(policy),
            network=network,
            target=bridge.apinet.store(self.kinds.target).get(ObjectKey(bridge.namespace, policy.metadata.uid)),
            namespace=bridge.namespace,
            kinds=self.kinds,
            generation=bridge.generation,
            find=self._selection(policy, network).addresses,
            expands=self.expands,
        )

    def _selection(self, policy: networking.NetworkPolicy, network: str) -> Selection:
        place, _ = place_of(policy)
        return Selection(self.bridge, place, network)


# -- watches -----------------------------------------------------------------------------------------------------------


def network_policy_controller(
    bridge: Bridge,
    policies: PolicyKinds,
    settings: ControllerSettings,
    *,
    expands: bool = True,
    rng: Random | None = None,
) -> Controller:
    """The controller and its table of watches."""
    kinds, interest = bridge.kinds, Interest(bridge, policies.source)

    def requests(keys: Iterable[ObjectKey]) -> list[Request]:
        return [Request(bridge.source.name, *key) for key in sorted({*keys})]

    def selected(kind: str, face: Callable[[Any], Face | None]) -> Callable[[Change[Any]], list[Request]]:
        """Those who select an object of that kind, before or now, if what they see of it changes."""

        def of(change: Change[Any], entry: Entry | None) -> Face | None:
            try:
                return None if entry is None else face(change.structure(entry) if change.structure else change.object)
            except BadObject:  # nobody sees it
                return None

        def concerned(change: Change[Any]) -> list[Request]:
            before, now = of(change, change.old), of(change, change.new)
            places = [place for one in (before, now) if one is not None for place in one[0]]
            return requests(interest.in_places(kind, places)) if _differ(before, now) else []

        return concerned

    def interface(nic: apinet.NetworkInterface) -> Face | None:
        """One that cannot be reached is not seen."""
        seen = (nic.metadata.uid, nic.spec.ips)
        return (interest.places_of_interface(nic), seen) if nic.status.state == READY else None

    def balancer(one: apinet.LoadBalancer) -> Face:
        return interest.places_of_balancer(one), tuple(entry.ip for entry in one.spec.ips)

    def virtual_ip(vip: networking.VirtualIP) -> Face:
        return [(ObjectKey(vip.metadata.namespace, ""), vip.metadata)], vip.status.ip

    def declared(one: Any) -> Face:
        return [place_of(one)], one.metadata.uid

    def of_network(change: Change[apinet.Network]) -> list[Request]:
        return requests(interest.of_network(change.key.name))

    sources: list[For[Any] | Watches[Any]] = [
        For(bridge.source, policies.source),
        Watches(
            bridge.source,
            kinds.network,
            referring(bridge, policies.source),
            is_another(bridge.generation, bridge.namespace),
        ),
        Watches(bridge.source, kinds.network_interface, selected(INTERFACE, declared)),
        Watches(bridge.source, kinds.load_balancer, selected(BALANCER, declared)),
        Watches(bridge.source, kinds.virtual_ip, selected(VIRTUAL_IP, virtual_ip)),
        Watches(bridge.apinet, policies.target, bridge.to_source("NetworkPolicy")),
        Watches(bridge.apinet, policies.rule, bridge.to_source("NetworkPolicy")),
        Watches(bridge.apinet, kinds.apinet_network, of_network, _is_another_object()),
        Watches(bridge.apinet, kinds.apinet_network_interface, selected(INTERFACE, interface)),
        Watches(bridge.apinet, kinds.apinet_load_balancer, selected(BALANCER, balancer)),
    ]
    reconciler = NetworkPolicyReconciler(bridge, policies, expands)
    return guarded(bridge, "networkpolicy", reconciler, sources, settings, rng)


def _differ(before: Face | None, now: Face | None) -> bool:
    if before is None or now is None:
        return before is not now
    labelled, seen = ([(place, meta.labels) for place, meta in one[0]] for one in (before, now))
    return labelled != seen or before[1] != now[1]


def _is_another_object() -> Exactly:
    """Passes what came, went, or took the name of another one."""

    def uid(entry: Entry | None) -> str:
        return "" if entry is None else entry.meta.uid

    return exactly(Rule("is_another_object", lambda change: uid(change.old) != uid(change.new)))
