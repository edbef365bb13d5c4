"""Which rights the daemon needs for exactly these flags, and the manifests that grant them and nothing more.

What it watches and writes is declared where it is assembled. What its connections and its metrics need beside that
follows from the flags. Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from apinetlet.api import Generation
from apinetlet.assembly import APINET, SOURCE
from apinetlet.listening import manager_settings
from apinetlet.modes import Mode, Side, SideName, subject
from apinetlet.pod import pod_namespace
from apinetlet.settings import OFF, Settings
from reconcile import Manager
from reconcile.manager.rbac import RBAC, Rule, merged, roles

CERTIFICATES: Final = "certificates.k8s.io"
SIGNING: Final = {SOURCE: "networkpluginclient", APINET: "apinetletclient"}
"""The subresources by which the approvers of either side know whose requests they may approve."""
POD: Final = "pod"
"""The cluster where the daemon runs, if it keeps kubeconfigs there."""
SIDES: Final = (SOURCE, APINET, POD)
_NAMES: Final[dict[str, SideName]] = {SOURCE: "source", APINET: "apinet"}


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


def rights(
    daemon: Manager, settings: Settings, generation: Generation, *, environment: Mapping[str, str]
) -> tuple[Rule, ...]:
    """All of them, on all sides. ``environment`` tells the namespace of the pod."""
    return merged([*daemon.rules(), *connecting(settings, environment), *protecting(settings, generation)])


def connecting(settings: Settings, environment: Mapping[str, str]) -> Iterable[Rule]:
    """For the connections: who renews certificates asks for them, and may keep them in one Secret."""
    for cluster, name in _NAMES.items():
        side = Side.of(settings, name)
        keeps = side.mode is not Mode.PLAIN
        if keeps:
            yield Rule(cluster, "", CERTIFICATES, "certificatesigningrequests", ("create", "get", "watch"))
            yield Rule(cluster, "", CERTIFICATES, f"certificatesigningrequests/{SIGNING[cluster]}", ("create",))
        if side.secret_name:
            namespace = side.secret_namespace or pod_namespace(environment)
            verbs = ("get", *(("create", "patch") if keeps else ()))
            yield Rule(POD, namespace, "", "secrets", verbs, side.secret_name)


def by_default(settings: Settings, generation: Generation, cluster: str) -> "Subject":
    """Whom a side knows us as: by a certificate of our own if we have one, else as the service account of the pod."""
    if cluster in _NAMES and Side.of(settings, _NAMES[cluster]).mode is not Mode.PLAIN:
        return Subject("User", subject(generation, _NAMES[cluster], settings.api_net_namespace).name)
    return Subject("ServiceAccount", "apinetlet", "apinetlet-system")


def protecting(settings: Settings, generation: Generation) -> Iterable[Rule]:
    """For metrics that ask who reads them: a cluster reviews tokens and rights."""
    listening = manager_settings(settings, generation)
    if listening.metrics_guard and listening.metrics != OFF:
        yield Rule(listening.metrics_guard, "", "authentication.k8s.io", "tokenreviews", ("create",))
        yield Rule(listening.metrics_guard, "", "authorization.k8s.io", "subjectaccessreviews", ("create",))


def manifests(
    rules: Iterable[Rule], subjects: Mapping[str, Subject], name: str
) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """Of each side: its roles and their bindings. The names differ, for one server may be all sides."""
    found = tuple(rules)
    return {side: list(_of_side(side, found, subjects[side], name)) for side in SIDES if side in subjects}


def _of_side(side: str, rules: Iterable[Rule], subject: Subject, name: str) -> Iterable[Mapping[str, Any]]:
    name = {SOURCE: name, APINET: f"{name}-api-net", POD: f"{name}-store"}[side]
    for role in roles((one for one in rules if one.cluster == side), name).get(side, ()):
        yield role
        yield {
            "apiVersion": role["apiVersion"],
            "kind": f"{role['kind']}Binding",
            "metadata": role["metadata"],
            "roleRef": {"apiGroup": RBAC, "kind": role["kind"], "name": name},
            "subjects": [subject.manifest],
        }
