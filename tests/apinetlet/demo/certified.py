"""The daemon of a world on virtual time as its process puts it together, with client certificates of its own.

Flags, kubeconfigs, stores, requests for certificates, their renewal and ``HttpTransport`` are the real ones. Only the
engine under it is not: ``Wire`` takes a request over the world's way, faults and all, and does first what the server's
end of a connection does: it looks whether the certificate is the authority's and good by now, or the token is known,
and answers 401 if not. What a user may then do is decided by the roles that ``apinetlet rbac`` prints.
"""

import asyncio
import datetime as dt
import logging
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final, Self, TypeVar, TypeVarTuple

import anyio
import anyio.to_thread
import orjson
import pytest
from attrs import define, evolve, field
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from apinetlet import connections as module
from apinetlet import flags
from apinetlet.api import Generation
from apinetlet.assembly import APINET, SOURCE, assemble
from apinetlet.connections import connections
from apinetlet.demo.world import TARGET_NAMESPACE
from apinetlet.demo.world import World as Clusters
from apinetlet.settings import Settings
from apinetlet.tools.declared import declared
from apinetlet.tools.rights import CERTIFICATES, POD, Subject, by_default, manifests, rights
from reconcile import Controller, Manager, NotFound
from reconcile.core.clock import Seconds, utc
from reconcile.kube.certificates.identity import Identity
from reconcile.kube.certificates.rotation import Rotation
from reconcile.kube.credentials import Credentials, Grant
from reconcile.kube.kinds import CSR
from reconcile.kube.kubeconfig import LoginError
from reconcile.kube.request import HttpRequest, HttpResponse
from reconcile.kube.transport import Guard, HttpTransport, Stream, Transport
from reconcile.manager.rbac import Rule
from reconcile.testing.apiserver import ApiServer, User
from reconcile.testing.apiserver.memory import MemoryStream
from reconcile.testing.apiserver.messages import ONE_BY_ONE
from reconcile.testing.apiserver.rbac import Rbac
from reconcile.testing.apiserver.signing import Signer
from reconcile.testing.certificates import Authority

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
log = logging.getLogger(__name__)

LIFE: Final = dt.timedelta(minutes=10)
"""Of a certificate."""
KEPT: Final = dt.timedelta(hours=1)
"""So long kube-controller-manager leaves a request where it is that was answered."""
SWEPT: Final = 600.0
"""Seconds from one look for such requests to the next."""
PASSES, HISTORY_BYTES, WRITES = 10, 16 * 1024, 50
"""Keys of which a controller remembers passes, and bytes of what they were about; writes that it knows for its own.

With more a soak would grow until all of it is full, after days."""
RESTART: Final[Seconds] = 10.0
"""After which a process that ended is begun anew."""
UNKNOWN: Final = b'{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Unauthorized","code":401}'
BOOTSTRAP: Final = User("system:bootstrap:soak", ("system:bootstrappers",))
KUBELET: Final = User("system:serviceaccount:kube-system:apinetlet")
STORE: Final = ("apinet-login", "kube-system")
"""Name and namespace of a Secret."""


@define(eq=False)
class Gate:
    """The way into one server: whom it knows, and who came."""

    server: ApiServer
    authority: Authority
    tokens: Mapping[str, User]
    certificates: int = field(default=0, init=False)
    """How many different ones were shown and let in."""
    refused: int = field(default=0, init=False)
    """How many requests had an answer of 401."""
    forbidden: Counter[str] = field(factory=Counter, init=False)
    """What those who were known may not do."""
    _shown: tuple[bytes, x509.Certificate] | None = field(default=None, init=False)

    def known(self, credentials: Credentials, grant: Grant) -> User | None:
        """Whose request it is; ``None``: nobody's."""
        token = dict(grant.headers).get("authorization", "").removeprefix("Bearer ")
        user = self.tokens.get(token) if token else self._certified(credentials)
        self.refused += user is None
        return user

    def _certified(self, credentials: Credentials) -> User | None:
        assert isinstance(credentials, Identity)
        assert credentials.pair is not None
        text = credentials.pair.certificate
        if self._shown is None or self._shown[0] != text:
            shown = x509.load_pem_x509_certificate(text)
            try:
                shown.verify_directly_issued_by(
                    x509.load_pem_x509_certificate(self.authority.pair.certificate.encode())
                )
            except (InvalidSignature, ValueError):
                return None
            self._shown = text, shown
            self.certificates += 1
        shown = self._shown[1]
        if not shown.not_valid_before_utc <= utc() < shown.not_valid_after_utc:
            return None
        parts: dict[x509.ObjectIdentifier, list[str]] = {}
        for part in shown.subject:
            parts.setdefault(part.oid, []).append(str(part.value))
        return User(parts[x509.NameOID.COMMON_NAME][0], tuple(parts.get(x509.NameOID.ORGANIZATION_NAME, ())))

    async def sweep(self) -> None:
        """Take old requests away, for ever."""
        client = self.server.client()
        while True:
            await anyio.sleep(SWEPT)
            for one in self.server.objects(CSR):
                made = one.metadata.creation_timestamp
                if made is not None and made < utc() - KEPT:
                    with suppress(NotFound):
                        await client.delete(CSR, one.metadata.key)


