"""How objects go: deletion with its options, finalizers, what follows its owner, and whole namespaces."""

from typing import Any, Final

from tests.conformance.definitions import THING_LIST
from tests.conformance.steps import (
    ACCOUNTS,
    LEASES,
    MAPS,
    NAMESPACES,
    PODS,
    SECRETS,
    Case,
    Step,
    case,
    delete,
    get,
    merge,
    post,
    put,
    send,
    until,
)
from tests.testing.callers import a_map, a_thing

A: Final = f"{MAPS}/a"


def _of(name: str, *steps: Step) -> Case:
    return case("deletion", name, *steps)


def _options(**options: Any) -> dict[str, Any]:
    return {"kind": "DeleteOptions", "apiVersion": "v1", **options}


def _pod(**spec: Any) -> Step:
    body = {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}
    return post(PODS, body, pick="metadata.generation")


_TIMES: Final = "metadata.deletionGracePeriodSeconds,metadata.generation,metadata.name,status.phase"

CASES = [
    _of("at once", post(MAPS, a_map("a")), delete(A), get(A)),
    _of("a custom object", post(THING_LIST, a_thing("a")), delete(f"{THING_LIST}/a"), get(f"{THING_LIST}/a")),
    _of(
        "with finalizers, in steps",
        post(MAPS, a_map("a", finalizers=["a.b/c", "a.b/d"])),
        delete(A),
        get(A),
        merge(A, {"metadata": {"finalizers": ["a.b/d"]}}),
        merge(A, {"metadata": {"finalizers": None}}),
        get(A),
    ),
    _of(
        "a custom object with finalizers",
        post(THING_LIST, a_thing("a", finalizers=["a.b/c"])),
        delete(f"{THING_LIST}/a"),
        merge(f"{THING_LIST}/a", {"spec": {"text": "x"}}),
        merge(f"{THING_LIST}/a", {"metadata": {"finalizers": []}}),
        get(f"{THING_LIST}/a"),
    ),
    _of("twice", post(MAPS, a_map("a", finalizers=["a.b/c"])), delete(A), delete(A), get(A)),
    _of(
        "no new finalizers on the way",
        post(MAPS, a_map("a", finalizers=["a.b/c"])),
        delete(A),
        merge(A, {"metadata": {"finalizers": ["a.b/c", "a.b/d"]}}),
        merge(A, {"data": {"x": "1"}}),
    ),
    _of(
        "the last finalizer by an update",
        post(MAPS, a_map("a", finalizers=["a.b/c"])),
        delete(A),
        put(A, a_map("a")),
        get(A),
    ),
    _of("a dry run", post(MAPS, a_map("a")), delete(A, dryRun="All"), delete(A, _options(dryRun=["All"])), get(A)),
    _of(
        "a dry run of what has finalizers",
        post(MAPS, a_map("a", finalizers=["a.b/c"])),
        delete(A, dryRun="All"),
        get(A),
    ),
    _of(
        "options in the query", post(MAPS, a_map("a")), delete(A, propagationPolicy="Background", gracePeriodSeconds=0)
    ),
    _of(
        "a policy nobody has",
        post(MAPS, a_map("a")),
        delete(A, _options(propagationPolicy="Other")),
        delete(A, propagationPolicy="Other"),
    ),
    _of("two policies", post(MAPS, a_map("a")), delete(A, _options(propagationPolicy="Orphan", orphanDependents=True))),
    _of("options of another kind", post(MAPS, a_map("a")), delete(A, {"kind": "ConfigMap", "apiVersion": "v1"})),
    _of("options without a kind", post(MAPS, a_map("a")), delete(A, {"propagationPolicy": "Background"})),
    _of(
        "options of another version",
        post(MAPS, a_map("a")),
        delete(A, {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"}),
    ),
    _of(
        "options of a custom object in its own group",
        post(THING_LIST, a_thing("a")),
        delete(f"{THING_LIST}/a", {"kind": "DeleteOptions", "apiVersion": "shop.example.com/v1"}),
    ),
    _of("options that are no JSON", post(MAPS, a_map("a")), send("DELETE", A, "{"), send("DELETE", A, "[]")),
    _of(
        "options in yaml",
        post(MAPS, a_map("a")),
        send(
            "DELETE",
            A,
            "kind: DeleteOptions\napiVersion: v1\npropagationPolicy: Background\n",
            media="application/yaml",
        ),
    ),
    _of("options with fields nobody has", post(MAPS, a_map("a")), delete(A, _options(none=1))),
    _of("a grace period below nothing", post(MAPS, a_map("a")), delete(A, _options(gracePeriodSeconds=-1))),
    _of("a grace period that is none", post(MAPS, a_map("a")), delete(A, gracePeriodSeconds="x")),
    _of(
        "an object that shows itself when it goes", post(ACCOUNTS, {"metadata": {"name": "a"}}), delete(f"{ACCOUNTS}/a")
    ),
    _of("a collection", post(MAPS, a_map("a")), post(MAPS, a_map("b")), delete(MAPS), get(MAPS, pick="items")),
    _of("a collection of nothing", delete(MAPS), delete(THING_LIST)),
    _of(
        "a collection with finalizers",
        post(MAPS, a_map("a", finalizers=["a.b/c"])),
        post(MAPS, a_map("b")),
        delete(MAPS),
        get(MAPS, pick="items"),
    ),
    _of(
        "a collection of custom objects",
        post(THING_LIST, a_thing("a")),
        delete(THING_LIST),
        get(THING_LIST, pick="items"),
    ),
    _of("a collection, tried", post(MAPS, a_map("a")), delete(MAPS, dryRun="All"), get(MAPS, pick="items")),
    _of("a collection with a wrong selector", delete(MAPS, labelSelector="-x"), delete(MAPS, fieldSelector="data=x")),
    _of("a collection across namespaces is not deleted", delete("/api/v1/configmaps")),
    _of("namespaces are not deleted together", delete(NAMESPACES, labelSelector="nobody=has")),
    # -- pods
    _of("a pod nobody runs", _pod(), delete(f"{PODS}/a", pick=_TIMES), get(f"{PODS}/a")),
    _of(
        "a pod that runs",
        _pod(nodeName="n"),
        delete(f"{PODS}/a", pick=_TIMES),
        get(f"{PODS}/a", pick=_TIMES),
        delete(f"{PODS}/a", _options(gracePeriodSeconds=0), pick=_TIMES),
        get(f"{PODS}/a"),
    ),
    _of(
        "a pod with a period of its own",
        _pod(nodeName="n", terminationGracePeriodSeconds=5),
        delete(f"{PODS}/a", pick=_TIMES),
        delete(f"{PODS}/a", _options(gracePeriodSeconds=3), pick=_TIMES),
        delete(f"{PODS}/a", _options(gracePeriodSeconds=9), pick=_TIMES),
    ),
    _of(
        "a pod, at once",
        _pod(nodeName="n"),
        delete(f"{PODS}/a", _options(gracePeriodSeconds=0), pick=_TIMES),
        get(f"{PODS}/a"),
    ),
    _of(
        "a pod with finalizers",
        post(
            PODS,
            {"metadata": {"name": "a", "finalizers": ["a.b/c"]}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
            pick="kind",
        ),
        delete(f"{PODS}/a", pick=_TIMES),
        merge(f"{PODS}/a", {"metadata": {"finalizers": None}}, pick=_TIMES),
        get(f"{PODS}/a"),
    ),
    _of(
        "a pod that has ended",
        _pod(nodeName="n"),
        merge(f"{PODS}/a/status", {"status": {"phase": "Succeeded"}}, pick="status.phase"),
        delete(f"{PODS}/a", pick=_TIMES),
        get(f"{PODS}/a"),
    ),
    _of(
        "a pod is evicted",
        _pod(),
        post(f"{PODS}/a/eviction", {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a"}}),
        get(f"{PODS}/a"),
    ),
    _of(
        "a pod is bound and then evicted",
        _pod(),
        post(
            f"{PODS}/a/binding",
            {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "a"}, "target": {"kind": "Node", "name": "n"}},
        ),
        get(f"{PODS}/a", pick="spec.nodeName,status.conditions"),
        post(f"{PODS}/a/eviction", {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a"}}),
        get(f"{PODS}/a", pick=_TIMES),
        post(
            f"{PODS}/a/binding",
            {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "a"}, "target": {"kind": "Node", "name": "m"}},
        ),
    ),
]
CASES += [
    _of(
        f"policy {policy} leaves its mark",
        post(MAPS, a_map("a", finalizers=["a.b/c"])),
        delete(A, _options(propagationPolicy=policy)),
    )
    for policy in ("Foreground", "Background", "Orphan")
]
CASES += [
    _of(
        "another policy later",
        post(MAPS, a_map("a", finalizers=["a.b/c"])),
        delete(A, _options(propagationPolicy="Orphan"), pick="metadata.finalizers"),
        delete(A, _options(propagationPolicy="Foreground"), pick="metadata.finalizers"),
    ),
    _of(
        "the old way to orphan",
        post(MAPS, a_map("a", finalizers=["a.b/c"])),
        delete(A, _options(orphanDependents=True), pick="metadata.finalizers"),
    ),
]


def _garbage(name: str, *steps: Step) -> Case:
    return case("garbage", name, *steps)


def owned(
    *steps: int, blocks: bool = False, kind: str = "ConfigMap", version: str = "v1", **other: Any
) -> list[dict[str, Any]]:
    """References to what these steps have made."""
    return [
        {
            "apiVersion": version,
            "kind": kind,
            "name": f"${{{step}.metadata.name}}",
            "uid": f"${{{step}.metadata.uid}}",
            **({"blockOwnerDeletion": True} if blocks else {}),
            **other,
        }
        for step in steps
    ]


def _gone(path: str) -> Step:
    return until(get(path), 404)


B: Final = f"{MAPS}/b"
C: Final = f"{MAPS}/c"
CASES += [
    _garbage(
        "a dependent follows its owner",
        post(MAPS, a_map("a")),
        post(MAPS, a_map("b", ownerReferences=owned(0))),
        delete(A),
        _gone(B),
    ),
    _garbage(
        "and so does what depends on it",
        post(MAPS, a_map("a")),
        post(MAPS, a_map("b", ownerReferences=owned(0))),
        post(MAPS, a_map("c", ownerReferences=owned(1))),
        delete(A),
        _gone(B),
        _gone(C),
    ),
    _garbage(
        "one of two owners is enough",
        post(MAPS, a_map("a")),
        post(MAPS, a_map("b")),
        post(MAPS, a_map("c", ownerReferences=owned(0, 1))),
        delete(A),
        until(get(C), 200, metadata={"ownerReferences": owned(1)}),
        delete(B),
        _gone(C),
    ),
    _garbage(
        "an owner of another kind",
        post(SECRETS, {"metadata": {"name": "s"}}),
        post(MAPS, a_map("b", ownerReferences=owned(0, kind="Secret"))),
        delete(f"{SECRETS}/s"),
        _gone(B),
    ),
    _garbage(
        "an owner that was never there",
        post(
            MAPS,
            a_map(
                "b",
                ownerReferences=[
                    {
                        "apiVersion": "v1",
                        "kind": "ConfigMap",
                        "name": "x",
                        "uid": "00000000-0000-4000-8000-000000000000",
                    }
                ],
            ),
        ),
        _gone(B),
    ),
    _garbage(
        "an owner of that name, but another one",
        post(MAPS, a_map("a")),
        post(
            MAPS,
            a_map(
                "b",
                ownerReferences=[
                    {
                        "apiVersion": "v1",
                        "kind": "ConfigMap",
                        "name": "a",
                        "uid": "00000000-0000-4000-8000-000000000000",
                    }
                ],
            ),
        ),
        _gone(B),
        get(A, pick="metadata.name"),
    ),
    _garbage(
        "an owner in no namespace",
        post(NAMESPACES, {"metadata": {"name": "${ns}-o"}}, pick="metadata"),
        post(MAPS, a_map("b", ownerReferences=owned(0, kind="Namespace"))),
        delete(f"{NAMESPACES}/${{ns}}-o", pick="metadata.name"),
        _gone(B),
    ),
    _garbage(
        "orphans stay",
        post(MAPS, a_map("a")),
        post(MAPS, a_map("b", ownerReferences=owned(0))),
        delete(A, _options(propagationPolicy="Orphan")),
        _gone(A),
        get(B),
    ),
    _garbage(
        "in the foreground, dependents that block go first",
        post(MAPS, a_map("a")),
        post(MAPS, a_map("b", finalizers=["a.b/c"], ownerReferences=owned(0, blocks=True))),
        delete(A, _options(propagationPolicy="Foreground")),
        until(get(B, pick="metadata.finalizers"), 200),
        until(get(A, pick="metadata.finalizers"), 200, metadata={"finalizers": ["foregroundDeletion"]}),
        merge(B, {"metadata": {"finalizers": None}}, pick="kind"),
        _gone(A),
    ),
    _garbage(
        "in the foreground, others do not hold it up",
        post(MAPS, a_map("a")),
        post(MAPS, a_map("b", finalizers=["a.b/c"], ownerReferences=owned(0))),
        delete(A, _options(propagationPolicy="Foreground")),
        _gone(A),
    ),
    _garbage(
        "a finalizer keeps a dependent",
        post(MAPS, a_map("a")),
        post(MAPS, a_map("b", finalizers=["a.b/c"], ownerReferences=owned(0))),
        delete(A),
        until(get(B, pick="metadata.finalizers"), 200, metadata={"deletionGracePeriodSeconds": 0}),
        merge(B, {"metadata": {"finalizers": None}}, pick="kind"),
        _gone(B),
    ),
    _garbage(
        "an owner of a kind nobody knows is waited for",
        post(MAPS, a_map("b", ownerReferences=[{"apiVersion": "a.b/v1", "kind": "Far", "name": "x", "uid": "u"}])),
        post(MAPS, a_map("a")),
        post(MAPS, a_map("c", ownerReferences=owned(1))),
        delete(A),
        _gone(C),
        get(B, pick="metadata.name"),
    ),
    _garbage(
        "a lease follows too",
        post(MAPS, a_map("a")),
        post(LEASES, {"metadata": {"name": "l", "ownerReferences": owned(0)}, "spec": {}}),
        delete(A),
        _gone(f"{LEASES}/l"),
    ),
]


def _space(name: str, *steps: Step) -> Case:
    return case("namespaces", name, *steps)


_HOME: Final = f"{NAMESPACES}/${{ns}}"
CASES += [
    _space(
        "a new one",
        post(NAMESPACES, {"metadata": {"name": "${ns}-b"}}),
        delete(f"{NAMESPACES}/${{ns}}-b"),
        _gone(f"{NAMESPACES}/${{ns}}-b"),
    ),
    _space(
        "its finalizers are its own",
        post(NAMESPACES, {"metadata": {"name": "${ns}-b"}, "spec": {"finalizers": ["a.b/c"]}}),
        merge(f"{NAMESPACES}/${{ns}}-b", {"spec": {"finalizers": []}}, pick="spec"),
        put(
            f"{NAMESPACES}/${{ns}}-b/finalize",
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": "${ns}-b"},
                "spec": {"finalizers": ["kubernetes"]},
            },
            pick="spec",
        ),
        delete(f"{NAMESPACES}/${{ns}}-b", pick="status"),
        _gone(f"{NAMESPACES}/${{ns}}-b"),
    ),
    _space(
        "everything goes with it",
        post(MAPS, a_map("a")),
        post(THING_LIST, a_thing("a"), pick="kind"),
        post(SECRETS, {"metadata": {"name": "a"}}, pick="kind"),
        delete(_HOME, pick="status,spec"),
        _gone(_HOME),
        get(A),
    ),
    _space(
        "it takes nothing more",
        post(MAPS, a_map("a", finalizers=["a.b/c"]), pick="kind"),
        delete(_HOME, pick="status"),
        until(get(_HOME, pick="status.phase"), 200, status={"phase": "Terminating"}),
        post(MAPS, a_map("b")),
        post(THING_LIST, a_thing("b")),
        merge(A, {"data": {"x": "1"}}, pick="data"),
        merge(A, {"metadata": {"finalizers": None}}, pick="kind"),
        _gone(_HOME),
    ),
    _space(
        "what holds it up is told",
        post(MAPS, a_map("a", finalizers=["a.b/c"]), pick="kind"),
        delete(_HOME, pick="kind"),
        until(
            get(
                _HOME,
                pick="status.conditions[type=NamespaceFinalizersRemaining],status.conditions[type=NamespaceContentRemaining],status.conditions[type=NamespaceDeletionContentFailure],status.conditions[type=NamespaceDeletionDiscoveryFailure]",
            ),
            200,
            status={"phase": "Terminating"},
        ),
        merge(A, {"metadata": {"finalizers": None}}, pick="kind"),
        _gone(_HOME),
    ),
    _space(
        "a finalizer of its metadata",
        merge(_HOME, {"metadata": {"finalizers": ["a.b/c"]}}, pick="metadata.finalizers"),
        delete(_HOME, pick="status"),
        until(get(_HOME, pick="metadata.finalizers"), 200, status={"phase": "Terminating"}),
        merge(_HOME, {"metadata": {"finalizers": None}}, pick="kind"),
        _gone(_HOME),
    ),
    _space(
        "twice",
        merge(_HOME, {"metadata": {"finalizers": ["a.b/c"]}}, pick="kind"),
        delete(_HOME, pick="status"),
        until(get(_HOME, pick="status.phase"), 200, status={"phase": "Terminating"}),
        delete(_HOME, pick="status,metadata.finalizers"),
        merge(_HOME, {"metadata": {"finalizers": None}}, pick="kind"),
    ),
    _space("some are protected", delete(f"{NAMESPACES}/default"), delete(f"{NAMESPACES}/kube-system")),
    _space(
        "its name is a label",
        get(_HOME),
        merge(_HOME, {"metadata": {"labels": {"kubernetes.io/metadata.name": "x"}}}, pick="metadata.labels"),
        merge(_HOME, {"metadata": {"labels": None}}, pick="metadata.labels"),
    ),
    _space(
        "its status has a door",
        merge(f"{_HOME}/status", {"status": {"phase": "Terminating"}}),
        merge(f"{_HOME}/status", {"status": {"phase": "Active"}}, pick="status"),
    ),
    _space(
        "one that is not there",
        get(f"{NAMESPACES}/nowhere"),
        delete(f"{NAMESPACES}/nowhere"),
        put(f"{NAMESPACES}/nowhere", {"metadata": {"name": "nowhere"}}),
    ),
    _space("with a wrong uid", delete(_HOME, _options(preconditions={"uid": "another"}))),
    _space("tried", delete(_HOME, dryRun="All", pick="status"), get(_HOME, pick="status")),
]
