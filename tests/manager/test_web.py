"""The web server on real sockets: what it answers, what it refuses, and that nothing stays behind."""

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
import trustme

from reconcile.manager import web
from reconcile.manager.certificate import Certificate
from reconcile.manager.web import Address, Call, CannotListen, Reply, WebServer
from reconcile.testing.plugin import AnyioBackend

LOCAL = Address("127.0.0.1", 0)


@pytest.fixture(scope="module")
def anyio_backend() -> AnyioBackend:
    return "asyncio", {}


async def echo(call: Call) -> Reply:
    return Reply(f"{call.rest} {dict(call.query)}".encode())


async def broken(_: Call) -> Reply:
    raise RuntimeError("a secret")


@asynccontextmanager
async def running(server: WebServer) -> AsyncIterator[str]:
    async with anyio.create_task_group() as group:
        await group.start(lambda *, task_status: server.run(task_status=task_status))
        assert server.bound is not None
        yield f"{'https' if server.tls else 'http'}://localhost:{server.bound.port}"
        group.cancel_scope.cancel()


async def fetch(url: str, method: str = "GET", **options: Any) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.request(method, url, **options) as response:
        return response.status, await response.text()


async def logged(caplog: pytest.LogCaptureFixture, text: str) -> None:
    for _ in range(500):
        if text in caplog.text:
            return
        await anyio.sleep(0.01)
    pytest.fail(f"{text!r} was never logged")


class TestAddress:
    @pytest.mark.parametrize(
        ("text", "address"),
        [
            (":8081", Address("", 8081)),
            ("127.0.0.1:0", Address("127.0.0.1", 0)),
            ("localhost:65535", Address("localhost", 65535)),
            ("[::]:8081", Address("::", 8081)),
            ("[fe80::1%eth0]:80", Address("fe80::1%eth0", 80)),
            ("0", None),
            ("", None),
        ],
    )
    def test_addresses_are_read_as_go_writes_them(self, text: str, address: Address | None) -> None:
        assert Address.parse(text) == address
        assert address is None or str(address) == text

    @pytest.mark.parametrize("text", ["8081", ":", "localhost", "::1:80", ":65536", "http://x:80", "a b:80", ":80 "])
    def test_anything_else_is_refused_with_the_text(self, text: str) -> None:
        with pytest.raises(ValueError, match="is no address to listen on") as caught:
            Address.parse(text)
        assert repr(text) in str(caught.value)


async def test_the_longest_route_that_fits_answers_with_the_rest_and_the_query() -> None:
    async with running(WebServer("test", LOCAL, {"/a": echo, "/a/b": echo})) as url:
        assert await fetch(f"{url}/a?x=1&x=2&y") == (200, " {'x': '1,2', 'y': ''}")
        assert await fetch(f"{url}/a/c/d") == (200, "c/d {}")
        assert await fetch(f"{url}/a/b/c") == (200, "c {}")
        assert await fetch(f"{url}/ab") == (404, "there are: /a, /a/b\n")


async def test_it_only_answers_questions() -> None:
    async with running(WebServer("test", LOCAL, {"/a": echo})) as url:
        assert (await fetch(f"{url}/a", "POST"))[0] == 405
        assert await fetch(f"{url}/a", "HEAD") == (200, "")


async def test_a_page_that_fails_tells_the_log_and_not_the_reader(caplog: pytest.LogCaptureFixture) -> None:
    async with running(WebServer("test", LOCAL, {"/": broken})) as url:
        assert await fetch(url) == (500, "this page failed; the log says why\n")
    assert "a secret" in caplog.text


@pytest.mark.pain(33)
async def test_when_it_is_stopped_the_port_is_free_again() -> None:
    server = WebServer("test", LOCAL, {"/": echo})
    async with running(server) as url, aiohttp.ClientSession() as session:
        (await session.get(url)).close()  # leaves a connection open
        port = server.bound.port if server.bound else 0
    assert server.bound is None
    with socket.create_server(("127.0.0.1", port)):
        pass


async def test_an_address_in_use_is_named_with_the_setting_to_change() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = WebServer("probes", Address("127.0.0.1", port), {}, "--health-probe-bind-address")
        with pytest.raises(CannotListen) as caught:
            await server.run()
    assert str(caught.value) == (
        f"probes: cannot listen on 127.0.0.1:{port}: the address is in use; change --health-probe-bind-address"
    )


async def test_an_address_that_is_not_of_this_machine_is_refused_with_the_reason() -> None:
    with pytest.raises(CannotListen, match=r"cannot listen on 192\.0\.2\.1:80: .+; change the address"):
        await WebServer("probes", Address("192.0.2.1", 80), {}).run()


class TestTls:
    @staticmethod
    def renew(authority: trustme.CA, folder: Path, *names: str) -> Certificate:
        issued = authority.issue_cert(*names)
        (folder / "tls.crt").write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
        (folder / "tls.key").write_bytes(issued.private_key_pem.bytes())
        return Certificate(folder / "tls.crt", folder / "tls.key")

    async def test_a_renewed_certificate_is_taken_up_without_a_restart(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(web, "LOOKING", 0.02)
        caplog.set_level("INFO")
        authority, trusting = trustme.CA(), ssl.create_default_context()
        authority.configure_trust(trusting)
        certificate = self.renew(authority, tmp_path, "other.example")
        async with running(WebServer("metrics", LOCAL, {"/": echo}, tls=certificate)) as url:
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await fetch(url, ssl=trusting)
            (tmp_path / "tls.key").write_text("half written")
            await logged(caplog, "certificate not read again")
            self.renew(authority, tmp_path, "localhost")
            await logged(caplog, "certificate read again")
            assert await fetch(url, ssl=trusting) == (200, " {}")

    async def test_while_only_one_of_the_two_files_is_renewed_the_former_certificate_is_shown(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(web, "LOOKING", 0.02)
        caplog.set_level("INFO")
        authority, trusting = trustme.CA(), ssl.create_default_context()
        authority.configure_trust(trusting)
        certificate = self.renew(authority, tmp_path, "localhost")
        async with running(WebServer("metrics", LOCAL, {"/": echo}, tls=certificate)) as url:
            key = (tmp_path / "tls.key").read_bytes()
            self.renew(authority, tmp_path, "localhost")
            renewed = (tmp_path / "tls.key").read_bytes()
            (tmp_path / "tls.key").write_bytes(key)
            await logged(caplog, "certificate not read again")
            assert await fetch(url, ssl=trusting) == (200, " {}")
            (tmp_path / "tls.key").write_bytes(renewed)
            await logged(caplog, "certificate read again")
            assert await fetch(url, ssl=trusting) == (200, " {}")

    async def test_an_unusable_certificate_stops_the_start_and_names_the_files(self, tmp_path: Path) -> None:
        missing = Certificate(tmp_path / "tls.crt", tmp_path / "tls.key")
        with pytest.raises(CannotListen, match=r"tls\.crt and .*tls\.key are unusable: No such file") as caught:
            await WebServer("metrics", LOCAL, {}, "--metrics-cert-path", missing).run()
        assert "change --metrics-cert-path" in str(caught.value)
