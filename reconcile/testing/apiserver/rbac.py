"""Who may do what, by the roles and bindings that are stored: role-based access control.

``Rbac`` is an authorizer: it answers for a user and what the user wants, and sees that nobody grants more than they
have. It reads what is stored at that moment. Pure but for that. Source of rules and texts: k8s.io/kubernetes,
``plugin/pkg/auth/authorizer/rbac`` and ``pkg/registry/rbac``.
"""

import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import attrs
import orjson

from reconcile.kube.request import RequestInfo
from reconcile.kube.selector import labels_from
from reconcile.testing.apiserver.admission import User, Write, forbidden_path, refused
from reconcile.testing.apiserver.failure import Document, Failure, GroupName, forbidden, not_found
from reconcile.testing.apiserver.storage import Storage, Stored
from reconcile.testing.apiserver.walks import equal

GROUP: Final = "rbac.authorization.k8s.io"
MASTERS: Final = "system:masters"
_CONTENTS: Final = ("rules", "aggregationRule", "roleRef", "subjects")
_FULL: Final[list[Document]] = [
    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
    {"verbs": ["*"], "nonResourceURLs": ["*"]},
]


def defaults() -> dict[str, list[Document]]:
    """The roles and bindings that every server begins with, by plural: name, namespace, labels and contents."""
    raw = (Path(__file__).parent / "data" / "roles.json.z").read_bytes()
    return orjson.loads(zlib.decompress(raw))  # type: ignore[no-any-return]


def default_objects(plural: str) -> Iterator[Document]:
    """Those of one kind as documents."""
    kinds = {"clusterroles": "ClusterRole", "clusterrolebindings": "ClusterRoleBinding", "roles": "Role"}
    for one in defaults()[plural]:
        metadata = {
            "name": one["name"],
            **({"namespace": one["namespace"]} if "namespace" in one else {}),
            "labels": {"kubernetes.io/bootstrapping": "rbac-defaults", **one.get("labels", {})},
            "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
        }
        parts: Document = {name: one[name] for name in _CONTENTS if name in one}
        head: Document = {"apiVersion": f"{GROUP}/v1", "kind": kinds.get(plural, "RoleBinding")}
        yield {**head, "metadata": metadata, **parts}


