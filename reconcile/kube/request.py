"""One call to the API as a value: the verbs build it, ``parse`` reads it back.

Client, transports and the test server share these values, so nobody else spells a path, a query parameter or a content
type. Options that are not given are not sent. Pure: ``transport.py`` sends, and adds who we are.
"""

import functools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import unquote, urlencode

import attrs

from reconcile.kube.objects import EMPTY, ObjectKey
from reconcile.kube.patch import Patch
from reconcile.kube.resource import Resource
from reconcile.kube.views import dumps

Query: TypeAlias = tuple[tuple[str, str], ...]
Body: TypeAlias = bytes | Mapping[str, Any]
Propagation: TypeAlias = Literal["Orphan", "Background", "Foreground"]
Verb: TypeAlias = Literal["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"]

JSON: Final = "application/json"
APPLY: Final = "application/apply-patch+yaml"
"""Server-side apply. JSON is YAML, so the body is JSON."""
ONLY_METADATA: Final = f"{JSON};as=PartialObjectMetadata;g=meta.k8s.io;v=v1,{JSON}"
ONLY_METADATA_LIST: Final = f"{JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,{JSON}"
"""A server that cannot cut down falls back to whole objects."""


@attrs.frozen
class HttpRequest:
    """``path`` is percent-encoded, ``query`` is not; names of ``headers`` are lower-case. Credentials come later."""

    method: str
    path: str
    query: Query = ()
    headers: Mapping[str, str] = EMPTY
    body: bytes = b""

    @property
    def target(self) -> str:
        """Path and query as they stand in a request line."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path

    def get(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        return next((value for key, value in self.query if key == name), default)

    def flag(self, name: str) -> bool:
        """A boolean query parameter as the API server reads it: all but absent, ``0`` and ``false`` is true."""
        return self.get(name, "0").lower() not in ("0", "false")


@attrs.frozen
class HttpResponse:
    """An answer that was read to its end; names of ``headers`` are lower-case."""

    status: int
    headers: Mapping[str, str] = EMPTY
    body: bytes = b""


def get(
    resource: Resource[Any],
    key: ObjectKey,
    *,
    subresource: str = "",
    resource_version: str = "",
    metadata_only: bool = False,
) -> HttpRequest:
    """Read one object."""
    return HttpRequest(
        "GET",
        resource.path(*key, subresource),
        _query(resourceVersion=resource_version),
        {"accept": ONLY_METADATA if metadata_only else JSON},
    )


def list_(
    resource: Resource[Any],
    namespace: str = "",
    *,
    labels: str = "",
    fields: str = "",
    limit: int = 0,
    continue_: str = "",
    resource_version: str = "",
    resource_version_match: str = "",
    timeout_seconds: int = 0,
    metadata_only: bool = False,
) -> HttpRequest:
    """Read a page of a collection; ``limit=0`` means all of it.

    With ``continue_`` the server refuses a ``resource_version``: the token carries it. An unset version is a
    consistent read, "0" is any past the server still has.
    """
    query = _query(
        labelSelector=labels,
        fieldSelector=fields,
        limit=limit,
        resourceVersion=resource_version,
        resourceVersionMatch=resource_version_match,
        timeoutSeconds=timeout_seconds,
        **{"continue": continue_},
    )
    return HttpRequest(
        "GET", resource.path(namespace), query, {"accept": ONLY_METADATA_LIST if metadata_only else JSON}
    )


def watch(
    resource: Resource[Any],
    namespace: str = "",
    *,
    labels: str = "",
    fields: str = "",
    resource_version: str = "",
    timeout_seconds: int = 0,
    allow_bookmarks: bool = True,
    send_initial_events: bool = False,
    metadata_only: bool = False,
) -> HttpRequest:
    """Follow a collection from ``resource_version`` on; the server ends it after ``timeout_seconds``.

    ``send_initial_events`` asks for a list as events first (WatchList); the API demands ``NotOlderThan`` with it.
    """
    query = _query(
        watch=True,
        labelSelector=labels,
        fieldSelector=fields,
        resourceVersion=resource_version,
        resourceVersionMatch="NotOlderThan" if send_initial_events else "",
        sendInitialEvents=send_initial_events,
        allowWatchBookmarks=allow_bookmarks,
        timeoutSeconds=timeout_seconds,
    )
    return HttpRequest("GET", resource.path(namespace), query, {"accept": ONLY_METADATA if metadata_only else JSON})


def create(
    resource: Resource[Any],
    body: Body,
    *,
    namespace: str = "",
    name: str = "",
    subresource: str = "",
    dry_run: bool = False,
    field_manager: str = "",
    field_validation: str = "",
) -> HttpRequest:
    """Create an object; with ``name`` and ``subresource`` one below it (eviction, token, binding)."""
    query = _write(dry_run, field_manager, field_validation)
    return _send("POST", resource.path(namespace, name, subresource), query, JSON, body)


def update(
    resource: Resource[Any],
    key: ObjectKey,
    body: Body,
    *,
    subresource: str = "",
    dry_run: bool = False,
    field_manager: str = "",
    field_validation: str = "",
) -> HttpRequest:
    """Replace an object. ``metadata.resourceVersion`` in the body guards against the writes of others."""
    query = _write(dry_run, field_manager, field_validation)
    return _send("PUT", resource.path(*key, subresource), query, JSON, body)


def patch(
    resource: Resource[Any],
    key: ObjectKey,
    patch: Patch,
    *,
    subresource: str = "",
    dry_run: bool = False,
    field_manager: str = "",
    field_validation: str = "",
) -> HttpRequest:
    """Change part of an object."""
    query = _write(dry_run, field_manager, field_validation)
    return _send("PATCH", resource.path(*key, subresource), query, patch.content_type, patch.encode())


def apply(
    resource: Resource[Any],
    key: ObjectKey,
    body: Body,
    *,
    field_manager: str,
    force: bool = True,
    subresource: str = "",
    dry_run: bool = False,
    field_validation: str = "",
) -> HttpRequest:
    """Server-side apply: the body is all that ``field_manager`` wants. ``force`` takes fields from other managers."""
    query = _write(dry_run, field_manager, field_validation, force)
    return _send("PATCH", resource.path(*key, subresource), query, APPLY, body)


def delete(
    resource: Resource[Any],
    key: ObjectKey,
    *,
    uid: str = "",
    resource_version: str = "",
    propagation: Propagation | None = None,
    grace_period_seconds: int | None = None,
    dry_run: bool = False,
) -> HttpRequest:
    """Delete an object; ``uid`` and ``resource_version`` are preconditions (409 if they do not hold)."""
    options = _delete_options(uid, resource_version, propagation, grace_period_seconds, dry_run)
    return _send("DELETE", resource.path(*key), (), JSON, options)


def delete_collection(
    resource: Resource[Any],
    namespace: str = "",
    *,
    labels: str = "",
    fields: str = "",
    propagation: Propagation | None = None,
    grace_period_seconds: int | None = None,
    dry_run: bool = False,
) -> HttpRequest:
    """Delete whatever the selectors choose, one by one on the server: not atomic."""
    query = _query(labelSelector=labels, fieldSelector=fields)
    options = _delete_options("", "", propagation, grace_period_seconds, dry_run)
    return _send("DELETE", resource.path(namespace), query, JSON, options)


@attrs.frozen
class RequestInfo:
    """What a request is about. ``namespace`` is "" for all of them and for cluster-scoped kinds, Namespace included."""

    verb: Verb
    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def key(self) -> ObjectKey:
        """Which object; its name is "" for a collection."""
        return ObjectKey(self.namespace, self.name)

    @property
    def api_version(self) -> str:
        """``v1`` or ``group/version``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def __str__(self) -> str:
        kind = f"{self.plural}.{self.group}" if self.group else self.plural
        return "/".join(part for part in (kind, self.namespace, self.name or "*", self.subresource) if part)


