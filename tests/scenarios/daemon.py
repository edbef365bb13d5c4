"""The daemon between two embedded servers, as the scenario tests start it: nothing of it is faked."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from attrs import define, evolve, field

from apinetlet.api import Generation, apinet, networking
from apinetlet.api.networking import NetworkState
from apinetlet.assembly import assemble
from apinetlet.demo.world import DAEMON, TARGET_NAMESPACE, World
from apinetlet.origin import Origins
from apinetlet.settings import Settings
from provider import ProviderID
from reconcile import Client, Manager
from reconcile.kube import MergePatch, ObjectKey, ObjectMeta
from reconcile.kube.kinds import EVENT
from reconcile.testing.faults import FaultyTransport

PATIENCE = 200.0
"""Virtual seconds in which everything comes to rest: longer than the longest backoff and poll."""


@define(eq=False)
class Lab:
    """Two servers, and a daemon that can be started and stopped. Users and operators go to ``world``."""

    world: World
    settings: Settings = field(factory=lambda: Settings(api_net_namespace=TARGET_NAMESPACE))
    to_source: FaultyTransport = field(init=False)
    to_apinet: FaultyTransport = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.to_source = FaultyTransport(self.world.source.transport(user_agent=DAEMON))
        self.to_apinet = FaultyTransport(self.world.apinet.transport(user_agent=DAEMON))

    @property
    def generation(self) -> Generation:
        return self.world.generation

    @asynccontextmanager
    async def daemon(self, **settings: Any) -> AsyncIterator[Manager]:
        """The daemon, for as long as the block lasts."""
        manager = self.generation.field_manager
        daemon = assemble(
            evolve(self.settings, **settings),
            self.generation,
            Client(self.to_source, field_manager=manager),
            Client(self.to_apinet, field_manager=manager),
        )
        async with daemon:
            yield daemon

    async def rest(self, seconds: float = PATIENCE) -> None:
        """Let so much virtual time pass."""
        await anyio.sleep(seconds)

    # -- what is there ---------------------------------------------------------------------------------------------

    def network(self, name: str, namespace: str = "default") -> networking.Network:
        """A network that is there; fails if it is not."""
        [found] = [one for one in self.world.networks if one.metadata.key == ObjectKey(namespace, name)]
        return found

    def counterpart(self, network: networking.Network) -> apinet.Network:
        """The one counterpart of a network."""
        [found] = [one for one in self.world.counterparts if one.metadata.name == network.metadata.uid]
        return found

    def state(self, name: str, namespace: str = "default") -> NetworkState | None:
        return self.network(name, namespace).status.state

    def expected_provider_id(self, network: networking.Network) -> str:
        target = self.counterpart(network)
        return str(
            ProviderID.network(
                self.generation.scheme,
                namespace=TARGET_NAMESPACE,
                name=network.metadata.uid,
                id=target.spec.id,
                uid=target.metadata.uid,
            )
        )

    def events(self) -> list[str]:
        """The reasons of all Events."""
        return [str(event["reason"]) for event in self.world.source.objects(EVENT)]

    def versions(self) -> dict[tuple[str, str], str]:
        """The resource version of every network on both sides."""
        sides = (
            ("source", [one.metadata for one in self.world.networks]),
            (
                "apinet",
                [one.metadata for one in self.world.counterparts],
            ),
        )
        return {(side, meta.uid): meta.resource_version for side, metas in sides for meta in metas}

    # -- what others do --------------------------------------------------------------------------------------------

    async def dangling(self, *, name: str = "left-over", **changes: dict[str, str]) -> apinet.Network:
        """An api-net Network made for a source that does not exist; ``changes`` replace its labels or annotations."""
        source = ObjectMeta(namespace="default", name="nobody", uid="no-such-uid")
        metadata = {**Origins(self.generation, "Network").metadata(source), **changes, "name": name}
        return await self.world.apinet.client().create(
            self.world.kinds.apinet_network, {"metadata": metadata}, namespace=TARGET_NAMESPACE
        )

    async def label(self, name: str, labels: dict[str, str | None]) -> None:
        """A user sets labels of a network, or takes them away (``None``)."""
        patch = MergePatch({"metadata": {"labels": labels}})
        await self.world.source.client().patch(self.world.kinds.network, self.network(name).metadata.key, patch)

    async def set_finalizers(
        self, server: str, obj: networking.Network | apinet.Network, finalizers: list[str]
    ) -> None:
        """Somebody else edits the finalizers of an object; the last one gone, it goes if it is being deleted."""
        patch = MergePatch({"metadata": {"finalizers": finalizers}})
        if server == "source":
            await self.world.source.client().patch(self.world.kinds.network, obj.metadata.key, patch)
        else:
            await self.world.apinet.client().patch(self.world.kinds.apinet_network, obj.metadata.key, patch)


@asynccontextmanager
async def lab(generation: Generation, **world: Any) -> AsyncIterator[Lab]:
    """An empty pair of clusters."""
    async with World(generation, **world) as both:
        yield Lab(both)
