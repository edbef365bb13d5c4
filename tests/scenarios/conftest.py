"""Both generations, and two empty clusters of each."""

from collections.abc import AsyncIterator

import pytest

from apinetlet.api import GENERATIONS, Generation
from tests.scenarios.desk import Desk, desk


@pytest.fixture(params=list(GENERATIONS.values()), ids=list(GENERATIONS))
def generation(request: pytest.FixtureRequest) -> Generation:
    found: Generation = request.param
    return found


@pytest.fixture(name="desk")
async def _desk(generation: Generation) -> AsyncIterator[Desk]:
    async with desk(generation) as both:
        yield both
