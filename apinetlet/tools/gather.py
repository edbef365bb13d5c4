"""Asks both servers what ``findings.py`` judges. Reads only; what is refused is a fact like any other."""

import datetime as dt
import email.utils
import ssl
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import orjson
from attrs import evolve, frozen

from apinetlet.api import GENERATIONS, Generation
from apinetlet.assembly import APINET, SOURCE
from apinetlet.pod import pod_namespace
from apinetlet.settings import AUTO, Settings
from apinetlet.tools import fields
from apinetlet.tools.declared import declared
from apinetlet.tools.findings import LOGIN, KindFacts, LeaseFacts, Lifetime, SideFacts
from apinetlet.tools.rights import POD, connecting, rights
from reconcile import Client, KubeError, Manager, NotFound, ObjectKey, Resource
from reconcile.core.clock import utc
from reconcile.kube import tls
from reconcile.kube.access import ClusterAccess
from reconcile.kube.discovery import Discovery
from reconcile.kube.errors import BadAnswer, Forbidden
from reconcile.kube.kinds import LEASE, NAMESPACE
from reconcile.kube.objects import excerpt
from reconcile.kube.request import HttpRequest
from reconcile.kube.times import parse_time
from reconcile.manager.preflight import missing
from reconcile.manager.rbac import Rule


@frozen
class Gathered:
    """The facts of both sides, and the generation that the daemon would serve; ``None`` if there is none.

    After both comes the cluster of the Secrets with kubeconfigs, if there are any.
    """

    generation: Generation | None
    sides: tuple[SideFacts, ...]


async def gather(
    settings: Settings,
    source: Client,
    apinet: Client,
    *,
    environment: Mapping[str, str],
    own: Mapping[str, dt.datetime | None] = MappingProxyType({}),
    host: Client | None = None,
) -> Gathered:
    """Everything. ``own``: until when the certificates are that we have requested, or shall request, ourselves.

    ``host``: the cluster where kubeconfigs are kept in Secrets.
    """
    kept = [] if host is None else [await _host(host, settings, environment)]
    first = await _server(SOURCE, source, own), await _server(APINET, apinet, own)
    found = [await _discovered(client) for client in (source, apinet)]
    served = tuple(
        tuple(
            name for name, one in GENERATIONS.items() if discovery is not None and _group(side, one) in discovery.groups
        )
        for side, discovery in zip((SOURCE, APINET), found, strict=True)
    )
    name = settings.generation if settings.generation != AUTO else next(iter(served[0]), "")
    generation = GENERATIONS.get(name)
    sides = [evolve(facts, generations=names) for facts, names in zip(first, served, strict=True)]
    if generation is None:
        return Gathered(None, (*sides, *kept))
    daemon = declared(settings, generation)
    places = {SOURCE: [settings.namespace], APINET: [settings.api_net_namespace]}
    if settings.leader_elect:
        places[SOURCE].append(lease_namespace(settings, environment))
    clients = {SOURCE: source, APINET: apinet}
    for number, (facts, discovery) in enumerate(zip(sides, found, strict=True)):
        if facts.error or discovery is None:
            continue
        client = clients[facts.side]
        sides[number] = evolve(
            facts,
            kinds=await _kinds(daemon, facts.side, generation, client, discovery),
            namespaces={name: await _exists(client, name) for name in dict.fromkeys(places[facts.side]) if name},
            missing=await _missing(client, _rules(daemon, facts, settings, generation, environment)),
            lease=await _lease(settings, generation, client, environment) if facts.side == SOURCE else None,
        )
    return Gathered(generation, (*sides, *kept))


async def _host(client: Client, settings: Settings, environment: Mapping[str, str]) -> SideFacts:
    facts = await _server(POD, client, {})
    if facts.error:
        return facts
    rules = [one for one in connecting(settings, environment) if one.cluster == POD]
    return evolve(facts, missing=await _missing(client, rules))


def lease_namespace(settings: Settings, environment: Mapping[str, str]) -> str:
    """Where the Lease is."""
    return settings.leader_election_namespace or pod_namespace(environment)


async def lease_of(client: Client, key: ObjectKey) -> LeaseFacts:
    """Who holds a Lease."""
    name = str(key)
    try:
        lease = await client.get(LEASE, key)
    except NotFound:
        return LeaseFacts(name)
    except Forbidden:
        return LeaseFacts(name, error=f"no right to get leases.coordination.k8s.io in namespace {key.namespace}")
    except KubeError as error:
        return LeaseFacts(name, error=str(error))
    holder, renewed = lease.at("spec", "holderIdentity") or "", lease.at("spec", "renewTime")
    age = (utc() - parse_time(str(renewed))).total_seconds() if renewed else 0.0
    return LeaseFacts(name, str(holder), max(0.0, age), float(lease.at("spec", "leaseDurationSeconds") or 0))


async def _lease(
    settings: Settings, generation: Generation, client: Client, environment: Mapping[str, str]
) -> LeaseFacts:
    return await lease_of(client, ObjectKey(lease_namespace(settings, environment), generation.lease))


