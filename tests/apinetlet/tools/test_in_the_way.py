"""Tools that cannot do what they are asked: without rights, and without servers."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest

from apinetlet import cli
from tools.walk import CONFIG, stage

ASKING = {
    "plan": [],
    "explain": ["Network", "default/blue"],
    "drain": ["--yes"],
    "rbac": ["--generation=auto"],
}
DEAD = """\
{apiVersion: v1, kind: Config, current-context: a, contexts: [{name: a, context: {cluster: a, user: a}}],
 clusters: [{name: a, cluster: {server: 'http://127.0.0.1:1'}}], users: [{name: a, user: {token: t}}]}
"""


@pytest.fixture
def anyio_backend() -> Any:
    return "asyncio", {}  # over sockets


@contextmanager
def answering(body: bytes) -> Iterator[str]:
    """A server that answers everything with ``body``, and means success; its address."""

    class Same(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Same) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


async def test_without_rights_each_tool_says_in_one_line_which_right_is_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with stage() as on:
        for word in ("plan", "explain", "drain"):
            words = [word, *ASKING[word], f"--config={on.folder / CONFIG}"]
            assert await anyio.to_thread.run_sync(cli.main, words) == 1
            out, err = capsys.readouterr()
            assert out == ""
            assert err.count("\n") == 1
            assert ".ironcore.dev" in err, err
            assert any(verb in err for verb in ("cannot list", "add the rule")), err
        words = ["check", f"--config={on.folder / CONFIG}"]
        assert await anyio.to_thread.run_sync(cli.main, words) == 1
        out, err = capsys.readouterr()
        assert err == ""
        assert out.count("missing: ") >= 20


@pytest.mark.parametrize("word", ASKING)
def test_against_a_dead_server_each_tool_says_so_in_one_line(
    word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(DEAD)
    words = [word, *ASKING[word], "--api-net-namespace=x", f"--kubeconfig={file}", f"--api-net-kubeconfig={file}"]
    assert cli.main(words) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("apinetlet: the source cluster does not answer")
    assert err.count("\n") == 1


@pytest.mark.parametrize("body", [b"<html>log in</html>", b"[]", b"null"], ids=["a page", "a list", "nothing"])
def test_what_answers_and_is_no_api_server_is_a_finding(
    body: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "kubeconfig"
    with answering(body) as address:
        file.write_text(DEAD.replace("127.0.0.1:1", address))
        words = ["--api-net-namespace=x", f"--kubeconfig={file}", f"--api-net-kubeconfig={file}", "-o=json"]
        assert cli.main(["check", *words]) == 1
    out, err = capsys.readouterr()
    assert err == ""
    problems = [one["what"] for one in json.loads(out)["findings"] if one["about"] == "server"]
    assert len(problems) == 2
    assert all("/version: not" in one for one in problems), problems
