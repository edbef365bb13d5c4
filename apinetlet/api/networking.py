"""The source kinds (API group ``networking``): what apinetlet reads of them and writes back.

Fields that nobody here reads are absent; they survive, because every write is a patch.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any

from attrs import field, frozen

from apinetlet.api.references import LocalRef, UIDRef
from reconcile.kube import ObjectMeta
from reconcile.kube.codec import wire
from reconcile.kube.objects import EMPTY


class NetworkState(Enum):
    """``Network.status.state``."""

    PENDING = "Pending"
    AVAILABLE = "Available"
    ERROR = "Error"


@frozen
class PeerRef:
    """A Network, which may be another user's."""

    namespace: str = ""
    """Empty: that of who names it."""
    name: str = ""


@frozen
class PeeringPrefix:
    """A part of the Network that its peer may reach: given, or what a Prefix of the same namespace holds."""

    name: str = ""
    prefix: str = ""
    prefix_ref: LocalRef | None = None


@frozen
class Peering:
    """What a Network wants of another one. It comes about if that one wants the same."""

    name: str = ""
    network_ref: PeerRef = PeerRef()
    prefixes: tuple[PeeringPrefix, ...] = ()
    """None: the peer may reach everything."""


@frozen
class PeeringClaim:
    """A Network that has a peering pointing back, as the API's controllers found."""

    namespace: str = ""
    name: str = ""
    uid: str = ""


@frozen
class NetworkSpec:
    provider_id: str = field(default="", metadata=wire("providerID"))
    """Optional; immutable once it is not empty."""
    peerings: tuple[Peering, ...] = ()
    incoming_peerings: tuple[PeeringClaim, ...] = ()


@frozen
class ExposedPrefix:
    name: str = ""
    prefix: str = ""


@frozen
class PeeringStatus:
    """How one peering is; ``state`` as the data plane says."""

    name: str = ""
    state: str = ""
    prefixes: tuple[ExposedPrefix, ...] = ()


@frozen
class NetworkStatus:
    state: NetworkState | None = None
    """Cleared by the server at creation."""
    peerings: tuple[PeeringStatus, ...] = ()


@frozen
class Network:
    """A network as its user declared it."""

    metadata: ObjectMeta
    spec: NetworkSpec = NetworkSpec()
    status: NetworkStatus = NetworkStatus()


@frozen
class IPSource:
    """Where one address of an object comes from: it is given, or a Prefix is made for it."""

    value: str = ""
    ephemeral: Mapping[str, Any] | None = None
    """The template of that Prefix; read by its presence alone."""


# -- load balancers ----------------------------------------------------------------------------------------------------


@frozen
class LoadBalancerPort:
    protocol: str = ""
    port: int | None = None
    end_port: int | None = None


@frozen
class LoadBalancerSpec:
    type: str = ""
    """``Public`` or ``Internal``; mutable."""
    ip_families: tuple[str, ...] = ()
    ips: tuple[IPSource, ...] = ()
    """Only of the type ``Internal``."""
    network_ref: LocalRef = field(factory=LocalRef)
    ports: tuple[LoadBalancerPort, ...] = ()
    """None: all ports."""


@frozen
class AddressStatus:
    """``status`` of what gets its addresses from the api-net cluster."""

    ips: tuple[str | None, ...] = ()
    """The Go daemon writes null for an address that is not there yet."""


@frozen
class LoadBalancer:
    """A load balancer as its user declared it."""

    metadata: ObjectMeta
    spec: LoadBalancerSpec = LoadBalancerSpec()
    status: AddressStatus = AddressStatus()


@frozen
class DestinationRef:
    provider_id: str = field(default="", metadata=wire("providerID"))
    """Of the network interface behind the address; empty before it has one."""


@frozen
class Destination:
    ip: str = ""
    target_ref: DestinationRef | None = None


@frozen
class LoadBalancerRouting:
    """Where the load balancer of the same name sends its traffic. It has no ``spec``."""

    metadata: ObjectMeta
    destinations: tuple[Destination, ...] = ()


# -- NAT gateways ------------------------------------------------------------------------------------------------------


@frozen
class NATGatewaySpec:
    type: str = ""
    ip_family: str = ""
    """Mutable."""
    network_ref: LocalRef = field(factory=LocalRef)
    ports_per_network_interface: int = 2048
    """A power of two; the server's default where it is absent."""


