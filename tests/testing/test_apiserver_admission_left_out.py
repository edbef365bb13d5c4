"""What definitions, rules, rights and admission knowingly do otherwise than on a real server."""

from typing import Any

import pytest

from reconcile.testing.apiserver import ApiServer
from reconcile.testing.apiserver.calling import Caller
from tests.testing.callers import DEFINITIONS, Api, a_map
from tests.testing.stories_definitions import TEXT, with_field
from tests.testing.stories_policies import BINDINGS, MAPS, POLICIES, binding, policy
from tests.testing.stories_rules import ruled
from tests.testing.test_apiserver_webhooks import URL, VALIDATING, answer, configuration, hook


@pytest.fixture
def api(server: ApiServer) -> Api:
    return Api(server.transport(), "default")


async def test_what_a_rule_may_cost_is_not_estimated_but_stopped_when_it_runs(api: Api) -> None:
    texts = {"type": "array", "items": TEXT}
    rule = ruled("self.all(a, self.all(b, self.all(c, a != b || b != c || a == c)))")
    body = with_field({**texts, **rule})
    assert (await api.post(DEFINITIONS, body)).code == 201
    many = [f"text-{number}" for number in range(300)]
    case = {"apiVersion": "case.example.com/v1", "kind": "Case", "metadata": {"name": "a"}, "f": many}
    refused = await api.post("/apis/case.example.com/v1/namespaces/default/cases", case)
    assert refused.code == 422
    assert "call cost exceeds limit for rule" in refused["message"]


async def test_a_default_is_not_held_against_the_rules_of_its_schema(api: Api) -> None:
    body = with_field({**TEXT, "default": "x", **ruled("self != 'x'")})
    assert (await api.post(DEFINITIONS, body)).code == 201


async def test_a_call_with_too_few_arguments_is_taken_for_one_of_an_unknown_function(api: Api) -> None:
    refused = await api.post(DEFINITIONS, with_field({**TEXT, **ruled("self.startsWith()")}))
    assert "undeclared reference to 'startsWith'" in refused["message"]


async def test_policies_cannot_ask_what_the_user_may_do(api: Api) -> None:
    asks = "authorizer.group('').resource('pods').check('get').allowed()"
    refused = await api.post(POLICIES, policy("x", asks))
    assert refused.code == 422
    assert "undeclared reference to 'authorizer'" in refused["message"]


async def test_an_unknown_variable_of_a_policy_is_found_out_when_it_is_used(api: Api) -> None:
    await api.made(POLICIES, policy("x", "variables.nothing == 1"))
    await api.made(BINDINGS, binding("x"))
    assert "no such key: nothing" in (await api.post(MAPS, a_map("x")))["message"]


async def test_policies_that_change_objects_are_not_taken(api: Api) -> None:
    body = {"metadata": {"name": "x"}, "spec": {"mutations": []}}
    refused = await api.post(POLICIES.replace("validating", "mutating"), body)
    assert refused.says[:2] == (501, "NotImplemented")


async def test_what_the_server_itself_writes_is_not_shown_to_webhooks() -> None:
    seen: list[Any] = []

    def watch(review: dict[str, Any]) -> dict[str, Any]:
        seen.append(review["request"]["operation"])
        return answer(review)

    async with ApiServer(webhooks=Caller({URL: watch})) as server:
        api = Api(server.transport(), "default")
        await api.made(VALIDATING, configuration("v", hook()))
        owner = await api.map("owner")
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.meta["uid"]}
        await api.map("owned", ownerReferences=[reference])
        await api.delete(f"{api.maps}/owner")
        server.collect_garbage()
        assert (await api.get(f"{api.maps}/owned")).code == 404
    assert seen == ["CREATE", "CREATE", "DELETE"]
