"""The kinds of both clusters as the embedded API server serves them.

Their schemas are the committed CRDs. What the real, aggregated servers do otherwise than a CRD (which write may touch
what, names, generations, allocation) stands here. Source: the registries of the Go servers of both clusters.
"""

import random
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

import attrs
import yaml

from apinetlet.api import Generation
from apinetlet.demo.networkids import NetworkIDs
from reconcile.testing.apiserver import Kind, Strategy, names
from reconcile.testing.apiserver.crds import kind_of
from reconcile.testing.apiserver.failure import Document


def source_kinds(generation: Generation) -> tuple[Kind, ...]:
    """The kinds of the source cluster: its networking and its ipam group."""
    return tuple(
        _source(one) for group in (generation.networking, generation.ipam) for one in _kinds(generation, group)
    )


def apinet_kinds(generation: Generation, rng: random.Random, *, highest_id: int = 16_777_215) -> tuple[Kind, ...]:
    """The kinds of the api-net cluster. It hands out network IDs, up to ``highest_id``, inside the create request."""
    kinds = {kind.resource.plural: _target(kind) for kind in _kinds(generation, generation.apinet)}
    ids = NetworkIDs(kinds["networkids"].resource, rng, highest=highest_id)
    kinds["networks"] = attrs.evolve(kinds["networks"], hooks=ids.hooks())
    return tuple(kinds.values())


@cache
def crds(generation: str, group: str) -> tuple[Document, ...]:
    """The committed CustomResourceDefinitions of one API group."""
    text = files("apinetlet").joinpath("crds", generation, f"{group}.yaml").read_text(encoding="utf-8")
    return tuple(yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def _kinds(generation: Generation, group: str) -> Iterable[Kind]:
    for definition in crds(generation.name, group):
        if (kind := kind_of(definition)) is not None:
            yield kind


def _source(kind: Kind) -> Kind:
    """Status is cleared on create and kept on update where the real server does so; else any write may set it."""
    return attrs.evolve(kind, strategy=_strategy(kind, separate_status=kind.resource.kind in _SEPARATE_STATUS))


def _target(kind: Kind) -> Kind:
    return attrs.evolve(kind, strategy=_strategy(kind, separate_status=False))


_SEPARATE_STATUS = {"Network", "LoadBalancer", "NetworkPolicy"}


def _strategy(kind: Kind, *, separate_status: bool) -> Strategy:
    """No update without a version; a generation for source Networks only; labels as names where servers say so."""
    return attrs.evolve(
        kind.strategy,
        generation=("spec",) if separate_status and kind.resource.kind == "Network" else (),
        main_keeps=("status",) if separate_status else (),
        name_rule=names.label if kind.resource.namespaced and kind.resource.kind != "Network" else names.subdomain,
        strategic=True,
    )
