"""Every page of the site in a real browser, narrow and wide: nothing fails, nothing is loaded from elsewhere, nothing
sticks out. Needs the site (``make docs``) and Debian's chromium."""

import contextlib
import functools
import http.server
import json
import os
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
from attrs import define, field

from reconcile.testing.plugin import AnyioBackend
from tests.shipping.snippets import ROOT

SITE = ROOT / "build" / "site"
pytestmark = pytest.mark.proof


@pytest.fixture(scope="module")
def anyio_backend() -> AnyioBackend:
    return "asyncio", {}


@define(eq=False)
class Tab:
    """One tab by the browser's debugging protocol; keeps what went wrong in it."""

    socket: aiohttp.ClientWebSocketResponse
    wrong: list[str] = field(factory=list)
    asked: list[str] = field(factory=list)
    _number: int = 0

    async def call(self, method: str, **params: Any) -> Any:
        self._number += 1
        await self.socket.send_json({"id": self._number, "method": method, "params": params})
        while (message := await self._next()).get("id") != self._number:
            pass
        return message["result"]

    async def until(self, event: str) -> None:
        while (await self._next()).get("method") != event:
            pass

    async def _next(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads((await self.socket.receive(timeout=120)).data)
        params, method = message.get("params", {}), message.get("method", "")
        if method == "Network.requestWillBeSent":
            self.asked.append(params["request"]["url"])
        elif method == "Network.loadingFailed" and not params.get("canceled"):
            self.wrong.append(f"a request failed: {params['errorText']}")
        elif method == "Network.responseReceived" and params["response"]["status"] >= 400:
            self.wrong.append(f"{params['response']['status']}: {params['response']['url']}")
        elif method == "Runtime.exceptionThrown" or (
            method == "Log.entryAdded" and params["entry"]["level"] == "error"
        ):
            self.wrong.append(json.dumps(params)[:300])
        return message


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    if shutil.which("chromium") is None or not SITE.exists():
        if os.environ.get("REQUIRE_REAL") == "1":
            raise AssertionError("needs make docs, and tools/debian-programs chromium")
        pytest.skip("needs make docs, and tools/debian-programs chromium")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(SITE)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@contextlib.asynccontextmanager
async def tab(folder: Path) -> AsyncIterator[Tab]:
    words = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
    words += [f"--user-data-dir={folder}", "about:blank"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:  # noqa: ASYNC220
        try:
            file = anyio.Path(folder) / "DevToolsActivePort"
            with anyio.fail_after(120):
                while not await file.exists() or "\n" not in await file.read_text():
                    await anyio.sleep(0.1)
            port = (await file.read_text()).splitlines()[0]
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json") as answer:
                    [page] = [one for one in await answer.json() if one["type"] == "page"]
                async with session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                    yield Tab(socket)
        finally:
            browser.terminate()


@pytest.mark.parametrize("width", [390, 1440])
async def test_every_page_is_whole_in_a_browser(address: str, width: int, tmp_path: Path) -> None:
    pages = sorted(str(one.parent.relative_to(SITE)) for one in SITE.rglob("index.html"))
    assert len(pages) > 20
    found: list[str] = []
    async with tab(tmp_path) as one:
        for domain in ("Page", "Network", "Runtime", "Log"):
            await one.call(f"{domain}.enable")
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        await one.call("Emulation.setDeviceMetricsOverride", **size)
        for page in pages:
            one.wrong.clear()
            one.asked.clear()
            await one.call("Page.navigate", url=f"{address}/{page}/")
            await one.until("Page.loadEventFired")
            measured = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            over = (await one.call("Runtime.evaluate", expression=measured))["result"]["value"]
            found += [f"{page}: {what}" for what in one.wrong]
            found += [f"{page}: asks {url}" for url in one.asked if not url.startswith((address, "data:", "blob:"))]
            found += [f"{page}: {over} px too wide"] if over > 0 else []
    assert found == []
