"""What is recorded of a real API server is what one of today answers; with ``RECORD=1`` it is recorded anew."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from reconcile.kube import login
from reconcile.kube.transport import HttpTransport, TransportSettings
from reconcile.testing.plugin import AnyioBackend
from tests.planes import lone_control_plane
from tests.testing.callers import Api
from tests.testing.stories import record, recorded, tell
from tests.testing.test_apiserver_recorded import BOOKS

pytestmark = [pytest.mark.real]


@pytest.fixture(scope="module")
def anyio_backend() -> AnyioBackend:
    return "asyncio", {}  # a real server lives in real time


@pytest.fixture(scope="module")
def kubeconfigs() -> Iterator[dict[str, Path]]:
    """Without controllers: nobody else writes."""
    with lone_control_plane() as plane:
        users = {name: plane.kubeconfig(name, groups=("team",)) for name in ("anna", "bert", "carl")}
        yield {"": plane.kubeconfig(), **users}


@pytest.fixture
async def apis(kubeconfigs: dict[str, Path]) -> AsyncIterator[dict[str, Api]]:
    async with AsyncExitStack() as stack:
        found = {}
        for name, path in kubeconfigs.items():
            transport = HttpTransport(login.load(path), TransportSettings(user_agent="tester/1.0"))
            stack.push_async_callback(transport.aclose)
            found[name] = Api(transport, "default")
        yield found


@pytest.mark.parametrize("book", list(BOOKS))
async def test_what_is_recorded_is_still_true(book: str, apis: dict[str, Api]) -> None:
    async def caller(user: str) -> Api:
        return apis[user]

    answers: dict[str, Any] = {name: await tell(story, caller) for name, story in BOOKS[book].items()}
    if os.environ.get("RECORD") == "1":
        record(book, answers)
    assert answers == recorded(book)
