"""Which rights a program needs, told from what it declares.

What is watched needs get, list and watch; what is written is declared with ``Writes``; a leader election needs its
Lease. Out of that come manifests for RBAC, a table for people, what a preflight has to ask for, and whether a test used
a right that nobody declared. Pure.
"""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any, Final

from attrs import evolve, field, frozen

from reconcile.kube.kinds import EVENT, LEASE
from reconcile.kube.request import RequestInfo
from reconcile.kube.resource import Resource
from reconcile.manager.tables import aligned

RBAC: Final = "rbac.authorization.k8s.io"
WATCHING: Final = ("get", "list", "watch")
VERBS: Final = (*WATCHING, "create", "update", "patch", "delete", "deletecollection")


def _in_order(verbs: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(verbs), key=lambda verb: (VERBS.index(verb) if verb in VERBS else len(VERBS), verb)))


@frozen(order=True)
class Rule:
    """Rights on one resource of one cluster. ``namespace`` "" means all of them, and what has none.

    ``resource`` is the plural, with ``/subresource`` if it is about one. ``name``: of this one object only; RBAC knows
    no name when a POST creates or a whole kind is read, but it does when an apply creates.
    """

    cluster: str
    namespace: str
    group: str
    resource: str
    verbs: tuple[str, ...] = field(converter=_in_order)
    name: str = ""

    @property
    def to_add(self) -> str:
        """The rule as it stands in a manifest."""
        lists = {"apiGroups": (self.group,), "resources": (self.resource,), "verbs": self.verbs}
        lists |= {"resourceNames": (self.name,)} if self.name else {}
        return "{" + ", ".join(f"{name}: [{', '.join(map(_quoted, items))}]" for name, items in lists.items()) + "}"

    def __str__(self) -> str:
        name, _, subresource = self.resource.partition("/")
        name = (f"{name}.{self.group}" if self.group else name) + (f"/{subresource}" if subresource else "")
        name += f" {self.name}" if self.name else ""
        place = f"namespace {self.namespace}" if self.namespace else "all namespaces"
        return f"{', '.join(self.verbs)} {name} in {place} of {self.cluster}"


@frozen
class Writes:
    """What some part of a program writes: these verbs, on the object (subresource "") and on each subresource named.

    ``apply`` stands for what it may need: ``patch``, and ``create`` where an object can come into being by it.
    ``namespaces``: where; None for those in which the kind is watched, or all if it is not.
    """

    cluster: str
    resource: Resource[Any]
    verbs: tuple[str, ...]
    subresources: tuple[str, ...] = ("",)
    namespaces: tuple[str, ...] | None = None

    def rules(self, watched_in: tuple[str, ...] = ()) -> list[Rule]:
        """The rights for that; ``watched_in`` are the namespaces that ``None`` stands for."""
        namespaces = watched_in if self.namespaces is None else self.namespaces
        return [
            _rule(self.cluster, namespace, self.resource, self._verbs(subresource), subresource)
            for namespace in _places(self.resource, namespaces)
            for subresource in self.subresources
        ]

    def _verbs(self, subresource: str) -> tuple[str, ...]:
        applying = ("patch",) if subresource else ("create", "patch")
        return tuple(verb for said in self.verbs for verb in (applying if said == "apply" else (said,)))


def watching(cluster: str, resource: Resource[Any], namespaces: tuple[str, ...] = ()) -> list[Rule]:
    """The rights to keep a copy of a kind; no namespaces means all."""
    return [_rule(cluster, namespace, resource, WATCHING) for namespace in _places(resource, namespaces)]


def recording(cluster: str, namespaces: tuple[str, ...] = (), *, resource: Resource[Any] = EVENT) -> Writes:
    """What an event recorder writes: first create, then patch to count up."""
    return Writes(cluster, resource, ("create", "patch"), namespaces=namespaces)


def leading(cluster: str, namespace: str) -> Rule:
    """What a leader election needs. Without ``watch`` it works by looking every few seconds."""
    return _rule(cluster, namespace, LEASE, ("get", "watch", "create", "update"))


