"""kubectl says the same of the embedded server as of a real one.

What it says of the real one is on record, as for the cases; sentences that only explain a field are left out.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from reconcile.testing.apiserver import ApiServer
from reconcile.testing.apiserver.threads import in_thread
from reconcile.testing.envtest import ControlPlane
from tests.conformance.commands import COMMANDS, EDITOR, FILES
from tests.conformance.record import FOLDER
from tests.once import once

pytestmark = [pytest.mark.pain(25)]

KUBECTL: Final = Path(sys.executable).with_name("kubectl")
RECORD: Final = FOLDER / "kubectl" / "said.json"
SPACE: Final = "space-of-kubectl"
DIFFERENT: Final[Mapping[str, str]] = {
    "auth can-i create pods/exec --as=nobody": "everybody may do everything, unless roles are to decide",
}
"""What is knowingly otherwise."""
Said = list[dict[str, Any]]


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Said:
    """What is said of the embedded server."""

    def ask() -> Said:
        folder = tmp_path_factory.mktemp("kubectl")
        with in_thread(ApiServer()) as thread:
            return said(_kubeconfig(folder, {"server": thread.url}, {}), folder)

    found: Said = once(tmp_path_factory, "kubectl", ask)
    return found


def said(kubeconfig: Path, folder: Path) -> Said:
    """Type all commands, in order."""
    for name, content in FILES.items():
        (folder / name).write_text(content)
    environment = {
        "KUBECONFIG": str(kubeconfig),
        "HOME": str(folder),
        "PATH": os.environ["PATH"],
        "TZ": "UTC",
        "KUBE_EDITOR": EDITOR,
    }
    typed = [f"create namespace {SPACE}", *COMMANDS]
    return [_answer(one, folder, environment) for one in typed][1:]


def _answer(command: str, folder: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    words = [word.replace("0_0_*_*_*", "0 0 * * *").replace("space:", f"{SPACE}:") for word in _words(command)]
    done = subprocess.run(
        [KUBECTL, *words], cwd=folder, env=dict(environment), capture_output=True, text=True, timeout=60, check=False
    )
    return {
        "command": command,
        "code": done.returncode,
        "out": _plain(done.stdout, folder, is_help=words[0] == "explain"),
        "error": _plain(done.stderr, folder),
    }


def _words(command: str) -> list[str]:
    return command.split(" ") if '"' in command or "{" in command else shlex.split(command)


_RULES: Final = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "UID"),
    (re.compile(r"20[2-9]\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| \+0000 UTC)?"), "TIME"),
    (re.compile(r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} 20\d\d \d\d:\d\d:\d\d \+0000"), "TIME"),
    (re.compile(r"(resourceVersion\"?: )\"?\d+\"?"), r"\1VERSION"),
    (re.compile(r"(Resource Version: +)\d+"), r"\1VERSION"),
    (re.compile(r"\b10\.0\.0\.\d+\b"), "ADDRESS"),
    (re.compile(r"https?://127\.0\.0\.1:\d+"), "SERVER"),
    (re.compile(r"\b(\d+[ms])+( ago)?(?=\s|$)"), "AGE"),
    (re.compile(r"/tmp/(LIVE|MERGED)-\d+"), r"/tmp/\1"),
    (re.compile(r"[ \t]+"), " "),
)


def _plain(text: str, folder: Path, *, is_help: bool = False) -> list[str]:
    text = text.replace(str(folder), "FOLDER").replace(SPACE, "SPACE")
    for pattern, word in _RULES:
        text = pattern.sub(word, text)
    lines = [line.rstrip() for line in text.splitlines()]
    return [line for line in lines if _is_structure(line)] if is_help else [line for line in lines if line]


def _is_structure(line: str) -> bool:
    """Whether a line of ``explain`` is about what there is, not about what it means."""
    return bool(re.match(r"^(GROUP|KIND|VERSION|FIELD|FIELDS)\b", line) or re.match(r"^ ?\S+ <[^>]+>", line))


def _kubeconfig(folder: Path, cluster: Mapping[str, Any], user: Mapping[str, Any]) -> Path:
    path = folder / "kubeconfig"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "it", "cluster": dict(cluster)}],
        "users": [{"name": "me", "user": dict(user)}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "me", "namespace": SPACE}}],
        "current-context": "it",
    }
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize("number", range(len(COMMANDS)), ids=COMMANDS)
def test_it_is_said_of_the_embedded_server(ours: Said, number: int) -> None:
    check(ours, number)


def check(found: Said, number: int) -> None:
    known = json.loads(RECORD.read_text())["said"][number]
    if known["command"] in DIFFERENT:
        assert found[number] != known, f"no longer different: {DIFFERENT[known['command']]}"
        return
    assert found[number] == known


@pytest.mark.real
def test_it_is_said_of_the_real_server(
    real_plane: ControlPlane, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    cluster = {"server": real_plane.url, "certificate-authority": str(real_plane.folder / "ca.crt")}
    found = said(_kubeconfig(tmp_path, cluster, {"token": real_plane.token}), tmp_path)
    if request.config.getoption("--record"):
        RECORD.parent.mkdir(exist_ok=True)
        RECORD.write_text(json.dumps({"said": found}, indent=0, sort_keys=True) + "\n")
    assert found == json.loads(RECORD.read_text())["said"]


def test_more_than_forty_commands_are_typed() -> None:
    assert len(set(COMMANDS)) >= 40
