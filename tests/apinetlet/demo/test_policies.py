"""What a policy should come to, as the demo reads it off what users see."""

from typing import Any

from apinetlet.demo.policies import Effect, Selectable, enforced, meant, wording
from reconcile import Object

WEB, DNS = {"matchLabels": {"app": "web"}}, {"matchLabels": {"app": "dns"}}


def an_object(name: str, *, network: str = "", namespace: str = "default", app: str = "", **status: Any) -> Object:
    metadata = {"name": name, "namespace": namespace, "labels": {"app": app} if app else {}}
    return Object(
        {"metadata": metadata, "spec": {"networkRef": {"name": network}} if network else {}, "status": status}
    )


def nic(name: str, ip: str, state: str = "Available", **place: str) -> Object:
    return an_object(name, **{"network": "blue", "app": "web", **place}, state=state, ips=[ip])


def a_policy(**spec: Any) -> Object:
    return Object({"metadata": {"name": "p", "namespace": "default"}, "spec": {"networkRef": {"name": "blue"}, **spec}})


def chosen(kind: str, selector: dict[str, Any]) -> dict[str, Any]:
    return {"objectSelector": {"kind": kind, **selector}}


OBJECTS = Selectable.of(
    {
        "networkinterfaces": [
            nic("one", "10.0.0.1"),
            nic("two", "10.0.0.2", app="db"),
            nic("waits", "10.0.0.3", state="Pending"),
            nic("elsewhere", "10.0.0.4", network="green"),
            nic("not-ours", "10.0.0.5", namespace="other"),
        ],
        "loadbalancers": [an_object("lb", network="blue", app="web", ips=["192.0.2.1", "2001:db8::1"])],
        "virtualips": [an_object("vip", app="dns", ip="192.0.2.2"), an_object("new", app="dns")],
    }
)


def test_what_selectors_mean_are_the_addresses_that_users_see_in_the_network_of_the_policy() -> None:
    peers = [chosen("LoadBalancer", WEB), {"ipBlock": {"cidr": "10.0.0.0/8"}}]
    policy = a_policy(
        networkInterfaceSelector=WEB, ingress=[{"from": peers}, {}], egress=[{"to": [chosen("VirtualIP", DNS)]}]
    )
    through = (frozenset({"192.0.2.1", "2001:db8::1"}), frozenset[str](), frozenset({"192.0.2.2"}))
    assert meant(policy, OBJECTS) == Effect(frozenset({"10.0.0.1"}), through)


def test_an_empty_selector_means_all_and_one_that_is_none_means_nothing_that_could_be_compared() -> None:
    assert meant(a_policy(networkInterfaceSelector={}), OBJECTS) == Effect(frozenset({"10.0.0.1", "10.0.0.2"}), ())
    wrong = {"matchExpressions": [{"key": "a", "operator": "Like"}]}
    assert meant(a_policy(networkInterfaceSelector=wrong), OBJECTS) is None
    assert wording(a_policy(networkInterfaceSelector=wrong)) == "nobody to ?"


def test_a_rule_is_read_as_addresses_of_either_family() -> None:
    rule = Object(
        {
            "metadata": {"name": "r", "namespace": "apinet"},
            "targets": [{"ip": "10.0.0.1", "targetRef": {"uid": "u", "name": "n"}}],
            "ingressRule": [{"ips": [{"ipFamily": "IPv6", "prefix": "2001:db8::1/128"}]}, {}],
            "egressRule": [{"ips": [{"ipFamily": "IPv4", "prefix": "192.0.2.2/32"}]}],
        }
    )
    through = (frozenset({"2001:db8::1"}), frozenset[str](), frozenset({"192.0.2.2"}))
    assert enforced(rule) == Effect(frozenset({"10.0.0.1"}), through)


def test_a_policy_is_worded_by_its_labels() -> None:
    peers = [chosen("VirtualIP", DNS), chosen("NetworkInterface", {}), {"ipBlock": {"cidr": "10.0.0.0/8"}}]
    assert (
        wording(a_policy(networkInterfaceSelector=WEB, egress=[{"to": peers}])) == "app=dns or all or ranges to app=web"
    )
