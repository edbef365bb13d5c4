"""What somebody who installs apinetlet may choose: a path, a default, what is allowed, and what it means.

Out of it come ``values.yaml`` and ``values.schema.json`` of the chart, and what kustomize's bases are filled with.
"""

import importlib.metadata
from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from apinetlet.api import GENERATIONS, IRONCORE
from tools.deploy.template import dumped

NAME: Final = {"type": "string", "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$", "maxLength": 63}
"""A DNS label, or nothing."""
SECRET: Final = {"type": "string", "pattern": "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$", "maxLength": 253}
"""The name of a Secret, or nothing."""
FLAG: Final = {"type": "boolean"}
TEXT: Final = {"type": "string"}
CORES: Final = {"type": ["string", "number"], "pattern": "^[0-9]+([.][0-9]{1,3}|m)?$", "exclusiveMinimum": 0}
BYTES: Final = {"type": "string", "pattern": "^[0-9]+([.][0-9]+)?([KMG]i|[kMG])$"}


def _listed(least: int = 0, **properties: Any) -> Mapping[str, Any]:
    """A list of objects with nothing but these properties, and at least one of them."""
    item = {"type": "object", "additionalProperties": False, "minProperties": 1, "properties": properties}
    return {"type": "array", "minItems": least, "items": item}


PORTS: Final = _listed(
    1,
    port={"type": ["integer", "string"], "minimum": 1, "maximum": 65535},
    endPort={"type": "integer", "minimum": 1, "maximum": 65535},
    protocol={"enum": ["TCP", "UDP", "SCTP"]},
)
PEERS: Final = _listed(
    1, podSelector={"type": "object"}, namespaceSelector={"type": "object"}, ipBlock={"type": "object"}
)
"""Never none: to a NetworkPolicy an empty list is everybody."""
TOLERATIONS: Final = _listed(
    key=TEXT,
    operator={"enum": ["Exists", "Equal", "Lt", "Gt"]},
    value=TEXT,
    effect={"enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"]},
    tolerationSeconds={"type": "integer"},
)
MEMORY: Final = ("96Mi", "256Mi")
"""Asked for and allowed. Five thousand objects take half of the first, forty thousand fit into the second."""


@frozen
class Value:
    """One choice."""

    path: str
    default: Any
    schema: Mapping[str, Any]
    meaning: str
    is_required: bool = False


def _renewing(side: str) -> tuple[Value, Value]:
    """The choices of a side whose certificate the daemon renews itself."""
    kept = "keep renewing the client certificate in kubeconfigSecret, which is not mounted then but read and written"
    one = "with rotate: Secret with a kubeconfig, key kubeconfig, that only requests the first certificate; empty: none"
    return Value(f"{side}.rotate", False, FLAG, kept), Value(f"{side}.bootstrapSecret", "", SECRET, one)


