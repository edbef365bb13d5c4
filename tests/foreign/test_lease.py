"""A Lease that a running Go daemon holds is honoured by ours, and ours by it.

The Go side is a manager of controller-runtime with its defaults, as the Go daemon is; only the Lease's name is told.
"""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from apinetlet.api import IRONCORE, Kinds
from apinetlet.demo import apinet
from apinetlet.demo.definitions import source_kinds
from reconcile.testing.apiserver import ApiServer
from reconcile.testing.apiserver.threads import in_thread
from reconcile.testing.processes import Process, Processes
from tests.foreign import building
from tests.foreign.story import Site
from tests.real.daemon import run_apinetlet

pytestmark = pytest.mark.real

HOME, TARGET = "apinetlet-system", "apinet"
NETWORKS = f"/apis/{Kinds.of(IRONCORE).network.api_version}/namespaces/{HOME}/networks"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{HOME}/leases/{IRONCORE.lease}"


@define
class Stage:
    """One server that is both clusters, and the two daemons that want to lead."""

    site: Site
    processes: Processes
    folder: Path
    kubeconfig: Path = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.kubeconfig = self.folder / "kubeconfig"
        self.kubeconfig.write_text(self.site.kubeconfig())
        self.site.prepare()
        self.site.ask("POST", "/api/v1/namespaces", {"metadata": {"name": TARGET}})

    def go(self, name: str) -> Process:
        environment = {"KUBECONFIG": str(self.kubeconfig), "HOME": str(self.folder), "LEASE": IRONCORE.lease}
        command: list[str | Path] = [building.go(Path(__file__).parent / "go"), HOME]
        return self.processes.start(command, log=self.folder / f"{name}.log", env={**os.environ, **environment})

    def ours(self, name: str) -> Process:
        flags = ("--leader-elect", f"--leader-election-namespace={HOME}", f"--api-net-namespace={TARGET}")
        both = (f"--kubeconfig={self.kubeconfig}", f"--api-net-kubeconfig={self.kubeconfig}", "--generation=ironcore")
        return run_apinetlet(self.processes, self.folder / f"{name}.log", *flags, *both).process

    def lease(self) -> dict[str, Any]:
        found = self.site.read(LEASE)
        return dict(found["spec"]) if found else {}

    def holder(self) -> str:
        return str(self.lease().get("holderIdentity") or "")

    def is_mapped(self) -> bool:
        [network] = self.site.ask("GET", NETWORKS)[1]["items"]
        return (network.get("status") or {}).get("state") == "Available"

    def renewed(self, times: int, process: Process) -> None:
        """Wait until whoever leads has said so a few times more."""
        for _ in range(times):
            self.until(self._changes(self.lease()["renewTime"]), "the lease is renewed", process)

    def _changes(self, before: str) -> Callable[[], bool]:
        return lambda: bool(self.lease()["renewTime"] != before)

    def until(self, holds: Callable[[], bool], what: str, process: Process) -> None:
        self.site.until(holds, what, process)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    kinds = (*source_kinds(IRONCORE), *apinet.kinds(IRONCORE))
    with in_thread(ApiServer(kinds)) as thread, Processes() as processes:
        yield Stage(Site(thread.url, HOME), processes, tmp_path)


def test_the_lead_goes_from_the_go_daemon_to_ours_and_back_and_never_to_both(stage: Stage) -> None:
    go = stage.go("go")
    stage.until(lambda: stage.holder() != "", "the Go daemon leads", go)
    leader, fields = stage.holder(), set(stage.lease())
    ours = stage.ours("ours")
    network = {"apiVersion": Kinds.of(IRONCORE).network.api_version, "kind": "Network", "metadata": {"name": "blue"}}
    assert stage.site.ask("POST", NETWORKS, {**network, "spec": {}})[0] == 201
    stage.renewed(2, go)
    assert stage.holder() == leader, "a Lease that is held was taken"
    assert not stage.is_mapped(), "a standby wrote"
    assert ours.code is None

    go.signal(signal.SIGTERM)
    stage.until(stage.is_mapped, "ours has taken over", ours)
    successor = stage.lease()
    assert successor["holderIdentity"] not in ("", leader)
    assert set(successor) == fields
    assert successor["leaseDurationSeconds"] == 15
    assert successor["leaseTransitions"] >= 1

    back = stage.go("go-again")
    stage.renewed(2, ours)
    assert stage.holder() == successor["holderIdentity"], "our Lease was taken while we held it"

    ours.signal(signal.SIGTERM)
    assert ours.wait(30.0) == 0
    stage.until(lambda: stage.holder() not in ("", successor["holderIdentity"]), "the Go daemon leads again", back)
    assert stage.lease()["leaseTransitions"] > successor["leaseTransitions"]
