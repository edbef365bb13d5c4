"""A source LoadBalancer, and what is known of what it names, to its two objects in the api-net cluster.

Pure. A body holds only what we own. The address of a public entry is the server's to give, so it is never sent, and an
entry never changes its name: either would ask for another address. Lists have one order, so that what did not change is
not written.
"""

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final

from attrs import evolve, frozen

from apinetlet.api import Generation, Kinds, NameIn, apinet, ipam, networking
from apinetlet.origin import Origins
from apinetlet.translate.body import body, filled
from apinetlet.translate.refused import Refused, invalid
from provider import Meaning, ProviderID, ProviderIDError, parse
from reconcile.kube.objects import OwnerReference

PUBLIC: Final = "Public"
INTERNAL: Final = "Internal"
FAMILIES: Final = {"IPv4": 4, "IPv6": 6}


@frozen
class View:
    """One source LoadBalancer beside everything that decides about its counterpart."""

    source: networking.LoadBalancer
    network: str
    """The name of the api-net Network that it belongs to."""
    prefixes: Mapping[str, ipam.Prefix]
    """By name, those there are of ``prefix_names``."""
    nodes: tuple[str, ...]
    """Only these nodes may run it; none: any."""
    target: apinet.LoadBalancer | None
    """The counterpart as it is now."""
    namespace: str
    kinds: Kinds
    generation: Generation

    @property
    def origins(self) -> Origins:
        return Origins(self.generation, "LoadBalancer")


def load_balancer(view: View) -> dict[str, Any]:
    """The api-net LoadBalancer for ``view``.

    Raises:
        Refused: a field that no valid LoadBalancer has; names it.
    """
    spec = view.source.spec
    selector = {"matchLabels": dict(selector_of(view) or own_selector(view))}
    anti_affinity = {"topologyKey": view.generation.zone_label, "labelSelector": selector}
    affinity: dict[str, Any] = {"instanceAntiAffinity": {_REQUIRED: [anti_affinity]}}
    if view.nodes:
        affinity["nodeAffinity"] = {_REQUIRED: {"nodeSelectorTerms": [_on(node) for node in view.nodes]}}
    return body(
        view.kinds.apinet_load_balancer,
        view.source.metadata,
        namespace=view.namespace,
        origins=view.origins,
        spec=filled(
            {
                "type": spec.type,
                "networkRef": {"name": view.network},
                "ips": ips(view),
                "ports": [_port(place, port) for place, port in enumerate(spec.ports)],
                "selector": selector,
                "template": {
                    "metadata": {**view.origins.metadata(view.source.metadata), "labels": selector["matchLabels"]},
                    "spec": {"affinity": affinity},
                },
            }
        ),
    )


def differences(view: View) -> tuple[str, ...]:
    """The fields in which the counterpart differs and that no server lets change: it has to be made anew."""
    if view.target is None:
        return ()
    live, wanted = view.target.spec, view.source.spec
    found = {
        "type": live.type != wanted.type,
        "networkRef": live.network_ref.name != view.network,
        "selector": selector_of(view) is None,
    }
    return tuple(name for name, differs in found.items() if differs)


def own_selector(view: View) -> Mapping[str, str]:
    """What a new counterpart is selected by: its origin labels."""
    labels: Mapping[str, str] = view.origins.metadata(view.source.metadata)["labels"]
    return labels


def selector_of(view: View) -> Mapping[str, str] | None:
    """The selector of the counterpart, which stays as it is if any generation of the daemon would have written it.

    ``None``: there is no counterpart, or its selector is nobody's. Former daemons put the name among the labels.
    """
    if view.target is None or view.target.spec.selector.match_expressions:
        return None
    live = dict(view.target.spec.selector.match_labels)
    for name_in in NameIn:
        origins = Origins(evolve(view.generation, name_in=name_in), "LoadBalancer")
        if live == origins.metadata(view.source.metadata)["labels"]:
            return live
    return None


def _on(node: str) -> dict[str, Any]:
    return {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}


_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"


def _port(place: int, port: networking.LoadBalancerPort) -> dict[str, Any]:
    if port.port is None:
        raise invalid(f"spec.ports[{place}].port", "is missing")
    return {"port": port.port, **filled({"protocol": port.protocol, "endPort": port.end_port})}


# -- addresses ---------------------------------------------------------------------------------------------------------


def ips(view: View) -> list[dict[str, str]]:
    """``spec.ips``: one entry a family, or one an address that is known.

    Raises:
        Refused: another type, a family that is none or comes twice, an address that is none.
    """
    match view.source.spec.type:
        case "Public":
            return _public(view.source.spec.ip_families)
        case "Internal":
            entries = (_internal(view, place, entry) for place, entry in enumerate(view.source.spec.ips))
            return [entry for entry in entries if entry is not None]
        case other:
            raise Refused("UnknownType", "spec.type", f"is {other!r}, neither {PUBLIC} nor {INTERNAL}")


