"""How both clusters must look when a crowd has stopped: exactly as users want it."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from provider import ProviderID
from reconcile import Resource
from tests.real.crowd import Document, Documents, documents, is_going, machine_ip, of_users, uid, wanted_address
from tests.real.daemon import Place

PAIRS: Final = (
    ("networks", "networks"),
    ("virtualips", "ips"),
    ("loadbalancers", "loadbalancers"),
    ("loadbalancers", "loadbalancerroutings"),
    ("natgateways", "natgateways"),
    ("natgateways", "natgatewayautoscalers"),
)
"""A source kind, and of what every object has one in the api-net cluster, named after its uid."""
POLICY_PAIRS: Final = (("networkpolicies", "networkpolicies"), ("networkpolicies", "networkpolicyrules"))
"""Likewise, where the api-net cluster knows policies."""


async def wrong(world: Place) -> list[str]:
    """Whatever is not exactly as users want it."""
    kinds = world.kinds
    here = {kind.plural: await documents(world, kind) for kind in of_users(world)}
    there: dict[str, Documents] = {}
    made: tuple[Resource[Any], ...] = (
        *(kinds.apinet_network, kinds.apinet_ip, kinds.apinet_load_balancer, kinds.apinet_load_balancer_routing),
        *(kinds.apinet_nat_gateway, kinds.apinet_nat_gateway_autoscaler, kinds.apinet_network_interface),
        *((kinds.policies.target, kinds.policies.rule) if kinds.policies is not None else ()),
    )
    for kind in made:
        there[kind.plural] = await documents(world, kind)
    found = [f"{name} still goes" for every in here.values() for name, one in every.items() if is_going(one)]
    for source, target in (*PAIRS, *(POLICY_PAIRS if kinds.policies is not None else ())):
        uids, names = {uid(one) for one in here[source].values()}, set(there[target])
        if uids != names:
            found.append(f"{target}: {len(uids - names)} missing, {len(names - uids)} of nobody")
    if found:
        return found
    found += _networks(world, here["networks"], there["networks"])
    found += _peerings(here["networks"], there["networks"])
    # without it there is nothing that refers to it
    network = uid(here["networks"]["blue"]) if "blue" in here["networks"] else ""
    found += _balancers(network, here, there)
    found += _gateways(network, here, there)
    found += _policies(network, here, there)
    found += _interfaces(here["networkinterfaces"], there["networkinterfaces"], here["virtualips"], there["ips"])
    return found


def _balancers(network: str, here: Mapping[str, Documents], there: Mapping[str, Documents]) -> Iterator[str]:
    for name, one in here["loadbalancers"].items():
        target, routing = there["loadbalancers"][uid(one)], there["loadbalancerroutings"][uid(one)]
        wanted = here["loadbalancerroutings"].get(name, {})
        facts = {
            "network": target["spec"].get("networkRef") == {"name": network},
            "ports": target["spec"].get("ports") == one["spec"].get("ports"),
            "destinations": _ips(routing.get("destinations")) == _ips(wanted.get("destinations")),
            "owner": _owners(routing) == [uid(target)],
            "address": _reported(one) == _ips(target["spec"].get("ips")) != [],
        }
        yield from (f"{name}: {what}" for what, holds in facts.items() if not holds)


def _gateways(network: str, here: Mapping[str, Documents], there: Mapping[str, Documents]) -> Iterator[str]:
    for name, one in here["natgateways"].items():
        target, scaler = there["natgateways"][uid(one)], there["natgatewayautoscalers"][uid(one)]
        facts = {
            "network": target["spec"].get("networkRef") == {"name": network},
            "ports": target["spec"].get("portsPerNetworkInterface")
            == one["spec"].get("portsPerNetworkInterface", 2048),
            "owner": _owners(scaler) == [uid(target)],
            "address": _reported(one) == _ips(target["spec"].get("ips")) != [],
        }
        yield from (f"{name}: {what}" for what, holds in facts.items() if not holds)


def _policies(network: str, here: Mapping[str, Documents], there: Mapping[str, Documents]) -> Iterator[str]:
    def meant(selector: Document) -> list[str]:
        shown = [
            one["status"]["ips"]
            for one in here["networkinterfaces"].values()
            if selector["matchLabels"].items() <= one["metadata"].get("labels", {}).items() and "status" in one
        ]
        return sorted(ip for ips in shown for ip in ips)

    for name, one in here.get("networkpolicies", {}).items():
        spec, target = one["spec"], there["networkpolicies"][uid(one)]
        rule = there["networkpolicyrules"][uid(one)]
        let_in = [each["prefix"] for entry in rule.get("ingressRule", ()) for each in entry.get("ips") or ()]
        facts = {
            "network": rule["networkRef"] == {"name": network, "uid": uid(there["networks"][network])},
            "owner": _owners(rule) == [uid(target)],
            "targets": sorted(_ips(rule.get("targets"))) == meant(spec["networkInterfaceSelector"]),
            "let in": sorted(let_in) == [f"{ip}/32" for ip in meant(spec["ingress"][0]["from"][0]["objectSelector"])],
        }
        yield from (f"{name}: {what}" for what, holds in facts.items() if not holds)


def _peerings(here: Documents, there: Documents) -> Iterator[str]:
    """A network whose claim is of somebody that is gone by now has no peer of the name."""
    for name, one in here.items():
        claims = {claim["name"]: claim["uid"] for claim in one["spec"].get("incomingPeerings", ())}
        peers = [(peering["name"], claims[peering["name"]]) for peering in one["spec"].get("peerings", ())]
        wanted = [(peer, there[whom]["spec"].get("id")) for peer, whom in peers if whom in there]
        shown = [(peering["name"], peering["id"]) for peering in there[uid(one)]["spec"].get("peerings", ())]
        if shown != wanted:
            yield f"{name}: peers {shown}, not {wanted}"


def _networks(world: Place, here: Documents, there: Documents) -> Iterator[str]:
    for name, one in here.items():
        target = there[uid(one)]
        number = target["spec"].get("id", "")
        id_ = ProviderID.network(
            world.generation.scheme, namespace=world.target, name=uid(one), id=number, uid=uid(target)
        )
        state = one.get("status", {}).get("state")
        if not number or one["spec"].get("providerID") != str(id_) or state != "Available":
            yield f"{name}: {number} {one['spec'].get('providerID')} {state}"


def _interfaces(nics: Documents, machines: Documents, vips: Documents, ips: Documents) -> Iterator[str]:
    """Interfaces, the machines' and the addresses: who has which, told the same by all four objects."""
    holders: dict[str, str] = {}
    held = set[str]()
    for name, one in nics.items():
        machine = machines[f"machine-{name.removeprefix('nic-')}"]
        wanted = wanted_address(one)
        address = ips[uid(vips[wanted])]["spec"].get("ip", "") if wanted else ""
        if wanted:
            holders[wanted] = uid(one)
        held.add(machine["metadata"]["name"])
        status, prefixes = one.get("status", {}), [each["value"] for each in one["spec"].get("prefixes", ())]
        marks = {**machine["metadata"].get("labels", {}), **machine["metadata"].get("annotations", {})}
        facts = {
            "origin": uid(one) in marks.values(),
            "public": _ips(machine["spec"].get("publicIPs")) == ([address] if address else []),
            "prefixes": machine["spec"].get("prefixes") == prefixes == status.get("prefixes"),
            "status": (status.get("state"), status.get("ips"))
            == ("Available", [machine_ip(name.removeprefix("nic-"))]),
            "address": status.get("virtualIP", "") == address and bool(address) == bool(wanted),
        }
        yield from (f"{name}: {what}" for what, holds in facts.items() if not holds)
    for name, vip in vips.items():
        ip = ips[uid(vip)]["spec"]
        target = (vip["spec"].get("targetRef") or {}).get("uid")
        if not ip.get("ip") or vip.get("status", {}).get("ip") != ip["ip"] or target != holders.get(name):
            yield f"{name}: {ip.get('ip')} {vip.get('status')} {target} of {holders.get(name)}"
        if bool(ip.get("claimRef")) != (name in holders):
            yield f"{name}: claimed {ip.get('claimRef')}"
    for name, machine in machines.items():
        spec = machine["spec"]
        if name not in held and (spec.get("publicIPs") or spec.get("prefixes") or machine["metadata"].get("labels")):
            yield f"{name} is of nobody and not bare"


def _owners(document: Document) -> list[str]:
    return [str(one["uid"]) for one in document["metadata"].get("ownerReferences", ())]


def _ips(entries: Any) -> list[str]:
    return [str(one["ip"]) for one in entries or () if one.get("ip")]


def _reported(document: Document) -> list[str]:
    return document.get("status", {}).get("ips") or []
