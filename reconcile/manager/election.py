"""One process of several writes at a time: it holds a Lease, and what is not covered by the Lease is not sent.

``lease.py`` decides; here is the doing. A candidate looks every few seconds, and watches, so that an orderly handover
takes no more than two requests. A holder renews, by default from a thread with its own loop and connection: a blocked
loop of the program costs neither the lease, nor does it hide that the lease is lost, for ``fence`` only compares times.

``run`` ends with ``LeadershipLost`` when leading is over; whoever started it cancels the work and awaits it, as a task
group does by itself. Cancelling ``run`` hands the Lease over, so the work has to be over by then. Nothing here ends the
process.

What passed the fence cannot be called back. The fence closes ``margin`` before the lease is over, and the work is
cancelled earlier still, at the renew deadline; so a write can reach the server beside those of the next holder only if
it is under way for longer than ``request_timeout``, in a loop that was blocked or in the network.
"""

import asyncio
import logging
import math
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from random import Random

import anyio
import anyio.abc
import orjson
from attrs import define, field

from reconcile.core.clock import Seconds, boottime, utc
from reconcile.kube import request
from reconcile.kube.client import Client
from reconcile.kube.errors import Conflict, Fenced, Forbidden, KubeError, NotFound
from reconcile.kube.kinds import LEASE
from reconcile.kube.objects import Object
from reconcile.kube.watch import Lines, WatchEvent, decode_event
from reconcile.manager.lease import Candidacy, LeaderElection, Look, Lost, Wait, Write
from reconcile.manager.rbac import leading

log = logging.getLogger(__name__)

WATCH_SECONDS = 300
"""How long one watch of the Lease lasts; it is only a hint, the looks go on beside it."""


class LeadershipLost(Exception):
    """This process no longer leads; ``reason`` says why."""

    def __init__(self, election: LeaderElection, reason: str) -> None:
        super().__init__(f"leadership of {election.key} lost: {reason}")
        self.reason = reason