@frozen
class NATGateway:
    """A NAT gateway as its user declared it."""

    metadata: ObjectMeta
    spec: NATGatewaySpec = NATGatewaySpec()
    status: AddressStatus = AddressStatus()


# -- virtual IPs -------------------------------------------------------------------------------------------------------


@frozen
class VirtualIPSpec:
    type: str = ""
    """Always ``Public``, as far as servers check it."""
    ip_family: str = ""
    """``IPv4`` or ``IPv6``; immutable, like the type."""
    target_ref: UIDRef | None = None
    """The network interface that has claimed it."""


@frozen
class VirtualIPStatus:
    ip: str = ""


@frozen
class VirtualIP:
    """A public address as its user asked for it."""

    metadata: ObjectMeta
    spec: VirtualIPSpec = VirtualIPSpec()
    status: VirtualIPStatus = VirtualIPStatus()


# -- network interfaces ------------------------------------------------------------------------------------------------


class InterfaceState(Enum):
    """``NetworkInterface.status.state``, as we write it."""

    PENDING = "Pending"
    AVAILABLE = "Available"
    ERROR = "Error"


@frozen
class VirtualIPSource:
    """Which VirtualIP an interface wants: one that is there, or one made for it under its own name."""

    virtual_ip_ref: LocalRef | None = field(default=None, metadata=wire("virtualIPRef"))
    ephemeral: Mapping[str, Any] | None = None
    """The template of that VirtualIP; read by its presence alone."""


@frozen
class NetworkInterfaceSpec:
    provider_id: str = field(default="", metadata=wire("providerID"))
    """Names the interface of the data plane; comes and goes with the machine it is attached to."""
    network_ref: LocalRef = field(factory=LocalRef)
    virtual_ip: VirtualIPSource | None = field(default=None, metadata=wire("virtualIP"))
    prefixes: tuple[IPSource, ...] = ()


@frozen
class NetworkInterfaceStatus:
    state: str = ""
    """Any text: servers do not check it."""
    ips: tuple[str | None, ...] = ()
    prefixes: tuple[str | None, ...] = ()
    virtual_ip: str = field(default="", metadata=wire("virtualIP"))


@frozen
class NetworkInterface:
    """A network interface as its user declared it."""

    metadata: ObjectMeta
    spec: NetworkInterfaceSpec = NetworkInterfaceSpec()
    status: NetworkInterfaceStatus = NetworkInterfaceStatus()


# -- network policies --------------------------------------------------------------------------------------------------


@frozen
class Expression:
    key: str = ""
    operator: str = ""
    values: tuple[str, ...] = ()


@frozen
class Selector:
    """Labels; an empty one means everything."""

    match_labels: Mapping[str, str] = EMPTY
    match_expressions: tuple[Expression, ...] = ()


@frozen
class ObjectSelector(Selector):
    kind: str = ""
    """``NetworkInterface``, ``LoadBalancer`` or ``VirtualIP``."""


@frozen
class IPBlock:
    cidr: str = ""
    excepted: tuple[str, ...] = field(default=(), metadata=wire("except"))
    """Parts of ``cidr``."""


@frozen
class PolicyPeer:
    """Whom a rule lets through: one of both."""

    object_selector: ObjectSelector | None = None
    ip_block: IPBlock | None = None


@frozen
class PolicyPort:
    protocol: str = ""
    port: int | None = None
    """0 or absent: all of them."""
    end_port: int | None = None


@frozen
class IngressRule:
    ports: tuple[PolicyPort, ...] = ()
    peers: tuple[PolicyPeer, ...] = field(default=(), metadata=wire("from"))


@frozen
class EgressRule:
    ports: tuple[PolicyPort, ...] = ()
    peers: tuple[PolicyPeer, ...] = field(default=(), metadata=wire("to"))


@frozen
class NetworkPolicySpec:
    network_ref: LocalRef = field(factory=LocalRef)
    """Immutable."""
    network_interface_selector: Selector = Selector()
    """Whom the policy is for."""
    ingress: tuple[IngressRule, ...] = ()
    egress: tuple[EgressRule, ...] = ()
    policy_types: tuple[str, ...] = ()
    """``Ingress``, ``Egress``; the server adds those that have rules."""


@frozen
class NetworkPolicy:
    """Who may talk to whom, as its user declared it."""

    metadata: ObjectMeta
    spec: NetworkPolicySpec = NetworkPolicySpec()
