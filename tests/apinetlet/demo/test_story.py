"""The demo, told in the process on virtual time, and looked into from outside."""

import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import anyio
import pytest
from rich.console import Console

from apinetlet.api import IRONCORE, ONMETAL, Generation
from apinetlet.assembly import assemble
from apinetlet.demo import show, story
from apinetlet.demo.main import DemoSettings
from apinetlet.demo.ports import served
from apinetlet.demo.show import Show
from apinetlet.demo.story import STORY, Step
from apinetlet.demo.table import ROWS, Pair, Scene, picture
from apinetlet.demo.world import DAEMON, TARGET_NAMESPACE, World
from apinetlet.flags import FlagError
from apinetlet.origin import Origins
from apinetlet.settings import Settings
from reconcile import Object


def a_console(*, live: bool = False) -> Console:
    return Console(file=io.StringIO(), width=104, force_terminal=live)


def printed(console: Console) -> str:
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


@pytest.mark.parametrize("live", [False, True], ids=["plain", "live"])
async def test_the_story_is_told_once_and_every_goal_is_reached(generation: Generation, live: bool) -> None:
    console = a_console(live=live)
    assert await show.run(DemoSettings(once=True, generation=generation.name), console) == 0
    told = printed(console)
    assert all(step.title in told for step in story.story(generation))
    assert "Done: every goal reached" in told.replace("\x1b[32m", "").replace("\x1b[0m", "")


async def test_where_the_data_plane_knows_policies_and_peerings_the_story_is_of_them_too() -> None:
    assert story.story(ONMETAL) == STORY
    console = a_console()
    assert await show.run(DemoSettings(once=True, generation=IRONCORE.name), console) == 0
    told = printed(console)
    of_policy = re.findall(r"guard +role=client to app=web +⇄ +\w{7} +(\w.*\w) *$", told, re.MULTILINE)
    assert [one for one, _ in groupby(of_policy)] == [
        "2 targets, 0 let through",
        "2 targets, 1 let through",
        "1 target, 0 let through",
    ]
    [blue] = set(re.findall(r"blue +Available VNI (\d+) with green +⇄ +\w{7} +VNI \1 with (\d+) ", told))
    [green] = set(re.findall(r"green +Available VNI (\d+) with blue +⇄ +\w{7} +VNI \1 with (\d+) ", told))
    assert blue == green[::-1]


async def test_the_story_comes_to_its_goals_where_one_server_is_both_clusters(generation: Generation) -> None:
    async with World(generation, shared=True) as world, world.staff():
        source, target = (
            server.client(user_agent=DAEMON, field_manager=generation.field_manager)
            for server in (world.source, world.apinet)
        )
        async with assemble(Settings(api_net_namespace=TARGET_NAMESPACE), generation, source, target):
            assert await Show(world, a_console(), None).tell(once=True) == 0


async def test_some_of_each_kind_are_made_and_taken_away_at_once(generation: Generation) -> None:
    console = a_console()
    assert await show.run(DemoSettings(once=True, generation=generation.name, load=6), console) == 0
    assert "6 of each kind at once" in printed(console)


async def test_a_goal_that_is_missed_ends_the_demo_and_is_named() -> None:
    async def nothing(world: World) -> None: ...

    never = Step("Nobody does anything", nothing, lambda world: bool(world.declared("networks")))
    console = a_console()
    async with World(ONMETAL) as world:
        assert await Show(world, console, None, steps=(never,)).tell(once=True) == 1
    assert "The goal was not reached in 20 s: Nobody does anything" in printed(console)


async def test_no_goal_is_reached_without_the_daemon(generation: Generation) -> None:
    async with World(generation) as world, world.staff():
        await story.declare_network(world)
        await anyio.sleep(60)
        assert not story.all_agree(world)


@pytest.mark.parametrize("wrong", [{"speed": 0}, {"port": -1}, {"port": 65535}, {"load": -1}])
def test_settings_that_make_no_sense_are_refused_by_name(wrong: dict[str, int]) -> None:
    [name] = wrong
    with pytest.raises(FlagError, match=f"--{name}"):
        DemoSettings(**wrong).check()  # type: ignore[arg-type]


# -- the picture -------------------------------------------------------------------------------------------------------


def a_network(name: str, uid: str, provider_id: str = "", **status: Any) -> Object:
    metadata = {"name": name, "namespace": "default", "uid": uid}
    return Object({"metadata": metadata, "spec": {"providerID": provider_id}, "status": status})


def a_counterpart(uid: str, id_: str, *, of: Object, **spec: Any) -> Object:
    origin = {f"{ONMETAL.origins}/network-{part}": getattr(of.metadata, part) for part in ("name", "namespace", "uid")}
    metadata = {"name": of.metadata.uid, "namespace": "apinet", "uid": uid, "labels": origin}
    return Object({"metadata": metadata, "spec": {"id": id_, **spec}})


def drawn(scene: Scene) -> str:
    console = a_console()
    console.print(picture(scene, title="t", writes=0))
    return printed(console)


def test_objects_that_belong_together_stand_beside_each_other_with_an_arrow() -> None:
    blue = a_network("blue", "u-1", "x://apinet/u-1/205/t-1", state="Available")
    red = a_network("red", "u-2", "x://apinet/u-2/206/other", state="Error")
    new = a_network("new", "u-3")
    targets = [a_counterpart("t-2", "207", of=red), a_counterpart("t-1", "205", of=blue)]
    lines = drawn(Scene(ONMETAL, {"networks": [blue, red, new]}, {"networks": targets})).splitlines()
    [of_blue], [of_red], [of_new] = ([line for line in lines if name in line] for name in ("blue", "red", "new"))
    assert "⇄" in of_blue
    assert of_blue.count("VNI 205") == 2
    assert "✗" in of_red
    assert "VNI 207" in of_red
    assert not {"⇄", "✗", "⇢"} & set(of_new)


