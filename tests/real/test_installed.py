"""What the README promises to somebody who has installed the package and has no checkout, on real API servers.

The wheel is built from the checkout and installed into an environment of its own. Libraries come from the environment
of the tests, by a path file: one inside that environment is not read then, so its editable install of the checkout
does not count, and nothing is downloaded.
"""

import itertools
import os
import shutil
import signal
import site
import socket
import subprocess
import sys
import venv
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from attrs import frozen

from reconcile import Client, NotFound, ObjectKey, connect
from reconcile.kube import MergePatch
from reconcile.kube.kinds import CONFIG_MAP, NAMESPACE
from reconcile.testing.envtest import ControlPlane
from reconcile.testing.processes import Process, Processes
from tests.real.waiting import until
from tests.test_examples import ROOT, readme_controller

pytestmark = pytest.mark.real

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the package installed from its wheel."""
    folder = tmp_path_factory.mktemp("installed")
    wheels, home = folder / "wheels", folder / "venv"
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", wheels, ROOT)
    venv.create(home, with_pip=False, symlinks=True)
    interpreter = home / "bin" / "python"
    [wheel] = wheels.glob("*.whl")
    run(sys.executable, "-m", "pip", "--python", interpreter, "install", "-q", "--no-deps", "--no-index", wheel)
    [packages] = home.glob("lib/python*/site-packages")
    (packages / "libraries.pth").write_text("\n".join(site.getsitepackages()))
    return interpreter


def run(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def environment(**more: str) -> dict[str, str]:
    """Nothing in it leads to the checkout."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return {**mine, "PYTHONDONTWRITEBYTECODE": "1", **more}


@frozen
class Desk:
    """Where somebody tries something out: an empty folder, a namespace, and programs that run there."""

    python: Path
    folder: Path
    client: Client
    namespace: str
    processes: Processes

    def start(self, *arguments: str | Path, **variables: str) -> Process:
        log = self.folder / f"{next(_numbers)}.log"
        environ = environment(**variables)
        return self.processes.start([self.python, *arguments], log=log, env=environ, cwd=self.folder)

    async def create(self, name: str, labels: dict[str, str], **data: str) -> ObjectKey:
        body = {"metadata": {"name": name, "labels": labels}, "data": data}
        await self.client.create(CONFIG_MAP, body, namespace=self.namespace)
        return ObjectKey(self.namespace, name)

    async def shows(self, key: ObjectKey, data: dict[str, str] | None, program: Process) -> None:
        """Wait until the server has that, or nothing."""

        async def is_so() -> bool:
            if program.code is not None:
                raise program.failed()
            try:
                return bool((await self.client.get(CONFIG_MAP, key))["data"] == data)
            except NotFound:
                return data is None

        await until(is_so, f"{key} is {data}")


@pytest.fixture
async def desk(python: Path, control_plane: ControlPlane, tmp_path: Path) -> AsyncIterator[Desk]:
    namespace = f"desk-{next(_numbers)}"
    with Processes() as processes:
        async with connect(control_plane.kubeconfig(), field_manager="people") as client:
            await client.create(NAMESPACE, {"metadata": {"name": namespace}})
            yield Desk(python, tmp_path, client, namespace, processes)


async def ended(process: Process, number: signal.Signals = signal.SIGTERM) -> int:
    process.signal(number)
    return await anyio.to_thread.run_sync(process.wait, 20.0)


def test_the_packages_come_from_the_wheel_and_not_from_the_checkout(python: Path, tmp_path: Path) -> None:
    places = run(
        python, "-c", "import apinetlet, provider, reconcile, sys; print(reconcile.__file__, *sys.path)", cwd=tmp_path
    ).split()
    assert places[0].startswith(str(python.parent.parent))
    assert str(ROOT) not in places
    assert run(python.with_name("apinetlet"), "--help", cwd=tmp_path).strip()


