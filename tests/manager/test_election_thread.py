"""Renewal from a thread of its own: on real time, with a loop that is really blocked."""

import asyncio
import threading
import time
from collections.abc import Callable

import anyio
import orjson
import pytest
from attrs import define, evolve, field

from reconcile.core.clock import Seconds
from reconcile.kube.client import Client, ClientSettings
from reconcile.kube.errors import ConnectionFailed, Fenced
from reconcile.kube.request import HttpRequest, HttpResponse
from reconcile.kube.retry import RetryPolicy
from reconcile.kube.transport import Guard, Stream
from reconcile.manager.election import LeaderElector, LeadershipLost
from reconcile.manager.lease import LeaderElection
from reconcile.testing.plugin import AnyioBackend

QUICK = LeaderElection(
    namespace="default",
    name="net",
    identity="a",
    lease_duration=2.0,
    renew_deadline=1.4,
    retry_period=0.2,
    request_timeout=0.3,
)


@pytest.fixture(scope="module")
def anyio_backend() -> AnyioBackend:
    return "asyncio", {}


@define(eq=False)
class OneLease:
    """All of an API server that an election needs, for any thread: the Lease, or 404. Also the way to it."""

    host: str = "memory"
    is_down: bool = False
    lease: bytes = b""
    version: int = 0
    threads: set[int] = field(factory=set)
    _lock: threading.Lock = field(factory=threading.Lock)

    def connect(self) -> Client:
        return Client(self, settings=ClientSettings(retry=RetryPolicy(attempts=1)))

    async def call(self, request: HttpRequest, *, timeout: Seconds, guard: Guard | None = None) -> HttpResponse:
        self.threads.add(threading.get_ident())
        if self.is_down:
            raise ConnectionFailed("down", sent=False)
        with self._lock:
            if request.method == "GET":
                return HttpResponse(200 if self.lease else 404, body=self.lease or b"{}")
            document = orjson.loads(request.body)
            if self.lease and document["metadata"].get("resourceVersion") != str(self.version):
                return HttpResponse(409, body=b"{}")
            self.version += 1
            document["metadata"]["resourceVersion"] = str(self.version)
            self.lease = orjson.dumps(document)
            return HttpResponse(200, body=self.lease)

    async def open(self, request: HttpRequest, *, timeout: Seconds, guard: Guard | None = None) -> Stream:
        raise ConnectionFailed("no watches here", sent=False)

    async def aclose(self) -> None:
        pass

    @property
    def holder(self) -> str:
        return str(orjson.loads(self.lease)["spec"]["holderIdentity"])


def may_write(elector: LeaderElector) -> bool:
    try:
        elector.fence()
    except Fenced:
        return False
    return True


async def run_while(elector: LeaderElector, body: Callable[[], None]) -> None:
    """Win the election, call ``body`` on the loop, and stop."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(elector.run)
        with anyio.fail_after(5):
            await elector.elected()
        body()
        tasks.cancel_scope.cancel()


def block() -> None:
    time.sleep(QUICK.lease_duration + 0.2)


@pytest.mark.pain(17)
async def test_a_blocked_loop_costs_no_lease_when_a_thread_renews() -> None:
    server = OneLease()
    elector = LeaderElector(QUICK, server.connect)

    def stay_leader() -> None:
        before = server.version
        block()
        assert server.version > before + 4
        assert may_write(elector)

    await run_while(elector, stay_leader)
    assert server.threads.isdisjoint({threading.get_ident()})
    assert server.holder == ""
    assert not may_write(elector)


@pytest.mark.pain(17)
@pytest.mark.pain(19)
async def test_a_blocked_loop_that_renews_itself_sends_nothing_once_the_lease_is_over() -> None:
    server = OneLease()
    elector = LeaderElector(evolve(QUICK, own_thread=False), server.connect)

    def find_the_fence_closed() -> None:
        block()
        assert not may_write(elector)

    await run_while(elector, find_the_fence_closed)


@pytest.mark.pain(19)
async def test_a_loss_in_the_thread_ends_the_run_at_home_within_the_deadline() -> None:
    server = OneLease()
    elector = LeaderElector(QUICK, server.connect)
    run = asyncio.ensure_future(elector.run())
    await elector.elected()
    server.is_down = True
    began = time.monotonic()
    with pytest.raises(LeadershipLost):
        await run
    assert time.monotonic() - began < QUICK.lease_duration
    assert not may_write(elector)


@pytest.mark.pain(33)
@pytest.mark.parametrize("steps", [0, 1, 5, 50])
async def test_a_run_that_is_cancelled_early_leaves_no_thread_behind(steps: int) -> None:
    before = threading.active_count()
    run = asyncio.ensure_future(LeaderElector(QUICK, OneLease().connect).run())
    for _ in range(steps):
        await asyncio.sleep(0)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert threading.active_count() == before


async def test_what_fails_in_the_thread_is_raised_at_home() -> None:
    def broken() -> Client:
        raise LookupError("no kubeconfig")

    with pytest.raises(LookupError, match="no kubeconfig"):
        await LeaderElector(QUICK, broken).run()
