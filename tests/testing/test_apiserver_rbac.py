"""Roles that decide: what goes beyond the recorded stories."""

from collections.abc import AsyncIterator

import pytest

from reconcile.testing.apiserver import ApiServer, User
from reconcile.testing.apiserver.rbac import Rbac, defaults
from tests.testing.callers import Api
from tests.testing.stories_rights import BINDINGS, LOCAL_BINDINGS, MAPS, RBAC, ROLES, binding, local, role, rule

CARL = User("carl", ("team", "system:authenticated"))


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with ApiServer(rules=Rbac()) as server:
        yield server


@pytest.fixture
def admin(server: ApiServer) -> Api:
    return Api(server.transport(), "default")


@pytest.fixture
def carl(server: ApiServer) -> Api:
    return Api(server.transport(user=CARL), "default")


async def test_a_role_that_gathers_others_has_their_rules_at_once(admin: Api) -> None:
    view = (await admin.get(f"{ROLES}/view"))["rules"]
    assert {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch"]} in view
    more = rule("get", "nets", "net.example.com")
    labels = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    await admin.made(ROLES, {**role("nets", more), "metadata": {"name": "nets", "labels": labels}})
    for name in ("view", "edit", "admin"):
        assert more in (await admin.get(f"{ROLES}/{name}"))["rules"], name
    await admin.delete(f"{ROLES}/nets")
    assert more not in (await admin.get(f"{ROLES}/admin"))["rules"]


async def test_whoever_may_bind_a_role_needs_none_of_its_rights(admin: Api, carl: Api) -> None:
    await admin.made(ROLES, role("secrets", rule("get", "secrets")))
    makers = rule("create", "rolebindings", "rbac.authorization.k8s.io")
    may_bind = rule("bind", "clusterroles", "rbac.authorization.k8s.io", resourceNames=["secrets"])
    await admin.made(ROLES, role("binders", makers, may_bind))
    await admin.made(BINDINGS, binding("binders", "binders", "carl"))
    of_all = local(binding("all", "cluster-admin", "carl"))
    refused = await carl.post(LOCAL_BINDINGS, of_all)
    assert refused.code == 403
    assert "is attempting to grant RBAC permissions not currently held" in refused["message"]
    await carl.made(LOCAL_BINDINGS, local(binding("mine", "secrets", "carl")))
    assert (await carl.get("/api/v1/namespaces/default/secrets/x")).code == 404
    assert (await carl.get("/api/v1/namespaces/kube-system/secrets/x")).code == 403


async def test_whoever_may_escalate_may_write_any_role(admin: Api, carl: Api) -> None:
    rights = rule("create update get patch escalate", "clusterroles", "rbac.authorization.k8s.io")
    await admin.made(ROLES, role("makers", rights))
    await admin.made(BINDINGS, binding("makers", "makers", "carl"))
    await carl.made(ROLES, role("big", rule("*", "*", "*")))
    assert (await carl.merge(f"{ROLES}/big", {"rules": [rule("get", "pods")]})).code == 200


async def test_an_update_of_a_role_is_held_to_the_same(admin: Api, carl: Api) -> None:
    rights = rule("create update get patch", "clusterroles", "rbac.authorization.k8s.io")
    await admin.made(ROLES, role("makers", rights, rule("get", "pods")))
    await admin.made(BINDINGS, binding("makers", "makers", "carl"))
    await carl.made(ROLES, role("small", rule("get", "pods")))
    assert (await carl.merge(f"{ROLES}/small", {"rules": [rule("get list", "pods")]})).code == 403
    assert (await carl.merge(f"{ROLES}/small", {"metadata": {"finalizers": ["a.b/c"]}})).code == 200


async def test_a_service_account_is_a_subject(server: ApiServer, admin: Api) -> None:
    await admin.made(ROLES, role("maps", rule("get", "configmaps")))
    subjects = [{"kind": "ServiceAccount", "name": "robot"}]
    await admin.made(
        LOCAL_BINDINGS, {**local(binding("maps", "maps")), "subjects": [{**subjects[0], "namespace": "default"}]}
    )
    robot = Api(server.transport(user=User("system:serviceaccount:default:robot", ())), "default")
    assert (await robot.get(f"{MAPS}/x")).code == 404
    other = Api(server.transport(user=User("system:serviceaccount:other:robot", ())), "default")
    assert (await other.get(f"{MAPS}/x")).code == 403


async def test_a_right_that_was_taken_away_is_gone_with_the_next_request(admin: Api, carl: Api) -> None:
    await admin.made(ROLES, role("maps", rule("get", "configmaps")))
    await admin.made(BINDINGS, binding("maps", "maps", "carl"))
    assert (await carl.get(f"{MAPS}/x")).code == 404
    await admin.delete(f"{BINDINGS}/maps")
    assert (await carl.get(f"{MAPS}/x")).code == 403


async def test_users_are_told_who_they_are(carl: Api) -> None:
    told = await carl.made("/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    assert told["status"]["userInfo"] == {"username": "carl", "groups": ["team", "system:authenticated"]}
    assert told.meta["creationTimestamp"]


async def test_a_token_is_reviewed_by_whoever_knows_tokens() -> None:
    known = {"good": CARL}
    async with ApiServer(authenticate=known.get) as server:
        api = Api(server.transport(), "default")
        path = "/apis/authentication.k8s.io/v1/tokenreviews"
        told = (await api.made(path, {"spec": {"token": "good"}}))["status"]
        assert (told["authenticated"], told["user"]["username"]) == (True, "carl")
        told = (await api.made(path, {"spec": {"token": "bad"}}))["status"]
        assert told == {"user": {}, "error": "invalid bearer token"}


async def test_the_first_roles_are_all_there(server: ApiServer, admin: Api) -> None:
    for plural, wanted in defaults().items():
        assert len((await admin.get(f"{RBAC}/{plural}"))["items"]) == len(wanted) > 0
