"""Which requests a webhook or a policy is about.

Pure. Source of the rules: apiserver, ``admission/plugin/webhook/predicates``.
"""

from typing import Any, Final

import attrs

from reconcile.kube.selector import labels_from
from reconcile.testing.apiserver.admission import User
from reconcile.testing.apiserver.failure import Document
from reconcile.testing.apiserver.reviews import user_info
from reconcile.testing.apiserver.strategy import Kind

_EXEMPT: Final = (
    "validatingwebhookconfigurations",
    "mutatingwebhookconfigurations",
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
    "mutatingadmissionpolicies",
    "mutatingadmissionpolicybindings",
)


@attrs.frozen(eq=False)
class Attributes:
    """What is asked for: by whom, and what becomes of what. ``new`` is ``None`` for a deletion."""

    kind: Kind
    operation: str
    """CREATE, UPDATE, DELETE."""
    subresource: str
    name: str
    namespace: str
    user: User
    old: Document | None
    new: Document | None
    dry_run: bool

    @property
    def is_namespace(self) -> bool:
        """Whether it is about a namespace itself."""
        return self.kind.resource.plural == "namespaces" and not self.kind.resource.group

    @property
    def is_exempt(self) -> bool:
        """Whether nobody is asked, lest nobody could undo a bad configuration."""
        resource = self.kind.resource
        return resource.group == "admissionregistration.k8s.io" and resource.plural in _EXEMPT

    @property
    def where(self) -> str:
        """The namespace as a review tells it: of a namespace its own name."""
        return self.name if self.is_namespace else self.namespace

    def request(self, kind: Kind) -> Document:
        """The request as a review tells it, in the words of a version of the kind."""

        def head(of: Kind) -> tuple[Document, Document]:
            resource = of.resource
            common = {"group": resource.group, "version": resource.version}
            return {**common, "kind": resource.kind}, {**common, "resource": resource.plural}

        (gvk, gvr), (asked_kind, asked_resource) = head(kind), head(self.kind)
        options = {"CREATE": "CreateOptions", "UPDATE": "UpdateOptions", "DELETE": "DeleteOptions"}[self.operation]
        return {
            "kind": gvk,
            "resource": gvr,
            **({"subResource": self.subresource} if self.subresource else {}),
            "requestKind": asked_kind,
            "requestResource": asked_resource,
            **({"requestSubResource": self.subresource} if self.subresource else {}),
            **({"name": self.name} if self.name else {}),
            **({"namespace": self.where} if self.where else {}),
            "operation": self.operation,
            "userInfo": user_info(self.user),
            "object": self.new,
            "oldObject": self.old,
            "dryRun": self.dry_run,
            "options": {"kind": options, "apiVersion": "meta.k8s.io/v1"},
        }


def rule_matches(rule: Document, attributes: Attributes, kind: Kind) -> bool:
    """Whether a rule is about a request, taken as one to this version of the kind."""
    resource = kind.resource
    return (
        _any(rule.get("operations"), attributes.operation)
        and _any(rule.get("apiGroups"), resource.group)
        and _any(rule.get("apiVersions"), resource.version)
        and any(_names(one, resource.plural, attributes.subresource) for one in rule.get("resources") or ())
        and _in_scope(rule.get("scope") or "*", attributes)
    )


def _any(values: Any, wanted: str) -> bool:
    return "*" in (values or ()) or wanted in (values or ())


def _names(pattern: str, plural: str, subresource: str) -> bool:
    resource, _, below = pattern.partition("/")
    return resource in ("*", plural) and below in ("*", subresource) and (below != "*" or "/" in pattern)


def _in_scope(scope: str, attributes: Attributes) -> bool:
    is_cluster = attributes.is_namespace or not attributes.namespace
    return scope == "*" or (scope == "Cluster") is is_cluster


def chosen(match: Document, attributes: Attributes, kinds: list[Kind]) -> Kind | None:
    """The version of the kind in which a webhook wants a request; ``None`` if it is not about it.

    ``kinds`` are the other versions.
    """
    rules = match.get("rules") or match.get("resourceRules") or []
    if any(rule_matches(rule, attributes, attributes.kind) for rule in rules):
        return attributes.kind
    if (match.get("matchPolicy") or "Equivalent") == "Equivalent":
        for rule in rules:
            for kind in kinds:
                if kind is not attributes.kind and rule_matches(rule, attributes, kind):
                    return kind
    return None


def selected(match: Document, attributes: Attributes, namespace: Document | None) -> bool:
    """Whether the selectors of namespaces and objects allow it."""
    selector = match.get("namespaceSelector")
    if selector and (attributes.is_namespace or attributes.namespace):
        of = (attributes.new or attributes.old) if attributes.is_namespace else namespace
        labels = ((of or {}).get("metadata") or {}).get("labels") or {}
        if not labels_from(selector).matches(labels):
            return False
    selector = match.get("objectSelector")
    if not selector:
        return True
    found = [one for one in (attributes.new, attributes.old) if one is not None]
    return any(labels_from(selector).matches((one.get("metadata") or {}).get("labels") or {}) for one in found)
