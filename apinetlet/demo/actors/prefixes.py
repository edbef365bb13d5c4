"""Prefixes of the source cluster: made for objects that ask for an address, and allocated out of each other.

What an object calls ephemeral gets a Prefix of its own, named after it and its place. A prefix without a parent is
allocated as it is; every other gets the first free part of its parent. Source: the controllers for ephemeral prefixes
and the prefix scheduler and allocator of the Go source clusters, without the object that passes between the last two.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from attrs import frozen

from apinetlet.demo.actors.desk import (
    OWNER,
    PARENT,
    SELECTING,
    SOURCE,
    WAITING,
    Desk,
    document,
    is_allocated,
    is_controlled,
    is_selecting,
    key_of,
    look,
    owned_by,
    owners_of,
    parent_of,
    requests,
    sees,
    wishes,
)
from apinetlet.demo.actors.room import Room
from reconcile import (
    DONE,
    Change,
    Controller,
    ControllerSettings,
    For,
    NotFound,
    Object,
    Owns,
    Request,
    Result,
    Watches,
)
from reconcile.controller.source import AnySource
from reconcile.kube import MergePatch
from reconcile.kube.selector import labels_from

AT_ONCE = 100
"""So many prefixes get their parts in one pass."""


class Occupied(Exception):
    """A Prefix of the name that is needed belongs to somebody else."""


@frozen
class Ephemerals:
    """Makes the prefixes that objects of one kind ask for, and takes away what they no longer do."""

    desk: Desk
    plural: str

    async def reconcile(self, request: Request) -> Result:
        desk = self.desk
        owner, prefixes = desk.of(self.plural, request.key), desk.at_source["prefixes"]
        if owner is None or owner.metadata.is_deleting:
            return DONE
        wanted = dict(templates(owner))
        for name, template in wanted.items():
            if (found := desk.of("prefixes", key_of(owner, name))) is None:
                reference = owned_by(owner, desk.at_source[self.plural])
                await desk.source.create(document(prefixes, key_of(owner, name), reference, **template))
            elif not is_controlled(found, owner):
                raise Occupied(f"prefix {found.metadata.key} is not made for {self.plural}/{owner.metadata.name}")
        for found in desk.all_of("prefixes", OWNER, owner.metadata.uid):
            if found.metadata.name not in wanted:
                await desk.source.delete(found)
        return DONE


def templates(owner: Object) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and body of each prefix that an object asks for."""
    for path, prefix in (("ips", ""), ("prefixes", "pf-")):
        for index, one in enumerate(look(owner, "spec", path) or ()):
            if (template := look(one, "ephemeral", "prefixTemplate")) is not None:
                metadata = look(template, "metadata") or {}
                kept = {name: metadata[name] for name in ("labels", "annotations") if metadata.get(name)}
                yield f"{owner.metadata.name}-{prefix}{index}", {"metadata": kept, "spec": template.get("spec") or {}}


@frozen
class Allocation:
    """Gives prefixes what they ask for: first the prefix itself, in a later write the word that it is theirs.

    Asked about a prefix, it sees to that one and to all that wait for a part of it: what is left of it is worked out
    once for all of them.
    """

    desk: Desk

    async def reconcile(self, request: Request) -> Result:
        prefix = self.desk.of("prefixes", request.key)
        if prefix is None or prefix.metadata.is_deleting:
            return DONE
        if is_allocated(prefix):
            return await self._serve(prefix, self.desk.all_of("prefixes", WAITING, request.key))
        if is_selecting(prefix):
            parent = self._selected(prefix)
            return DONE if parent is None else await self._serve(parent, [prefix])
        if parent_of(prefix) is None:
            await self._allocate(prefix, {})
        return DONE  # who has a parent is seen to with it

    async def _serve(self, parent: Object, waiting: list[Object]) -> Result:
        """Give those that wait what is left of ``parent``; what becomes free in it later is an event."""
        waiting = [one for one in waiting if not one.metadata.is_deleting and _is_parent(parent, one)]
        if not waiting:
            return DONE
        siblings = self.desk.all_of("prefixes", PARENT, parent.metadata.key)
        room = Room.of(
            look(parent, "spec", "prefix"), [look(one, "spec", "prefix") for one in siblings if is_allocated(one)]
        )
        waiting.sort(key=lambda one: look(one, "spec", "prefix") is None)  # who wants a certain part comes first
        for one in waiting[:AT_ONCE]:
            asked = look(one, "spec", "prefix")
            found = room.take(asked) if asked else room.take_first(look(one, "spec", "prefixLength"))
            if found is not None:
                with suppress(NotFound):  # then its part is free again, which is an event
                    await self._allocate(one, {"prefix": found, "parentRef": {"name": parent.metadata.name}})
        return Result(requeue_after=0.0) if len(waiting) > AT_ONCE else DONE

    async def _allocate(self, prefix: Object, given: dict[str, Any]) -> None:
        cluster = self.desk.source
        prefix = await cluster.patch(prefix, MergePatch({"spec": given}) if given else None)
        await cluster.patch_status(prefix, MergePatch({"status": {"phase": "Allocated"}}))

    def _selected(self, prefix: Object) -> Object | None:
        selector = labels_from(look(prefix, "spec", "parentSelector") or {})
        for found in self.desk.source.store(self.desk.at_source["prefixes"]).list(prefix.metadata.namespace):
            if selector.matches(found.metadata.labels) and _is_parent(found, prefix):
                return found
        return None


def _is_parent(found: Object, of: Object) -> bool:
    return (
        found.metadata.uid != of.metadata.uid
        and not found.metadata.is_deleting
        and is_allocated(found)
        and look(found, "spec", "ipFamily") == look(of, "spec", "ipFamily")
    )


def controllers(desk: Desk) -> list[Controller]:
    """Ephemeral prefixes for interfaces and load balancers, and the allocation of all."""
    prefixes = desk.at_source["prefixes"]

    def concerned(change: Change[Object]) -> list[Request]:
        """Who sees to a prefix that waits. One that is allocated, or frees its part, matters to those that wait."""
        store, found = desk.source.store(prefixes), change.new_object
        if found is not None and not is_allocated(found):
            return requests(SOURCE, [parent_of(found) or change.key])
        key = change.key if found is not None else parent_of(change.object)
        keys = [key] if key is not None and store.keys_by(WAITING, key) else []
        return requests(SOURCE, [*keys, *store.keys_by(SELECTING, change.key.namespace)])

    made = [
        desk.controller(
            f"ephemeral-prefixes-{plural}",
            Ephemerals(desk, plural),
            [
                For(desk.source, desk.at_source[plural], sees(wishes("ips", "prefixes"))),
                Owns(desk.source, prefixes, sees(owners_of)),
            ],
        )
        for plural in ("networkinterfaces", "loadbalancers")
    ]
    sources: list[AnySource] = [Watches(desk.source, prefixes, concerned)]
    # one at a time: what is free is read from the store
    return [*made, desk.controller("prefixes", Allocation(desk), sources, ControllerSettings(workers=1))]
