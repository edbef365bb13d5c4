"""Every story of a NAT gateway: who does what to both clusters, and what must come of it.

The acceptance scenarios, restated. ``then`` of a story holds in every telling, however the daemon is disturbed.
"""

import functools
from typing import Any

from apinetlet.api import Generation, Kinds
from reconcile.testing.faultplan import FaultPlan, Refused
from reconcile.testing.scenario import Act, Look, Scenario, Step, in_turn, step
from reconcile.testing.world import World
from tests.scenarios.networks import FOREIGN, HOME, fail, heal, look_a_hundred_times, namespaces, untouched
from tests.scenarios.pairs import (
    a_world,
    both,
    change,
    change_counterpart,
    create,
    delete,
    delete_counterpart,
    has_counterparts,
    is_reported,
    mapped,
    nat_gateways,
    no_counterparts,
    nothing_left,
    objects,
    replace_while_down,
)

PUBLIC = {"type": "Public", "ipFamily": "IPv4", "networkRef": {"name": "blue"}}


def stories(generation: Generation) -> list[Scenario]:
    """All of them, in one generation."""
    pair, kinds = nat_gateways(generation), Kinds.of(generation)
    world = functools.partial(a_world, pair)
    network = create(kinds.network, "blue", spec={})
    out = create(pair.source, "out", spec=PUBLIC)
    out_is_mapped = mapped(pair, "out")
    is_there = has_counterparts(pair, "out")

    def scale(*names: str) -> Act:
        """The autoscaler decides which entries there are; those that stay keep their addresses."""

        async def act(world: World) -> None:
            [found] = objects(world, pair.target)
            before = {one["name"]: one for one in found["spec"].get("ips") or ()}
            entries = [before.get(name, {"name": name}) for name in names]
            await change_counterpart(pair, pair.target, "out", {"spec": {"ips": entries}})(world)

        return act

    def has(*names: str) -> Look:
        def look(world: World) -> None:
            [found] = objects(world, pair.target)
            assert [one["name"] for one in found["spec"].get("ips") or ()] == list(names)

        return look

    def scales(least: int, most: int) -> Look:
        def look(world: World) -> None:
            [found] = objects(world, pair.dependent)
            assert (found["spec"]["minPublicIPs"], found["spec"]["maxPublicIPs"]) == (least, most)

        return look

    def dangling(name: str) -> Act:
        head = pair.origin(HOME, "nobody", "no-such-uid")
        spec = {"ipFamily": "IPv4", "networkRef": {"name": "n"}, "portsPerNetworkInterface": 64}
        reference = {"natGatewayRef": {"name": name}}
        return in_turn(
            create(pair.target, name, metadata=head, spec=spec),
            create(pair.dependent, name, metadata=head, spec=reference),
        )

    def story(name: str, *steps: Step, then: Look, setup: Act | None = None, world: Any = world) -> Scenario:
        return Scenario(name, world, steps, setup=setup or in_turn(namespaces(), network), then=then)

    return [
        story("network and gateway in any order", step(network, out), setup=namespaces(), then=out_is_mapped),
        story(
            "before its network",
            step(out, then=no_counterparts(pair)),
            step(network),
            setup=namespaces(),
            then=both(out_is_mapped, scales(1, 10)),
        ),
        story(
            "more addresses and fewer",
            step(out),
            step(scale("b"), needs=is_there),
            step(scale("b", "c", "a")),
            step(scale("b", "c")),
            then=both(out_is_mapped, has("b", "c")),
        ),
        story(
            "other ports",
            step(out),
            step(scale("a"), needs=is_there),
            step(change(pair.source, "out", {"spec": {"portsPerNetworkInterface": 64}})),
            then=both(out_is_mapped, has("a")),
        ),
        story(
            "of another family",
            step(out),
            step(scale("a"), needs=is_there),
            step(change(pair.source, "out", {"spec": {"ipFamily": "IPv6"}}), needs=is_reported(pair, "out")),
            then=both(out_is_mapped, has()),
        ),
        story(
            "deleted",
            step(out),
            step(scale("a"), needs=is_there),
            step(delete(pair.source, "out")),
            then=nothing_left(pair),
        ),
        story("deleted at once", step(in_turn(out, delete(pair.source, "out"))), then=nothing_left(pair)),
        story(
            "its network is made anew",
            step(out),
            step(
                in_turn(
                    change(kinds.network, "blue", {"metadata": {"finalizers": None}}), delete(kinds.network, "blue")
                ),
                needs=is_there,
            ),
            step(network, needs=lambda world: not objects(world, kinds.network)),
            then=out_is_mapped,
        ),
        story(
            "autoscaler deleted and disowned by hand",
            step(out),
            step(delete_counterpart(pair, pair.dependent, "out"), needs=is_there),
            step(
                change_counterpart(pair, pair.dependent, "out", {"metadata": {"ownerReferences": None}}),
                needs=is_there,
            ),
            then=both(out_is_mapped, scales(1, 10)),
        ),
        story(
            "counterpart held by somebody",
            step(out),
            step(change_counterpart(pair, pair.target, "out", {"metadata": {"finalizers": [FOREIGN]}}), needs=is_there),
            step(delete(pair.source, "out")),
            step(change_counterpart(pair, pair.target, "out", {"metadata": {"finalizers": None}})),
            then=nothing_left(pair),
        ),
        story("counterparts of nobody", step(dangling("left-over")), then=nothing_left(pair)),
        story(
            "made anew while the daemon was down",
            step(out),
            step(replace_while_down(pair, "out", PUBLIC), needs=is_there),
            then=out_is_mapped,
        ),
        story(
            "managed by somebody",
            step(
                create(
                    pair.source, "out", metadata={"annotations": {generation.managed_by_annotation: "x"}}, spec=PUBLIC
                )
            ),
            setup=namespaces(),
            then=untouched,
        ),
        story(
            "created while the other side is down",
            step(fail(FaultPlan.of(Refused()))),
            step(out, then=no_counterparts(pair)),
            step(heal),
            then=out_is_mapped,
        ),
        story(
            "looked at a hundred times",
            step(out),
            step(scale("a"), needs=is_there),
            step(look_a_hundred_times, needs=is_reported(pair, "out")),
            then=out_is_mapped,
        ),
    ]
