"""Both forms in which a server tells its kinds say the same."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reconcile.kube import discovery
from reconcile.kube.resource import Resource

DEPLOYMENT = Resource.untyped("apps/v1", "Deployment", "deployments")
NODE = Resource.untyped("v1", "Node", "nodes", namespaced=False)
VERBS = ["get", "list", "watch"]


def answer(kind: str) -> dict[str, str]:
    return {"group": "", "version": "", "kind": kind}


CORE: dict[str, Any] = {
    "kind": "APIGroupDiscoveryList",
    "items": [
        {
            "metadata": {"name": ""},
            "versions": [
                {
                    "version": "v1",
                    "freshness": "Current",
                    "resources": [
                        {
                            "resource": "nodes",
                            "responseKind": answer("Node"),
                            "scope": "Cluster",
                            "singularResource": "node",
                            "verbs": VERBS,
                            "shortNames": ["no"],
                            "subresources": [
                                {"subresource": "status", "responseKind": answer("Node"), "verbs": ["patch"]}
                            ],
                        }
                    ],
                }
            ],
        }
    ],
}
GROUPS: dict[str, Any] = {
    "kind": "APIGroupDiscoveryList",
    "items": [
        {
            "metadata": {"name": "apps"},
            "versions": [
                {
                    "version": version,
                    "resources": [
                        {
                            "resource": "deployments",
                            "responseKind": answer("Deployment"),
                            "scope": "Namespaced",
                            "singularResource": "deployment",
                            "verbs": VERBS,
                            "categories": ["all"],
                        }
                    ],
                }
                for version in ("v1", "v1beta1")
            ],
        },
        {"metadata": {"name": "metrics.k8s.io"}, "versions": [{"version": "v1", "freshness": "Stale"}]},
    ],
}
OLD_CORE = {"kind": "APIVersions", "versions": ["v1"]}
OLD_GROUPS = {
    "kind": "APIGroupList",
    "groups": [
        {
            "name": "apps",
            "versions": [{"groupVersion": "apps/v1beta1"}, {"groupVersion": "apps/v1"}],
            "preferredVersion": {"groupVersion": "apps/v1"},
        }
    ],
}
OLD_LISTS: list[dict[str, Any]] = [
    {
        "groupVersion": "v1",
        "resources": [
            {
                "name": "nodes",
                "singularName": "node",
                "namespaced": False,
                "kind": "Node",
                "verbs": VERBS,
                "shortNames": ["no"],
            },
            {"name": "nodes/status", "singularName": "", "namespaced": False, "kind": "Node", "verbs": ["patch"]},
        ],
    },
    *(
        {
            "groupVersion": f"apps/{version}",
            "resources": [
                {
                    "name": "deployments",
                    "singularName": "deployment",
                    "namespaced": True,
                    "kind": "Deployment",
                    "verbs": VERBS,
                    "categories": ["all"],
                }
            ],
        }
        for version in ("v1", "v1beta1")
    ),
]


def test_both_forms_say_the_same() -> None:
    new = discovery.aggregated([CORE, GROUPS])
    old = discovery.listed(OLD_LISTS, ["metrics.k8s.io/v1"])
    assert new == old
    assert new.groups == ("", "apps")
    assert new.resources[:2] == (NODE, DEPLOYMENT)
    assert new.missing == ("metrics.k8s.io/v1",)


def test_a_kind_is_found_at_its_preferred_version_or_at_the_one_named() -> None:
    found = discovery.aggregated([CORE, GROUPS])
    node = found.find("", "Node")
    assert node is not None
    assert node.resource == NODE
    assert node.verbs == set(VERBS)
    assert node.subresources == {"status": {"patch"}}
    assert node.short_names == ("no",)
    deployment, older = found.find("apps", "Deployment"), found.find("apps", "Deployment", "v1beta1")
    assert deployment is not None
    assert deployment.resource == DEPLOYMENT
    assert older is not None
    assert older.resource.version == "v1beta1"
    assert found.find("apps", "Node") is None
    assert found.find("", "Node", "v2") is None


def test_the_preferred_version_is_asked_first() -> None:
    assert discovery.versions_of(OLD_CORE) == ["/api/v1"]
    assert discovery.versions_of(OLD_GROUPS) == ["/apis/apps/v1", "/apis/apps/v1beta1"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["items", "versions", "resources", "metadata", "name", "groups", "responseKind", "verbs"]),
            inner,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["items", "groups", "versions", "resources", "groupVersion"]), JSON))
def test_nonsense_reads_as_nothing(document: dict[str, Any]) -> None:
    discovery.aggregated([document])
    discovery.listed([document])
    discovery.versions_of(document)
