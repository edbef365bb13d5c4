"""A cluster that knows its users by certificate, and one program that wants to be one of them. On virtual time.

``Gate`` is the way in: it takes a bootstrap token as long as it holds, and certificates that the cluster's signer made
and that are good by the cluster's clock, and answers anything else with 401.
"""

import datetime as dt
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
from cryptography import x509
from cryptography.x509.oid import NameOID

from reconcile.core.clock import Seconds, utc
from reconcile.kube.access import ClusterAccess
from reconcile.kube.certificates.identity import Identity
from reconcile.kube.certificates.pairs import Pair, Subject, make
from reconcile.kube.certificates.requests import Wanted
from reconcile.kube.certificates.rotation import Rotation, RotationSettings
from reconcile.kube.certificates.stored import written
from reconcile.kube.certificates.stores import Store
from reconcile.kube.client import Client, ClientSettings
from reconcile.kube.credentials import Credentials, RenewedCredentials
from reconcile.kube.errors import ConnectionFailed
from reconcile.kube.kinds import CSR
from reconcile.kube.objects import ObjectKey
from reconcile.kube.patch import MergePatch
from reconcile.kube.request import HttpRequest, HttpResponse
from reconcile.kube.retry import RetryPolicy
from reconcile.kube.transport import Guard, Stream
from reconcile.testing.apiserver import ApiServer
from reconcile.testing.apiserver.admission import User
from reconcile.testing.apiserver.memory import MemoryStream
from reconcile.testing.apiserver.signing import Signer
from reconcile.testing.certificates import Authority

DAY = dt.timedelta(days=1)
WANTED = Wanted(Subject("system:networkplugin:x", ("system:networkplugins",)))
SERVER = ClusterAccess("http://memory")
UNKNOWN = b'{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Unauthorized","code":401}'


@attrs.define
class MemoryStore:
    """A store that may be told to fail."""

    path: Any = "memory/kubeconfig"
    text: bytes | None = None
    error: Exception | None = None
    writes: int = 0

    async def read(self) -> bytes | None:
        return self.text

    async def check(self) -> None:
        if self.error is not None:
            raise self.error

    async def write(self, text: bytes) -> None:
        await self.check()
        self.text = text
        self.writes += 1


@attrs.define(eq=False)
class Land:
    """The cluster, its signer, and who came with what."""

    server: ApiServer
    signer: Signer
    store: MemoryStore = attrs.field(factory=MemoryStore)
    takes_token: bool = True
    takes_certificates: bool = True
    is_up: bool = True
    garbled: bytes = b""
    """What is answered to whoever asks for an object, if anything."""
    ahead: dt.timedelta = dt.timedelta(0)
    """By how much the cluster's clock is ahead of ours."""
    came: list[str] = attrs.field(factory=list)
    """Who was let in, request by request."""

    def reach(self, credentials: Credentials) -> Client:
        return Client(Gate(self, credentials), settings=ClientSettings(retry=RetryPolicy(attempts=1)))

    def rotation(self, *, bootstrap: bool = True, store: Store | None = None, **options: Any) -> Rotation:
        token = RenewedCredentials(attrs.evolve(SERVER, token="t"))
        where: Any = self.store if store is None else store
        return Rotation(
            "source",
            where,
            self.reach,
            token if bootstrap else None,
            wanted=WANTED,
            rng=random.Random(1),
            **options,
        )

    def keep(self, *, starts: dt.datetime, ends: dt.datetime, server: str = "http://memory") -> Pair:
        """Put a certificate of the cluster into the store."""
        assert self.signer.ca is not None
        new = make(WANTED.subject)
        pem = self.signer.ca.sign_request(new.request.decode(), ["client auth"], validity=(starts, ends))
        pair = Pair(pem.encode(), new.key)
        self.store.text = written(ClusterAccess(server), None, pair)
        return pair

    async def judge(self, kind: str, **more: str) -> None:
        """Say something of every open request."""
        client = self.server.client()
        for one in self.server.objects(CSR):
            if not (one.at("status", "conditions") or []):
                said = {"type": kind, "status": "True", "reason": "Test", **more}
                where = "status" if kind == "Failed" else "approval"
                patch = MergePatch({"status": {"conditions": [said]}})
                await client.patch(CSR, ObjectKey("", one.metadata.name), patch, subresource=where)

    @property
    def requests(self) -> int:
        return len(self.server.objects(CSR))


@attrs.define(eq=False)
class Gate:
    """``Transport`` of a program with ``credentials``."""

    land: Land
    credentials: Credentials
    host: str = "memory"

    async def call(self, request: HttpRequest, *, timeout: Seconds, guard: Guard | None = None) -> HttpResponse:
        if (user := await self._user()) is None:
            return HttpResponse(401, {}, UNKNOWN)
        if self.land.garbled and request.method == "GET":
            return HttpResponse(200, {}, self.land.garbled)
        return await self.land.server.transport(user=user).call(request, timeout=timeout, guard=guard)

    async def open(self, request: HttpRequest, *, timeout: Seconds, guard: Guard | None = None) -> Stream:
        if (user := await self._user()) is None:
            return MemoryStream(401, {}, None, UNKNOWN)
        return await self.land.server.transport(user=user).open(request, timeout=timeout, guard=guard)

    async def aclose(self) -> None:
        pass

    async def _user(self) -> User | None:
        grant = await self.credentials.grant()
        if not self.land.is_up:
            raise ConnectionFailed("nobody is there", sent=False)
        user = self._known()
        if user is None:
            await self.credentials.renew(grant)
        else:
            self.land.came.append(user.name)
        return user

    def _known(self) -> User | None:
        if not isinstance(self.credentials, Identity):
            return User("bootstrap", ()) if self.land.takes_token else None
        assert self.credentials.pair is not None
        shown = x509.load_pem_x509_certificate(self.credentials.pair.certificate)
        moment = utc() + self.land.ahead
        if not self.land.takes_certificates or not shown.not_valid_before_utc <= moment < shown.not_valid_after_utc:
            return None
        [name] = shown.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return User(str(name.value), ())


@asynccontextmanager
async def land(life: dt.timedelta = DAY, *, approves: bool = True) -> AsyncIterator[Land]:
    """A cluster whose signer gives certificates that are good for ``life``."""
    async with (
        ApiServer() as server,
        Signer(server, approves=approves, life=life, ca=Authority.create("cluster", utc())) as signer,
    ):
        yield Land(server, signer)


QUICK = RotationSettings(look_interval=6 * 3600.0)
