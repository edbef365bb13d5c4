"""The addresses and ports of services: what is given to one, and kept for it until it goes.

The range is 10.0.0.0/24 as the real server has it by default, one family. What others have is read off the services
themselves, so there is nothing to release. Pure. Source: k8s.io/kubernetes, ``pkg/registry/core/service/storage``.
"""

import ipaddress
from collections.abc import Iterator
from typing import Any, Final

from reconcile.kube import kinds
from reconcile.testing.apiserver import names, walks
from reconcile.testing.apiserver.admission import Write
from reconcile.testing.apiserver.failure import (
    Document,
    Fault,
    GroupName,
    duplicate,
    internal,
    invalid,
    invalid_value,
    not_supported,
    required,
)

RANGE: Final = ipaddress.IPv4Network("10.0.0.0/24")
NODE_PORTS: Final = range(30000, 32768)
_KIND: Final = GroupName("", "Service")
_WITH_NODE_PORTS: Final = ("NodePort", "LoadBalancer")
_PROTOCOLS: Final = ("SCTP", "TCP", "UDP")
_TYPES: Final = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")


def allocate(write: Write) -> None:
    """Give a service what its type needs and it has not; what it no longer needs is dropped.

    Raises:
        Failure: 422 for an address or port that cannot be had, 500 when there are none left.
    """
    new, old = write.new, write.old
    if new is None or write.subresource:
        return
    spec = new["spec"]
    if old is None:
        if spec.get("clusterIP") and not spec.get("clusterIPs"):
            spec["clusterIPs"] = [spec["clusterIP"]]
    else:
        _inherit(spec, old["spec"])
        _drop(new, old["spec"])
    if spec["type"] == "ExternalName":
        spec.pop("internalTrafficPolicy", None)
        return
    _choose_families(new, old)
    others = [one["spec"] for one in write.world.list(kinds.SERVICE) if not _same(one, new)]
    if spec.get("clusterIP") != "None":
        _give_address(new, old, others)
    _give_ports(new, others)


def _same(left: Document, right: Document) -> bool:
    return all(left["metadata"].get(name) == right["metadata"].get(name) for name in ("namespace", "name"))


def _inherit(spec: Document, before: Document) -> None:
    """What a client left out of an update, it did not mean to give back."""
    if spec["type"] != "ExternalName" and before["type"] != "ExternalName":
        if not spec.get("clusterIP") and "clusterIP" in before:
            spec["clusterIP"] = before["clusterIP"]
        if not spec.get("clusterIPs"):
            same = spec.get("clusterIP") == before.get("clusterIP")
            spec["clusterIPs"] = before["clusterIPs"] if same else [spec["clusterIP"]]
        elif spec.get("clusterIP") != before.get("clusterIP") and spec["clusterIPs"] == before.get("clusterIPs"):
            spec["clusterIPs"] = [spec["clusterIP"]]
    if _needs_health_check(before) and _needs_health_check(spec) and "healthCheckNodePort" in before:
        spec.setdefault("healthCheckNodePort", before["healthCheckNodePort"])
    if _has_node_ports(before) and _has_node_ports(spec):
        given = {(one["protocol"], one["port"]): one.get("nodePort") for one in before.get("ports", ())}
        taken = {one.get("nodePort") for one in spec.get("ports", ())}
        for port in spec.get("ports", ()):
            found = given.get((port["protocol"], port["port"]))
            if found and not port.get("nodePort") and found not in taken:
                port["nodePort"] = found


def _drop(new: Document, before: Document) -> None:
    """What the new type does not know and nobody changed."""
    spec = new["spec"]
    if before["type"] != "ExternalName" and spec["type"] == "ExternalName":
        for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if walks.equal(spec.get(name), before.get(name)):
                spec.pop(name, None)
    if _has_node_ports(before) and not _has_node_ports(spec) and _node_ports(spec) == _node_ports(before):
        for port in spec.get("ports", ()):
            port.pop("nodePort", None)
    port = "healthCheckNodePort"
    if _needs_health_check(before) and not _needs_health_check(spec) and spec.get(port) == before.get(port):
        spec.pop(port, None)
    if before["type"] == "LoadBalancer" and spec["type"] != "LoadBalancer":
        for name in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
            if spec.get(name) == before.get(name):
                spec.pop(name, None)
    policy = "externalTrafficPolicy"
    if _is_reachable(before) and not _is_reachable(spec) and spec.get(policy) == before.get(policy):
        spec.pop(policy, None)
    if spec["type"] != "LoadBalancer":
        new["status"]["loadBalancer"] = {}


