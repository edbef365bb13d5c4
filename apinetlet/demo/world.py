"""Two clusters in the process: the source cluster of users and the api-net cluster of the data plane."""

import random
from collections.abc import Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from attrs import define, field

from apinetlet.api import Generation, Kinds, networking
from apinetlet.api import apinet as api
from apinetlet.demo import apinet
from apinetlet.demo.actors import ACTORS, staff
from apinetlet.demo.actors import USER_AGENT as ACTORS_AGENT
from apinetlet.demo.apinet import Supply
from apinetlet.demo.definitions import source_kinds
from reconcile import Manager, Seconds
from reconcile.kube import MergePatch, Object, ObjectKey, Resource
from reconcile.kube.kinds import NAMESPACE
from reconcile.testing.apiserver import ApiServer
from reconcile.testing.apiserver import Settings as ServerSettings

TARGET_NAMESPACE = "apinet"
DAEMON = "apinetlet"
"""The user agent of the daemon's clients, by which its writes are counted."""


@define
class World:
    """Both servers, and what a user and an operator do to them. Enter it with ``async with``."""

    generation: Generation
    seed: int = 0
    highest_id: int = Supply().highest_id
    prefixes: tuple[str, ...] = Supply().prefixes
    """The public ones, of which the api-net cluster hands out addresses."""
    garbage_collection: bool = True
    """Whether either cluster deletes what has lost its owners."""
    shared: bool = False
    """Whether one server is both clusters."""
    audit: int = 200_000
    """So many requests of each server can be counted."""
    history: int = ServerSettings().history
    """So many changes of each kind can be watched again."""
    source: ApiServer = field(init=False)
    apinet: ApiServer = field(init=False)
    kinds: Kinds = field(init=False)
    at_source: Mapping[str, Resource[Object]] = field(init=False)
    """Every kind of the source cluster by its plural, untyped."""
    at_apinet: Mapping[str, Resource[Object]] = field(init=False)
    """Every kind of the api-net cluster by its plural, untyped."""
    _stack: AsyncExitStack = field(factory=AsyncExitStack, init=False)

    def __attrs_post_init__(self) -> None:
        self.kinds = Kinds.of(self.generation)
        # two servers draw from two streams, so that no uid of one is a uid of the other
        settings = ServerSettings(garbage_collection=self.garbage_collection, audit=self.audit, history=self.history)
        rng = random.Random(f"apinet {self.seed}")
        sources = source_kinds(self.generation)
        targets = apinet.kinds(self.generation, rng, Supply(highest_id=self.highest_id, prefixes=self.prefixes))
        if self.shared:
            self.source = self.apinet = ApiServer((*sources, *targets), rng=rng, settings=settings)
        else:
            self.source = ApiServer(sources, rng=random.Random(f"source {self.seed}"), settings=settings)
            self.apinet = ApiServer(targets, rng=rng, settings=settings)
        self.at_source = {kind.resource.plural: kind.resource for kind in sources}
        self.at_apinet = {kind.resource.plural: kind.resource for kind in targets}

    async def __aenter__(self) -> Self:
        for server in self.servers:
            await self._stack.enter_async_context(server)
        await self.apinet.client().create(NAMESPACE, {"metadata": {"name": TARGET_NAMESPACE}})
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._stack.__aexit__(kind, error, trace)

    @property
    def servers(self) -> tuple[ApiServer, ...]:
        """Both, or the one that is both."""
        return (self.source,) if self.shared else (self.source, self.apinet)

    def staff(self, *names: str, pace: Seconds = 0.1) -> Manager:
        """Those who work in both clusters besides the daemon, or some of them; enter it and they do."""
        source, target = (server.client(user_agent=ACTORS_AGENT) for server in (self.source, self.apinet))
        only = names or tuple(ACTORS)
        rng = random.Random(f"actors {self.seed}")
        return staff(self.generation, source, target, namespace=TARGET_NAMESPACE, only=only, pace=pace, rng=rng)

    # -- what users do ---------------------------------------------------------------------------------------------

    async def declare(
        self, plural: str, name: str, spec: Mapping[str, Any], *, namespace: str = "default", **metadata: Any
    ) -> Object:
        """A user declares an object."""
        body = {"metadata": {"name": name, **metadata}, "spec": spec}
        return await self.source.client().create(self.at_source[plural], body, namespace=namespace)

    async def change(self, plural: str, name: str, spec: Mapping[str, Any], *, namespace: str = "default") -> None:
        """A user changes an object; what is ``None`` goes."""
        key = ObjectKey(namespace, name)
        await self.source.client().patch(self.at_source[plural], key, MergePatch({"spec": spec}))

    async def label(self, plural: str, name: str, labels: Mapping[str, str], *, namespace: str = "default") -> None:
        """A user gives an object more labels."""
        key = ObjectKey(namespace, name)
        await self.source.client().patch(self.at_source[plural], key, MergePatch({"metadata": {"labels": labels}}))

    async def delete(self, plural: str, name: str, *, namespace: str = "default") -> None:
        """A user deletes an object; it stays until its counterpart is gone."""
        await self.source.client().delete(self.at_source[plural], ObjectKey(namespace, name))

    async def take_away(self, plural: str, name: str) -> None:
        """An operator deletes an api-net object by hand."""
        await self.apinet.client().delete(self.at_apinet[plural], ObjectKey(TARGET_NAMESPACE, name))

    async def create_network(self, name: str, *, namespace: str = "default", **metadata: Any) -> networking.Network:
        """A user declares a network."""
        body = {"metadata": {"name": name, **metadata}, "spec": {}}
        return await self.source.client().create(self.kinds.network, body, namespace=namespace)

    async def delete_network(self, name: str, *, namespace: str = "default") -> None:
        """A user deletes a network; it stays until its counterpart is gone."""
        await self.source.client().delete(self.kinds.network, ObjectKey(namespace, name))

    async def delete_counterpart(self, network: networking.Network) -> None:
        """An operator deletes the api-net Network by hand."""
        key = ObjectKey(TARGET_NAMESPACE, network.metadata.uid)
        await self.apinet.client().delete(self.kinds.apinet_network, key)

    # -- what is there ---------------------------------------------------------------------------------------------

    def declared(self, plural: str) -> dict[str, Object]:
        """Source objects by name."""
        return {one.metadata.name: one for one in self.source.objects(self.at_source[plural])}

    def there(self, plural: str) -> dict[str, Object]:
        """Api-net objects by name."""
        return {one.metadata.name: one for one in self.apinet.objects(self.at_apinet[plural])}

    @property
    def networks(self) -> list[networking.Network]:
        """The networks of all users."""
        return self.source.objects(self.kinds.network)

    @property
    def counterparts(self) -> list[api.Network]:
        """The networks of the data plane."""
        return self.apinet.objects(self.kinds.apinet_network)

    @property
    def writes(self) -> int:
        """What the daemon wrote to both sides, Events and Leases apart."""
        return sum(
            one.user_agent == DAEMON and not one.resource.startswith(("events", "leases"))
            for server in self.servers
            for one in server.writes()
        )
