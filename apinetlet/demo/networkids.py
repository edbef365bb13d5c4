"""Network IDs as the api-net server hands them out: inside the create request, one object a number.

A ``NetworkID`` is named after the number and says whose it is; that it exists is the lock. It goes with the Network. A
dry run takes nothing and answers with the lowest number. Source: the registry of Networks of the Go api-net server.
"""

import random

from attrs import frozen

from apinetlet.demo import checks
from reconcile.kube import Object, ObjectKey, Resource
from reconcile.testing.apiserver import Failure, Hooks, Write
from reconcile.testing.apiserver.failure import Document


@frozen
class NetworkIDs:
    """The range of one server, and what it does to the Networks of group and version of ``resource``."""

    resource: Resource[Object]
    """``networkids``, cluster-scoped."""
    rng: random.Random
    lowest: int = 200
    highest: int = 16_777_215

    def hooks(self) -> Hooks:
        """What a Network does inside its writes."""
        return Hooks(allocate=self.allocate, validate=lambda write: checks.fixed(write, "spec.id"))

    def lock_hooks(self) -> Hooks:
        """What a NetworkID does: whose it is never changes."""
        return Hooks(validate=lambda write: checks.fixed(write, "spec.claimRef"))

    def allocate(self, write: Write) -> None:
        """Take an ID for a new Network, give it back with the last of an old one.

        Raises:
            Failure: 500 with the allocator's plain text, as the real server answers.
        """
        if write.new is None:
            self._release(write)
        elif write.old is None:
            spec = write.new["spec"] = {**(write.new.get("spec") or {})}
            wanted = self._checked(spec["id"]) if spec.get("id") else None
            if write.dry_run:
                spec["id"] = str(wanted or self.lowest)
            else:
                spec["id"] = str(self._take_any(write) if wanted is None else self._take(write, wanted))

    def _release(self, write: Write) -> None:
        key = ObjectKey("", checks.at(write.object, "spec.id") or "")
        if write.world.get(self.resource, key) is not None:
            write.world.delete(self.resource, key)

    def _checked(self, text: str) -> int:
        if not (text.isascii() and text.isdecimal()):
            raise Failure(500, "", f'strconv.ParseInt: parsing "{text}": invalid syntax')
        if not self.lowest <= (number := int(text)) <= self.highest:
            raise Failure(500, "", "the provided ID is not in range")
        return number

    def _take_any(self, write: Write) -> int:
        size = self.highest - self.lowest + 1
        start = self.rng.randrange(size)
        for step in range(size):
            number = self.lowest + (start + step) % size
            if not self._is_taken(write, number):
                return self._take(write, number)
        raise Failure(500, "", "all IDs are allocated")

    def _is_taken(self, write: Write, number: int) -> bool:
        return write.world.get(self.resource, ObjectKey("", str(number))) is not None

    def _take(self, write: Write, number: int) -> int:
        if self._is_taken(write, number):
            raise Failure(500, "", "provided ID is already allocated")
        write.world.create(self.resource, self._lock(number, write.object))
        return number

    def _lock(self, number: int, network: Document) -> Document:
        metadata = network["metadata"]
        return {
            "apiVersion": self.resource.api_version,
            "kind": self.resource.kind,
            "metadata": {"name": str(number)},
            "spec": {
                "claimRef": {
                    "group": self.resource.group,
                    "resource": "networks",
                    "namespace": metadata["namespace"],
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                }
            },
        }


def number_name(name: str, prefix: bool) -> list[str]:
    """The name rule of NetworkIDs: a number as it is written canonically."""
    if not (name.isascii() and name.isdecimal()):
        return [f'strconv.ParseInt: parsing "{name}": invalid syntax']
    return [] if str(int(name)) == name else ["not a valid VNI in canonical format"]
