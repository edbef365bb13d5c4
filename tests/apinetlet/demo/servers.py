"""A server of the demo as its tests use it: by plurals and untyped documents."""

import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from attrs import frozen

from apinetlet.api import Generation
from apinetlet.demo import apinet
from apinetlet.demo.definitions import source_kinds
from reconcile import ApiError, Client
from reconcile.kube import MergePatch, Object, ObjectKey, Resource
from reconcile.kube.kinds import NAMESPACE
from reconcile.testing.apiserver import ApiServer, Kind

HOME = "apinet"
"""Where everything lives that has a namespace."""
NARROW = ("10.0.0.0/30", "2001:db8::4/126")
"""Four addresses of each family; none of them ends in colons, for that is no label value with dashes for colons."""
MANAGER = "tests"


@frozen
class Server:
    """One server under test."""

    generation: Generation
    server: ApiServer
    client: Client
    kinds: dict[str, Kind]

    def __getitem__(self, plural: str) -> Resource[Object]:
        return self.kinds[plural].resource

    async def create(self, plural: str, name: str, spec: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Create an object; the answer is what the server answers."""
        dry_run = more.pop("dry_run", False)
        body = {"metadata": {"name": name, **more.pop("metadata", {})}, "spec": spec, **more}
        namespace = HOME if self[plural].namespaced else ""
        return document(await self.client.create(self[plural], body, namespace=namespace, dry_run=dry_run))

    async def apply(self, plural: str, name: str, spec: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Apply an object as somebody who owns just these fields."""
        resource = self[plural]
        body = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": name, "namespace": HOME},
            "spec": spec,
        }
        return document(await self.client.apply(resource, body, **more))

    async def patch(self, plural: str, name: str, patch: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Change part of an object by a merge patch."""
        return document(await self.client.patch(self[plural], self.key(plural, name), MergePatch(patch), **more))

    async def delete(self, plural: str, name: str) -> None:
        await self.client.delete(self[plural], self.key(plural, name))

    def key(self, plural: str, name: str) -> ObjectKey:
        return ObjectKey(HOME if self[plural].namespaced else "", name)

    def all(self, plural: str) -> dict[str, dict[str, Any]]:
        """What is stored, by name."""
        return {one["metadata"]["name"]: document(one) for one in self.server.objects(self[plural])}

    def read(self, plural: str, name: str) -> dict[str, Any]:
        return self.all(plural)[name]


def document(answered: Object) -> dict[str, Any]:
    """An answer as what was on the wire."""
    found: dict[str, Any] = plain(answered)
    return found


def plain(value: Any) -> Any:
    """Read-only views as dicts and lists."""
    if hasattr(value, "items"):
        return {name: plain(one) for name, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, Iterable) and not isinstance(value, str) else value


@asynccontextmanager
async def apinet_server(generation: Generation, **supply: Any) -> AsyncIterator[Server]:
    """The api-net server of a generation; its public addresses are few unless told otherwise."""
    given = apinet.Supply(**{"prefixes": NARROW, **supply})
    async with _serving(generation, apinet.kinds(generation, random.Random(7), given)) as server:
        yield server


@asynccontextmanager
async def source_server(generation: Generation) -> AsyncIterator[Server]:
    """The source cluster's server of a generation."""
    async with _serving(generation, source_kinds(generation)) as server:
        yield server


@asynccontextmanager
async def _serving(generation: Generation, kinds: Iterable[Kind]) -> AsyncIterator[Server]:
    by_plural = {kind.resource.plural: kind for kind in kinds}
    async with ApiServer(by_plural.values(), rng=random.Random(1)) as server:
        client = server.client(field_manager=MANAGER)
        await client.create(NAMESPACE, {"metadata": {"name": HOME}})
        yield Server(generation, server, client, by_plural)


def said(error: ApiError) -> tuple[int, str]:
    """Status and message of a refusal."""
    return error.code, error.message


# -- objects that every server takes -----------------------------------------------------------------------------------


def an_ip(ip: str = "", family: str = "IPv4") -> dict[str, Any]:
    return {"type": "Public", "ipFamily": family, **({"ip": ip} if ip else {})}


def a_load_balancer(*families: str, type_: str = "Public", **changes: Any) -> dict[str, Any]:
    return {
        "type": type_,
        "networkRef": {"name": "some-network"},
        "ips": [{"name": family.lower(), "ipFamily": family} for family in families],
        "selector": {"matchLabels": {"app": "lb"}},
        "template": {"metadata": {"labels": {"app": "lb"}}},
        **changes,
    }


def a_gateway(*names: str, family: str = "IPv4") -> dict[str, Any]:
    return {
        "ipFamily": family,
        "networkRef": {"name": "some-network"},
        "portsPerNetworkInterface": 2048,
        "ips": [{"name": name} for name in names],
    }


def an_interface(*public: dict[str, str], **changes: Any) -> dict[str, Any]:
    return {
        "nodeRef": {"name": "partition.node"},
        "networkRef": {"name": "some-network"},
        "ips": ["192.168.0.1"],
        "publicIPs": list(public),
        **changes,
    }
