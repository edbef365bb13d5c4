"""The api-net server: nothing but kinds, declared to the embedded API server.

A kind is its schema, a strategy and hooks. Network IDs and addresses are handed out inside the write that asks for
them (``networkids.py``, ``addresses.py``, ``claims.py``), before it is validated; a refused write undoes all of it.
Source: the registry and validation packages of the Go api-net servers. What they get wrong is not repeated: addresses
survive a refused update, internal load balancers can be created, and both generations have IPv6.
"""

import random
from collections.abc import Iterator
from functools import partial

import attrs

from apinetlet.api import Generation
from apinetlet.demo import checks
from apinetlet.demo.addresses import Addresses, address_name
from apinetlet.demo.claims import Claims, entry_family, is_public, object_family
from apinetlet.demo.networkids import NetworkIDs, number_name
from apinetlet.demo.schemas import aggregated, described
from reconcile.kube.selector import BadSelector, labels_from
from reconcile.testing.apiserver import Fault, Hooks, Kind, Write, names
from reconcile.testing.apiserver.failure import Document, forbidden_field, invalid_value, required

_NAMES = {"nodes": names.subdomain, "networkids": number_name, "ipaddresses": address_name}
"""The name rules of what is cluster-scoped; the names of all else are labels."""


@attrs.frozen
class Supply:
    """What an api-net server has to hand out."""

    lowest_id: int = 200
    highest_id: int = 16_777_215
    prefixes: tuple[str, ...] = ("198.18.0.0/15", "2001:db8:a::/96")
    """All addresses of these are public, the first and the last included."""


def kinds(generation: Generation, rng: random.Random | None = None, supply: Supply = Supply()) -> tuple[Kind, ...]:
    """The kinds of the api-net cluster of a generation; ``rng`` draws where the search for something free begins.

    Raises:
        ValueError: a prefix that the real server could not allocate from.
    """
    rng = rng or random.Random(0)
    found = {kind.resource.plural: kind for kind in described(generation.name, generation.apinet)}
    ids = NetworkIDs(found["networkids"].resource, rng, supply.lowest_id, supply.highest_id)
    addresses = Addresses(generation, found["ipaddresses"].resource, rng, supply.prefixes)
    claims = partial(Claims, generation, addresses, found["ips"].resource)
    hooks: dict[str, Hooks] = {
        "networks": ids.hooks(),
        "networkids": ids.lock_hooks(),
        "ips": addresses.hooks(),
        "ipaddresses": addresses.lock_hooks(),
        "loadbalancers": Hooks(
            default=partial(_default_entries, "spec.ips"),
            allocate=claims("spec.ips", entry_family, is_public).allocate,
            validate=_load_balancer,
        ),
        "natgateways": Hooks(
            default=partial(_default_entries, "spec.ips", families=False),
            allocate=claims("spec.ips", object_family).allocate,
            validate=_nat_gateway,
        ),
        "natgatewayautoscalers": Hooks(validate=_autoscaler),
        "networkinterfaces": Hooks(
            default=_default_interface,
            allocate=claims("spec.publicIPs", entry_family).allocate,
            validate=_interface,
        ),
        "instances": Hooks(validate=_instance),
        "networkpolicies": Hooks(validate=_policy),
    }
    return tuple(
        aggregated(kind, hooks.get(plural, Hooks()), name_rule=_NAMES.get(plural, names.label))
        for plural, kind in found.items()
    )


# -- defaults ----------------------------------------------------------------------------------------------------------


def _default_entries(path: str, document: Document, *, families: bool = True) -> None:
    for one in checks.entries(document, path):
        checks.canonical(one, "ip")
        if families:
            checks.default_family(one)


def _default_interface(document: Document) -> None:
    _default_entries("spec.publicIPs", document)
    if isinstance(ips := checks.at(document, "spec.ips"), list):
        document["spec"]["ips"] = [str(checks.address(ip)) if isinstance(ip, str) else ip for ip in ips]


# -- validation --------------------------------------------------------------------------------------------------------


