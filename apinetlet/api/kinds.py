"""The kinds of one generation as REST resources."""

from functools import partial

from attrs import frozen

from apinetlet.api import apinet, ipam, networking
from apinetlet.api.generation import Generation
from reconcile.kube import Resource


@frozen
class PolicyKinds:
    """Where policies are served."""

    source: Resource[networking.NetworkPolicy]
    target: Resource[apinet.NetworkPolicy]
    rule: Resource[apinet.NetworkPolicyRule]

    @classmethod
    def of(cls, generation: Generation) -> "PolicyKinds | None":
        """``None``: the api-net cluster of the generation knows none."""
        if not generation.rule_manager:
            return None
        target = partial(Resource, group=generation.apinet, version=generation.version)
        return cls(
            source=Resource(
                generation.networking,
                generation.version,
                "NetworkPolicy",
                "networkpolicies",
                type=networking.NetworkPolicy,
            ),
            target=target(kind="NetworkPolicy", plural="networkpolicies", type=apinet.NetworkPolicy),
            rule=target(kind="NetworkPolicyRule", plural="networkpolicyrules", type=apinet.NetworkPolicyRule),
        )


@frozen
class Kinds:
    """Where each kind of a generation is served."""

    network: Resource[networking.Network]
    apinet_network: Resource[apinet.Network]
    prefix: Resource[ipam.Prefix]
    load_balancer: Resource[networking.LoadBalancer]
    load_balancer_routing: Resource[networking.LoadBalancerRouting]
    apinet_load_balancer: Resource[apinet.LoadBalancer]
    apinet_load_balancer_routing: Resource[apinet.LoadBalancerRouting]
    nat_gateway: Resource[networking.NATGateway]
    apinet_nat_gateway: Resource[apinet.NATGateway]
    apinet_nat_gateway_autoscaler: Resource[apinet.NATGatewayAutoscaler]
    virtual_ip: Resource[networking.VirtualIP]
    apinet_ip: Resource[apinet.IP]
    network_interface: Resource[networking.NetworkInterface]
    apinet_network_interface: Resource[apinet.NetworkInterface]
    policies: PolicyKinds | None
    """``None``: the api-net cluster of the generation knows none."""

    @classmethod
    def of(cls, generation: Generation) -> "Kinds":
        source = partial(Resource, group=generation.networking, version=generation.version)
        target = partial(Resource, group=generation.apinet, version=generation.version)
        return cls(
            network=source(kind="Network", plural="networks", type=networking.Network),
            apinet_network=target(kind="Network", plural="networks", type=apinet.Network),
            prefix=Resource(generation.ipam, generation.version, "Prefix", "prefixes", type=ipam.Prefix),
            load_balancer=source(kind="LoadBalancer", plural="loadbalancers", type=networking.LoadBalancer),
            load_balancer_routing=source(
                kind="LoadBalancerRouting", plural="loadbalancerroutings", type=networking.LoadBalancerRouting
            ),
            apinet_load_balancer=target(kind="LoadBalancer", plural="loadbalancers", type=apinet.LoadBalancer),
            apinet_load_balancer_routing=target(
                kind="LoadBalancerRouting", plural="loadbalancerroutings", type=apinet.LoadBalancerRouting
            ),
            nat_gateway=source(kind="NATGateway", plural="natgateways", type=networking.NATGateway),
            apinet_nat_gateway=target(kind="NATGateway", plural="natgateways", type=apinet.NATGateway),
            apinet_nat_gateway_autoscaler=target(
                kind="NATGatewayAutoscaler", plural="natgatewayautoscalers", type=apinet.NATGatewayAutoscaler
            ),
            virtual_ip=source(kind="VirtualIP", plural="virtualips", type=networking.VirtualIP),
            apinet_ip=target(kind="IP", plural="ips", type=apinet.IP),
            network_interface=source(
                kind="NetworkInterface", plural="networkinterfaces", type=networking.NetworkInterface
            ),
            apinet_network_interface=target(
                kind="NetworkInterface", plural="networkinterfaces", type=apinet.NetworkInterface
            ),
            policies=PolicyKinds.of(generation),
        )
