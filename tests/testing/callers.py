"""Requests to an API server as a test writes them, and what comes back.

The same ``Api`` is told to the embedded server and, in ``test_apiserver_real.py``, to a real one: what a test that asks
for ``api`` claims about one of them is true of both.
"""

import re
from typing import Any, Final

import anyio
import attrs
import orjson

from reconcile.kube.request import HttpRequest
from reconcile.kube.transport import Stream, Transport
from reconcile.testing.apiserver import published, wire

JSON: Final = "application/json"
MERGE: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"
APPLY: Final = "application/apply-patch+yaml"
GROUP: Final = "shop.example.com"
DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
MODIFIED: Final = "the object has been modified; please apply your changes to the latest version and try again"


@attrs.frozen
class Reply:
    """An answer. ``body`` is text where it is no JSON."""

    code: int
    body: Any
    headers: Any

    def __getitem__(self, name: str) -> Any:
        return self.body[name]

    def get(self, name: str) -> Any:
        return self.body.get(name)

    @property
    def meta(self) -> dict[str, Any]:
        return self.body["metadata"]  # type: ignore[no-any-return]

    @property
    def version(self) -> str:
        return self.meta["resourceVersion"]  # type: ignore[no-any-return]

    @property
    def says(self) -> tuple[int, str, str]:
        """Code, reason and message of a refusal."""
        assert self.body["kind"] == "Status", self.body
        assert self.body["code"] == self.code
        return self.code, self.body.get("reason", ""), self.body["message"]

    @property
    def causes(self) -> list[tuple[str, str, str]]:
        """Field, reason and message of each cause of a refusal."""
        found = self.body["details"]["causes"]
        return [(one.get("field", ""), one.get("reason", ""), one.get("message", "")) for one in found]

    @property
    def owners(self) -> dict[str, Any]:
        """The fields of each manager: ``name`` for an apply, ``name:Update``, ``name/status``."""
        entries = self.meta.get("managedFields", [])
        return {_say(entry): entry["fieldsV1"] for entry in entries}


def _say(entry: dict[str, Any]) -> str:
    below = f"/{entry['subresource']}" if entry.get("subresource") else ""
    return f"{entry['manager']}{below}{':Update' if entry['operation'] == 'Update' else ''}"


@attrs.define
class Watch:
    """A watch that is being read."""

    stream: Stream
    rest: bytes = b""

    async def take(self, count: int) -> list[tuple[str, Any]]:
        """The next so many events, as type and object."""
        events: list[tuple[str, Any]] = []
        with anyio.fail_after(30):
            while len(events) < count:
                line, mark, rest = self.rest.partition(b"\n")
                if mark:
                    event = orjson.loads(line)
                    events.append((event["type"], event["object"]))
                    self.rest = rest
                elif chunk := await self.stream.read():
                    self.rest += chunk
                else:
                    raise AssertionError(f"the watch ended after {events}")
        return events

    async def names(self, count: int) -> list[tuple[str, str]]:
        """The next so many events, as type and name."""
        return [(kind, found["metadata"]["name"]) for kind, found in await self.take(count)]

    async def to_end(self) -> list[tuple[str, Any]]:
        """All that is still to come; waits for the end."""
        while chunk := await self.stream.read():
            self.rest += chunk
        events = [orjson.loads(line) for line in self.rest.splitlines()]
        return [(event["type"], event["object"]) for event in events]


@attrs.define
class Api:
    """``namespace`` is the test's own, as are the objects in it."""

    transport: Transport
    namespace: str

    @property
    def maps(self) -> str:
        """The path of the ConfigMaps in the namespace."""
        return f"/api/v1/namespaces/{self.namespace}/configmaps"

    @property
    def things(self) -> str:
        """The path of the Things in the namespace."""
        return f"/apis/{GROUP}/v1/namespaces/{self.namespace}/things"

    def path(self, plural: str) -> str:
        """The path of a built-in namespaced resource."""
        return f"/api/v1/namespaces/{self.namespace}/{plural}"

    async def send(
        self, method: str, path: str, body: Any = None, *, media: str = JSON, accept: str = JSON, **query: Any
    ) -> Reply:
        """``query``: a trailing underscore of a name is dropped; a list repeats it."""
        request = self.request(method, path, body, media=media, accept=accept, **query)
        response = await self.transport.call(request, timeout=30)
        try:
            return Reply(response.status, orjson.loads(response.body), response.headers)
        except orjson.JSONDecodeError:
            return Reply(response.status, response.body.decode(), response.headers)

    def request(self, method: str, path: str, body: Any, *, media: str, accept: str, **query: Any) -> HttpRequest:
        raw = body if isinstance(body, bytes) else orjson.dumps(body) if body is not None else b""
        headers = {"accept": accept, **({"content-type": media} if body is not None else {})}
        pairs = [
            (name.rstrip("_"), str(one))
            for name, value in query.items()
            for one in (value if isinstance(value, list) else [value])
        ]
        return HttpRequest(method, path, tuple(pairs), headers, raw)

    async def get(self, path: str, **query: Any) -> Reply:
        return await self.send("GET", path, **query)

    async def post(self, path: str, body: Any, **query: Any) -> Reply:
        return await self.send("POST", path, body, **query)

    async def put(self, path: str, body: Any, **query: Any) -> Reply:
        return await self.send("PUT", path, body, **query)

    async def delete(self, path: str, body: Any = None, **query: Any) -> Reply:
        return await self.send("DELETE", path, body, **query)

    async def merge(self, path: str, body: Any, **query: Any) -> Reply:
        return await self.send("PATCH", path, body, media=MERGE, **query)

    async def patch(self, path: str, operations: Any, **query: Any) -> Reply:
        return await self.send("PATCH", path, operations, media=JSON_PATCH, **query)

    async def strategic(self, path: str, body: Any, **query: Any) -> Reply:
        return await self.send("PATCH", path, body, media=STRATEGIC, **query)

    async def apply(self, path: str, body: Any, manager: str, **query: Any) -> Reply:
        return await self.send("PATCH", path, body, media=APPLY, fieldManager=manager, **query)

    async def watch(self, path: str, *, accept: str = JSON, **query: Any) -> Watch:
        request = self.request("GET", path, None, media=JSON, accept=accept, watch="true", **query)
        return Watch(await self.transport.open(request, timeout=30))

    async def made(self, path: str, body: Any, **query: Any) -> Reply:
        """A creation that succeeds."""
        reply = await self.post(path, body, **query)
        assert reply.code == 201, reply.body
        return reply

    async def map(self, name: str, data: dict[str, str] | None = None, **metadata: Any) -> Reply:
        """A ConfigMap that is created."""
        return await self.made(self.maps, a_map(name, data, **metadata))

    async def thing(self, name: str, spec: Any = None, **metadata: Any) -> Reply:
        """A Thing that is created."""
        return await self.made(self.things, a_thing(name, spec, **metadata))


