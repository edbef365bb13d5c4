"""What the settings make of the daemon: generation, listeners, leader election; and how its process ends."""

import os
import random
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from apinetlet import app
from apinetlet.api import GENERATIONS, IRONCORE, ONMETAL, Generation
from apinetlet.demo.definitions import crds, source_kinds
from apinetlet.listening import manager_settings
from apinetlet.pod import pod_namespace
from apinetlet.settings import Settings
from reconcile import Client
from reconcile.core import now
from reconcile.kube.client import ClientSettings
from reconcile.kube.kinds import CRD
from reconcile.kube.retry import RetryPolicy
from reconcile.manager.certificate import Certificate, SelfSigned
from reconcile.manager.registry import Figures
from reconcile.testing.apiserver import ApiServer
from reconcile.testing.faults import FaultPlan, FaultyTransport, Refused, Rule

QUIET = Settings(api_net_namespace="apinet", health_probe_bind_address="0")


@pytest.mark.parametrize("generation", GENERATIONS.values(), ids=lambda one: one.name)
class TestGeneration:
    async def test_the_one_that_the_source_cluster_serves_is_found(self, generation: Generation) -> None:
        async with ApiServer(source_kinds(generation)) as server:
            assert await app.find_generation(QUIET, server.client()) is generation

    async def test_the_one_that_the_flag_names_is_taken_without_asking(self, generation: Generation) -> None:
        settings = Settings(generation=generation.name, health_probe_bind_address="0")
        async with ApiServer() as server:
            assert await app.find_generation(settings, server.client()) is generation
            assert not server.audit

    async def test_a_server_that_is_down_is_asked_until_it_answers(self, generation: Generation) -> None:
        async with ApiServer(source_kinds(generation)) as server:
            transport = FaultyTransport(server.transport(), FaultPlan((Rule(Refused(), end=100.0),)))
            client = Client(transport, settings=ClientSettings(retry=RetryPolicy(attempts=1)), rng=random.Random(1))
            with anyio.fail_after(1000):
                assert await app.find_generation(QUIET, client) is generation
            assert 100 <= now() <= 160

    async def test_kinds_that_are_installed_later_are_found_then(
        self, generation: Generation, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with ApiServer() as server, anyio.create_task_group() as tasks:

            async def install() -> None:
                await anyio.sleep(50)
                for definition in crds(generation.name, generation.networking):
                    await server.client().create(CRD, definition)

            tasks.start_soon(install)
            with anyio.fail_after(1000):
                assert await app.find_generation(QUIET, server.client()) is generation
            assert 50 <= now() <= 120
        assert f"serves neither {ONMETAL.networking} nor {IRONCORE.networking}" in caplog.text


class TestMeanwhile:
    """On the real clock: something listens, and a signal comes."""

    @pytest.fixture
    def anyio_backend(self) -> Any:
        return "asyncio", {}

    async def test_readyz_says_why_the_generation_is_not_known_and_a_signal_ends_the_question(self) -> None:
        address = free_address()
        settings = Settings(health_probe_bind_address=address)
        found: list[Generation | None] = []

        async def ask() -> None:
            found.append(await app.find_generation(settings, server.client()))

        async with ApiServer() as server, anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            with anyio.fail_after(10):
                while "serves neither" not in (answer := await anyio.to_thread.run_sync(readyz, address)):
                    await anyio.sleep(0.01)
            assert "[-]generation failed: the source cluster serves neither" in answer
            os.kill(os.getpid(), signal.SIGTERM)
        assert found == [None]


def free_address() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def readyz(address: str) -> str:
    try:
        with urllib.request.urlopen(f"http://{address}/readyz", timeout=2) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return error.read().decode()
    except OSError:
        return ""


# -- what the settings mean --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("generation", "flag", "metrics"),
    [(ONMETAL, "", ":8080"), (IRONCORE, "", "0"), (ONMETAL, "0", "0"), (IRONCORE, ":9090", ":9090")],
)
def test_metrics_are_on_by_default_in_the_first_generation_only(
    generation: Generation, flag: str, metrics: str
) -> None:
    assert manager_settings(Settings(metrics_bind_address=flag), generation).metrics == metrics


def test_the_daemon_listens_and_stops_as_its_flags_say() -> None:
    settings = Settings(health_probe_bind_address=":1", debug_bind_address=":2", drain=5.0)
    found = manager_settings(settings, ONMETAL)
    assert (found.probes, found.debug, found.drain_budget, found.preflight) == (":1", ":2", 5.0, "warn")


