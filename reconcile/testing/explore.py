"""Every world that a scenario allows: the undisturbed one, and one for each thing that can go wrong at each place.

The undisturbed story is told first; it shows how many writes and events there are, and which end all others must come
to. ``explore`` then lists the variations, all of them or a sample drawn by a seed. Each is told on a loop of its own,
so none can touch another, and its id is enough to tell it again: ``explore(scenario, only="crash-after-3-late")``.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import zip_longest
from typing import Final, TypeAlias

import attrs

from reconcile.testing.faultplan import Delayed, FaultPlan, Latency
from reconcile.testing.loop import run
from reconcile.testing.scenario import Scenario, Story, Variation, play
from reconcile.testing.sieve import Crash, Frozen, Gap, Lagging, LostReply, Moment, Until

ORDERS: Final = 20
"""How many orders of tasks, and of arrivals, and how many plans of faults are tried."""
LAG: Final = Delayed(5.0, 5.0)
"""Events of a cluster that is slower than all the rest."""


@attrs.frozen
class Ground:
    """What there is to vary: clusters, steps, and the places that the undisturbed story showed."""

    clusters: Sequence[str]
    steps: int
    story: Story


Pattern: TypeAlias = Callable[[Ground], Iterable[Variation]]


def crashes(ground: Ground) -> Iterator[Variation]:
    """The program dies before, at and after each write; it lives again at once, or after the next act."""
    for write in ground.story.writes:
        for moment in (Moment.BEFORE, Moment.AFTER):
            for until in (Until.NOW, Until.LATE):
                yield Variation(f"crash-{moment}-{write}-{until}", partial(Crash, at=write, moment=moment, until=until))
        for until in (Until.SOON, Until.LATE):
            strike = partial(Crash, at=write, moment=Moment.UNDERWAY, until=until)
            yield Variation(f"crash-{Moment.UNDERWAY}-{write}-{until}", strike)


def lost_replies(ground: Ground) -> Iterator[Variation]:
    """Each write is done, and the program never learns of it."""
    for write in ground.story.writes:
        yield Variation(f"lost-reply-{write}", partial(LostReply, at=write))


def frozen_caches(ground: Ground) -> Iterator[Variation]:
    """From each write on the caches stand still: of one cluster, or of all."""
    for write in ground.story.writes:
        for cluster in (*ground.clusters, "all") if len(ground.clusters) > 1 else ground.clusters:
            for until in (Until.SOON, Until.LATE):
                frozen = frozenset(ground.clusters if cluster == "all" else [cluster])
                strike = partial(Frozen, at=write, clusters=frozen, until=until)
                yield Variation(f"frozen-{cluster}-{write}-{until}", strike)


def lagging_restarts(ground: Ground) -> Iterator[Variation]:
    """After each write the program dies, and its next life is shown each past there is."""
    for write in ground.story.writes:
        for past in (0, *(earlier for earlier in ground.story.writes if earlier <= write)):
            for until in (Until.SOON, Until.LATE):
                strike = partial(Lagging, at=write, past=past, until=until)
                yield Variation(f"lagging-{write}-sees-{past}-{until}", strike)


def gaps(ground: Ground) -> Iterator[Variation]:
    """The watch breaks around each event, and only a list tells what came of it."""
    for cluster, events in sorted(ground.story.events.items()):
        for event in range(1, events + 1):
            for until in Until:
                strike = partial(Gap, cluster=cluster, event=event, until=until)
                yield Variation(f"gap-{cluster}-{event}-{until}", strike)


def orders(ground: Ground) -> Iterator[Variation]:
    """Tasks, acts of a step and events of the clusters come in other orders; the program starts later."""
    for seed in range(ORDERS):
        yield Variation(f"order-{seed}", order=seed)
        slow = FaultPlan.of(Latency(0.0, 1.0), Delayed(0.0, 5.0))
        yield Variation(f"pace-{seed}", order=seed, plans=dict.fromkeys(ground.clusters, slow))
    for cluster in ground.clusters:
        yield Variation(f"lag-{cluster}", plans={cluster: FaultPlan.of(LAG)})
    for step in range(1, ground.steps + 1):
        yield Variation(f"start-after-{step}", start=step)


def faults(ground: Ground) -> Iterator[Variation]:
    """The wire fails at random, on the way to each cluster in its own way; at the end it is mended."""
    for seed in range(ORDERS):
        rng = random.Random(seed)
        plans = {cluster: FaultPlan.draw(rng) for cluster in ground.clusters}
        yield Variation(f"faults-{seed}", order=seed, plans=plans)


PATTERNS: Final[Mapping[str, Pattern]] = {
    "crashes": crashes,
    "lost replies": lost_replies,
    "frozen caches": frozen_caches,
    "lagging restarts": lagging_restarts,
    "gaps": gaps,
    "orders": orders,
    "faults": faults,
}


@attrs.define(eq=False)
class Exploration:
    """A scenario with the variations to be told. Iterate, ``play`` each; or ``check`` them all."""

    scenario: Scenario
    plain: Story
    """The undisturbed one."""
    variations: Sequence[Variation]
    total: int
    """How many there are, told or not."""
    seed: int
    played: int = attrs.field(default=1, init=False)
    """Worlds told so far, with the undisturbed one."""
    seconds: float = attrs.field(default=0.0, init=False)
    """What they took, on the wall."""

    def __iter__(self) -> Iterator[Variation]:
        return iter(self.variations)

    def __len__(self) -> int:
        return len(self.variations)

    def play(self, variation: Variation) -> None:
        """Tell one.

        Raises:
            AssertionError: it does not end as the undisturbed one, or goes on writing; a note tells how to repeat it.
        """
        began = time.perf_counter()
        try:
            run(play(self.scenario, variation, expected=self.plain.end), seed=variation.order)
        except Exception as error:
            error.add_note(f"in the world {self.scenario.name} / {variation.id}")
            error.add_note(f"to repeat it: explore(..., only={variation.id!r}), or pytest --world={variation.id}")
            raise
        finally:
            self.played += 1
            self.seconds += time.perf_counter() - began

    def check(self) -> "Exploration":
        """Tell them all.

        Raises:
            AssertionError: of the first that fails; a note names the others.
        """
        failed: dict[str, Exception] = {}
        for variation in self.variations:
            try:
                self.play(variation)
            except Exception as error:
                failed[variation.id] = error
        for first in failed.values():
            first.add_note(f"{len(failed)} of {self} failed: {', '.join(failed)}")
            raise first
        return self

    def __str__(self) -> str:
        drawn = "" if len(self) == self.total else f" of {self.total}, seed {self.seed}"
        return f"{self.scenario.name}: {len(self)} variations{drawn}, {self.played} worlds in {self.seconds:.1f} s"


def explore(
    scenario: Scenario,
    patterns: Iterable[str] = tuple(PATTERNS),
    *,
    sample: int | None = None,
    seed: int = 0,
    only: str = "",
) -> Exploration:
    """Tell the undisturbed story, and list its variations by ``patterns``; of each about as many if it is a ``sample``.

    Not from within a running loop. ``only``: just the one of that id, if there is one.

    Raises:
        AssertionError: the undisturbed story itself does not converge.
        LookupError: there is no pattern of that name.
    """
    began = time.perf_counter()
    try:
        plain = run(play(scenario))
    except Exception as error:
        error.add_note(f"in the undisturbed world of {scenario.name}")
        raise
    took = time.perf_counter() - began
    ground = Ground(plain.clusters, len(scenario.steps), plain)
    found = [list(PATTERNS[name](ground)) for name in patterns]
    everything = [variation for each in found for variation in each]
    chosen = _drawn(found, random.Random(f"{scenario.name} {seed}"), sample) if sample is not None else everything
    if only:
        chosen = [variation for variation in everything if variation.id == only]
    exploration = Exploration(scenario, plain, chosen, len(everything), seed)
    exploration.seconds = took
    return exploration


def _drawn(found: Sequence[list[Variation]], rng: random.Random, number: int) -> list[Variation]:
    """So many, from each pattern in turn."""
    shuffled = [rng.sample(each, len(each)) for each in found]
    rng.shuffle(shuffled)
    return [one for turn in zip_longest(*shuffled) for one in turn if one is not None][:number]
