"""A source NetworkInterface, and what is known of the interface of the data plane, to what each side should say.

We do not make that interface: we claim the one that the provider ID names, push public addresses and prefixes into it,
and mirror its state. Every patch of it is guarded by its version, for others write to it too. Pure.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_address, ip_interface
from typing import Any

from attrs import frozen

from apinetlet.api import Generation, apinet, ipam, networking
from apinetlet.api.networking import InterfaceState
from apinetlet.origin import Origins
from provider import Meaning, ProviderIDError, parse
from reconcile.kube import MergePatch, ObjectMeta
from reconcile.kube.times import format_time
from reconcile.kube.views import thaw

STATES: Mapping[str, InterfaceState] = {"Ready": InterfaceState.AVAILABLE, "Error": InterfaceState.ERROR}
"""What a state of the data plane means; any other one, also none, is ``Pending``."""


# -- what the source wants ---------------------------------------------------------------------------------------------


def named(source: networking.NetworkInterface, *, generation: Generation, namespace: str) -> str:
    """The uid of the interface that the provider ID names, "" for none of ``namespace``. Only the uid counts."""
    try:
        found = parse(source.spec.provider_id, scheme=generation.scheme, meaning=Meaning.NETWORK_INTERFACE)
    except ProviderIDError:
        return ""
    return found.uid if found.namespace == namespace else ""


def virtual_ip(source: networking.NetworkInterface) -> str:
    """The name of the VirtualIP that it wants; "" for none. An ephemeral one has the name of its interface."""
    wanted = source.spec.virtual_ip
    if wanted is None:
        return ""
    if wanted.virtual_ip_ref is not None:
        return wanted.virtual_ip_ref.name
    return source.metadata.name if wanted.ephemeral is not None else ""


def ephemeral_prefixes(source: networking.NetworkInterface) -> Iterable[str]:
    """The names of the Prefixes that are made for it."""
    return (_prefix_name(source, index) for index, one in enumerate(source.spec.prefixes) if not one.value)


def prefixes(source: networking.NetworkInterface, find: Callable[[str], ipam.Prefix | None]) -> tuple[str, ...]:
    """Its prefixes in their order, without those that are not there yet, or are none.

    ``find`` answers a Prefix by its name.
    """
    return tuple(text for text in _prefixes(source, find) if _is_prefix(text))


def faults(source: networking.NetworkInterface, find: Callable[[str], ipam.Prefix | None]) -> Iterable[str]:
    """What is wrong with prefixes that are left out, and where it stands."""
    for place, text in enumerate(_prefixes(source, find)):
        if text and not _is_prefix(text):
            where = ".value" if source.spec.prefixes[place].value else f", of Prefix {_prefix_name(source, place)},"
            yield f"spec.prefixes[{place}]{where} is {text!r}, no prefix"


def addresses(vip: networking.VirtualIP) -> tuple[str, ...]:
    """What ``vip`` has for its interface: one address, or none. A text that is none does not count."""
    try:
        return (str(ip_address(vip.status.ip)),)
    except ValueError:
        return ()


def is_usable(vip: networking.VirtualIP, source: networking.NetworkInterface, generation: Generation) -> bool:
    """Whether ``vip`` may be the one that ``source`` wants: it stays, and if it has to be ephemeral it was made for it.

    Who makes them may not own all of them; then it says so, and has claimed it for the interface.
    """
    wanted = source.spec.virtual_ip
    if vip.metadata.is_deleting or wanted is None:
        return False
    controller = vip.metadata.controller
    if wanted.virtual_ip_ref is not None or (controller is not None and controller.uid == source.metadata.uid):
        return True
    maker, target = vip.metadata.annotations.get(generation.ephemeral_annotation), vip.spec.target_ref
    is_retained = bool(generation.ephemeral_manager) and maker == generation.ephemeral_manager
    return is_retained and target is not None and target.uid == source.metadata.uid


def _prefixes(source: networking.NetworkInterface, find: Callable[[str], ipam.Prefix | None]) -> Iterable[str]:
    """The text of each; "" where it is not there yet."""
    return (
        one.value or _allocated(source, find(_prefix_name(source, i))) for i, one in enumerate(source.spec.prefixes)
    )


def _is_prefix(text: str) -> bool:
    """Whether a text is an address and a number of bits; it may have more bits set than those."""
    try:
        ip_interface(text)
    except ValueError:
        return False
    return "/" in text


def _prefix_name(source: networking.NetworkInterface, index: int) -> str:
    return f"{source.metadata.name}-pf-{index}"


def _allocated(source: networking.NetworkInterface, prefix: ipam.Prefix | None) -> str:
    return "" if prefix is None else prefix.allocated_to(source.metadata)


# -- the claim of a VirtualIP ------------------------------------------------------------------------------------------


def claim(vip: networking.VirtualIP, source: networking.NetworkInterface) -> MergePatch:
    """``vip`` for ``source``, unless somebody wrote to it since."""
    return _guarded(vip.metadata, {"spec": {"targetRef": {"name": source.metadata.name, "uid": source.metadata.uid}}})


def unclaim(vip: networking.VirtualIP) -> MergePatch:
    """``vip`` for nobody."""
    return _guarded(vip.metadata, {"spec": {"targetRef": None}})


# -- the interface of the data plane -----------------------------------------------------------------------------------


@frozen
class Wants:
    """What the interface of the data plane should have; ``None`` where that is not known, so that it stays as it is."""

    public_ips: tuple[str, ...] | None = ()
    prefixes: tuple[str, ...] | None = ()


def target(
    found: apinet.NetworkInterface, source: networking.NetworkInterface, wants: Wants, origins: Origins
) -> MergePatch | None:
    """``found`` as the claimed counterpart of ``source``, in one patch; ``None`` if it is.

    A family with a public address of its own has no NAT: the server forbids both. Entries of other families stay.
    """
    head: dict[str, Any] = {}
    if origins.of(found.metadata) != origins.origin(source.metadata):
        head = dict(origins.metadata(source.metadata))
    spec: dict[str, Any] = {}
    if wants.public_ips is not None:
        spec = _public(found, tuple(_public_ip(ip) for ip in wants.public_ips))
    if wants.prefixes is not None and found.spec.prefixes != wants.prefixes:
        spec["prefixes"] = list(wants.prefixes) or None
    return _guarded(found.metadata, {"metadata": head, "spec": spec}) if head or spec else None


def release(found: apinet.NetworkInterface, origins: Origins) -> MergePatch:
    """``found`` without our claim and what came with it. Of one that is being deleted only the claim goes."""
    gone = {name: None for name in ("publicIPs", "prefixes") if not found.metadata.is_deleting}
    return _guarded(found.metadata, {"metadata": dict(origins.absent()), "spec": gone})


def _public(found: apinet.NetworkInterface, wanted: tuple[apinet.PublicIP, ...]) -> dict[str, Any]:
    spec: dict[str, Any] = {}
    if found.spec.public_ips != wanted:
        spec["publicIPs"] = [{"name": one.name, "ipFamily": one.ip_family, "ip": one.ip} for one in wanted] or None
    families = {one.ip_family for one in wanted}
    kept = [thaw(entry) for entry in found.spec.nat_gateways if entry.get("ipFamily") not in families]
    if len(kept) < len(found.spec.nat_gateways):
        spec["natGateways"] = kept or None
    return spec


def _public_ip(ip: str) -> apinet.PublicIP:
    return apinet.PublicIP(name=ip, ip_family=f"IPv{ip_address(ip).version}", ip=ip)


def _guarded(meta: ObjectMeta, value: dict[str, Any]) -> MergePatch:
    head = {**value.get("metadata", {}), "resourceVersion": meta.resource_version}
    return MergePatch({**{name: part for name, part in value.items() if part}, "metadata": head})


# -- the status of the source ------------------------------------------------------------------------------------------


def status(
    source: networking.NetworkInterface, found: apinet.NetworkInterface | None, now: dt.datetime
) -> MergePatch | None:
    """What ``found`` says, for the source, as far as it says something else now. ``None``: there is none."""
    state = STATES.get(found.status.state, InterfaceState.PENDING) if found is not None else InterfaceState.PENDING
    changes: dict[str, Any] = {}
    if source.status.state != state.value:
        changes = {"state": state.value, "lastStateTransitionTime": format_time(now.replace(microsecond=0))}
    for name, is_now, shown in (
        ("ips", source.status.ips, found.spec.ips if found is not None else ()),
        ("prefixes", source.status.prefixes, found.spec.prefixes if found is not None else ()),
    ):
        if is_now != shown:
            changes[name] = list(shown) or None
    if source.status.virtual_ip != (ip := _first_ipv4(found.status.public_ips if found is not None else ())):
        changes["virtualIP"] = ip or None
    return MergePatch({"status": changes}) if changes else None


def _first_ipv4(ips: Iterable[str | None]) -> str:
    return next((ip for ip in ips if ip and ":" not in ip), "")
