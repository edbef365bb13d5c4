"""Real control planes, started once for all tests that ask for them."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from apinetlet.api import GENERATIONS, Generation
from reconcile.testing.assets import CONTROLLERS
from reconcile.testing.envtest import ControlPlane
from reconcile.testing.plugin import AnyioBackend
from tests import planes
from tests.real.daemon import Place, place


@pytest.fixture(scope="session")
def anyio_backend() -> AnyioBackend:
    return "asyncio", {}  # real servers live in real time


@pytest.fixture(scope="session")
def start_control_plane() -> Iterator[Callable[..., ControlPlane]]:
    """``ControlPlane.start`` with its own arguments; stops what it started when the session ends."""
    with ExitStack() as started:
        yield lambda **options: started.enter_context(planes.control_plane(**options))


@pytest.fixture(scope="session")
def control_plane(start_control_plane: Callable[..., ControlPlane]) -> ControlPlane:
    """Audited, with garbage collection, namespaces and signing. Shared: a test keeps to a namespace of its own."""
    return start_control_plane(audited=True, controllers=CONTROLLERS)


@pytest.fixture(scope="session")
def two_control_planes(
    control_plane: ControlPlane, start_control_plane: Callable[..., ControlPlane]
) -> tuple[ControlPlane, ControlPlane]:
    """The shared one and another like it."""
    return control_plane, start_control_plane(audited=True, controllers=CONTROLLERS)


@pytest.fixture(params=GENERATIONS.values(), ids=lambda one: one.name)
def generation(request: pytest.FixtureRequest) -> Generation:
    found: Generation = request.param
    return found


@pytest.fixture
async def world(
    generation: Generation, two_control_planes: tuple[ControlPlane, ControlPlane], tmp_path: Path
) -> AsyncIterator[Place]:
    """A place of the test's own between the two, for the installed daemon."""
    async with place(generation, two_control_planes, tmp_path) as one:
        yield one
