"""Credentials stay current: files that others rotate, plugins that expire, answers that say 401."""

import asyncio
import base64
import datetime as dt
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import define, evolve

from reconcile.core.clock import now, utc
from reconcile.kube import exec_plugin
from reconcile.kube.access import ClusterAccess, Impersonation
from reconcile.kube.credentials import CredentialSettings, Grant, RenewedCredentials
from reconcile.kube.exec_plugin import PluginLogin
from reconcile.kube.kubeconfig import ExecPlugin, LoginError
from reconcile.testing.certificates import Authority
from reconcile.testing.loop import EPOCH

pytestmark = pytest.mark.pain(6)
AUTHORITY = Authority.create("ca", EPOCH)
PAIR, OTHER_PAIR = AUTHORITY.client("one"), AUTHORITY.client("two")
SETTINGS = CredentialSettings(check_interval=10, expiry_margin=60)
SECRET = "s3cr3t-that-nobody-may-see"


def credentials(**access: Any) -> RenewedCredentials:
    return RenewedCredentials(ClusterAccess("https://one", origin="config, user 'u'", **access), SETTINGS, {})


def token(grant: Grant) -> str:
    return dict(grant.headers)["authorization"].removeprefix("Bearer ")


# what a request carries


async def test_a_request_carries_what_the_access_says() -> None:
    assert (await credentials().grant()).headers == ()
    assert token(await credentials(token="t").grant()) == "t"
    basic = dict((await credentials(username="me", password="pass").grant()).headers)["authorization"]
    assert basic == "Basic " + base64.b64encode(b"me:pass").decode()


async def test_impersonation_is_sent_with_every_group_and_extra() -> None:
    other = Impersonation("admin", "u-1", ("g1", "g2"), {"Example.com/Scope": ("a", "b")})
    headers = (await credentials(token="t", impersonation=other).grant()).headers
    assert headers[1:] == (
        ("impersonate-user", "admin"),
        ("impersonate-uid", "u-1"),
        ("impersonate-group", "g1"),
        ("impersonate-group", "g2"),
        ("impersonate-extra-example.com%2Fscope", "a"),
        ("impersonate-extra-example.com%2Fscope", "b"),
    )


@pytest.mark.parametrize(
    ("access", "named"),
    [
        ({"token": f"{SECRET}\nx: y"}, "the token"),
        ({"token": "\N{SNOWMAN}"}, "the token"),
        ({"impersonation": Impersonation("a\rb")}, "user.as "),
        ({"impersonation": Impersonation("a", groups=("\n",))}, "user.as-groups"),
        ({"impersonation": Impersonation("a", extra={"x": ("\0",)})}, "user.as-user-extra"),
    ],
)
async def test_nothing_can_slip_into_the_headers(access: dict[str, Any], named: str) -> None:
    with pytest.raises(LoginError, match="no HTTP header can carry") as caught:
        await credentials(**access).grant()
    assert named in str(caught.value)
    assert SECRET not in str(caught.value)


async def test_a_server_without_tls_gets_no_context() -> None:
    plain = RenewedCredentials(ClusterAccess("http://one"), SETTINGS, {})
    assert (await plain.grant()).tls is None


# files that others rotate


