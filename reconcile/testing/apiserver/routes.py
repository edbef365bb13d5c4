"""Where a request leads: to a kind, or to one of the server's own pages.

Pure. Source of the rules: apiserver, ``endpoints/installer.go`` and its router.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import attrs

from reconcile.kube.request import HttpRequest, RequestInfo, parse
from reconcile.testing.apiserver import discovery, gnostic, publishing, swagger
from reconcile.testing.apiserver.failure import (
    Document,
    Failure,
    NoSuchPath,
    bad_request,
    method_not_allowed,
    method_not_supported,
    no_such_route,
    not_found,
    not_implemented,
)
from reconcile.testing.apiserver.metrics import CONTENT_TYPE as METRICS
from reconcile.testing.apiserver.registry import Registry
from reconcile.testing.apiserver.strategy import Kind

Page: TypeAlias = Callable[[], "Document | str"]


@attrs.frozen
class Call:
    """A request to a kind."""

    info: RequestInfo
    kind: Kind


@attrs.frozen
class OwnPage:
    """A page of the server's own: a document, or plain text."""

    value: Document | str | bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = attrs.field(factory=dict)
    status: int = 200


_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_HEALTH: Final = ("livez", "readyz", "healthz")
_LATER: Final = {"logs": "logs"}


def route(request: HttpRequest, asked: RequestInfo | None, registry: Registry) -> Call | OwnPage:
    """Find what a request is about. ``asked`` is what it parses into.

    Raises:
        Failure: 404 for a path that leads nowhere, 405 for a verb that the resource has not, 501 for what the real
            server has and this one has not.
    """
    info = parse(_by_new_path(request)) if "/watch/" in request.path else asked
    if info is None and request.method not in _METHODS and parse(attrs.evolve(request, method="GET")) is not None:
        raise method_not_allowed()
    if info is None:
        return _own_page(request, registry)
    kind = registry.find(info.group, info.version, info.plural)
    if kind is None:
        if info.plural in _LATER_KINDS.get(info.group, ()) and not _is_served(info, registry):
            raise not_implemented(f"the resource {info.plural}.{info.group or 'core'}")
        raise _lost(info)
    across = kind.resource.namespaced and not info.namespace
    if (across and info.name) or (info.namespace and not kind.resource.namespaced):
        raise _lost(info)
    if info.verb in ("update", "patch") and not info.name:
        raise bad_request("name must be provided") if kind.custom else method_not_allowed()
    if info.subresource:
        _check_subresource(info, kind)
    elif info.verb == "create" and info.name and not kind.custom:
        raise method_not_allowed()
    elif across and info.verb not in ("list", "watch"):
        raise NoSuchPath if kind.custom else method_not_allowed()
    elif info.verb not in kind.strategy.verbs:
        raise _wrong_verb(info, kind)
    return Call(info, kind)


def _by_new_path(request: HttpRequest) -> HttpRequest:
    """The same request without the old way to ask for a watch, which is a path of its own."""
    match request.path.strip("/").split("/"):
        case ["api", version, "watch", *rest] if rest:
            path = "/".join(("", "api", version, *rest))
        case ["apis", group, version, "watch", *rest] if rest:
            path = "/".join(("", "apis", group, version, *rest))
        case _:
            return request
    others = tuple(pair for pair in request.query if pair[0] != "watch")
    return attrs.evolve(request, path=path, query=(*others, ("watch", "true")))


def _is_served(info: RequestInfo, registry: Registry) -> bool:
    """Whether the resource is there in another version."""
    return any((kind.resource.group, kind.resource.plural) == (info.group, info.plural) for kind in registry)


def _check_subresource(info: RequestInfo, kind: Kind) -> None:
    has_scale = info.subresource == "scale" and kind.strategy.scale is not None
    if not kind.custom and (info.plural, info.subresource, info.verb) == ("pods", "log", "get"):
        return
    if not kind.custom and f"{info.plural}/{info.subresource}" in ACTIONS:
        if info.verb != "create":
            raise method_not_allowed()
        return
    if info.subresource not in kind.strategy.subresources and not has_scale:
        if not kind.custom and info.subresource in _MISSING_SUBRESOURCES.get(info.plural, ()):
            raise not_implemented(f"the subresource {info.plural}/{info.subresource}")
        raise not_found(kind.group_resource, info.name) if kind.custom else _lost(info)
    if info.verb not in ("get", "update", "patch") or (info.subresource == "finalize" and info.verb != "update"):
        raise _wrong_verb(info, kind)


ACTIONS: Final = ("pods/binding", "pods/eviction", "serviceaccounts/token")
"""Subresources that do something when they are created."""
_MISSING_SUBRESOURCES: Final = {
    "pods": ("attach", "ephemeralcontainers", "exec", "log", "portforward", "proxy", "resize"),
    "services": ("proxy",),
    "nodes": ("proxy",),
}


def _wrong_verb(info: RequestInfo, kind: Kind) -> Failure:
    return method_not_supported(kind.group_resource, info.verb) if kind.custom else method_not_allowed()


def _lost(info: RequestInfo) -> Failure:
    """What is not there: within a built-in group the router of the group says so, elsewhere that of the server."""
    return no_such_route() if info.group in _LATER_KINDS else NoSuchPath()


