"""Both API servers as the flags say they are reached: who we are there, and what keeps that current.

``connections`` reads what there is and asks nobody yet; a side with a certificate of its own has one after ``begin``,
which needs to know the generation. Until then ``scout`` makes a client that may look around by whatever way there is.
"""

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias

from attrs import define, evolve, field, frozen

from apinetlet.api import Generation
from apinetlet.modes import Mode, Side, shared, store_manager, subject
from apinetlet.pod import pod_namespace
from apinetlet.settings import Settings
from reconcile import Client, Manager, connect
from reconcile.core.clock import utc
from reconcile.core.service import Service
from reconcile.kube import egress, login
from reconcile.kube.certificates.requests import Wanted
from reconcile.kube.certificates.rotation import Rotation
from reconcile.kube.certificates.stores import FileStore, SecretStore, Store
from reconcile.kube.client import ClientSettings
from reconcile.kube.credentials import Credentials, Grant
from reconcile.kube.kept import KeptCredentials
from reconcile.kube.kubeconfig import LoginError
from reconcile.kube.objects import ObjectKey
from reconcile.kube.retry import RetryPolicy
from reconcile.kube.transport import HttpTransport, TransportSettings
from reconcile.manager.registry import Counts, Figures

Connect: TypeAlias = Callable[..., Client]
"""Makes a client with connections of its own; takes what ``Connection.connect`` takes by name."""


@define(eq=False)
class Connection:
    """One of the two servers. ``rotation`` is there where we have a certificate of our own."""

    side: Side
    credentials: Credentials = field(repr=False)
    settings: ClientSettings
    rotation: Rotation | None = None
    transport: TransportSettings = field(factory=TransportSettings)
    _scouting: Credentials | None = field(default=None, repr=False)

    def connect(
        self,
        *,
        field_manager: str = "reconcile",
        user_agent: str = "",
        settings: ClientSettings | None = None,
    ) -> Client:
        """A client with connections of its own, to be entered. ``settings`` replace the daemon's, limits excepted."""
        own = self.settings
        limited = own if settings is None else evolve(settings, qps=own.qps, burst=own.burst)
        agent = user_agent or field_manager
        return _client(self.credentials, self.transport, limited, user_agent=agent, field_manager=field_manager)

    def scout(self, *, user_agent: str) -> Client:
        """The same before there is a certificate: by the stored one, else by the bootstrap way."""
        return _client(self._scouting or self.credentials, self.transport, self.settings, user_agent=user_agent)


@frozen
class Connections:
    """Both of them."""

    source: Connection
    apinet: Connection
    host: Client | None = field(default=None, repr=False)
    """The cluster where the process runs, if it has a kubeconfig in a Secret there."""

    async def begin(self, generation: Generation, settings: Settings) -> None:
        """Have a certificate wherever one is wanted; half a minute at most for each.

        Raises:
            LoginError: there is none to be had, or no place to keep it; says for which cluster.
        """
        if self.host is not None:
            self.host.field_manager = store_manager(generation)
        for one in (self.source, self.apinet):
            if one.rotation is not None:
                whom = subject(generation, one.side.name, settings.api_net_namespace)
                one.rotation.wanted = Wanted(whom, key="rsa" if settings.certificate_key == "rsa" else "ecdsa")
                await one.rotation.begin()

    @property
    def rotations(self) -> tuple[Rotation, ...]:
        return tuple(one.rotation for one in (self.source, self.apinet) if one.rotation is not None)

    @property
    def services(self) -> tuple[Service, ...]:
        """What has to run as long as the clients are used."""
        return self.rotations

    def show(self, daemon: Manager) -> None:
        """Hang up what tells of the certificates: a health check for each side, and figures."""
        for one in self.rotations:
            daemon.probes.add(one.name, one.problem, "healthz")
        if daemon.metrics is not None and self.rotations:
            _show(daemon.metrics.figures, self.rotations)