VALUES: Final = (
    Value(
        "generation",
        "ironcore",
        {"enum": sorted(GENERATIONS)},
        "API generation of both clusters; the rights depend on it",
    ),
    Value("replicas", 2, {"type": "integer", "minimum": 0}, "one works, the others stand by with warm caches"),
    Value("image.repository", "apinetlet", {"type": "string", "minLength": 1}, "where the image is"),
    Value("image.tag", importlib.metadata.version("apinetlet"), {"type": "string", "minLength": 1}, "which one"),
    Value("image.pullPolicy", "IfNotPresent", {"enum": ["Always", "IfNotPresent", "Never"]}, "when it is pulled"),
    Value(
        "source.kubeconfigSecret",
        "",
        SECRET,
        "Secret with the kubeconfig of the source cluster under the key kubeconfig; empty: the cluster of the pod",
    ),
    *_renewing("source"),
    Value("source.namespace", "", NAME, "the one source namespace to map; empty: all"),
    Value(
        "source.watchFilter",
        "",
        {"type": "string", "pattern": "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$", "maxLength": 63},
        "map only objects whose watch-filter label has this value; empty: all",
    ),
    Value(
        "apinet.kubeconfigSecret",
        "apinet-kubeconfig",
        SECRET,
        "Secret with the kubeconfig of the api-net cluster under the key kubeconfig; empty: the cluster of the pod",
    ),
    *_renewing("apinet"),
    Value(
        "apinet.namespace",
        "",
        {**NAME, "minLength": 1},
        "receives every api-net object; belongs to one source cluster only",
        is_required=True,
    ),
    Value(
        "flags",
        [],
        {"type": "array", "items": {"type": "string", "pattern": "^--?[a-z]"}},
        "more flags of the daemon, as on its command line",
    ),
    Value("logLevel", "info", {"type": "string", "pattern": "^(debug|info|error|[1-9][0-9]*)$"}, "how much is logged"),
    Value("resources.requests.cpu", "50m", CORES, "the daemon rests when nothing changes"),
    Value("resources.requests.memory", MEMORY[0], BYTES, "enough for five thousand objects"),
    Value("resources.limits.cpu", "1", CORES, "it works on one core at a time"),
    Value("resources.limits.memory", MEMORY[1], BYTES, "enough for forty thousand objects"),
    Value("nodeSelector", {}, {"type": "object", "additionalProperties": {"type": "string"}}, "nodes to run on"),
    Value("tolerations", [], TOLERATIONS, "taints to run in spite of"),
    Value("rbac.create", True, FLAG, "give the pod's account its rights in the cluster of the pod"),
    Value("podDisruptionBudget.enabled", True, FLAG, "let one pod at a time be evicted"),
    Value("networkPolicy.enabled", True, FLAG, "let nobody in but who asks for health and metrics"),
    Value(
        "networkPolicy.apiServerPorts",
        [{"port": 443, "protocol": "TCP"}, {"port": 6443, "protocol": "TCP"}],
        PORTS,
        "ports of both API servers, as ports of a NetworkPolicy",
    ),
    Value(
        "networkPolicy.metricsFrom",
        [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        PEERS,
        "who may read the metrics, as peers of a NetworkPolicy, of which there is one at least",
    ),
    Value(
        "monitoring.secure",
        False,
        FLAG,
        "ironcore: metrics over TLS, for tokens of the source cluster that may get /metrics; false: for all who get in",
    ),
    Value("monitoring.serviceMonitor", False, FLAG, "tell the Prometheus operator to read the metrics"),
    Value("monitoring.rules", False, FLAG, "tell the Prometheus operator the alerts"),
    Value("monitoring.dashboard", False, FLAG, "give Grafana's sidecar the dashboard"),
    Value(
        "monitoring.runbooks",
        "",
        {"type": "string", "pattern": "^(.*/)?$"},
        "where these documents are served, with a slash at its end",
    ),
)

NAMESPACE: Final = "apinetlet-system"
"""Where kustomize puts it."""


def defaults(**changed: Any) -> dict[str, Any]:
    """All values by path, as kustomize uses them; ``changed`` names paths with ``__`` for a dot."""
    chosen = {value.path: value.default for value in VALUES} | {"apinet.namespace": "apinet"}
    chosen |= {"release.name": "apinetlet", "release.namespace": NAMESPACE}
    return chosen | {path.replace("__", "."): value for path, value in changed.items()}


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """By path to a tree."""
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        *parents, leaf = path.split(".")
        place = tree
        for parent in parents:
            place = place.setdefault(parent, {})
        place[leaf] = value
    return tree


def values_yaml() -> str:
    """``values.yaml``: each value under what it means."""
    lines: list[str] = []
    opened: list[str] = []
    for value in VALUES:
        *parents, leaf = value.path.split(".")
        for depth, parent in enumerate(parents):
            if opened[: depth + 1] != parents[: depth + 1]:
                lines.append("  " * depth + f"{parent}:")
                opened = parents[: depth + 1]
        opened = parents
        indent = "  " * len(parents)
        lines.append(f"{indent}# {value.meaning}" + (" (required)" if value.is_required else ""))
        lines += [indent + line for line in dumped({leaf: value.default}).splitlines()]
    return "\n".join(lines) + "\n"


def schema() -> dict[str, Any]:
    """``values.schema.json``: nothing is allowed that is not listed, and nothing that is may be taken away (null)."""

    def closed(tree: Mapping[str, Any]) -> dict[str, Any]:
        properties = {name: {**one.schema, "description": one.meaning} if isinstance(one, Value) else closed(one)
                      for name, one in tree.items()}  # fmt: skip
        return {"type": "object", "additionalProperties": False, "properties": properties, "required": list(tree)}

    whole = closed(nested({value.path: value for value in VALUES}))
    for side in ("source", "apinet"):
        # only what is in a Secret can be renewed, and only what is renewed begins with a bootstrap kubeconfig
        whole["properties"][side] |= {
            "if": {"properties": {"rotate": {"const": True}}},
            "then": {"properties": {"kubeconfigSecret": {"minLength": 1}}},
            "else": {"properties": {"bootstrapSecret": {"maxLength": 0}}},
        }
    # the former generation protects metrics by a certificate that somebody mounts, or not at all
    whole["if"] = {"properties": {"monitoring": {"properties": {"secure": {"const": True}}}}}
    whole["then"] = {"properties": {"generation": {"const": IRONCORE.name}}}
    whole["properties"]["global"] = {"type": "object"}  # Helm's own, for a chart within a chart
    return {"$schema": "http://json-schema.org/draft-07/schema#", **whole}
