"""Prefixes of the source cluster: made for objects that ask for an address, and allocated out of each other.

What an object calls ephemeral gets a Prefix of its own, named after it and its place. A prefix without a parent is
allocated as it is; every other gets the first free part of its parent. Source: the controllers for ephemeral prefixes
and the prefix scheduler and allocator of the Go source clusters, without the object that passes between the last two.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from attrs import frozen

from apinetlet.demo.actors.desk import (
    OWNER,
    PARENT,
    SOURCE,
    Desk,
    document,
    is_controlled,
    key_of,
    look,
    owned_by,
    parent_of,
    requests,
)
from reconcile import (
    DONE,
    Controller,
    ControllerSettings,
    For,
    Object,
    Owns,
    Request,
    Result,
    Watches,
    enqueue_by,
)
from reconcile.controller.source import AnySource
from reconcile.kube import MergePatch
from reconcile.kube.selector import labels_from

Net = IPv4Network | IPv6Network


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
    """Gives prefixes what they ask for: first the prefix itself, in a later write the word that it is theirs."""

    desk: Desk

    async def reconcile(self, request: Request) -> Result:
        prefix = self.desk.of("prefixes", request.key)
        if prefix is None or prefix.metadata.is_deleting or look(prefix, "status", "phase") == "Allocated":
            return DONE
        is_root = look(prefix, "spec", "parentRef") is None and look(prefix, "spec", "parentSelector") is None
        if not is_root and not await self._find(prefix):
            return DONE  # the parent, or what becomes free in it, is an event
        await self.desk.source.patch_status(prefix, MergePatch({"status": {"phase": "Allocated"}}))
        return DONE

    async def _find(self, prefix: Object) -> bool:
        parent = self._parent(prefix)
        if parent is None:
            return False
        siblings = self.desk.all_of("prefixes", PARENT, parent.metadata.key)
        taken = [
            ip_network(one, strict=False)
            for sibling in siblings
            if sibling.metadata.uid != prefix.metadata.uid and (one := look(sibling, "spec", "prefix"))
        ]
        whole = ip_network(look(parent, "spec", "prefix"), strict=False)
        asked, length = look(prefix, "spec", "prefix"), look(prefix, "spec", "prefixLength")
        if asked:
            found: Net | None = ip_network(asked, strict=False)
            if found is None or any(found.overlaps(one) for one in taken):
                return False
        elif (found := first_free(whole, taken, length or whole.max_prefixlen)) is None:
            return False
        spec = {"prefix": str(found), "parentRef": {"name": parent.metadata.name}}
        await self.desk.source.patch(prefix, MergePatch({"spec": spec}))
        return True

    def _parent(self, prefix: Object) -> Object | None:
        if (key := parent_of(prefix)) is not None:
            found = self.desk.of("prefixes", key)
            return found if found is not None and _is_parent(found, prefix) else None
        selector = labels_from(look(prefix, "spec", "parentSelector"))
        for found in self.desk.source.store(self.desk.at_source["prefixes"]).list(prefix.metadata.namespace):
            if selector.matches(found.metadata.labels) and _is_parent(found, prefix):
                return found
        return None


def _is_parent(found: Object, of: Object) -> bool:
    return (
        found.metadata.uid != of.metadata.uid
        and not found.metadata.is_deleting
        and look(found, "status", "phase") == "Allocated"
        and look(found, "spec", "ipFamily") == look(of, "spec", "ipFamily")
    )


def first_free(whole: Any, taken: Iterable[Any], length: int) -> Any:
    """The first network of a length in ``whole`` that overlaps none of ``taken``; ``None`` if there is none. Pure."""
    step = 1 << (whole.max_prefixlen - length)
    ranges = sorted((int(one.network_address), int(one.broadcast_address)) for one in taken)
    at, end = int(whole.network_address), int(whole.broadcast_address)
    for first, last in ranges:
        if at + step - 1 < first:
            break
        if last >= at:
            at = -(-(last + 1) // step) * step
    if length < whole.prefixlen or at + step - 1 > end:
        return None
    return type(whole)((at, length))


def controllers(desk: Desk) -> list[Controller]:
    """Ephemeral prefixes for interfaces and load balancers, and the allocation of all."""
    prefixes = desk.at_source["prefixes"]

    def children(prefix: Object) -> list[Request]:
        """Who waits for a parent, or for a part of it that becomes free."""
        store = desk.source.store(prefixes)
        parents = [key for key in (parent_of(prefix), prefix.metadata.key) if key is not None]
        waiting = [one.metadata.key for parent in parents for one in store.by(PARENT, parent)]
        by_selector = [one.metadata.key for one in store.list(prefix.metadata.namespace) if _selects(one)]
        return requests(SOURCE, dict.fromkeys([*waiting, *by_selector]))

    made = [
        desk.controller(
            f"ephemeral-prefixes-{plural}",
            Ephemerals(desk, plural),
            [For(desk.source, desk.at_source[plural]), Owns(desk.source, prefixes)],
        )
        for plural in ("networkinterfaces", "loadbalancers")
    ]
    sources: list[AnySource] = [For(desk.source, prefixes), Watches(desk.source, prefixes, enqueue_by(children))]
    # one at a time: what is free is read from the store
    return [*made, desk.controller("prefixes", Allocation(desk), sources, ControllerSettings(workers=1))]


def _selects(prefix: Object) -> bool:
    return look(prefix, "spec", "parentSelector") is not None and look(prefix, "spec", "prefix") is None
