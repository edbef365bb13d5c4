"""Keeps one client certificate: finds it at start, renews it in time, and keeps what came where the next start looks.

Renewed between 70 and 90 percent of its life, or when a server refuses it; failures are tried again with growing gaps,
for as long as it takes, while the former certificate stays in use. Before a new one is asked for, the store is looked
at: another process may have been there first. Who asks is who we are by then; only without a certificate, or with one
that is refused, the bootstrap way is taken again. Time is the wall clock's, looked at often enough that a clock that
jumps, or a machine that slept, is noticed.
"""

import asyncio
import datetime as dt
import logging
import math
import random
from collections.abc import Callable

import anyio
from anyio.abc import TaskStatus
from attrs import define, evolve, field, frozen

from reconcile.core.backoff import Backoff
from reconcile.core.clock import Seconds, now, utc
from reconcile.kube.access import ClusterAccess
from reconcile.kube.certificates import pairs
from reconcile.kube.certificates.asking import ask
from reconcile.kube.certificates.identity import Identity
from reconcile.kube.certificates.pairs import Pair, Subject
from reconcile.kube.certificates.requests import CertificateRefused, Wanted
from reconcile.kube.certificates.stored import Stored, understood, written
from reconcile.kube.certificates.stores import Store
from reconcile.kube.client import Client
from reconcile.kube.credentials import Credentials
from reconcile.kube.errors import KubeError, Unauthorized
from reconcile.kube.kubeconfig import LoginError

log = logging.getLogger(__name__)


@frozen
class RotationSettings:
    """Every bound of a rotation."""

    start_limit: Seconds = 30.0
    """To get a certificate at start."""
    start_pause: Seconds = 1.0
    """Between two tries at start."""
    answer_limit: Seconds = 900.0
    """For the answer to one request, later on. Source: client-go, ``certificateWaitTimeout``."""
    look_interval: Seconds = 60.0
    """How long a jump of the wall clock may go unnoticed."""
    shortest: Seconds = 1.0
    """Between two renewals, however short certificates are."""
    refusal_pause: Seconds = 60.0
    """A new certificate that is refused is replaced no earlier than so long after it came."""
    backoff: Backoff = field(factory=lambda: Backoff(base=2.0, cap=300.0))


