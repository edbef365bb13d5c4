"""``apinetlet explain``: one source object, what was made for it, who waits for what, and what would happen next."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import anyio
import orjson
from attrs import field, frozen

from apinetlet.assembly import APINET, SOURCE
from apinetlet.flags import FlagError
from apinetlet.origin import Origins
from apinetlet.predicates import Eligibility
from apinetlet.settings import Settings
from apinetlet.tools import shell
from apinetlet.tools.answer import FINDING, OK, Answer, Failure, Part, Table
from apinetlet.tools.plan import event_facts
from apinetlet.tools.rehearsal import Pass, Rehearsal, rehearsal
from apinetlet.tools.shell import Reading, Tool
from apinetlet.tools.sides import Sides, sides
from reconcile import Controller, KubeError, ObjectKey, ObjectMeta, Request, Resource, Seconds
from reconcile.cache.entry import Entry
from reconcile.controller.handler import enqueue_self
from reconcile.kube.discovery import Discovery
from reconcile.kube.errors import Forbidden
from reconcile.kube.kinds import EVENT

USAGE = """\
apinetlet explain tells everything about one source object: what was made for it, how both sides stand, who waits for
what, its last Events, and what the next pass would write. Nothing is written. Exit status 1 if it is not simply mapped.

  apinetlet explain Network default/blue --api-net-namespace=apinet
  apinetlet explain loadbalancers default/web --kubeconfig=source.kubeconfig --api-net-namespace=apinet -o json
