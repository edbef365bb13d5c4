"""Port ranges of NAT addresses: how many an address has, who holds which, and how many addresses that takes. Pure.

Source: the NAT packages of the Go api-net controllers.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from attrs import frozen

FIRST, LAST = 1024, 65535
"""The ports that are handed out."""


def slots_of(ports: int) -> int:
    """How many ranges of ``ports`` one address has; 0 if not even one fits."""
    return (LAST + 1 - FIRST) // ports


def desired(count: int, requested: int, ports: int, *, lowest: int | None, highest: int | None) -> int:
    """How many addresses a gateway should have that has ``count`` and for which ``requested`` ask.

    Rounds toward what there is: it grows only once a whole address is missing, and shrinks once one is too many.

    Raises:
        ZeroDivisionError: not one range fits an address. The real autoscaler fails, too.
    """
    slots = slots_of(ports)
    found = count - int((slots * count - requested) / slots)
    found = found if lowest is None else max(lowest, found)
    return found if highest is None else min(highest, found)


@frozen
class Target:
    """An interface that wants to send from a NAT address."""

    uid: str
    name: str
    node: str
    ip: str
    """Its own address of the gateway's family."""


def table(
    addresses: Sequence[str], ports: int, targets: Iterable[Target], known: Iterable[dict[str, Any]] = ()
) -> list[dict[str, Any]]:
    """The ``ips`` of a NATTable: who was in ``known`` keeps the range, the others get the first that is free.

    Targets come in the order in which they are served; those for whom nothing is left are not in the table.
    """
    held = {
        section["targetRef"]["uid"]: (ip["ip"], section["port"], section["endPort"])
        for ip in known
        for section in ip.get("sections") or ()
        if section.get("targetRef")
    }
    whole = set(_ranges(addresses, ports))
    targets = list(targets)
    mine = {one.uid: held[one.uid] for one in targets if held.get(one.uid) in whole}
    free = (one for one in _ranges(addresses, ports) if one not in set(mine.values()))
    for one in targets:
        if one.uid not in mine and (found := next(free, None)) is not None:
            mine[one.uid] = found
    found_by: dict[str, list[dict[str, Any]]] = {}
    for one in sorted((one for one in targets if one.uid in mine), key=lambda one: mine[one.uid][1]):
        address, first, last = mine[one.uid]
        reference = {"uid": one.uid, "name": one.name, "nodeRef": {"name": one.node}}
        section = {"ip": one.ip, "port": first, "endPort": last, "targetRef": reference}
        found_by.setdefault(address, []).append(section)
    return [{"ip": address, "sections": found_by[address]} for address in sorted(found_by)]


def _ranges(addresses: Iterable[str], ports: int) -> Iterator[tuple[str, int, int]]:
    for address in addresses:
        for slot in range(slots_of(ports)):
            first = FIRST + slot * ports
            yield address, first, first + ports - 1
