"""What the server serves, as it tells clients.

Pure. Source of the forms: apimachinery ``apis/meta/v1`` (APIGroup, APIResourceList) and ``api/apidiscovery/v2``.
"""

import base64
import hashlib
from collections.abc import Iterable
from typing import Final

from reconcile.testing.apiserver import published
from reconcile.testing.apiserver.failure import Document
from reconcile.testing.apiserver.strategy import Kind
from reconcile.testing.apiserver.versions import priority

AGGREGATED: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
VERSION: Final[Document] = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.3+reconcile",
    "gitCommit": "",
    "gitTreeState": "",
    "buildDate": "",
    "goVersion": "",
    "compiler": "",
    "platform": "",
}


def paths(kinds: Iterable[Kind]) -> list[str]:
    """``/``."""
    found = {"/api", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"}
    for kind in kinds:
        resource = kind.resource
        group = f"/apis/{resource.group}" if resource.group else "/api"
        found |= {group, f"{group}/{resource.version}"}
    return sorted(found)


def wants_aggregated(accept: str) -> bool:
    """Whether a client asks for all groups in one document before anything else."""
    first = accept.partition(",")[0].replace(" ", "")
    return set(AGGREGATED.split(";")) <= set(first.split(";"))


def legacy_versions() -> Document:
    """``/api``."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": ""}],
    }


def group_list(kinds: Iterable[Kind]) -> Document:
    """``/apis``."""
    groups = [_group(name, of_group) for name, of_group in _by_group(kinds) if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def group(name: str, kinds: Iterable[Kind]) -> Document | None:
    """``/apis/<group>``."""
    found = [kind for kind in kinds if kind.resource.group == name]
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, found)} if found and name else None


def _group(name: str, kinds: list[Kind]) -> Document:
    versions = [{"groupVersion": f"{name}/{version}", "version": version} for version, _ in _by_version(kinds)]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def resource_list(group: str, version: str, kinds: Iterable[Kind]) -> Document | None:
    """``/api/v1`` and ``/apis/<group>/<version>``."""
    found = [kind for kind in kinds if (kind.resource.group, kind.resource.version) == (group, version)]
    if not found:
        return None
    resources: list[Document] = []
    for kind in _sorted(found):
        resource, entry = kind.resource, entry_of(kind)
        storage_hash = entry["hash"] if "hash" in entry else _hash(kind) if "list" in entry["verbs"] else ""
        resources.append(
            {
                "name": resource.plural,
                "singularName": entry["singularResource"],
                "namespaced": resource.namespaced,
                "kind": resource.kind,
                "verbs": entry["verbs"],
                **{name: entry[name] for name in ("shortNames", "categories") if name in entry},
                **_given("storageVersionHash", storage_hash),
            }
        )
        for one in entry.get("subresources", ()):
            shown = one["responseKind"]
            foreign = shown["version"] and (shown["group"], shown["version"]) != (group, version)
            resources.append(
                {
                    "name": f"{resource.plural}/{one['subresource']}",
                    "singularName": "",
                    "namespaced": resource.namespaced,
                    **({"group": shown["group"], "version": shown["version"]} if foreign else {}),
                    "kind": shown["kind"],
                    "verbs": one["verbs"],
                }
            )
    version_name = f"{group}/{version}" if group else version
    # the core group is of a time before such lists had a version
    head: Document = {"kind": "APIResourceList", **({"apiVersion": "v1"} if group else {})}
    return {**head, "groupVersion": version_name, "resources": resources}


def _given(name: str, value: str) -> Document:
    return {name: value} if value else {}


def aggregated(kinds: Iterable[Kind], *, core: bool) -> Document:
    """``/api`` (``core``) or ``/apis`` in one document."""
    items = [
        {
            "metadata": {"name": name} if name else {},
            "versions": [
                {
                    "version": version,
                    "resources": [
                        {name: value for name, value in entry_of(kind).items() if name != "hash"}
                        for kind in _sorted(of_version)
                    ],
                    "freshness": "Current",
                }
                for version, of_version in _by_version(of_group)
            ],
        }
        for name, of_group in _by_group(kinds)
        if (not name) is core
    ]
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def entry_of(kind: Kind) -> Document:
    """A kind as aggregated discovery lists it; of a built-in one as it is published."""
    return published.entry(kind.resource) or _entry(kind)


def _entry(kind: Kind) -> Document:
    resource = kind.resource
    own = (resource.group, resource.version) if kind.custom else ("", "")
    response = {"group": own[0], "version": own[1], "kind": resource.kind}
    scale = {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    found: Document = {
        "resource": resource.plural,
        "responseKind": response,
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": _singular(kind),
        "verbs": _ordered(kind),
    }
    if kind.short_names:
        found["shortNames"] = list(kind.short_names)
    if kind.categories:
        found["categories"] = list(kind.categories)
    views = [*kind.strategy.subresources, *(["scale"] if kind.strategy.scale is not None else [])]
    if views:
        found["subresources"] = [
            {"subresource": name, "responseKind": scale if name == "scale" else response, "verbs": _verbs(name)}
            for name in views
        ]
    return found


def _verbs(subresource: str) -> list[str]:
    return ["update"] if subresource == "finalize" else ["get", "patch", "update"]


def _ordered(kind: Kind) -> list[str]:
    """The verbs of a kind; for custom resources the real server lists them in an order of its own."""
    order = _CUSTOM_ORDER if kind.custom else sorted(kind.strategy.verbs)
    return [verb for verb in order if verb in kind.strategy.verbs]


_CUSTOM_ORDER: Final = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")


def _hash(kind: Kind) -> str:
    resource = kind.resource
    name = f"{resource.group}/{resource.version}/{resource.kind}"
    return base64.b64encode(hashlib.sha256(name.encode()).digest()[:8]).decode()


def _singular(kind: Kind) -> str:
    return kind.singular or kind.resource.kind.lower()


def _sorted(kinds: Iterable[Kind]) -> list[Kind]:
    return sorted(kinds, key=lambda one: one.resource.plural)


def _by_group(kinds: Iterable[Kind]) -> list[tuple[str, list[Kind]]]:
    """Groups of Kubernetes in their order, then the others by name."""
    groups: dict[str, list[Kind]] = {}
    for kind in kinds:
        groups.setdefault(kind.resource.group, []).append(kind)
    order = {one["name"]: index for index, one in enumerate(published.groups())}
    return sorted(groups.items(), key=lambda item: (order.get(item[0], len(order)), item[0]))


def _by_version(kinds: list[Kind]) -> list[tuple[str, list[Kind]]]:
    """Versions, the one that clients should take first."""
    versions: dict[str, list[Kind]] = {}
    for kind in kinds:
        versions.setdefault(kind.resource.version, []).append(kind)
    return sorted(versions.items(), key=lambda item: priority(item[0]))