async def test_a_changed_token_file_is_seen_within_the_interval_and_stripped(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    ours = credentials(token_file=file)
    before = await ours.grant()
    file.write_text(" second\n")
    assert await ours.grant() is before  # not looked at yet
    await anyio.sleep(10)
    after = await ours.grant()
    assert (token(before), token(after)) == ("first", "second")
    assert after.tls is before.tls  # connections are kept


async def test_a_token_file_that_is_swapped_by_a_link_is_seen(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
    (tmp_path / "token").symlink_to("one")
    ours = credentials(token_file=tmp_path / "token")
    assert token(await ours.grant()) == "one"
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").rename(tmp_path / "token")
    await anyio.sleep(10)
    assert token(await ours.grant()) == "two"


async def test_a_token_file_that_is_gone_or_empty_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "token"
    file.write_text("first")
    ours = credentials(token_file=file)
    before = await ours.grant()
    file.write_text("")
    for _ in range(3):
        await anyio.sleep(10)
        assert await ours.grant() is before
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "is empty" in record.getMessage()
    file.write_text("second")
    await anyio.sleep(10)
    assert token(await ours.grant()) == "second"


async def test_a_token_beside_its_file_is_used_until_the_file_is_there(tmp_path: Path) -> None:
    ours = credentials(token="spare", token_file=tmp_path / "token")
    assert token(await ours.grant()) == "spare"
    (tmp_path / "token").write_text("first")
    await anyio.sleep(10)
    assert token(await ours.grant()) == "first"


async def test_without_any_token_the_error_is_told_until_the_file_is_there(tmp_path: Path) -> None:
    ours = credentials(token_file=tmp_path / "token")
    for _ in range(3):
        with pytest.raises(LoginError, match="cannot be read: No such file"):
            await ours.grant()
    (tmp_path / "token").write_text("first")
    await anyio.sleep(10)
    assert token(await ours.grant()) == "first"


async def test_a_rotated_client_certificate_leads_to_new_connections(tmp_path: Path) -> None:
    certificate, key = tmp_path / "crt", tmp_path / "key"
    certificate.write_text(PAIR.certificate)
    key.write_text(PAIR.key)
    ours = credentials(certificate=certificate, key=key)
    before = await ours.grant()
    certificate.write_text(OTHER_PAIR.certificate)
    await anyio.sleep(10)
    assert await ours.grant() is before  # half written: the key does not fit yet
    key.write_text(OTHER_PAIR.key)
    await anyio.sleep(10)
    after = await ours.grant()
    assert after.tls is not None
    assert after.tls is not before.tls


async def test_a_file_that_was_touched_but_says_the_same_keeps_its_connections(tmp_path: Path) -> None:
    file = tmp_path / "ca"
    file.write_text(AUTHORITY.pair.certificate)
    ours = credentials(ca=file)
    before = await ours.grant()
    file.write_text(AUTHORITY.pair.certificate)
    await anyio.sleep(10)
    assert await ours.grant() is before


async def test_a_certificate_that_expired_is_told_at_the_first_request() -> None:
    old = Authority.create("old", EPOCH - dt.timedelta(days=30)).client("me")
    ours = credentials(certificate=old.certificate.encode(), key=old.key.encode())
    with pytest.raises(LoginError, match="expired at 2025-12-"):
        await ours.grant()


# plugins


@define
class Plugin:
    """Stands in for the program: answers ``login(number of the run)``."""

    login: Callable[[int], PluginLogin]
    takes: float = 0.0
    runs: int = 0

    async def run(self, *args: Any, **kwargs: Any) -> PluginLogin:
        self.runs += 1
        number = self.runs
        await anyio.sleep(self.takes)
        return self.login(number)

    def credentials(self, monkeypatch: pytest.MonkeyPatch, **access: Any) -> RenewedCredentials:
        monkeypatch.setattr(exec_plugin, "run", self.run)
        return credentials(plugin=ExecPlugin("client.authentication.k8s.io/v1", "plugin"), **access)


def lasting(seconds: float) -> Callable[[int], PluginLogin]:
    return lambda number: PluginLogin(f"t{number}", expires=utc() + dt.timedelta(seconds=seconds))


def broken(number: int) -> PluginLogin:
    raise LoginError("broken", where="config, user 'u'", remedy="repair it")


async def test_what_a_plugin_gave_is_renewed_shortly_before_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = Plugin(lasting(3600))
    ours = plugin.credentials(monkeypatch)
    assert token(await ours.grant()) == "t1"
    await anyio.sleep(3600 - 61)
    assert token(await ours.grant()) == "t1"
    await anyio.sleep(10)
    assert token(await ours.grant()) == "t2"
    assert plugin.runs == 2


async def test_what_never_expires_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = Plugin(lambda number: PluginLogin(f"t{number}"))
    ours = plugin.credentials(monkeypatch)
    for _ in range(10):
        assert token(await ours.grant()) == "t1"
        await anyio.sleep(86_400)
    assert plugin.runs == 1


async def test_many_requests_wait_for_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = Plugin(lasting(3600), takes=5)
    ours = plugin.credentials(monkeypatch)
    grants = await asyncio.gather(*(ours.grant() for _ in range(20)))
    assert {token(grant) for grant in grants} == {"t1"}
    assert plugin.runs == 1


async def test_a_slow_renewal_holds_up_nobody_who_still_has_something(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = Plugin(lasting(3600), takes=5)
    ours = plugin.credentials(monkeypatch)
    await ours.grant()
    await anyio.sleep(3570)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ours.grant)
        await anyio.sleep(1)
        began = now()
        assert token(await ours.grant()) == "t1"
        assert now() == began
    assert token(await ours.grant()) == "t2"


async def test_a_cancelled_request_leaves_the_run_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = Plugin(lasting(3600), takes=5)
    ours = plugin.credentials(monkeypatch)
    with anyio.move_on_after(1):
        await ours.grant()
    assert token(await ours.grant()) == "t2"


async def test_a_broken_plugin_is_told_but_not_run_for_every_request(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = Plugin(broken)
    ours = plugin.credentials(monkeypatch)
    for _ in range(5):
        with pytest.raises(LoginError, match=r"broken \(config, user 'u'\); repair it"):
            await ours.grant()
    assert plugin.runs == 1
    plugin.login = lasting(3600)
    await anyio.sleep(10)
    assert token(await ours.grant()) == "t2"


async def test_a_plugin_that_broke_is_forgiven_until_its_last_answer_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = Plugin(lasting(3600))
    ours = plugin.credentials(monkeypatch)
    await ours.grant()
    plugin.login = broken
    await anyio.sleep(3590)
    assert token(await ours.grant()) == "t1"
    await anyio.sleep(11)
    with pytest.raises(LoginError, match="broken"):
        await ours.grant()


async def test_a_certificate_from_a_plugin_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [PAIR, OTHER_PAIR]
    plugin = Plugin(
        lambda number: PluginLogin(
            certificate=pairs[number - 1].certificate.encode(),
            key=pairs[number - 1].key.encode(),
            expires=utc() + dt.timedelta(seconds=100),
        )
    )
    ours = plugin.credentials(monkeypatch)
    before = await ours.grant()
    await anyio.sleep(95)
    after = await ours.grant()
    assert before.headers == after.headers == ()
    assert before.tls is not after.tls


async def test_a_static_token_goes_before_a_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = Plugin(broken)
    assert token(await plugin.credentials(monkeypatch, token="static").grant()) == "static"
    assert plugin.runs == 0


def test_loops_of_several_threads_share_them(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = Plugin(lasting(3600), takes=0.05)
    ours = plugin.credentials(monkeypatch)

    async def ask() -> set[str]:
        return {token(grant) for grant in await asyncio.gather(*(ours.grant() for _ in range(5)))}

    with ThreadPoolExecutor(3) as threads:
        answers = [thread.result() for thread in [threads.submit(asyncio.run, ask()) for _ in range(3)]]
    assert set.union(*answers) <= {"t1", "t2", "t3"}


# refused by a server


async def test_a_refused_grant_is_renewed_once_for_all_who_were_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = Plugin(lambda number: PluginLogin(f"t{number}"))
    ours = plugin.credentials(monkeypatch)
    refused = await ours.grant()
    renewed = await asyncio.gather(*(ours.renew(refused) for _ in range(20)))
    assert {token(grant) for grant in renewed if grant is not None} == {"t2"}
    assert None not in renewed
    assert plugin.runs == 2


async def test_a_plugin_whose_answers_are_all_refused_is_not_run_in_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = Plugin(lambda number: PluginLogin(f"t{number}"))
    ours = plugin.credentials(monkeypatch)
    for _ in range(50):
        await ours.renew(await ours.grant())
        await anyio.sleep(1)
    assert plugin.runs <= 7


async def test_a_token_file_is_read_again_at_once_when_its_token_was_refused(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first")
    ours = credentials(token_file=file)
    refused = await ours.grant()
    file.write_text("second")
    renewed = await ours.renew(refused)
    assert renewed is not None
    assert token(renewed) == "second"


async def test_what_cannot_change_is_not_tried_again() -> None:
    ours = credentials(token="t")
    assert await ours.renew(await ours.grant()) is None


def test_a_grant_shows_no_token() -> None:
    assert SECRET not in repr(Grant((("authorization", SECRET),)))
    assert SECRET not in repr(evolve(credentials(token=SECRET), environment={"X": SECRET}))
