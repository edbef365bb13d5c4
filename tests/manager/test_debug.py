"""What people see of a running manager: true facts, as JSON and as tables, and nothing of what objects hold."""

import anyio
import anyio.lowlevel
import orjson
import pytest

from reconcile.controller.controller import Controller
from reconcile.controller.reconciler import Request, Result
from reconcile.controller.settings import ControllerSettings
from reconcile.controller.source import For
from reconcile.kube.kinds import CONFIG_MAP
from reconcile.manager import debug
from reconcile.manager.manager import Manager
from reconcile.manager.web import Call
from reconcile.testing.apiserver.server import ApiServer
from tests.manager.place import Granter, Side, until, wish


async def page(manager: Manager, path: str, **query: str) -> tuple[int, str]:
    reply = await debug.routes(manager.controllers, manager.clusters)[path](Call("", query))
    return reply.status, reply.body.decode()


@pytest.mark.pain(35)
async def test_a_queue_shows_what_is_in_work_what_waits_and_what_comes_later() -> None:
    async def reconcile(request: Request) -> Result:
        if request.name == "busy":
            await anyio.sleep(1000)
        if request.name == "broken":
            raise LookupError("the wish cannot be read")
        return Result(requeue_after=60.0)

    async with ApiServer() as server:
        home = Side.of(server)
        settings = ControllerSettings(workers=1, deadline=2000.0)
        controller = Controller("granter", reconcile, [For(home.cluster, CONFIG_MAP)], settings)
        async with Manager([home.cluster], [controller]) as manager:
            await manager.ready()
            await wish(server, "later", "broken")
            await anyio.sleep(5)
            await wish(server, "busy", "patient")
            await anyio.sleep(3)
            status, text = await page(manager, "/debug/queues")
            [facts] = orjson.loads(text)
            table = (await page(manager, "/debug/queues", format="text"))[1]
            manager.hurry()
            await manager.run()
    assert status == 200
    assert (facts["controller"], facts["depth"], facts["problems"]) == ("granter", {"0": 1}, [])
    [running] = facts["inWork"]
    assert (running["key"], running["seconds"]) == ("home/default/busy", pytest.approx(3.0, abs=0.1))
    [waiting] = [item for item in facts["waiting"] if item["key"] != "home/default/broken"]
    assert (waiting["key"], waiting["seconds"]) == ("home/default/patient", pytest.approx(3.0, abs=0.1))
    [timer] = [item for item in facts["planned"] if item["by"] == "timer"]
    assert (timer["key"], timer["in"]) == ("home/default/later", pytest.approx(52.0, abs=0.2))
    assert facts["failingCount"] == 1
    rows = [line.split() for line in table.splitlines()]
    assert rows[0][:3] == ["CONTROLLER", "IN", "WORK"]
    assert ["granter", "home/default/busy", "in", "work", "3.0s"] in rows
    assert ["granter", "home/default/patient", "waits", "3.0s"] in rows


async def test_a_limit_bounds_the_list_and_the_counts_stay_true() -> None:
    async with ApiServer() as server:
        home = Side.of(server)
        granter = Granter(home.cluster, lambda: anyio.sleep(1000))
        async with Manager([home.cluster], [granter.controller(workers=1)]) as manager:
            await manager.ready()
            await wish(server, *(f"w{number}" for number in range(7)))
            await until(lambda: len(granter.keys) == 1)
            [facts] = orjson.loads((await page(manager, "/debug/queues", limit="2"))[1])
            manager.hurry()
            await manager.run()
    assert len(facts["waiting"]) == 2
    assert facts["depth"] == {"0": 6}


@pytest.mark.pain(24)
async def test_why_tells_the_last_passes_of_a_key_that_is_given_as_it_is_printed() -> None:
    async with ApiServer() as server:
        home = Side.of(server)
        async with Manager([home.cluster], [Granter(home.cluster).controller()]) as manager:
            await manager.ready()
            await wish(server, "a")
            await until(lambda: home.granted() == ["a"])
            facts = orjson.loads((await page(manager, "/debug/why", controller="granter", key="home/default/a"))[1])
            text = (await page(manager, "/debug/why", controller="granter", key="home/default/a", format="text"))[1]
            assert (
                manager.why("granter", "home/default/a").passes
                == manager.why("granter", Request("home", "default", "a")).passes
            )
            missing = await page(manager, "/debug/why", controller="nobody", key="x")
    assert facts["key"] == "home/default/a"
    [write] = facts["passes"][0]["writes"]
    assert (write["verb"], write["resource"], write["outcome"]) == ("patch", "configmaps", "changed")
    assert text.startswith("granter home/default/a: ")
    assert missing == (404, "say ?controller=..&key=..; there are the controllers: granter\n")


async def test_informers_show_state_size_and_age() -> None:
    async with ApiServer() as server:
        home = Side.of(server)
        await wish(server, "a", "b")
        async with Manager([home.cluster], [Granter(home.cluster).controller()]) as manager:
            before = orjson.loads((await page(manager, "/debug/informers"))[1])
            await manager.ready()
            await anyio.sleep(30)
            [facts] = orjson.loads((await page(manager, "/debug/informers"))[1])
            table = (await page(manager, "/debug/informers", format="text"))[1].splitlines()
    assert before[0]["staleness"] is None
    assert (facts["cluster"], facts["resource"], facts["state"]) == ("home", "configmaps", "live")
    assert (facts["objects"], facts["synced"], facts["lastError"]) == (2, True, "")
    assert 0 < facts["staleness"] <= 30
    assert facts["bytes"] > 200
    assert table[1].split()[:3] == ["home", "configmaps", "live"]


async def test_stacks_show_where_every_task_and_thread_stands() -> None:
    async def waits_for_nobody() -> None:
        await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(waits_for_nobody, name="idler")
        await anyio.lowlevel.checkpoint()
        facts = debug.stack_facts()
        text = debug.stacks_text(facts)
        tasks.cancel_scope.cancel()
    [idler] = [item for item in facts["tasks"] if item["task"].startswith("idler")]
    assert any("in waits_for_nobody" in line for line in idler["stack"])
    assert any(item["thread"] == "MainThread" for item in facts["threads"])
    assert "idler (" in text


async def test_no_page_shows_what_is_in_an_object() -> None:
    async with ApiServer() as server:
        home = Side.of(server)
        async with Manager([home.cluster], [Granter(home.cluster).controller()]) as manager:
            await manager.ready()
            hidden = str(7**11)  # as such it stands in no line of code
            meta = {"namespace": "default", "name": "a", "labels": {"x": hidden}}
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"wish": hidden}}
            await server.client().create(CONFIG_MAP, body)
            await until(lambda: home.granted() == ["a"])
            for format_ in ("json", "text"):
                for path in ("/debug/queues", "/debug/informers", "/debug/stacks"):
                    assert hidden not in (await page(manager, path, format=format_))[1]
                query = {"controller": "granter", "key": "home/default/a", "format": format_}
                assert hidden not in (await page(manager, "/debug/why", **query))[1]
