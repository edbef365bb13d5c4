"""Subresources that do something, and kinds that take part in more than their own storage."""

import base64
from typing import Any

import anyio
import pytest

from reconcile.testing.apiserver import ApiServer
from reconcile.testing.apiserver.signing import Signer
from tests.testing.callers import Api

SPEC = {"containers": [{"name": "a", "image": "a:1"}]}


async def a_pod(api: Api, name: str, **spec: Any) -> str:
    metadata = {"name": name, "labels": {"app": "web"}}
    await api.made(
        api.path("pods"), {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**SPEC, **spec}}
    )
    return f"{api.path('pods')}/{name}"


def a_binding(name: str, node: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": name},
        "target": {"kind": "Node", "name": node},
    }


async def test_a_binding_puts_a_pod_on_its_node_once(api: Api) -> None:
    pod = await a_pod(api, "p")
    bound = await api.post(f"{pod}/binding", a_binding("p", "n1"))
    assert (bound.code, bound["status"]) == (201, "Success")
    found = await api.get(pod)
    assert found["spec"]["nodeName"] == "n1"
    assert [(one["type"], one["status"]) for one in found["status"]["conditions"]] == [("PodScheduled", "True")]
    again = await api.post(f"{pod}/binding", a_binding("p", "n2"))
    says = 'Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n1"'
    assert again.says == (409, "Conflict", says)


async def test_an_eviction_deletes_a_pod_unless_its_budget_is_spent(api: Api) -> None:
    pod = await a_pod(api, "p")
    running = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
    assert (await api.merge(f"{pod}/status", running)).code == 200
    budgets = f"/apis/policy/v1/namespaces/{api.namespace}/poddisruptionbudgets"
    budget = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    body = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b"}, "spec": budget}
    await api.made(budgets, body)
    status = {"observedGeneration": 1, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1}
    await api.merge(f"{budgets}/b/status", {"status": {**status, "disruptionsAllowed": 0}})
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
    refused = await api.post(f"{pod}/eviction", eviction)
    says = "Cannot evict pod as it would violate the pod's disruption budget."
    assert refused.says == (429, "TooManyRequests", says)
    assert refused.causes == [
        ("", "DisruptionBudget", "The disruption budget b needs 1 healthy pods and has 1 currently")
    ]
    await api.merge(f"{budgets}/b/status", {"status": {"disruptionsAllowed": 1, "currentHealthy": 2}})
    assert (await api.post(f"{pod}/eviction", eviction)).code == 201
    spent = await api.get(f"{budgets}/b")
    assert (spent["status"]["disruptionsAllowed"], list(spent["status"]["disruptedPods"])) == (0, ["p"])


async def test_a_service_account_gets_a_token_for_as_long_as_it_asks(api: Api) -> None:
    accounts = api.path("serviceaccounts")
    await api.made(accounts, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}})
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
    given = await api.made(f"{accounts}/robot/token", request)
    assert given["status"]["token"].count(".") == 2
    assert given["spec"]["expirationSeconds"] == 600
    request["spec"] = {"expirationSeconds": 5}
    short = await api.post(f"{accounts}/robot/token", request)
    assert short.causes == [
        (
            "spec.expirationSeconds",
            "FieldValueInvalid",
            "Invalid value: 5: may not specify a duration less than 10 minutes",
        )
    ]
    assert (await api.post(f"{accounts}/nobody/token", request)).code == 404


async def test_the_number_of_replicas_is_read_and_written_through_scale(api: Api) -> None:
    deployments = f"/apis/apps/v1/namespaces/{api.namespace}/deployments"
    spec = {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": SPEC},
    }
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}
    await api.made(deployments, body)
    scale = await api.get(f"{deployments}/d/scale")
    assert (scale["spec"], scale["status"]) == ({"replicas": 1}, {"replicas": 0, "selector": "app=web"})
    assert (await api.merge(f"{deployments}/d/scale", {"spec": {"replicas": 3}})).code == 200
    found = await api.get(f"{deployments}/d")
    assert (found["spec"]["replicas"], found.meta["generation"]) == (3, 2)


async def test_a_signing_request_says_who_asked_and_only_approval_decides(api: Api) -> None:
    requests = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
    made = await api.made(requests, a_request("r"))
    assert made["spec"]["username"]
    verdict = {"type": "Approved", "status": "True", "reason": "Test", "message": "yes"}
    approved = await api.merge(f"{requests}/r/approval", {"status": {"conditions": [verdict]}})
    [condition] = approved["status"]["conditions"]
    assert condition["lastUpdateTime"]
    assert condition["lastTransitionTime"]
    changed = await api.merge(f"{requests}/r", {"spec": {"username": "eve"}})
    assert changed["spec"] == made["spec"]
    assert (await api.delete(f"{requests}/r")).code == 200


async def test_a_signer_signs_what_is_approved(server: ApiServer, api: Api) -> None:
    pytest.importorskip("cryptography")
    requests = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
    async with Signer(server, approves=True):
        await api.made(requests, a_request("r"))
        with anyio.fail_after(30):
            while "certificate" not in (await api.get(f"{requests}/r"))["status"]:
                await anyio.sleep(0.1)
    found = await api.get(f"{requests}/r")
    assert base64.b64decode(found["status"]["certificate"]).startswith(b"-----BEGIN CERTIFICATE-----")


def a_request(name: str) -> dict[str, Any]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "somebody")])
    pem = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    spec = {
        "request": base64.b64encode(pem.public_bytes(serialization.Encoding.PEM)).decode(),
        "signerName": "kubernetes.io/kube-apiserver-client",
        "usages": ["client auth"],
    }
    body = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": name}}
    return {**body, "spec": spec}
