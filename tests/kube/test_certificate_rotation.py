"""A client certificate over its lives: found or requested, renewed in time, kept, taken over, lost and regained."""

import asyncio
import base64
import datetime as dt
import itertools
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from reconcile.core.clock import now, utc
from reconcile.core.service import serving
from reconcile.kube import kinds
from reconcile.kube import request as http
from reconcile.kube.certificates import pairs
from reconcile.kube.certificates.rotation import Rotation, RotationSettings
from reconcile.kube.certificates.stored import understood
from reconcile.kube.certificates.stores import FileStore
from reconcile.kube.errors import Unauthorized
from reconcile.kube.kubeconfig import LoginError
from reconcile.kube.objects import Object
from reconcile.kube.patch import MergePatch
from reconcile.testing.loop import EPOCH, settled, virtual
from tests.kube.certified import DAY, QUICK, SERVER, WANTED, Land, MemoryStore, land

ME = WANTED.subject.name


@asynccontextmanager
async def begun(rotation: Rotation) -> AsyncIterator[Rotation]:
    await rotation.begin()
    async with serving(rotation):
        yield rotation


def kept(store: MemoryStore) -> pairs.Pair:
    assert store.text is not None
    found = understood(store.text, store.path, expected=SERVER)
    assert found is not None
    assert found.pair is not None
    return found.pair


async def seen(world: Land, rotation: Rotation) -> list[str]:
    """As whom the program asks now."""
    world.came.clear()
    async with world.reach(rotation.identity) as client:
        await client.list(kinds.NAMESPACE)
    return list(world.came)


# at start


async def test_cred_2_an_empty_store_is_filled_by_the_bootstrap_way_and_the_next_start_needs_it_no_more() -> None:
    async with land() as world:
        first = world.rotation()
        await first.begin()
        assert world.came
        assert set(world.came) == {"bootstrap"}
        assert await seen(world, first) == [ME]
        assert kept(world.store) == first.identity.pair
        world.takes_token = False
        second = world.rotation()
        await second.begin()
        assert second.identity.pair == first.identity.pair
        assert world.requests == 1


async def test_without_a_store_that_holds_anything_and_without_a_bootstrap_way_the_start_fails_in_one_line() -> None:
    async with land() as world:
        with pytest.raises(LoginError, match="no usable client certificate is stored") as caught:
            await world.rotation(bootstrap=False).begin()
        assert "give a bootstrap kubeconfig" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert world.requests == 0


