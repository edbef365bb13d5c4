"""A small world for managers: ConfigMaps with a wish, and a reconciler that grants it."""

from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import anyio
from attrs import define, field

from reconcile.cache.cluster import Cluster
from reconcile.controller.controller import Controller
from reconcile.controller.reconciler import DONE, Request, Result
from reconcile.controller.settings import ControllerSettings
from reconcile.controller.source import For
from reconcile.kube.client import Client, ClientSettings
from reconcile.kube.kinds import CONFIG_MAP
from reconcile.kube.objects import Object, ObjectKey
from reconcile.kube.patch import MergePatch
from reconcile.kube.retry import RetryPolicy
from reconcile.manager.election import LeaderElector
from reconcile.manager.lease import LeaderElection
from reconcile.testing.apiserver.admission import ADMIN, User
from reconcile.testing.apiserver.server import ApiServer
from reconcile.testing.faults import FaultyTransport

ONCE = ClientSettings(call_timeout=3.0, retry=RetryPolicy(attempts=1))


@define(eq=False)
class Side:
    """One cluster of a manager, with the line that leads to its server."""

    server: ApiServer
    line: FaultyTransport
    cluster: Cluster

    @classmethod
    def of(cls, server: ApiServer, name: str = "home", *, user: User = ADMIN) -> "Side":
        line = FaultyTransport(server.transport(user=user, user_agent=f"{name} {user.name}"))
        client = Client(line, settings=ONCE, rng=Random(name))
        return cls(server, line, Cluster(name, client, [CONFIG_MAP], rng=Random(name)))

    def granted(self) -> list[str]:
        """The names of the ConfigMaps whose wish was granted."""
        return [one.metadata.name for one in self.server.objects(CONFIG_MAP) if one.at("data", "granted")]


async def wish(server: ApiServer, *names: str) -> None:
    """Create ConfigMaps with a wish."""
    for name in names:
        meta = {"namespace": "default", "name": name}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"wish": name}}
        await server.client().create(CONFIG_MAP, body)


async def no_pause() -> None:
    """What a reconcile does in between, unless a test wants it to take its time."""


@define(eq=False)
class Granter:
    """Grants each wish once; ``meanwhile`` runs between reading and writing."""

    cluster: Cluster
    meanwhile: Callable[[], Awaitable[Any]] = no_pause
    keys: list[ObjectKey] = field(factory=list)

    async def reconcile(self, request: Request) -> Result:
        self.keys.append(request.key)
        wishing: Object | None = self.cluster.store(CONFIG_MAP).get(request.key)
        if wishing is not None and wishing.at("data", "wish"):
            await self.meanwhile()
            await self.cluster.patch(wishing, MergePatch({"data": {"granted": "yes"}}))
        return DONE

    def controller(self, name: str = "granter", **settings: Any) -> Controller:
        chosen = ControllerSettings(**{"workers": 2, **settings})
        return Controller(name, self, [For(self.cluster, CONFIG_MAP)], chosen, rng=Random(name))


def an_elector(server: ApiServer, identity: str, line: FaultyTransport | None = None) -> LeaderElector:
    """A candidate for one Lease, on the test's own loop."""
    election = LeaderElection(namespace="default", name="granter", identity=identity, own_thread=False)
    way = line or FaultyTransport(server.transport(user_agent=f"lease {identity}"))
    return LeaderElector(election, lambda: Client(way, settings=ONCE), rng=Random(identity))


async def until(is_so: Callable[[], bool], limit: float = 300.0) -> None:
    """Let time pass until something is so."""
    for _ in range(int(limit / 0.05)):
        if is_so():
            return
        await anyio.sleep(0.05)
    raise AssertionError(f"not so within {limit:g} s")
