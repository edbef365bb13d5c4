"""Rights told from declarations: what RBAC has to grant, no more and no less."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconcile.kube.kinds import CONFIG_MAP, CRD, LEASE, POD
from reconcile.kube.request import RequestInfo
from reconcile.kube.resource import Resource
from reconcile.manager.rbac import Rule, Writes, lacking, leading, merged, recording, roles, table, used, watching

NETWORK = Resource.untyped("networking.ironcore.dev/v1alpha1", "Network", "networks")
GROUP = "networking.ironcore.dev"


@pytest.mark.pain(10)
def test_a_watched_kind_needs_get_list_and_watch_in_each_of_its_namespaces() -> None:
    assert watching("home", POD, ("a", "b")) == [
        Rule("home", "a", "", "pods", ("get", "list", "watch")),
        Rule("home", "b", "", "pods", ("get", "list", "watch")),
    ]
    assert watching("home", POD) == [Rule("home", "", "", "pods", ("get", "list", "watch"))]


def test_a_kind_without_namespaces_needs_its_rights_everywhere() -> None:
    [rule] = watching("home", CRD, ("a",))
    assert rule.namespace == ""


@pytest.mark.pain(10)
def test_an_apply_may_create_the_object_but_not_its_status() -> None:
    main, status = Writes("home", NETWORK, ("apply",), ("", "status")).rules()
    assert main == Rule("home", "", GROUP, "networks", ("create", "patch"))
    assert status == Rule("home", "", GROUP, "networks/status", ("patch",))


def test_writes_are_needed_where_the_kind_is_watched_unless_they_say_where() -> None:
    writes = Writes("home", NETWORK, ("patch",))
    assert [rule.namespace for rule in writes.rules(("a", "b"))] == ["a", "b"]
    elsewhere = Writes("home", NETWORK, ("patch",), namespaces=("c",))
    assert [rule.namespace for rule in elsewhere.rules(("a", "b"))] == ["c"]


def test_verbs_are_kept_once_and_in_the_order_in_which_people_write_them() -> None:
    assert Rule("home", "", "", "pods", ("watch", "patch", "get", "get", "escalate")).verbs == (
        "get",
        "watch",
        "patch",
        "escalate",
    )


def test_rules_for_one_place_are_merged_and_what_holds_everywhere_is_not_repeated() -> None:
    rules = [
        Rule("home", "", "", "pods", ("get",)),
        Rule("home", "", "", "pods", ("list",)),
        Rule("home", "a", "", "pods", ("get", "delete")),
        Rule("home", "b", "", "pods", ("get",)),
    ]
    assert merged(rules) == (
        Rule("home", "", "", "pods", ("get", "list")),
        Rule("home", "a", "", "pods", ("delete",)),
    )


def test_manifests_come_by_cluster_with_one_role_for_each_namespace() -> None:
    rules = [
        *watching("source", NETWORK),
        *Writes("source", NETWORK, ("patch",), ("", "status")).rules(),
        *recording("source").rules(),
        leading("source", "system"),
        *watching("target", CONFIG_MAP, ("apinet",)),
    ]
    assert roles(rules, "netlet") == {
        "source": (
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRole",
                "metadata": {"name": "netlet"},
                "rules": [
                    {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]},
                    {"apiGroups": [GROUP], "resources": ["networks"], "verbs": ["get", "list", "watch", "patch"]},
                    {"apiGroups": [GROUP], "resources": ["networks/status"], "verbs": ["patch"]},
                ],
            },
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "Role",
                "metadata": {"name": "netlet", "namespace": "system"},
                "rules": [
                    {
                        "apiGroups": [LEASE.group],
                        "resources": ["leases"],
                        "verbs": ["get", "watch", "create", "update"],
                    }
                ],
            },
        ),
        "target": (
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "Role",
                "metadata": {"name": "netlet", "namespace": "apinet"},
                "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}],
            },
        ),
    }


def test_resources_that_need_the_same_verbs_share_a_rule() -> None:
    [role] = roles([*watching("home", POD), *watching("home", CONFIG_MAP)], "x")["home"]
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["configmaps", "pods"], "verbs": ["get", "list", "watch"]}
    ]


def test_a_rule_says_what_to_add_as_a_manifest_would() -> None:
    rule = Rule("home", "a", GROUP, "networks/status", ("patch", "get"))
    assert rule.to_add == f'{{apiGroups: ["{GROUP}"], resources: ["networks/status"], verbs: ["get", "patch"]}}'
    assert str(rule) == f"get, patch networks.{GROUP}/status in namespace a of home"


def test_the_table_is_aligned_and_has_a_head() -> None:
    assert table([*watching("home", POD), leading("home", "system")]).splitlines() == [
        "CLUSTER  NAMESPACE  GROUP                RESOURCE  VERBS",
        'home     *          ""                   pods      get,list,watch',
        "home     system     coordination.k8s.io  leases    get,watch,create,update",
    ]


def test_a_right_on_one_object_names_it_and_is_not_repeated_where_all_are_granted() -> None:
    one = Rule("home", "a", "", "secrets", ("get", "patch"), "ours")
    assert merged([one, Rule("home", "a", "", "secrets", ("get",))]) == (
        Rule("home", "a", "", "secrets", ("get",)),
        Rule("home", "a", "", "secrets", ("patch",), "ours"),
    )
    assert lacking([Rule("home", "a", "", "secrets", ("get",), "theirs")], [one]) != ()
    [role] = roles([one], "x")["home"]
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["ours"], "verbs": ["get", "patch"]}
    ]
    assert one.to_add.endswith('verbs: ["get", "patch"], resourceNames: ["ours"]}')
    assert str(one) == "get, patch secrets ours in namespace a of home"
    assert table([one]).splitlines()[1].split() == ["home", "a", '""', "secrets", "ours", "get,patch"]


def test_a_right_that_was_used_and_not_declared_is_found() -> None:
    declared = [*watching("home", NETWORK, ("a",)), *Writes("home", NETWORK, ("patch",), ("status",)).rules(("a",))]
    fine = used("home", RequestInfo("patch", GROUP, "v1", "networks", "a", "blue", "status"))
    other = used("home", RequestInfo("patch", GROUP, "v1", "networks", "a", "blue"))
    abroad = used("home", RequestInfo("list", GROUP, "v1", "networks", "b"))
    assert lacking([fine, other, abroad], declared) == (
        Rule("home", "a", GROUP, "networks", ("patch",)),
        Rule("home", "b", GROUP, "networks", ("list",)),
    )


places = st.builds(
    Rule,
    st.sampled_from(["home", "away"]),
    st.sampled_from(["", "a", "b"]),
    st.just(""),
    st.sampled_from(["pods", "nodes"]),
    st.lists(st.sampled_from(["get", "list", "patch"]), min_size=1).map(tuple),
    st.sampled_from(["", "x", "y"]),
)


@settings(max_examples=50)
@given(st.lists(places))
def test_merging_neither_adds_nor_drops_a_right(rules: list[Rule]) -> None:
    once = merged(rules)
    assert lacking(rules, once) == ()
    assert lacking(once, rules) == ()
    assert merged(once) == once


@settings(max_examples=50)
@given(st.lists(places), st.lists(places))
def test_what_is_lacking_is_all_that_has_to_be_added_and_nothing_that_is_there(
    needed: list[Rule], granted: list[Rule]
) -> None:
    missing = lacking(needed, granted)
    assert lacking(needed, [*granted, *missing]) == ()
    assert lacking(missing, granted) == missing
