"""What every test shares: virtual time, nothing left behind, and how hard hypothesis tries.

A module that needs real sockets or threads overrides ``anyio_backend`` with ``("asyncio", {})``.
"""

import ast
import gc
import os
import sys
from typing import Any

import pytest
from hypothesis import settings

from reconcile.testing.plugin import AnyioBackend

settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("ci", settings.get_profile("default"), max_examples=300)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


if sys.version_info < (3, 12):
    _parse = ast.parse

    def _parsed_in_one_go(*args: Any, **options: Any) -> Any:
        """Until 3.12 the collector may come in the middle. If what it runs then parses too (a traceback is parsed when
        it is shown), or lets a thread go on that does, both fail: "AST constructor recursion depth mismatch"."""
        was_enabled = gc.isenabled()
        gc.disable()
        try:
            return _parse(*args, **options)
        finally:
            if was_enabled:
                gc.enable()

    ast.parse = _parsed_in_one_go


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", action="store_true", help="put what the real server answers on record")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Drawn worlds are the same on every Python: one version tells them."""
    for item in items:
        if {"explored", "world_seed"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def anyio_backend(virtual_time: AnyioBackend) -> AnyioBackend:
    return virtual_time


@pytest.fixture(autouse=True)
def _nothing_left_behind(no_leaked_tasks: None) -> None:
    pass
