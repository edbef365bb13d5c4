"""The embedded API server answers what a real one answered, story by story."""

from typing import Final

import pytest

from reconcile.testing.apiserver import ADMIN, ApiServer, Rules, Settings, User
from reconcile.testing.apiserver.rbac import Rbac
from tests.testing import stories_definitions, stories_kinds, stories_policies, stories_rights, stories_rules
from tests.testing.callers import Api
from tests.testing.stories import Story, named, recorded, tell

BOOKS: Final = {
    "definitions": named(stories_definitions.stories()),
    "kinds": named(stories_kinds.stories()),
    "rules": named(stories_rules.stories()),
    "rights": named(stories_rights.stories()),
    "policies": named(stories_policies.stories()),
}
CASES: Final = [
    pytest.param(book, story, id=f"{book}: {name}") for book in BOOKS for name, story in BOOKS[book].items()
]


@pytest.mark.parametrize(("book", "story"), CASES)
async def test_the_embedded_server_tells_a_story_like_the_real_one(book: str, story: Story) -> None:
    rules = Rbac() if book == "rights" else Rules()
    async with ApiServer(settings=Settings(garbage_collection=False), rules=rules) as server:

        async def caller(name: str) -> Api:
            user = User(name, ("team", "system:authenticated")) if name else ADMIN
            return Api(server.transport(user=user, user_agent="tester/1.0"), "default")

        assert await tell(story, caller) == recorded(book)[story.name]
