"""The installed daemon as a process of its own, between two real API servers.

``Place`` is the world of one test: a namespace on either side, what users do there, and what is there. A CRD allocates
nothing, so ``Allocator`` gives every api-net Network its ID, later than the real server does and never in the request.
"""

import http.client
import itertools
import json
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import anyio
import attrs
from attrs import define, field, frozen

from apinetlet.api import Generation, Kinds, networking
from apinetlet.api import apinet as api
from apinetlet.demo.definitions import crds
from provider import ProviderID
from reconcile import (
    Client,
    Cluster,
    Controller,
    For,
    Manager,
    ManagerSettings,
    NotFound,
    ObjectKey,
    Request,
    Watched,
    connect,
)
from reconcile.kube import MergePatch, Resource
from reconcile.kube.kinds import NAMESPACE
from reconcile.testing.audit import AuditEvent
from reconcile.testing.envtest import ControlPlane
from reconcile.testing.processes import Process, Processes
from tests.real.waiting import install, until

ASIDE = {"events", "leases", "selfsubjectaccessreviews"}
"""What the daemon writes beside its work."""
_numbers = itertools.count(1)


@define(eq=False)
class Daemon:
    """One run of the daemon."""

    process: Process
    probes: int

    async def ready(self) -> None:
        """Wait until it works: its copies are whole, it leads if it has to, and its first passes have begun."""

        async def is_ready() -> bool:
            if self.process.code is not None:
                raise self.process.failed()
            return await anyio.to_thread.run_sync(self._says_ok)

        await until(is_ready, "the daemon is ready")

    async def stop(self) -> int:
        """SIGTERM, and its exit status."""
        self.process.signal(signal.SIGTERM)
        return await anyio.to_thread.run_sync(self.process.wait, 20.0)

    def _says_ok(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.probes, timeout=2)
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            return answer.status == 200 and answer.read() == b"ok"
        except OSError:
            return False
        finally:
            connection.close()


def run_apinetlet(processes: Processes, log: Path, *flags: str) -> Daemon:
    """Start the installed script, with a free port for its probes and nothing else to listen on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command: list[str | Path] = [Path(sys.executable).with_name("apinetlet"), *flags]
    command += [f"--health-probe-bind-address=127.0.0.1:{port}", "--metrics-bind-address=0"]
    environment = {name: value for name, value in os.environ.items() if name not in ("KUBECONFIG", "POD_NAMESPACE")}
    return Daemon(processes.start(command, log=log, env=environment), port)


@frozen
class Allocator:
    """Gives every api-net Network an ID."""

    cluster: Cluster
    resource: Resource[api.Network]

    async def reconcile(self, request: Request) -> None:
        found = self.cluster.store(self.resource).get(request.key)
        if found is not None and not found.spec.id:
            await self.cluster.patch(found, MergePatch({"spec": {"id": str(1000 + next(_numbers))}}))


@define(eq=False)
class Place:
    """One test's part of both servers."""

    generation: Generation
    source_plane: ControlPlane
    apinet_plane: ControlPlane
    source: Client
    apinet: Client
    home: str
    target: str
    processes: Processes
    folder: Path
    kinds: Kinds = field(init=False)
    _daemons: list[Daemon] = field(factory=list, init=False)
    _began: tuple[int, int] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.kinds = Kinds.of(self.generation)
        self._began = len(self.source_plane.audit_events()), len(self.apinet_plane.audit_events())

    # the programs

    def start(
        self, *flags: str, generation: str = "", source: Path | None = None, apinet: Path | None = None
    ) -> Daemon:
        """Run the daemon, by these kubeconfigs if others than the administrators'."""
        daemon = run_apinetlet(
            self.processes,
            self.folder / f"apinetlet-{next(_numbers)}.log",
            f"--kubeconfig={source or self.source_plane.kubeconfig()}",
            f"--api-net-kubeconfig={apinet or self.apinet_plane.kubeconfig()}",
            f"--api-net-namespace={self.target}",
            f"--generation={generation or self.generation.name}",
            *flags,
        )
        self._daemons.append(daemon)
        return daemon

    def kill(self) -> None:
        """End every daemon at once."""
        for daemon in self._daemons:
            daemon.process.kill()

    async def silent(self) -> None:
        """Nobody of us writes any more, not even after a restart."""
        await anyio.sleep(1)
        before = len(self.writes())
        daemon = self.start()
        await daemon.ready()
        await anyio.sleep(2)
        assert [readable(one) for one in self.writes()[before:]] == []
        assert await daemon.stop() == 0

    @asynccontextmanager
    async def allocating(self) -> AsyncIterator[None]:
        """The api-net server gives IDs while this block is open."""
        client = connect(self.apinet_plane.kubeconfig(), field_manager="allocator")
        async with client:
            resource = self.kinds.apinet_network
            cluster = Cluster("apinet", client, [Watched(resource, namespaces=(self.target,))])
            controller = Controller("allocator", Allocator(cluster, resource), sources=[For(cluster, resource)])
            async with Manager([cluster], [controller], settings=ManagerSettings(preflight="off")):
                yield

    # what users do

    async def create(self, name: str) -> networking.Network:
        body = {"metadata": {"name": name}, "spec": {}}
        return await self.source.create(self.kinds.network, body, namespace=self.home)

    async def delete(self, name: str) -> None:
        await self.source.delete(self.kinds.network, ObjectKey(self.home, name))

    # what is there

    async def network(self, name: str) -> networking.Network | None:
        try:
            return await self.source.get(self.kinds.network, ObjectKey(self.home, name))
        except NotFound:
            return None

    async def counterpart(self, uid: str) -> api.Network | None:
        try:
            return await self.apinet.get(self.kinds.apinet_network, ObjectKey(self.target, uid))
        except NotFound:
            return None

    async def counterparts(self) -> list[api.Network]:
        return (await self.apinet.list(self.kinds.apinet_network, namespace=self.target)).items

    async def is_available(self, name: str) -> bool:
        found = await self.network(name)
        return found is not None and found.status.state is networking.NetworkState.AVAILABLE

    async def available(self, name: str) -> None:
        await until(lambda: self.is_available(name), f"{name} is Available")

    async def gone(self, name: str) -> None:
        async def is_gone() -> bool:
            return await self.network(name) is None

        await until(is_gone, f"{name} is gone")

    def provider_id(self, counterpart: api.Network) -> str:
        """What a source must carry whose counterpart this is."""
        return str(
            ProviderID.network(
                self.generation.scheme,
                namespace=self.target,
                name=counterpart.metadata.name,
                id=counterpart.spec.id,
                uid=counterpart.metadata.uid,
            )
        )

    def writes(self) -> list[AuditEvent]:
        """What daemons wrote in this test, to either side, in the order in which the servers received it."""
        logs = self.source_plane.audit_events()[self._began[0] :], self.apinet_plane.audit_events()[self._began[1] :]
        found = [one for log in logs for one in log if one.is_write and one.user_agent.startswith("apinetlet")]
        return sorted((one for one in found if one.resource not in ASIDE), key=lambda one: one.received)

    async def clean(self) -> None:
        """Let go of what a failed test has left."""
        sides: list[tuple[Client, Resource[Any], str]] = [
            (self.source, self.kinds.network, self.home),
            (self.apinet, self.kinds.apinet_network, self.target),
        ]
        sides += [(self.source, kind, self.home) for kind in (self.kinds.load_balancer, self.kinds.nat_gateway)]
        for client, kind, where in sides:
            await client.delete_collection(kind, namespace=where)
            for left in (await client.list(kind, namespace=where)).items:
                with suppress(NotFound):
                    await client.patch(kind, left.metadata.key, MergePatch({"metadata": {"finalizers": None}}))