async def _server(side: str, client: Client, own: Mapping[str, dt.datetime | None]) -> SideFacts:
    try:
        asked = utc()
        answer = await client.request(HttpRequest("GET", "/version", (), {"accept": "application/json"}))
        took = utc() - asked
        version = _version(answer.body)
    except KubeError as error:
        return SideFacts(side, client.transport.host, error=str(error))
    lifetimes = await anyio.to_thread.run_sync(_lifetimes, client) if _access(client) is not None else ()
    if side in own:  # what the client shows until then is not ours
        ends = own[side]
        ours = () if ends is None else (Lifetime(LOGIN, ends),)
        lifetimes = (*ours, *(one for one in lifetimes if one.what != LOGIN))
    skew = _skew(answer.headers.get("date", ""), asked + took / 2)
    is_new = side in own and own[side] is None
    return SideFacts(side, client.transport.host, version=version, skew=skew, lifetimes=lifetimes, is_new=is_new)


def _version(answer: bytes) -> str:
    """What a server calls itself.

    Raises:
        BadAnswer: it is no API server, but a page that asks for a login, for example.
    """
    try:
        said = orjson.loads(answer)
    except orjson.JSONDecodeError as error:
        raise BadAnswer(f"not JSON ({error})", about="/version", excerpt=excerpt(answer)) from error
    if not isinstance(said, Mapping):
        raise BadAnswer("not a JSON object", about="/version", excerpt=excerpt(answer))
    return str(said.get("gitVersion") or "")


def _skew(date: str, at: dt.datetime) -> float | None:
    """How far the server's clock is ahead. A header has whole seconds, so less than one says nothing."""
    try:
        seconds = (email.utils.parsedate_to_datetime(date) - at).total_seconds() if date else None
    except ValueError:
        return None
    return seconds if seconds is None or abs(seconds) > 1 else 0.0


def _access(client: Client) -> ClusterAccess | None:
    access = getattr(getattr(client.transport, "credentials", None), "access", None)
    return access if isinstance(access, ClusterAccess) else None


def _lifetimes(client: Client) -> tuple[Lifetime, ...]:
    """Of the certificates on the way: ours, the authority's and the server's, as far as they can be read."""
    access = _access(client)
    if access is None or not access.server.startswith("https:"):
        return ()
    material = tls.read(access)
    shown = _shown(access) if getattr(client.transport, "is_direct", True) else None
    texts = {LOGIN: material.certificate, "the authority": material.ca, "the server": shown}
    found = {what: tls.ends_at(text) for what, text in texts.items() if text}
    return tuple(Lifetime(what, ends) for what, ends in found.items() if ends is not None)


def _shown(access: ClusterAccess) -> bytes | None:
    """The certificate that a server shows."""
    parts = urlsplit(access.server)
    if not parts.hostname:
        return None
    try:
        return ssl.get_server_certificate((parts.hostname, parts.port or 443), timeout=10).encode()
    except (OSError, ValueError):
        return None


async def _discovered(client: Client) -> Discovery | None:
    try:
        return await client.discover()
    except KubeError:
        return None


def _group(side: str, generation: Generation) -> str:
    return generation.networking if side == SOURCE else generation.apinet


async def _kinds(
    daemon: Manager, side: str, generation: Generation, client: Client, discovery: Discovery
) -> tuple[KindFacts, ...]:
    watched = [informer.watched.resource for informer in daemon.cluster(side).informers]
    with_status = {one.resource for one in daemon.writes if one.cluster == side and "status" in one.subresources}
    documents = {path: await _openapi(client, path) for path in dict.fromkeys(map(_path, watched))}
    return tuple(
        _kind(one, generation, discovery, documents[_path(one)], needs_status=one in with_status) for one in watched
    )


def _kind(
    resource: Resource[Any],
    generation: Generation,
    discovery: Discovery,
    document: Mapping[str, Any] | None,
    *,
    needs_status: bool,
) -> KindFacts:
    found = discovery.find(resource.group, resource.kind, resource.version)
    if found is None:
        return KindFacts(resource.name, is_served=False)
    lacks = fields.lacking(resource, generation, document) if document is not None else ()
    return KindFacts(resource.name, True, needs_status and "status" not in found.subresources, lacks)


def _path(resource: Resource[Any]) -> str:
    return f"/openapi/v3/apis/{resource.api_version}"


async def _openapi(client: Client, path: str) -> Mapping[str, Any] | None:
    try:
        answer = await client.request(HttpRequest("GET", path, (), {"accept": "application/json"}))
        document: Mapping[str, Any] = orjson.loads(answer.body)
    except (KubeError, orjson.JSONDecodeError):
        return None
    return document


async def _exists(client: Client, namespace: str) -> bool | None:
    try:
        await client.get(NAMESPACE, ObjectKey("", namespace))
    except NotFound:
        return False
    except KubeError:
        return None
    return True


async def _missing(client: Client, rules: Iterable[Rule]) -> tuple[Rule, ...] | None:
    try:
        return await missing(client, rules)
    except KubeError:
        return None


def _rules(
    daemon: Manager, facts: SideFacts, settings: Settings, generation: Generation, environment: Mapping[str, str]
) -> list[Rule]:
    """What we need there; before there is a certificate of ours, to come by it."""
    found = connecting(settings, environment) if facts.is_new else None
    found = rights(daemon, settings, generation, environment=environment) if found is None else found
    return [one for one in found if one.cluster == facts.side]
