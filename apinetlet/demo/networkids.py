"""Network IDs as the api-net server hands them out: inside the create request, one object a number.

A ``NetworkID`` is named after the number and says whose it is; that it exists is the lock. It goes with the Network. A
dry run takes nothing and answers with the lowest number. Source: the registry of Networks of the Go api-net server.
"""

import random
from collections.abc import Iterable

from attrs import frozen

from reconcile.kube import Object, ObjectKey, Resource
from reconcile.testing.apiserver import Failure, Fault, Hooks, Write
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
        return Hooks(allocate=self.allocate, validate=self.faults)

    def allocate(self, write: Write) -> None:
        """Take an ID for a new Network, give it back with the last of an old one.

        Raises:
            Failure: 500 with the allocator's plain text, as the real server answers.
        """
        if write.new is None:
            write.world.delete(self.resource, ObjectKey("", write.object["spec"]["id"]))
        elif write.old is None:
            spec = write.new["spec"] = {**(write.new.get("spec") or {})}
            if write.dry_run:
                spec["id"] = spec.get("id") or str(self.lowest)
            elif spec.get("id"):
                self._take(write, self._checked(spec["id"]))
            else:
                spec["id"] = str(self._take_any(write))

    def faults(self, write: Write) -> Iterable[Fault]:
        """An ID never changes."""
        if write.old is None or write.new is None:
            return
        before, after = ((document.get("spec") or {}).get("id") for document in (write.old, write.new))
        if before != after:
            yield Fault("spec.id", "FieldValueInvalid", f'Invalid value: "{after or ""}": field is immutable')

    def _checked(self, text: str) -> int:
        number = int(text) if text.isascii() and text.isdecimal() else -1
        if not self.lowest <= number <= self.highest:
            raise Failure(500, "", f"provided ID {text} is not in the valid range {self.lowest}-{self.highest}")
        return number

    def _take_any(self, write: Write) -> int:
        size = self.highest - self.lowest + 1
        start = self.rng.randrange(size)
        for step in range(size):
            number = self.lowest + (start + step) % size
            if not self._is_taken(write, number):
                return self._take(write, number)
        raise Failure(500, "", "range is full: all IDs are allocated")

    def _is_taken(self, write: Write, number: int) -> bool:
        return write.world.get(self.resource, ObjectKey("", str(number))) is not None

    def _take(self, write: Write, number: int) -> int:
        if self._is_taken(write, number):
            raise Failure(500, "", f"provided ID {number} is already allocated")
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
