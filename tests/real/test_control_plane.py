"""The control plane that the other real tests stand on."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reconcile.testing.envtest import ControlPlane

pytestmark = pytest.mark.real


@pytest.fixture
def own_control_plane(start_control_plane: Callable[..., ControlPlane]) -> Iterator[ControlPlane]:
    """For a test that hurts it."""
    with start_control_plane() as plane:
        yield plane


def test_a_control_plane_is_ready_for_writes_and_knows_its_version(control_plane: ControlPlane) -> None:
    assert control_plane.request("GET", "/readyz") == (200, b"ok")
    assert create(control_plane, "namespaces", a_namespace("ready"))["status"] == {"phase": "Active"}
    version = json.loads(control_plane.request("GET", "/version")[1])
    assert version["gitVersion"].startswith(f"v{version['major']}.{version['minor']}.")


def test_a_user_is_who_the_kubeconfig_says_and_may_do_what_its_groups_may(control_plane: ControlPlane) -> None:
    stranger = control_plane.kubeconfig("jane", groups=["team"])
    assert stranger.stat().st_mode & 0o777 == 0o600
    whoami = json.loads(kubectl(stranger, "auth", "whoami", "-o", "json").stdout)["status"]["userInfo"]
    assert (whoami["username"], whoami["groups"]) == ("jane", ["team", "system:authenticated"])
    assert 'User "jane" cannot list resource' in kubectl(stranger, "get", "namespaces").stderr
    assert kubectl(control_plane.kubeconfig(), "get", "namespaces").returncode == 0


def test_the_audit_log_has_a_write_as_soon_as_it_is_answered(control_plane: ControlPlane) -> None:
    create(control_plane, "namespaces", a_namespace("audited"))
    [event] = [e for e in control_plane.audit_events() if e.is_write and e.name == "audited" and e.user == "admin"]
    assert (event.verb, event.resource, event.code) == ("create", "namespaces", 201)
    assert event.received <= event.completed


def test_what_a_deleted_object_owned_goes_with_it(control_plane: ControlPlane) -> None:
    configmaps = "namespaces/default/configmaps"
    owner = create(control_plane, configmaps, a_config_map("owner"))["metadata"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["uid"]}
    create(control_plane, configmaps, a_config_map("owned", ownerReferences=[reference]))
    assert control_plane.request("DELETE", f"/api/v1/{configmaps}/owner")[0] == 200
    assert eventually(lambda: control_plane.request("GET", f"/api/v1/{configmaps}/owned")[0] == 404)


def test_a_killed_server_comes_back_where_it_was_with_what_it_had(own_control_plane: ControlPlane) -> None:
    create(own_control_plane, "namespaces", a_namespace("kept"))
    own_control_plane.kill()
    with pytest.raises(ConnectionRefusedError):
        own_control_plane.request("GET", "/readyz")
    own_control_plane.restart()
    assert own_control_plane.request("GET", "/api/v1/namespaces/kept")[0] == 200


def test_a_paused_server_accepts_connections_and_answers_when_it_runs_on(own_control_plane: ControlPlane) -> None:
    own_control_plane.pause()
    with pytest.raises(TimeoutError):
        own_control_plane.request("GET", "/readyz", timeout=0.5)
    own_control_plane.resume()
    assert own_control_plane.request("GET", "/readyz") == (200, b"ok")


def test_a_control_plane_leaves_nothing_behind(own_control_plane: ControlPlane) -> None:
    pids = [own_control_plane.pid(program) for program in ("etcd", "kube-apiserver")]
    own_control_plane.stop()
    assert not any(is_running(pid) for pid in pids)
    assert not own_control_plane.folder.exists()


def test_a_control_plane_is_gone_when_the_process_that_started_it_is_killed(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    script = (
        "import time; from reconcile.testing.envtest import ControlPlane\n"
        "plane = ControlPlane.start()\n"
        "print(plane.pid('etcd'), plane.pid('kube-apiserver'), flush=True)\n"
        "time.sleep(600)"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path)}  # nobody is left to remove its folder
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert all(is_running(pid) for pid in pids)
        os.kill(parent.pid, signal.SIGKILL)
    assert eventually(lambda: not any(is_running(pid) for pid in pids))


def create(plane: ControlPlane, collection: str, body: dict[str, Any]) -> Any:
    status, answer = plane.request("POST", f"/api/v1/{collection}", body)
    assert status == 201, answer
    return json.loads(answer)


def a_namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def a_config_map(name: str, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}}


def kubectl(kubeconfig: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("kubectl")
    return subprocess.run([program, "--kubeconfig", kubeconfig, *arguments], capture_output=True, text=True, timeout=30)


def eventually(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + 20
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)
    return holds()


def is_running(pid: int) -> bool:
    """Not a zombie either: an orphan of ours may have no one to collect it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