async def test_the_controller_of_the_readme_keeps_copies_and_writes_nothing_when_started_again(
    desk: Desk, control_plane: ControlPlane
) -> None:
    (desk.folder / "copier.py").write_text(readme_controller())
    variables = {"KUBECONFIG": str(control_plane.kubeconfig())}
    program = desk.start("copier.py", **variables)
    key = await desk.create("blue", {"copy": "yes"}, size="1")
    await desk.create("other", {}, size="1")
    copy = ObjectKey(desk.namespace, "blue-copy")
    await desk.shows(copy, {"size": "1"}, program)
    await desk.client.patch(CONFIG_MAP, key, MergePatch({"data": {"size": "2"}}))
    await desk.shows(copy, {"size": "2"}, program)
    await desk.client.patch(CONFIG_MAP, copy, MergePatch({"data": {"size": "3"}}))  # somebody meddles
    await desk.shows(copy, {"size": "2"}, program)
    assert await ended(program) == 0

    version = (await desk.client.get(CONFIG_MAP, copy)).metadata.resource_version
    before = len(control_plane.audit_events())
    program = desk.start("copier.py", **variables)
    second = await desk.create("red", {"copy": "yes"}, size="1")
    await desk.shows(second._replace(name="red-copy"), {"size": "1"}, program)  # it has gone through all of them
    assert (await desk.client.get(CONFIG_MAP, copy)).metadata.resource_version == version
    writes = [one for one in control_plane.audit_events()[before:] if one.is_write and one.namespace == desk.namespace]
    assert "blue-copy" not in {one.name for one in writes}
    await desk.client.delete(CONFIG_MAP, key)
    await desk.shows(copy, None, program)
    assert await ended(program) == 0
    with pytest.raises(NotFound):
        await desk.client.get(CONFIG_MAP, ObjectKey(desk.namespace, "other-copy"))


async def test_the_example_over_two_clusters_mirrors_and_takes_back(
    desk: Desk, two_control_planes: tuple[ControlPlane, ControlPlane]
) -> None:
    here, there = (str(plane.kubeconfig()) for plane in two_control_planes)
    shutil.copy(ROOT / "examples" / "two_clusters.py", desk.folder)
    async with connect(there, field_manager="people") as other:
        await other.create(NAMESPACE, {"metadata": {"name": desk.namespace}})
        program = desk.start("two_clusters.py", here, there, desk.namespace)
        key = await desk.create("blue", {"mirror": "yes"}, size="1")
        uid = (await desk.client.get(CONFIG_MAP, key)).metadata.uid
        elsewhere = Desk(desk.python, desk.folder, other, desk.namespace, desk.processes)
        await elsewhere.shows(ObjectKey(desk.namespace, uid), {"size": "1"}, program)
        await desk.client.delete(CONFIG_MAP, key)
        await elsewhere.shows(ObjectKey(desk.namespace, uid), None, program)
        assert await ended(program) == 0


async def test_the_example_in_a_web_application_answers_from_its_cache(desk: Desk, control_plane: ControlPlane) -> None:
    shutil.copytree(ROOT / "examples", desk.folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    served = f"web.run_app(web_app.application(web_app.connect()), host='127.0.0.1', port={port})"
    program = desk.start(
        "-c",
        f"from examples import web_app; from aiohttp import web; {served}",
        KUBECONFIG=str(control_plane.kubeconfig()),
    )
    await desk.create("blue", {"copy": "yes"}, size="1")

    async def is_listed() -> bool:
        if program.code is not None:
            raise program.failed()
        try:
            async with await anyio.connect_tcp("127.0.0.1", port) as browser:
                await browser.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                return f'"{desk.namespace}/blue"'.encode() in b"".join([part async for part in browser])
        except OSError:
            return False

    await until(is_listed, "the page lists the copy")
    assert await ended(program) == 0


def test_the_example_that_is_tested_with_the_kit_passes(python: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    said = run(
        python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "anyio_mode=auto", "examples", cwd=tmp_path
    )
    assert "2 passed" in said
