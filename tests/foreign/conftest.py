"""Real control planes, as ``tests/real`` has them."""

from tests.real.conftest import control_plane, start_control_plane

__all__ = ["control_plane", "start_control_plane"]
