"""The terminal walk of docs/operations.md is what the tools print today."""

import re
from typing import Any

import pytest

from apinetlet import tools
from tools import walk


@pytest.fixture
def anyio_backend() -> Any:
    return "asyncio", {}  # the tools reach the servers over sockets


async def test_the_walk_in_the_page_is_what_the_tools_print() -> None:
    page = walk.shown(walk.PAGE.read_text())
    takes = await walk.recorded()
    assert _by_lines(walk.told(takes)) == _by_lines(page), "run tools/walk.py --write"
    shown = {take.command.split()[1] for take in takes}
    assert {"check", "rbac", "explain", "plan", "top", "drain"} <= shown <= set(tools.TOOLS)


def _by_lines(text: str) -> list[str]:
    """Without the width of columns, which follows from what was made alike."""
    return [re.sub(" +", " ", line).rstrip() for line in text.splitlines()]
