"""Where every source object stands: mapped, going, left to somebody else, or waiting, and for what.

Noted at the end of each pass over an object, so it costs nothing to ask. ``show`` puts it into the metrics, beside what
the brake on cleaning up has counted.
"""

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from attrs import define, field

from apinetlet.brake import Brake
from reconcile import ObjectKey, Seconds
from reconcile.manager.registry import Figures

PATIENCE: Final[Seconds] = 60.0
"""A shorter failure of a server is nobody's concern: it is tried again."""


class Stand(StrEnum):
    """How a source object stands."""

    MAPPED = "mapped"
    WAITING = "waiting"
    """For what its reason says; the Event of that name tells more."""
    FAILING = "failing"
    """It is tried again; the reason is the error."""
    DELETING = "deleting"
    IGNORED = "ignored"
    """Of another watch filter, or managed by somebody else."""


@define(eq=False)
class Standings:
    """The stands of all objects, by kind and key."""

    _stands: dict[tuple[str, ObjectKey], tuple[Stand, str]] = field(factory=dict, init=False)
    _told: dict[tuple[type[Any], ObjectKey], str] = field(factory=dict, init=False)
    """What the pass under way has told of an object; a key is in one pass at a time."""
    _counts: Counter[tuple[str, Stand, str]] = field(factory=Counter, init=False)
    _refused: dict[tuple[str, ObjectKey], tuple[Seconds, str]] = field(factory=dict, init=False)
    """Objects of which a server took no write: since when, and what the last try came to."""

    def tell(self, source: Any, reason: str) -> None:
        """The pass over ``source`` has something to say; of several things the first counts."""
        self._told.setdefault((type(source), source.metadata.key), reason)

    def told(self, kind: type[Any], key: ObjectKey) -> str:
        """What the pass that ends now has said; "" if nothing."""
        return self._told.pop((kind, key), "")

    def note(self, kind: str, key: ObjectKey, stand: Stand | None, reason: str = "") -> None:
        """An object stands so now; ``None``: it is gone."""
        if (before := self._stands.pop((kind, key), None)) is not None:
            self._counts[kind, *before] -= 1
        if stand is not None:
            self._stands[kind, key] = stand, reason
            self._counts[kind, stand, reason] += 1

    def refused(self, kind: str, key: ObjectKey, why: str, now: Seconds) -> None:
        """A server failed a pass, through no fault of the object; "": none did."""
        if why:
            since, _ = self._refused.get((kind, key), (now, ""))
            self._refused[kind, key] = since, why
        else:
            self._refused.pop((kind, key), None)

    def problem(self, now: Seconds) -> str:
        """For ``/readyz``: which kinds a server has failed for longer than ``PATIENCE``, and how; "" if none."""
        late = {(kind, why) for (kind, _), (since, why) in self._refused.items() if now - since > PATIENCE}
        return "; ".join(f"{kind}: {why}" for kind, why in sorted(late))

    @property
    def counts(self) -> Mapping[tuple[str, Stand, str], int]:
        """How many objects of a kind stand how, and why."""
        return +self._counts


def show(figures: Figures, standings: Standings, brake: Brake) -> None:
    """Put both into ``figures``, read whenever the page is asked for."""
    objects = figures.gauge("apinetlet_objects", "Source objects by how they stand", "kind", "state", "reason")
    counterparts = figures.gauge("apinetlet_counterparts", "Api-net objects that record a source", "kind")
    dangling = figures.gauge("apinetlet_dangling", "Api-net objects whose source is gone", "kind")
    held = figures.gauge("apinetlet_clean_up_held", "1 while too many dangle for any to be deleted", "kind")

    def read() -> None:
        objects.reset()
        for (kind, stand, reason), number in standings.counts.items():
            objects[kind, stand.value, reason].set(number)
        for kind, mapped, lost, is_held in brake.counts():
            counterparts[(kind,)].set(mapped)
            dangling[(kind,)].set(lost)
            held[(kind,)].set(is_held)

    figures.sample(read)
