"""What is recorded of a real API server is what one of today answers; with ``RECORD=1`` it is recorded anew."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from reconcile.kube import login
from reconcile.kube.transport import HttpTransport, TransportSettings
from reconcile.testing.assets import MissingAssets
from reconcile.testing.envtest import ControlPlane
from reconcile.testing.plugin import AnyioBackend
from tests.testing.callers import Api
from tests.testing.stories import record, recorded, tell
from tests.testing.test_apiserver_recorded import BOOKS

pytestmark = [pytest.mark.real]


@pytest.fixture(scope="module")
def anyio_backend() -> AnyioBackend:
    return "asyncio", {}  # a real server lives in real time


@pytest.fixture(scope="module")
def kubeconfig() -> Iterator[Path]:
    """Without controllers: nobody else writes."""
    try:
        plane = ControlPlane.start(in_memory=True)
    except MissingAssets as missing:
        if os.environ.get("REQUIRE_REAL") == "1":
            raise
        pytest.skip(str(missing))
    with plane:
        yield plane.kubeconfig()


@pytest.fixture
async def api(kubeconfig: Path) -> AsyncIterator[Api]:
    transport = HttpTransport(login.load(kubeconfig), TransportSettings(user_agent="tester/1.0"))
    try:
        yield Api(transport, "default")
    finally:
        await transport.aclose()


@pytest.mark.parametrize("book", list(BOOKS))
async def test_what_is_recorded_is_still_true(book: str, api: Api) -> None:
    async def caller(user: str) -> Api:
        return api

    answers: dict[str, Any] = {name: await tell(story, caller) for name, story in BOOKS[book].items()}
    if os.environ.get("RECORD") == "1":
        record(book, answers)
    assert answers == recorded(book)
