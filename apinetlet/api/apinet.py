"""The target kinds (API group ``core.apinet``): what apinetlet reads of them.

What it writes of them are bodies for server-side apply, made in ``apinetlet.translate``: they hold only owned fields.
"""

from attrs import field, frozen

from reconcile.kube import ObjectMeta


@frozen
class NetworkSpec:
    id: str = ""
    """Decimal VNI. Allocated by the server inside the create request, immutable, never written."""


@frozen
class Network:
    """A network as the data plane knows it."""

    metadata: ObjectMeta
    spec: NetworkSpec = field(factory=NetworkSpec)
