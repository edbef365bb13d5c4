"""What differs between the two generations of the API, as one value.

The kinds have the same shape in both; groups, label keys, finalizers, field managers and the scheme of provider IDs
do not. Nothing else in the package asks which generation it serves.
"""

from collections.abc import Container
from enum import Enum

from attrs import frozen

from provider import Scheme


class NameIn(Enum):
    """Where a target object records the name of its source."""

    LABEL = "label"
    """Generation ``onmetal``: source names are DNS labels, so they fit a label value."""
    ANNOTATION = "annotation"
    """Generation ``ironcore``: source names may be longer than a label value allows."""


@frozen
class Generation:
    """The names of one generation. Source of every value: the manifests and constants of the Go daemon."""

    name: str
    networking: str
    """API group of the source kinds."""
    ipam: str
    """API group of the prefixes in the source cluster."""
    apinet: str
    """API group of the target kinds."""
    common: str
    """Domain of the labels and annotations that all source kinds share."""
    finalizers: str
    """Domain of our finalizers; the lower-case kind follows."""
    field_manager: str
    origins: str
    """Domain of the origin metadata on target objects; ``<kind>-uid`` and the like follow."""
    name_in: NameIn
    scheme: Scheme
    lease: str
    """Name of the Lease that the Go daemon uses for leader election, too."""
    ephemeral_manager: str = ""
    """Who makes ephemeral VirtualIPs, where it does not own all of them; empty: they always have an owner."""
    rule_manager: str = ""
    """Field manager of the rules that policies are resolved into; empty: the api-net cluster knows no policies."""
    has_peerings: bool = False
    """Whether the api-net cluster knows peerings of networks."""
    version: str = "v1alpha1"

    @property
    def watch_filter_label(self) -> str:
        return f"{self.common}/watch-filter"

    @property
    def managed_by_annotation(self) -> str:
        """Objects that carry it, whatever its value, belong to somebody else."""
        return f"{self.common}/managed-by"

    @property
    def ephemeral_annotation(self) -> str:
        """On ephemeral objects: who made them."""
        return f"{self.common}/ephemeral-managed-by"

    @property
    def zone_label(self) -> str:
        """By which nodes of the data plane say in which zone they are."""
        return f"topology.{self.apinet}/zone"

    def finalizer(self, kind: str) -> str:
        """Our finalizer on source objects of ``kind``."""
        return f"{self.finalizers}/{kind.lower()}"


ONMETAL = Generation(
    name="onmetal",
    networking="networking.api.onmetal.de",
    ipam="ipam.api.onmetal.de",
    apinet="core.apinet.api.onmetal.de",
    common="common.api.onmetal.de",
    finalizers="apinet.api.onmetal.de",
    field_manager="api.onmetal.de/apinetlet",
    origins="apinetlet.api.onmetal.de",
    name_in=NameIn.LABEL,
    scheme=Scheme.ONMETAL,
    lease="fa89daf5.apinetlet.apinet.api.onmetal.de",
)

IRONCORE = Generation(
    name="ironcore",
    networking="networking.ironcore.dev",
    ipam="ipam.ironcore.dev",
    apinet="core.apinet.ironcore.dev",
    common="common.ironcore.dev",
    finalizers="apinet.ironcore.dev",
    field_manager="ironcore.dev/apinetlet",
    origins="apinetlet.ironcore.dev",
    name_in=NameIn.ANNOTATION,
    scheme=Scheme.IRONCORE,
    lease="fa89daf5.apinetlet.apinet.ironcore.dev",
    ephemeral_manager="ephemeral-manager",
    rule_manager="networkpolicies.networking.ironcore.dev",
    has_peerings=True,
)

GENERATIONS = {generation.name: generation for generation in (ONMETAL, IRONCORE)}
NEITHER = " nor ".join(generation.networking for generation in GENERATIONS.values())
"""What a source cluster without any of them does not serve, for a sentence."""


def served(groups: Container[str]) -> tuple[Generation, ...]:
    """Those whose kinds a source cluster has that serves these API groups; the first is the one to serve."""
    return tuple(generation for generation in GENERATIONS.values() if generation.networking in groups)