def test_a_network_agrees_once_it_shows_the_peerings_that_every_partition_has() -> None:
    def pair(shown: list[str], **partitions: str) -> Pair:
        reports = {name: [{"id": 7, "state": state}] for name, state in partitions.items()}
        source = a_network("blue", "u", "x://apinet/u/5/t", peerings=[{"name": one, "state": "Ready"} for one in shown])
        target = a_counterpart("t", "5", of=source, peerings=[{"name": "green", "id": "7"}])
        return Pair("networks", Object({**source, "spec": spec}), Object({**target, "status": {"peerings": reports}}))

    green = {"name": "green", "networkRef": {"name": "g"}}
    incoming = [{"namespace": "default", "name": "g", "uid": "u-g"}]
    spec = {"providerID": "x://apinet/u/5/t", "peerings": [green], "incomingPeerings": incoming}

    assert pair([]).agrees
    assert pair(["green"], a="Ready", b="Ready").agrees
    assert not pair(["green"], a="Ready", b="Pending").agrees
    assert not pair([], a="Ready").agrees
    incoming[0]["namespace"] = "elsewhere"  # the peer does not want it, and yet the counterpart has it
    assert not pair([]).agrees


def test_a_policy_agrees_once_its_rule_has_the_addresses_that_its_selectors_mean() -> None:
    place = {"namespace": "default", "labels": {"app": "web"}}
    spec = {"networkRef": {"name": "blue"}, "networkInterfaceSelector": {"matchLabels": {"app": "web"}}}
    nic = Object({"metadata": {"name": "nic", **place}, "spec": spec, "status": {"ips": ["10.0.0.1"]}})
    guard = Object({"metadata": {"name": "guard", "namespace": "default", "uid": "u-1"}, "spec": spec})
    origin = Origins(IRONCORE, "NetworkPolicy").metadata(guard.metadata)
    copy = Object({"metadata": {"name": "u-1", "namespace": "apinet", **origin}, "spec": {}})

    def shown(*rules: list[str]) -> str:
        head = {"name": "u-1", "namespace": "apinet"}
        made = [Object({"metadata": head, "targets": [{"ip": ip} for ip in targets]}) for targets in rules]
        sources = {"networkinterfaces": [nic], "networkpolicies": [guard]}
        text = drawn(Scene(IRONCORE, sources, {"networkpolicies": [copy]}, rules=made))
        return next(" ".join(line.split()) for line in text.splitlines() if "guard" in line)

    assert shown() == "Policy guard nobody to app=web ⇢ u-1 no rule"
    assert shown([]) == "Policy guard nobody to app=web ⇢ u-1 0 targets, 0 let through"
    assert shown(["10.0.0.1"]) == "Policy guard nobody to app=web ⇄ u-1 1 target, 0 let through"


def test_what_has_no_source_stands_alone_and_many_are_counted() -> None:
    gone = a_network("gone", "u-9")
    assert "u-9" in drawn(Scene(ONMETAL, {}, {"networks": [a_counterpart("t", "1", of=gone)]}))
    many = [a_network(f"n-{index}", f"u-{index}") for index in range(ROWS + 1)]
    text = drawn(Scene(ONMETAL, {"networks": many}, {}))
    assert "n-3" not in text
    assert f"{ROWS + 1}" in text


# -- from outside ------------------------------------------------------------------------------------------------------


class TestPorts:
    """On the real clock: something listens."""

    @pytest.fixture
    def anyio_backend(self) -> Any:
        return "asyncio", {}

    async def test_kubectl_reaches_both_servers(self, unused_port: int) -> None:
        kubectl = shutil.which("kubectl") or shutil.which("kubectl", path=str(Path(sys.executable).parent))
        if kubectl is None:
            pytest.skip("there is no kubectl")
        async with World(ONMETAL) as world, served(world, unused_port) as ports:
            assert ports is not None
            await world.declare("networks", "blue", {})

            async def get(*words: str) -> list[str]:
                call = partial(subprocess.run, [kubectl, *words, "-o", "json"], capture_output=True, check=True)
                found = json.loads((await anyio.to_thread.run_sync(call)).stdout)
                return [one["metadata"]["name"] for one in found["items"]]

            assert await get("--kubeconfig", str(ports.source), "get", "net") == ["blue"]
            assert TARGET_NAMESPACE in await get("--kubeconfig", str(ports.apinet), "get", "namespaces")

    def test_who_stops_it_finds_no_kubeconfig_left(self, unused_port: int, tmp_path: Path) -> None:
        words = [sys.executable, "-m", "apinetlet", "demo", f"--port={unused_port}"]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, env={**os.environ, "TMPDIR": str(tmp_path)}) as demo:
            try:
                deadline = time.monotonic() + 30
                while len(list(tmp_path.glob("*/*"))) < 2:
                    assert demo.poll() is None
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
                demo.terminate()
                assert demo.wait(30) == 128 + signal.SIGTERM
            finally:
                demo.kill()
        assert list(tmp_path.iterdir()) == []

    @pytest.fixture
    def unused_port(self) -> int:
        """A port that is free, and so is the next one."""
        while True:
            with socket.socket() as first, socket.socket() as second:
                first.bind(("127.0.0.1", 0))
                port: int = first.getsockname()[1]
                try:
                    second.bind(("127.0.0.1", port + 1))
                except OSError:
                    continue
                return port
