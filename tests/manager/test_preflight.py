"""Missing rights are told before the start, all at once, with what to add."""

from random import Random

import anyio
import pytest

from reconcile.core.clock import now
from reconcile.kube.client import Client, ClientSettings
from reconcile.kube.kinds import CONFIG_MAP, POD
from reconcile.kube.retry import RetryPolicy
from reconcile.manager.preflight import MissingRights, Preflight, missing, preflight
from reconcile.manager.rbac import Rule, Writes, watching
from reconcile.testing.apiserver.admission import Rule as Grant
from reconcile.testing.apiserver.admission import Rules, User
from reconcile.testing.apiserver.server import ApiServer
from reconcile.testing.faults import FaultPlan, FaultyTransport, Refused, Status
from reconcile.testing.faults import Rule as Strike

LIMITED = User("limited", ())
NEEDED = [
    *watching("home", POD),
    *watching("home", CONFIG_MAP, ("a", "b")),
    *Writes("home", POD, ("patch",), ("", "status")).rules(),
]
GRANTED = Rules(
    {
        "limited": (
            Grant(("get", "list", "watch", "patch"), resources=("pods",)),
            Grant(("get", "list", "watch"), resources=("configmaps",), namespace="a"),
            Grant(("get", "list"), resources=("configmaps",), namespace="b"),
            Grant(("create",), ("authorization.k8s.io",)),
        )
    }
)
LACKING = (Rule("home", "", "", "pods/status", ("patch",)), Rule("home", "b", "", "configmaps", ("watch",)))


async def check(client: Client, mode: Preflight) -> None:
    await preflight("home", client, NEEDED, mode=mode, rng=Random(1))


@pytest.mark.pain(10)
async def test_the_start_fails_with_every_missing_right_and_the_rules_to_add() -> None:
    async with ApiServer(rules=GRANTED) as server:
        with pytest.raises(MissingRights) as caught:
            await check(server.client(user=LIMITED), "fail")
    assert caught.value.rules == LACKING
    assert str(caught.value) == (
        "rights are missing in cluster home:\n"
        "  patch pods/status in all namespaces of home; "
        'the rule to add: {apiGroups: [""], resources: ["pods/status"], verbs: ["patch"]}\n'
        "  watch configmaps in namespace b of home; "
        'the rule to add: {apiGroups: [""], resources: ["configmaps"], verbs: ["watch"]}'
    )


async def test_who_only_wants_a_warning_gets_one_for_each_rule(caplog: pytest.LogCaptureFixture) -> None:
    async with ApiServer(rules=GRANTED) as server:
        await check(server.client(user=LIMITED), "warn")
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert "right=watch configmaps in namespace b of home add={" in told[1]


async def test_who_turned_it_off_is_not_asked() -> None:
    async with ApiServer(rules=GRANTED) as server:
        await check(server.client(user=LIMITED), "off")
        assert not server.audit


async def test_nothing_is_missing_for_who_may_do_everything() -> None:
    async with ApiServer() as server:
        assert await missing(server.client(), NEEDED) == ()
        await check(server.client(), "fail")


@pytest.mark.pain(10)
async def test_a_server_that_is_down_is_waited_for() -> None:
    async with ApiServer(rules=GRANTED) as server:
        transport = FaultyTransport(server.transport(user=LIMITED), FaultPlan((Strike(Refused(), end=100.0),)))
        client = Client(transport, settings=ClientSettings(retry=RetryPolicy(attempts=1)))
        with pytest.raises(MissingRights), anyio.fail_after(200):
            await check(client, "fail")
        assert 100 <= now() <= 111


async def test_a_server_that_does_not_answer_such_questions_is_not_taken_for_a_refusal(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with ApiServer(rules=Rules({"limited": ()})) as server:
        mute = FaultyTransport(server.transport(user=LIMITED), FaultPlan.of(Status(403)))
        await check(Client(mute), "fail")
    assert "rights could not be checked: cluster=home" in caplog.text