def a_map(name: str, data: dict[str, str] | None = None, **metadata: Any) -> dict[str, Any]:
    """A ConfigMap."""
    body: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}}
    return {**body, "data": data} if data is not None else body


def a_thing(name: str, spec: Any = None, **metadata: Any) -> dict[str, Any]:
    """A Thing."""
    body: dict[str, Any] = {"apiVersion": f"{GROUP}/v1", "kind": "Thing", "metadata": {"name": name, **metadata}}
    return {**body, "spec": spec} if spec is not None else body


def a_check(name: str, spec: Any) -> dict[str, Any]:
    """A Check."""
    return {"apiVersion": f"{GROUP}/v1", "kind": "Check", "metadata": {"name": name}, "spec": spec}


_TEXT: Final = {"type": "string"}
_COUNT: Final = {"type": "integer"}
_LEAF: Final = {"type": "object", "properties": {"a": _TEXT, "b": _COUNT}}
_INNER: Final = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["port", "protocol"],
    "items": {
        "type": "object",
        "required": ["port"],
        "properties": {"port": _COUNT, "protocol": {**_TEXT, "default": "TCP"}, "note": _TEXT},
    },
}
_SPEC: Final = {
    "type": "object",
    "properties": {
        "text": _TEXT,
        "count": {**_COUNT, "default": 5},
        "labels": {"type": "object", "additionalProperties": _TEXT},
        "leaves": {"type": "object", "additionalProperties": _LEAF},
        "leaf": _LEAF,
        "atom": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {"a": _TEXT, "b": _TEXT}},
        "list": {"type": "array", "items": _TEXT},
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": _TEXT},
        "parts": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": _TEXT, "size": _COUNT, "leaf": _LEAF, "ports": _INNER},
            },
        },
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "port": {"x-kubernetes-int-or-string": True},
        "maybe": {**_TEXT, "nullable": True, "default": "sure"},
    },
}


def _definition(kind: str, plural: str, **version: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {"kind": kind, "plural": plural},
            "scope": "Namespaced",
            "versions": [{"name": "v1", "served": True, "storage": True, **version}],
        },
    }


def _schema(**parts: Any) -> dict[str, Any]:
    return {"openAPIV3Schema": {"type": "object", "properties": parts}}


THINGS: Final = _definition(
    "Thing",
    "things",
    schema=_schema(
        spec=_SPEC,
        status={
            "type": "object",
            "properties": {"phase": _TEXT, "seen": {"type": "object", "additionalProperties": _TEXT}},
        },
    ),
    subresources={"status": {}},
    selectableFields=[{"jsonPath": ".spec.text"}],
)
"""A definition with a list, map or scalar of every way to merge."""

CHECKS: Final = _definition(
    "Check",
    "checks",
    schema=_schema(
        spec={
            "type": "object",
            "properties": {
                "text": _TEXT,
                "count": _COUNT,
                "flag": {"type": "boolean"},
                "strict": {"type": "object", "required": ["b"], "properties": {"a": _COUNT, "b": _TEXT}},
                "short": {**_TEXT, "minLength": 1, "maxLength": 3},
                "letters": {**_TEXT, "pattern": "^[a-z]+$"},
                "mode": {**_TEXT, "enum": ["A", "B"]},
                "small": {**_COUNT, "minimum": 1, "maximum": 10},
                "open": {"type": "number", "minimum": 0, "exclusiveMinimum": True},
                "even": {**_COUNT, "multipleOf": 2},
                "pair": {"type": "array", "items": _TEXT, "minItems": 2, "maxItems": 2},
                "few": {"type": "object", "additionalProperties": _TEXT, "minProperties": 1, "maxProperties": 1},
                "address": {**_TEXT, "format": "ipv4"},
                "network": {**_TEXT, "format": "cidr"},
                "moment": {**_TEXT, "format": "date-time"},
                "port": {"x-kubernetes-int-or-string": True},
                "any": {"x-kubernetes-preserve-unknown-fields": True},
                "either": {
                    "type": "object",
                    "properties": {"a": _TEXT, "b": _TEXT},
                    "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
                },
            },
        }
    ),
)
"""A definition with every rule for a value."""


def definition_in_protobuf(schema: Any) -> bytes:
    """The definition of things with this schema for a field, as protobuf."""
    whole = {"type": "object", "properties": {"a": schema}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": whole}}
    body = {**THINGS, "spec": {**THINGS["spec"], "versions": [version]}}
    return wire.sealed(body, published.definition(body["apiVersion"], body["kind"]))