def prefix_names(source: networking.LoadBalancer) -> tuple[str, ...]:
    """The Prefixes that hold its ephemeral addresses."""
    return tuple(
        f"{source.metadata.name}-{place}" for place, entry in enumerate(source.spec.ips) if entry.ephemeral is not None
    )


def _public(families: Sequence[str]) -> list[dict[str, str]]:
    if not families:
        raise invalid("spec.ipFamilies", "is empty: a public load balancer needs one")
    for place, family in enumerate(families):
        if family not in FAMILIES:
            raise invalid(f"spec.ipFamilies[{place}]", f"is {family!r}, neither IPv4 nor IPv6")
        if family in families[:place]:
            raise invalid(f"spec.ipFamilies[{place}]", f"is {family} a second time")
    return [{"name": family.lower(), "ipFamily": family} for family in families]


def _internal(view: View, place: int, entry: networking.IPSource) -> dict[str, str] | None:
    """The entry of one address, named by its place; ``None`` while its Prefix does not hold one."""
    field = f"spec.ips[{place}]"
    if entry.value:
        if (address := address_of(entry.value)) is None:
            raise invalid(f"{field}.value", f"is {entry.value!r}, no IP address")
        return {"name": f"ip-{place}", "ipFamily": f"IPv{address.version}", "ip": entry.value}
    if entry.ephemeral is None:
        raise invalid(field, "says neither value nor ephemeral")
    prefix = view.prefixes.get(f"{view.source.metadata.name}-{place}")
    if prefix is None or not (held := prefix.allocated_to(view.source.metadata)):
        return None
    text = held.partition("/")[0]
    address = address_of(text)
    if address is None or FAMILIES.get(prefix.spec.ip_family, address.version) != address.version:
        why = f"needs Prefix {prefix.metadata.name}, which holds {prefix.spec.prefix!r}, no {prefix.spec.ip_family}"
        raise Refused("InvalidPrefix", field, why)
    return {"name": f"ip-{place}", "ipFamily": f"IPv{address.version}", "ip": text}


def address_of(text: str) -> IPv4Address | IPv6Address | None:
    """What a text means; ``None`` if it is no IP address."""
    try:
        return ip_address(text)
    except ValueError:
        return None


# -- destinations ------------------------------------------------------------------------------------------------------


def routing(view: View, destinations: Iterable[networking.Destination], owner: OwnerReference) -> dict[str, Any]:
    """The api-net LoadBalancerRouting for ``view``: where the traffic goes, each destination once, in order."""
    return body(
        view.kinds.apinet_load_balancer_routing,
        view.source.metadata,
        namespace=view.namespace,
        origins=view.origins,
        owners=[owner],
        destinations=_destinations(destinations, view.generation),
    )


def faults(destinations: Iterable[networking.Destination]) -> tuple[str, ...]:
    """What is wrong with destinations that are left out."""
    return tuple(
        f"destinations[{place}].ip is {one.ip!r}, no IP address"
        for place, one in enumerate(destinations)
        if address_of(one.ip) is None
    )


def nodes(destinations: Iterable[networking.Destination], generation: Generation) -> tuple[str, ...]:
    """The nodes behind the destinations, as far as they are known, sorted."""
    found = (_provider_id(one, generation) for one in destinations)
    return tuple(sorted({one.ref for one in found if one is not None}))


def _destinations(destinations: Iterable[networking.Destination], generation: Generation) -> list[dict[str, Any]]:
    found: dict[tuple[int, int, str, str, str, str], dict[str, Any]] = {}
    for one in destinations:
        if (address := address_of(one.ip)) is None:
            continue
        target = _provider_id(one, generation)
        entry: dict[str, Any] = {"ip": one.ip}
        if target is not None:
            entry["targetRef"] = {"uid": target.uid, "name": target.name, "nodeRef": {"name": target.ref}}
        whom = ("", "", "") if target is None else (target.uid, target.name, target.ref)
        found[address.version, int(address), one.ip, *whom] = entry
    return [found[key] for key in sorted(found, key=lambda key: (*key[:2], *key[3:], key[2]))]


def _provider_id(destination: networking.Destination, generation: Generation) -> ProviderID | None:
    """Whose address it is; ``None`` if nobody says so in words that we understand."""
    if destination.target_ref is None:
        return None
    try:
        return parse(destination.target_ref.provider_id, scheme=generation.scheme, meaning=Meaning.NETWORK_INTERFACE)
    except ProviderIDError:
        return None