def _choose_families(new: Document, old: Document | None) -> None:
    spec = new["spec"]
    selects_nothing = spec.get("clusterIP") == "None" and not spec.get("selector")
    if "ipFamilyPolicy" not in spec:
        before = (old or {}).get("spec", {}).get("ipFamilyPolicy")
        spec["ipFamilyPolicy"] = before or ("RequireDualStack" if selects_nothing else "SingleStack")
    faults = []
    if selects_nothing:
        families = spec.setdefault("ipFamilies", ["IPv4"])
        if len(families) < 2 and spec["ipFamilyPolicy"] != "SingleStack":
            spec["ipFamilies"] = [*families, "IPv6" if families[0] == "IPv4" else "IPv4"]
        return
    if spec["ipFamilyPolicy"] == "RequireDualStack":
        says = "this cluster is not configured for dual-stack services"
        faults.append(invalid_value("spec.ipFamilyPolicy", spec["ipFamilyPolicy"], says))
    for index, family in enumerate(spec.get("ipFamilies", ())):
        if family != "IPv4":
            faults.append(invalid_value(f"spec.ipFamilies[{index}]", family, "not configured on this cluster"))
    if faults:
        raise invalid(_KIND, new["metadata"]["name"], faults)
    spec.setdefault("ipFamilies", ["IPv4"])


def _give_address(new: Document, old: Document | None, others: list[Document]) -> None:
    spec = new["spec"]
    if old is not None and spec.get("clusterIPs") == old["spec"].get("clusterIPs") and spec.get("clusterIPs"):
        return
    taken = {ip for one in others for ip in one.get("clusterIPs", ())}
    asked = (spec.get("clusterIPs") or [""])[0]
    if asked:
        why = ""
        try:
            if ipaddress.ip_address(asked) not in RANGE:
                why = "the provided network does not match the current range"
        except ValueError:
            return  # which is said by the rules
        if asked in taken:
            why = "provided IP is already allocated"
        if why:
            fault = invalid_value("spec.clusterIPs", [asked], f"failed to allocate IP {asked}: {why}")
            raise invalid(_KIND, new["metadata"]["name"], [fault])
    else:
        # the first one belongs to the server itself
        free = (str(ip) for index, ip in enumerate(RANGE.hosts()) if index > 0 and str(ip) not in taken)
        asked = next(free, "")
        if not asked:
            why = "range is full"
            raise internal(f'failed to allocate a serviceIP for Service "{new["metadata"]["name"]}": {why}')
    spec["clusterIP"], spec["clusterIPs"] = asked, [asked]


def _give_ports(new: Document, others: list[Document]) -> None:
    spec = new["spec"]
    if _needs_health_check(spec) and not spec.get("healthCheckNodePort"):
        checked = {one.get("healthCheckNodePort") for one in others}
        ports = {port.get("nodePort") for one in (*others, spec) for port in one.get("ports", ())}
        spec["healthCheckNodePort"] = next(one for one in reversed(NODE_PORTS) if one not in checked | ports)
    if not _has_node_ports(spec):
        return
    taken = {
        (port["protocol"], port["nodePort"]) for one in others for port in one.get("ports", ()) if "nodePort" in port
    }
    mine: dict[int, int] = {}
    for index, port in enumerate(spec.get("ports", ())):
        asked = port.get("nodePort")
        if asked:
            why = ""
            if asked not in NODE_PORTS:
                why = "provided port is not in the valid range. The range of valid ports is 30000-32767"
            elif (port["protocol"], asked) in taken:
                why = "provided port is already allocated"
            if why:
                raise invalid(
                    _KIND, new["metadata"]["name"], [invalid_value(f"spec.ports[{index}].nodePort", asked, why)]
                )
        elif port["port"] in mine:
            port["nodePort"] = mine[port["port"]]
        else:
            used = {number for _, number in taken}
            port["nodePort"] = next(one for one in NODE_PORTS if one not in used)
        mine.setdefault(port["port"], port["nodePort"])
        taken.add((port["protocol"], port["nodePort"]))


def _has_node_ports(spec: Document) -> bool:
    wanted = spec["type"] == "NodePort" or spec.get("allocateLoadBalancerNodePorts", True) is not False
    return spec["type"] in _WITH_NODE_PORTS and wanted


def _needs_health_check(spec: Document) -> bool:
    return spec["type"] == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _node_ports(spec: Document) -> list[Any]:
    return [port.get("nodePort") for port in spec.get("ports", ())]


