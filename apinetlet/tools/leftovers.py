"""What the daemon has left in two clusters, and what becomes of each thing when it is uninstalled. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

from attrs import frozen

from apinetlet.api import Generation
from apinetlet.assembly import APINET, SOURCE
from apinetlet.origin import Origin, Origins
from apinetlet.settings import Settings
from reconcile import Manager, Object, ObjectMeta, Resource
from reconcile.kube.kinds import EVENT

Action: TypeAlias = Literal["release", "delete", "disclaim"]
"""Take our finalizer off a source object; delete what we made; take our claim off what others made."""
PHASES: tuple[Action, ...] = ("disclaim", "delete", "release")
"""The order. A source goes free last: until then its finalizer says that something of it is left on the other side."""


@frozen
class Kept:
    """A kind with something of ours on its objects."""

    cluster: str
    resource: Resource[Object]
    is_made: bool
    """Whether we make its objects. If not, they are somebody else's and carry a finalizer or a claim of ours."""


@frozen
class Leftover:
    """One object, and what is to become of it."""

    action: Action
    cluster: str
    resource: Resource[Object]
    meta: ObjectMeta
    origin: Origin | None = None
    """Of a target: the source that it was made for."""

    @property
    def words(self) -> str:
        """The action for people."""
        return {"release": "take our finalizer off", "delete": "delete", "disclaim": "take our claim off"}[self.action]


def kept(daemon: Manager) -> Iterator[Kept]:
    """The kinds that the daemon writes to, by its declaration; Events end by themselves."""
    for one in daemon.writes:
        found = one.resource
        if found == EVENT:
            continue
        untyped = Resource.untyped(found.api_version, found.kind, found.plural, found.namespaced)
        yield Kept(one.cluster, untyped, "delete" in one.verbs)


def leftovers(
    settings: Settings,
    generation: Generation,
    sources: Mapping[Resource[Object], Iterable[Object]],
    targets: Mapping[Kept, Iterable[Object]],
    *,
    ends_targets: bool,
) -> list[Leftover]:
    """What is to be done, in order. With a watch filter only what concerns the sources that have it."""
    found: list[Leftover] = []
    chosen: set[str] = set()
    known: set[str] = set()
    for resource, objects in sources.items():
        for one in objects:
            known.add(one.metadata.uid)
            label = one.metadata.labels.get(generation.watch_filter_label)
            if settings.watch_filter and label != settings.watch_filter:
                continue
            chosen.add(one.metadata.uid)
            if generation.finalizer(resource.kind) in one.metadata.finalizers:
                found.append(Leftover("release", SOURCE, resource, one.metadata))
    if ends_targets:
        kinds = [Origins(generation, resource.kind) for resource in sources]
        for kind, objects in targets.items():
            for one in objects:
                origin = next(filter(None, (origins.of(one.metadata) for origins in kinds)), None)
                if origin is None or settings.namespace not in ("", origin.namespace):
                    continue
                is_lost = not settings.watch_filter and origin.uid not in known
                if origin.uid in chosen or is_lost:
                    action: Action = "delete" if kind.is_made else "disclaim"
                    found.append(Leftover(action, APINET, kind.resource, one.metadata, origin))
    return sorted(found, key=lambda one: (PHASES.index(one.action), one.resource.plural, one.meta.key))


def claim_free(generation: Generation, one: Object, kinds: Iterable[str]) -> dict[str, Any]:
    """The value of a merge patch that takes our claim, and what came with it, off an object that is not ours."""
    meta = one.metadata
    origins = next(origins for kind in kinds if (origins := Origins(generation, kind)).of(meta) is not None)
    spec = {} if meta.is_deleting else {"publicIPs": None, "prefixes": None}
    head = {**origins.absent(), "resourceVersion": meta.resource_version}
    return {"metadata": head, "spec": spec}
