"""Every story of a NAT gateway ends the same, whatever happens to the daemon; then nothing is written.

A sample of the worlds by the seed of the run, and all of them in ``make proof``.
"""

import pytest

from apinetlet.api import GENERATIONS
from reconcile.testing.plugin import Explored
from reconcile.testing.scenario import Scenario
from tests.scenarios.gateway_stories import stories

ALL = [(generation, story) for generation in GENERATIONS.values() for story in stories(generation)]
IDS = [f"{generation.name}: {story.name}" for generation, story in ALL]


@pytest.mark.parametrize("story", [story for _, story in ALL], ids=IDS)
def test_a_story_of_a_nat_gateway_has_one_end(story: Scenario, explored: Explored) -> None:
    explored(story, sample=1)


@pytest.mark.proof
@pytest.mark.parametrize("story", [story for _, story in ALL], ids=IDS)
def test_every_world_of_a_story_of_a_nat_gateway_has_that_end(story: Scenario, explored: Explored) -> None:
    explored(story)
