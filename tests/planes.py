"""Real control planes for tests.

Without programs to start a test is skipped, and says how to get them; with REQUIRE_REAL=1 it fails instead.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from reconcile.testing.assets import MissingAssets
from reconcile.testing.envtest import ControlPlane


@contextmanager
def control_plane(**options: Any) -> Iterator[ControlPlane]:
    """``ControlPlane.start`` with its own arguments; stopped at the end."""
    try:
        plane = ControlPlane.start(**options)
    except MissingAssets as missing:
        if os.environ.get("REQUIRE_REAL") == "1":
            raise
        pytest.skip(str(missing))
    with plane:
        yield plane


@contextmanager
def lone_control_plane() -> Iterator[ControlPlane]:
    """One without controllers: nobody else writes."""
    with control_plane(in_memory=True) as plane:
        yield plane
