"""A cluster that hands out certificates: who may ask, who approves, and who signs for how long.

Bootstrap tokens are real ones (Secrets in kube-system), rights are RBAC objects for the groups that the certificates
name, and ``Notary`` does what the API servers' approvers and kube-controller-manager's signer do, with the cluster's
own authority and short lives.
"""

import base64
import datetime as dt
import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import orjson
from attrs import define, field
from cryptography import x509

from apinetlet.api import Generation
from reconcile import Client, ObjectKey
from reconcile.core.clock import utc
from reconcile.kube import MergePatch
from reconcile.kube.certificates.pairs import Subject
from reconcile.kube.kinds import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, CSR, ROLE, ROLE_BINDING, SECRET
from reconcile.testing.envtest import ControlPlane

READ = ["get", "list", "watch"]
ALL = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


def rule(group: str, resources: Iterable[str], verbs: Iterable[str]) -> dict[str, list[str]]:
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}


REQUESTS = rule("certificates.k8s.io", ["certificatesigningrequests"], ["create", *READ])


def of_source(generation: Generation) -> list[dict[str, list[str]]]:
    """What the daemon needs in the source cluster."""
    mapped = ["loadbalancers", "natgateways", "networkinterfaces", "networks", "virtualips", "networkpolicies"]
    return [
        REQUESTS,
        rule("", ["events"], ["create", "patch"]),
        rule(generation.ipam, ["prefixes"], READ),
        rule(generation.networking, ["loadbalancerroutings"], READ),
        rule(generation.networking, mapped, [*READ, "patch", "update"]),
        rule(generation.networking, [f"{one}/finalizers" for one in mapped], ["patch", "update"]),
        rule(generation.networking, [f"{one}/status" for one in mapped], ["get", "patch", "update"]),
    ]


def of_apinet(generation: Generation) -> list[dict[str, list[str]]]:
    """What it needs in its namespace of the api-net cluster."""
    own = ["ips", "loadbalancerroutings", "loadbalancers", "natgatewayautoscalers", "natgateways", "networks"]
    own += ["networkpolicies", "networkpolicyrules"]
    patched = rule(generation.apinet, ["networkinterfaces"], [*READ, "patch", "update"])
    return [rule(generation.apinet, own, ALL), patched]


async def allow(client: Client, group: str, rules: list[dict[str, list[str]]], *, namespace: str = "") -> None:
    """Give rights to a group: in a namespace, or everywhere."""
    name = f"test-{group.replace(':', '-')}-{namespace or 'all'}"
    role, binding, kind = (
        (ROLE, ROLE_BINDING, "Role") if namespace else (CLUSTER_ROLE, CLUSTER_ROLE_BINDING, "ClusterRole")
    )
    meta = {"name": name, **({"namespace": namespace} if namespace else {})}
    subject = {"kind": "Group", "name": group, "apiGroup": "rbac.authorization.k8s.io"}
    reference = {"kind": kind, "name": name, "apiGroup": "rbac.authorization.k8s.io"}
    await client.apply(role, {"metadata": meta, "rules": rules})
    await client.apply(binding, {"metadata": meta, "subjects": [subject], "roleRef": reference})


async def a_token(client: Client, group: str) -> tuple[str, ObjectKey]:
    """A bootstrap token for members of ``group``, and the Secret that is to be deleted to revoke it."""
    identity, secret = secrets.token_hex(3), secrets.token_hex(8)
    key = ObjectKey("kube-system", f"bootstrap-token-{identity}")
    data = {
        "token-id": identity,
        "token-secret": secret,
        "usage-bootstrap-authentication": "true",
        "auth-extra-groups": group,
    }
    body = {
        "metadata": {"name": key.name},
        "type": "bootstrap.kubernetes.io/token",
        "stringData": data,
    }
    await client.create(SECRET, body, namespace=key.namespace)
    return f"{identity}.{secret}", key


@define(eq=False)
class Notary:
    """Approves and signs requests for ``subjects``; each may be held back."""

    plane: ControlPlane
    client: Client
    subjects: dict[str, Subject]
    """By the name in the request."""
    life: dt.timedelta
    approves: bool = True
    signs: bool = True
    refused: list[str] = field(factory=list)
    """What was wrong with requests that it did not like."""

    async def all(self) -> list[dict[str, Any]]:
        """Every request there is, the oldest first."""
        found = [orjson.loads(one.metadata.raw) for one in (await self.client.list(CSR)).items]
        return sorted(found, key=lambda one: (one["metadata"]["creationTimestamp"], one["metadata"]["name"]))

    async def of(self, subject: Subject) -> list[dict[str, Any]]:
        return [one for one in await self.all() if asked_by(one) == subject.name]

    async def run(self) -> None:
        while True:
            for one in await self.all():
                await self._look(one)
            await anyio.sleep(0.1)

    async def _look(self, one: dict[str, Any]) -> None:
        held = {each["type"] for each in one.get("status", {}).get("conditions", [])}
        name = one["metadata"]["name"]
        if one.get("status", {}).get("certificate") or asked_by(one) not in self.subjects:
            return
        if not held and self.approves:
            if problem := self._problem(one):
                self.refused.append(problem)
            kind = "Denied" if problem else "Approved"
            said = {"type": kind, "status": "True", "reason": "Test", "message": problem}
            patch = MergePatch({"status": {"conditions": [said]}})
            await self.client.patch(CSR, ObjectKey("", name), patch, subresource="approval")
        elif "Approved" in held and self.signs:
            moment = utc().replace(microsecond=0)
            pem = self.plane.ca.sign_request(
                request_of(one), one["spec"]["usages"], validity=(moment, moment + self.life)
            )
            patch = MergePatch({"status": {"certificate": base64.b64encode(pem.encode()).decode()}})
            await self.client.patch(CSR, ObjectKey("", name), patch, subresource="status")

    def _problem(self, one: dict[str, Any]) -> str:
        """What the recognizers of the API servers would not like."""
        request, spec = x509.load_pem_x509_csr(request_of(one).encode()), one["spec"]
        subject = self.subjects[asked_by(one)]
        groups = tuple(part.value for part in request.subject if part.oid == x509.NameOID.ORGANIZATION_NAME)
        if groups != subject.groups:
            return f"organizations {groups}"
        if len(request.extensions):
            return "other names"
        if sorted(spec["usages"]) != ["client auth", "digital signature"] or "expirationSeconds" in spec:
            return f"usages {spec['usages']}"
        if spec["signerName"] != "kubernetes.io/kube-apiserver-client":
            return f"signer {spec['signerName']}"
        return ""


def request_of(one: dict[str, Any]) -> str:
    return base64.b64decode(one["spec"]["request"]).decode()


def asked_by(one: dict[str, Any]) -> str:
    """For whom a certificate is asked."""
    subject = x509.load_pem_x509_csr(request_of(one).encode()).subject
    [name] = subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(name.value)


@asynccontextmanager
async def notary(
    plane: ControlPlane, client: Client, subjects: Iterable[Subject], life: dt.timedelta
) -> AsyncIterator[Notary]:
    """One at work."""
    one = Notary(plane, client, {subject.name: subject for subject in subjects}, life)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.run)
        yield one
        tasks.cancel_scope.cancel()
