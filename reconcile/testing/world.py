"""A small world to prove a program in: API servers, the program under test, everybody else, and time that jumps.

The program is built anew from transports at each start and keeps nothing from one life to the next. It can be stopped
in order, or killed: then its links are cut in that very step, so that nothing it still tries reaches a server and no
reply reaches it. Everybody else talks to the servers undisturbed. Needs the virtual-time loop.
"""

import asyncio
import contextvars
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Final, NoReturn, Protocol, Self, TypeAlias, TypeVar

import anyio
import attrs
from anyio.abc import TaskGroup

from reconcile.cache.steps import State as Copy
from reconcile.controller.controller import Controller
from reconcile.core.clock import Seconds, now
from reconcile.kube.client import Client
from reconcile.kube.errors import ConnectionFailed
from reconcile.kube.resource import Resource
from reconcile.kube.transport import Transport
from reconcile.testing.apiserver import ApiServer
from reconcile.testing.faultplan import FaultPlan
from reconcile.testing.loop import settled
from reconcile.testing.state import BOOKKEEPING, Allocated, State, end_state
from reconcile.testing.traffic import PROGRAM, Disturber, Link, Sent, Traffic, Written

T = TypeVar("T")
CALM: Final[Seconds] = 90.0
"""So long without a change means that nothing will happen by itself: longer than the longest backoff."""
LULL: Final[Seconds] = 15.0
"""So long is enough where nobody has anything planned: longer than anything is on its way."""


class StillMoving(AssertionError):
    """The world does not come to rest; the message names what moves."""


class ProgramEnded(AssertionError):
    """The program ended by itself; the cause is what it raised."""


class Program(Protocol):
    """What a world runs: a ``Manager``, or whatever looks like one."""

    @property
    def controllers(self) -> Sequence[Controller]: ...
    async def __aenter__(self) -> Any: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> bool | None: ...
    async def run(self, stop: asyncio.Event, /) -> None: ...


Build: TypeAlias = Callable[[Mapping[str, Transport], random.Random], Program]
"""Makes the program out of one transport a cluster; whatever it draws comes from the generator, so a world repeats."""