@attrs.define(eq=False)
class Rbac:
    """Roles decide. A member of ``system:masters`` may do everything."""

    storage: Storage | None = None
    _values: dict[str, tuple[Stored, Document]] = attrs.field(factory=dict, init=False)

    # -- what is stored --------------------------------------------------------------------------------------------

    def _value(self, plural: str, stored: Stored) -> Document:
        """A stored object, parsed once."""
        name = f"{plural}/{stored.key}"
        known = self._values.get(name)
        if known is None or known[0] is not stored:
            known = self._values[name] = stored, stored.value
        return known[1]

    def _get(self, plural: str, key: str) -> Document | None:
        assert self.storage is not None
        found = self.storage.get(f"{plural}.{GROUP}", key)
        return self._value(plural, found) if found is not None else None

    def _all(self, plural: str, namespace: str = "") -> Iterator[Document]:
        assert self.storage is not None
        for key in self.storage.keys(f"{plural}.{GROUP}", namespace):
            found = self._get(plural, key)
            assert found is not None
            yield found

    def rules_of(self, reference: Document, namespace: str) -> list[Document]:
        """The rules of a role that a binding refers to.

        Raises:
            Failure: 404.
        """
        name, cluster = reference.get("name", ""), reference.get("kind") == "ClusterRole"
        plural = "clusterroles" if cluster else "roles"
        found = self._get(plural, name if cluster else f"{namespace}/{name}")
        if found is None:
            raise not_found(GroupName(GROUP, "clusterrole" if cluster else "role"), name)
        return found.get("rules") or []

    def granted(self, user: User, namespace: str) -> Iterator[tuple[str, Document | None]]:
        """The rules that hold for a user, and by what; a binding to a role that is not there gives an error only."""
        for binding in self._all("clusterrolebindings"):
            yield from self._by(binding, user, "")
        if namespace:
            for binding in self._all("rolebindings", namespace):
                yield from self._by(binding, user, namespace)

    def _by(self, binding: Document, user: User, namespace: str) -> Iterator[tuple[str, Document | None]]:
        subject = next((one for one in binding.get("subjects") or () if _is_about(one, user, namespace)), None)
        if subject is None:
            return
        reference = binding["roleRef"]
        try:
            rules = self.rules_of(reference, namespace)
        except Failure as error:
            yield str(error), None
            return
        name = binding["metadata"]["name"]
        kind, name = ("RoleBinding", f"{name}/{namespace}") if namespace else ("ClusterRoleBinding", name)
        source = f'{kind} "{name}" of {reference["kind"]} "{reference["name"]}" to {_described(subject, namespace)}'
        for rule in rules:
            yield source, rule

    # -- questions -------------------------------------------------------------------------------------------------

    def allows(self, user: User, verb: str, group: str, resource: str, *, name: str, namespace: str) -> bool:
        """Whether a user may do this; ``resource`` has its subresource: ``pods/status``."""
        return self.decide(user, verb, group, resource, name=name, namespace=namespace)[0]

    def decide(
        self, user: User, verb: str, group: str, resource: str, *, name: str, namespace: str
    ) -> tuple[bool, str]:
        """The same with the reason, as a review shows it."""
        if MASTERS in user.groups:
            return True, ""
        return self._decided(user, namespace, lambda rule: _covers_request(rule, verb, group, resource, name))

    def allows_path(self, user: User, verb: str, path: str) -> bool:
        """Whether a user may ask for a page of the server's own."""
        return self.decide_path(user, verb, path)[0]

    def decide_path(self, user: User, verb: str, path: str) -> tuple[bool, str]:
        """The same with the reason."""
        if MASTERS in user.groups:
            return True, ""
        return self._decided(user, "", lambda rule: _covers_path(rule, verb, path))

    def _decided(self, user: User, namespace: str, fits: Any) -> tuple[bool, str]:
        errors = []
        for source, rule in self.granted(user, namespace):
            if rule is None:
                errors.append(source)
            elif fits(rule):
                return True, f"RBAC: allowed by {source}"
        unique = list(dict.fromkeys(errors))
        said = unique[0] if len(unique) == 1 else f"[{', '.join(unique)}]"
        return False, f"RBAC: {said}" if unique else ""

    def check(self, user: User, info: RequestInfo) -> None:
        """Let a request pass, or not.

        Raises:
            Failure: 403 in the words of the real server.
        """
        resource = f"{info.plural}/{info.subresource}" if info.subresource else info.plural
        allowed, why = self.decide(user, info.verb, info.group, resource, name=info.name, namespace=info.namespace)
        if not allowed:
            raise refused(user, info, why)

    def check_path(self, user: User, verb: str, path: str) -> None:
        """Let a request for one of the server's own pages pass, or not. Raises ``Failure``: 403."""
        allowed, why = self.decide_path(user, verb, path)
        if not allowed:
            raise forbidden_path(user, verb, path, why)

    def listed(self, user: User, namespace: str) -> tuple[list[Document], list[Document]]:
        """The rules of a user in a namespace, as a SelfSubjectRulesReview lists them: resources, and pages."""
        resources, pages = [], []
        if MASTERS in user.groups:
            resources.append(_FULL[0])
            pages.append(_FULL[1])
        for _, rule in self.granted(user, namespace):
            if rule is None:
                continue
            if rule.get("resources"):
                names = ("verbs", "apiGroups", "resources", "resourceNames")
                resources.append({name: rule[name] for name in names if rule.get(name)})
            if rule.get("nonResourceURLs"):
                pages.append({name: rule[name] for name in ("verbs", "nonResourceURLs")})
        return resources, pages

    # -- nobody grants more than they have -------------------------------------------------------------------------

    def gate(self, write: Write) -> None:
        """Refuse a role or a binding that would give more than its writer has.

        Raises:
            Failure: 403, or 404 for a role that is not there.
        """
        resource, new, user = write.kind.resource, write.new, write.user
        if resource.group != GROUP or new is None or write.subresource or MASTERS in user.groups:
            return
        if write.old is not None and _only_metadata(write.old, new):
            return
        name, namespace = new["metadata"].get("name", ""), new["metadata"].get("namespace", "")
        subject = GroupName(GROUP, resource.plural)
        if "roleRef" in new:
            reference = new["roleRef"]
            plural = "clusterroles" if reference.get("kind") == "ClusterRole" else "roles"
            if self.allows(user, "bind", GROUP, plural, name=reference.get("name", ""), namespace=namespace):
                return
            self._confirm(user, namespace, self.rules_of(reference, namespace), subject, name)
            return
        asked = name if write.old is not None else ""
        if self.allows(user, "escalate", GROUP, resource.plural, name=asked, namespace=namespace):
            return
        self._confirm(user, namespace, new.get("rules") or [], subject, name)
        if any(_selectors(one) for one in (new, write.old or {})) and self._missing(user, "", _FULL):
            raise forbidden(subject, name, "must have cluster-admin privileges to use the aggregationRule")

    def _confirm(self, user: User, namespace: str, rules: list[Document], subject: GroupName, name: str) -> None:
        missing = self._missing(user, namespace, rules)
        if missing:
            groups = " ".join(f'"{group}"' for group in user.groups)
            told = "\n".join(sorted({_compact(one) for one in _compacted(missing)}))
            who = f'user "{user.name}" (groups=[{groups}])'
            raise forbidden(subject, name, f"{who} is attempting to grant RBAC permissions not currently held:\n{told}")

    def _missing(self, user: User, namespace: str, rules: list[Document]) -> list[Document]:
        held = [rule for _, rule in self.granted(user, namespace) if rule is not None]
        return [one for one in _broken_down(rules) if not any(_covers(rule, one) for rule in held)]

    # -- aggregation -----------------------------------------------------------------------------------------------

    def aggregated(self) -> Iterator[tuple[str, list[Document]]]:
        """The cluster roles whose rules are not those of the roles they gather, and what the rules should be."""
        for role in self._all("clusterroles"):
            selectors = _selectors(role)
            if not selectors:
                continue
            rules: list[Document] = []
            for other in self._all("clusterroles"):
                if other is role or not any(_selects(one, other) for one in selectors):
                    continue
                rules += [rule for rule in other.get("rules") or () if not any(equal(rule, one) for one in rules)]
            if not equal(rules, role.get("rules") or []):
                yield role["metadata"]["name"], rules