_LATER_KINDS: Final = {
    "": (
        "bindings",
        "componentstatuses",
        "endpoints",
        "limitranges",
        "nodes",
        "persistentvolumeclaims",
        "persistentvolumes",
        "podtemplates",
        "replicationcontrollers",
        "resourcequotas",
        "services",
    ),
    "admissionregistration.k8s.io": (
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicybindings",
        "mutatingwebhookconfigurations",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
        "validatingwebhookconfigurations",
    ),
    "apiextensions.k8s.io": (),
    "apiregistration.k8s.io": ("apiservices",),
    "apps": ("controllerrevisions", "daemonsets", "deployments", "replicasets", "statefulsets"),
    "authentication.k8s.io": ("selfsubjectreviews", "tokenreviews"),
    "authorization.k8s.io": ("localsubjectaccessreviews", "subjectaccessreviews"),
    "autoscaling": ("horizontalpodautoscalers",),
    "batch": ("cronjobs", "jobs"),
    "certificates.k8s.io": ("certificatesigningrequests", "clustertrustbundles"),
    "coordination.k8s.io": ("leasecandidates",),
    "discovery.k8s.io": ("endpointslices",),
    "events.k8s.io": ("events",),
    "flowcontrol.apiserver.k8s.io": ("flowschemas", "prioritylevelconfigurations"),
    "networking.k8s.io": ("ingressclasses", "ingresses", "ipaddresses", "networkpolicies", "servicecidrs"),
    "node.k8s.io": ("runtimeclasses",),
    "policy": ("poddisruptionbudgets",),
    "rbac.authorization.k8s.io": ("clusterrolebindings", "clusterroles", "rolebindings", "roles"),
    "resource.k8s.io": ("deviceclasses", "resourceclaims", "resourceclaimtemplates", "resourceslices"),
    "scheduling.k8s.io": ("priorityclasses",),
    "storage.k8s.io": (
        "csidrivers",
        "csinodes",
        "csistoragecapacities",
        "storageclasses",
        "volumeattachments",
        "volumeattributesclasses",
    ),
}
"""What the real server has in its own groups and this one does not have yet."""


def _own_page(request: HttpRequest, registry: Registry) -> OwnPage:
    kinds = list(registry)
    whole = discovery.wants_aggregated(request.headers.get("accept", ""))
    document: Document | None = None
    content_type = "application/json"
    match request.path.strip("/").split("/"):
        case [page, *_] if page in _HEALTH:
            return OwnPage("ok", "text/plain; charset=utf-8")
        case ["metrics"]:
            return OwnPage("", METRICS)  # the server fills it
        case ["version"]:
            document = discovery.VERSION
        case ["api"] | ["apis"] as found if whole:
            document = discovery.aggregated(kinds, core=found == ["api"])
            content_type = discovery.AGGREGATED
        case ["api"]:
            document = discovery.legacy_versions()
        case ["apis"]:
            document = discovery.group_list(kinds)
        case ["api", "v1"]:
            document = discovery.resource_list("", "v1", kinds)
        case ["apis", group]:
            document = discovery.group(group, kinds)
        case ["apis", group, version]:
            document = discovery.resource_list(group, version, kinds)
            if document is None and group in _LATER_KINDS:
                raise no_such_route()
        case ["openapi", *page] if page:
            return _openapi(request, page, kinds)
        case [""]:
            document = {"paths": discovery.paths(kinds)}
        case ["api", *_]:
            raise no_such_route()
        case [first, *_] if first in _LATER:
            raise not_implemented(_LATER[first])
    if document is None:
        raise NoSuchPath
    if request.method not in ("GET", "HEAD"):
        raise method_not_allowed()
    return OwnPage(document, content_type)


def _openapi(request: HttpRequest, page: list[str], kinds: list[Kind]) -> OwnPage:
    """A page of OpenAPI, or its address if the one that was asked for is that of another state of it."""
    accepted = request.headers.get("accept") or "*/*"
    is_packed = page == ["v2"] and any(media in accepted for media in gnostic.ASKED)
    if not is_packed and not any(media in accepted for media in ("application/json", "*/*", "application/*")):
        raise not_implemented(f"OpenAPI documents in {accepted}")
    if page == ["v3"]:
        return OwnPage(publishing.index(kinds), "text/plain; charset=utf-8")
    if page == ["v2"]:
        plain = swagger.document(tuple(kinds))
        raw = gnostic.encoded(plain) if is_packed else plain
    else:
        found = publishing.group_versions(kinds).get("/".join(page[1:]))
        if page[0] != "v3" or found is None:
            raise NoSuchPath
        raw = publishing.page(tuple(found))
    digest = publishing.digest(raw)
    headers = {"etag": f'"{digest}"', "vary": "Accept"}
    asked = request.get("hash")
    if asked and asked != digest:
        return OwnPage("", headers={"location": f"{request.path}?hash={digest}"}, status=301)
    headers["cache-control"] = "public, immutable" if asked else "no-cache, private"
    if request.headers.get("if-none-match", "").strip('"') == digest:
        return OwnPage("", headers=headers, status=304)
    return OwnPage(raw, gnostic.MEDIA_TYPE if is_packed else "application/json", headers)
