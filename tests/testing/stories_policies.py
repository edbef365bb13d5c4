"""Stories about admission policies: what they deny, warn of and let pass."""

from typing import Any, Final

from tests.testing.callers import Reply, a_map
from tests.testing.stories import Step, Story, delete, merge, post

GROUP: Final = "/apis/admissionregistration.k8s.io/v1"
POLICIES: Final = f"{GROUP}/validatingadmissionpolicies"
BINDINGS: Final = f"{GROUP}/validatingadmissionpolicybindings"
MAPS: Final = "/api/v1/namespaces/default/configmaps"


def policy(name: str, *validations: Any, **spec: Any) -> dict[str, Any]:
    """A policy about config maps whose name begins with its own."""
    rules = [
        {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}
    ]
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": rules},
            "matchConditions": [{"name": "own", "expression": f"request.name.startsWith('{name}')"}],
            "validations": [{"expression": one} if isinstance(one, str) else one for one in validations],
            **spec,
        },
    }


def binding(name: str, *actions: str, **spec: Any) -> dict[str, Any]:
    """A binding of the policy of the same name."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": list(actions) or ["Deny"], **spec},
    }


def _try(name: str, data: dict[str, str] | None = None, **metadata: Any) -> Step:
    return post(MAPS, a_map(name, data, **metadata), query={"dryRun": "All"})


def _bound(name: str, *validations: Any, bound: dict[str, Any] | None = None, **spec: Any) -> tuple[Step, ...]:
    """A policy and its binding, in force: a probe that it denies is denied."""
    probe = {**policy(name, *validations, **spec)}
    probe["spec"]["validations"] = [
        {"expression": f"request.name != '{name}-probe'", "message": "probe"},
        *probe["spec"]["validations"],
    ]

    def denied(reply: Reply) -> bool:
        return reply.code == 422 or "probe" in str(reply.headers.get("warning"))

    body = bound or binding(name)
    return (
        post(POLICIES, probe),
        post(BINDINGS, body),
        post(MAPS, a_map(f"{name}-probe"), query={"dryRun": "All"}, until=denied),
    )


def _gone(name: str) -> tuple[Step, ...]:
    passed = post(MAPS, a_map(f"{name}-probe"), query={"dryRun": "All"}, until=_passes)
    return (delete(f"{BINDINGS}/{name}"), delete(f"{POLICIES}/{name}"), passed)


def _passes(reply: Reply) -> bool:
    return reply.code == 201 and not reply.headers.get("warning")


BAD: Final[dict[str, dict[str, Any]]] = {
    "no validations": policy("x"),
    "an unknown variable": policy("x", "foo == 1"),
    "no expression": policy("x", ""),
    "no boolean": policy("x", "1"),
    "anything": policy("x", "object.x"),
    "an unknown field of the request": policy("x", "request.foo == 'x'"),
    "parameters that were not declared": policy("x", "params.x == 'y'"),
    "an unknown reason": policy("x", {"expression": "true", "reason": "Magic"}),
    "a message of blanks": policy("x", {"expression": "true", "message": " "}),
    "a message with a break": policy("x", {"expression": "true", "message": "a\nb"}),
    "an expression with a break": policy("x", "true &&\ntrue"),
    "a message expression that is no text": policy("x", {"expression": "true", "messageExpression": "1"}),
    "a bad match condition": policy("x", "true", matchConditions=[{"name": "a", "expression": "foo"}]),
    "a bad variable": policy("x", "true", variables=[{"name": "a b", "expression": "1"}]),
    "no rules": policy("x", "true", matchConstraints={}),
}
BAD_BINDINGS: Final[dict[str, dict[str, Any]]] = {
    "no policy": binding("x", policyName=""),
    "no actions": binding("x", validationActions=[]),
    "an unknown action": binding("x", "Magic"),
    "two answers": binding("x", "Deny", "Warn"),
    "no parameters": binding("x", paramRef={"parameterNotFoundAction": "Deny"}),
    "two ways to parameters": binding("x", paramRef={"name": "a", "selector": {}, "parameterNotFoundAction": "Deny"}),
    "no word on missing parameters": binding("x", paramRef={"name": "a"}),
}


def stories() -> list[Story]:
    """Each with a policy of its own."""
    dry = {"query": {"dryRun": "All"}}
    return [
        *(Story(f"policy: {name}", (post(POLICIES, body, **dry),)) for name, body in BAD.items()),
        *(Story(f"binding: {name}", (post(BINDINGS, body, **dry),)) for name, body in BAD_BINDINGS.items()),
        Story(
            "deny with all kinds of messages",
            (
                *_bound(
                    "deny",
                    {"expression": "!has(object.data) || !('a' in object.data)", "message": "no a"},
                    {"expression": "!has(object.data) || !('b' in object.data)", "reason": "Forbidden"},
                    {
                        "expression": "!has(object.data) || !('c' in object.data)",
                        "messageExpression": "'c is ' + object.data.c",
                        "reason": "RequestEntityTooLarge",
                    },
                    "!has(object.data) || !('d' in object.data) || object.data.e == 'x'",
                ),
                _try("deny-ok"),
                _try("deny-a", {"a": "1"}),
                _try("deny-b", {"b": "1"}),
                _try("deny-c", {"c": "1"}),
                _try("deny-d", {"d": "1"}),
                _try("other", {"a": "1"}),
                *_gone("deny"),
            ),
        ),
        Story(
            "warn and audit",
            (
                *_bound("warn", "false", bound=binding("warn", "Warn", "Audit")),
                _try("warn-x"),
                *_gone("warn"),
            ),
        ),
        Story(
            "variables and the old object",
            (
                *_bound(
                    "vars",
                    {
                        "expression": "oldObject == null || variables.size >= variables.before",
                        "messageExpression": "'from ' + string(variables.before) + ' to ' + string(variables.size)",
                    },
                    variables=[
                        {"name": "size", "expression": "has(object.data) ? object.data.size() : 0"},
                        {"name": "before", "expression": "has(oldObject.data) ? oldObject.data.size() : 0"},
                    ],
                ),
                post(MAPS, a_map("vars-x", {"a": "1", "b": "2"})),
                merge(f"{MAPS}/vars-x", {"data": {"c": "3"}}),
                merge(f"{MAPS}/vars-x", {"data": {"a": None, "b": None}}),
                *_gone("vars"),
            ),
        ),
        Story(
            "parameters from a config map",
            (
                post(MAPS, a_map("limits", {"most": "2"})),
                *_bound(
                    "param",
                    {
                        "expression": "!has(object.data) || object.data.size() <= int(params.data.most)",
                        "messageExpression": "'at most ' + params.data.most",
                    },
                    paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
                    bound=binding(
                        "param", paramRef={"name": "limits", "namespace": "default", "parameterNotFoundAction": "Deny"}
                    ),
                ),
                _try("param-a", {"a": "1"}),
                _try("param-b", {"a": "1", "b": "2", "c": "3"}),
                *_gone("param"),
            ),
        ),
        Story(
            "parameters that are not there",
            (
                *_bound(
                    "lost",
                    "true",
                    paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
                    bound=binding(
                        "lost", paramRef={"name": "nowhere", "namespace": "default", "parameterNotFoundAction": "Deny"}
                    ),
                ),
                _try("lost-a"),
                *_gone("lost"),
            ),
        ),
        Story(
            "failures that are ignored",
            (
                *_bound("soft", "object.data.x == 'y'", failurePolicy="Ignore"),
                _try("soft-a"),
                _try("soft-b", {"x": "z"}),
                *_gone("soft"),
            ),
        ),
        Story(
            "who asks, and where",
            (
                *_bound(
                    "who",
                    {
                        "expression": "request.userInfo.username == 'nobody'",
                        "messageExpression": "'in ' + namespaceObject.metadata.name + ' ' "
                        "+ request.operation + ' ' + request.resource.resource",
                    },
                ),
                _try("who-a"),
                *_gone("who"),
            ),
        ),
        Story(
            "selectors and exclusions",
            (
                *_bound(
                    "select",
                    "false",
                    bound=binding(
                        "select",
                        matchResources={
                            "objectSelector": {"matchExpressions": [{"key": "skip", "operator": "DoesNotExist"}]}
                        },
                    ),
                ),
                _try("select-a"),
                _try("select-b", labels={"skip": "yes"}),
                *_gone("select"),
            ),
        ),
    ]