@asynccontextmanager
async def place(
    generation: Generation, planes: tuple[ControlPlane, ControlPlane], folder: Path
) -> AsyncIterator[Place]:
    """Both servers with the kinds of ``generation``, and two namespaces of the test's own.

    Each generation has its source cluster on another of the two servers, so that each serves one of them only.
    """
    source_plane, apinet_plane = planes if generation.name == "onmetal" else planes[::-1]
    number = next(_numbers)
    async with AsyncExitStack() as stack:
        source = await stack.enter_async_context(connect(source_plane.kubeconfig(), field_manager="people"))
        target = await stack.enter_async_context(connect(apinet_plane.kubeconfig(), field_manager="people"))
        served = Kinds.of(generation)
        there = [one for one in attrs.astuple(served, recurse=False) if isinstance(one, Resource)]
        there += attrs.astuple(served.policies, recurse=False) if served.policies is not None else ()
        for group in (generation.networking, generation.ipam):
            await install(source, crds(generation.name, group), [one.name for one in there])
        await install(target, crds(generation.name, generation.apinet), [one.name for one in there])
        for client, name in ((source, f"home-{number}"), (target, f"apinet-{number}")):
            await client.create(NAMESPACE, {"metadata": {"name": name}})
        one = Place(
            generation,
            source_plane,
            apinet_plane,
            source,
            target,
            f"home-{number}",
            f"apinet-{number}",
            stack.enter_context(Processes()),
            folder,
        )
        try:
            yield one
        finally:
            one.processes.close()
            await one.clean()


async def everybody(world: Place, act: Callable[[Place, int], Coroutine[Any, Any, None]], number: int) -> None:
    """So many users at once."""
    async with anyio.create_task_group() as tasks:
        for one in range(number):
            tasks.start_soon(act, world, one)


def made(writes: Iterable[AuditEvent]) -> Counter[str]:
    """How many objects of each kind these writes made.

    kube-apiserver (1.36) audits 504 of a write whose sender was killed before the answer, whether it has stored the
    write or not. Such a one counts if no other is known to have made its object, for the kinds that are made here.
    Raises AssertionError: an object was made twice.
    """
    writes = [*writes]
    told = Counter((one.group, one.resource, one.name) for one in writes if one.code == HTTPStatus.CREATED)
    assert [each for each, times in told.items() if times > 1] == []
    kinds = {each[:2] for each in told}
    unknown = {
        (one.group, one.resource, one.name)
        for one in writes
        if one.code >= HTTPStatus.INTERNAL_SERVER_ERROR and (one.group, one.resource) in kinds
    }
    return Counter(resource for _, resource, _ in told.keys() | unknown)


def lines(process: Process) -> list[str]:
    """What a program wrote."""
    return process.log.read_text().splitlines()


def readable(event: AuditEvent) -> str:
    """For the message of a failed assertion."""
    return json.dumps([event.verb, event.resource, event.subresource, event.name, event.code])
