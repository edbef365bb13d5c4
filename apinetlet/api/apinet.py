"""The target kinds (API group ``core.apinet``): what apinetlet reads of them.

What it writes of them are bodies for server-side apply, made in ``apinetlet.translate``: they hold only owned fields.
"""

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from apinetlet.api.references import LocalRef
from reconcile.kube import ObjectMeta
from reconcile.kube.codec import wire
from reconcile.kube.objects import EMPTY


@frozen
class PeeringPrefix:
    name: str = ""
    prefix: str = ""


@frozen
class Peering:
    """A network that this one exchanges traffic with."""

    name: str = ""
    id: str = ""
    """Of the other one."""
    prefixes: tuple[PeeringPrefix, ...] = ()
    """None: all of it."""


@frozen
class NetworkSpec:
    id: str = ""
    """Decimal VNI. Allocated by the server inside the create request, immutable, never written."""
    peerings: tuple[Peering, ...] = ()


@frozen
class PeeringReport:
    """What one partition says of a peering."""

    id: int = 0
    state: str = ""


@frozen
class NetworkStatus:
    peerings: Mapping[str, tuple[PeeringReport, ...] | None] = field(factory=dict)
    """By partition."""


@frozen
class Network:
    """A network as the data plane knows it."""

    metadata: ObjectMeta
    spec: NetworkSpec = field(factory=NetworkSpec)
    status: NetworkStatus = field(factory=NetworkStatus)


# -- load balancers ----------------------------------------------------------------------------------------------------


@frozen
class Address:
    """One entry of ``spec.ips``, known by its name."""

    name: str = ""
    ip_family: str = ""
    ip: str = ""
    """Of a public address: allocated by the server inside the request that adds the entry, never written."""


@frozen
class Selector:
    match_labels: Mapping[str, str] = EMPTY
    match_expressions: tuple[Any, ...] = ()


@frozen
class LoadBalancerSpec:
    type: str = ""
    """Immutable, like ``network_ref`` and ``selector``."""
    network_ref: LocalRef = field(factory=LocalRef)
    ips: tuple[Address, ...] = ()
    ports: tuple[Any, ...] = ()
    selector: Selector = Selector()
    template: Mapping[str, Any] = EMPTY


@frozen
class LoadBalancer:
    """A load balancer as the data plane knows it."""

    metadata: ObjectMeta
    spec: LoadBalancerSpec = LoadBalancerSpec()


@frozen
class LoadBalancerRouting:
    """The destinations of the load balancer of the same name. It has no ``spec``."""

    metadata: ObjectMeta
    destinations: tuple[Any, ...] = ()


# -- NAT gateways ------------------------------------------------------------------------------------------------------


@frozen
class NATGatewaySpec:
    ip_family: str = ""
    """Immutable, like ``network_ref``."""
    network_ref: LocalRef = field(factory=LocalRef)
    ips: tuple[Address, ...] = ()
    """The autoscaler's: it adds and removes entries, the server fills in the addresses. Never written."""


@frozen
class NATGateway:
    """A NAT gateway as the data plane knows it."""

    metadata: ObjectMeta
    spec: NATGatewaySpec = NATGatewaySpec()


@frozen
class NATGatewayAutoscaler:
    """Says how many public addresses the gateway of the same name may have."""

    metadata: ObjectMeta


# -- public addresses --------------------------------------------------------------------------------------------------


@frozen
class ClaimRef:
    """Who uses an address: an object of the same namespace. Set and cleared by the server, never written."""

    group: str = ""
    resource: str = ""
    name: str = ""
    uid: str = ""


@frozen
class IPSpec:
    ip_family: str = ""
    """Immutable, like the type."""
    ip: str = ""
    """Allocated by the server inside the create request, immutable, never written."""
    claim_ref: ClaimRef | None = None


@frozen
class IP:
    """A public address that is ours until it is deleted."""

    metadata: ObjectMeta
    spec: IPSpec = field(factory=IPSpec)


# -- network interfaces ------------------------------------------------------------------------------------------------


@frozen
class PublicIP:
    """A public address of an interface. The server looks for the IP that has it, and claims that for the interface."""

    name: str = ""
    ip_family: str = ""
    ip: str = ""


@frozen
class NetworkInterfaceSpec:
    network_ref: LocalRef = field(factory=LocalRef)
    ips: tuple[str | None, ...] = ()
    prefixes: tuple[str | None, ...] = ()
    public_ips: tuple[PublicIP, ...] = field(default=(), metadata=wire("publicIPs"))
    nat_gateways: tuple[Mapping[str, Any], ...] = ()
    """The NAT controller's entries, whole: what we leave in the list stays as it is."""


@frozen
class NetworkInterfaceStatus:
    state: str = ""
    """Any text; empty before anybody has seen it."""
    public_ips: tuple[str | None, ...] = field(default=(), metadata=wire("publicIPs"))


@frozen
class NetworkInterface:
    """A network interface as the data plane knows it. Made by the provider of machines; we only patch it."""

    metadata: ObjectMeta
    spec: NetworkInterfaceSpec = NetworkInterfaceSpec()
    status: NetworkInterfaceStatus = NetworkInterfaceStatus()


# -- network policies --------------------------------------------------------------------------------------------------


@frozen
class NetworkPolicySpec:
    network_ref: LocalRef = field(factory=LocalRef)
    """Immutable."""
    ingress: tuple[Any, ...] = ()
    egress: tuple[Any, ...] = ()


@frozen
class NetworkPolicy:
    """A policy as its user declared it, in words of the data plane."""

    metadata: ObjectMeta
    spec: NetworkPolicySpec = field(factory=NetworkPolicySpec)


@frozen
class NetworkPolicyRule:
    """The policy of the same name with addresses for selectors: what is enforced. It has no ``spec``."""

    metadata: ObjectMeta
    targets: tuple[Any, ...] = ()
    ingress_rule: tuple[Any, ...] = ()
    egress_rule: tuple[Any, ...] = ()
