"""Claims the interface of the data plane that a source NetworkInterface names, and mirrors its state.

Reads as its decision table: gone, deleting, not ours, mapped. The interface and the VirtualIP have one holder each
(``apinetlet.claims``). What the interface lists goes first and the claim of the VirtualIP after it, so that nobody is
offered an address that is still in use.
"""

from collections.abc import Callable
from random import Random
from typing import Any

from attrs import define, evolve, field

from apinetlet.api import Generation, apinet, networking
from apinetlet.claims import Move
from apinetlet.controllers.bridge import Bridge, Mapped
from apinetlet.controllers.guarded import guarded
from apinetlet.controllers.holdings import Holdings, Trouble, claimer
from apinetlet.controllers.indexes import UID
from apinetlet.controllers.refusals import is_refusal
from apinetlet.controllers.virtualip import target_keys
from apinetlet.origin import Origin
from apinetlet.translate import networkinterface as translate
from apinetlet.translate.networkinterface import Wants
from reconcile import (
    DONE,
    Change,
    Conflict,
    Controller,
    ControllerSettings,
    For,
    Index,
    KubeError,
    NotFound,
    ObjectKey,
    Request,
    Result,
    Watches,
)
from reconcile.core.clock import utc
from reconcile.kube import finalizers

KIND = "NetworkInterface"
VIRTUAL_IP, PREFIX, NAMED = "virtual IP", "prefix", "named"
"""The indexes over source interfaces: by the key of what each wants, and by the uid that its provider ID names."""


@define(eq=False)
class NetworkInterfaceReconciler:
    """Brings one source NetworkInterface and the interface that it names to agree."""

    bridge: Bridge
    mapped: Mapped[networking.NetworkInterface]
    _told: dict[ObjectKey, str] = field(factory=dict, init=False)
    """The provider IDs of which was told that nothing is there, so that it is told once."""

    async def reconcile(self, request: Request) -> Result:
        nic = self.bridge.source.store(self.mapped.source).get(request.key)
        if nic is None:
            return await self._forget(request.key)
        if nic.metadata.is_deleting:
            return await self._finalize(nic)
        if not self.bridge.maps(self.mapped, nic):
            return DONE
        return await self._map(nic)

    @property
    def _holdings(self) -> Holdings:
        return Holdings(self.bridge, self.mapped)

    # -- ends ------------------------------------------------------------------------------------------------------

    async def _forget(self, key: ObjectKey) -> Result:
        self._told.pop(key, None)
        if self._holdings.of(key) and await self.bridge.is_gone(self.mapped.source, key):
            await self._holdings.release_all(key)
        return DONE

    async def _finalize(self, nic: networking.NetworkInterface) -> Result:
        if not finalizers.has(nic, self.bridge.generation.finalizer(KIND)):
            return DONE
        await self._holdings.release_all(nic.metadata.key, uid=nic.metadata.uid)
        await self.bridge.let_go(self.mapped, nic)
        return DONE

    # -- what is mapped --------------------------------------------------------------------------------------------

    async def _map(self, nic: networking.NetworkInterface) -> Result:
        trouble = Trouble()
        held = await self.bridge.hold(self.mapped, nic)
        is_new, nic = held is not nic, held
        target = await self._target(nic)
        await self._holdings.release_others(nic, target)
        wants = Wants(None, None)
        with trouble.aside():
            wants = evolve(wants, public_ips=await self._public_ips(nic))
        with trouble.aside():
            wants = evolve(wants, prefixes=translate.prefixes(nic, self._prefix_of(nic)))
            for fault in translate.faults(nic, self._prefix_of(nic)):
                self.bridge.warn(nic, "InvalidPrefix", fault)
        target = await self._update(nic, target, wants, trouble)
        with trouble.aside():
            await self._holdings.unclaim_others(nic)
        await self._report(nic, target, is_new=is_new)
        trouble.end()
        return DONE

    async def _target(self, nic: networking.NetworkInterface) -> apinet.NetworkInterface | None:
        """The interface that the provider ID names, if it is ours or may become ours."""
        origins = self.bridge.origins(KIND)
        uid = translate.named(nic, generation=self.bridge.generation, namespace=self.bridge.namespace)
        for found in self.bridge.apinet.store(self.bridge.kinds.apinet_network_interface).by(UID, uid) if uid else ():
            holder = origins.of(found.metadata)
            match await self._holdings.move(holder, nic, wanted=True, adoptable=not found.metadata.is_deleting):
                case Move.USE | Move.ADOPT:
                    return found
                case Move.WAIT:
                    self._tell_holder(nic, f"interface {found.metadata.name} of the api-net cluster", holder)
        return None

    async def _public_ips(self, nic: networking.NetworkInterface) -> tuple[str, ...]:
        """The address of the VirtualIP that it wants, which it claims; none if it cannot have it yet."""
        bridge, name = self.bridge, translate.virtual_ip(nic)
        vip = bridge.source.store(bridge.kinds.virtual_ip).get(ObjectKey(nic.metadata.namespace, name))
        if vip is None or not translate.is_usable(vip, nic, bridge.generation):
            return ()
        holder = claimer(vip)
        match await self._holdings.move(holder, nic, wanted=True, adoptable=bridge.eligibility.admits(vip.metadata)):
            case Move.USE:
                return translate.addresses(vip)
            case Move.ADOPT:
                try:
                    return translate.addresses(await bridge.source.patch(vip, translate.claim(vip, nic)))
                except NotFound:
                    return ()
            case Move.WAIT:
                self._tell_holder(nic, f"VirtualIP {name}", holder)
        return ()

    async def _update(
        self,
        nic: networking.NetworkInterface,
        target: apinet.NetworkInterface | None,
        wants: Wants,
        trouble: Trouble,
    ) -> apinet.NetworkInterface | None:
        """The interface, claimed and with all it should have. An address that it cannot have delays nothing else."""
        if target is None or target.metadata.is_deleting:
            return target
        origins = self.bridge.origins(KIND)
        try:
            try:
                return await self.bridge.apinet.patch(target, translate.target(target, nic, wants, origins))
            except (NotFound, Conflict):
                raise
            except KubeError as error:
                if not is_refusal(error):
                    raise
                trouble.add(error)
                self.bridge.warn(nic, "PatchRefused", f"the api-net cluster refuses what the interface needs: {error}")
            without = translate.target(target, nic, evolve(wants, public_ips=None), origins)
            return await self.bridge.apinet.patch(target, without)
        except NotFound:
            return None

    async def _report(
        self, nic: networking.NetworkInterface, target: apinet.NetworkInterface | None, *, is_new: bool
    ) -> None:
        patch = translate.status(nic, target, utc())
        await self.bridge.report(nic, patch)
        key, provider_id = nic.metadata.key, nic.spec.provider_id
        if target is not None:
            self._told.pop(key, None)
            return
        told, self._told[key] = self._told.get(key), provider_id
        # after a restart nobody needs to hear again what was so before
        if told != provider_id and (told is not None or is_new or patch is not None):
            what = f"there is no interface for {provider_id} yet" if provider_id else "there is no provider ID yet"
            self.bridge.events.event(nic, "Normal", "NotYetAttached", what)

    def _tell_holder(self, nic: networking.NetworkInterface, what: str, holder: Origin | None) -> None:
        self.bridge.warn(nic, "ClaimedByOther", f"{what} belongs to interface {holder.key if holder else ''}")

    def _prefix_of(self, nic: networking.NetworkInterface) -> Callable[[str], Any]:
        store = self.bridge.source.store(self.bridge.kinds.prefix)
        return lambda name: store.get(ObjectKey(nic.metadata.namespace, name))