"""

LAST_EVENTS = 10
PENDING = "Pending"
"""The state of what waits, of every kind that has one."""


@frozen
class Seen:
    """An object of either side as it is."""

    cluster: str
    kind: str
    meta: ObjectMeta
    document: Mapping[str, Any] = field(repr=False)
    recorded: str = ""
    """Of a target: the uid of the source that it was made for."""

    @property
    def state(self) -> str:
        """What people look at: a state, a phase, what was allocated, and how each peering stands."""
        status, spec = (self.document.get(part) or {} for part in ("status", "spec"))
        found = [status.get(name) for name in ("state", "phase", "ip")]
        found += map(_address, [*(status.get("ips") or ()), status.get("virtualIP")])
        found += [spec.get(name) for name in ("id", "ip", "providerID")]
        found += map(_address, [*(spec.get("ips") or ()), *(spec.get("publicIPs") or ())])
        told = " ".join(dict.fromkeys(str(one) for one in found if one))
        return " ".join(part for part in (told, *_peerings(status.get("peerings"))) if part)

    @property
    def facts(self) -> Mapping[str, Any]:
        """As JSON."""
        return {
            "cluster": self.cluster,
            "kind": self.kind,
            "namespace": self.meta.namespace,
            "name": self.meta.name,
            "uid": self.meta.uid,
            "deleting": self.meta.is_deleting,
            "finalizers": list(self.meta.finalizers),
            "state": self.state,
            "madeFor": self.recorded or None,
        }

    @property
    def row(self) -> Sequence[object]:
        """As a line of a table."""
        doing = "deleting" if self.meta.is_deleting else ""
        words = " ".join(part for part in (doing, self.state) if part)
        return self.cluster, self.kind, self.meta.key, words or "-", ", ".join(self.meta.finalizers) or "-"


def _address(given: Any) -> str:
    """Of an entry of a list: some kinds have texts there, some more than that, and what is wished for has none yet."""
    found = given.get("ip") if isinstance(given, Mapping) else given
    return str(found or "")


def _peerings(given: Any) -> Iterable[str]:
    """Of a source; its counterpart has them by partition, which says the same with less."""
    return [f"{one.get('name')}: {one.get('state')}" for one in given or ()] if isinstance(given, list) else []


@frozen
class Story:
    """What there is to tell."""

    kind: str
    key: ObjectKey
    source: Seen | None
    targets: Sequence[Seen]
    next: Pass
    is_ours: bool
    """Whether watch filter and manager leave it to us."""
    finalizer: str
    """Ours."""
    told: Sequence[Mapping[str, str]]
    """What the next pass would tell the user."""
    events: Sequence[Mapping[str, Any]]
    note: str = ""
    """Why there are no Events, if they could not be read."""


def work(flags: Reading, places: Sequence[str]) -> Answer:
    """Look at one object."""
    kind, name = shell.wanted(places, "the kind of a source object", "NAMESPACE/NAME")
    namespace, slash, name = name.partition("/")
    if not (namespace and slash and name) or "/" in name:
        raise FlagError(f"an object is named NAMESPACE/NAME, not {places[1]!r}")

    async def asked() -> Story:
        async with sides(flags) as both:
            return await explained(flags, both, kind, ObjectKey(namespace, name), timeout=flags.timeout)

    return answer(anyio.run(asked))


async def explained(settings: Settings, both: Sides, kind: str, key: ObjectKey, *, timeout: Seconds) -> Story:
    """Gather it.

    Raises:
        FlagError: nothing of that kind is mapped.
        Failure: there is no such object, nor anything that was made for it.
    """
    async with rehearsal(settings, both, timeout=timeout) as rehearsed:
        controller, resource = chosen(rehearsed.daemon.controllers, kind, await both.source.discover())
        entry = rehearsed.daemon.cluster(SOURCE).store(resource).entry(key)
        source = None if entry is None else _seen(SOURCE, resource.kind, entry)
        origins = Origins(both.generation, resource.kind)
        targets = list(_made_for(rehearsed, origins, key))
        if source is None and not targets:
            raise Failure(f"there is no {resource.kind} {key} in the source cluster, and nothing that was made for it")
        outcome = await rehearsed.run(controller, Request(SOURCE, *key))
        told = [event_facts(one) for one in await rehearsed.told()]
    events, note = await _events(both, source)
    admits = Eligibility(both.generation, settings.watch_filter, settings.namespace).admits
    return Story(
        resource.kind,
        key,
        source,
        targets,
        outcome,
        source is None or admits(source.meta),
        both.generation.finalizer(resource.kind),
        told,
        events,
        note,
    )


def chosen(controllers: Iterable[Controller], kind: str, served: Discovery) -> tuple[Controller, Resource[Any]]:
    """Who looks after a kind, which may be named as kubectl takes it, so by a short name of the server's, too.

    Raises:
        FlagError: nobody does; lists those that somebody does look after.
    """
    known: dict[Controller, Resource[Any]] = {}
    for one in controllers:
        for wire in one.wires:
            if wire.handler is enqueue_self:  # the first is the kind that it is for
                known.setdefault(one, wire.resource)
    for controller, resource in known.items():
        found = served.find(resource.group, resource.kind, resource.version)
        short = found.short_names if found is not None else ()
        if kind.lower() in (resource.kind.lower(), resource.plural, resource.name, *short):
            return controller, resource
    kinds = ", ".join(resource.kind for resource in known.values())
    raise FlagError(f"nothing of kind {kind!r} is mapped; there are {kinds}")


def _made_for(rehearsed: Rehearsal, origins: Origins, key: ObjectKey) -> Iterable[Seen]:
    for informer in rehearsed.daemon.cluster(APINET).informers:
        for entry in informer.store.entries():
            origin = origins.of(entry.meta)
            if origin is not None and origin.key == key:
                yield _seen(APINET, informer.watched.resource.kind, entry, origin.uid)


def _seen(cluster: str, kind: str, entry: Entry, recorded: str = "") -> Seen:
    return Seen(cluster, kind, entry.meta, orjson.loads(entry.raw), recorded)


async def _events(both: Sides, source: Seen | None) -> tuple[list[Mapping[str, Any]], str]:
    """The last Events of an object, oldest first; or why they cannot be read."""
    if source is None:
        return [], ""
    fields = f"involvedObject.uid={source.meta.uid}"
    try:
        found = await both.source.list(EVENT, namespace=source.meta.namespace, fields=fields)
    except Forbidden:
        return [], f"Events cannot be read: no right to list events in namespace {source.meta.namespace}"
    except KubeError as error:
        return [], f"Events cannot be read: {error}"
    documents = [orjson.loads(one.metadata.raw) for one in found.items]
    return sorted(documents, key=_when)[-LAST_EVENTS:], ""


def _when(event: Mapping[str, Any]) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")


# -- what it comes to --------------------------------------------------------------------------------------------------


def waits(story: Story) -> list[tuple[str, str]]:
    """Who waits for what: pairs of who, and for what."""
    found: list[tuple[str, str]] = []
    source = story.source
    if source is None:
        found.append(("what was made for it", "its end: the source is gone"))
    elif source.meta.is_deleting:
        others = [one for one in source.meta.finalizers if one != story.finalizer]
        if story.finalizer in source.meta.finalizers:
            found.append(("the source's end", f"the end of what was made for it ({story.finalizer})"))
        found += [("the source's end", f"whoever set the finalizer {one}") for one in others]
    elif not story.is_ours:
        found.append(("nobody", "the watch filter or the managed-by annotation leaves it to somebody else"))
    for target in story.targets:
        if target.meta.is_deleting:
            held = [(f"the end of {target.kind}", f"whoever set the finalizer {one}") for one in target.meta.finalizers]
            found += held
        if source is not None and target.recorded != source.meta.uid:
            found.append((f"{target.kind} {target.meta.name}", f"its end: it was made for {target.recorded}"))
    found += [("the mapping", f"{one['reason']}: {one['message']}") for one in story.told]
    if story.next.error:
        found.append(("the mapping", story.next.error))
    if source is not None and not found and not story.next.changes and PENDING in source.state.split():
        found.append(("the mapping", "the api-net cluster, which has yet to give what the state tells of"))
    return found


def answer(story: Story) -> Answer:
    """The story as tables."""
    waiting, changes = waits(story), story.next.changes
    seen = [one for one in (story.source, *story.targets) if one is not None]
    verdict = "waits" if waiting else "would be changed" if changes else "mapped"
    facts = {
        "kind": story.kind,
        "namespace": story.key.namespace,
        "name": story.key.name,
        "verdict": verdict,
        "source": story.source.facts if story.source is not None else None,
        "targets": [one.facts for one in story.targets],
        "waits": [{"who": who, "for": what} for who, what in waiting],
        "events": [{**event_facts(one), "count": one.get("count"), "last": _when(one)} for one in story.events],
        "next": {
            "changes": [one.facts for one in changes],
            "error": story.next.error or None,
            "againIn": story.next.again_in,
            "events": list(story.told),
        },
    }
    events = [
        (_when(one), one.get("type"), one.get("reason"), f"x{one.get('count') or 1}", one.get("message"))
        for one in story.events
    ]
    parts: list[Part] = [
        f"{story.kind} {story.key}: {verdict}",
        Table(("CLUSTER", "KIND", "OBJECT", "STATE", "FINALIZERS"), [one.row for one in seen]),
        Table(("WHO WAITS", "FOR"), waiting),
        Table(("LAST", "TYPE", "REASON", "TIMES", "EVENT"), events),
        *([story.note] if story.note else []),
        "The next pass would write:\n" + "\n".join(map(str, changes))
        if changes
        else "The next pass would write nothing.",
    ]
    return Answer(facts, parts, FINDING if waiting or changes else OK)


TOOL = Tool("explain", USAGE, Reading, work)


def main(words: Sequence[str]) -> int:
    """Run the tool."""
    return shell.run(TOOL, words)
