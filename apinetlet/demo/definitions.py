"""The kinds of the source cluster as the embedded API server serves them.

Their schemas are the committed CRDs. What the real, aggregated servers do otherwise than a CRD (which write may touch
what, names, defaults, refusals) stands here and in ``source.py``; those of the api-net cluster are in ``apinet.py``.
Source: the registries of the Go servers of both source clusters.
"""

from typing import Any

from apinetlet.api import ONMETAL, Generation
from apinetlet.demo import source
from apinetlet.demo.schemas import WITH_METADATA, aggregated, crds, described
from reconcile.testing.apiserver import Hooks, Kind, names

__all__ = ["crds", "source_kinds"]

_OWN_STATUS = {"networks", "loadbalancers", "networkpolicies"}
"""Status is cleared on create and kept on update. Of all others a write of the object itself may set it."""
_OPEN_STATUS = {"loadbalancers", "natgateways", "networkpolicies"}
"""A write of the status changes the spec, too."""
_LABELS = {"loadbalancers", "natgateways", "virtualips"}
"""Their names are labels; those of all others are, in generation ``ironcore``, subdomains."""


def source_kinds(generation: Generation) -> tuple[Kind, ...]:
    """The kinds of the source cluster: its networking and its ipam group."""
    hooks = source.hooks(names.label if generation is ONMETAL else names.subdomain)
    return tuple(
        _served(generation, kind, hooks.get(kind.resource.plural, Hooks()))
        for group in (generation.networking, generation.ipam)
        for kind in described(generation.name, group)
    )


def _served(generation: Generation, kind: Kind, hooks: Hooks) -> Kind:
    plural = kind.resource.plural
    changes: dict[str, Any] = {"main_keeps": ("status",)} if plural in _OWN_STATUS else {}
    if plural == "networks":  # the only kind with a generation
        changes["generation"] = ("spec",)
    return aggregated(
        kind,
        hooks,
        name_rule=names.label if generation is ONMETAL or plural in _LABELS else names.subdomain,
        status=("spec", *WITH_METADATA) if plural in _OPEN_STATUS else WITH_METADATA,
        judge_status=source.prefix_status if plural == "prefixes" else None,
        **changes,
    )
