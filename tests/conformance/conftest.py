"""A real control plane for this folder: nobody else writes to it, and it has the controllers that cases count on."""

import os
from collections.abc import Iterator

import pytest

from reconcile.testing.assets import CONTROLLERS, MissingAssets
from reconcile.testing.envtest import ControlPlane


@pytest.fixture(scope="session")
def real_plane() -> Iterator[ControlPlane]:
    try:
        plane = ControlPlane.start(in_memory=True, controllers=CONTROLLERS)
    except MissingAssets as missing:
        if os.environ.get("REQUIRE_REAL") == "1":
            raise
        pytest.skip(str(missing))
    with plane:
        yield plane
