"""CustomResourceDefinitions out of the OpenAPI v3 documents of aggregated API servers.

    python tools/crds.py DOCUMENT.json ... --out apinetlet/crds/<generation>

One YAML file an API group, one document a kind. Made once and committed, so that tests and the demo need no aggregated
server. Where a CRD would be stricter than the server whose document it is, it is relaxed: that server decodes a missing
field to its zero value and takes ``null`` for an empty one, and it merges lists by their patch merge key.
"""

import argparse
import json
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

Json = dict[str, Any]
OPEN: Json = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
KEPT = ("type", "format", "enum", "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type")
FORMATS = {"int32", "int64", "date-time"}
SHORT = {
    "Network": ["net"],
    "NetworkInterface": ["nic"],
    "LoadBalancer": ["lb"],
    "LoadBalancerRouting": ["lbr", "lbrt"],
    "NATGateway": ["ngw"],
    "VirtualIP": ["vip"],
    "NetworkPolicy": ["netpol"],
}
"""Short names of the source kinds: their registries have them, the documents do not."""
SELECTABLE = {"IP": [".spec.ip"]}
"""Field selectors besides those of the metadata, likewise."""
COLUMNS = {
    "networking": {
        "Network": {"State": ".status.state", "Provider ID": ".spec.providerID"},
        "NetworkInterface": {"State": ".status.state", "First IP": ".status.ips[0]", "Virtual IP": ".status.virtualIP"},
        "LoadBalancer": {"Type": ".spec.type", "Network": ".spec.networkRef.name", "First IP": ".status.ips[0]"},
        "NATGateway": {"Network": ".spec.networkRef.name", "First IP": ".status.ips[0]"},
        "VirtualIP": {"IP": ".status.ip", "Target": ".spec.targetRef.name"},
    },
    "ipam": {"Prefix": {"Prefix": ".spec.prefix", "Parent": ".spec.parentRef.name", "Phase": ".status.phase"}},
    "core": {
        "Network": {"ID": ".spec.id"},
        "IP": {"IP": ".spec.ip", "Claimed by": ".spec.claimRef.name"},
        "IPAddress": {"Of": ".spec.claimRef.name"},
        "NetworkID": {"Of": ".spec.claimRef.name"},
        "NetworkInterface": {"State": ".status.state", "Node": ".spec.nodeRef.name", "First IP": ".spec.ips[0]"},
        "LoadBalancer": {"Type": ".spec.type", "First IP": ".spec.ips[0].ip"},
        "NATGateway": {
            "First IP": ".spec.ips[0].ip",
            "Used": ".status.usedNATIPs",
            "Wanted": ".status.requestedNATIPs",
        },
    },
}
"""What people see of a kind in a table, by the first word of its group."""


def definitions(document: Mapping[str, Any]) -> Iterator[Json]:
    """A CRD for every kind that the document serves under its group."""
    group, version = document["group"], document["version"]
    kinds = {
        gvk["kind"]: name
        for name, schema in document["schemas"].items()
        for gvk in schema.get("x-kubernetes-group-version-kind", ())
        if gvk["group"] == group and not gvk["kind"].endswith("List")
    }
    root = f"/apis/{group}/{version}/"
    for kind, name in sorted(kinds.items()):
        plural = _plural(kind)
        namespaced = f"{root}namespaces/{{namespace}}/{plural}" in document["paths"]
        if not namespaced and f"{root}{plural}" not in document["paths"]:
            continue
        base = f"{root}namespaces/{{namespace}}/{plural}" if namespaced else f"{root}{plural}"
        has_status = f"{base}/{{name}}/status" in document["paths"]
        yield {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.{group}"},
            "spec": {
                "group": group,
                "names": {
                    "kind": kind,
                    "listKind": f"{kind}List",
                    "plural": plural,
                    "singular": kind.lower(),
                    **({"shortNames": SHORT[kind]} if group.startswith("networking.") and kind in SHORT else {}),
                },
                "scope": "Namespaced" if namespaced else "Cluster",
                "versions": [
                    {
                        "name": version,
                        "served": True,
                        "storage": True,
                        "schema": {"openAPIV3Schema": _root(document["schemas"][name], document["schemas"])},
                        **({"subresources": {"status": {}}} if has_status else {}),
                        **({"additionalPrinterColumns": columns} if (columns := _columns(group, kind)) else {}),
                        **({"selectableFields": _selectable(SELECTABLE[kind])} if kind in SELECTABLE else {}),
                    }
                ],
            },
        }


