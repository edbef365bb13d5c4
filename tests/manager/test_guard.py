"""Guarded pages: who shows a token that an API server knows, and may get the page, reads it; nobody else does."""

import ssl
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import anyio
import pytest

from reconcile import Client, Manager, ManagerSettings, ObjectKey
from reconcile.core.clock import Seconds
from reconcile.kube import kinds
from reconcile.manager.certificate import SelfSigned
from reconcile.manager.guard import MOST, Guard
from reconcile.manager.web import Address, Call, Reply, WebServer
from reconcile.testing.apiserver import ApiServer
from reconcile.testing.apiserver.admission import User
from reconcile.testing.apiserver.rbac import Rbac
from reconcile.testing.faults import FaultPlan, FaultyTransport, Refused, Rule
from tests.manager.place import ONCE, Side

TOKENS = {
    "reader-token": User("reader", ("system:authenticated", "scrapers")),
    "other-token": User("other", ("system:authenticated",)),
}


async def page(_: Call) -> Reply:
    return Reply(b"figures")


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with ApiServer(rules=Rbac(), authenticate=TOKENS.get) as one:
        client = one.client()
        await client.create(
            kinds.CLUSTER_ROLE,
            {"metadata": {"name": "scrape"}, "rules": [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]},
        )
        subject = {"kind": "Group", "name": "scrapers", "apiGroup": "rbac.authorization.k8s.io"}
        role = {"kind": "ClusterRole", "name": "scrape", "apiGroup": "rbac.authorization.k8s.io"}
        body = {"metadata": {"name": "scrape"}, "subjects": [subject], "roleRef": role}
        await client.create(kinds.CLUSTER_ROLE_BINDING, body)
        yield one


def asked(server: ApiServer) -> list[str]:
    return [one.resource.partition(".")[0] for one in server.audit if "review" in one.resource]


async def get(guard: Guard, token: str, path: str = "/metrics", method: str = "GET") -> tuple[int, str]:
    [handler] = guard.guarded({path: page}).values()
    reply = await handler(Call(token=token, path=path, method=method))
    return reply.status, reply.body.decode()


async def test_who_may_get_the_page_reads_it_and_nobody_else(server: ApiServer) -> None:
    guard = Guard(server.client())
    assert await get(guard, "") == (401, "Unauthorized\n")
    assert asked(server) == [], "who shows nothing costs nothing"
    assert await get(guard, "rubbish") == (401, "Unauthorized\n")
    assert await get(guard, "other-token") == (403, "Authorization denied for user other\n")
    assert await get(guard, "reader-token") == (200, "figures")
    assert await get(guard, "reader-token", "/debug") == (403, "Authorization denied for user reader\n")
    assert await get(guard, "reader-token", method="HEAD") == (403, "Authorization denied for user reader\n")


async def test_a_token_that_can_be_none_is_nobody_s_and_not_asked_about(server: ApiServer) -> None:
    """As a byte beyond ASCII in a header arrives here."""
    guard = Guard(server.client())
    assert await get(guard, "reader-token\udcff") == (401, "Unauthorized\n")
    assert await get(guard, "x\u00fc") == (401, "Unauthorized\n")
    assert asked(server) == []


async def test_answers_are_remembered_for_a_while_and_then_asked_for_again(server: ApiServer) -> None:
    guard = Guard(server.client())
    for _ in range(20):
        assert (await get(guard, "reader-token"))[0] == 200
        assert (await get(guard, "other-token"))[0] == 403
        await anyio.sleep(1)
    assert sorted(asked(server)) == ["subjectaccessreviews"] * 2 + ["tokenreviews"] * 2
    await server.client().delete(kinds.CLUSTER_ROLE_BINDING, ObjectKey("", "scrape"))
    await anyio.sleep(300)
    assert (await get(guard, "reader-token"))[0] == 403


