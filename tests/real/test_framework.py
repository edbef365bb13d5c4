"""What the framework promises of servers, seen on a real one: what is not sent, what is got over, what is told."""

import itertools
import re
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import anyio
import pytest
import yaml
from attrs import frozen

from reconcile import (
    Client,
    Cluster,
    Manager,
    ManagerSettings,
    ObjectKey,
    Resource,
    Watched,
    connect,
)
from reconcile.cache.steps import State
from reconcile.kube import MergePatch
from reconcile.kube.kinds import CONFIG_MAP, CRD, NAMESPACE, ROLE, ROLE_BINDING
from reconcile.manager.manager import PartEnded
from reconcile.manager.preflight import MissingRights, Preflight
from reconcile.testing.audit import AuditEvent
from reconcile.testing.envtest import ControlPlane
from tests.real.mirror import IMPATIENT, Mirroring, differences
from tests.real.relay import Relay
from tests.real.waiting import install, until

pytestmark = pytest.mark.real

_numbers = itertools.count(1)


@frozen
class Home:
    """Two namespaces of one server, for sources and for their mirrors, and an administrator."""

    plane: ControlPlane
    client: Client
    sources: str
    mirrors: str

    @classmethod
    async def make(cls, plane: ControlPlane, client: Client) -> "Home":
        number = next(_numbers)
        home = cls(plane, client, f"sources-{number}", f"mirrors-{number}")
        for name in (home.sources, home.mirrors):
            await client.create(NAMESPACE, {"metadata": {"name": name}})
        return home

    async def set(self, name: str, value: str) -> None:
        body = {"metadata": {"name": name, "namespace": self.sources}, "data": {"value": value}}
        await self.client.apply(CONFIG_MAP, {"apiVersion": "v1", "kind": "ConfigMap", **body})

    async def delete(self, name: str) -> None:
        await self.client.delete(CONFIG_MAP, ObjectKey(self.sources, name))

    def writes(self, user_agent: str) -> list[AuditEvent]:
        return [one for one in self.plane.audit_events() if one.is_write and one.user_agent == user_agent]

    async def mirrored(self, program: Mirroring) -> None:
        """Wait until everything is mirrored and the program has nothing left to do."""

        async def is_done() -> bool:
            return program.is_idle and not await differences(self.client, self.sources, self.mirrors)

        await until(is_done, "all is mirrored", within=60)


@pytest.fixture
async def home(control_plane: ControlPlane) -> AsyncIterator[Home]:
    async with connect(control_plane.kubeconfig()) as client:
        yield await Home.make(control_plane, client)


@pytest.fixture(scope="module")
def fragile(start_control_plane: Callable[..., ControlPlane]) -> Iterator[ControlPlane]:
    """A server to be hurt."""
    with start_control_plane(audited=True) as plane:
        yield plane


@pytest.fixture
async def hurt(fragile: ControlPlane) -> AsyncIterator[Home]:
    async with connect(fragile.kubeconfig()) as client:
        yield await Home.make(fragile, client)


def has_passed(program: Mirroring, keys: int) -> bool:
    return program.is_idle and program.cluster.writes["apply", "suppressed"] >= keys


# -- what is not sent --------------------------------------------------------------------------------------------------


@pytest.mark.pain(15)
async def test_a_second_pass_and_a_restart_send_no_write_where_the_server_keeps_what_was_applied(home: Home) -> None:
    names = [f"one-{number}" for number in range(20)]
    for name in names:
        await home.set(name, "abc")
    sent = []
    for run in ("first", "restarted"):
        agent = f"{home.sources}-{run}"
        async with connect(home.plane.kubeconfig(), field_manager="mirrors", user_agent=agent) as client:
            program = Mirroring(client, home.sources, home.mirrors)
            async with program.manager as manager:
                await manager.ready()
                await home.mirrored(program)
                sent.append(len(home.writes(agent)))
                program.controller.enqueue_all("again")
                await until(partial(has_passed, program, len(names)), "every key had its pass")
                await anyio.sleep(0.3)
                sent.append(len(home.writes(agent)))
    assert sent == [20, 20, 0, 0]
    await home.client.patch(CONFIG_MAP, ObjectKey(home.mirrors, names[0]), MergePatch({"data": {"value": "spoilt"}}))
    assert await differences(home.client, home.sources, home.mirrors) == [names[0]]


# -- what is got over --------------------------------------------------------------------------------------------------


async def test_a_killed_server_shows_in_readiness_and_its_return_ends_that(hurt: Home) -> None:
    async with connect(hurt.plane.kubeconfig(), field_manager="mirrors") as client:
        program = Mirroring(client, hurt.sources, hurt.mirrors)
        async with program.manager as manager:
            await manager.ready()
            await hurt.set("a", "before")
            await hurt.mirrored(program)
            assert manager.probes.report("readyz").is_well
            await anyio.to_thread.run_sync(hurt.plane.kill)
            await until(lambda: not manager.probes.report("readyz").is_well, "it is not ready")
            assert "cannot be reached" in manager.probes.report("readyz").results["cluster-home"]
            assert manager.probes.report("livez").is_well
            await anyio.to_thread.run_sync(hurt.plane.restart)
            await hurt.set("a", "after")
            await hurt.set("b", "new")
            await hurt.mirrored(program)
            await until(lambda: manager.probes.report("readyz").is_well, "it is ready again")