def _selectors(role: Document) -> list[Document]:
    return (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or []


def _selects(selector: Document, role: Document) -> bool:
    return labels_from(selector).matches(role["metadata"].get("labels") or {})


def _only_metadata(old: Document, new: Document) -> bool:
    """Whether a write changes nothing but what the garbage collector needs."""
    kept = ("ownerReferences", "finalizers", "resourceVersion", "managedFields")

    def bare(document: Document) -> Document:
        metadata = {name: value for name, value in document["metadata"].items() if name not in kept}
        return {**document, "metadata": metadata}

    return equal(bare(old), bare(new))


def _is_about(subject: Document, user: User, namespace: str) -> bool:
    match subject.get("kind"):
        case "User":
            return bool(user.name == subject.get("name"))
        case "Group":
            return subject.get("name") in user.groups
        case "ServiceAccount":
            where = subject.get("namespace") or namespace
            return bool(where) and user.name == f"system:serviceaccount:{where}:{subject.get('name')}"
    return False


def _described(subject: Document, namespace: str) -> str:
    name = subject["name"]
    if subject["kind"] == "ServiceAccount":
        name = f"{name}/{subject.get('namespace') or namespace}"
    return f'{subject["kind"]} "{name}"'


def _has(values: Iterable[str] | None, wanted: str) -> bool:
    return wanted in (values or ()) or "*" in (values or ())


def _covers_request(rule: Document, verb: str, group: str, resource: str, name: str) -> bool:
    resources, names = rule.get("resources") or (), rule.get("resourceNames") or ()
    _, slash, subresource = resource.partition("/")
    return (
        _has(rule.get("verbs"), verb)
        and _has(rule.get("apiGroups"), group)
        and (_has(resources, resource) or (bool(slash) and f"*/{subresource}" in resources))
        and (not names or name in names)
    )


def _covers_path(rule: Document, verb: str, path: str) -> bool:
    return _has(rule.get("verbs"), verb) and any(_path_covers(one, path) for one in rule.get("nonResourceURLs") or ())


def _path_covers(owned: str, path: str) -> bool:
    return owned == path or owned == "*" or (owned.endswith("*") and path.startswith(owned.rstrip("*")))


def _broken_down(rules: Iterable[Document]) -> Iterator[Document]:
    """Rules of one verb, one resource and one name each."""
    for rule in rules:
        for verb in rule.get("verbs") or ():
            for group in rule.get("apiGroups") or ():
                for resource in rule.get("resources") or ():
                    one = {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
                    names = rule.get("resourceNames") or ()
                    yield from ({**one, "resourceNames": [name]} for name in names) if names else (one,)
            for path in rule.get("nonResourceURLs") or ():
                yield {"nonResourceURLs": [path], "verbs": [verb]}


def _covers(held: Document, asked: Document) -> bool:
    if not _has(held.get("verbs"), asked["verbs"][0]):
        return False
    if "nonResourceURLs" in asked:
        return any(_path_covers(one, asked["nonResourceURLs"][0]) for one in held.get("nonResourceURLs") or ())
    resource, names = asked["resources"][0], held.get("resourceNames") or ()
    resources = held.get("resources") or ()
    _, slash, subresource = resource.partition("/")
    return (
        _has(held.get("apiGroups"), asked["apiGroups"][0])
        and (_has(resources, resource) or (bool(slash) and f"*/{subresource}" in resources))
        and (not names or (asked.get("resourceNames") or [""])[0] in names)
    )


def _compacted(rules: list[Document]) -> Iterable[Document]:
    """Rules that differ by their verb only, as one."""
    found: dict[str, Document] = {}
    for rule in rules:
        about = json.dumps({name: value for name, value in rule.items() if name != "verbs"}, sort_keys=True)
        if "nonResourceURLs" in rule:
            about += rule["verbs"][0]
        if about in found:
            found[about] = {**found[about], "verbs": [*found[about]["verbs"], *rule["verbs"]]}
        else:
            found[about] = rule
    return found.values()


_PARTS: Final = ("apiGroups", "resources", "nonResourceURLs", "resourceNames", "verbs")


def _compact(rule: Document) -> str:
    parts = []
    for name in _PARTS:
        if rule.get(name):
            shown = "APIGroups" if name == "apiGroups" else name[0].upper() + name[1:]
            parts.append(f"{shown}:[{' '.join(json.dumps(one) for one in rule[name])}]")
    return "{" + ", ".join(parts) + "}"
