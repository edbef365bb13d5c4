"""Events are told in passing: whoever tells never waits and never fails."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from attrs import define, field, frozen

from reconcile.core.clock import now
from reconcile.kube.client import Client
from reconcile.kube.errors import ConnectionFailed, Fenced, KubeError
from reconcile.kube.objects import Object, ObjectMeta
from reconcile.kube.recorder import EventRecorder, RecorderSettings
from reconcile.kube.request import HttpRequest, HttpResponse
from reconcile.kube.resource import Resource
from reconcile.testing.loop import settled

POD = Object({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "blue", "namespace": "ns", "uid": "u-1"}})


@frozen
class Thing:
    metadata: ObjectMeta


THING = Resource("example.com", "v1", "Thing", "things", type=Thing)


@define
class Events:
    """A server that keeps Events; ``fails`` may say no first."""

    host: str = "one"
    stored: dict[str, dict[str, Any]] = field(factory=dict)
    fails: Callable[[HttpRequest], HttpResponse | KubeError | None] = lambda request: None
    asked: int = 0

    async def call(self, request: HttpRequest, *, timeout: float, guard: Callable[[], None] | None = None) -> Any:
        await asyncio.sleep(0.001)
        self.asked += 1
        if guard is not None:
            guard()
        failure = self.fails(request)
        if isinstance(failure, KubeError):
            raise failure
        if failure is not None:
            return failure
        body = json.loads(request.body)
        if request.method == "POST":
            path = f"{request.path}/{body['metadata']['name']}"
            if path in self.stored:
                return HttpResponse(409, {}, b'{"kind": "Status", "reason": "AlreadyExists"}')
            self.stored[path] = body
        elif request.path not in self.stored:
            return HttpResponse(404, {}, b'{"kind": "Status", "reason": "NotFound"}')
        else:
            path = request.path
            self.stored[path] |= body
        return HttpResponse(200, {}, json.dumps(self.stored[path]).encode())

    async def open(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    async def aclose(self) -> None: ...

    @property
    def told(self) -> list[tuple[str, int]]:
        return [(event.get("message") or event["note"], event.get("count", 0)) for event in self.stored.values()]


@asynccontextmanager
async def recording(server: Events, **options: Any) -> AsyncIterator[EventRecorder]:
    fence = options.pop("fence", None)
    recorder = EventRecorder(Client(server, fence=fence), "me", instance="host", **options)
    async with anyio.create_task_group() as tasks:
        await tasks.start(lambda task_status: recorder.run(task_status=task_status))
        yield recorder
        tasks.cancel_scope.cancel()


async def test_what_is_told_is_written_soon_and_counted() -> None:
    server = Events()
    async with recording(server) as recorder:
        recorder.event(POD, "Warning", "Broken", "it broke")
        assert server.stored == {}  # nobody waited
        await anyio.sleep(1)
        assert server.told == [("it broke", 1)]
        recorder.event(POD, "Warning", "Broken", "it broke")
        recorder.event(POD, "Warning", "Broken", "it broke")
        await anyio.sleep(1)
        assert server.told == [("it broke", 3)]
    assert server.asked == 2
    [path] = server.stored
    assert path.startswith("/api/v1/namespaces/ns/events/blue.")


async def test_the_newer_api_is_used_when_set() -> None:
    server = Events()
    async with recording(server, settings=RecorderSettings(api="events.k8s.io/v1")) as recorder:
        recorder.event(POD, "Normal", "Mended", "all is well", action="Mend")
        await anyio.sleep(1)
    [(path, event)] = server.stored.items()
    assert path.startswith("/apis/events.k8s.io/v1/namespaces/ns/events/blue.")
    assert event["action"] == "Mend"


async def test_classes_are_told_of_by_their_resource() -> None:
    server = Events()
    thing = Thing(ObjectMeta(name="green", namespace="ns"))
    nameless = Object({"metadata": {"name": "red", "namespace": "ns"}})  # as it stands in a list
    async with recording(server, resources=[THING]) as recorder:
        recorder.event(thing, "Normal", "Made", "made")
        recorder.event(nameless, "Normal", "Made", "made", resource=THING)
        await anyio.sleep(1)
    assert [event["involvedObject"]["kind"] for event in server.stored.values()] == ["Thing", "Thing"]


async def test_what_cannot_be_told_fails_nobody_and_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    server = Events()
    async with recording(server) as recorder:
        for _ in range(3):
            recorder.event(Thing(ObjectMeta(name="green")), "Normal", "Made", "made")
        await anyio.sleep(1)
    [record] = caplog.records
    assert "resources=" in record.getMessage()
    assert server.asked == 0


def test_telling_outside_a_loop_fails_nobody() -> None:
    EventRecorder(Client(Events()), "me").event(POD, "Normal", "Made", "made")


@pytest.mark.parametrize("code", [403, 404, 422])
async def test_a_refusal_is_said_once_and_not_repeated(code: int, caplog: pytest.LogCaptureFixture) -> None:
    server = Events(fails=lambda request: HttpResponse(code, {}, b'{"kind": "Status", "message": "no"}'))
    async with recording(server) as recorder:
        for number in range(3):
            recorder.event(POD, "Normal", "Made", f"made {number}")
        await anyio.sleep(3600)
    assert server.asked == 3
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == (code != 404)


async def test_a_server_that_is_away_hears_everything_later() -> None:
    server = Events(fails=lambda request: ConnectionFailed("away", sent=False) if now() < 500 else None)
    async with recording(server) as recorder:
        for number in range(3):
            recorder.event(POD, "Normal", "Made", f"made {number}")
        await anyio.sleep(5000)
        assert server.told == [("made 0", 1), ("made 1", 1), ("made 2", 1)]


async def test_an_event_whose_creation_had_an_unknown_outcome_is_not_written_twice() -> None:
    server = Events()

    def fails(request: HttpRequest) -> KubeError | None:
        if server.asked == 1:
            body = json.loads(request.body)
            server.stored[f"{request.path}/{body['metadata']['name']}"] = body
            return ConnectionFailed("cut", sent=True)
        return None

    server.fails = fails
    async with recording(server) as recorder:
        recorder.event(POD, "Normal", "Made", "made")
        await anyio.sleep(5)
        recorder.event(POD, "Normal", "Made", "made")
        await anyio.sleep(100)
        assert server.told == [("made", 2)]


async def test_an_event_that_expired_on_the_server_is_made_again() -> None:
    server = Events()
    async with recording(server) as recorder:
        recorder.event(POD, "Normal", "Made", "made")
        await anyio.sleep(1)
        server.stored.clear()
        recorder.event(POD, "Normal", "Made", "made")
        await anyio.sleep(1)
    assert server.told == [("made", 2)]


async def test_who_may_no_longer_write_tells_nothing() -> None:
    def fence() -> None:
        raise Fenced("the lease is over")

    server = Events()
    async with recording(server, fence=fence) as recorder:
        recorder.event(POD, "Normal", "Made", "made")
        await anyio.sleep(100)
    assert server.stored == {}


async def test_at_the_end_what_is_left_is_written() -> None:
    server = Events()
    async with recording(server) as recorder:
        await settled()
        for number in range(5):
            recorder.event(POD, "Normal", "Made", f"made {number}")
    assert len(server.told) == 5


async def test_at_the_end_a_server_that_hangs_is_not_waited_for() -> None:
    server = Events(fails=lambda request: ConnectionFailed("away", sent=False))
    async with recording(server, settings=RecorderSettings(drain=2)) as recorder:
        recorder.event(POD, "Normal", "Made", "made")
    assert now() <= 2.1
