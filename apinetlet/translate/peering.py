"""The peerings of a source Network to those of its counterpart, and what the data plane says of them back.

A peering comes about when the other side wants it, too: then the API's controllers have left a claim. Nobody is shown
more than was said: a peering whose prefixes are not known yet is left out, for one without prefixes shows everything.
Lists have the order of the source. Pure.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from apinetlet.api import apinet, ipam, networking
from apinetlet.api.networking import ExposedPrefix, PeeringStatus
from apinetlet.api.references import LocalRef
from apinetlet.translate.body import filled
from reconcile import ObjectKey

READY, ERROR, PENDING = "Ready", "Error", "Pending"


def peerings(
    source: networking.Network,
    counterpart: Callable[[str], apinet.Network | None],
    prefix: Callable[[str], ipam.Prefix | None],
) -> list[dict[str, Any]]:
    """``spec.peerings`` of the counterpart.

    ``counterpart`` answers the api-net Network of a source by its uid, ``prefix`` a Prefix beside ``source`` by its
    name.
    """
    uids, found = _claims(source), []
    for one in source.spec.peerings:
        peer = counterpart(uid) if (uid := uids.get(_peer(source, one))) else None
        if peer is None or not peer.spec.id:
            continue
        shown = _prefixes(one, prefix)
        if one.prefixes and not shown:
            continue
        found.append(filled({"name": one.name, "id": peer.spec.id, "prefixes": shown}))
    return found


def present(target: apinet.Network) -> list[dict[str, Any]]:
    """``spec.peerings`` of the counterpart as they are."""
    return [filled({"name": one.name, "id": one.id, "prefixes": _said(one.prefixes)}) for one in target.spec.peerings]


def claimed(source: networking.Network) -> Iterator[str]:
    """The uids of the Networks that want a peering with it."""
    return (one.uid for one in source.spec.incoming_peerings if one.uid)


def prefix_names(source: networking.Network) -> Iterator[str]:
    """The Prefixes that its peerings name."""
    for one in source.spec.peerings:
        for entry in one.prefixes:
            if not entry.prefix and entry.prefix_ref is not None and entry.prefix_ref.name:
                yield entry.prefix_ref.name


def faults(source: networking.Network) -> Iterator[str]:
    """Its peerings whose claims do not say which Network is meant."""
    uids = _claims(source)
    for place, one in enumerate(source.spec.peerings):
        if uids.get(_peer(source, one)) == "":
            yield f"spec.peerings[{place}]: the claim of {one.network_ref.name} in spec.incomingPeerings has no uid"


def _peer(source: networking.Network, peering: networking.Peering) -> ObjectKey:
    ref = peering.network_ref
    return ObjectKey(ref.namespace or source.metadata.namespace, ref.name)


def _claims(source: networking.Network) -> Mapping[ObjectKey, str]:
    """Who wants a peering, with the uid of each."""
    own = source.metadata.namespace
    return {ObjectKey(one.namespace or own, one.name): one.uid for one in source.spec.incoming_peerings}


def _prefixes(peering: networking.Peering, prefix: Callable[[str], ipam.Prefix | None]) -> list[dict[str, str]]:
    """What of its prefixes is known."""
    return [
        {"name": one.name, "prefix": text}
        for one in peering.prefixes
        if (text := one.prefix or _allocated(one.prefix_ref, prefix))
    ]


def _allocated(ref: LocalRef | None, prefix: Callable[[str], ipam.Prefix | None]) -> str:
    found = None if ref is None else prefix(ref.name)
    return "" if found is None else found.allocated


# -- and back ----------------------------------------------------------------------------------------------------------


def statuses(target: apinet.Network) -> tuple[PeeringStatus, ...]:
    """``status.peerings`` of the source: each peering that a partition has reported, whatever number of them did."""
    states: dict[str, set[str]] = {}
    for reports in target.status.peerings.values():
        for one in reports or ():
            states.setdefault(str(one.id), set()).add(one.state)
    return tuple(_status(one, states[one.id]) for one in target.spec.peerings if one.id in states)


def _status(peering: apinet.Peering, states: set[str]) -> PeeringStatus:
    if ERROR in states:
        return PeeringStatus(peering.name, ERROR)
    if states != {READY}:
        return PeeringStatus(peering.name, PENDING)
    return PeeringStatus(peering.name, READY, tuple(ExposedPrefix(one.name, one.prefix) for one in peering.prefixes))


def document(status: PeeringStatus) -> dict[str, Any]:
    """One entry as it is written."""
    return filled({"name": status.name, "state": status.state, "prefixes": _said(status.prefixes)})


def _said(prefixes: Iterable[apinet.PeeringPrefix | ExposedPrefix]) -> list[dict[str, str]]:
    return [{"name": one.name, "prefix": one.prefix} for one in prefixes]