@define(eq=False)
class Wire:
    """``Engine``: from one transport to one server."""

    gate: Gate
    link: Transport
    credentials: Credentials

    async def call(self, request: HttpRequest, grant: Grant, *, timeout: Seconds, guard: Guard | None) -> HttpResponse:
        if (user := self.gate.known(self.credentials, grant)) is None:
            return HttpResponse(401, {"content-type": "application/json"}, UNKNOWN)
        answer = await self.link.call(_as(request, user), timeout=timeout, guard=guard)
        self._note(user, request, answer.status)
        return answer

    async def open(self, request: HttpRequest, grant: Grant, *, timeout: Seconds, guard: Guard | None) -> Stream:
        if (user := self.gate.known(self.credentials, grant)) is None:
            return MemoryStream(401, {"content-type": "application/json"}, None, UNKNOWN)
        answer = await self.link.open(_as(request, user), timeout=timeout, guard=guard)
        self._note(user, request, answer.status)
        return answer

    async def aclose(self) -> None:
        pass

    def _note(self, user: User, request: HttpRequest, status: int) -> None:
        if status == 403:
            self.gate.forbidden[f"{user.name}: {request.method} {request.path}"] += 1


def _as(request: HttpRequest, user: User) -> HttpRequest:
    """The server is told whose request it is, as a proxy tells it that ends the TLS before it."""
    who = {"impersonate-user": user.name, "impersonate-group": ONE_BY_ONE.join(user.groups)}
    return evolve(request, headers={**request.headers, **{name: value for name, value in who.items() if value}})


# -- the daemon --------------------------------------------------------------------------------------------------------


@define(eq=False)
class Daemon:
    """The process of one life, as a ``Program``; when it cannot go on it is begun anew."""

    land: "Land"
    rng: random.Random
    _running: Manager | None = field(default=None, init=False)

    @property
    def controllers(self) -> Sequence[Controller]:
        return self._running.controllers if self._running is not None else ()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self._once(stop)
                return
            except LoginError as error:
                self.land.exits += 1
                log.warning("the process has ended: %s", error)
            await anyio.sleep(RESTART)

    async def _once(self, stop: asyncio.Event) -> None:
        generation, settings = self.land.generation, self.land.settings
        async with connections(settings, environment={}) as reach:
            await reach.begin(generation, settings)
            manager = generation.field_manager
            async with (
                reach.source.connect(field_manager=manager) as source,
                reach.apinet.connect(field_manager=manager) as apinet,
            ):
                daemon = assemble(settings, generation, source, apinet, services=reach.services, rng=self.rng)
                reach.show(daemon)
                self._running = daemon
                async with daemon:
                    await daemon.run(stop)


@define(eq=False)
class Land:
    """Both clusters of a generation, who may do what in them, and what a daemon there is told on its command line."""

    generation: Generation
    settings: Settings
    gates: Mapping[str, Gate]
    """By the name that kubeconfigs have for the server."""
    exits: int = field(default=0, init=False)
    """How often a process ended by itself, for want of a certificate."""

    def program(self, links: Mapping[str, Transport], rng: random.Random) -> Daemon:
        """For ``World``: who is started in its context finds the way by these links."""
        _LIFE.set(_Life(self, links, random.Random(rng.getrandbits(64))))
        return Daemon(self, rng)

    @property
    def certificates(self) -> int:
        return sum(one.certificates for one in self.gates.values())

    @property
    def forbidden(self) -> Counter[str]:
        return sum((one.forbidden for one in self.gates.values()), Counter())


@define(eq=False)
class _Life:
    land: Land
    links: Mapping[str, Transport]
    rng: random.Random


_LIFE: ContextVar[_Life] = ContextVar("life")


def _start(transport: HttpTransport) -> Wire:
    """The engine of a transport that has none yet."""
    life, side = _LIFE.get(), transport.host.partition(".")[0]
    wire = Wire(life.land.gates[transport.host], life.links[side], transport.credentials)
    transport._engine = wire
    return wire


