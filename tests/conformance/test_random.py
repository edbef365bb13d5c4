"""Any story has the same answers in the embedded server and in a real one."""

import os
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, Phase, given, seed, settings

from reconcile.kube import login
from reconcile.kube.transport import HttpTransport, TransportSettings
from reconcile.testing.apiserver import ApiServer, Settings
from reconcile.testing.loop import run
from tests.conformance.histories import stories
from tests.conformance.reading import read, told_apart
from tests.conformance.running import Place, tell
from tests.conformance.steps import Case
from tests.conformance.targets import AGENT, FAR_FROM_PORTS, a_namespace, define
from tests.planes import lone_control_plane

pytestmark = [pytest.mark.real, pytest.mark.pain(25)]

NOBODY_ELSE = Settings(garbage_collection=False, namespace_lifecycle=False)
_TRIES: settings = settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
)
PARTS: Final = 21
STORIES_OF_A_PART: Final = 101
"""The first story of each is the simplest there is."""
TOLD: list[str] = []
Told = Callable[[Case], list[Any]]


@pytest.fixture(scope="module")
def real() -> Iterator[Told]:
    """Tells a case to a real server that has no controllers: nobody else writes."""
    with lone_control_plane() as plane, start_blocking_portal() as portal:
        before = len(TOLD)
        transport = HttpTransport(login.load(plane.kubeconfig()), TransportSettings(user_agent=AGENT))
        yield _teller(transport, portal)
        portal.call(transport.aclose)
        print(f"{len(TOLD) - before} stories told to both servers")


def _teller(transport: HttpTransport, portal: BlockingPortal) -> Told:
    portal.call(define, transport)
    time.sleep(1)  # all parts of the server know of the definitions then

    async def told(case: Case) -> list[Any]:
        namespace = await a_namespace(transport)
        return read(case, await tell(case, Place(transport, namespace)), namespace)

    return lambda case: portal.call(told, case)


async def ours(case: Case) -> list[Any]:
    """What the embedded server answers."""
    server = ApiServer(settings=NOBODY_ELSE)
    server.storage.version = FAR_FROM_PORTS
    async with server:
        transport = server.transport(user_agent=AGENT)
        if any("shop.example.com" in step.path for step in case.steps):
            await define(transport)
        namespace = await a_namespace(transport)
        return read(case, await tell(case, Place(transport, namespace)), namespace)


def check(case: Case, real: Told) -> None:
    lines = told_apart([_without_opinion(one) for one in real(case)], run(ours(case)))
    TOLD.append(case.name)
    asked = [f"> {one.method} {one.path} {one.body} {dict(one.query)} {one.headers}" for one in case.steps]
    assert not lines, "\n".join([*lines, *asked])


def _without_opinion(answer: Any) -> Any:
    """An answer without a warning of ports that two containers share: knowingly, we do not give it."""
    if "duplicate port definition" not in answer["headers"].get("warning", ""):
        return answer
    headers = {name: value for name, value in answer["headers"].items() if name != "warning"}
    return {**answer, "headers": headers}


@settings(_TRIES, max_examples=int(os.environ.get("STORIES", "100")), derandomize=True)
@given(case=stories())
def test_any_story_has_the_same_answers(real: Told, case: Case) -> None:
    """Always the same stories: those that nobody has told yet are for the long run."""
    check(case, real)


@pytest.mark.proof
@pytest.mark.parametrize("part", range(PARTS))
def test_thousands_of_stories_have_the_same_answers(real: Told, part: int, world_seed: int) -> None:
    """A part has a seed of its own, so that it can be told alone: ``[7]`` after the name of this test."""

    @seed(world_seed * 1000 + part)
    @settings(_TRIES, max_examples=STORIES_OF_A_PART, phases=[Phase.generate, Phase.shrink], database=None)
    @given(case=stories())
    def tell_a_part(case: Case) -> None:
        check(case, real)

    before, began = len(TOLD), time.monotonic()
    tell_a_part()
    took = time.monotonic() - began
    print(f"part {part} of {PARTS}: {len(TOLD) - before} stories, no difference; seed {world_seed}, {took:.0f} s")
