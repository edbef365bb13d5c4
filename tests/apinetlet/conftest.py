"""The logging of the process is as it was after each test, for the command line configures it."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root, noisy = logging.getLogger(), [logging.getLogger(name) for name in ("asyncio", "aiohttp")]
    handlers, levels = root.handlers[:], [one.level for one in (root, *noisy)]
    yield
    root.handlers[:] = handlers
    for logger, level in zip((root, *noisy), levels, strict=True):
        logger.setLevel(level)