def _is_reachable(spec: Document) -> bool:
    return spec["type"] in _WITH_NODE_PORTS or (spec["type"] == "ClusterIP" and bool(spec.get("externalIPs")))


# -- rules ---------------------------------------------------------------------------------------------------------


def judge(write: Write) -> Iterator[Fault]:
    """What a service may not be, or become."""
    new, old = write.new or {}, write.old
    spec = new["spec"]
    headless = spec.get("clusterIP") == "None"
    if old is not None:
        yield from _changed(spec, old["spec"])
    if not spec.get("ports") and not headless and spec["type"] != "ExternalName":
        yield required("spec.ports")
    if spec["type"] == "LoadBalancer":
        if headless:
            yield invalid_value("spec.clusterIPs[0]", "None", "may not be set to 'None' for LoadBalancer services")
    elif spec["type"] == "NodePort" and headless:
        yield invalid_value("spec.clusterIPs[0]", "None", "may not be set to 'None' for NodePort services")
    elif spec["type"] == "ExternalName":
        name = (spec.get("externalName") or "").removesuffix(".")
        if not name:
            yield required("spec.externalName")
        else:
            yield from (invalid_value("spec.externalName", name, says) for says in names.subdomain(name, False))
    yield from _ports(spec)
    for key, value in (spec.get("selector") or {}).items():
        yield from (invalid_value("spec.selector", key, says) for says in names.label_key(key))
        yield from (invalid_value("spec.selector", value, says) for says in names.label_value(value))
    if spec.get("sessionAffinity") not in ("ClientIP", "None"):
        yield not_supported("spec.sessionAffinity", spec.get("sessionAffinity"), ("ClientIP", "None"))
    if spec["type"] not in _TYPES:
        yield not_supported("spec.type", spec["type"], _TYPES)
    if spec["type"] == "ClusterIP":
        for index, port in enumerate(spec.get("ports", ())):
            if port.get("nodePort"):
                says = "may not be used when `type` is 'ClusterIP'"
                yield Fault(f"spec.ports[{index}].nodePort", "FieldValueForbidden", f"Forbidden: {says}")
    if not _is_reachable(spec) and spec.get("externalTrafficPolicy"):
        says = "may only be set for externally-accessible services"
        yield invalid_value("spec.externalTrafficPolicy", spec["externalTrafficPolicy"], says)
    if _is_reachable(spec) and spec.get("externalTrafficPolicy") not in ("Cluster", "Local"):
        yield not_supported("spec.externalTrafficPolicy", spec.get("externalTrafficPolicy"), ("Cluster", "Local"))
    policy = spec.get("internalTrafficPolicy")
    if policy is not None and policy not in ("Cluster", "Local"):
        yield not_supported("spec.internalTrafficPolicy", policy, ("Cluster", "Local"))


def _changed(spec: Document, before: Document) -> Iterator[Fault]:
    if "ExternalName" in (spec["type"], before["type"]):
        return
    new, old = spec.get("clusterIPs", []), before.get("clusterIPs", [])
    if len(new) == len(old):
        for index, ip in enumerate(old):
            if ip != new[index]:
                yield invalid_value(f"spec.clusterIPs[{index}]", new, "may not change once set")


def _ports(spec: Document) -> Iterator[Fault]:
    ports = spec.get("ports", ())
    seen: set[str] = set()
    for index, port in enumerate(ports):
        path = f"spec.ports[{index}]"
        name = port.get("name")
        if not name and len(ports) > 1:
            yield required(f"{path}.name")
        elif name:
            yield from (invalid_value(f"{path}.name", name, says) for says in names.label(name, False))
            if name in seen:
                yield duplicate(f"{path}.name", name)
            seen.add(name)
        if not 1 <= port["port"] <= 65535:
            yield invalid_value(f"{path}.port", port["port"], names.PORT_NUMBER)
        if port["protocol"] not in _PROTOCOLS:
            yield not_supported(f"{path}.protocol", port["protocol"], _PROTOCOLS)
        target = port.get("targetPort")
        if isinstance(target, int) and not 1 <= target <= 65535:
            yield invalid_value(f"{path}.targetPort", target, names.PORT_NUMBER)
        elif isinstance(target, str):
            yield from (invalid_value(f"{path}.targetPort", target, says) for says in names.port_name(target))
    told: set[tuple[str, int]] = set()
    for index, port in enumerate(ports):
        key = port["protocol"], port["port"]
        if key in told:
            yield duplicate(f"spec.ports[{index}]", {"protocol": key[0], "port": key[1]})
        told.add(key)