def used(cluster: str, request: RequestInfo) -> Rule:
    """The right that one request made use of."""
    resource = "/".join(part for part in (request.plural, request.subresource) if part)
    return Rule(cluster, request.namespace, request.group, resource, (request.verb,))


def merged(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """One rule for each resource and place, sorted, without what a rule for all namespaces or names says already."""
    verbs = _by_place(rules)
    left = (evolve(place, verbs=found.difference(*_granted(_wider(place), verbs))) for place, found in verbs.items())
    return tuple(sorted(rule for rule in left if rule.verbs))


def lacking(needed: Iterable[Rule], granted: Iterable[Rule]) -> tuple[Rule, ...]:
    """What of ``needed`` is not ``granted``."""
    given = _by_place(granted)
    missing = []
    for rule in needed:
        place = evolve(rule, verbs=())
        if left := set(rule.verbs).difference(*_granted({place, *_wider(place)}, given)):
            missing.append(evolve(rule, verbs=left))
    return tuple(missing)


def _by_place(rules: Iterable[Rule]) -> dict[Rule, set[str]]:
    """The verbs of each place: what a rule says without its verbs."""
    verbs: dict[Rule, set[str]] = {}
    for rule in rules:
        verbs.setdefault(evolve(rule, verbs=()), set()).update(rule.verbs)
    return verbs


def _wider(place: Rule) -> set[Rule]:
    """The places that hold this one: in all namespaces, for all names, or both."""
    wider = {evolve(place, namespace=where, name=name) for where in ("", place.namespace) for name in ("", place.name)}
    return wider - {place}


def _granted(places: Iterable[Rule], verbs: Mapping[Rule, set[str]]) -> list[set[str]]:
    return [verbs[place] for place in places if place in verbs]


def roles(rules: Iterable[Rule], name: str) -> Mapping[str, tuple[Mapping[str, Any], ...]]:
    """For each cluster its manifests: a ClusterRole for what holds everywhere, a Role for each namespace.

    All carry ``name``; which account they are bound to is the deployment's business.
    """
    places = groupby(merged(rules), key=lambda rule: (rule.cluster, rule.namespace))
    manifests: dict[str, list[Mapping[str, Any]]] = {}
    for (cluster, namespace), found in places:
        kind = "Role" if namespace else "ClusterRole"
        meta = {"name": name, "namespace": namespace} if namespace else {"name": name}
        manifest = {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": meta, "rules": _policy(found)}
        manifests.setdefault(cluster, []).append(manifest)
    return {cluster: tuple(found) for cluster, found in manifests.items()}


def table(rules: Iterable[Rule]) -> str:
    """The rules as aligned columns, with a head."""
    head = ("CLUSTER", "NAMESPACE", "GROUP", "RESOURCE", "VERBS")
    rows = [
        (rule.cluster, rule.namespace or "*", rule.group or '""', named(rule), ",".join(rule.verbs))
        for rule in merged(rules)
    ]
    return aligned(head, rows)


def named(rule: Rule) -> str:
    """The resource as a table shows it: with the one object that the rule is about, if it is."""
    return f"{rule.resource} {rule.name}".rstrip()


def _rule(cluster: str, namespace: str, resource: Resource[Any], verbs: Iterable[str], subresource: str = "") -> Rule:
    name = f"{resource.plural}/{subresource}" if subresource else resource.plural
    return Rule(cluster, namespace, resource.group, name, tuple(verbs))


def _places(resource: Resource[Any], namespaces: tuple[str, ...]) -> tuple[str, ...]:
    return (namespaces or ("",)) if resource.namespaced else ("",)


def _policy(rules: Iterable[Rule]) -> list[Mapping[str, Any]]:
    """Rules of one place as RBAC writes them: resources of a group that need the same verbs share a rule."""

    def alike(rule: Rule) -> tuple[str, tuple[str, ...], str]:
        return rule.group, rule.verbs, rule.name

    return [
        {
            "apiGroups": [group],
            "resources": sorted(rule.resource for rule in found),
            **({"resourceNames": [name]} if name else {}),
            "verbs": list(verbs),
        }
        for (group, verbs, name), found in groupby(sorted(rules, key=alike), key=alike)
    ]


def _quoted(text: str) -> str:
    return f'"{text}"'
