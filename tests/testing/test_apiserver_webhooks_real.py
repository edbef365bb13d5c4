"""The embedded server and a real one ask the same webhooks over HTTPS, and make the same of their answers."""

import base64
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import orjson
import pytest
import trustme
from aiohttp import web

from reconcile.kube import login
from reconcile.kube.transport import HttpTransport, TransportSettings
from reconcile.testing.apiserver import ApiServer
from reconcile.testing.plugin import AnyioBackend
from tests.planes import lone_control_plane
from tests.testing.callers import Api
from tests.testing.stories import tell
from tests.testing.stories_webhooks import ANSWERS, stories

pytestmark = [pytest.mark.real]


@pytest.fixture(scope="module")
def anyio_backend() -> AnyioBackend:
    return "asyncio", {}  # a real server lives in real time


@pytest.fixture(scope="module")
def kubeconfig() -> Iterator[Path]:
    """Without controllers: nobody else writes."""
    with lone_control_plane() as plane:
        yield plane.kubeconfig()


async def _answer(request: web.Request) -> web.Response:
    review, answer = await request.json(), dict(ANSWERS[request.path.strip("/")])
    head = answer.pop("head", {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"})
    if answer.pop("absent", False):
        return web.json_response(head)
    if (operations := answer.pop("operations", None)) is not None:
        answer["patch"] = base64.b64encode(orjson.dumps(operations)).decode()
    return web.json_response({**head, "response": {"uid": review["request"]["uid"], **answer}})


@pytest.fixture
async def webhooks() -> AsyncIterator[tuple[str, str]]:
    """Where the webhooks are, and who speaks for them."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    application = web.Application()
    application.router.add_post("/{name}", _answer)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "localhost", 0, ssl_context=context).start()
        bundle = base64.b64encode(authority.cert_pem.bytes()).decode()
        yield f"https://localhost:{runner.addresses[0][1]}", bundle
    finally:
        await runner.cleanup()


async def test_both_make_the_same_of_an_answer(kubeconfig: Path, webhooks: tuple[str, str]) -> None:
    transport = HttpTransport(login.load(kubeconfig), TransportSettings(user_agent="tester/1.0"))
    try:
        for story in stories(*webhooks):

            async def real(_: str) -> Api:
                return Api(transport, "default")

            async with ApiServer() as server:
                ours = Api(server.transport(user_agent="tester/1.0"), "default")

                async def embedded(_: str, ours: Api = ours) -> Api:
                    return ours

                assert await tell(story, embedded) == await tell(story, real), story.name
    finally:
        await transport.aclose()