def parse(request: HttpRequest) -> RequestInfo | None:
    """Read a request as the API server does; ``None`` if its path is no resource (discovery, health, ...).

    Source: ``RequestInfoFactory`` of k8s.io/apiserver, but for the deprecated ``/watch/`` and ``/proxy/`` prefixes and
    for the namespace of a Namespace, which is the name there and "" here.
    """
    verb = _VERBS.get(request.method)
    parts = request.path.strip("/").split("/")
    if "%" in request.path:
        parts = [unquote(part) for part in parts]
    match parts:
        case ["api", version, *rest] if rest:
            group = ""
        case ["apis", group, version, *rest] if rest:
            pass
        case _:
            return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in _OF_NAMESPACES:
        namespace, rest = rest[1], rest[2:]
    if verb is None or not all(rest):
        return None
    plural, name, subresource = rest[0], "".join(rest[1:2]), "/".join(rest[2:])
    if not name and verb == "get":
        verb = "watch" if request.flag("watch") else "list"
    elif not name and verb == "delete":
        verb = "deletecollection"
    return RequestInfo(verb, group, version, plural, namespace, name, subresource)


_VERBS: Final[Mapping[str, Verb]] = {
    "GET": "get",
    "HEAD": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_OF_NAMESPACES: Final = ("status", "finalize")


def _query(**parameters: str | int | bool) -> Query:
    """What was given, as the API spells it."""
    return tuple(
        (name, "true" if value is True else str(value))
        for name, value in parameters.items()
        if value not in ("", 0, False)
    )


@functools.lru_cache(maxsize=256)
def _write(dry_run: bool, field_manager: str, field_validation: str, force: bool = False) -> Query:
    """Nearly all writes of a program have the same few options."""
    dry = "All" if dry_run else ""
    return _query(dryRun=dry, fieldManager=field_manager, fieldValidation=field_validation, force=force)


def _send(method: str, path: str, query: Query, content_type: str, body: Body) -> HttpRequest:
    if body == b"":
        return HttpRequest(method, path, query, {"accept": JSON})
    encoded = body if isinstance(body, bytes) else dumps(body)
    return HttpRequest(method, path, query, _headers(content_type), encoded)


@functools.cache
def _headers(content_type: str) -> Mapping[str, str]:
    return MappingProxyType({"accept": JSON, "content-type": content_type})


def _delete_options(
    uid: str, resource_version: str, propagation: Propagation | None, grace_period_seconds: int | None, dry_run: bool
) -> Body:
    """``DeleteOptions``, or nothing at all when every option is the server's own choice."""
    guards = {"uid": uid, "resourceVersion": resource_version}
    options = {
        "preconditions": {name: value for name, value in guards.items() if value} or None,
        "propagationPolicy": propagation,
        "gracePeriodSeconds": grace_period_seconds,
        "dryRun": ["All"] if dry_run else None,
    }
    given = {name: value for name, value in options.items() if value is not None}
    return {"kind": "DeleteOptions", "apiVersion": "v1", **given} if given else b""
