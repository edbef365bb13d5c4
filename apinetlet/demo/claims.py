"""Public addresses of load balancers, NAT gateways and network interfaces: taken and released inside their writes.

An entry without an address gets an IP of its own, which goes with the entry. An entry with one claims the IP that has
it. What an update drops is released once everything new was taken, so a full pool is not saved by what it frees.
Source: the IP allocators of the Go api-net server; what a failed write took is undone here, which it forgets.
"""

from collections.abc import Callable, Iterable
from typing import Any

from attrs import frozen

from apinetlet.api import IRONCORE, Generation
from apinetlet.demo import checks
from apinetlet.demo.addresses import Addresses
from reconcile.kube import Object, ObjectKey, Resource
from reconcile.testing.apiserver import Failure, Write
from reconcile.testing.apiserver.failure import Document


@frozen
class Claims:
    """What the addresses of one kind are."""

    generation: Generation
    addresses: Addresses
    ips: Resource[Object]
    """Where IPs are served."""
    path: str
    """The list of entries: ``spec.ips``."""
    family: Callable[[Document, Document], str]
    """The family of an entry, given the object and the entry."""
    applies: Callable[[Document], bool] = lambda _: True
    """Whether the object takes public addresses at all."""

    def allocate(self, write: Write) -> None:
        """Take and release what the write calls for.

        Raises:
            Failure: 500 with the allocator's plain text, or what the creation of an IP answers.
        """
        if write.new is None:
            self._release(write, self._listed(write.old))
            return
        if not self.applies(write.new):
            return
        dropped = dict.fromkeys(self._listed(write.old))
        entries = checks.entries(write.new, self.path)
        for one in entries:
            if not self.addresses.of_family(family := self.family(write.new, one)):
                raise Failure(500, "", f"no allocator for IPs of family {family}")
        for one in entries:
            if (ip := one.get("ip")) in dropped:
                del dropped[ip]
            elif ip:
                self._claim(write, ip)
            else:
                one["ip"] = self._take(write, self.family(write.new, one))
        self._release(write, dropped)

    def _listed(self, document: Document | None) -> list[str]:
        if document is None or not self.applies(document):
            return []
        return [ip for one in checks.entries(document, self.path) if (ip := one.get("ip"))]

    def _take(self, write: Write, family: str) -> str:
        """The address of a new IP that belongs to the object."""
        if write.dry_run:
            return str(self.addresses.of_family(family)[0].network_address)
        metadata = write.object["metadata"]
        owner = {
            "apiVersion": write.kind.resource.api_version,
            "kind": write.kind.resource.kind,
            "name": metadata["name"],
            "uid": metadata["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
        spec: dict[str, Any] = {"type": "Public", "ipFamily": family}
        if self.generation is IRONCORE:
            spec["claimRef"] = self._claimer(write)
        made = write.world.create(
            self.ips,
            {
                "apiVersion": self.ips.api_version,
                "kind": self.ips.kind,
                "metadata": {
                    "generateName": f"{metadata['name']}-",
                    "namespace": metadata["namespace"],
                    "ownerReferences": [owner],
                },
                "spec": spec,
            },
        )
        return str(made["spec"]["ip"])

    def _claim(self, write: Write, ip: str) -> None:
        if write.dry_run:
            return
        if (found := self._found(write, ip)) is None:
            raise Failure(500, "", "provided IP was not found")
        holder = checks.at(found, "spec.claimRef")
        if holder and not (self.generation is IRONCORE and holder.get("uid") == write.object["metadata"]["uid"]):
            raise Failure(500, "", "provided IP is already allocated")
        found["spec"]["claimRef"] = self._claimer(write)
        write.world.update(self.ips, found)

    def _release(self, write: Write, dropped: Iterable[str]) -> None:
        if write.dry_run:
            return
        for found in filter(None, (self._found(write, ip) for ip in dropped)):
            metadata = found["metadata"]
            if any(owner.get("controller") for owner in metadata.get("ownerReferences") or ()):
                write.world.delete(self.ips, ObjectKey(metadata["namespace"], metadata["name"]))
            elif holder := checks.at(found, "spec.claimRef"):
                if self.generation is IRONCORE and holder.get("uid") != write.object["metadata"]["uid"]:
                    continue
                del found["spec"]["claimRef"]
                write.world.update(self.ips, found)

    def _found(self, write: Write, ip: str) -> Document | None:
        """The IP of the object's namespace that has an address."""
        key = self.addresses.owner(write, ip)
        if key is None or key.namespace != write.object["metadata"]["namespace"]:
            return None
        return write.world.get(self.ips, key)

    def _claimer(self, write: Write) -> Document:
        resource, metadata = write.kind.resource, write.object["metadata"]
        return {
            "group": resource.group,
            "resource": resource.plural,
            "name": metadata["name"],
            "uid": metadata["uid"],
        }


def entry_family(document: Document, entry: Document) -> str:
    """The family that an entry names itself, as those of load balancers and interfaces do."""
    return entry.get("ipFamily") or ""


def object_family(document: Document, entry: Document) -> str:
    """The family of the object, as for entries of a NAT gateway."""
    return checks.at(document, "spec.ipFamily") or ""


def is_public(document: Document) -> bool:
    """Whether a load balancer is public; the addresses of the others are free text."""
    return bool(checks.at(document, "spec.type") == "Public")
