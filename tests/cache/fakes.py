"""The other end of the wire: a collection with a history, which can also be told to misbehave."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import orjson

from reconcile.kube.client import Client, ClientSettings
from reconcile.kube.errors import ConnectionFailed
from reconcile.kube.patch import apply_merge
from reconcile.kube.request import APPLY, HttpRequest, HttpResponse, RequestInfo, parse
from reconcile.kube.retry import RetryPolicy
from tests.cache.things import a_thing

Answer: TypeAlias = "HttpResponse | FakeStream | Exception | Callable[[HttpRequest], None]"


class FakeStream:
    """A watch as the client reads it; the test writes it."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.headers: Mapping[str, str] = {}
        self.is_closed = False
        self.is_dead = False
        """A connection that nobody closes and nothing comes through."""
        self._pieces: asyncio.Queue[bytes | Exception] = asyncio.Queue()

    def send(self, type: str, object: Any) -> None:
        self.write(orjson.dumps({"type": type, "object": object}) + b"\n")

    def bookmark(self, version: int | str, *, ends_list: bool = False) -> None:
        head: dict[str, Any] = {"resourceVersion": str(version)}
        if ends_list:
            head["annotations"] = {"k8s.io/initial-events-end": "true"}
        self.send("BOOKMARK", {"kind": "Thing", "apiVersion": "example.dev/v1", "metadata": head})

    def write(self, piece: bytes) -> None:
        if not self.is_dead:
            self._pieces.put_nowait(piece)

    def end(self) -> None:
        self._pieces.put_nowait(b"")

    def tear(self) -> None:
        self._pieces.put_nowait(ConnectionFailed("reset", sent=True))

    async def read(self) -> bytes:
        piece = await self._pieces.get()
        if isinstance(piece, Exception):
            raise piece
        return piece

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        self.is_closed = True


def status(code: int, reason: str = "", message: str = "", **details: Any) -> HttpResponse:
    """An answer that is no success."""
    body = {"kind": "Status", "code": code, "reason": reason, "message": message, "details": details}
    return HttpResponse(code, {}, orjson.dumps(body))


