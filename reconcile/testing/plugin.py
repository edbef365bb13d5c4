"""Pytest fixtures of the testing kit.

Loaded by pytest itself once the distribution is installed, so it imports little and forces nothing on anyone: a test
suite opts in from its ``conftest.py``, by fixtures that ask for these ::

    @pytest.fixture
    def anyio_backend(virtual_time: AnyioBackend) -> AnyioBackend:
        return virtual_time

    @pytest.fixture(autouse=True)
    def _nothing_left_behind(no_leaked_tasks: None) -> None: ...
"""

import asyncio
import random
from collections.abc import Iterator
from typing import Any, TypeAlias

import pytest

AnyioBackend: TypeAlias = tuple[str, dict[str, Any]]

_SEED: pytest.StashKey[int] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("reconcile")
    group.addoption("--world-seed", type=int, help="the seed that tests draw their random worlds from; printed on top")
    group.addoption("--loop-seed", type=int, help="run ready tasks in an order drawn from this seed, not in turn")


def pytest_configure(config: pytest.Config) -> None:
    seed = config.getoption("--world-seed")
    # the workers of a distributed run must draw from the seed that the header shows
    inherited = getattr(config, "workerinput", {}).get("world_seed")
    config.stash[_SEED] = next(s for s in (inherited, seed, random.SystemRandom().getrandbits(32)) if s is not None)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["world_seed"] = node.config.stash[_SEED]


def pytest_report_header(config: pytest.Config) -> str:
    return f"reconcile: --world-seed={config.stash[_SEED]}"


@pytest.fixture(scope="session")
def world_seed(request: pytest.FixtureRequest) -> int:
    """The seed of this run, for tests that draw random worlds; the header prints it, ``--world-seed`` repeats it."""
    return request.config.stash[_SEED]


@pytest.fixture(scope="session")
def virtual_time(request: pytest.FixtureRequest) -> AnyioBackend:
    """An ``anyio_backend`` on virtual time; every loop starts at zero."""
    from reconcile.testing.loop import new_loop

    seed = request.config.getoption("--loop-seed")
    return "asyncio", {"loop_factory": lambda: new_loop(seed)}


@pytest.fixture
def no_leaked_tasks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails a test whose loop, on any clock, still had tasks when it was closed: each is named with its place.

    A loop that fixtures of a wider scope keep open is not looked at.
    """
    from reconcile.core.stacks import task_line

    leaked: list[str] = []
    cancel_all = asyncio.runners._cancel_all_tasks  # type: ignore[attr-defined]

    def note_and_cancel_all(loop: asyncio.AbstractEventLoop) -> None:
        leaked.extend(task_line(task) for task in asyncio.all_tasks(loop) if not _is_of_anyio(task))
        cancel_all(loop)

    # the only moment at which the loop has ended its work and the tasks still stand where they were left
    monkeypatch.setattr(asyncio.runners, "_cancel_all_tasks", note_and_cancel_all)
    yield
    if leaked:
        pytest.fail("tasks left behind:\n  " + "\n  ".join(sorted(leaked)), pytrace=False)


def _is_of_anyio(task: asyncio.Task[Any]) -> bool:
    return getattr(task.get_coro(), "__qualname__", "").startswith("TestRunner.")
