"""A controller on an embedded API server, for tests of the whole way."""

import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import attrs

from reconcile.cache.cluster import Cluster
from reconcile.cache.watched import Watched
from reconcile.controller.controller import Controller
from reconcile.controller.reconciler import Request
from reconcile.controller.settings import ControllerSettings
from reconcile.controller.source import AnySource
from reconcile.core.clock import Seconds, now
from reconcile.core.service import serving
from reconcile.kube.client import Client
from reconcile.kube.errors import NotFound
from reconcile.kube.objects import Object, ObjectKey
from reconcile.kube.resource import Resource
from reconcile.testing.apiserver import ApiServer, Kind, custom
from reconcile.testing.faults import FaultyTransport
from tests.controller.shop import Figures
from tests.controller.things import PART, WIDGET

QUICK = ControllerSettings(workers=2, deadline=10.0, cancel_grace=2.0)
A = ObjectKey("default", "a")


@attrs.define(eq=False)
class Home:
    """``server`` and the ``cluster`` that looks at it over ``wire``; ``user`` is somebody else at work there.

    ``runs`` are the reconciles so far.
    """

    server: ApiServer
    wire: FaultyTransport
    cluster: Cluster
    user: Client
    figures: Figures = attrs.field(factory=Figures)
    runs: list[tuple[Seconds, Request]] = attrs.field(factory=list)

    def controller(
        self, reconcile: Callable[[Request], Any], sources: Sequence[AnySource], settings: ControllerSettings = QUICK
    ) -> Controller:
        async def called(request: Request) -> Any:
            self.runs.append((now(), request))
            return await reconcile(request)

        return Controller("widgets", called, sources, settings, observer=self.figures, rng=random.Random(7))

    @asynccontextmanager
    async def running(self, controller: Controller) -> AsyncIterator[None]:
        async with serving(self.cluster, controller):
            yield

    async def widget(self, name: str = "a", **spec: Any) -> Object:
        """Somebody creates a widget, or changes its spec."""
        key = ObjectKey("default", name)
        body = {"metadata": {"name": name, "namespace": "default"}, "spec": spec}
        try:
            found = await self.user.get(WIDGET, key)
        except NotFound:
            return await self.user.create(WIDGET, {**body, "apiVersion": WIDGET.api_version, "kind": WIDGET.kind})
        return await self.user.update(WIDGET, {**found.thaw(), "spec": spec})

    @property
    def names(self) -> list[str]:
        return [request.name for _, request in self.runs]


@asynccontextmanager
async def a_home(*more: Watched[Any] | Resource[Any]) -> AsyncIterator[Home]:
    async with (
        ApiServer([Kind(WIDGET, strategy=custom(status=True))]) as server,
        server.client(user_agent="user") as user,
        Client(wire := FaultyTransport(server.transport(user_agent="controller"))) as client,
    ):
        yield Home(server, wire, Cluster("home", client, [WIDGET, PART, *more]), user)


async def done(_request: Request) -> None: ...


async def rest(seconds: Seconds = 0.001) -> None:
    """Let everything at hand happen, network included."""
    await anyio.sleep(seconds)