def _load_balancer(write: Write) -> Iterator[Fault]:
    yield from checks.one_of(write.object, "spec.type", ("Public", "Internal"), "must specify type")
    for index, one in enumerate(checks.entries(write.object, "spec.ips")):
        path = f"spec.ips[{index}]"
        if not one.get("ipFamily"):
            yield required(path, "must specify IP family")
        yield from checks.of_family(one.get("ip"), one.get("ipFamily"), f"{path}.ip")
    labels = checks.at(write.object, "spec.template.metadata.labels") or {}
    selector = (checks.at(write.object, "spec") or {}).get("selector")
    try:
        # nothing matches a selector that is not there; an empty one matches everything
        matches = selector is not None and labels_from(selector).matches(labels)
    except BadSelector as error:
        yield invalid_value("spec.selector", error.text, error.what)
    else:
        if not matches:
            says = "`selector` does not match template `labels`"
            yield invalid_value("spec.template.labels", labels, says)
    yield from checks.fixed(write, "spec.type", "spec.networkRef", "spec.selector")


def _nat_gateway(write: Write) -> Iterator[Fault]:
    yield from checks.one_of(write.object, "spec.ipFamily", checks.FAMILIES, "must specify IP family")
    for index, one in enumerate(checks.entries(write.object, "spec.ips")):
        yield from checks.of_family(one.get("ip"), checks.at(write.object, "spec.ipFamily"), f"spec.ips[{index}].ip")
    yield from checks.fixed(write, "spec.ipFamily", "spec.networkRef")


def _autoscaler(write: Write) -> Iterator[Fault]:
    bounds = {name: checks.at(write.object, f"spec.{name}") or 0 for name in ("minPublicIPs", "maxPublicIPs")}
    for name, bound in bounds.items():
        if bound < 0:
            yield invalid_value(f"spec.{name}", bound, "must be greater than or equal to 0")
    if bounds["minPublicIPs"] > bounds["maxPublicIPs"]:
        yield invalid_value("spec.maxPublicIPs", bounds["maxPublicIPs"], "must >= minPublicIPs")


def _interface(write: Write) -> Iterator[Fault]:
    yield from checks.given(write.object, "spec.nodeRef.name", "must specify target node")
    seen: set[str] = set()
    for index, ip in enumerate(checks.at(write.object, "spec.ips") or ()):
        if (family := checks.family_of(ip)) in seen:
            yield invalid_value(f"ips[{index}]", ip, f"cannot have multiple internal IPs of family {family}")
        seen.add(family)
    public: set[str] = set()
    for name, says in (
        ("publicIPs", "cannot have multiple external IPs of family {}"),
        ("natGateways", "cannot have nat for already present external IP family {}"),
    ):
        for index, one in enumerate(checks.entries(write.object, f"spec.{name}")):
            path = f"spec.{'nats' if name == 'natGateways' else name}[{index}]"
            if not (family := one.get("ipFamily") or ""):
                yield required(f"{path}.ipFamily", "must specify IP family")
            if family in public:
                yield forbidden_field(path, says.format(family))
            public.add(family)
    if hostname := checks.at(write.object, "spec.hostname"):
        yield from (invalid_value("spec.hostname", hostname, text) for text in names.label(hostname, False))
    yield from checks.fixed(write, "spec.networkRef", "spec.nodeRef", "spec.hostname")
    yield from checks.fixed_value(write, "spec.ips")


def _instance(write: Write) -> Iterator[Fault]:
    yield from checks.one_of(write.object, "spec.type", ("LoadBalancer",), "must specify instance type")
    yield from checks.one_of(write.object, "spec.loadBalancerType", ("Public", "Internal"), "must specify type")
    yield from checks.fixed(write, "spec.type", "spec.loadBalancerType", "spec.networkRef")
    if write.old is not None and checks.at(write.old, "spec.nodeRef"):
        yield from checks.fixed(write, "spec.nodeRef")


def _policy(write: Write) -> Iterator[Fault]:
    if (checks.at(write.object, "spec.priority") or 0) < 0:
        yield invalid_value("spec.priority", checks.at(write.object, "spec.priority"), "must be non-negative")
    yield from checks.given(write.object, "spec.policyTypes", "must specify policy types")
    yield from checks.policy_rules(write.object, ("NetworkInterface", "LoadBalancer"))
    yield from checks.fixed(write, "spec.networkRef")
