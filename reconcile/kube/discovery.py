"""Which kinds a server has, as it tells itself.

Two forms are read into one value: the aggregated document (two requests), and the older lists (one request for each
group and version). A group whose own server does not answer is named in ``missing`` rather than silently absent.
Pure: ``client.py`` asks, and asks again when something was not found.

Source: apimachinery ``apis/meta/v1`` (APIVersions, APIGroupList, APIResourceList) and ``api/apidiscovery/v2``.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import field, frozen

from reconcile.kube.objects import Object
from reconcile.kube.resource import Resource

_AS_AGGREGATED: Final = "application/json;g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList"
ACCEPT: Final = f"{_AS_AGGREGATED.format('v2')},{_AS_AGGREGATED.format('v2beta1')},application/json"
"""A server that does not know the aggregated forms answers with the last one."""


@frozen
class Kind:
    """One kind at one version. ``verbs`` are the server's, of the main resource; ``subresources`` maps to theirs."""

    resource: Resource[Object]
    verbs: frozenset[str] = frozenset()
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: Mapping[str, frozenset[str]] = field(factory=dict)


@frozen
class Discovery:
    """All of them: groups in the server's order, and within a group its preferred version first."""

    kinds: tuple[Kind, ...] = ()
    missing: tuple[str, ...] = ()
    """``group/version`` that the server lists but could not describe."""

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(kind.resource.group for kind in self.kinds))

    @property
    def resources(self) -> tuple[Resource[Object], ...]:
        return tuple(kind.resource for kind in self.kinds)

    def find(self, group: str, kind: str, version: str = "") -> Kind | None:
        """The kind at ``version``, or at the group's preferred one."""
        for one in self.kinds:
            resource = one.resource
            if (resource.group, resource.kind) == (group, kind) and version in ("", resource.version):
                return one
        return None


def is_aggregated(document: Mapping[str, Any]) -> bool:
    return document.get("kind") == "APIGroupDiscoveryList"


def aggregated(documents: Iterable[Mapping[str, Any]]) -> Discovery:
    """Out of the answers for ``/api`` and ``/apis``."""
    kinds, missing = [], []
    for document in documents:
        for group in _items(document, "items"):
            name = _text(_inside(group, "metadata"), "name")
            for version in _items(group, "versions"):
                if version.get("freshness") == "Stale":
                    missing.append(f"{name}/{_text(version, 'version')}")
                kinds += [_aggregated(name, _text(version, "version"), one) for one in _items(version, "resources")]
    return Discovery(tuple(kinds), tuple(missing))


def versions_of(document: Mapping[str, Any]) -> list[str]:
    """The paths to ask next, out of an older answer for ``/api`` or ``/apis``, each group's preferred version first."""
    if versions := _texts(document, "versions"):
        return [f"/api/{version}" for version in versions]
    paths = []
    for group in _items(document, "groups"):
        preferred = _text(_inside(group, "preferredVersion"), "groupVersion")
        versions = [_text(version, "groupVersion") for version in _items(group, "versions")]
        paths += [f"/apis/{version}" for version in sorted(versions, key=lambda one: one != preferred)]
    return paths


def listed(documents: Iterable[Mapping[str, Any]], missing: Iterable[str] = ()) -> Discovery:
    """Out of one older answer for each version, in the order of ``versions_of``."""
    kinds = [kind for document in documents for kind in _listed(document)]
    return Discovery(tuple(kinds), tuple(missing))


def _aggregated(group: str, version: str, item: Mapping[str, Any]) -> Kind:
    resource = Resource.untyped(
        f"{group}/{version}" if group else version,
        _text(_inside(item, "responseKind"), "kind"),
        _text(item, "resource"),
        item.get("scope") == "Namespaced",
    )
    below = {_text(one, "subresource"): frozenset(_texts(one, "verbs")) for one in _items(item, "subresources")}
    return _kind(resource, item, _text(item, "singularResource"), below)


def _listed(document: Mapping[str, Any]) -> Iterable[Kind]:
    version, items = _text(document, "groupVersion"), _items(document, "resources")
    below: dict[str, dict[str, frozenset[str]]] = {}
    for item in items:
        name, slash, subresource = _text(item, "name").partition("/")
        if slash:
            below.setdefault(name, {})[subresource] = frozenset(_texts(item, "verbs"))
    for item in items:
        name = _text(item, "name")
        if "/" not in name:
            resource = Resource.untyped(version, _text(item, "kind"), name, bool(item.get("namespaced")))
            yield _kind(resource, item, _text(item, "singularName"), below.get(name, {}))


def _kind(
    resource: Resource[Object], item: Mapping[str, Any], singular: str, below: Mapping[str, frozenset[str]]
) -> Kind:
    return Kind(
        resource,
        frozenset(_texts(item, "verbs")),
        singular,
        tuple(_texts(item, "shortNames")),
        tuple(_texts(item, "categories")),
        below,
    )


def _items(document: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = document.get(name)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _texts(document: Mapping[str, Any], name: str) -> list[str]:
    found = document.get(name)
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def _inside(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = document.get(name)
    return found if isinstance(found, Mapping) else {}


def _text(document: Mapping[str, Any], name: str) -> str:
    found = document.get(name)
    return found if isinstance(found, str) else ""