class FakeServer:
    """``Transport`` to a server with one kind, Thing. ``script`` answers the next requests of a verb in its stead."""

    host = "fake:443"

    def __init__(self, *, watch_list: bool = True, kind: bool = True) -> None:
        self.watch_list = watch_list
        self.has_kind = kind
        self.version = 100
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.requests: list[tuple[RequestInfo | None, HttpRequest]] = []
        self.script: dict[str, deque[Answer]] = {}
        self.streams: list[FakeStream] = []
        self.compacted = 0
        self._log: list[tuple[int, str, dict[str, Any]]] = []
        self.watches: list[tuple[str, FakeStream]] = []

    # what a test does

    def put(self, name: str = "a", *, namespace: str = "default", **parts: Any) -> dict[str, Any]:
        """Create or change an object, and show it to the watches."""
        old = self.objects.get((namespace, name))
        uid = old["metadata"]["uid"] if old else f"uid-{name}-{self.version}"
        return self.store({**a_thing(name, namespace=namespace, **{"uid": uid, **parts})})

    def store(self, thing: dict[str, Any]) -> dict[str, Any]:
        head = thing["metadata"]
        key = head["namespace"], head["name"]
        self.version += 1
        thing = {**thing, "metadata": {**head, "resourceVersion": str(self.version)}}
        kind = "MODIFIED" if key in self.objects else "ADDED"
        self.objects[key] = thing
        self._show(kind, thing)
        return thing

    def drop(self, name: str = "a", *, namespace: str = "default") -> None:
        """Delete an object, and show it to the watches."""
        self.version += 1
        thing = self.objects.pop((namespace, name))
        thing = {**thing, "metadata": {**thing["metadata"], "resourceVersion": str(self.version)}}
        self._show("DELETED", thing)

    def compact(self) -> None:
        """Forget the history."""
        self.compacted = self.version

    def restore(self, version: int) -> None:
        """Go on from an older version, as after the restore of a backup: watches hear of nothing."""
        self.version = self.compacted = version
        self._log.clear()
        self.watches.clear()

    def next(self, verb: str, *answers: Answer) -> None:
        self.script.setdefault(verb, deque()).extend(answers)

    def asked(self, verb: str) -> list[dict[str, str]]:
        """The queries of the requests of a verb."""
        return [dict(request.query) for info, request in self.requests if info is not None and info.verb == verb]

    def writes(self) -> list[str]:
        reading = ("get", "list", "watch")
        return [f"{info.verb} {info}" for info, _ in self.requests if info is not None and info.verb not in reading]

    def client(self) -> Client:
        return Client(self, field_manager="tester", settings=ClientSettings(retry=RetryPolicy(attempts=1)))

    # what the client does

    async def call(self, request: HttpRequest, *, timeout: float, guard: Any = None) -> HttpResponse:
        await asyncio.sleep(0)
        if guard is not None:
            guard()
        info = parse(request)
        self.requests.append((info, request))
        verb = info.verb if info is not None else "discovery"
        answer = self._scripted(verb, request)
        if answer is not None:
            assert isinstance(answer, HttpResponse)
            return answer
        if info is None:
            kinds = [{"name": "things", "kind": "Thing"}] if self.has_kind else []
            return HttpResponse(200, {}, orjson.dumps({"kind": "APIResourceList", "resources": kinds}))
        if not self.has_kind:
            return HttpResponse(404, {}, b"404 page not found")
        return self._list(info, request) if verb == "list" else self._one(verb, info, request)

    async def open(self, request: HttpRequest, *, timeout: float, guard: Any = None) -> FakeStream:
        await asyncio.sleep(0)
        info = parse(request)
        assert info is not None
        self.requests.append((info, request))
        answer = self._scripted("watch", request)
        if answer is None:
            answer = self._watch(info, request)
        if isinstance(answer, HttpResponse):
            stream = FakeStream(answer.status)
            stream.write(answer.body)
            stream.end()
            return stream
        assert isinstance(answer, FakeStream)
        self.streams.append(answer)
        return answer

    async def aclose(self) -> None:
        pass

    def _scripted(self, verb: str, request: HttpRequest) -> HttpResponse | FakeStream | None:
        if not self.script.get(verb):
            return None
        answer = self.script[verb].popleft()
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, (HttpResponse, FakeStream)):
            return answer
        answer(request)
        return None

    def _list(self, info: RequestInfo, request: HttpRequest) -> HttpResponse:
        things = [thing for (namespace, _), thing in self.objects.items() if info.namespace in ("", namespace)]
        start, limit = int(request.get("continue", "0")), int(request.get("limit", "0")) or len(things)
        head: dict[str, Any] = {"resourceVersion": str(self.version)}
        if start + limit < len(things):
            head["continue"] = str(start + limit)
        items = [{key: part for key, part in thing.items() if key not in ("kind", "apiVersion")} for thing in things]
        return _ok({"kind": "ThingList", "metadata": head, "items": items[start : start + limit]})

    def _watch(self, info: RequestInfo, request: HttpRequest) -> HttpResponse | FakeStream:
        if not self.has_kind:
            return HttpResponse(404, {}, b"404 page not found")
        stream = FakeStream()
        if request.flag("sendInitialEvents"):
            if not self.watch_list:
                return status(422, "Invalid", "sendInitialEvents is forbidden for watch unless the feature is enabled")
            for (namespace, _), thing in self.objects.items():
                if info.namespace in ("", namespace):
                    stream.send("ADDED", thing)
            stream.bookmark(self.version, ends_list=True)
        elif (since := int(request.get("resourceVersion"))) < self.compacted:
            return status(410, "Expired", "too old resource version")
        else:
            for version, kind, thing in self._log:
                if version > since and info.namespace in ("", thing["metadata"]["namespace"]):
                    stream.send(kind, thing)
        self.watches.append((info.namespace, stream))
        return stream

    def _show(self, kind: str, thing: dict[str, Any]) -> None:
        self._log.append((self.version, kind, thing))
        for namespace, stream in self.watches:
            if namespace in ("", thing["metadata"]["namespace"]):
                stream.send(kind, thing)

    def _one(self, verb: str, info: RequestInfo, request: HttpRequest) -> HttpResponse:
        body = orjson.loads(request.body) if request.body else {}
        key = info.namespace, info.name or body.get("metadata", {}).get("name", "")
        old = self.objects.get(key)
        is_apply = request.headers.get("content-type") == APPLY
        if old is None and verb != "create" and not is_apply:
            return status(404, "NotFound", f"{key} not found")
        match verb:
            case "get":
                return _ok(old)
            case "delete":
                assert old is not None
                guards = body.get("preconditions", {})
                if any(old["metadata"][name] != value for name, value in guards.items()):
                    return status(409, "Conflict", "the UID in the precondition does not match")
                if old["metadata"].get("finalizers"):
                    dying = {**old["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
                    return _ok(self.store({**old, "metadata": dying}))
                self.drop(key[1], namespace=key[0])
                return _ok({"kind": "Status", "status": "Success"})
            case "create" if old is not None:
                return status(409, "AlreadyExists", "already exists")
            case "create":
                return _ok(self._changed(key, None, body))
            case "update":
                assert old is not None
                if body["metadata"].get("resourceVersion", old["metadata"]["resourceVersion"]) != _version(old):
                    return status(409, "Conflict", "the object has been modified")
                return _ok(self._changed(key, old, {**old, **body}))
        if is_apply:
            managed = {
                "manager": request.get("fieldManager"),
                "operation": "Apply",
                "apiVersion": body["apiVersion"],
                "fieldsV1": _fields(body),
                **({"subresource": info.subresource} if info.subresource else {}),
            }
            others = [
                one
                for one in (old or {}).get("metadata", {}).get("managedFields", [])
                if one.get("subresource", "") != info.subresource
            ]
            merged = apply_merge(old or {}, body)
            merged["metadata"]["managedFields"] = [*others, managed]
            return _ok(self._changed(key, old, merged))
        assert old is not None
        if isinstance(body, list):  # JSON patches are not carried out
            return _ok(old)
        guard = body.get("metadata", {}).get("resourceVersion")
        if guard and guard != _version(old):
            return status(409, "Conflict", "the object has been modified")
        return _ok(self._changed(key, old, apply_merge(old, body)))

    def _changed(self, key: tuple[str, str], old: dict[str, Any] | None, new: Mapping[str, Any]) -> dict[str, Any]:
        if old is not None and {**new, "metadata": {**new["metadata"], "resourceVersion": _version(old)}} == old:
            return old
        uid = old["metadata"]["uid"] if old else f"uid-{key[1]}-{self.version}"
        head = {**new["metadata"], "namespace": key[0], "name": key[1], "uid": uid}
        thing = {"apiVersion": "example.dev/v1", "kind": "Thing", **new, "metadata": head}
        if head.get("deletionTimestamp") and not head.get("finalizers"):
            self.drop(key[1], namespace=key[0])
            return {**thing, "metadata": {**head, "resourceVersion": str(self.version)}}
        return self.store(thing)


def _version(thing: Mapping[str, Any]) -> str:
    return str(thing["metadata"]["resourceVersion"])


def _fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """What an Apply entry says of a body without lists of maps."""
    unowned = ("apiVersion", "kind", "name", "namespace")
    fields = {}
    for name, value in body.items():
        if name not in unowned:
            inner = _fields(value) if isinstance(value, dict) else {}
            if name != "metadata" or inner:
                fields[f"f:{name}"] = inner
    return fields


def _ok(document: Any) -> HttpResponse:
    return HttpResponse(200, {}, orjson.dumps(document))
