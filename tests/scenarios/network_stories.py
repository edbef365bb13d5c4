"""Every story of a Network: who does what to both clusters, and what must come of it.

The acceptance scenarios, restated. ``then`` of a story holds in every telling, however the daemon is disturbed.
"""

import functools
import uuid
from typing import Any

from apinetlet.api import Generation, Kinds
from apinetlet.api.networking import NetworkState
from apinetlet.origin import Origins
from reconcile.kube import ObjectMeta
from reconcile.testing.faultplan import WRITES, FaultPlan, Refused, Rule, Status
from reconcile.testing.scenario import Act, Look, Scenario, Step, in_turn, step
from reconcile.testing.world import World
from tests.scenarios.networks import (
    FOREIGN,
    HOME,
    a_world,
    change,
    change_counterpart,
    create,
    create_counterpart,
    create_protected,
    delete,
    delete_counterpart,
    fail,
    has_counterpart,
    heal,
    held_by_the_counterpart,
    is_available,
    look_a_hundred_times,
    mapped,
    namespaces,
    networks,
    nothing_left,
    only_one_counterpart_ever,
    replace_while_down,
    state_is,
    tells_of_the_mismatch,
    tried,
    untouched,
)


def stories(generation: Generation) -> list[Scenario]:
    """All of them, in one generation."""
    kinds = Kinds.of(generation)
    world = functools.partial(a_world, generation)
    blue_is_available = is_available(kinds, "blue")
    blue_is_mapped = mapped(generation, "blue")
    watched = {generation.watch_filter_label: "here"}
    claimed = {generation.managed_by_annotation: "somebody"}
    origins = Origins(generation, "Network")

    def origin(name: str, uid: str) -> dict[str, Any]:
        return dict(origins.metadata(ObjectMeta(namespace=HOME, name=name, uid=uid)))

    unlabelled = dict.fromkeys(origin("blue", "any")["labels"])

    async def claim_counterpart(world: World) -> None:
        uid = networks(kinds, world)["blue"].metadata.uid
        await create_counterpart(kinds, origin("blue", uid))(world)

    def partial_origin() -> dict[str, Any]:
        whole = origin("blue", "gone")
        return {**whole, "labels": dict(list(whole["labels"].items())[:-1])}

    def story(name: str, *steps: Step, then: Look, setup: Act | None = None, world: Any = world) -> Scenario:
        return Scenario(name, world, steps, setup=setup or namespaces(), then=then)

    return [
        story("mapped", step(create(kinds, "blue")), then=only_one_counterpart_ever(generation)),
        story(
            "deleted",
            step(create(kinds, "blue"), then=blue_is_mapped),
            step(delete(kinds, "blue")),
            then=nothing_left(kinds),
        ),
        story(
            "deleted at once",
            step(in_turn(create(kinds, "blue"), delete(kinds, "blue"))),
            then=nothing_left(kinds),
        ),
        story(
            "counterpart of nobody",
            step(create_counterpart(kinds, {**origin("blue", str(uuid.UUID(int=1))), "name": "left-over"})),
            then=nothing_left(kinds),
        ),
        story(
            "counterparts of others",
            step(
                create_counterpart(kinds, {"name": "plain"}),
                create_counterpart(kinds, {**partial_origin(), "name": "half-marked"}),
            ),
            then=untouched,
        ),
        story(
            "same name in two namespaces",
            step(create(kinds, "blue"), create(kinds, "blue", "other")),
            setup=namespaces("other"),
            then=mapped(generation, "blue"),
        ),
        story(
            "created while the other side is down",
            step(fail(FaultPlan.of(Refused()))),
            step(create(kinds, "blue"), then=state_is(kinds, "blue", NetworkState.PENDING)),
            step(heal),
            then=blue_is_mapped,
        ),
        story(
            "available while the other side fails",
            step(create(kinds, "blue")),
            step(
                in_turn(
                    fail(FaultPlan((Rule(Status(503), verbs=WRITES),))),
                    change_counterpart(kinds, "blue", {"metadata": {"labels": unlabelled}}),
                ),
                needs=blue_is_available,
                then=state_is(kinds, "blue", NetworkState.AVAILABLE),
            ),
            step(heal),
            then=blue_is_mapped,
        ),
        story(
            "counterpart deleted by hand",
            step(create(kinds, "blue")),
            step(delete_counterpart(kinds, "blue"), needs=blue_is_available),
            then=tells_of_the_mismatch(kinds, "blue"),
        ),
        story(
            "a mismatch is over when it is deleted",
            step(create(kinds, "blue")),
            step(delete_counterpart(kinds, "blue"), needs=blue_is_available),
            step(delete(kinds, "blue")),
            step(create(kinds, "blue"), needs=lambda world: not networks(kinds, world)),
            then=blue_is_mapped,
        ),
        story(
            "two controllers add finalizers",
            step(create_protected(kinds, "blue")),
            then=mapped(generation, "blue", finalizers=(FOREIGN,)),
        ),
        story(
            "counterpart held by somebody",
            step(create(kinds, "blue")),
            step(
                change_counterpart(kinds, "blue", {"metadata": {"finalizers": [FOREIGN]}}),
                needs=has_counterpart(kinds, "blue"),
            ),
            step(delete(kinds, "blue"), then=held_by_the_counterpart(generation, "blue")),
            step(change_counterpart(kinds, "blue", {"metadata": {"finalizers": None}})),
            then=nothing_left(kinds),
        ),
        story(
            "watch filter",
            step(create(kinds, "blue"), then=untouched),
            step(change(kinds, "blue", {"metadata": {"labels": watched}}), then=blue_is_mapped),
            step(
                change(kinds, "blue", {"metadata": {"labels": dict.fromkeys(watched)}}),
                needs=blue_is_available,
                then=blue_is_mapped,
            ),
            step(delete(kinds, "blue")),
            world=functools.partial(world, watch_filter="here"),
            then=nothing_left(kinds),
        ),
        story(
            "managed by somebody",
            step(create(kinds, "blue", annotations=claimed)),
            step(claim_counterpart),
            then=untouched,
        ),
        story(
            "made anew while the daemon was down",
            step(create(kinds, "blue")),
            step(replace_while_down(kinds, "blue"), needs=blue_is_available),
            then=blue_is_mapped,
        ),
        story(
            "looked at a hundred times",
            step(create(kinds, "blue"), then=tried(4)),
            step(look_a_hundred_times, needs=blue_is_available, then=tried(4)),
            then=blue_is_mapped,
        ),
        story(
            "no ID is left",
            step(create(kinds, "blue")),
            step(create(kinds, "green"), needs=blue_is_available, then=state_is(kinds, "green", NetworkState.PENDING)),
            step(delete(kinds, "blue")),
            world=functools.partial(world, highest_id=200),
            then=mapped(generation, "green"),
        ),
        story(
            "several at once",
            step(*(create(kinds, name) for name in ("blue", "green", "red"))),
            step(delete(kinds, "green"), create(kinds, "white")),
            then=mapped(generation, "blue", "red", "white"),
        ),
    ]
