"""``apinetlet drain``: uninstalls: our finalizers go off all source objects, and what we made is kept or deleted.

Without ``--yes`` it only tells. It ends within ``--timeout``, tells what remained and why, and can be run again.
"""

import os
from collections.abc import Sequence
from typing import Any

import anyio
from attrs import field, frozen

from apinetlet.assembly import SOURCE
from apinetlet.flags import setting
from apinetlet.settings import Settings
from apinetlet.tools import shell
from apinetlet.tools.answer import FINDING, OK, Answer, Failure, Part, Table
from apinetlet.tools.declared import declared
from apinetlet.tools.gather import lease_namespace, lease_of
from apinetlet.tools.leftovers import PHASES, Leftover, claim_free, kept, leftovers
from apinetlet.tools.shell import Tool
from apinetlet.tools.sides import Sides, sides
from reconcile import Conflict, KubeError, NotFound, Object, ObjectKey, Resource, Seconds
from reconcile.kube import MergePatch, finalizers

USAGE = """\
apinetlet drain takes our finalizers off all source objects, so that they can go without the daemon. What was made in
the api-net cluster is kept, or deleted first. Stop the daemon before: it would put the finalizers back.

  apinetlet drain --api-net-namespace=apinet                        tells what it would do; exit status 1 if anything
  apinetlet drain --api-net-namespace=apinet --yes                  does it, and keeps the api-net objects
  apinetlet drain --api-net-namespace=apinet --targets=delete --yes
"""

_DRAIN = "Uninstall"
POLL: Seconds = 0.5
TRIES = 5
"""For an object that somebody else writes to at the same time."""


@frozen
class Flags(Settings):
    """The daemon's, and what is to be done."""

    yes: bool = setting(False, "do it; without it only tell", group=_DRAIN)
    targets: str = setting("keep", "what becomes of the api-net objects", choices=("keep", "delete"), group=_DRAIN)
    force: bool = setting(False, "also while somebody holds the Lease of the daemon", group=_DRAIN)
    timeout: Seconds = setting(60.0, "longest that it may take", group=_DRAIN)
    o: str = shell.form()


@frozen
class Drained:
    """What was found, and what came of each; nothing came of anything in a dry run."""

    found: Sequence[Leftover]
    remains: dict[int, str] = field(factory=dict)
    """Why, by place in ``found``."""


def work(flags: Flags, places: Sequence[str]) -> Answer:
    """Tell, or do."""
    shell.wanted(places)

    async def asked() -> Drained:
        async with sides(flags) as both:
            return await drained(flags, both)

    return answer(anyio.run(asked), is_done=flags.yes)


async def drained(flags: Flags, both: Sides) -> Drained:
    """Look, and with ``--yes`` carry it out.

    Raises:
        Failure: the daemon still runs.
        KubeError: what there is cannot be read.
    """
    await _see_that_nobody_leads(flags, both)
    kinds = list(kept(declared(flags, both.generation)))
    of_source = [one for one in kinds if one.cluster == SOURCE]
    sources = {one.resource: await _listed(both.source, one.resource, flags.namespace) for one in of_source}
    targets = {
        one: await _listed(both.apinet, one.resource, flags.api_net_namespace) for one in kinds if one not in of_source
    }
    found = leftovers(flags, both.generation, sources, targets, ends_targets=flags.targets == "delete")
    doing = _Work(both, found, [one.resource.kind for one in of_source])
    if flags.yes:
        await doing.run(flags.timeout)
    return Drained(found, doing.remains if flags.yes else {})


async def _see_that_nobody_leads(flags: Flags, both: Sides) -> None:
    if flags.force or not flags.yes:
        return
    lease = await lease_of(both.source, ObjectKey(lease_namespace(flags, os.environ), both.generation.lease))
    if lease.is_held:
        raise Failure(f"{lease.holder} holds Lease {lease.name}: stop the daemon first, or say --force")


async def _listed(client: Any, resource: Resource[Object], namespace: str) -> list[Object]:
    try:
        return list((await client.list(resource, namespace=namespace)).items)
    except NotFound:
        return []  # a kind that nobody serves has no objects


