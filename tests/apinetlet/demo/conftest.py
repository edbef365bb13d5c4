"""Both servers of the demo, in both generations."""

from collections.abc import AsyncIterator

import pytest

from apinetlet.api import GENERATIONS, Generation
from tests.apinetlet.demo.servers import Server, apinet_server, source_server


@pytest.fixture(params=list(GENERATIONS.values()), ids=list(GENERATIONS))
def generation(request: pytest.FixtureRequest) -> Generation:
    found: Generation = request.param
    return found


@pytest.fixture
async def apinet(generation: Generation) -> AsyncIterator[Server]:
    """An api-net server with four addresses of each family."""
    async with apinet_server(generation) as server:
        yield server


@pytest.fixture
async def source(generation: Generation) -> AsyncIterator[Server]:
    async with source_server(generation) as server:
        yield server
