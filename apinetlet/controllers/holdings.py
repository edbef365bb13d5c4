"""What a source NetworkInterface holds on both sides: an interface of the data plane, and a VirtualIP.

Found by indexes, whoever recorded it; ``apinetlet.claims`` decides about each. Letting go of something that is gone is
fine, and what is not ours to write is left as it is.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from attrs import define, field, frozen

from apinetlet import claims
from apinetlet.api import apinet, networking
from apinetlet.claims import Move
from apinetlet.controllers.bridge import Bridge, Mapped
from apinetlet.controllers.virtualip import TARGET
from apinetlet.origin import Origin, Origins
from apinetlet.translate import networkinterface as translate
from reconcile import KubeError, NotFound, ObjectKey
from reconcile.kube.objects import BadObject


@frozen
class Holdings:
    """All of it, in both clusters."""

    bridge: Bridge
    mapped: Mapped[networking.NetworkInterface]

    def of(self, key: ObjectKey) -> bool:
        """Whether anything is recorded for an interface of that key."""
        return bool(self._interfaces(key) or self._vips(key))

    async def release_all(self, key: ObjectKey, *, uid: str = "") -> None:
        """Let go of what the interface of that key holds; with ``uid`` only of what that very one does.

        What it lists goes first: nobody is offered an address that is still in use.
        """
        for found in self._interfaces(key):
            if (origin := self._origins.of(found.metadata)) and uid in ("", origin.uid):
                await self._release(found)
        for vip in self._vips(key):
            if (holder := claimer(vip)) and uid in ("", holder.uid):
                await self._unclaim(vip)

    async def release_others(self, nic: networking.NetworkInterface, target: apinet.NetworkInterface | None) -> None:
        """Let go of every interface that is not ``target``, the one that the provider ID names."""
        for found in self._interfaces(nic.metadata.key):
            if target is not None and found.metadata.uid == target.metadata.uid:
                continue
            if await self.move(self._origins.of(found.metadata), nic, wanted=False) is Move.RELEASE:
                await self._release(found)

    async def unclaim_others(self, nic: networking.NetworkInterface) -> None:
        """Let go of every VirtualIP that is not the one it wants."""
        for vip in self._vips(nic.metadata.key):
            if vip.metadata.name == translate.virtual_ip(nic):
                continue
            if await self.move(claimer(vip), nic, wanted=False) is Move.RELEASE:
                await self._unclaim(vip)

    async def move(
        self, holder: Origin | None, nic: networking.NetworkInterface, *, wanted: bool, adoptable: bool = True
    ) -> Move:
        """What ``nic`` does about something that ``holder`` holds; whether that one lives is known by then."""
        move = claims.move(holder, nic.metadata, wanted=wanted, adoptable=adoptable)
        if move is not Move.ASK or holder is None:
            return move
        return claims.after_asking(lives=await self._lives(holder), wanted=wanted, adoptable=adoptable)

    async def _lives(self, holder: Origin) -> bool:
        """Whether the interface that holds something is there. Only its end needs the word of the server."""
        if not self.bridge.eligibility.watches(holder.namespace):
            return True
        known = self.bridge.source.store(self.mapped.source).meta(holder.key)
        if known is not None and known.uid == holder.uid:
            return True
        return await self.bridge.live_uid(self.mapped.source, holder.key) == holder.uid

    async def _release(self, found: apinet.NetworkInterface) -> None:
        with suppress(NotFound):  # then it is gone, and its addresses with it
            await self.bridge.apinet.patch(found, translate.release(found, self._origins))

    async def _unclaim(self, vip: networking.VirtualIP) -> None:
        if vip.metadata.is_deleting or not self.bridge.eligibility.admits(vip.metadata):
            return
        with suppress(NotFound):  # then nobody can claim it any more
            await self.bridge.source.patch(vip, translate.unclaim(vip))

    @property
    def _origins(self) -> Origins:
        return self.bridge.origins(self.mapped.source.kind)

    def _interfaces(self, key: ObjectKey) -> list[apinet.NetworkInterface]:
        return self.bridge.made_for(self.bridge.kinds.apinet_network_interface, key)

    def _vips(self, key: ObjectKey) -> list[networking.VirtualIP]:
        return self.bridge.source.store(self.bridge.kinds.virtual_ip).by(TARGET, key)


def claimer(vip: networking.VirtualIP) -> Origin | None:
    """The interface that has claimed ``vip``."""
    target = vip.spec.target_ref
    return None if target is None or not target.uid else Origin(vip.metadata.namespace, target.name, target.uid)


@define
class Trouble:
    """What went wrong in parts of a pass. The other parts go on; at the end all of it is raised."""

    errors: list[Exception] = field(factory=list)

    def add(self, error: Exception) -> None:
        self.errors.append(error)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Put an error of this part aside."""
        try:
            yield
        except (KubeError, BadObject) as error:
            self.add(error)

    def end(self) -> None:
        """Raise what there is: one error as itself."""
        if len(self.errors) == 1:
            raise self.errors[0]
        if self.errors:
            raise ExceptionGroup("several parts of the interface failed", self.errors)