@define(eq=False)
class Rotation:
    """One side's certificate, and the service that renews it: ``begin``, then ``run``. Needs the extra ``bootstrap``.

    ``reach`` makes a client that logs in with what it is given, to be closed after use. ``identity`` is what all other
    clients of that server log in with; it is the same object for ever.
    """

    name: str
    store: Store
    reach: Callable[[Credentials], Client] = field(repr=False)
    bootstrap: Credentials | None = None
    wanted: Wanted = field(default=Wanted(Subject("")), kw_only=True)
    """What is asked for; may be told as late as before ``begin``."""
    renews: bool = field(default=True, kw_only=True)
    """Whether the certificate is replaced before it ends; otherwise only where none is good, or it is refused."""
    settings: RotationSettings = field(default=RotationSettings(), kw_only=True)
    rng: random.Random = field(factory=random.Random, kw_only=True, repr=False)
    identity: Identity = field(init=False)
    renewed: int = field(default=0, init=False)
    """How many new certificates came into use."""
    failed: int = field(default=0, init=False)
    """How many tries came to nothing."""
    _deadline: dt.datetime | None = field(default=None, init=False)
    _came: Seconds = field(default=-math.inf, init=False)
    _unsaved: bytes | None = field(default=None, init=False, repr=False)
    _wake: asyncio.Event = field(factory=asyncio.Event, init=False, repr=False)

    @identity.default
    def _nobody(self) -> Identity:
        reached = self.bootstrap.access if self.bootstrap is not None else ClusterAccess("", str(self.store.path))
        return Identity(_bare(reached))

    # at start

    async def load(self) -> None:
        """Show the stored certificate, if there is a good one.

        Raises:
            LoginError: the store cannot be read, or what it holds is not ours to replace.
        """
        stored = await self._stored()
        if stored is None or stored.pair is None:
            return
        if problem := pairs.unusable(stored.pair, utc()):
            log.warning("certificate of no use: side=%s store=%s problem=%s", self.name, self.store.path, problem)
        else:
            await self._show(stored.pair, stored.access)

    async def begin(self) -> None:
        """Have a certificate to show: the stored one, or a new one, within ``start_limit``. May follow a ``load``.

        A certificate that is due but still good is shown if no new one is to be had.

        Raises:
            LoginError: no certificate; or what is stored is not ours to replace, or the store cannot be used.
        """
        if self.identity.pair is None:
            await self.load()
        if self.renews or self._is_due():
            await self.store.check()  # before a certificate is asked for that could not be kept
        if not self._is_due():
            return
        try:
            await self._insist()
        except KubeError as error:
            self.failed += 1
            if not self.identity.is_good(utc()):
                problem = f"there is no client certificate for {self.name}: {error}"
                raise LoginError(problem, where=str(self.store.path)) from error
            log.warning("starting with the former certificate: side=%s error=%s", self.name, error)

    async def _insist(self) -> None:
        """Ask until there is a certificate; not again where somebody said no, or waiting would not mend it."""
        end = now() + self.settings.start_limit
        while True:
            try:
                await self._renew(limit=end - now())
                await self._save()
                return
            except KubeError as error:
                denied = isinstance(error, CertificateRefused) and error.is_denied
                if denied or isinstance(error, LoginError) or now() + self.settings.start_pause >= end:
                    raise
                log.warning("no certificate yet: side=%s error=%s", self.name, error)
            await asyncio.sleep(self.settings.start_pause)

    # while it runs

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Renew for ever."""
        loop, failures = asyncio.get_running_loop(), 0
        # whoever is refused may live in a loop of its own
        self.identity.on_refused = lambda: loop.call_soon_threadsafe(self._wake.set)
        task_status.started()
        try:
            while True:
                self._wake.clear()
                try:
                    await self._step()
                    failures = 0
                    await self._rest()
                except KubeError as error:
                    failures += 1
                    self.failed += 1
                    pause = self.settings.backoff.delay(failures, self.rng)
                    log.warning(
                        "certificate not renewed: side=%s store=%s again_in=%.1fs error=%s",
                        *(self.name, self.store.path, pause, error),
                    )
                    await asyncio.sleep(pause)
        finally:
            self.identity.on_refused = None

    async def _step(self) -> None:
        """Whatever is to be done now."""
        await self._save()
        if self._is_due():
            await self._renew(limit=self.settings.answer_limit)
            await self._save()

    async def _rest(self) -> None:
        """Wait until something may be due."""
        wait = self.settings.look_interval
        if self.renews and self._deadline is not None:
            wait = min(wait, (self._deadline - utc()).total_seconds() + 0.001)
        try:
            async with asyncio.timeout(max(wait, self.settings.shortest)):
                await self._wake.wait()
                await asyncio.sleep(self._came + self.settings.refusal_pause - now())
        except TimeoutError:
            pass

    def _is_due(self) -> bool:
        if self.identity.pair is None:
            return True
        if self.identity.was_refused and now() >= self._came + self.settings.refusal_pause:
            return True
        return self.renews and self._deadline is not None and utc() >= self._deadline

    async def _renew(self, *, limit: Seconds) -> None:
        """Come by a certificate that is better than what we have."""
        stored = await self._of_another_process()
        if stored is not None and stored.pair is not None:
            await self._show(stored.pair, stored.access)
            log.info("certificate of another process in use: side=%s ends=%s", self.name, self.identity.ends)
            return
        pair = await self._asked(limit)
        await self._show(pair, self.identity.access)
        self._came = now()
        # one that is due as it comes (its clock is not ours) must not be replaced without a pause
        if self._deadline is not None and self._deadline <= utc() and self.identity.ends is not None:
            self._deadline = utc() + (self.identity.ends - utc()) / 2
        self.renewed += 1
        self._unsaved = written(self.identity.access, self.identity.ca, pair)
        log.info("new certificate in use: side=%s ends=%s", self.name, self.identity.ends)

    async def _of_another_process(self) -> Stored | None:
        """What somebody else has stored meanwhile, if it is good and not ours."""
        if self.identity.pair is None:
            return None  # looked at just before
        try:
            stored = await self._stored()
        except LoginError as error:
            log.warning("store of no help: side=%s error=%s", self.name, error)
            return None
        if stored is None or stored.pair is None or stored.pair == self.identity.pair:
            return None
        if pairs.unusable(stored.pair, utc()) or self._draw(stored.pair) <= utc():
            return None
        return stored

    async def _asked(self, limit: Seconds) -> Pair:
        """A new certificate: by who we are, else by the bootstrap way."""
        own = self.identity
        if own.pair is not None:
            try:
                # by our clock it may be over; the server's counts
                return await self._ask(own, limit)
            except KubeError as error:
                is_over = isinstance(error, Unauthorized) or not own.is_good(utc())
                if isinstance(error, CertificateRefused) or not is_over:
                    raise
                if self.bootstrap is None:
                    problem = f"our certificate is refused, and there is no bootstrap kubeconfig: {error}"
                    raise LoginError(problem, where=str(self.store.path)) from error
                log.warning("certificate refused, asking by the bootstrap way: side=%s error=%s", self.name, error)
        if self.bootstrap is None:
            remedy = "give a bootstrap kubeconfig, which may request one"
            raise LoginError("no usable client certificate is stored", where=str(self.store.path), remedy=remedy)
        return await self._ask(self.bootstrap, limit)

    async def _ask(self, credentials: Credentials, limit: Seconds) -> Pair:
        async with self.reach(credentials) as client:
            return await ask(client, self.wanted, timeout=limit)

    async def _show(self, pair: Pair, reached: ClusterAccess) -> None:
        """``reached`` leads to the server unless the bootstrap way says how to, which is more current."""
        if self.bootstrap is not None:
            reached = self.bootstrap.access
        await self.identity.show(pair, _bare(reached))
        self._deadline = self._draw(pair)

    def _draw(self, pair: Pair) -> dt.datetime:
        return pairs.deadline(pairs.validity(pair.certificate), self.rng)

    async def _stored(self) -> Stored | None:
        text = await self.store.read()
        expected = self.bootstrap.access if self.bootstrap is not None else None
        return understood(text, self.store.path, expected=expected) if text else None

    async def _save(self) -> None:
        if self._unsaved is not None:
            await self.store.write(self._unsaved)
            self._unsaved = None

    # what people ask

    def problem(self) -> str:
        """For a health check: what is wrong with the certificate; "" if nothing is."""
        if self.identity.ends is None:
            return "there is no client certificate"
        if not self.identity.is_good(utc()):
            return f"the client certificate expired at {self.identity.ends:%Y-%m-%dT%H:%M:%SZ}"
        return ""


def _bare(reached: ClusterAccess) -> ClusterAccess:
    """The way to a server without the way to log in."""
    return evolve(
        reached,
        token="",
        token_file=None,
        username="",
        password="",
        certificate=None,
        key=None,
        impersonation=None,
        plugin=None,
        plugin_config=None,
    )
