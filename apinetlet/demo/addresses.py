"""Public addresses as the api-net server hands them out: inside the create request of an ``IP``.

An ``IPAddress`` is named after the address and says which IP has it; that it exists is the lock. It goes with the IP,
claimed or not. A dry run takes nothing and answers with the first address. Source: the registry of IPs of the Go
api-net server.
"""

import random
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from attrs import field, frozen

from apinetlet.api import IRONCORE, Generation
from apinetlet.demo import checks
from reconcile.kube import Object, ObjectKey, Resource
from reconcile.testing.apiserver import Failure, Fault, Hooks, Write
from reconcile.testing.apiserver.failure import Document, GroupName, conflict

_MOST_BITS = 62
"""The real server counts the addresses of a prefix in 64 signed bits."""
PROTECTION = "apinet.ironcore.dev/ipaddress-protection"
"""Keeps an IPAddress of generation ``ironcore`` until its IP is gone."""


def _parsed(prefixes: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    found = tuple(ip_network(prefix, strict=False) for prefix in prefixes)
    for one in found:
        if not 2 <= one.max_prefixlen - one.prefixlen <= _MOST_BITS:
            raise ValueError(f"{one} is no prefix to allocate from: it must have 2 to {_MOST_BITS} free bits")
    return found


@frozen
class Addresses:
    """The public prefixes of one server, and what it does to the IPs of group and version of ``resource``.

    Raises:
        ValueError: a prefix of one or two addresses, in which the real server cannot draw at random, or a huge one.
    """

    generation: Generation
    resource: Resource[Object]
    """``ipaddresses``, cluster-scoped."""
    rng: random.Random
    prefixes: tuple[IPv4Network | IPv6Network, ...] = field(converter=_parsed)
    """All are used, in this order."""

    def hooks(self) -> Hooks:
        """What an IP does inside its writes."""
        return Hooks(default=self._default, allocate=self.allocate, validate=self._faults)

    def lock_hooks(self) -> Hooks:
        """What an IPAddress does: it holds on to its IP, and the IP to it."""
        return Hooks(allocate=self._protect, validate=self._lock_faults)

    def allocate(self, write: Write) -> None:
        """Take an address for a new IP, free that of one that goes.

        Raises:
            Failure: 500 with the allocator's plain text; 409 in generation ``ironcore`` when no address is left.
        """
        if write.new is None:
            self._release(write)
        elif write.old is None:
            spec = write.new.setdefault("spec", {})
            family = spec.get("ipFamily") or ""
            if not self.of_family(family):
                raise Failure(500, "", f"cannot allocate IPs of family {family}")
            found = self._take(write, spec["ip"], family) if spec.get("ip") else self._take_any(write, family)
            spec["ip"] = found
            domain = self.generation.finalizers
            labels = {f"{domain}/ip-family": family, f"{domain}/ip": found.replace(":", "-")}
            write.new["metadata"]["labels"] = {**(write.new["metadata"].get("labels") or {}), **labels}

    def of_family(self, family: str) -> list[IPv4Network | IPv6Network]:
        """The prefixes of a family."""
        return [one for one in self.prefixes if f"IPv{one.version}" == family]

    def owner(self, write: Write, ip: str) -> ObjectKey | None:
        """The IP that has an address; ``None`` if it is free."""
        lock = write.world.get(self.resource, ObjectKey("", ip))
        claim = checks.at(lock, "spec.claimRef")
        return ObjectKey(claim["namespace"], claim["name"]) if claim else None

    # -- addresses -------------------------------------------------------------------------------------------------

    def _take(self, write: Write, ip: str, family: str) -> str:
        wanted = ip_address(ip)
        if not any(wanted in one for one in self.of_family(family)):
            raise self._refused(ip, "the provided IP is not in range")
        if not write.dry_run:
            if write.world.get(self.resource, ObjectKey("", ip)) is not None:
                raise self._refused(ip, "provided IP is already allocated")
            write.world.create(self.resource, self._lock(ip, write.object))
        return ip

    def _take_any(self, write: Write, family: str) -> str:
        for prefix in self.of_family(family):
            if write.dry_run:
                return str(prefix.network_address)
            start = self.rng.randrange(prefix.num_addresses)
            for step in range(prefix.num_addresses):
                ip = str(prefix[(start + step) % prefix.num_addresses])
                if write.world.get(self.resource, ObjectKey("", ip)) is None:
                    write.world.create(self.resource, self._lock(ip, write.object))
                    return ip
        if self.generation is IRONCORE:
            resource = GroupName(self.resource.group, "ips")
            raise conflict(resource, write.object["metadata"]["name"], "all IP addresses are already allocated")
        raise Failure(500, "", "all IPs are allocated")

    def _refused(self, ip: str, why: str) -> Failure:
        return Failure(500, "", f"error allocating IP {ip}: {why}" if self.generation is IRONCORE else why)

    def _release(self, write: Write) -> None:
        key = ObjectKey("", checks.at(write.object, "spec.ip") or "")
        lock = write.world.get(self.resource, key)
        if lock is None or checks.at(lock, "spec.claimRef.uid") != write.object["metadata"]["uid"]:
            return
        if not lock["metadata"].get("deletionTimestamp"):
            write.world.delete(self.resource, key)
        if (held := write.world.get(self.resource, key)) is not None:
            held["metadata"]["finalizers"] = [one for one in held["metadata"]["finalizers"] if one != PROTECTION]
            write.world.update(self.resource, held)

    def _lock(self, ip: str, owner: Document) -> Document:
        metadata = owner["metadata"]
        spec: dict[str, Any] = {
            "claimRef": {
                "group": self.resource.group,
                "resource": "ips",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            }
        }
        if self.generation is IRONCORE:
            spec["ip"] = ip
        return {
            "apiVersion": self.resource.api_version,
            "kind": self.resource.kind,
            "metadata": {"name": ip},
            "spec": spec,
        }

    def _protect(self, write: Write) -> None:
        if self.generation is IRONCORE and write.new is not None and write.old is None:
            metadata = write.new["metadata"]
            metadata["finalizers"] = [*(metadata.get("finalizers") or []), PROTECTION]

    # -- defaults and faults ---------------------------------------------------------------------------------------

    def _default(self, document: Document) -> None:
        if isinstance(spec := document.get("spec"), dict):
            checks.canonical(spec, "ip")
            checks.default_family(spec)

    def _faults(self, write: Write) -> Iterator[Fault]:
        yield from checks.one_of(write.object, "spec.type", ("Public",), "must specify IP type")
        yield from checks.one_of(write.object, "spec.ipFamily", checks.FAMILIES, "must specify IP family")
        yield from checks.of_family(
            checks.at(write.object, "spec.ip"), checks.at(write.object, "spec.ipFamily"), "spec.ip"
        )
        yield from checks.fixed(write, "spec.type", "spec.ipFamily")
        yield from checks.fixed_value(write, "spec.ip")

    def _lock_faults(self, write: Write) -> Iterator[Fault]:
        yield from checks.fixed_value(write, "spec.ip")
        yield from checks.fixed(write, "spec.claimRef")


def address_name(name: str, prefix: bool) -> list[str]:
    """The name rule of IPAddresses: an address as it is written canonically."""
    try:
        found = ip_address(name)
    except ValueError:
        return [f'ParseAddr("{name}"): unable to parse IP']
    return [] if str(found) == name else ["not a valid IP address in canonical format"]