@define(eq=False)
class LeaderElector:
    """A service that becomes and stays leader. ``connect`` makes a client of its own, on the loop that renews."""

    election: LeaderElection
    connect: Callable[[], Client]
    cluster: str = field(default="", kw_only=True)
    """The name of the cluster that the Lease is in, to tell what rights are needed where."""
    rng: Random = field(factory=Random, kw_only=True)
    holder: str = field(default="", init=False)
    """Who held the Lease when last seen; "" for nobody."""
    is_leader: bool = field(default=False, init=False)
    _writes_until: Seconds = field(default=-math.inf, init=False)
    _elected: asyncio.Event = field(factory=asyncio.Event, init=False)
    _complaint: str = field(default="", init=False)

    @property
    def name(self) -> str:
        """For logs and errors."""
        return f"leader election {self.election.key}"

    def fence(self) -> None:
        """For ``Client.fence``: nothing while the lease covers a write that starts now.

        Raises:
            Fenced: we do not lead, or the lease is about to run out.
        """
        if boottime() >= self._writes_until:
            raise Fenced(f"{self.election.identity} does not hold the lease {self.election.key}")

    async def elected(self) -> None:
        """Wait until we lead for the first time."""
        await self._elected.wait()

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Run for leader, then stay it; started once we lead. Cancelling releases the Lease.

        Raises:
            LeadershipLost: we led, and no longer do.
        """

        def won() -> None:
            self._elected.set()
            task_status.started()

        if not self.election.own_thread:
            await self._run_for_leader(won)
        elif hasattr(asyncio.get_running_loop(), "boottime"):
            raise RuntimeError("a loop with its own clock needs LeaderElection(own_thread=False)")
        else:
            await self._run_in_thread(won)

    async def _run_in_thread(self, won: Callable[[], None]) -> None:
        """The same on another loop, until it ends or we are cancelled; returns when the thread is over."""
        home = asyncio.get_running_loop()
        elected, ended = home.create_future(), home.create_future()
        ready: Future[Callable[[], None]] = Future()

        async def main() -> None:
            loop = asyncio.get_running_loop()

            def cancel() -> None:
                with suppress(RuntimeError):  # the loop is closed: it has just ended by itself
                    loop.call_soon_threadsafe(scope.cancel)

            with anyio.CancelScope() as scope:
                ready.set_result(cancel)
                await self._run_for_leader(lambda: home.call_soon_threadsafe(elected.set_result, None))

        def body() -> None:
            try:
                asyncio.run(main())
            except BaseException as error:
                home.call_soon_threadsafe(ended.set_exception, error)
            else:
                home.call_soon_threadsafe(ended.set_result, None)

        thread = threading.Thread(target=body, name="lease", daemon=True)
        thread.start()
        try:
            await asyncio.wait([elected, ended], return_when=asyncio.FIRST_COMPLETED)
            if elected.done():
                won()
            await asyncio.shield(ended)
        except asyncio.CancelledError:
            ready.add_done_callback(lambda cancel: cancel.result()())
            with anyio.CancelScope(shield=True):
                await asyncio.wait([ended])
            ended.exception()  # seen: who cancels does not ask
            raise
        finally:
            thread.join()

    async def _run_for_leader(self, won: Callable[[], object]) -> None:
        candidacy, nudged = Candidacy(self.election, self.rng), asyncio.Event()
        async with self.connect() as client:
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._watch, client, candidacy, nudged)
                    while not candidacy.is_holding:
                        await self._advance(client, candidacy, nudged)
                    group.cancel_scope.cancel()
                self.is_leader = True
                log.info("leading: lease=%s identity=%s", *self._facts)
                won()
                while True:
                    await self._advance(client, candidacy, nudged)
            except asyncio.CancelledError:
                await self._release(client, candidacy)
                raise
            finally:
                self._close()

    async def _advance(self, client: Client, candidacy: Candidacy, nudged: asyncio.Event) -> None:
        match candidacy.step(boottime(), utc()):
            case Lost(reason):
                raise LeadershipLost(self.election, reason)
            case Wait(until):
                with anyio.move_on_after(until - boottime()):
                    await nudged.wait()
                nudged.clear()
            case step:
                await self._ask(client, candidacy, step)
                self._publish(candidacy)

    async def _ask(self, client: Client, candidacy: Candidacy, step: Look | Write) -> None:
        began = boottime()
        try:
            with anyio.fail_after(min(self.election.request_timeout, candidacy.leads_until - began)):
                if isinstance(step, Look):
                    candidacy.saw(await self._look(client), boottime())
                else:
                    candidacy.wrote(await self._write(client, step), began)
            self._complaint = ""
        except (KubeError, TimeoutError) as error:
            candidacy.failed(began)
            self._complain(error)

    async def _look(self, client: Client) -> Object | None:
        try:
            return await client.get(LEASE, self.election.key)
        except NotFound:
            return None

    async def _write(self, client: Client, step: Write) -> Object:
        return await (client.update if step.exists else client.create)(LEASE, step.body)

    async def _release(self, client: Client, candidacy: Candidacy) -> None:
        """Let others in at once. Tries for one ``request_timeout``; else they wait for the lease to run out."""
        if not candidacy.may_hold:
            return
        self._close()
        with anyio.move_on_after(self.election.request_timeout, shield=True):
            try:
                if not candidacy.is_holding:  # what became of a claim that was under way is not known
                    candidacy.saw(await self._look(client), boottime())
                while (step := candidacy.resign(utc())) is not None:
                    try:
                        await self._write(client, step)
                        log.info("lease released: lease=%s identity=%s", *self._facts)
                        return
                    except Conflict:  # a renewal that was under way got there first
                        candidacy.saw(await self._look(client), boottime())
            except KubeError as error:
                log.warning("lease not released: lease=%s identity=%s error=%s", *self._facts, error)

    async def _watch(self, client: Client, candidacy: Candidacy, nudged: asyncio.Event) -> None:
        """Look at once when the Lease is let go. Where watching fails, the next look finds out."""
        namespace, name = self.election.key
        while True:
            with suppress(KubeError, TimeoutError), anyio.fail_after(WATCH_SECONDS + self.election.request_timeout):
                asked = request.watch(
                    LEASE,
                    namespace,
                    fields=f"metadata.name={name}",
                    timeout_seconds=WATCH_SECONDS,
                    allow_bookmarks=False,
                )
                stream = await client.open(asked, timeout=self.election.request_timeout)
                try:
                    lines = Lines(about=LEASE.name)
                    while data := await stream.read():
                        if any(_is_free(decode_event(line)) for line in lines.feed(data)):
                            candidacy.nudge()
                            nudged.set()
                finally:
                    with anyio.CancelScope(shield=True):
                        await stream.aclose()
            await asyncio.sleep(self.election.retry_period * (1 + self.rng.random()))

    def _publish(self, candidacy: Candidacy) -> None:
        if candidacy.holder != self.holder:
            self.holder = candidacy.holder
            log.info("lease seen: lease=%s identity=%s holder=%s", *self._facts, self.holder or "nobody")
        self._writes_until = candidacy.valid_until - self.election.margin

    def _close(self) -> None:
        self._writes_until, self.is_leader = -math.inf, False

    def _complain(self, error: Exception) -> None:
        """Once for each new kind of trouble: a candidate tries again every few seconds."""
        text = f"{type(error).__name__}: {str(error) or 'no answer in time'}"
        if isinstance(error, Forbidden):
            text += f"; the rule to add: {leading('', self.election.namespace).to_add}"
        if text != self._complaint:
            self._complaint = text
            log.warning("lease request failed: lease=%s identity=%s error=%s", *self._facts, text)

    @property
    def _facts(self) -> tuple[str, str]:
        return str(self.election.key), self.election.identity


def _is_free(event: WatchEvent) -> bool:
    if event.type == "DELETED":
        return True
    return event.type in ("ADDED", "MODIFIED") and not orjson.loads(event.raw).get("spec", {}).get("holderIdentity")
