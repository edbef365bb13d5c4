"""Which rights the daemon needs for exactly these flags, and the manifests that grant them and nothing more.

What it watches and writes is declared where it is assembled. What its connections and its metrics need beside that
follows from the flags. Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from apinetlet.api import Generation
from apinetlet.assembly import APINET, SOURCE
from apinetlet.settings import OFF, Settings
from reconcile import Manager
from reconcile.manager.rbac import RBAC, Rule, merged, roles

CERTIFICATES: Final = "certificates.k8s.io"
SIGNING: Final = {SOURCE: "networkpluginclient", APINET: "apinetletclient"}
"""The subresources by which the approvers of either side know whose requests they may approve."""
SIDES: Final = (SOURCE, APINET)


@frozen
class Subject:
    """Whom a role is bound to."""

    kind: str
    name: str
    namespace: str = ""

    @classmethod
    def read(cls, text: str) -> "Subject":
        """Of ``User:name``, ``Group:name`` or ``ServiceAccount:namespace/name``.

        Raises:
            ValueError: it is none of them.
        """
        kind, _, name = text.partition(":")
        if kind == "ServiceAccount":
            namespace, _, name = name.partition("/")
            if namespace and name and "/" not in name:
                return cls(kind, name, namespace)
        elif kind in ("User", "Group") and name:
            return cls(kind, name)
        raise ValueError(f"{text!r} is none of User:name, Group:name and ServiceAccount:namespace/name")

    @property
    def manifest(self) -> Mapping[str, str]:
        """As a binding has it."""
        if self.kind == "ServiceAccount":
            return {"kind": self.kind, "name": self.name, "namespace": self.namespace}
        return {"apiGroup": RBAC, "kind": self.kind, "name": self.name}


def rights(daemon: Manager, settings: Settings, generation: Generation) -> tuple[Rule, ...]:
    """All of them, on both sides."""
    return merged([*daemon.rules(), *connecting(settings), *protecting(settings, generation)])


def connecting(settings: Settings) -> Iterable[Rule]:
    """For the connections: who renews certificates asks for them, and may keep them in a Secret."""
    for side, prefix in ((SOURCE, ""), (APINET, "api_net_")):
        if getattr(settings, f"{prefix}rotate_certificates") or getattr(settings, f"{prefix}bootstrap_kubeconfig"):
            yield Rule(side, "", CERTIFICATES, "certificatesigningrequests", ("create", "get", "list", "watch"))
            yield Rule(side, "", CERTIFICATES, f"certificatesigningrequests/{SIGNING[side]}", ("create",))


def protecting(settings: Settings, generation: Generation) -> Iterable[Rule]:
    """For metrics that ask who reads them: the source cluster reviews tokens and rights."""
    is_on = settings.metrics_bind_address not in ("", OFF)
    if is_on and settings.metrics_secure and generation.name == "ironcore":
        yield Rule(SOURCE, "", "authentication.k8s.io", "tokenreviews", ("create",))
        yield Rule(SOURCE, "", "authorization.k8s.io", "subjectaccessreviews", ("create",))


def manifests(
    rules: Iterable[Rule], subjects: Mapping[str, Subject], name: str
) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """Of each side: its roles and their bindings. The names differ, for one server may be both sides."""
    found = tuple(rules)
    return {side: list(_of_side(side, found, subjects[side], name)) for side in SIDES}


def _of_side(side: str, rules: Iterable[Rule], subject: Subject, name: str) -> Iterable[Mapping[str, Any]]:
    name = name if side == SOURCE else f"{name}-api-net"
    for role in roles((one for one in rules if one.cluster == side), name).get(side, ()):
        yield role
        yield {
            "apiVersion": role["apiVersion"],
            "kind": f"{role['kind']}Binding",
            "metadata": role["metadata"],
            "roleRef": {"apiGroup": RBAC, "kind": role["kind"], "name": name},
            "subjects": [subject.manifest],
        }
