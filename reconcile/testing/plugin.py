"""Pytest fixtures of the testing kit.

Loaded by pytest itself once the distribution is installed, so it imports little and forces nothing on anyone: a test
suite opts in from its ``conftest.py``, by fixtures that ask for these ::

    @pytest.fixture
    def anyio_backend(virtual_time: AnyioBackend) -> AnyioBackend:
        return virtual_time

    @pytest.fixture(autouse=True)
    def _nothing_left_behind(no_leaked_tasks: None) -> None: ...

``apiserver``, ``client``, ``kubeconfig`` and ``world`` (``servers.py``) give a test a whole API server. A test that
tells a scenario in all its worlds (``explore.py``) asks for ``explored``. What it told is summed up at the end of the
run, with the seed and the command that repeat it; ``--world`` tells one world alone.
"""

import asyncio
import gc
import os
import random
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import pytest

if TYPE_CHECKING:
    from reconcile.testing.explore import Exploration
    from reconcile.testing.scenario import Scenario

pytest_plugins = ("reconcile.testing.servers",)
AnyioBackend: TypeAlias = tuple[str, dict[str, Any]]

_SEED: pytest.StashKey[int] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("reconcile")
    group.addoption("--world-seed", type=int, help="the seed that tests draw their random worlds from; printed on top")
    group.addoption("--world", default="", help="of every scenario, tell only the world of that id, if it has one")
    group.addoption("--loop-seed", type=int, help="run ready tasks in an order drawn from this seed, not in turn")


def pytest_configure(config: pytest.Config) -> None:
    seed = config.getoption("--world-seed")
    # the workers of a distributed run must draw from the seed that the header shows
    inherited = getattr(config, "workerinput", {}).get("world_seed")
    from_outside = int(os.environ["SEED"]) if os.environ.get("SEED") else None
    drawn = random.SystemRandom().getrandbits(32)
    config.stash[_SEED] = next(one for one in (inherited, seed, from_outside, drawn) if one is not None)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["world_seed"] = node.config.stash[_SEED]


def pytest_report_header(config: pytest.Config) -> str:
    return f"reconcile: --world-seed={config.stash[_SEED]}"


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Sum up the tests that told of worlds, by ``record_property("worlds", number)``; with ``-rA`` also one by one."""
    reports = [one for outcome in ("passed", "failed") for one in terminalreporter.getreports(outcome)]
    told = [(dict(one.user_properties), one.duration) for one in reports if "worlds" in dict(one.user_properties)]
    if not told:
        return
    terminalreporter.section("worlds")
    if "A" in config.option.reportchars:
        for facts, _ in told:
            terminalreporter.write_line(str(facts.get("told", "")))
    worlds, seconds = sum(facts["worlds"] for facts, _ in told), sum(duration for _, duration in told)
    terminalreporter.write_line(f"{worlds} worlds told by {len(told)} tests in {seconds:.0f} s")
    terminalreporter.write_line(f"seed {config.stash[_SEED]}: {' '.join(['pytest', *config.invocation_params.args])}")


@pytest.fixture(scope="session")
def world_seed(request: pytest.FixtureRequest) -> int:
    """The seed of this run, for tests that draw random worlds; the header prints it.

    It comes from ``--world-seed``, else from the environment variable ``SEED``, else from chance.
    """
    return request.config.stash[_SEED]


class Explored(Protocol):
    """Tells a scenario in all its worlds, or in a ``sample`` of them drawn by the seed of the run, and checks each."""

    def __call__(
        self, scenario: "Scenario", patterns: tuple[str, ...] = (), *, sample: int | None = None
    ) -> "Exploration": ...


@pytest.fixture
def explored(
    request: pytest.FixtureRequest, world_seed: int, record_property: Callable[[str, object], None]
) -> Explored:
    """``explored(scenario, sample=20)`` in a test that is not async: each world has a loop of its own."""
    from reconcile.testing.explore import PATTERNS, explore

    only = request.config.getoption("--world")

    def tell(scenario: "Scenario", patterns: tuple[str, ...] = (), *, sample: int | None = None) -> "Exploration":
        # what was there before is no garbage of a world, and to look through all of it takes a fifth of the time
        gc.freeze()
        try:
            exploration = explore(scenario, patterns or tuple(PATTERNS), sample=sample, seed=world_seed, only=only)
            try:
                return exploration.check()
            finally:
                record_property("worlds", exploration.played)
                record_property("told", str(exploration))
        finally:
            gc.unfreeze()

    return tell


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