@asynccontextmanager
async def connections(
    settings: Settings, *, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Connections]:
    """Both servers as ``settings`` name them. Reads kubeconfigs and stores; sends nothing to either server.

    Raises:
        LoginError: a kubeconfig or a store that cannot be used; says what, where and what to do.
    """
    environment = os.environ if environment is None else environment
    sides = Side.of(settings, "source"), Side.of(settings, "apinet")
    if wrong := shared(*(_located(side, environment) for side in sides)):
        raise LoginError(wrong)
    async with AsyncExitStack() as stack:
        host = None
        if any(side.secret_name for side in sides):
            # where the program runs; found as kubectl would
            host = await stack.enter_async_context(connect(user_agent="apinetlet-kubeconfig"))
        made = [await _connection(side, settings, host, environment) for side in sides]
        yield Connections(made[0], made[1], host)


def _located(side: Side, environment: Mapping[str, str]) -> Side:
    """With its places as they are called by everybody: links followed, and no namespace left out."""
    files = {name: os.path.realpath(said) for name in ("kubeconfig", "bootstrap") if (said := getattr(side, name))}
    return evolve(side, **files, secret_namespace=side.secret_namespace or pod_namespace(environment))


async def _connection(
    side: Side, settings: Settings, host: Client | None, environment: Mapping[str, str]
) -> Connection:
    limits = ClientSettings(call_timeout=settings.request_timeout, qps=side.qps, burst=side.burst)
    transport = TransportSettings(tunnel=egress.load(Path(side.egress)) if side.egress else None)
    if side.mode is Mode.PLAIN:
        if host is not None and side.secret_name:
            credentials: Credentials = await KeptCredentials.load(_store(side, host, environment))
        else:
            credentials = login.load(Path(side.kubeconfig) if side.kubeconfig else None, environment=environment)
        return Connection(side, credentials, limits, transport=transport)
    bootstrap, missing = None, None
    if side.bootstrap:
        try:
            bootstrap = login.load(Path(side.bootstrap), environment=environment)
        except LoginError as error:
            missing = error  # it may have been taken away once it has served
    once = ClientSettings(call_timeout=settings.request_timeout, retry=RetryPolicy(attempts=1))  # tried as a whole
    name = f"{side.name}-certificate"
    rotation = Rotation(
        name,
        _store(side, host, environment),
        partial(_client, transport=transport, settings=once, user_agent=f"apinetlet-{name}"),
        bootstrap,
        renews=side.mode is Mode.ROTATE,
    )
    await rotation.load()
    if missing is not None and rotation.identity.pair is None:
        raise missing
    scouting = Either(rotation.identity, bootstrap) if bootstrap is not None else rotation.identity
    return Connection(side, rotation.identity, limits, rotation, transport, scouting)


def _client(
    credentials: Credentials,
    transport: TransportSettings,
    settings: ClientSettings,
    *,
    user_agent: str,
    field_manager: str = "reconcile",
) -> Client:
    reached = HttpTransport(credentials, evolve(transport, user_agent=user_agent))
    return Client(reached, field_manager=field_manager, settings=settings)


def _store(side: Side, host: Client | None, environment: Mapping[str, str]) -> Store:
    if side.secret_name and host is not None:
        return SecretStore(host, ObjectKey(side.secret_namespace or pod_namespace(environment), side.secret_name))
    return FileStore(Path(side.kubeconfig).absolute())


@define(eq=False)
class Either:
    """``Credentials`` of one server: the first as long as they are there and not refused, then the others."""

    first: Credentials
    other: Credentials
    access: login.ClusterAccess = field(init=False)
    _is_first_over: bool = field(default=False, init=False)

    @access.default
    def _of_both(self) -> login.ClusterAccess:
        return self.other.access

    async def grant(self) -> Grant:
        if not self._is_first_over:
            try:
                return await self.first.grant()
            except LoginError:
                self._is_first_over = True
        return await self.other.grant()

    async def renew(self, refused: Grant) -> Grant | None:
        if self._is_first_over:
            return await self.other.renew(refused)
        self._is_first_over = True
        return await self.first.renew(refused) or await self.other.grant()


def _show(figures: Figures, rotations: tuple[Rotation, ...]) -> None:
    left = figures.gauge("client_certificate_ttl_seconds", "Until the client certificate ends", "name")
    renewals = Counts(figures.counter("client_certificate_renewals_total", "Renewals", "name", "outcome"))

    def sample() -> None:
        for one in rotations:
            if one.identity.ends is not None:
                left[one.name,].set((one.identity.ends - utc()).total_seconds())
            renewals.set(one.renewed, one.name, "renewed")
            renewals.set(one.failed, one.name, "failed")

    figures.sample(sample)
