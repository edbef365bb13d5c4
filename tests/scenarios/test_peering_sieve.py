"""Every story of a peered network ends the same, whatever happens to the daemon; then nothing is written.

Of every other story a sample of the worlds by the seed of the run; all of them in ``make proof``.
"""

import pytest

from reconcile.testing.plugin import Explored
from reconcile.testing.scenario import Scenario
from tests.scenarios.peering_stories import stories

ALL = stories()
IDS = [story.name for story in ALL]


@pytest.mark.parametrize("story", ALL[::2], ids=IDS[::2])
def test_a_story_of_a_peered_network_has_one_end(story: Scenario, explored: Explored) -> None:
    explored(story, sample=1)


@pytest.mark.proof
@pytest.mark.parametrize("story", ALL, ids=IDS)
def test_every_world_of_a_story_of_a_peered_network_has_that_end(story: Scenario, explored: Explored) -> None:
    explored(story)
