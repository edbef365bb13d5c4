"""The examples run: against embedded servers here, the first one also against a real API server."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiohttp.test_utils import TestClient, TestServer

from examples import two_clusters, web_app
from examples.test_copier import (  # noqa: F401 - the tests of an example are run here, too
    original,
    server,
    test_a_copy_follows_its_original_and_goes_with_it,
    test_a_lost_reply_makes_no_second_copy,
)
from reconcile import Cluster, Index, Manager, Watched
from reconcile.kube import ObjectKey
from reconcile.kube.kinds import CONFIG_MAP
from reconcile.testing.apiserver import ApiServer

ROOT = Path(__file__).resolve().parent.parent


async def test_a_mirror_in_another_cluster_follows_its_source_and_goes_with_it() -> None:
    async with ApiServer() as one, ApiServer() as other:
        here = Cluster("here", one.client(), [Watched(CONFIG_MAP, labels="mirror=yes")])
        index = Index(two_clusters.SOURCE, two_clusters.source_of, needs="meta")
        there = Cluster("there", other.client(), [Watched(CONFIG_MAP, namespaces=("default",), indexes=(index,))])
        async with Manager([here, there], [two_clusters.mirror_controller(here, there, "default")]):
            body = {"metadata": {"name": "blue", "labels": {"mirror": "yes"}}, "data": {"a": "1"}}
            source = await one.client().create(CONFIG_MAP, body, namespace="kube-public")
            await anyio.sleep(1)
            [mirror] = other.objects(CONFIG_MAP, "default")
            assert (mirror.metadata.name, mirror["data"]) == (source.metadata.uid, {"a": "1"})
            await one.client().delete(CONFIG_MAP, ObjectKey("kube-public", "blue"))
            await anyio.sleep(1)
            assert other.objects(CONFIG_MAP, "default") == []


class TestWebApp:
    """On the real clock: a web server listens."""

    @pytest.fixture
    def anyio_backend(self) -> Any:
        return "asyncio", {}

    async def test_a_controller_lives_and_ends_with_the_web_application_around_it(self) -> None:
        async with ApiServer() as api:
            await api.client().create(CONFIG_MAP, original("blue"))
            async with TestClient(TestServer(web_app.application(api.client()))) as browser:
                with anyio.fail_after(10):
                    while await (await browser.get("/")).json() != ["default/blue"]:
                        await anyio.sleep(0.01)


def readme_controller() -> str:
    """The first Python block of the README."""
    found = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def test_the_readme_shows_the_first_example_as_it_is() -> None:
    code = (ROOT / "examples" / "copier.py").read_text()
    assert readme_controller() == code[code.index("import anyio") :]
    assert len([line for line in readme_controller().splitlines() if line.strip()]) <= 25


@pytest.mark.parametrize("generation", ["onmetal", "ironcore"])
def test_the_demo_ends_by_itself_with_every_goal_reached(generation: str) -> None:
    command = [sys.executable, "-m", "apinetlet", "demo", "--once", "--generation", generation]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every goal reached" in done.stdout