class _Work:
    """The writes, phase by phase. ``remains`` says at any time what is not done, and why."""

    def __init__(self, both: Sides, found: Sequence[Leftover], kinds: Sequence[str]) -> None:
        self.both, self.found, self.kinds = both, found, kinds
        self.remains = dict.fromkeys(range(len(found)), "there was no time")

    async def run(self, timeout: Seconds) -> None:
        """All of it, each phase after the one before. What others hold may take three quarters of the time."""
        with anyio.move_on_after(timeout):
            for phase in PHASES:
                for place, one in enumerate(self.found):
                    if one.action == phase:
                        await self._attempt(place, one)
                if phase == "delete":
                    with anyio.move_on_after(timeout * 0.75):
                        await self._wait()

    async def _attempt(self, place: int, one: Leftover) -> None:
        if one.action == "release" and (held := self._left_of(one)):
            self.remains[place] = f"{held} of it remain in the api-net cluster (--targets=keep lets go all the same)"
            return
        try:
            await {"release": self._release, "delete": self._delete, "disclaim": self._disclaim}[one.action](one)
        except NotFound:
            pass
        except KubeError as error:
            self.remains[place] = str(error)
            return
        self.remains.pop(place, None)
        if one.action == "delete":
            self.remains[place] = "it is being deleted"

    def _left_of(self, source: Leftover) -> int:
        uids = [one.origin.uid for place, one in enumerate(self.found) if place in self.remains and one.origin]
        return uids.count(source.meta.uid)

    async def _release(self, one: Leftover) -> None:
        name = self.both.generation.finalizer(one.resource.kind)
        await self._patched(self.both.source, one, lambda found: finalizers.remove(found, name))

    async def _disclaim(self, one: Leftover) -> None:
        def patch(found: Object) -> MergePatch:
            return MergePatch(claim_free(self.both.generation, found, self.kinds))

        await self._patched(self.both.apinet, one, patch)

    async def _patched(self, client: Any, one: Leftover, patch: Any) -> None:
        """Patch the object as it is now, if it still is the same one."""
        for _ in range(TRIES):
            found = await client.get(one.resource, one.meta.key)
            if found.metadata.uid != one.meta.uid or (change := patch(found)) is None:
                return
            try:
                await client.patch(one.resource, one.meta.key, change)
            except Conflict as error:
                conflict = error
                continue
            return
        raise conflict

    async def _delete(self, one: Leftover) -> None:
        await self.both.apinet.delete(one.resource, one.meta.key, uid=one.meta.uid)

    async def _wait(self) -> None:
        """Until what was deleted is gone."""
        while True:
            waiting = [place for place, why in self.remains.items() if why.startswith("it is being deleted")]
            for place in waiting:
                await self._look(place, self.found[place])
            if not any(why.startswith("it is being deleted") for why in self.remains.values()):
                return
            await anyio.sleep(POLL)

    async def _look(self, place: int, one: Leftover) -> None:
        try:
            found = await self.both.apinet.get(one.resource, one.meta.key)
        except NotFound:
            del self.remains[place]
            return
        if found.metadata.uid != one.meta.uid:
            del self.remains[place]
            return
        held = ", ".join(found.metadata.finalizers)
        self.remains[place] = f"it is being deleted, and held by {held or 'nobody'}"


def answer(done: Drained, *, is_done: bool) -> Answer:
    """A line for each object, and a summary."""

    def came(place: int) -> str:
        return "would" if not is_done else f"remains: {done.remains[place]}" if place in done.remains else "done"

    rows = [
        (one.words, one.cluster, one.resource.kind, one.meta.key, came(place)) for place, one in enumerate(done.found)
    ]
    facts = {
        "dryRun": not is_done,
        "objects": [
            {
                "action": one.action,
                "cluster": one.cluster,
                "resource": one.resource.name,
                "namespace": one.meta.namespace,
                "name": one.meta.name,
                "remains": done.remains.get(place) if is_done else None,
            }
            for place, one in enumerate(done.found)
        ],
    }
    count, left = len(done.found), len(done.remains)
    if not is_done:
        summary = (
            f"{count} objects to change; nothing was written: --yes does it." if count else "Nothing of ours is left."
        )
    else:
        summary = (
            f"{count - left} of {count} objects are done, {left} remain." if count else "Nothing of ours was left."
        )
    parts: list[Part] = [Table(("WHAT", "CLUSTER", "KIND", "OBJECT", "CAME OF IT"), rows), summary]
    return Answer(facts, parts, FINDING if (left if is_done else count) else OK)


TOOL = Tool("drain", USAGE, Flags, work)


def main(words: Sequence[str]) -> int:
    """Run the tool."""
    return shell.run(TOOL, words)
