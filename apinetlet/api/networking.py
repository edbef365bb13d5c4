"""The source kinds (API group ``networking``): what apinetlet reads of them and writes back.

Fields that nobody here reads are absent; they survive, because every write is a patch.
"""

from enum import Enum

from attrs import field, frozen

from reconcile.kube import ObjectMeta
from reconcile.kube.codec import wire


class NetworkState(Enum):
    """``Network.status.state``."""

    PENDING = "Pending"
    AVAILABLE = "Available"
    ERROR = "Error"


@frozen
class NetworkSpec:
    provider_id: str = field(default="", metadata=wire("providerID"))
    """Optional; immutable once it is not empty."""


@frozen
class NetworkStatus:
    state: NetworkState | None = None
    """Cleared by the server at creation."""


@frozen
class Network:
    """A network as its user declared it."""

    metadata: ObjectMeta
    spec: NetworkSpec = NetworkSpec()
    status: NetworkStatus = NetworkStatus()
