"""The image: what its Dockerfile promises, and, as a long run, the daemon from the tree that the build makes.

The base image is not pulled anywhere in these tests, and Docker is not run: a root made of Debian's packages takes the
place of the base, and a chroot on a read-only mount, as an unprivileged user, that of the container.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import anyio.to_thread
import pytest

from apinetlet.api import IRONCORE, Kinds
from reconcile import Client, ObjectKey, connect
from reconcile.kube.kinds import NAMESPACE
from reconcile.testing.plugin import AnyioBackend
from tests.real.waiting import until
from tests.testing.apiserver.processes import program
from tools.deploy.objects import USER
from tools.image.play import ROOT, Image, debian, instructions, play

DOCKERFILE = ROOT / "Dockerfile"
CRDS = ROOT / "apinetlet" / "crds" / "ironcore"


@pytest.fixture(scope="module")
def anyio_backend() -> AnyioBackend:
    return "asyncio", {}


def of(name: str) -> list[str]:
    return [rest for one, rest in instructions(DOCKERFILE.read_text()) if one == name]


def test_the_build_runs_nothing_but_our_script() -> None:
    assert of("RUN") == ["tools/image/build-tree.sh /source /tree"]


def test_the_last_stage_has_nothing_but_the_tree_and_the_user_of_the_deployment() -> None:
    assert of("FROM") == ["${DEBIAN} AS build", "scratch"]
    assert of("COPY")[-1] == "--from=build /tree /"
    assert of("USER") == [f"{USER}:{USER}"]
    assert len(of("HEALTHCHECK")) == len(of("ENTRYPOINT")) == 1


def test_the_label_names_the_version_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"VERSION={project['version']}" in of("ARG")


def test_what_is_copied_is_there_and_not_kept_from_the_builder() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {word for rest in of("COPY") if not rest.startswith("--from") for word in rest.split()[:-1]}
    assert copied == kept
    assert [one for one in copied if not (ROOT / one).exists()] == []


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        if os.environ.get("REQUIRE_REAL") == "1":
            raise AssertionError("needs root and mmdebstrap: tools/debian-programs mmdebstrap")
        pytest.skip("needs root and mmdebstrap: tools/debian-programs mmdebstrap")
    work = tmp_path_factory.mktemp("image")
    base = debian
    yield play(DOCKERFILE, work, base, {"REVISION": "0123abc"})
    shutil.rmtree(work)


DROP = "import ctypes, os, sys; ctypes.CDLL(None).prctl(38, 1, 0, 0, 0); os.execve(sys.argv[1], sys.argv[1:], {})"
"""No new privileges (38), as ``allowPrivilegeEscalation: false`` asks for, and an empty environment."""


class Container:
    """Runs programs of an image as a runtime would: by its user, on a root that cannot be written to."""

    def __init__(self, image: Image) -> None:
        self.image = image

    def command(self, *words: str, mount: Path | None = None) -> list[str]:
        root, user = self.image.root, self.image.user
        steps = [f"mount --bind {root} {root}", f"mount -t proc proc {root}/proc"]
        if mount:
            steps.append(f"mount --bind {mount} {root}/etc/apinetlet")
        steps.append(f"mount -o remount,bind,ro {root}")
        enter = f"chroot --userspec={user} --groups={user.partition(':')[2]} {root}"
        steps.append(f'exec {enter} /usr/bin/python3.11 -IBc "{DROP}" "$@"')
        names = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        return [*names, "/bin/sh", "-ec", "; ".join(steps), "container", *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*words), capture_output=True, text=True, check=False)

    def python(self, code: str) -> str:
        ran = self.run("/usr/bin/python3.11", "-IBc", code)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()


@pytest.mark.proof
class TestTree:
    """One build for all of it: about two minutes."""

    def test_there_is_no_shell_no_compiler_and_no_installer(self, image: Image) -> None:
        programs = {one.name for one in image.root.rglob("*") if one.is_file() and os.access(one, os.X_OK)}
        assert not programs & {"sh", "bash", "dash", "busybox", "gcc", "cc", "ld", "as", "apt", "dpkg", "pip", "pip3"}
        found = {one.name for folder in ("bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin")
                 for one in (image.root / folder).glob("*")}  # fmt: skip
        assert found <= {"python3.11", "apinetlet", "apinetlet-health"}

    def test_it_is_small_and_nothing_in_it_runs_with_rights_of_its_owner(self, image: Image) -> None:
        files = [one for one in image.root.rglob("*") if one.is_file() and not one.is_symlink()]
        size = sum(one.stat().st_size for one in files) / 1e6
        print(f"image: {size:.0f} MB in {len(files)} files")
        assert size < 150
        assert [one for one in files if one.stat().st_mode & 0o6000] == []

    def test_it_is_an_unprivileged_user_on_a_root_that_it_cannot_write_to(self, image: Image) -> None:
        container = Container(image)
        assert (
            container.python("import os; print(os.getuid(), os.getgid(), os.getgroups())") == f"{USER} {USER} [{USER}]"
        )
        said = container.python(
            "import os\nfor place in ('/x', '/tmp/x', '/etc/x', '/usr/local/lib/x'):\n"
            "    try: open(place, 'w')\n    except OSError as error: print(error.errno)"
        )
        assert set(said.split()) <= {"30", "13"}  # read-only, or not allowed
        assert said.split()[0] in {"30", "13"}
        status = container.python("print(open('/proc/self/status').read())")
        facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert int(facts["CapEff"], 16) == 0
        assert facts["NoNewPrivs"] == "1"

    def test_it_names_its_commit_and_its_labels(self, image: Image) -> None:
        ran = Container(image).run(*image.entrypoint, "version", "-o", "json")
        assert json.loads(ran.stdout)["commit"] == "0123abc", ran.stderr
        assert image.labels["org.opencontainers.image.licenses"] == "Apache-2.0"
        assert image.labels["org.opencontainers.image.revision"] == "0123abc"
        assert image.bases == ("debian:bookworm-slim", "scratch")

    def test_the_command_of_the_go_daemons_deployment_starts_it(self, image: Image) -> None:
        ran = Container(image).run("/manager", "version", "-o", "json")
        assert json.loads(ran.stdout)["commit"] == "0123abc", ran.stderr

    def test_every_tool_says_how_it_is_used(self, image: Image) -> None:
        for tool in ("check", "rbac", "explain", "plan", "top", "drain", "provider-id", "completion"):
            ran = Container(image).run(*image.entrypoint, tool, "--help")
            assert ran.returncode == 0, (tool, ran.stderr)

    async def test_the_daemon_maps_a_network_and_the_health_check_says_so(self, image: Image, tmp_path: Path) -> None:
        kinds = Kinds.of(IRONCORE)
        with ExitStack() as stack:
            for side in ("source", "apinet"):
                stack.enter_context(program("--crds", CRDS, "--kubeconfig-out", tmp_path / side))
                os.chmod(tmp_path / side, 0o644)
            source = await stack_client(tmp_path / "source", "home")
            apinet = await stack_client(tmp_path / "apinet", "apinet")
            port = free_port()
            words = [*image.entrypoint, "--api-net-namespace=apinet", f"--health-probe-bind-address=:{port}"]
            words += ["--kubeconfig=/etc/apinetlet/source", "--api-net-kubeconfig=/etc/apinetlet/apinet"]
            os.chmod(tmp_path, 0o755)
            log = tmp_path / "log"
            with log.open("w") as said:
                command = Container(image).command(*words, mount=tmp_path)
                process = subprocess.Popen(command, stdout=said, stderr=said)  # noqa: ASYNC220
            stack.callback(end, process)

            async def is_healthy() -> bool:
                assert process.poll() is None, log.read_text()
                return await anyio.to_thread.run_sync(self.health, image, port) == 0

            async def is_mapped() -> bool:
                return len((await apinet.list(kinds.apinet_network, namespace="apinet")).items) == 1

            await until(is_healthy, "the health check is content", within=120)
            await source.create(kinds.network, {"metadata": {"name": "blue"}, "spec": {}}, namespace="home")
            await until(is_mapped, "the Network has a counterpart", within=60)
            found = await source.get(kinds.network, ObjectKey("home", "blue"))
            assert found.metadata.finalizers
            for client in (source, apinet):
                await client.aclose()
        assert self.health(image, port) == 1

    def health(self, image: Image, port: int) -> int:
        return Container(image).run(*image.health, str(port)).returncode


async def stack_client(kubeconfig: Path, namespace: str) -> Client:
    """A user of the server, and a namespace to use."""
    client = connect(str(kubeconfig), field_manager="people")
    await client.create(NAMESPACE, {"metadata": {"name": namespace}})
    return client


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends the daemon, which is the child of ``unshare``: a change of user undoes that it dies with its parent."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    for child in children.read_text().split() if process.poll() is None else ():
        os.kill(int(child), signal.SIGTERM)
    process.wait()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