async def test_a_token_that_was_taken_back_works_for_a_minute_at_most(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = Guard(server.client())
    assert (await get(guard, "reader-token"))[0] == 200
    monkeypatch.delitem(TOKENS, "reader-token")
    await anyio.sleep(61)
    assert (await get(guard, "reader-token"))[0] == 401


async def test_an_api_server_that_does_not_answer_lets_nobody_in_and_no_token_is_logged(
    server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    line = FaultyTransport(server.transport(), FaultPlan((Rule(Refused()),)))
    guard = Guard(Client(line, settings=ONCE))
    assert await get(guard, "reader-token") == (500, "Authentication failed\n")
    line.plan = FaultPlan()
    assert (await get(guard, "reader-token"))[0] == 200
    assert "nobody can be asked" in caplog.text
    assert "reader-token" not in caplog.text + repr(guard) + repr(Call(token="reader-token"))


async def test_who_may_not_ask_lets_nobody_in(server: ApiServer) -> None:
    guard = Guard(server.client(user=User("powerless", ())))
    assert (await get(guard, "reader-token"))[0] == 500


async def test_strangers_without_end_are_not_all_remembered(server: ApiServer) -> None:
    guard = Guard(server.client())
    for number in range(MOST + 20):
        assert (await get(guard, f"stranger-{number}"))[0] == 401
    assert len(guard._visitors) == MOST


async def test_guarded_metrics_without_tls_or_by_a_cluster_that_is_not_there_are_refused() -> None:
    with pytest.raises(ValueError, match="need TLS"):
        ManagerSettings(metrics=":1", metrics_guard="home")
    async with ApiServer() as server:
        settings = ManagerSettings(metrics=":1", metrics_guard="other", metrics_certificate=SelfSigned())
        with pytest.raises(ValueError, match="no cluster 'other'"):
            Manager([Side.of(server).cluster], [], settings=settings)


class TestOverTls:
    """On the real clock: something listens."""

    @pytest.fixture
    def anyio_backend(self) -> Any:
        return "asyncio", {}

    async def test_a_manager_shows_its_metrics_over_tls_to_those_who_may(self, server: ApiServer) -> None:
        settings = ManagerSettings(
            metrics="127.0.0.1:0", metrics_certificate=SelfSigned(), metrics_guard="home", preflight="off"
        )
        async with Manager([Side.of(server).cluster], [], settings=settings) as manager:
            [web] = manager.servers
            assert web.bound is not None
            url = f"https://127.0.0.1:{web.bound.port}/metrics"
            async with aiohttp.ClientSession() as session:

                async def status(token: str, scheme: str = "Bearer", timeout: Seconds = 60) -> int:
                    headers = {"Authorization": f"{scheme} {token}"} if token else {}
                    options: Any = {"ssl": False, "headers": headers, "timeout": aiohttp.ClientTimeout(timeout)}
                    async with session.get(url, **options) as answer:
                        return answer.status

                assert await status("") == 401
                assert await status("other-token") == 403
                assert await status("reader-token", "Basic") == 401
                assert await status("reader-token", "bearer") == 200
                with pytest.raises(aiohttp.ClientError):
                    await session.get(url.replace("https", "http"))

    async def test_a_self_signed_certificate_is_for_its_name_and_new_at_each_start(self) -> None:
        shown: list[bytes] = []
        for _ in range(2):
            server = WebServer("test", Address("127.0.0.1", 0), {"/": page}, tls=SelfSigned())
            async with anyio.create_task_group() as group:
                await group.start(lambda *, task_status, one=server: one.run(task_status=task_status))
                assert server.bound is not None
                port = server.bound.port
                pem = await anyio.to_thread.run_sync(ssl.get_server_certificate, ("127.0.0.1", port))
                trusting = ssl.create_default_context(cadata=pem)
                url = f"https://localhost:{port}/"
                async with aiohttp.ClientSession() as session, session.get(url, ssl=trusting) as answer:
                    assert await answer.text() == "figures"
                shown.append(pem.encode())
                group.cancel_scope.cancel()
        assert shown[0] != shown[1]