# -- watches -----------------------------------------------------------------------------------------------------------


def network_interface_controller(
    bridge: Bridge, settings: ControllerSettings, *, rng: Random | None = None
) -> Controller:
    """The controller and its table of watches."""
    kinds = bridge.kinds
    nics = bridge.source.store(kinds.network_interface)

    def requests(keys: set[ObjectKey]) -> list[Request]:
        return [Request(bridge.source.name, *key) for key in sorted(keys)]

    def wanting_virtual_ip(change: Change[networking.VirtualIP]) -> list[Request]:
        sides = (change.old_object, change.new_object)
        holders = {key for vip in sides if vip is not None for key in target_keys(vip)}
        return requests({*nics.keys_by(VIRTUAL_IP, change.key), *holders})

    def wanting_prefix(change: Change[Any]) -> list[Request]:
        return requests({*nics.keys_by(PREFIX, change.key)})

    def naming(change: Change[apinet.NetworkInterface]) -> list[Request]:
        uids = {entry.meta.uid for entry in (change.old, change.new) if entry is not None}
        return requests({key for uid in uids for key in nics.keys_by(NAMED, uid)})

    sources: list[For[Any] | Watches[Any]] = [
        For(bridge.source, kinds.network_interface),
        Watches(bridge.source, kinds.virtual_ip, wanting_virtual_ip),
        Watches(bridge.source, kinds.prefix, wanting_prefix),
        Watches(bridge.apinet, kinds.apinet_network_interface, bridge.to_source(KIND)),
        Watches(bridge.apinet, kinds.apinet_network_interface, naming),
    ]
    return guarded(
        bridge,
        "networkinterface",
        NetworkInterfaceReconciler(bridge, Mapped(kinds.network_interface, (kinds.apinet_network_interface,))),
        sources,
        settings,
        rng,
        needed_by={kinds.prefix: lambda nic: any(translate.ephemeral_prefixes(nic))},
    )


def by_wants(generation: Generation, namespace: str) -> tuple[Index, ...]:
    """The indexes over source interfaces. ``namespace`` is the one of the api-net cluster."""

    def named(nic: networking.NetworkInterface) -> str | None:
        return translate.named(nic, generation=generation, namespace=namespace) or None

    def virtual_ip(nic: networking.NetworkInterface) -> list[ObjectKey]:
        return [ObjectKey(nic.metadata.namespace, name) for name in [translate.virtual_ip(nic)] if name]

    def prefixes(nic: networking.NetworkInterface) -> list[ObjectKey]:
        return [ObjectKey(nic.metadata.namespace, name) for name in translate.ephemeral_prefixes(nic)]

    return Index(NAMED, named), Index(VIRTUAL_IP, virtual_ip), Index(PREFIX, prefixes)
