"""Who may do what, how a server says no, and what it tells a user about it; and what it remembers of each request."""

from typing import Any

import pytest

from reconcile.core.clock import now
from reconcile.kube.client import Client
from reconcile.kube.errors import Forbidden
from reconcile.kube.kinds import CONFIG_MAP, SECRET
from reconcile.kube.objects import ObjectKey
from reconcile.kube.patch import MergePatch
from reconcile.testing.apiserver import ApiServer, Rule, Rules, Settings, User
from tests.testing.callers import Api, a_map

ANNA = User("anna", ("readers",))
READ = Rule(("get", "list", "watch"), resources=("configmaps", "pods/log"), namespace="default")
ONE = Rule(("patch",), resources=("configmaps/status", "configmaps"), names=("hers",))
RULES = Rules({"anna": (READ, ONE)})
HERE = 'API group "" in the namespace "default"'
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def answering(server: ApiServer, user: User = ANNA) -> Api:
    return Api(server.transport(user=user), "default")


async def test_what_no_rule_allows_is_refused() -> None:
    async with ApiServer(rules=RULES) as server:
        api = answering(server)
        assert (await api.get(api.maps)).code == 200
        refused = await api.post(api.maps, a_map("a"))
        assert refused.says == (
            403,
            "Forbidden",
            'configmaps is forbidden: User "anna" cannot create resource "configmaps" in ' + HERE,
        )
        refused = await api.get(f"{api.path('secrets')}/a")
        assert refused.says[2] == 'secrets "a" is forbidden: User "anna" cannot get resource "secrets" in ' + HERE
        refused = await api.get("/api/v1/configmaps")
        assert refused.says[2].endswith('cannot list resource "configmaps" in API group "" at the cluster scope')
        assert not any(one.user == "anna" for one in server.writes())


async def test_a_rule_may_be_for_some_names_only() -> None:
    async with ApiServer(rules=RULES) as server:
        admin = Api(server.transport(), "default")
        for name in ("hers", "his"):
            await admin.map(name)
        api = answering(server)
        assert (await api.merge(f"{api.maps}/hers", {"data": {"x": "1"}})).code == 200
        assert (await api.merge(f"{api.maps}/his", {"data": {"x": "1"}})).code == 403


async def test_a_user_who_is_not_listed_may_do_everything() -> None:
    async with ApiServer(rules=RULES) as server:
        api = answering(server, User("otto"))
        assert (await api.post(api.maps, a_map("a"))).code == 201


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        ({"verb": "list", "resource": "configmaps", "namespace": "default"}, True),
        ({"verb": "list", "resource": "configmaps"}, False),
        ({"verb": "get", "resource": "pods", "subresource": "log", "namespace": "default"}, True),
        ({"verb": "get", "resource": "pods", "namespace": "default"}, False),
        ({"verb": "patch", "resource": "configmaps", "name": "hers", "namespace": "default"}, True),
        ({"verb": "list", "group": "apps", "resource": "configmaps", "namespace": "default"}, False),
    ],
    ids=str,
)
async def test_a_user_may_ask_what_it_may_do(asked: dict[str, str], allowed: bool) -> None:
    async with ApiServer(rules=RULES) as server:
        review = await answering(server).post(REVIEWS, {"spec": {"resourceAttributes": asked}})
        assert review.code == 201
        assert review["kind"] == "SelfSubjectAccessReview"
        assert review["spec"]["resourceAttributes"] == asked
        assert review["status"]["allowed"] is allowed
        review = await answering(server, User("otto")).post(REVIEWS, {"spec": {"resourceAttributes": asked}})
        assert review["status"]["allowed"] is True


async def test_a_user_may_ask_for_all_its_rules() -> None:
    async with ApiServer(rules=RULES) as server:
        path = REVIEWS.replace("access", "rules")
        review = await answering(server).post(path, {"spec": {"namespace": "default"}})
        rules: list[dict[str, Any]] = review["status"]["resourceRules"]
        assert {"verbs": list(READ.verbs), "apiGroups": [""], "resources": list(READ.resources)} in rules
        elsewhere = await answering(server).post(path, {"spec": {"namespace": "other"}})
        assert not any("pods/log" in rule["resources"] for rule in elsewhere["status"]["resourceRules"])


async def test_a_question_that_asks_nothing_is_refused() -> None:
    async with ApiServer() as server:
        assert (await answering(server).post(REVIEWS, {"spec": {}})).code == 422


async def test_the_client_is_told_as_by_a_real_server() -> None:
    async with ApiServer(rules=RULES) as server:
        client: Client = server.client(user=ANNA)
        with pytest.raises(Forbidden):
            await client.list(SECRET)


# -- what is remembered --------------------------------------------------------------------------------------------


async def test_every_request_is_remembered_and_whether_it_changed_something() -> None:
    async with ApiServer() as server:
        start = now()
        await Api(server.transport(user=User("anna"), user_agent="tool/1"), "default").map("a")
        client = server.client(user_agent="other/2")
        key = ObjectKey("default", "a")
        await client.patch(CONFIG_MAP, key, MergePatch({"data": {"x": "1"}}))
        await client.patch(CONFIG_MAP, key, MergePatch({"data": {"x": "1"}}))
        await client.patch(CONFIG_MAP, key, MergePatch({"data": {"x": "2"}}), dry_run=True)
        await client.list(CONFIG_MAP)
        await client.delete(CONFIG_MAP, key)
        await Api(server.transport(), "default").get(f"/api/v1/namespaces/default/configmaps/{key.name}")
        seen = [(one.verb, one.resource, one.key.name, one.code, one.stored) for one in server.audit]
        assert seen == [
            ("create", "configmaps", "", 201, True),
            ("patch", "configmaps", "a", 200, True),
            ("patch", "configmaps", "a", 200, False),
            ("patch", "configmaps", "a", 200, False),
            ("list", "configmaps", "", 200, False),
            ("delete", "configmaps", "a", 200, True),
            ("get", "configmaps", "a", 404, False),
        ]
        assert [(one.user, one.user_agent) for one in server.writes()] == [
            ("anna", "tool/1"),
            ("system:admin", "other/2"),
            ("system:admin", "other/2"),
        ]
        assert all(one.time == start and one.key.namespace in ("default", "") for one in server.audit)


async def test_only_the_last_requests_are_remembered() -> None:
    async with ApiServer(settings=Settings(audit=3)) as server:
        api = Api(server.transport(), "default")
        for name in "abcd":
            await api.get(f"{api.maps}/{name}")
        assert [one.key.name for one in server.audit] == list("bcd")


async def test_stored_objects_are_read_in_the_order_of_their_names() -> None:
    async with ApiServer() as server:
        api = Api(server.transport(), "default")
        for name in "ba":
            await api.map(name)
        await Api(server.transport(), "kube-system").map("c")
        assert [one.metadata.name for one in server.objects(CONFIG_MAP)] == ["a", "b", "c"]
        assert [one.metadata.name for one in server.objects(CONFIG_MAP, "kube-system")] == ["c"]