@attrs.define(eq=False)
class World:
    """API servers by cluster name, and ``program``, which lives from ``start`` on. Enter it with ``async with``.

    ``always`` is asked in the step of each write, before anybody can react to it, and raises when the world is as it
    must never be; ``settle`` and ``quiesce`` tell.
    """

    servers: Mapping[str, ApiServer]
    program: Build
    faults: Mapping[str, FaultPlan] = attrs.field(factory=dict, kw_only=True)
    """What strikes the program on its way to each cluster."""
    disturber: Disturber = attrs.field(factory=Disturber, kw_only=True)
    always: Callable[["World"], None] | None = attrs.field(default=None, kw_only=True)
    allocated: Sequence[Allocated] = attrs.field(default=(), kw_only=True)
    """Fields that servers fill at will."""
    ignored: frozenset[str] = attrs.field(default=BOOKKEEPING, kw_only=True)
    """Resources that are no part of the story: neither in ``state`` nor among ``writes``."""
    seed: int = attrs.field(default=0, kw_only=True)
    writes: list[Written] = attrs.field(factory=list, init=False)
    """What changed something, oldest first, whoever it was."""
    traffic: Traffic = attrs.field(init=False)
    _life: "_Life | None" = attrs.field(default=None, init=False)
    _ghosts: list["_Life"] = attrs.field(factory=list, init=False)
    _broken: AssertionError | None = attrs.field(default=None, init=False)
    _guests: int = attrs.field(default=0, init=False)
    """Others who live here, or will do something later."""
    _was_faulty: bool = attrs.field(default=False, init=False)
    """Whether there were faults: a watch that one has struck may be silent long after."""
    _rng: random.Random = attrs.field(init=False)
    _tasks: TaskGroup = attrs.field(init=False)
    _context: contextvars.Context = attrs.field(init=False)
    _stack: AsyncExitStack = attrs.field(factory=AsyncExitStack, init=False)

    def __attrs_post_init__(self) -> None:
        self._rng = random.Random(f"world {self.seed}")
        self._was_faulty = any(plan.rules for plan in self.faults.values())
        self.traffic = Traffic(
            self.servers, self.ignored, self._committed, faults=self.faults, seed=self.seed, disturber=self.disturber
        )

    async def __aenter__(self) -> Self:
        self._context = contextvars.copy_context()
        for server in self.servers.values():
            await self._stack.enter_async_context(server)
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._tasks.cancel_scope.cancel()
        try:
            if isinstance(error, anyio.get_cancelled_exc_class()):
                return await self._tasks.__aexit__(kind, error, trace)
            # what the caller raised is the caller's, and goes on as it is
            await self._tasks.__aexit__(None, None, None)
            return None
        finally:
            await self.crash()
            await self._stack.aclose()

    # -- the program -----------------------------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        """Whether the program is."""
        return self._life is not None

    @property
    def running(self) -> Program:
        """The program in its present life."""
        assert self._life is not None, "the program is not running"
        return self._life.program

    def start(self) -> None:
        """Build the program and let it run; nothing if it does."""
        if self._life is None:
            # it may be asked for from within an old life, whose context must not live on
            context = self._context.copy()
            links = self.traffic.links()
            rng = random.Random(self._rng.getrandbits(64))
            self._life = life = _Life(context.run(self.program, links, rng), links)
            life.task = asyncio.create_task(life.run(), name="the program", context=context)

    async def stop(self) -> None:
        """Stop the program in order, as at SIGTERM, and wait for its end."""
        if (life := self._life) is not None:
            life.stop.set()
            await asyncio.wait([life.task])
            self._life = None
            life.task.result()

    def kill(self) -> None:
        """End the program at once: nothing is drained, all it knew and all that is in flight is lost."""
        if (life := self._life) is not None:
            self._life = None
            for link in life.links.values():
                link.is_cut = True
            life.task.cancel()
            self._ghosts = [*(one for one in self._ghosts if not one.task.done()), life]

    async def crash(self) -> None:
        """``kill``, and see that no task of it is left."""
        self.kill()
        while self._ghosts:
            await asyncio.wait([self._ghosts.pop().task])

    async def die(self) -> NoReturn:
        """``kill`` for whoever is part of the program: it comes no further."""
        self.kill()
        await anyio.sleep(3600)
        raise ConnectionFailed("the process is dead", sent=False)

    def enqueue_all(self, reason: str = "asked by the test") -> None:
        """Let every controller of the program look at all its keys."""
        for controller in self.running.controllers:
            controller.enqueue_all(reason)

    # -- everybody else --------------------------------------------------------------------------------------------

    def client(self, cluster: str, *, agent: str = "user") -> Client:
        """For tests and actors; what it writes is counted under ``agent``."""
        return Client(self.traffic.way(cluster, agent), rng=random.Random(self.seed))

    def objects(self, cluster: str, resource: Resource[T], namespace: str = "") -> list[T]:
        """The objects of a kind as they are stored, in the order of their names."""
        return self.servers[cluster].objects(resource, namespace)

    def join(self, actor: Callable[["World"], Coroutine[Any, Any, None]]) -> None:
        """Let somebody live here until the world ends: another controller, a user."""
        self._host(lambda: actor(self))

    def later(self, after: Seconds, act: Callable[[], object]) -> None:
        """Do something in so many seconds, unless the world ends before."""

        async def wait() -> None:
            await anyio.sleep(after)
            act()

        self._host(wait)

    def _host(self, guest: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def stay() -> None:
            try:
                await guest()
            finally:
                self._guests -= 1

        self._guests += 1
        self._tasks.start_soon(stay)

    def fail(self, cluster: str, plan: FaultPlan) -> None:
        """From now on this strikes the program on its way to a cluster."""
        self._was_faulty |= bool(plan.rules)
        self.traffic.faulty[cluster].plan = plan

    def heal(self) -> None:
        """No faults from now on."""
        for cluster in self.servers:
            self.fail(cluster, FaultPlan())

    # -- what it comes to ------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Until everybody waits; no time passes.

        Raises:
            AssertionError: ``always`` did not hold.
            ProgramEnded: it has, by itself.
        """
        await settled()
        if self._broken is not None:
            raise self._broken
        if (life := self._life) is not None and life.task.done():
            raise ProgramEnded("the program has ended by itself") from life.task.exception()

    async def quiesce(self, *, calm: Seconds = CALM, lull: Seconds = LULL, limit: Seconds = 3600.0) -> None:
        """Until nothing was written for ``calm`` seconds and nothing is in work. Reads and long timers may go on.

        ``lull`` seconds will do where nobody has anything planned: no key waits, no copy is in doubt, nothing disturbs.

        Raises:
            StillMoving: that took longer than ``limit``.
            AssertionError: as ``settle``.
        """
        end = now() + limit
        await self.settle()
        while True:
            written = len(self.writes)
            for seconds in (min(lull, calm), max(calm - lull, 0.0)):
                await anyio.sleep(seconds)
                await self.settle()
                while (busy := self._in_work()) and now() < end:
                    await anyio.sleep(1.0)
                if busy or len(self.writes) != written or self._plans_nothing():
                    break
            if not busy and len(self.writes) == written:
                return
            if now() >= end:
                raise StillMoving("\n  ".join(["nothing comes to rest:", *busy, *map(str, self.writes[written:])]))

    @property
    def state(self) -> State:
        """What it has come to, comparable with other worlds."""
        storages = {name: server.storage for name, server in self.servers.items()}
        return end_state(storages, allocated=self.allocated, ignored=self.ignored)

    @property
    def tried(self) -> Sequence[Sent]:
        """The writes of the program, also those that a server refused or that changed nothing."""
        return self.traffic.tried

    @property
    def counts(self) -> Counter[str]:
        """How many writes changed something, by agent."""
        return Counter(one.agent for one in self.writes)

    @property
    def struck(self) -> Counter[str]:
        """How often each fault struck."""
        return sum((transport.struck for transport in self.traffic.faulty.values()), Counter())

    def _in_work(self) -> list[str]:
        controllers = self.running.controllers if self.is_running else ()
        return [
            f"in work for {one.seconds:.1f} s: {controller.name} {one.key}"
            for controller in controllers
            for one in controller.workers.calls()
        ]

    def _plans_nothing(self) -> bool:
        """Whether nobody will do anything unless somebody else does."""
        if self._guests or self._was_faulty or self.traffic.disturber.is_active:
            return False
        controllers = self.running.controllers if self.is_running else ()
        informers = {informer for controller in controllers for informer in controller.intake.informers}
        return not any(controller.queue.snapshot().keys for controller in controllers) and all(
            informer.state is Copy.LIVE and not informer.store.unconfirmed for informer in informers
        )

    def _committed(self, written: Written) -> None:
        self.writes.append(written)
        if self.always is not None and self._broken is None:
            try:
                self.always(self)
            except AssertionError as broken:
                broken.add_note(f"right after {written}")
                self._broken = broken


@attrs.define(eq=False)
class _Life:
    """One run of the program, from its start to its end."""

    program: Program
    links: Mapping[str, Link]
    stop: asyncio.Event = attrs.field(factory=asyncio.Event)
    task: asyncio.Task[None] = attrs.field(init=False)

    async def run(self) -> None:
        async with self.program:
            await self.program.run(self.stop)


__all__ = ["CALM", "PROGRAM", "Build", "Program", "ProgramEnded", "StillMoving", "World"]
