"""What the server serves, as it tells clients.

Pure. Source of the forms: apimachinery ``apis/meta/v1`` (APIGroup, APIResourceList) and ``api/apidiscovery/v2``.
"""

import base64
import hashlib
from collections.abc import Iterable
from itertools import groupby
from typing import Final

from reconcile.testing.apiserver.failure import Document
from reconcile.testing.apiserver.strategy import Kind

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
    found = {"/api", "/apis", "/healthz", "/livez", "/readyz", "/version"}
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
    versions = [
        {"groupVersion": f"{name}/{version}", "version": version}
        for version in dict.fromkeys(kind.resource.version for kind in kinds)
    ]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def resource_list(group: str, version: str, kinds: Iterable[Kind]) -> Document | None:
    """``/api/v1`` and ``/apis/<group>/<version>``."""
    found = [kind for kind in kinds if (kind.resource.group, kind.resource.version) == (group, version)]
    if not found:
        return None
    resources = []
    for kind in sorted(found, key=lambda one: one.resource.plural):
        resource = kind.resource
        common = {"namespaced": resource.namespaced, "kind": resource.kind}
        resources.append(
            {
                "name": resource.plural,
                "singularName": _singular(kind),
                **common,
                "verbs": _ordered(kind),
                **({"shortNames": list(kind.short_names)} if kind.short_names else {}),
                **({"categories": list(kind.categories)} if kind.categories else {}),
                **({"storageVersionHash": _hash(kind)} if "list" in kind.strategy.verbs else {}),
            }
        )
        resources += [
            {"name": f"{resource.plural}/{name}", "singularName": "", **common, "verbs": _verbs(name)}
            for name in kind.strategy.subresources
        ]
        if kind.strategy.scale is not None:
            scale = {**_SCALE, "namespaced": resource.namespaced}
            resources.append(
                {"name": f"{resource.plural}/scale", "singularName": "", **scale, "verbs": _verbs("scale")}
            )
    version_name = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version_name, "resources": resources}


def aggregated(kinds: Iterable[Kind], *, core: bool) -> Document:
    """``/api`` (``core``) or ``/apis`` in one document."""
    items = [
        {
            "metadata": {"name": name} if name else {"name": ""},
            "versions": [
                {
                    "version": version,
                    "resources": [
                        _discovered(kind) for kind in sorted(of_version, key=lambda one: one.resource.plural)
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


def _discovered(kind: Kind) -> Document:
    resource = kind.resource
    own = (resource.group, resource.version) if kind.custom else ("", "")
    response = {"group": own[0], "version": own[1], "kind": resource.kind}
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
    if kind.strategy.subresources:
        found["subresources"] = [
            {"subresource": name, "responseKind": response, "verbs": _verbs(name)}
            for name in kind.strategy.subresources
        ]
    if kind.strategy.scale is not None:
        scale = {"subresource": "scale", "responseKind": _SCALE, "verbs": _verbs("scale")}
        found["subresources"] = [*found.get("subresources", ()), scale]
    return found


_SCALE: Final = {"group": "autoscaling", "version": "v1", "kind": "Scale"}


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


def _by_group(kinds: Iterable[Kind]) -> list[tuple[str, list[Kind]]]:
    order = sorted(kinds, key=lambda kind: kind.resource.group)
    return [(name, list(found)) for name, found in groupby(order, key=lambda kind: kind.resource.group)]


def _by_version(kinds: list[Kind]) -> list[tuple[str, list[Kind]]]:
    order = sorted(kinds, key=lambda kind: kind.resource.version)
    return [(version, list(found)) for version, found in groupby(order, key=lambda kind: kind.resource.version)]
