"""What the API servers of the source clusters default and refuse, kind by kind.

Functions from a document, or a write, to what is wrong with it; ``definitions.py`` gives them to the kinds. Pure.
Source: the defaulting, strategy and validation packages of both source API servers.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import pairwise
from typing import Any

from apinetlet.demo import checks
from reconcile.testing.apiserver import Fault, Hooks, Write, names
from reconcile.testing.apiserver.failure import (
    Document,
    duplicate,
    forbidden_field,
    invalid_value,
    not_supported,
    required,
)
from reconcile.testing.apiserver.names import NameRule

_BITS = {"IPv4": 32, "IPv6": 128}
_LARGEST_SLICE = 2**30


def hooks(names_of_objects: NameRule) -> Mapping[str, Hooks]:
    """The hooks of each kind by its plural; ``names_of_objects`` is the rule for the prefixes made for an object."""
    return {
        "networks": Hooks(validate=network),
        "networkinterfaces": Hooks(default=default_interface, validate=partial(interface, names_of_objects)),
        "loadbalancers": Hooks(
            default=default_addresses, allocate=drop_addresses, validate=partial(load_balancer, names_of_objects)
        ),
        "natgateways": Hooks(default=default_gateway, validate=gateway),
        "virtualips": Hooks(validate=virtual_ip),
        "networkpolicies": Hooks(default=default_policy, validate=policy),
        "prefixes": Hooks(default=default_prefix, validate=prefix),
    }


# -- Network -----------------------------------------------------------------------------------------------------------


def network(write: Write) -> Iterator[Fault]:
    yield from checks.set_once(write, "spec.providerID")
    seen: set[str] = set()
    peers: set[tuple[str, str]] = set()
    for index, one in enumerate(checks.entries(write.object, "spec.peerings")):
        path = f"spec.peerings[{index}]"
        if (name := one.get("name") or "") in seen:
            yield duplicate(f"{path}.name", name)
        seen.add(name)
        yield from (invalid_value(f"{path}.name", name, text) for text in names.subdomain(name, False))
        own = write.object["metadata"]
        namespace = checks.at(one, "networkRef.namespace") or own.get("namespace") or ""
        peer = (namespace, checks.at(one, "networkRef.name") or "")
        if peer == (own.get("namespace"), own.get("name")):
            yield forbidden_field(f"{path}.networkRef", "must not peer with itself")
        if peer in peers:
            yield duplicate(f"{path}.networkRef", one.get("networkRef"))
        peers.add(peer)
        yield from (
            invalid_value(f"{path}.networkRef.namespace", namespace, text) for text in names.label(namespace, False)
        )
    yield from _peering_prefixes(write.object)


def _peering_prefixes(document: Document) -> Iterator[Fault]:
    """One name over all peerings; and one reference, of which none is one, too: so at most one prefix is literal."""
    seen: set[tuple[str, str]] = set()
    for index, one in enumerate(checks.entries(document, "spec.peerings")):
        for place, prefix in enumerate(checks.entries(one, "prefixes")):
            for field in ("name", "prefixRef.name"):
                value = checks.at(prefix, field) or ""
                if (field, value) in seen:
                    yield duplicate(f"spec.peerings[{index}].prefixes[{place}].{field}", value)
                seen.add((field, value))


# -- NetworkInterface, LoadBalancer ------------------------------------------------------------------------------------


def default_interface(document: Document) -> None:
    default_addresses(document)
    for one in checks.entries(document, "spec.prefixes"):
        _default_prefix(checks.at(one, "ephemeral.prefixTemplate.spec"))
    _default_state(document, "state")


def default_addresses(document: Document) -> None:
    """Families of the addresses, or the other way round; an address for one is a prefix of full length."""
    ips = checks.entries(document, "spec.ips")
    if not ips:
        return
    spec, templates = document["spec"], [checks.at(one, "ephemeral.prefixTemplate.spec") for one in ips]
    families = spec.get("ipFamilies") or []
    for index, template in enumerate(templates):
        if template is not None and not template.get("ipFamily") and len(families) == len(ips):
            template["ipFamily"] = families[index]
        _default_prefix(template)
    if not families:
        found = [_family(one) for one in ips]
        spec["ipFamilies"] = [family for family in found if family]
    for template in filter(None, templates):
        bits = _BITS.get(template.get("ipFamily") or "")
        if bits and not template.get("prefix") and not template.get("prefixLength"):
            template["prefixLength"] = bits


def _family(entry: Document) -> str:
    if isinstance(value := entry.get("value"), str):
        return checks.family_of(value)
    return checks.at(entry, "ephemeral.prefixTemplate.spec.ipFamily") or ""


def drop_addresses(write: Write) -> None:
    """Only an internal load balancer keeps the addresses that it is given."""
    if write.new is not None and checks.at(write.new, "spec.type") != "Internal" and checks.at(write.new, "spec.ips"):
        write.new["spec"] = {name: value for name, value in write.new["spec"].items() if name != "ips"}


def interface(names_of_objects: NameRule, write: Write) -> Iterator[Fault]:
    yield from checks.given(write.object, "spec.networkRef.name", "must specify network ref name")
    yield from _addresses(names_of_objects, write.object)
    yield from _families(write.object)
    families, ips = (checks.at(write.object, f"spec.{name}") or [] for name in ("ipFamilies", "ips"))
    if len(families) != len(ips):
        yield invalid_value("spec.ips", len(ips), "must have as many IPs as there are IP families")
    for index, one in enumerate(checks.entries(write.object, "spec.prefixes")):
        yield from _one_source(one, f"spec.prefixes[{index}]")
        yield from _made_name(names_of_objects, write.object, one, f"pf-{index}", f"spec.prefixes[{index}]")
    if isinstance(virtual := (checks.at(write.object, "spec") or {}).get("virtualIP"), dict):
        yield from _one_source(virtual, "spec.virtualIP", literal="virtualIPRef")
    yield from checks.fixed(write, "spec.networkRef", "spec.ipFamilies", "spec.attributes")


def load_balancer(names_of_objects: NameRule, write: Write) -> Iterator[Fault]:
    yield from checks.one_of(write.object, "spec.type", ("Public", "Internal"), "must specify type")
    yield from checks.given(write.object, "spec.networkRef.name", "must specify network ref name")
    yield from checks.given(write.object, "spec.ipFamilies", "must specify IP families")
    yield from _families(write.object)
    yield from _addresses(names_of_objects, write.object)
    yield from _ports(write.object)
    yield from checks.fixed(write, "spec.networkRef")


def _families(document: Document) -> Iterator[Fault]:
    seen: set[str] = set()
    for index, family in enumerate(checks.at(document, "spec.ipFamilies") or ()):
        if family not in checks.FAMILIES:
            yield not_supported(f"spec.ipFamilies[{index}]", family, checks.FAMILIES)
        elif family in seen:
            yield duplicate(f"spec.ipFamilies[{index}]", family)
        seen.add(family)


def _addresses(names_of_objects: NameRule, document: Document) -> Iterator[Fault]:
    families = checks.at(document, "spec.ipFamilies") or []
    for index, one in enumerate(checks.entries(document, "spec.ips")):
        path = f"spec.ips[{index}]"
        yield from _one_source(one, path)
        yield from _made_name(names_of_objects, document, one, str(index), path)
        wanted = families[index] if index < len(families) else ""
        if (family := _family(one)) != wanted:
            yield invalid_value(path, family, f"expected IP family {wanted} but got {family}")
        template = checks.at(one, "ephemeral.prefixTemplate.spec") or {}
        given = int(text.rpartition("/")[2]) if (text := template.get("prefix")) else template.get("prefixLength")
        if "ephemeral" in one and given != _BITS.get(family):
            yield forbidden_field(f"{path}.ephemeral.prefixTemplate.spec", "must request a single IP")


def _one_source(entry: Document, path: str, literal: str = "value") -> Iterator[Fault]:
    count = sum(entry.get(name) is not None for name in (literal, "ephemeral"))
    if count == 0:
        yield required(path, f"must specify {literal} or ephemeral")
    elif count > 1:
        yield forbidden_field(f"{path}.ephemeral", "must not specify multiple sources")


def _made_name(rule: NameRule, document: Document, entry: Document, suffix: str, path: str) -> Iterator[Fault]:
    """The name of the prefix that will be made for an entry must be a good one."""
    if entry.get("ephemeral") is not None and (name := document["metadata"].get("name")):
        made = f"{name}-{suffix}"
        yield from (
            invalid_value(path, made, f"resulting prefix name is invalid: {text}") for text in rule(made, False)
        )


def _ports(document: Document) -> Iterator[Fault]:
    """Ranges of one protocol do not overlap. A lone port is not looked at, as the real server does it."""
    ranges: dict[str, list[tuple[int, int, int]]] = {}
    for index, one in enumerate(checks.entries(document, "spec.ports")):
        first = one.get("port") or 0
        ranges.setdefault(one.get("protocol") or "TCP", []).append((first, one.get("endPort") or first, index))
    for found in ranges.values():
        for (_, last, _), (first, _, index) in pairwise(sorted(found)):
            if first <= last:
                yield forbidden_field(f"spec.ports[{index}]", "port range overlaps with existing port range")


# -- NATGateway, VirtualIP ---------------------------------------------------------------------------------------------


def default_gateway(document: Document) -> None:
    if isinstance(spec := document.get("spec"), dict) and spec.get("portsPerNetworkInterface") is None:
        spec["portsPerNetworkInterface"] = 2048


def gateway(write: Write) -> Iterator[Fault]:
    yield from checks.one_of(write.object, "spec.type", ("Public",), "must specify type")
    yield from checks.one_of(write.object, "spec.ipFamily", checks.FAMILIES, "must specify IP family")
    yield from checks.given(write.object, "spec.networkRef.name", "must specify network ref name")
    ports = checks.at(write.object, "spec.portsPerNetworkInterface") or 0
    if ports <= 0 or ports & (ports - 1) or ports > _LARGEST_SLICE:
        yield invalid_value("spec.portsPerNetworkInterface", ports, "must be a power of 2 greater than 0")
    yield from checks.fixed(write, "spec.networkRef")


def virtual_ip(write: Write) -> Iterator[Fault]:
    yield from checks.one_of(write.object, "spec.type", ("Public",), "must specify type")
    yield from checks.one_of(write.object, "spec.ipFamily", checks.FAMILIES, "must specify IP family")
    target = (checks.at(write.object, "spec") or {}).get("targetRef")
    for name in ("name", "uid") if isinstance(target, dict) else ():
        yield from checks.given(write.object, f"spec.targetRef.{name}", f"must specify target {name}")
    yield from checks.fixed(write, "spec.type", "spec.ipFamily")


# -- NetworkPolicy -----------------------------------------------------------------------------------------------------


def default_policy(document: Document) -> None:
    if isinstance(spec := document.get("spec"), dict):
        ruled = {kind for kind, name in (("Ingress", "ingress"), ("Egress", "egress")) if spec.get(name)}
        if types := {*(spec.get("policyTypes") or ()), *ruled}:
            spec["policyTypes"] = sorted(types)


def policy(write: Write) -> Iterator[Fault]:
    yield from checks.given(write.object, "spec.networkRef.name", "must specify network ref name")
    yield from checks.given(write.object, "spec.policyTypes", "must specify policy types")
    yield from checks.policy_rules(write.object, ("NetworkInterface", "LoadBalancer", "VirtualIP"))
    yield from checks.fixed(write, "spec.networkRef")


# -- Prefix ------------------------------------------------------------------------------------------------------------


def default_prefix(document: Document) -> None:
    _default_prefix(document.get("spec"))
    _default_state(document, "phase")


def _default_prefix(spec: Any) -> None:
    if isinstance(spec, dict) and not spec.get("prefixLength"):
        checks.default_family(spec, ip="prefix")


def _default_state(document: Document, name: str) -> None:
    status = document.setdefault("status", {})
    if isinstance(status, dict) and not status.get(name):
        status[name] = "Pending"


def prefix(write: Write) -> Iterator[Fault]:
    spec = checks.at(write.object, "spec") or {}
    value, length = spec.get("prefix"), spec.get("prefixLength")
    yield from checks.one_of(write.object, "spec.ipFamily", checks.FAMILIES, "must specify IP family")
    if spec.get("parentRef") is None and spec.get("parentSelector") is None:
        if not value:
            yield required("spec.prefix", "must specify prefix for a root prefix")
        if length:
            yield forbidden_field("spec.prefixLength", "must not specify a length for a root prefix")
    elif value and length and int(value.rpartition("/")[2]) != length:
        yield invalid_value("spec.prefixLength", length, "must be the length of the prefix")
    for name in ("prefix", "prefixLength", "parentRef"):
        yield from checks.set_once(write, f"spec.{name}")


def prefix_status(write: Write) -> Iterator[Fault]:
    """Once allocated, always allocated; and only what has a prefix is."""
    after = checks.at(write.object, "status.phase")
    if checks.at(write.old, "status.phase") == "Allocated" != after:
        yield forbidden_field("status.phase", "must not go back from Allocated")
    if after == "Allocated":
        yield from checks.given(write.object, "spec.prefix", "must specify prefix when allocated")
        if checks.at(write.object, "spec.parentSelector") is not None:
            yield from checks.given(write.object, "spec.parentRef", "must specify parent ref when allocated")
