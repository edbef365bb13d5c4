"""Events go by themselves, an hour after their last write."""

from collections.abc import Sequence

import anyio
from hypothesis import given
from hypothesis import strategies as st

from reconcile.kube import MergePatch, ObjectKey
from reconcile.kube.kinds import CONFIG_MAP, EVENT, EVENT_V1
from reconcile.testing.apiserver import ApiServer, Settings
from reconcile.testing.apiserver.lifetimes import Lifetimes
from reconcile.testing.apiserver.storage import Event, stored
from tests.testing.callers import Api

HOUR = 3600.0


async def an_event(server: ApiServer, name: str) -> None:
    about = {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "default", "name": "blue"}
    body = {"metadata": {"name": name}, "involvedObject": about, "reason": "Seen", "message": "it was seen"}
    await server.client().create(EVENT, body, namespace="default")


def there(server: ApiServer) -> list[str]:
    return [one.metadata.name for one in server.objects(EVENT)]


async def test_an_event_goes_an_hour_after_its_last_write_and_nothing_else_does() -> None:
    async with ApiServer() as server:
        await Api(server.transport(), "default").map("blue")
        await an_event(server, "once")
        await an_event(server, "again")
        await anyio.sleep(HOUR / 2)
        await server.client().patch(EVENT, ObjectKey("default", "again"), MergePatch({"count": 2}))
        await anyio.sleep(HOUR / 2 - 1)
        assert there(server) == ["again", "once"]
        await anyio.sleep(3)
        assert there(server) == ["again"]
        await anyio.sleep(HOUR / 2)
        assert there(server) == []
        assert [one.metadata.name for one in server.objects(CONFIG_MAP)] == ["blue"]
        await an_event(server, "later")
        await anyio.sleep(HOUR + 2)
        assert there(server) == []


async def test_whoever_watches_sees_it_go_in_either_group() -> None:
    async with ApiServer(settings=Settings(event_ttl=20.0)) as server:
        api = Api(server.transport(), "default")
        watches = [await api.watch(kind.path("default")) for kind in (EVENT, EVENT_V1)]
        await an_event(server, "once")
        for watch in watches:
            assert await watch.names(2) == [("ADDED", "once"), ("DELETED", "once")]
            await watch.stream.aclose()


async def test_time_begins_anew_where_everything_is_read_again() -> None:
    async with ApiServer() as server:
        await an_event(server, "once")
        kept = server.snapshot()
        await anyio.sleep(HOUR + 2)
        assert there(server) == []
        server.restore(kept)
        await anyio.sleep(HOUR - 5)
        assert there(server) == ["once"]
        await anyio.sleep(10)
        assert there(server) == []


async def test_they_stay_for_ever_where_that_is_wanted() -> None:
    async with ApiServer(settings=Settings(event_ttl=0)) as server:
        await an_event(server, "once")
        await anyio.sleep(100 * HOUR)
        assert there(server) == ["once"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.floats(0, 20)), max_size=20))
def test_what_is_over_is_what_was_not_written_for_so_long(story: Sequence[tuple[str, bool, float]]) -> None:
    lifetimes, model, now = Lifetimes(10.0), dict[str, float](), 0.0
    for name, is_there, passes in story:
        now += passes
        old = stored({"apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "uid": name}}, 1)
        lifetimes.observe(Event(1, old, old if is_there else None), now)
        model.pop(name, None)
        if is_there:
            model[name] = now + 10.0
        assert lifetimes.over(now + 5) == [key for key, end in model.items() if end <= now + 5]
        assert lifetimes.next_end == min(model.values(), default=None)
