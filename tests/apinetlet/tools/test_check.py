"""``check``: what is found about two servers, and what it means."""

import datetime as dt
import io
from collections.abc import Mapping
from typing import Any

import pytest
from attrs import evolve

from apinetlet import cli
from apinetlet.api import IRONCORE, ONMETAL, Generation, Kinds
from apinetlet.assembly import APINET, SOURCE
from apinetlet.demo.world import DAEMON, World
from apinetlet.settings import Settings
from apinetlet.tools import check, fields, shell
from apinetlet.tools.findings import Finding, KindFacts, LeaseFacts, Lifetime, SideFacts, findings
from apinetlet.tools.gather import Gathered, _lifetimes, gather
from reconcile import Client
from reconcile.core.clock import utc
from reconcile.kube.access import ClusterAccess
from reconcile.kube.credentials import RenewedCredentials
from reconcile.kube.kinds import LEASE
from reconcile.kube.times import format_micro_time
from reconcile.kube.transport import HttpTransport, TransportSettings
from reconcile.kube.tunnel import Tunnel
from reconcile.manager.rbac import Rule
from reconcile.testing.apiserver import ApiServer
from tests.apinetlet.tools.guarded import ROBOT, SETTINGS, grant, guarded, least

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
GOOD = SideFacts(SOURCE, "server:443", version="v1.36.3", generations=("ironcore",), missing=())
LEASE_NAME = "home/lease"
SETTINGS_OF_ANY = evolve(SETTINGS, generation="auto")


def judged(facts: SideFacts, settings: Settings = SETTINGS, generation: Generation | None = IRONCORE) -> list[Finding]:
    return [one for one in findings(settings, generation, [facts], NOW) if one.level != "ok"]


def a_lifetime(**left: float) -> tuple[Lifetime, ...]:
    return (Lifetime("our login", NOW + dt.timedelta(**left)),)


RULE = Rule(SOURCE, "", "networking.ironcore.dev", "networks", ("watch",))


@pytest.mark.parametrize(
    ("facts", "level", "says", "todo"),
    [
        ({"error": "no answer"}, "problem", "server:443: no answer", "see that the server runs"),
        ({"skew": -30.0}, "warning", "30 s behind ours", "NTP"),
        ({"lifetimes": a_lifetime(hours=-1)}, "problem", "expired at 2025-12-31 23:00", "renew it"),
        ({"lifetimes": a_lifetime(days=3)}, "warning", "ends in 3 days", "renew it"),
        ({"lifetimes": a_lifetime(hours=5)}, "warning", "ends in 5 h", "renew it"),
        ({"generations": ()}, "problem", "ironcore is needed, it serves none", "install the API of ironcore"),
        ({"kinds": (KindFacts("networks", False),)}, "problem", "networks is not served", "install it"),
        ({"kinds": (KindFacts("networks", True, lacks_status=True),)}, "problem", "no status subresource", "status"),
        ({"kinds": (KindFacts("a", True, lacks_fields=("spec.x",)),)}, "warning", "lacks the fields spec.x", "release"),
        ({"namespaces": {"apinet": False}}, "problem", "apinet is not there", "kubectl create namespace apinet"),
        ({"namespaces": {"apinet": None}}, "unknown", "we may not look", ""),
        ({"missing": (RULE,)}, "problem", "missing: watch networks.networking", 'add {apiGroups: ["networking'),
        ({"missing": None}, "unknown", "does not say what we may do", ""),
        ({"lease": LeaseFacts(LEASE_NAME, "other", 3.0, 15.0)}, "warning", "other holds Lease", "--leader-elect"),
        ({"lease": LeaseFacts(LEASE_NAME, error="403")}, "unknown", "cannot be read: 403", ""),
    ],
)
def test_each_fact_that_is_in_the_way_is_a_finding_with_what_to_do(
    facts: Mapping[str, Any], level: str, says: str, todo: str
) -> None:
    [found] = judged(evolve(GOOD, **facts))
    assert found.level == level
    assert says in found.what
    assert todo in found.todo
    assert bool(found.todo) == (level in ("warning", "problem"))


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"skew": 0.0, "lifetimes": a_lifetime(days=300)},
        {"kinds": (KindFacts("networks", True),), "namespaces": {"apinet": True}},
        {"lease": LeaseFacts(LEASE_NAME)},
        {"lease": LeaseFacts(LEASE_NAME, "other", 60.0, 15.0)},
    ],
)
def test_what_is_as_it_should_be_is_no_finding(facts: Mapping[str, Any]) -> None:
    assert judged(evolve(GOOD, **facts)) == []


def test_who_would_stand_by_needs_nobody_to_stop() -> None:
    held = evolve(GOOD, lease=LeaseFacts(LEASE_NAME, "other", 3.0, 15.0))
    assert judged(held, evolve(SETTINGS, leader_elect=True)) == []