@pytest.mark.pain(3)
@pytest.mark.pain(4)
async def test_a_version_that_the_server_has_forgotten_leads_to_a_list_that_shows_what_was_missed(hurt: Home) -> None:
    async with Relay(hurt.plane) as relay:
        reach = relay.kubeconfig(hurt.plane.kubeconfig())
        async with connect(reach, field_manager="mirrors") as client:
            program = Mirroring(client, hurt.sources, hurt.mirrors)
            async with program.manager as manager:
                await manager.ready()
                for name in ("kept", "changed", "deleted"):
                    await hurt.set(name, "before")
                await hurt.mirrored(program)
                relay.is_refusing = True
                relay.cut()
                await hurt.delete("deleted")
                await hurt.set("changed", "after")
                await hurt.set("new", "after")
                await anyio.to_thread.run_sync(hurt.plane.restart)  # it forgets the events from before
                await hurt.set("later", "after")
                relay.is_refusing = False
                await hurt.mirrored(program)
                assert program.cluster.informer(CONFIG_MAP).relists["expired"] >= 1
                assert len(program.cluster.store(CONFIG_MAP).list(hurt.mirrors)) == 4


# -- kinds that come and go --------------------------------------------------------------------------------------------


@pytest.mark.pain(26)
async def test_a_kind_is_waited_for_found_when_it_comes_and_empty_when_it_is_removed(home: Home) -> None:
    group = f"late{next(_numbers)}.example.io"
    late = Resource.untyped(f"{group}/v1", "Late", "lates")
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    definition: dict[str, Any] = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": late.name},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": late.plural, "kind": late.kind},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }
    cluster = Cluster("home", home.client, [late], settings=IMPATIENT)
    informer = cluster.informer(late)
    async with Manager([cluster], [], settings=ManagerSettings(preflight="off")) as manager:
        await until(lambda: informer.state is State.WAITING_FOR_KIND, "the kind is waited for")
        assert "not synced" in manager.probes.report("readyz").results[f"cache-home-{late.name}"]
        for _ in range(2):
            await install(home.client, [definition], [late.name])
            await home.client.create(late, {"metadata": {"name": "a"}}, namespace=home.sources)
            await until(lambda: len(informer.store) == 1, "its object is seen")
            await manager.ready()
            await home.client.delete(CRD, ObjectKey("", late.name))
            await until(lambda: informer.state is State.GONE, "the kind is gone")
            assert len(informer.store) == 0


# -- rights ------------------------------------------------------------------------------------------------------------


@pytest.mark.pain(10)
@pytest.mark.parametrize("preflight", ["off", "fail"])
async def test_a_missing_right_ends_the_start_with_the_rule_that_suffices(home: Home, preflight: Preflight) -> None:
    user = f"jane-{home.sources}"

    async def started() -> None:
        async with connect(home.plane.kubeconfig(user)) as client:
            cluster = Cluster("home", client, [Watched(CONFIG_MAP, namespaces=(home.sources,))], settings=IMPATIENT)
            async with Manager([cluster], [], settings=ManagerSettings(preflight=preflight)) as manager:
                with anyio.fail_after(30):
                    await manager.ready()

    with pytest.raises(PartEnded, match=r"the rule") as refused:
        await started()
    assert isinstance(refused.value.__cause__, MissingRights) == (preflight == "fail")
    [rule] = set(re.findall(r"\{apiGroups.*?\}", str(refused.value)))
    assert f"namespace {home.sources}" in str(refused.value)
    meta = {"name": "as-told", "namespace": home.sources}
    await home.client.create(ROLE, {"metadata": meta, "rules": [yaml.safe_load(rule)]})
    await home.client.create(
        ROLE_BINDING,
        {
            "metadata": meta,
            "roleRef": {"apiGroup": ROLE.group, "kind": "Role", "name": "as-told"},
            "subjects": [{"apiGroup": ROLE.group, "kind": "User", "name": user}],
        },
    )
    await anyio.sleep(0.5)  # the authorizer watches, too
    await started()


async def test_a_right_that_is_taken_away_shows_in_readiness_with_the_rule_to_add(home: Home) -> None:
    user = f"john-{home.sources}"
    meta = {"name": "for-now", "namespace": home.sources}
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}]
    await home.client.create(ROLE, {"metadata": meta, "rules": rules})
    subjects = [{"apiGroup": ROLE.group, "kind": "User", "name": user}]
    reference = {"apiGroup": ROLE.group, "kind": "Role", "name": "for-now"}
    await home.client.create(ROLE_BINDING, {"metadata": meta, "roleRef": reference, "subjects": subjects})
    await anyio.sleep(0.5)
    async with Relay(home.plane) as relay, connect(relay.kubeconfig(home.plane.kubeconfig(user))) as client:
        cluster = Cluster("home", client, [Watched(CONFIG_MAP, namespaces=(home.sources,))], settings=IMPATIENT)
        informer = cluster.informer(CONFIG_MAP)
        async with Manager([cluster], [], settings=ManagerSettings(preflight="off", staleness_limit=1.0)) as manager:
            await manager.ready()
            await home.client.delete(ROLE_BINDING, ObjectKey(home.sources, "for-now"))
            await anyio.sleep(0.5)
            relay.cut()  # a watch that goes on is not asked again
            await until(lambda: informer.state is State.FORBIDDEN, "it is forbidden")
            await anyio.sleep(1.0)
            told = manager.probes.report("readyz").results["cache-home-configmaps"]
            assert 'add the rule {apiGroups: [""], resources: [configmaps], verbs: [' in told
            await home.client.create(ROLE_BINDING, {"metadata": meta, "roleRef": reference, "subjects": subjects})
            await until(lambda: informer.state is State.LIVE, "it is live again")