@pytest.mark.parametrize("renews", [True, False])
async def test_a_certificate_that_expired_before_the_start_is_requested_anew_by_the_bootstrap_way(
    renews: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with land() as world:
        world.keep(starts=utc() - 2 * DAY, ends=utc())
        rotation = world.rotation(renews=renews)
        await rotation.begin()
        assert await seen(world, rotation) == [ME]
        assert "expired at 2026-01-01T00:00:00Z" in caplog.text
        world.keep(starts=utc() - 2 * DAY, ends=utc())
        with pytest.raises(LoginError, match="no usable client certificate is stored"):
            await world.rotation(bootstrap=False).begin()


async def test_a_stored_certificate_that_is_due_is_renewed_at_start_and_by_its_own_name() -> None:
    async with land() as world:
        old = world.keep(starts=utc() - 9.5 * DAY, ends=utc() + DAY / 2)
        rotation = world.rotation(bootstrap=False)
        await rotation.begin()
        assert rotation.identity.pair != old
        assert set(world.came) == {ME}
        once = world.rotation(bootstrap=False, renews=False)
        old = world.keep(starts=utc() - 9.5 * DAY, ends=utc() + DAY / 2)
        await once.begin()
        assert once.identity.pair == old  # who does not renew waits until it is over


async def test_a_due_certificate_that_cannot_be_renewed_at_start_is_used_and_renewed_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with land(approves=False) as world:
        old = world.keep(starts=utc() - 9.5 * DAY, ends=utc() + DAY / 2)
        rotation = world.rotation()
        await rotation.begin()
        assert now() <= 30
        assert rotation.identity.pair == old
        assert "starting with the former certificate" in caplog.text
        world.signer.approves = True
        async with serving(rotation):
            await anyio.sleep(2000)
            assert rotation.identity.pair != old


async def test_a_request_that_is_denied_ends_the_start_at_once_and_says_who_said_no() -> None:
    async with land(approves=False) as world, anyio.create_task_group() as tasks:

        async def deny() -> None:
            await anyio.sleep(5)
            await world.judge("Denied", message="we do not know him")

        tasks.start_soon(deny)
        with pytest.raises(LoginError, match=r"was denied \(Test: we do not know him\)") as caught:
            await world.rotation().begin()
        assert now() < 6
        assert world.requests == 1
        assert "\n" not in str(caught.value)
        assert world.store.text is None


@pytest.mark.parametrize("how", ["failed", "deleted", "replaced", "other key", "never"])
async def test_whatever_else_happens_to_a_request_is_tried_again_for_a_while_and_then_told(how: str) -> None:
    told = {
        "failed": "failed (Test)",
        "deleted": "was deleted before it was answered",
        "replaced": "was deleted",
        "other key": "it is for another key than ours",
        "never": "was neither approved nor denied within 6 s; kubectl certificate approve csr-",
    }
    async with land(approves=False) as world, anyio.create_task_group() as tasks:

        async def meddle() -> None:
            client = world.server.client()
            seen: set[str] = set()
            while True:
                await anyio.sleep(0.3)
                for one in world.server.objects(kinds.CSR):
                    if one.metadata.name in seen:
                        continue
                    seen.add(one.metadata.name)
                    if how == "failed":
                        await world.judge("Failed")
                    elif how == "other key":
                        await forge(world, one)
                    elif how in ("deleted", "replaced"):
                        await client.delete(kinds.CSR, one.metadata.key)
                    if how == "replaced":
                        body = WANTED.body(pairs.make(WANTED.subject).request)
                        await client.create(kinds.CSR, {**body, "metadata": {"name": one.metadata.name}})

        if how != "never":
            tasks.start_soon(meddle)
        with pytest.raises(LoginError) as caught:
            await world.rotation(settings=RotationSettings(start_limit=6)).begin()
        tasks.cancel_scope.cancel()
        assert told[how] in str(caught.value)
        assert "source" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert 4 <= now() <= 7
        assert world.store.text is None


async def forge(world: Land, one: Object) -> None:
    """Answer a request with a certificate for somebody else's key."""
    world.signer.signers = ()
    await world.judge("Approved")
    assert world.signer.ca is not None
    other = world.signer.ca.sign_request(pairs.make(WANTED.subject).request.decode(), ["client auth"])
    patch = MergePatch({"status": {"certificate": base64.b64encode(other.encode()).decode()}})
    await world.server.client().patch(kinds.CSR, one.metadata.key, patch, subresource="status")


async def test_a_server_that_is_away_at_start_is_waited_for() -> None:
    async with land() as world, anyio.create_task_group() as tasks:
        world.is_up = False

        async def come() -> None:
            await anyio.sleep(20)
            world.is_up = True

        tasks.start_soon(come)
        rotation = world.rotation()
        await rotation.begin()
        assert 20 <= now() <= 22
        assert await seen(world, rotation) == [ME]


@pytest.mark.parametrize("answer", [b"[]", b"null", b"{}", b'{"metadata": 5}', b"<html>"])
async def test_an_answer_that_is_no_request_is_asked_for_again(answer: bytes) -> None:
    async with land() as world, anyio.create_task_group() as tasks:
        world.garbled = answer
        rotation = world.rotation()
        tasks.start_soon(rotation.begin)
        await anyio.sleep(3)
        assert rotation.problem() == "there is no client certificate"
        world.garbled = b""
        await anyio.sleep(3)
        assert rotation.problem() == ""
        assert world.requests == 1


async def test_a_server_that_stays_away_ends_the_start_with_the_reason() -> None:
    async with land() as world:
        world.is_up = False
        with pytest.raises(LoginError, match="no client certificate for source: nobody is there"):
            await world.rotation().begin()
        assert now() <= 31


async def test_a_store_that_cannot_be_written_ends_the_start_before_anything_is_asked_for() -> None:
    async with land() as world:
        world.store.error = LoginError("the kubeconfig store cannot be written", where="memory")
        with pytest.raises(LoginError, match="cannot be written"):
            await world.rotation().begin()
        assert world.requests == 0


@pytest.mark.parametrize(
    ("text", "says"), [(b"rubbish: [", "not YAML"), (b"a: b", "no context"), (None, "and the bootstrap kubeconfig for")]
)
async def test_a_store_that_holds_something_else_is_left_as_it_is(text: bytes | None, says: str) -> None:
    async with land() as world:
        world.keep(starts=utc(), ends=utc() + DAY, server="https://another")
        world.store.text = text or world.store.text
        before = world.store.text
        with pytest.raises(LoginError, match=says) as caught:
            await world.rotation().begin()
        assert "memory/kubeconfig" in str(caught.value)
        assert "remove it" in str(caught.value)
        assert world.store.text == before
        assert world.requests == 0


# while it runs


@pytest.mark.parametrize("days", [100, pytest.param(365, marks=pytest.mark.proof)])
async def test_a_year_of_rotations_leaves_no_moment_without_a_good_certificate_and_needs_no_bootstrap_token(
    days: int,
) -> None:
    async with land(7 * DAY) as world, begun(world.rotation(settings=QUICK)) as rotation:
        world.takes_token = False
        ends: list[dt.datetime] = []
        while utc() < EPOCH + days * DAY:
            assert rotation.problem() == ""
            assert await seen(world, rotation) == [ME]
            assert kept(world.store) == rotation.identity.pair
            if rotation.identity.ends not in ends:
                assert rotation.identity.ends is not None
                ends.append(rotation.identity.ends)
            await anyio.sleep(86400)
        # each lived for 70 to 90 percent of a week, and not all equally long
        lived = [(later - sooner) / (7 * DAY) for sooner, later in itertools.pairwise(ends)]
        assert days / 7 / 0.9 - 1 <= len(ends) <= days / 7 / 0.7 + 1
        assert all(0.69 <= part <= 0.91 for part in lived)
        assert max(lived) - min(lived) > 0.1
        assert rotation.failed == 0
        assert world.store.writes == rotation.renewed == world.requests == len(ends)


async def test_a_watch_goes_on_through_a_rotation_and_loses_nothing() -> None:
    async with land() as world, begun(world.rotation()) as rotation:
        former = rotation.identity.pair
        async with world.reach(rotation.identity) as client:
            stream = await client.open(http.watch(kinds.CONFIG_MAP))
            await anyio.sleep(DAY.total_seconds())
            assert rotation.identity.pair != former
            await world.server.client().create(kinds.CONFIG_MAP, {"metadata": {"name": "late"}}, namespace="default")
            assert b'"late"' in await stream.read()
            await stream.aclose()


async def test_a_signer_that_is_away_for_hours_costs_nothing_as_long_as_the_certificate_holds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with land() as world, begun(world.rotation(settings=QUICK)) as rotation:
        world.signer.approves = False
        await anyio.sleep(0.95 * 86400)
        assert rotation.renewed == 1
        assert rotation.failed > 0
        assert rotation.problem() == ""
        assert "neither approved nor denied within 900 s" in caplog.text
        world.signer.approves = True
        await anyio.sleep(1500)
        assert rotation.renewed == 2
        assert await seen(world, rotation) == [ME]


async def test_a_certificate_that_nobody_renews_fails_the_health_check_when_it_ends_and_comes_back() -> None:
    async with land() as world, begun(world.rotation(settings=QUICK)) as rotation:
        world.is_up = False
        await anyio.sleep(25 * 3600)
        assert rotation.problem() == "the client certificate expired at 2026-01-02T00:00:00Z"
        world.is_up = True
        await anyio.sleep(400)
        assert rotation.problem() == ""
        assert await seen(world, rotation) == [ME]


async def test_without_a_bootstrap_way_an_expired_certificate_says_so_and_goes_on_trying(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with land() as world:
        world.keep(starts=utc(), ends=utc() + DAY)
        async with begun(world.rotation(bootstrap=False, settings=QUICK)) as rotation:
            world.is_up = False
            await anyio.sleep(25 * 3600)
            world.is_up = True
            await anyio.sleep(3600)
            assert "our certificate is refused, and there is no bootstrap kubeconfig" in caplog.text
            # somebody brings one
            world.keep(starts=utc(), ends=utc() + DAY)
            await anyio.sleep(400)
            assert rotation.problem() == ""


async def test_a_store_that_fails_later_is_written_as_soon_as_it_works_and_no_second_certificate_is_asked_for() -> None:
    async with land() as world, begun(world.rotation(settings=QUICK)) as rotation:
        world.store.error = LoginError("no space left", where="memory")
        await anyio.sleep(86400 * 0.95)
        assert rotation.renewed == 2
        assert kept(world.store) != rotation.identity.pair
        world.store.error = None
        await anyio.sleep(400)
        assert kept(world.store) == rotation.identity.pair
        assert world.requests == 2


async def test_cred_4_two_processes_with_one_store_share_what_one_of_them_has_renewed() -> None:
    async with (
        land(7 * DAY) as world,
        begun(world.rotation(settings=QUICK)) as first,
        begun(world.rotation(settings=QUICK)) as second,
    ):
        second.rng.seed(99)
        for _ in range(60):
            await anyio.sleep(86400)
            assert first.problem() == second.problem() == ""
        assert world.requests == first.renewed + second.renewed
        # each alone would have needed about eleven
        assert world.requests <= 14


async def test_a_bootstrap_token_that_is_revoked_right_after_the_start_is_never_missed() -> None:
    async with land() as world, begun(world.rotation(settings=QUICK)) as rotation:
        world.takes_token = False
        await anyio.sleep(10 * 86400)
        assert rotation.renewed > 10
        assert await seen(world, rotation) == [ME]


async def test_a_bootstrap_token_that_is_revoked_before_the_answer_ends_the_start_with_401() -> None:
    async with land(approves=False) as world, anyio.create_task_group() as tasks:

        async def revoke() -> None:
            await anyio.sleep(5)
            world.takes_token = False
            world.signer.approves = True
            await world.judge("Approved")

        tasks.start_soon(revoke)
        with pytest.raises(LoginError, match="401 Unauthorized"):
            await world.rotation().begin()
        assert world.store.text is None


@pytest.mark.parametrize("renews", [True, False])
async def test_a_cluster_that_knows_our_certificates_no_more_is_asked_by_the_bootstrap_way(renews: bool) -> None:
    async with land() as world, begun(world.rotation(renews=renews)) as rotation:
        former = rotation.identity.pair
        world.takes_certificates = False
        async with world.reach(rotation.identity) as client:
            with pytest.raises(Unauthorized):
                await client.list(kinds.NAMESPACE)
        await anyio.sleep(90)
        assert rotation.identity.pair != former
        asked = world.requests
        async with world.reach(rotation.identity) as client:  # still not: no storm of requests
            for _ in range(100):
                with pytest.raises(Unauthorized):
                    await client.list(kinds.NAMESPACE)
                await anyio.sleep(1)
        assert world.requests <= asked + 2


# clocks


async def test_a_wall_clock_that_jumps_forward_is_noticed_within_a_minute() -> None:
    async with land(10 * DAY) as world, begun(world.rotation()) as rotation:
        virtual().advance_utc(9 * 86400)
        await anyio.sleep(61)
        assert rotation.renewed == 2
        virtual().suspend(9 * 86400)
        await anyio.sleep(61)
        assert rotation.renewed == 3


async def test_after_every_jump_of_the_wall_clock_the_server_knows_us_again_soon() -> None:
    async with land(10 * DAY) as world, begun(world.rotation()) as rotation:
        for days in (-400, 400, 30, -30, 3650, -3650):
            virtual().advance_utc(days * 86400)
            await anyio.sleep(61)
            with suppress(Unauthorized):  # whoever is refused makes it known
                await seen(world, rotation)
            await anyio.sleep(61)
            assert await seen(world, rotation) == [ME]
        assert world.requests <= 8


async def test_our_clock_alone_that_is_ahead_stops_nothing_while_the_server_knows_better() -> None:
    async with land(10 * DAY) as world, begun(world.rotation(bootstrap=True)) as rotation:
        world.takes_token = False
        virtual().advance_utc(20 * 86400)
        world.ahead = dt.timedelta(days=-20)  # the server's clock did not move
        await anyio.sleep(61)
        assert rotation.renewed == 2


async def test_certificates_of_seconds_are_renewed_as_often_and_no_more() -> None:
    async with land(dt.timedelta(seconds=4)) as world, begun(world.rotation()) as rotation:
        await anyio.sleep(100)
        assert 100 / 4 <= rotation.renewed <= 102
        assert rotation.problem() == ""


async def test_certificates_that_are_due_as_they_come_last_for_half_of_what_is_left_of_them() -> None:
    async with land() as world:
        assert world.signer.ca is not None
        sign = world.signer.ca.sign_request

        class Backdating:
            """A signer whose certificates began ten days ago."""

            def sign_request(self, pem: str, usages: Any, *, validity: tuple[dt.datetime, dt.datetime]) -> str:
                return sign(pem, usages, validity=(validity[0] - 10 * DAY, validity[1]))

        world.signer.ca = Backdating()  # type: ignore[assignment]
        async with begun(world.rotation(settings=QUICK)) as rotation:
            await anyio.sleep(600)
            assert rotation.renewed == 1
            await anyio.sleep(10 * 86400)
            assert 19 <= rotation.renewed <= 22
            assert rotation.problem() == ""


# what is shown of it


async def test_no_log_line_and_no_error_of_a_whole_life_has_a_key_in_it(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    store = FileStore(tmp_path / "kubeconfig")
    async with land() as world:
        rotation = world.rotation(store=store, settings=QUICK)
        async with begun(rotation):
            for _ in range(3):
                await anyio.sleep(86400)
            world.signer.approves = False
            world.takes_certificates = False
            await anyio.sleep(86400)
        shown = caplog.text + repr(rotation) + repr(rotation.identity) + repr(store) + repr(rotation.identity.pair)
        text = store.path.read_text()
        store.path.write_text(text.replace("current-context", "current_context"))
        with pytest.raises(LoginError) as caught:
            await world.rotation(store=store).begin()
        shown += str(caught.value) + repr(caught.value)
        assert rotation.identity.pair is not None
        secret = rotation.identity.pair.key.decode().splitlines()[1]
        assert "BEGIN" not in shown
        assert secret not in shown
        assert text.split("client-key-data: ")[1][:40] not in shown
        assert store.path.stat().st_mode & 0o777 in (0o600, 0o644)


async def test_nothing_is_left_running_when_it_is_stopped() -> None:
    async with land() as world:
        async with begun(world.rotation()) as rotation:
            await settled()
        assert rotation.identity.on_refused is None
        assert not [task for task in asyncio.all_tasks() if task.get_name() == "source"]
