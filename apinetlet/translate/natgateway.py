"""A source NATGateway to its two objects in the api-net cluster.

Pure. How many addresses the gateway has is the autoscaler's business and which ones the server's: its entries are never
written, only reported.
"""

from typing import Any, Final

from attrs import frozen

from apinetlet.api import Generation, Kinds, apinet, networking
from apinetlet.origin import Origins
from apinetlet.translate.body import body
from apinetlet.translate.refused import Refused, invalid
from reconcile.kube.objects import OwnerReference

MOST_PORTS: Final = 64512
"""The ports of one address that a NAT may use, from 1024 on. An interface that wants more would divide by zero there.

Source: the NAT gateway controllers of both Go api-nets.
"""


@frozen
class Scale:
    """How many public addresses a gateway may have."""

    least: int = 1
    most: int = 10


@frozen
class View:
    """One source NATGateway beside everything that decides about its counterpart."""

    source: networking.NATGateway
    network: str
    """The name of the api-net Network that it belongs to."""
    target: apinet.NATGateway | None
    """The counterpart as it is now."""
    namespace: str
    kinds: Kinds
    generation: Generation

    @property
    def origins(self) -> Origins:
        return Origins(self.generation, "NATGateway")


def nat_gateway(view: View) -> dict[str, Any]:
    """The api-net NATGateway for ``view``.

    Raises:
        Refused: a field that nothing can be made of; names it.
    """
    spec = view.source.spec
    if spec.type not in ("", "Public"):
        raise Refused("UnknownType", "spec.type", f"is {spec.type!r}, not Public")
    if spec.ip_family not in ("IPv4", "IPv6"):
        raise invalid("spec.ipFamily", f"is {spec.ip_family!r}, neither IPv4 nor IPv6")
    if not 0 < spec.ports_per_network_interface <= MOST_PORTS:
        why = f"is {spec.ports_per_network_interface}: an address has 1 to {MOST_PORTS} ports to give"
        raise Refused("InvalidPorts", "spec.portsPerNetworkInterface", why)
    return body(
        view.kinds.apinet_nat_gateway,
        view.source.metadata,
        namespace=view.namespace,
        origins=view.origins,
        spec={
            "ipFamily": spec.ip_family,
            "networkRef": {"name": view.network},
            "portsPerNetworkInterface": spec.ports_per_network_interface,
        },
    )


def differences(view: View) -> tuple[str, ...]:
    """The fields in which the counterpart differs and that no server lets change: it has to be made anew."""
    if view.target is None:
        return ()
    live, wanted = view.target.spec, view.source.spec
    found = {"ipFamily": live.ip_family != wanted.ip_family, "networkRef": live.network_ref.name != view.network}
    return tuple(name for name, differs in found.items() if differs)


def autoscaler(view: View, scale: Scale, owner: OwnerReference) -> dict[str, Any]:
    """The api-net NATGatewayAutoscaler for ``view``, which belongs to the gateway ``owner``."""
    return body(
        view.kinds.apinet_nat_gateway_autoscaler,
        view.source.metadata,
        namespace=view.namespace,
        origins=view.origins,
        owners=[owner],
        spec={"natGatewayRef": {"name": owner.name}, "minPublicIPs": scale.least, "maxPublicIPs": scale.most},
    )
