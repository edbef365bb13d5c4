"""Debian's promtool asks what the dashboard and the alerts ask, over the figures of a daemon that did its work."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import anyio
import pytest
import yaml

from apinetlet import flags
from apinetlet.api import IRONCORE
from apinetlet.app import elector
from apinetlet.assembly import assemble
from apinetlet.connections import connections
from apinetlet.demo.story import STORY
from apinetlet.demo.world import DAEMON, World
from apinetlet.settings import Settings
from reconcile import Manager, ManagerSettings
from reconcile.core.clock import utc
from reconcile.manager.web import Call
from reconcile.testing.plugin import AnyioBackend
from tests.apinetlet.test_connections import DAY, certified
from tests.shipping.test_alerts import promtool
from tools.deploy.alerts import ALERTS
from tools.deploy.dashboard import queries

__all__ = ["promtool"]

Scrape: TypeAlias = Mapping[str, str]
"""Values by series."""
OF_PROMETHEUS: Final = {"up", "job", "instance"}
"""What a daemon does not tell of itself."""
STRANDED: Final = {"type": "Public", "ipFamily": "IPv4", "networkRef": {"name": "nowhere"}}
"""A gateway that waits for a network that nobody makes."""
pytestmark = pytest.mark.proof


@pytest.fixture(scope="module")
def anyio_backend() -> AnyioBackend:
    """The page of the figures is put into words in a thread."""
    return "asyncio", {}


@pytest.fixture(scope="module")
async def scrapes(anyio_backend: AnyioBackend, tmp_path_factory: pytest.TempPathFactory) -> Sequence[Scrape]:
    """The figures of the leading daemon, which renews its certificates, after each step of the demo's story."""
    folder = tmp_path_factory.mktemp("login")
    words = ["--api-net-namespace=apinet", "--leader-elect", "--leader-election-namespace=default"]
    for side, name in (("", "source"), ("api-net-", "apinet")):
        (folder / name).write_bytes(certified(utc() + DAY))
        words += [f"--{side}kubeconfig={folder / name}", f"--{side}rotate-certificates"]
    settings = flags.parse(words, Settings)[0].check()
    listening = ManagerSettings(preflight="off", metrics="127.0.0.1:0")
    async with World(IRONCORE) as world, world.staff(pace=0.0), connections(settings) as both:
        source, target = (one.client(user_agent=DAEMON, field_manager=IRONCORE.field_manager) for one in world.servers)
        election = elector(settings, IRONCORE, world.source.client)
        daemon = assemble(settings, IRONCORE, source, target, manager=listening, election=election)
        both.show(daemon)
        found = []
        async with daemon:
            for number, step in enumerate(STORY[:-1]):
                if number == len(STORY) // 2:
                    world.apinet.end_watches()  # they are begun again, and counted
                await step.act(world)
                with anyio.fail_after(20):
                    while not step.goal(world):
                        await anyio.sleep(0.02)
                found.append(await scraped(daemon))
            await world.declare("natgateways", "stranded", STRANDED)
            with anyio.fail_after(20):
                while 'state="waiting"' not in " ".join(last := await scraped(daemon)):
                    await anyio.sleep(0.02)
            found.append(last)
        return found


async def scraped(daemon: Manager) -> Scrape:
    assert daemon.metrics is not None
    return read((await daemon.metrics.figures.page(Call())).body.decode())


def read(page: str) -> Scrape:
    """What Prometheus makes of a page: each series with the names of its job and of the pod."""
    lines = (line.rsplit(" ", 1) for line in page.splitlines() if line and not line.startswith("#"))
    return {_labelled(name): value for name, value in lines}


def _labelled(series: str) -> str:
    name, _, labels = series.partition("{")
    return f'{name}{{job="apinetlet",instance="a"' + (f",{labels}" if labels else "}")


def test_every_figure_and_label_that_is_asked_for_is_one_of_a_running_daemon(scrapes: Sequence[Scrape]) -> None:
    known: dict[str, set[str]] = {}
    for series in scrapes[-1]:
        known.setdefault(series.partition("{")[0], set()).update(re.findall(r'(\w+)="', series))
    for query in (*queries(), *(one.expression for one in ALERTS)):
        grouped = {label for listed in re.findall(r"by \(([^)]*)\)", query) for label in re.findall(r"\w+", listed)}
        for name, picked in re.findall(r"(\w+)\{([^}]*)\}", query):
            if name not in OF_PROMETHEUS:
                assert name in known, query
                assert {*re.findall(r"(\w+)=", picked), *grouped} <= known[name] | OF_PROMETHEUS, query


def test_every_panel_shows_something_and_no_alert_is_raised(
    promtool: str, scrapes: Sequence[Scrape], tmp_path: Path
) -> None:
    every = sorted({series for one in scrapes for series in one})
    figures = [{"series": one, "values": " ".join(scrape.get(one, "_") for scrape in scrapes)} for one in every]
    moment = f"{len(scrapes) - 1}m"
    # what is no number is no line in a panel
    asked = [
        {
            "expr": f"count(({query}) >= -Inf) > bool 0",
            "eval_time": moment,
            "exp_samples": [{"labels": "{}", "value": 1}],
        }
        for query in queries()
    ]
    alive = {"series": 'up{job="apinetlet",instance="a"}', "values": f"1x{len(scrapes)}"}
    raised = {"expr": 'ALERTS{alertstate="firing"}', "eval_time": moment, "exp_samples": []}
    day = {"interval": "1m", "input_series": [alive, *figures], "promql_expr_test": [*asked, raised]}
    rules = Path(__file__).resolve().parent.parent.parent / "deploy" / "monitoring" / "rules.yaml"
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": [day]}))
    said = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr
