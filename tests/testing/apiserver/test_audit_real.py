"""The audit log has the lines that kube-apiserver would have written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconcile.kube.request import HttpRequest
from reconcile.testing.apiserver import ApiServer, User
from reconcile.testing.apiserver.auditing import AuditLog
from reconcile.testing.apiserver.authentication import Authenticator
from reconcile.testing.apiserver.connection import Peer
from reconcile.testing.apiserver.http import Security, listening
from reconcile.testing.plugin import AnyioBackend
from tests.planes import control_plane

pytestmark = pytest.mark.real

MAPS = "/api/v1/namespaces/default/configmaps"
STORY: list[tuple[str, str, dict[str, Any] | None]] = [
    ("POST", MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}}),
    ("POST", MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}),
    ("GET", f"{MAPS}/a", None),
    ("GET", f"{MAPS}/none", None),
    ("GET", f"{MAPS}?limit=1", None),
    ("GET", "/apis/apps/v1/deployments", None),
    ("GET", "/version", None),
    ("DELETE", f"{MAPS}/a", None),
]
MADE_UP = ("auditID", "requestReceivedTimestamp", "stageTimestamp", "userAgent", "sourceIPs")


@pytest.fixture(scope="module")
def anyio_backend() -> AnyioBackend:
    return "asyncio", {}


def told(lines: list[dict[str, Any]]) -> list[Any]:
    """Lines without what nobody chose."""
    for line in lines:
        for name in MADE_UP:
            line.pop(name, None)
        line["annotations"].pop("authorization.k8s.io/reason")  # which role allowed it, or ""
        line["user"] = line["user"]["username"]
        for place in (line.get("objectRef", {}), line["responseStatus"].get("details", {})):
            place.pop("uid", None)
            place.pop("resourceVersion", None)
    return lines


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


async def test_a_story_leaves_the_same_lines(tmp_path: Path) -> None:
    with control_plane(in_memory=True, audited=True) as plane:
        for method, path, body in STORY:
            plane.request(method, path, body)
        mine: Callable[[dict[str, Any]], bool] = lambda line: (  # noqa: E731
            line["user"]["username"] == "admin"
            and line["requestURI"] in {path for _, path, _ in STORY}
            and line["stage"] == "ResponseComplete"
        )
        real = [line for line in lines_of(plane.folder / "audit.log") if mine(line)]
    log = AuditLog(tmp_path / "audit.log")
    security = Security(authenticate=Authenticator({"t": User("admin")}))
    async with ApiServer() as server, listening(server, security=security, audit_log=log) as endpoint:
        for method, path, body in STORY:
            target, _, query = path.partition("?")
            pairs = tuple((one.partition("=")[0], one.partition("=")[2]) for one in query.split("&") if one)
            headers = {"authorization": "Bearer t", "user-agent": "x", "content-type": "application/json"}
            raw = json.dumps(body).encode() if body is not None else b""
            await endpoint.reply(HttpRequest(method, target, pairs, headers, raw), Peer("127.0.0.1"))
    log.close()
    assert told(lines_of(tmp_path / "audit.log")) == told(real)
