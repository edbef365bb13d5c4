"""A way to an API server that reads, and only notes what is written.

Nothing that could change anything is sent, also not as a dry run: the server sees reads alone. What is read of an
object that was written shows the write, until ``take``.
"""

from collections.abc import Mapping
from typing import Any

import orjson
from attrs import define, field, frozen

from apinetlet.tools import applied
from reconcile import ObjectKey, Seconds
from reconcile.core.clock import utc
from reconcile.kube.caller import is_write
from reconcile.kube.request import APPLY, HttpRequest, HttpResponse, RequestInfo, parse
from reconcile.kube.times import format_time
from reconcile.kube.transport import Guard, Stream, Transport

Document = Mapping[str, Any]
MERGE = "application/merge-patch+json"


@frozen
class Touched:
    """An object that would be written: as it is, and as it would be. ``None``: not there."""

    cluster: str
    resource: str
    key: ObjectKey
    before: Document | None
    after: Document | None


@frozen
class _Refused(Exception):
    status: int
    reason: str
    message: str


@define(eq=False)
class Captured:
    """``Transport`` over another one."""

    cluster: str
    inner: Transport
    told: list[Document] = field(factory=list, init=False)
    """The Events that would be written."""
    _touched: dict[str, Touched] = field(factory=dict, init=False)

    @property
    def host(self) -> str:
        return self.inner.host

    async def call(self, request: HttpRequest, *, timeout: Seconds, guard: Guard | None = None) -> HttpResponse:
        info = parse(request)
        if not is_write(request):
            known = self._touched.get(request.path) if info is not None and info.verb == "get" else None
            if known is None or info is None:
                return await self.inner.call(request, timeout=timeout)
            if known.after is None:
                return _status(info, 404, "NotFound", "it would be gone")
            return _found(known.after)
        if info is None:
            raise ValueError(f"no write that could be noted: {request.method} {request.path}")
        if info.plural == "events":
            self.told.append(orjson.loads(request.body))
            return _found(self.told[-1], 201)
        try:
            return await self._note(request, info, timeout)
        except _Refused as refused:
            return _status(info, refused.status, refused.reason, refused.message)

    async def open(self, request: HttpRequest, *, timeout: Seconds, guard: Guard | None = None) -> Stream:
        return await self.inner.open(request, timeout=timeout)

    async def aclose(self) -> None:
        await self.inner.aclose()

    def take(self) -> list[Touched]:
        """What was written since the last time, each object once; what would change nothing is left out."""
        touched, self._touched = self._touched, {}
        return [one for one in touched.values() if one.before != one.after]

    async def _note(self, request: HttpRequest, info: RequestInfo, timeout: Seconds) -> HttpResponse:
        body: Document = orjson.loads(request.body) if request.body else {}
        name = info.name or str((body.get("metadata") or {}).get("name") or "")
        path = request.path.removesuffix(f"/{info.subresource}") if info.subresource else request.path
        path = path if info.name else f"{path}/{name}"
        known = self._touched.get(path)
        live = known.after if known is not None else await self._live(path, timeout)
        after = _written(request, info, body, live)
        before = known.before if known is not None else live
        if after is not None and applied.ended(after):
            after = None
        resource = f"{info.plural}.{info.group}" if info.group else info.plural
        self._touched[path] = Touched(self.cluster, resource, ObjectKey(info.namespace, name), before, after)
        if after is None:
            return HttpResponse(200, {}, orjson.dumps({"kind": "Status", "apiVersion": "v1", "status": "Success"}))
        return _found(after, 200 if live is not None else 201)

    async def _live(self, path: str, timeout: Seconds) -> Document | None:
        response = await self.inner.call(HttpRequest("GET", path, (), {"accept": "application/json"}), timeout=timeout)
        if response.status == 404:
            return None
        if response.status >= 300:
            raise _Refused(response.status, "", f"{path} cannot be read")
        found: Document = orjson.loads(response.body)
        return found


def _written(request: HttpRequest, info: RequestInfo, body: Document, live: Document | None) -> Document | None:
    """What a write would leave; raises ``_Refused`` where the server surely would."""
    at = format_time(utc())
    kind = request.headers.get("content-type", "")
    if info.verb == "create":
        if live is not None:
            raise _Refused(409, "AlreadyExists", "there is an object of that name")
        return applied.created(body, at)
    if kind == APPLY:
        return applied.applied(live, body, manager=request.get("fieldManager"), at=at)
    if live is None:
        raise _Refused(404, "NotFound", "there is no such object")
    guards = (body.get("preconditions") if info.verb == "delete" else body.get("metadata")) or {}
    head = live["metadata"]
    if any(guards.get(name) not in (None, "", head.get(name)) for name in ("uid", "resourceVersion")):
        raise _Refused(409, "Conflict", "the object has changed")
    if info.verb == "delete":
        return applied.deleted(live, at)
    if kind == MERGE:
        return applied.patched(live, body, info.subresource)
    if info.verb == "update":
        return body
    raise ValueError(f"no write that could be noted: {info.verb} of {kind}")


def _found(document: Document, status: int = 200) -> HttpResponse:
    return HttpResponse(status, {"content-type": "application/json"}, orjson.dumps(document))


def _status(info: RequestInfo, code: int, reason: str, message: str) -> HttpResponse:
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
        "details": {"group": info.group, "kind": info.plural, "name": info.name},
    }
    return _found(body, code)
