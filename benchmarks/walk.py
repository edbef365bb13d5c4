"""Benchmarks of what needs an event loop: the queue, the way of a change from the wire to a reconcile, and writes.

Each runs the real services on a scripted transport (``servers.py``), so that nothing is measured but our own work; only
``call_on_loopback`` and ``apply_on_loopback`` go through sockets, to a server in another process.
"""

import asyncio
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import anyio

from benchmarks.measure import cpu
from benchmarks.samples import MANAGER, SAMPLE, changes, pages, stream, wanted
from benchmarks.servers import Script, has_uvloop, loopback
from reconcile import DONE, Change, Client, Cluster, Controller, For, ObjectKey, Request, Result
from reconcile.cache.cluster import ClusterSettings
from reconcile.cache.informer import InformerSettings
from reconcile.cache.steps import ReflectorSettings
from reconcile.core.clock import Seconds
from reconcile.core.queue import QueueClosed, WorkQueue
from reconcile.core.service import Service, serving
from reconcile.kube import request as requests
from reconcile.kube.transport import Transport

T = TypeVar("T")

WORKERS = 4
PAGED = ClusterSettings(informer=InformerSettings(ReflectorSettings(watch_list=False)))


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run on the loop that a program of ours would use."""
    if not has_uvloop():
        return asyncio.run(main)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


# the queue


def work_queue(count: int) -> float:
    """Keys through a queue with ``WORKERS`` workers that do nothing."""

    async def main() -> float:
        queue: WorkQueue[int] = WorkQueue()
        left = count

        async def work() -> None:
            nonlocal left
            try:
                while True:
                    key = await queue.get()
                    queue.done(key)
                    left -= 1
                    if not left:
                        queue.close()
            except QueueClosed:
                return

        with cpu(count) as spent:
            async with anyio.create_task_group() as tasks:
                for _ in range(WORKERS):
                    tasks.start_soon(work)
                for key in range(count):
                    queue.add(key)
        return spent.each

    return run(main())


# from the wire to a reconcile


@asynccontextmanager
async def watching(transport: Transport, settings: ClusterSettings = PAGED) -> AsyncIterator[Cluster]:
    """A cluster that keeps a copy of the samples. Not started."""
    async with Client(transport, field_manager=MANAGER) as client:
        yield Cluster("bench", client, [SAMPLE], settings=settings)


async def take_over(transport: Transport, settings: ClusterSettings, beside: Callable[[], None]) -> None:
    """Bring a first list into a store; ``beside`` is called once in each turn of the loop, last when it is done."""
    async with watching(transport, settings) as cluster:
        service: Service = cluster.informer(SAMPLE)
        async with anyio.create_task_group() as tasks:
            running = asyncio.ensure_future(tasks.start(service.run))
            while not running.done():
                beside()
                await asyncio.sleep(0)
            await running
            beside()
            tasks.cancel_scope.cancel()


def nothing() -> None:
    pass


def first_list(count: int) -> float:
    """A first list that comes in pages."""
    script = Script(pages(count))
    with cpu(count) as spent:
        run(take_over(script, PAGED, nothing))
    return spent.each


def first_stream(count: int) -> float:
    """A first list that comes as a stream (WatchList)."""
    script = Script(stream=stream(count))
    with cpu(count) as spent:
        run(take_over(script, ClusterSettings(), nothing))
    return spent.each


def longest_block_of_list(count: int) -> float:
    """The longest turn of the loop meanwhile, in milliseconds of CPU."""
    return longest_turn(Script(pages(count)), PAGED)


def longest_block_of_stream(count: int) -> float:
    """The same for a stream."""
    return longest_turn(Script(stream=stream(count)), ClusterSettings())


def longest_turn(script: Script, settings: ClusterSettings) -> float:
    longest, last = 0.0, 0.0

    def turn() -> None:
        nonlocal longest, last
        moment: Seconds = time.thread_time()
        longest, last = max(longest, moment - last) if last else longest, moment

    run(take_over(script, settings, turn))
    return longest * 1e3


def memory(count: int) -> float:
    """Bytes that the store of a first list holds for each object."""

    async def main() -> float:
        script = Script(pages(count))
        async with watching(script) as cluster:
            tracemalloc.start()
            try:
                before, _ = tracemalloc.get_traced_memory()
                async with serving(cluster):
                    after, _ = tracemalloc.get_traced_memory()
                    return (after - before) / len(cluster.store(SAMPLE))
            finally:
                tracemalloc.stop()

    return run(main())


def change(count: int) -> float:
    """A line of a watch, through the store to a handler."""

    async def main() -> float:
        script, told = Script(pages(0)), Countdown(count)
        async with watching(script) as cluster, serving(cluster):

            def handle(_: Change[Any]) -> None:
                told.count()

            cluster.informer(SAMPLE).add_handler(handle)
            with cpu(count) as spent:
                script.send(changes(count))
                await told.over.wait()
            return spent.each

    return run(main())


def change_to_reconcile(count: int) -> float:
    """A line of a watch, until the end of an empty reconcile that it asked for."""

    async def main() -> float:
        script, run = Script(pages(0)), Countdown(count)
        async with watching(script) as cluster:
            controller = Controller("bench", run.reconcile, [For(cluster, SAMPLE)])
            async with serving(cluster), serving(controller.intake, controller.workers):
                with cpu(count) as spent:
                    script.send(changes(count))
                    await run.over.wait()
                return spent.each

    return run(main())


def empty_reconcile(count: int) -> float:
    """An empty reconcile that somebody asked for: queue, worker, history."""

    async def main() -> float:
        run = Countdown(count)
        controller = Controller("bench", run.reconcile, [silence])
        async with serving(controller.intake, controller.workers):
            with cpu(count) as spent:
                for number in range(count):
                    controller.enqueue(Request("bench", "default", f"sample-{number}"))
                await run.over.wait()
            return spent.each

    return run(main())


async def silence() -> AsyncIterator[Request]:
    """A source that tells nothing."""
    await anyio.sleep_forever()
    yield Request("", "", "")


class Countdown:
    """Tells when something has happened so many times."""

    def __init__(self, count: int) -> None:
        self._left = count
        self.over = asyncio.Event()

    def count(self) -> None:
        self._left -= 1
        if not self._left:
            self.over.set()

    async def reconcile(self, request: Request) -> Result:
        self.count()
        return DONE


# writes


def apply_proven(count: int) -> float:
    """An apply that is not sent, for it would change nothing."""

    async def main() -> float:
        bodies = [wanted(number) for number in range(count)]
        async with watching(Script(pages(count))) as cluster, serving(cluster):
            with cpu(count) as spent:
                for body in bodies:
                    await cluster.apply(body)
            assert cluster.writes["apply", "suppressed"] == count
            return spent.each

    return run(main())


def apply_sent(count: int) -> float:
    """An apply whose answer changes the store, without the wire."""
    return run(_applied(Script(pages(1)), count))


def apply_on_loopback(count: int) -> float:
    """The same over a socket; the store does not follow, for the loopback has no watches."""
    with loopback() as transport:
        return run(_unwatched(transport, count))


async def _applied(script: Script, count: int) -> float:
    async with watching(script) as cluster, serving(cluster):
        return await _apply(cluster, count)


async def _unwatched(transport: Transport, count: int) -> float:
    async with Client(transport, field_manager=MANAGER) as client:
        return await _apply(Cluster("bench", client, kinds=[SAMPLE]), count)


async def _apply(cluster: Cluster, count: int) -> float:
    body = wanted(0, "red")
    await cluster.apply(body)
    with cpu(count) as spent:
        for _ in range(count):
            await cluster.apply(body)
    assert cluster.writes["apply", "changed"] == count + 1
    return spent.each


def call_on_loopback(count: int) -> float:
    """A call of the transport, over a socket: send a request, read 1 KB."""

    async def main() -> float:
        request = requests.get(SAMPLE, ObjectKey("default", "sample-00000"))
        with loopback() as transport:
            async with transport:
                await transport.call(request, timeout=30.0)
                with cpu(count) as spent:
                    for _ in range(count):
                        await transport.call(request, timeout=30.0)
        return spent.each

    return run(main())