@pytest.mark.parametrize(
    ("flags", "certificate"),
    [
        ({"metrics_cert_path": "/tls"}, Certificate(Path("/tls/tls.crt"), Path("/tls/tls.key"))),
        ({"metrics_cert_path": "/tls", "metrics_cert_key": "k"}, Certificate(Path("/tls/tls.crt"), Path("/tls/k"))),
        ({"metrics_cert_path": "/tls", "metrics_secure": False}, None),
        ({}, None),
    ],
)
def test_metrics_are_in_tls_where_a_certificate_is_given(
    flags: dict[str, Any], certificate: Certificate | None
) -> None:
    settings = manager_settings(Settings(**flags), ONMETAL)
    assert settings.metrics_certificate == certificate
    assert settings.metrics_guard == ("source" if certificate is not None else "")


@pytest.mark.parametrize(
    ("flags", "certificate"),
    [
        ({}, None),
        ({"metrics_bind_address": ":1"}, SelfSigned()),
        ({"metrics_bind_address": ":1", "metrics_secure": False}, None),
        ({"metrics_cert_path": "/tls"}, Certificate(Path("/tls/tls.crt"), Path("/tls/tls.key"))),
    ],
)
def test_metrics_of_ironcore_are_for_those_who_may_unless_told_otherwise(
    flags: dict[str, Any], certificate: Certificate | SelfSigned | None
) -> None:
    settings = manager_settings(Settings(**flags), IRONCORE)
    assert settings.metrics_certificate == certificate
    assert settings.metrics_guard == ("source" if certificate is not None else "")


def no_client() -> Client:
    raise AssertionError("nobody is asked before the election runs")


@pytest.mark.parametrize("generation", GENERATIONS.values(), ids=lambda one: one.name)
def test_the_lease_is_the_one_of_the_go_daemon(generation: Generation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POD_NAMESPACE", "home")
    found = app.elector(Settings(leader_elect=True), generation, partial(no_client))
    assert found is not None
    assert (found.election.namespace, found.election.name) == ("home", generation.lease)
    durations = (found.election.lease_duration, found.election.renew_deadline, found.election.retry_period)
    assert durations == (15.0, 10.0, 2.0)


def test_two_daemons_of_one_host_are_two_candidates() -> None:
    settings = Settings(leader_elect=True, leader_election_namespace="there")
    one, other = (app.elector(settings, ONMETAL, partial(no_client)) for _ in range(2))
    assert one is not None
    assert other is not None
    assert one.election.identity != other.election.identity
    assert one.election.namespace == "there"


def test_without_the_flag_nobody_is_elected() -> None:
    assert app.elector(Settings(), ONMETAL, partial(no_client)) is None


@pytest.mark.parametrize(
    ("environment", "content", "namespace"),
    [
        ({"POD_NAMESPACE": "home"}, "other", "home"),
        ({"POD_NAMESPACE": ""}, "other\n", "other"),
        ({}, "", "default"),
        ({}, None, "default"),
    ],
)
def test_the_namespace_of_the_pod_is_said_by_its_environment_or_its_account(
    environment: dict[str, str], content: str | None, namespace: str, tmp_path: Path
) -> None:
    file = tmp_path / "namespace"
    if content is not None:
        file.write_text(content)
    assert pod_namespace(environment, file) == namespace


# -- how the process ends ----------------------------------------------------------------------------------------------

STUBBORN = """
import asyncio, sys
from apinetlet import app
from apinetlet.listening import manager_settings
from apinetlet.pod import pod_namespace
from apinetlet.settings import Settings
from reconcile import Manager, ManagerSettings

class Stubborn:
    name = "stubborn"
    async def run(self, *, task_status):
        task_status.started()
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                pass

async def run(settings):
    async with Manager([], [], services=[Stubborn()], settings=ManagerSettings(stop_budget=0.1)) as manager:
        await manager.ready()

app.run, app.LAST_WORDS = run, 0.1
sys.exit(app.main(Settings()))
"""


def test_a_part_that_ignores_its_end_does_not_keep_the_process_alive() -> None:
    done = subprocess.run([sys.executable, "-c", STUBBORN], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "Service ignores that it is stopped service=stubborn" in done.stderr
    assert "Leaving though tasks still run" in done.stderr


def test_what_nobody_expected_is_status_1_with_its_traceback(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def run(settings: Settings) -> None:
        raise ZeroDivisionError("a fault of our own")

    monkeypatch.setattr(app, "run", run)
    assert app.main(QUIET) == 1
    assert "a fault of our own" in caplog.text
    assert "Traceback" in caplog.text


def test_an_extra_that_is_not_installed_is_status_1_and_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def run(settings: Settings) -> None:
        Figures()

    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.setattr(app, "run", run)
    assert app.main(QUIET) == 1
    [record] = caplog.records
    assert "pip install 'apinetlet[metrics]'" in record.getMessage()
    assert record.exc_info is None


def test_an_orderly_stop_is_status_0(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(settings: Settings) -> None:
        pass

    monkeypatch.setattr(app, "run", run)
    assert app.main(QUIET) == 0