async def _inline(work: Callable[[*Ts], T], *args: *Ts, **_: Any) -> T:
    """In place of a thread, whose end would come when it likes."""
    await anyio.lowlevel.checkpoint()
    return work(*args)


@contextmanager
def certified_daemons(folder: Path) -> Iterator[None]:
    """Transports lead over the links of the life in which they are made, and a seed repeats a run."""

    def rotation(*args: Any, **options: Any) -> Rotation:
        return Rotation(*args, rng=_LIFE.get().rng, **options)

    pod = kubeconfig(folder / "pod", "http://source.ironcore", "pod")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HttpTransport, "_start", _start)
        patch.setattr(module, "Rotation", rotation)
        patch.setattr(anyio.to_thread, "run_sync", _inline)
        patch.setenv("KUBECONFIG", str(pod))
        yield


# -- the clusters ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def land(clusters: Clusters, folder: Path) -> AsyncIterator[Land]:
    """Open these clusters to a certified daemon; to be entered once they run. A certificate is good for ``LIFE``."""
    generation = clusters.generation
    settings, gates = _settings(generation, folder), dict[str, Gate]()
    subjects = {side: by_default(settings, generation, side) for side in (SOURCE, APINET)}
    rules = rights(declared(settings, generation), settings, generation, environment={})
    here = {SOURCE: clusters.source, APINET: clusters.apinet, POD: clusters.source}
    for side, documents in manifests(rules, {**subjects, POD: Subject("User", KUBELET.name)}, "apinetlet").items():
        await _grant(here[side], documents)
    asks = Rule(SOURCE, "", CERTIFICATES, "certificatesigningrequests", ("create", "get", "watch"))
    bootstrap = manifests([asks], {SOURCE: Subject("User", BOOTSTRAP.name)}, "bootstrap")[SOURCE]
    async with anyio.create_task_group() as tasks:
        for side in (SOURCE, APINET):
            await _grant(here[side], bootstrap)
            authority = Authority.create(f"{side} {generation.name}", utc())
            tokens = {"bootstrap": BOOTSTRAP, "pod": KUBELET}
            gate = gates[f"{side}.{generation.name}"] = Gate(here[side], authority, tokens)
            tasks.start_soon(gate.sweep)
            tasks.start_soon(_sign, Signer(here[side], approves=True, life=LIFE, ca=authority))
        yield Land(generation, settings, gates)
        tasks.cancel_scope.cancel()


async def _sign(signer: Signer) -> None:
    async with signer:
        await anyio.sleep_forever()


async def _grant(server: ApiServer, documents: Sequence[Mapping[str, Any]]) -> None:
    client = server.client()
    known = await client.discover()
    for one in documents:
        found = known.find("rbac.authorization.k8s.io", one["kind"])
        assert found is not None
        await client.create(found.resource, one, namespace=one["metadata"].get("namespace", ""))


def _settings(generation: Generation, folder: Path) -> Settings:
    """The flags of a daemon that keeps its certificates in files; with ironcore that for the api-net in a Secret."""
    words = [f"--api-net-namespace={TARGET_NAMESPACE}", f"--generation={generation.name}"]
    for side, prefix in ((SOURCE, "--"), (APINET, "--api-net-")):
        server = f"http://{side}.{generation.name}"
        asks = kubeconfig(folder / f"bootstrap-{side}-{generation.name}", server, "bootstrap")
        words += [f"{prefix}bootstrap-kubeconfig={asks}", f"{prefix}rotate-certificates"]
        if (side, generation.name) == (APINET, "ironcore"):
            name, namespace = STORE
            words += [f"{prefix}kubeconfig-secret-name={name}", f"{prefix}kubeconfig-secret-namespace={namespace}"]
        else:
            words.append(f"{prefix}kubeconfig={folder / f'store-{side}-{generation.name}'}")
    read, _ = flags.parse(words, Settings)
    return read.check()


def kubeconfig(path: Path, server: str, token: str) -> Path:
    """One that shows a token."""
    document = {
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_bytes(orjson.dumps(document))
    return path


def guarded(clusters: Clusters) -> Clusters:
    """Let roles decide in both; before they run."""
    for one in (clusters.source, clusters.apinet):
        one.rules = Rbac()
    return clusters


def forgetful(staff: Manager) -> Manager:
    """Let those who live as long as the world remember few of their passes and writes."""
    for one in staff.controllers:
        history = one._backlog.history
        history.keys, history.limit_bytes = PASSES, HISTORY_BYTES
        one._backlog.self_trigger.written.limit = WRITES
    return staff