def test_a_certificate_that_the_daemon_renews_may_be_short_lived_but_not_over() -> None:
    rotates = evolve(SETTINGS, rotate_certificates=True, kubeconfig="kept")
    assert judged(evolve(GOOD, lifetimes=a_lifetime(hours=5)), rotates) == []
    of_the_server = (Lifetime("the server", NOW + dt.timedelta(hours=5)),)
    [found] = judged(evolve(GOOD, lifetimes=of_the_server), rotates)
    assert found.level == "warning"
    [found] = judged(evolve(GOOD, lifetimes=a_lifetime(hours=-1)), rotates)
    assert found.level == "problem"
    [found] = judged(evolve(GOOD, side=APINET, lifetimes=a_lifetime(hours=5)), rotates)
    assert found.level == "warning"


def test_no_generation_at_all_is_a_problem() -> None:
    [found] = judged(evolve(GOOD, generations=()), generation=None)
    assert "install the API of onmetal or ironcore" in found.todo


def test_who_cannot_be_asked_for_the_generation_is_the_only_problem() -> None:
    """Which kinds and rights are needed on the other side nobody knows before."""
    dead = SideFacts(SOURCE, "server:443", error="no answer")
    other = evolve(GOOD, side=APINET, missing=None)
    found = [one for one in findings(SETTINGS_OF_ANY, None, [dead, other], NOW) if one.level != "ok"]
    assert [(one.level, one.side, one.about) for one in found] == [
        ("problem", SOURCE, "server"),
        ("unknown", APINET, "generation"),
    ]
    assert found[1].what == "serves ironcore; which one is needed the source cluster tells"


# -- asked of servers --------------------------------------------------------------------------------------------------


async def found_by(world: World, settings: Settings = SETTINGS) -> tuple[Gathered, list[Finding]]:
    clients = (getattr(world, side).client(user=ROBOT, user_agent=DAEMON) for side in (SOURCE, APINET))
    gathered = await gather(settings, *clients, environment={"POD_NAMESPACE": "default"})
    return gathered, findings(settings, gathered.generation, gathered.sides, utc())


async def test_two_servers_with_all_that_is_needed_give_no_finding_and_are_only_read() -> None:
    async with guarded(IRONCORE) as world:
        await grant(world, least(IRONCORE))
        gathered, found = await found_by(world)
        assert [one for one in found if one.level not in ("ok", "unknown")] == []
        assert gathered.generation is IRONCORE
        answer = check.answer(gathered, found)
        assert answer.status == 0
        assert "source  rights" in shell.drawn(answer.parts, io.StringIO())
        asked = {
            (one.verb, one.resource.partition(".")[0])
            for server in world.servers
            for one in server.audit
            if one.user == ROBOT.name and one.verb not in ("get", "list", "watch")
        }
        assert asked == {("create", "selfsubjectaccessreviews")}


async def test_before_there_is_a_certificate_of_our_own_only_the_rights_to_request_one_count() -> None:
    settings = evolve(SETTINGS, rotate_certificates=True, kubeconfig="kept")
    requests = [one for one in least(IRONCORE, settings) if one.group == "certificates.k8s.io"]
    async with guarded(IRONCORE) as world:
        await grant(world, requests)
        source, apinet = (getattr(world, side).client(user=ROBOT) for side in (SOURCE, APINET))
        new, kept = [await gather(settings, source, apinet, environment={}, own={SOURCE: ends}) for ends in (None, NOW)]
    assert new.sides[0].is_new
    assert new.sides[0].missing == ()
    assert not kept.sides[0].is_new
    assert kept.sides[0].missing
    assert kept.sides[0].lifetimes == (Lifetime("our login", NOW),)
    about = {one.about: one.what for one in findings(settings, IRONCORE, new.sides[:1], NOW)}
    assert about["certificate of our login"] == "none yet: the daemon requests it at its start"
    assert about["rights"] == "all that a request for a certificate needs"


async def test_the_right_to_the_secret_of_a_kubeconfig_is_asked_for_where_the_pod_is() -> None:
    settings = evolve(SETTINGS, kubeconfig_secret_name="kept", rotate_certificates=True)
    environment = {"POD_NAMESPACE": "default"}
    async with guarded(IRONCORE) as world:
        source, apinet, host = (
            server.client(user=ROBOT, user_agent=DAEMON) for server in (world.source, world.apinet, world.source)
        )
        found = []
        for granted in ([], [Rule(SOURCE, "default", "", "secrets", ("get", "create", "patch"), "kept")]):
            await grant(world, granted)
            gathered = await gather(settings, source, apinet, environment=environment, host=host)
            judged = findings(settings, IRONCORE, gathered.sides, utc())
            found.append([(one.level, one.about, one.what) for one in judged if one.side == "pod"])
    [[server, without], [_, whole]] = found
    assert server[:2] == ("ok", "server")
    assert without == ("problem", "rights", "missing: get, create, patch secrets kept in namespace default of pod")
    assert whole == ("ok", "rights", "all that are needed")


