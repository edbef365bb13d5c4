"""The prefixes of the source cluster (API group ``ipam``): what apinetlet reads of them. It never writes them."""

from attrs import field, frozen

from reconcile.kube import ObjectMeta

ALLOCATED = "Allocated"
"""The phase of a Prefix whose ``spec.prefix`` can be relied on."""


@frozen
class PrefixSpec:
    ip_family: str = ""
    prefix: str = ""
    """``address/bits``; host bits are kept. Set before the phase says so."""


@frozen
class PrefixStatus:
    phase: str = ""


@frozen
class Prefix:
    """A range of addresses; of an ephemeral address, one that holds just that."""

    metadata: ObjectMeta
    spec: PrefixSpec = field(factory=PrefixSpec)
    status: PrefixStatus = field(factory=PrefixStatus)

    @property
    def allocated(self) -> str:
        """``spec.prefix`` once it can be relied on; "" until then."""
        return self.spec.prefix if self.status.phase == ALLOCATED else ""

    def allocated_to(self, owner: ObjectMeta) -> str:
        """The same, if the Prefix was made for ``owner``."""
        controller = self.metadata.controller
        return self.allocated if controller is not None and controller.uid == owner.uid else ""