def _selectable(paths: list[str]) -> list[Json]:
    return [{"jsonPath": path} for path in paths]


def _columns(group: str, kind: str) -> list[Json]:
    shown = COLUMNS.get(group.partition(".")[0], {}).get(kind, {})
    columns = [{"name": name, "type": "string", "jsonPath": path} for name, path in shown.items()]
    return [*columns, {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}] if columns else []


def _plural(kind: str) -> str:
    word = kind.lower()
    if word[-1] == "y" and word[-2] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}es" if word[-1] in "sx" else f"{word}s"


def _root(schema: Json, schemas: Mapping[str, Json]) -> Json:
    converted = structural(schema, schemas)
    converted["properties"].update(apiVersion={"type": "string"}, kind={"type": "string"}, metadata={"type": "object"})
    return converted


def structural(schema: Json, schemas: Mapping[str, Json]) -> Json:
    """``schema`` with references resolved, as a structural schema: no descriptions, no defaults, nothing required."""
    name, schema = _resolved(schema, schemas)
    if name.startswith(META):
        match name.removeprefix(META):
            case "ObjectMeta":
                return dict(OPEN)
            case "Time" | "MicroTime":
                return {"type": "string", "format": "date-time", "nullable": True}
    converted: Json = {key: schema[key] for key in KEPT if key in schema}
    if converted.get("format") not in FORMATS:
        converted.pop("format", None)
    if properties := schema.get("properties"):
        converted["properties"] = {key: structural(value, schemas) for key, value in sorted(properties.items())}
    if isinstance(values := schema.get("additionalProperties"), dict):
        converted["additionalProperties"] = structural(values, schemas)
    if "items" in schema:
        converted["items"] = structural(schema["items"], schemas)
        converted["nullable"] = True
        _merge_by_key(schema, converted)
    if converted.get("type") == "object" and not converted.keys() & {"properties", "additionalProperties"}:
        return dict(OPEN)
    if converted.get("type") == "string" and "enum" not in converted:
        converted["nullable"] = True
    return converted


def _resolved(schema: Json, schemas: Mapping[str, Json]) -> tuple[str, Json]:
    """The schema behind ``$ref`` or a single ``allOf``, with its name."""
    name = ""
    while True:
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            schema = schemas[name]
        elif "allOf" in schema:
            [schema] = schema["allOf"]
        else:
            return name, schema


def _merge_by_key(schema: Json, converted: Json) -> None:
    """A list that the server merges by a key under strategic merge is a keyed list under server-side apply, too."""
    key = schema.get("x-kubernetes-patch-merge-key")
    if key and "merge" in schema.get("x-kubernetes-patch-strategy", ""):
        converted["x-kubernetes-list-type"] = "map"
        converted["x-kubernetes-list-map-keys"] = [key]
    for key in converted.get("x-kubernetes-list-map-keys", ()):
        converted["items"]["properties"][key].pop("nullable", None)
        converted["items"]["required"] = sorted({*converted["items"].get("required", ()), key})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("documents", nargs="+", type=pathlib.Path)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for path in options.documents:
        document = json.loads(path.read_text())
        crds = list(definitions(document))
        target = options.out / f"{document['group']}.yaml"
        target.write_text(yaml.safe_dump_all(crds, sort_keys=False))
        print(f"{target}: {', '.join(crd['spec']['names']['plural'] for crd in crds)}")


if __name__ == "__main__":
    main()
