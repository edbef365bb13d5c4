"""The kinds of a Kubernetes release, packed small for the embedded API server.

    tools/envtest/build.sh && python -m tools.schemas

Starts the real kube-apiserver, reads its OpenAPI v3 documents and its discovery, asks the program in
``tools/envtest/kubernetes/facts`` what only the Go types say, and writes ``published.json.z``: structure without
sentences. Run once a release.
"""

import json
import os
import subprocess
import zlib
from pathlib import Path
from typing import Any, Final

from reconcile.testing.apiserver import discovery
from reconcile.testing.apiserver.published import DATA
from reconcile.testing.envtest import ControlPlane
from tools.proto import pack_messages

Json = dict[str, Any]
FACTS: Final = Path(__file__).parent / "envtest" / "kubernetes"
_PLAIN: Final = ("string", "bool", "int32", "int64")


def main() -> None:
    """Write the data of the release that ``ControlPlane`` runs."""
    with ControlPlane.start(in_memory=True) as plane:
        data = {
            "version": _get(plane, "/version"),
            "groups": [*_groups(plane, "/api"), *_groups(plane, "/apis")],
            "definitions": _definitions(plane),
        }
    facts = json.loads(_run("go", "run", "-C", str(FACTS), "-mod=readonly", "-buildvcs=false", "-trimpath", "./facts"))
    for name, definition in data["definitions"].items():
        if found := _go(facts["structs"].get(name, {})):
            definition["x-go"] = found
    data["columns"] = facts["columns"]
    DATA.parent.mkdir(exist_ok=True)
    DATA.write_bytes(zlib.compress(json.dumps(data, separators=(",", ":"), sort_keys=True).encode(), 9))
    pack_messages(FACTS, facts["structs"])


def _run(*command: str) -> bytes:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, env={**os.environ, "CGO_ENABLED": "0"}).stdout


def _get(plane: ControlPlane, path: str, accept: str = "application/json") -> Any:
    status, body = plane.request("GET", path, headers={"Accept": accept})
    assert status == 200, (path, status, body)
    return json.loads(body)


def _groups(plane: ControlPlane, path: str) -> list[Json]:
    """The groups of a part of discovery, in the order of the real server."""
    whole = _get(plane, path, discovery.AGGREGATED)
    groups = []
    for group in whole["items"]:
        name = group["metadata"].get("name", "")
        versions = []
        for version in group["versions"]:
            where = f"/apis/{name}/{version['version']}" if name else f"/api/{version['version']}"
            hashes = {one["name"]: one.get("storageVersionHash", "") for one in _get(plane, where)["resources"]}
            resources = [{**one, "hash": hashes[one["resource"]]} for one in version["resources"]]
            versions.append({"version": version["version"], "resources": resources})
        groups.append({"name": name, "versions": versions})
    return groups


def _definitions(plane: ControlPlane) -> Json:
    """Every schema there is, by name; of those that list many kinds, the union."""
    found: Json = {}
    for page in _get(plane, "/openapi/v3")["paths"].values():
        schemas = _get(plane, page["serverRelativeURL"]).get("components", {}).get("schemas", {})
        for name, schema in schemas.items():
            schema = _bare(schema)
            schema.pop("x-kubernetes-group-version-kind", None) if name.endswith(_SHARED) else None
            found[name] = schema
    return found


_SHARED: Final = ("meta.v1.DeleteOptions", "meta.v1.WatchEvent")
"""Each document lists the kinds of its own group in them."""


def _bare(value: Any) -> Any:
    """A document without its sentences."""
    if isinstance(value, dict):
        return {
            name: _bare(child)
            for name, child in value.items()
            if not (name == "description" and isinstance(child, str))
        }
    return [_bare(child) for child in value] if isinstance(value, list) else value


def _go(facts: Json) -> Json:
    """The facts of one struct, without what the schema says too."""
    types = {name: text.lstrip("*") for name, text in facts.get("types", {}).items()}
    defaults = {name: value for name, value in facts.get("defaults", {}).items() if name not in _CONDITIONAL}
    found = {
        "always": facts.get("always"),
        "omits": facts.get("omits"),
        "types": {name: text for name, text in types.items() if text not in _PLAIN},
        "defaults": defaults,
    }
    return {name: value for name, value in found.items() if value}


_CONDITIONAL: Final = ("timeAdded", "policyTypes")
"""Defaults that only look as if they hung on nothing."""


if __name__ == "__main__":
    main()
