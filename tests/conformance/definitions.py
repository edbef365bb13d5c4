"""The custom resources that cases speak of; a server has to serve them before a case is told.

Things have a list, map or scalar of every way to merge, Checks every rule for a value. They are those of
``tests/testing``; a case that is about a definition brings its own.
"""

from typing import Any, Final

from tests.testing.callers import CHECKS, GROUP, THINGS

ALL: Final = (THINGS, CHECKS)
THING_LIST: Final = f"/apis/{GROUP}/v1/namespaces/${{ns}}/things"
CHECK_LIST: Final = f"/apis/{GROUP}/v1/namespaces/${{ns}}/checks"


def a_definition(plural: str, kind: str, *versions: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """A definition of the case's own: its group is named after its namespace."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.${{ns}}.example.com"},
        "spec": {
            "group": "${ns}.example.com",
            "names": {"kind": kind, "plural": plural},
            "scope": "Namespaced",
            "versions": list(versions) or [a_version({})],
            **spec,
        },
    }


def a_version(properties: dict[str, Any], name: str = "v1", **rest: Any) -> dict[str, Any]:
    """A version that is served and stored, unless told otherwise."""
    schema = {"openAPIV3Schema": {"type": "object", "properties": properties}}
    return {"name": name, "served": True, "storage": True, "schema": schema, **rest}
