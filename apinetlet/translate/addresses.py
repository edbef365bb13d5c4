"""The addresses that the api-net cluster gave, as the status of a source object. Pure."""

from collections.abc import Iterable
from typing import Protocol

from apinetlet.api.apinet import Address
from apinetlet.api.networking import AddressStatus
from reconcile.kube import KubeObject, MergePatch


class Addressed(KubeObject, Protocol):
    """A source object that reports addresses."""

    @property
    def status(self) -> AddressStatus: ...


def addresses(entries: Iterable[Address]) -> tuple[str, ...]:
    """The addresses of ``spec.ips`` in their order. An entry that has none yet is left out."""
    return tuple(entry.ip for entry in entries if entry.ip)


def status(source: Addressed, ips: tuple[str, ...]) -> MergePatch | None:
    """``ips`` as the status of ``source``, if it says something else now."""
    return None if source.status.ips == ips else MergePatch({"status": {"ips": list(ips)}})


def lost(target: Iterable[Address], wanted: Iterable[str]) -> tuple[str, ...]:
    """The addresses that an apply of entries named ``wanted`` would give back: nobody gets the same one again."""
    kept = set(wanted)
    return tuple(entry.ip for entry in target if entry.ip and entry.name not in kept)
