"""Controllers of other makes, unchanged, come to the same end on the embedded server as on a real one."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconcile.testing.apiserver import ApiServer
from reconcile.testing.apiserver.threads import in_thread
from reconcile.testing.envtest import ControlPlane
from reconcile.testing.processes import Processes
from tests.foreign import building
from tests.foreign.story import END, Site, end, tell

pytestmark = [pytest.mark.pain(25)]

HERE = Path(__file__).parent
Command = Callable[[str], list[str | Path]]
"""The program, given its namespace."""


@pytest.fixture
def ours() -> Iterator[Site]:
    with in_thread(ApiServer()) as thread:
        yield Site(thread.url, "garden-show")


@pytest.fixture
def real(control_plane: ControlPlane, request: pytest.FixtureRequest) -> Site:
    name = "".join(sign if sign.isalnum() else "-" for sign in request.node.name.lower())[:60].strip("-")
    return Site(control_plane.url, name, control_plane.token, control_plane.ca.pair.certificate)


def kopf(namespace: str) -> list[str | Path]:
    return [sys.executable, HERE / "kopf_gardener.py", namespace]


def go(namespace: str) -> list[str | Path]:
    return [building.go(HERE / "go"), namespace]


def rust(namespace: str) -> list[str | Path]:
    return [building.rust(HERE / "rust"), namespace]


RUST = pytest.param(rust, marks=pytest.mark.proof)
"""Its first build takes longer than all other tests on real servers together."""


def test_a_controller_of_kopf_ends_as_it_should(ours: Site, tmp_path: Path) -> None:
    _check(ours, kopf, tmp_path)


@pytest.mark.real
@pytest.mark.parametrize("make", [kopf, go, RUST])
def test_a_controller_ends_on_a_real_server_as_it_should(real: Site, make: Command, tmp_path: Path) -> None:
    _check(real, make, tmp_path)


@pytest.mark.real
@pytest.mark.parametrize("make", [go, RUST])
def test_a_controller_that_has_to_be_built_ends_as_it_should(ours: Site, make: Command, tmp_path: Path) -> None:
    _check(ours, make, tmp_path)


@pytest.mark.real
@pytest.mark.parametrize("server", ["ours", "real"])
def test_everything_that_controller_runtime_has_works(
    server: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    site: Site = request.getfixturevalue(server)
    site.prepare()
    said = run([*go(site.namespace), "survey"], site, tmp_path)
    assert "ok: the lease is let go" in said


def _check(site: Site, make: Command, folder: Path) -> None:
    site.prepare()
    command = make(site.namespace)
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(site.kubeconfig())
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "HOME": str(folder)}
    with Processes() as processes:
        gardener = processes.start(command, log=folder / "gardener.log", env=environment)
        tell(site, gardener)
        gardener.signal(signal.SIGTERM)
        assert gardener.wait(20.0) is not None
    assert end(site) == END


def run(command: list[str | Path], site: Site, folder: Path) -> str:
    """What a program says that ends by itself."""
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(site.kubeconfig())
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "HOME": str(folder)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