async def test_every_right_that_is_missing_is_named_with_the_rule_to_add() -> None:
    lost = ("ips", "prefixes")
    async with guarded(IRONCORE) as world:
        await grant(world, [one for one in least(IRONCORE) if one.resource not in lost])
        gathered, found = await found_by(world)
        missing = [one.what for one in found if one.about == "rights" and one.level == "problem"]
        assert len(missing) == 2
        assert all(any(f" {name}." in what for what in missing) for name in lost)
        assert check.answer(gathered, found).status == 1


async def test_servers_that_lack_what_is_needed_are_told_apart() -> None:
    world = World(ONMETAL)
    kinds = [one for one in world.source.kinds if one.resource.plural != "virtualips"]
    world.source = ApiServer(kinds)
    async with world:
        await world.source.client().create(
            LEASE,
            {
                "metadata": {"name": ONMETAL.lease},
                "spec": {
                    "holderIdentity": "go",
                    "leaseDurationSeconds": 15,
                    "renewTime": format_micro_time(utc() - dt.timedelta(seconds=4)),
                },
            },
            namespace="default",
        )
        _, found = await found_by(world, Settings(api_net_namespace="elsewhere", generation="auto"))
    said = [(one.level, one.side, one.what) for one in found if one.level != "ok"]
    lease = f"go holds Lease default/{ONMETAL.lease}, renewed 4 s ago"
    assert said == [
        ("problem", SOURCE, "virtualips.networking.api.onmetal.de is not served"),
        ("warning", SOURCE, lease),
        ("problem", APINET, "elsewhere is not there"),
    ]


async def test_two_servers_of_nothing_are_two_problems() -> None:
    world = World(ONMETAL)
    world.source, world.apinet = ApiServer(), ApiServer()
    async with world:
        gathered, found = await found_by(world)
    assert gathered.generation is None
    assert [(one.side, one.about) for one in found if one.level == "problem"] == [
        (SOURCE, "generation"),
        (APINET, "generation"),
    ]


# -- fields ------------------------------------------------------------------------------------------------------------


def test_a_field_that_a_server_does_not_know_is_named_once_without_what_hangs_below_it() -> None:
    kinds = Kinds.of(IRONCORE)
    whole = fields.definitions("ironcore", IRONCORE.networking)["networks"]
    spec = dict(whole["properties"]["spec"]["properties"])
    del spec["peerings"]
    cut = {**whole, "properties": {**whole["properties"], "spec": {"properties": spec}}}
    mark = [{"group": IRONCORE.networking, "version": "v1alpha1", "kind": "Network"}]

    def document(schema: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"components": {"schemas": {"Network": {**schema, "x-kubernetes-group-version-kind": mark}}}}

    assert fields.lacking(kinds.network, IRONCORE, document(whole)) == ()
    assert fields.lacking(kinds.network, IRONCORE, document(cut)) == ("spec.peerings",)


def test_what_only_the_other_generation_has_is_not_needed() -> None:
    assert "spec.peerings.prefixes" in fields.needed(Kinds.of(IRONCORE).network, IRONCORE)
    assert "spec.peerings.prefixes" not in fields.needed(Kinds.of(ONMETAL).network, ONMETAL)


def test_dead_servers_are_findings_and_a_kubeconfig_that_is_none_is_one_line(
    tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "kubeconfig"
    words = ["check", "--api-net-namespace=x", f"--kubeconfig={file}", f"--api-net-kubeconfig={file}"]
    assert cli.main(words) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "no way in: no such kubeconfig" in line
    file.write_text(
        "{apiVersion: v1, kind: Config, current-context: a, contexts: [{name: a, context: {cluster: a, user: a}}],"
        " clusters: [{name: a, cluster: {server: 'http://127.0.0.1:1'}}], users: [{name: a, user: {token: t}}]}"
    )
    assert cli.main(words) == 1
    out, err = capsys.readouterr()
    assert err == ""
    assert out.count("127.0.0.1:1") >= 2
    assert "2 problem" in out
    assert cli.main(["plan", *words[1:]]) == 1
    assert "the source cluster does not answer" in capsys.readouterr().err


@pytest.mark.parametrize("way", ["directly", "a tunnel", "a proxy of the environment", "a proxy of the kubeconfig"])
def test_a_server_behind_a_proxy_is_not_dialled_directly_for_its_certificate(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialled: list[tuple[str, int]] = []

    def dial(to: tuple[str, int], **_: object) -> str:
        dialled.append(to)
        return ""

    monkeypatch.setattr("ssl.get_server_certificate", dial)
    proxy = "http://proxy:1" if way == "a proxy of the kubeconfig" else ""
    environment = {"HTTPS_PROXY": "http://proxy:1"} if way == "a proxy of the environment" else {}
    transport = HttpTransport(
        RenewedCredentials(ClusterAccess("https://one:6443", proxy_url=proxy)),
        TransportSettings(tunnel=Tunnel(socket="/x") if way == "a tunnel" else None),
        environment,
    )
    assert _lifetimes(Client(transport)) == ()
    assert dialled == ([("one", 6443)] if way == "directly" else [])
