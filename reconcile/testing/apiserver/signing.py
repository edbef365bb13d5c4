"""A signer of certificates, for tests that want one: it signs what was approved.

No part of a server unless it is switched on: ``async with ApiServer() as server, Signer(server) as signer``. Requests
for the signers of Kubernetes are signed by an authority of the test's own; who approves is the test's business, unless
``approves`` says otherwise. Needs the extra ``bootstrap``. Source of the signers: the page on certificate signing
requests of the Kubernetes documentation.
"""

import base64
import datetime as dt
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import anyio
import attrs
import orjson

from reconcile.core.clock import utc
from reconcile.kube import kinds, request
from reconcile.kube.objects import ObjectKey
from reconcile.kube.patch import MergePatch
from reconcile.testing.apiserver.failure import Document

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from reconcile.testing.apiserver.server import ApiServer
    from reconcile.testing.certificates import Authority

SIGNERS: Final = (
    "kubernetes.io/kube-apiserver-client",
    "kubernetes.io/kube-apiserver-client-kubelet",
    "kubernetes.io/kubelet-serving",
    "kubernetes.io/legacy-unknown",
)
WATCH: Final = 7 * 86400
"""How long one of its watches is, in seconds: virtual years should not be spent on opening them."""


@attrs.define(eq=False)
class Signer:
    """Signs approved requests of some ``signers`` as long as it is entered. ``ca`` is made anew unless it is given."""

    server: "ApiServer"
    signers: Iterable[str] = SIGNERS
    approves: bool = False
    """Whether it approves whatever comes."""
    ca: "Authority | None" = None
    life: dt.timedelta | None = None
    """How long its certificates are good from when they are signed; by default as long as the authority's own."""
    _tasks: "TaskGroup | None" = attrs.field(default=None, init=False)

    async def __aenter__(self) -> Self:
        from reconcile.testing.certificates import Authority  # on use: the extra may be missing

        self.ca = self.ca or Authority.create("signer", utc())
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._run, name="certificate signer")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._tasks is not None
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)

    async def _run(self) -> None:
        transport = self.server.transport(user_agent="signer")
        asked = request.watch(kinds.CSR, allow_bookmarks=False, timeout_seconds=WATCH)
        while True:
            stream = await transport.open(asked, timeout=60)
            rest = b""
            while chunk := await stream.read():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    event = orjson.loads(line)
                    if event["type"] in ("ADDED", "MODIFIED"):
                        await self._look(transport, event["object"])

    async def _look(self, transport: Any, found: Document) -> None:
        if found["spec"].get("signerName") not in self.signers or (found.get("status") or {}).get("certificate"):
            return
        conditions = (found.get("status") or {}).get("conditions") or []
        holds = {one["type"] for one in conditions}
        key = ObjectKey("", found["metadata"]["name"])
        if self.approves and not holds:
            verdict = {"type": "Approved", "status": "True", "reason": "AutoApproved", "message": "by the signer"}
            patch = MergePatch({"status": {"conditions": [verdict]}})
            await transport.call(request.patch(kinds.CSR, key, patch, subresource="approval"), timeout=10)
        elif "Approved" in holds and not holds & {"Denied", "Failed"}:
            assert self.ca is not None
            validity = (utc(), utc() + self.life) if self.life is not None else None
            asked = base64.b64decode(found["spec"]["request"]).decode()
            pem = self.ca.sign_request(asked, found["spec"]["usages"], validity=validity)
            patch = MergePatch({"status": {"certificate": base64.b64encode(pem.encode()).decode()}})
            await transport.call(request.patch(kinds.CSR, key, patch, subresource="status"), timeout=10)
