"""A real control plane for this folder: nobody else writes to it, and it has the controllers that cases count on."""

from collections.abc import Iterator

import pytest

from reconcile.testing.assets import CONTROLLERS
from reconcile.testing.envtest import ControlPlane
from tests.planes import control_plane


@pytest.fixture(scope="session")
def real_plane() -> Iterator[ControlPlane]:
    with control_plane(in_memory=True, controllers=CONTROLLERS) as plane:
        yield plane
