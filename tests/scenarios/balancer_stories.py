"""Every story of a load balancer: who does what to both clusters, and what must come of it.

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
    counterpart,
    create,
    delete,
    delete_counterpart,
    has_counterparts,
    is_reported,
    load_balancers,
    mapped,
    no_counterparts,
    nothing_left,
    objects,
    replace_while_down,
    source,
)

PUBLIC = {"type": "Public", "ipFamilies": ["IPv4"], "networkRef": {"name": "blue"}}
EPHEMERAL = {"ephemeral": {"prefixTemplate": {"spec": {"ipFamily": "IPv4", "parentRef": {"name": "parent"}}}}}
INTERNAL = {
    "type": "Internal",
    "ipFamilies": ["IPv4", "IPv6"],
    "ips": [EPHEMERAL, {"value": "2001:db8::2"}],
    "networkRef": {"name": "blue"},
}


def stories(generation: Generation) -> list[Scenario]:
    """All of them, in one generation."""
    pair, kinds = load_balancers(generation), Kinds.of(generation)
    world = functools.partial(a_world, pair)
    network = create(kinds.network, "blue", spec={})
    web = create(pair.source, "web", spec=PUBLIC)
    web_is_mapped = mapped(pair, "web")
    watched = {generation.watch_filter_label: "here"}

    def routing(*ips: str) -> Act:
        reference = {"name": "blue", "uid": "any"}
        where = [{"ip": ip} for ip in ips]
        return create(kinds.load_balancer_routing, "web", networkRef=reference, destinations=where)

    def routes_to(*ips: str) -> Look:
        def look(world: World) -> None:
            [found] = objects(world, pair.dependent)
            assert [one["ip"] for one in found.get("destinations") or ()] == list(ips)

        return look

    def prefix(name: str, owner: str) -> Act:
        async def act(world: World) -> None:
            uid = source(world, pair.source, owner)["metadata"]["uid"]
            reference = {"apiVersion": pair.source.api_version, "kind": pair.source.kind, "controller": True}
            head = {"ownerReferences": [{**reference, "name": owner, "uid": uid}]}
            spec = {"ipFamily": "IPv4", "prefix": "10.0.0.1/32", "parentRef": {"name": "parent"}}
            await create(kinds.prefix, name, metadata=head, spec=spec)(world)

        return act

    def has(**addresses: str) -> Look:
        def look(world: World) -> None:
            [found] = objects(world, pair.target)
            entries = {one["name"]: one["ip"] for one in found["spec"].get("ips") or ()}
            assert entries == {name.replace("_", "-"): ip for name, ip in addresses.items()}

        return look

    def dangling(name: str, uid: str) -> Act:
        head = pair.origin(HOME, "nobody", uid)
        selector = {"matchLabels": head["labels"]}
        spec = {"type": "Internal", "networkRef": {"name": "n"}, "selector": selector, "template": {"metadata": head}}
        return in_turn(create(pair.target, name, metadata=head, spec=spec), create(pair.dependent, name, metadata=head))

    def held(world: World) -> None:
        assert source(world, pair.source, "web")["metadata"]["deletionTimestamp"]
        assert counterpart(pair, world, "web").name in {one["metadata"]["name"] for one in objects(world, pair.target)}

    def story(name: str, *steps: Step, then: Look, setup: Act | None = None, world: Any = world) -> Scenario:
        return Scenario(name, world, steps, setup=setup or in_turn(namespaces(), network), then=then)

    return [
        story(
            "network, balancer and routing in any order",
            step(network, web, routing("10.0.0.2", "10.0.0.1")),
            setup=namespaces(),
            then=both(web_is_mapped, routes_to("10.0.0.1", "10.0.0.2")),
        ),
        story(
            "before its network",
            step(web, then=no_counterparts(pair)),
            step(network),
            setup=namespaces(),
            then=web_is_mapped,
        ),
        story(
            "deleted",
            step(web, routing("10.0.0.1"), then=web_is_mapped),
            step(delete(pair.source, "web"), delete(kinds.load_balancer_routing, "web")),
            then=nothing_left(pair),
        ),
        story("deleted at once", step(in_turn(web, delete(pair.source, "web"))), then=nothing_left(pair)),
        story(
            "destinations come and go",
            step(web, routing("10.0.0.1")),
            step(
                change(kinds.load_balancer_routing, "web", {"destinations": [{"ip": "10.0.0.9"}, {"ip": "10.0.0.3"}]})
            ),
            step(delete(kinds.load_balancer_routing, "web")),
            then=both(web_is_mapped, routes_to()),
        ),
        story(
            "an address whose prefix comes later",
            step(create(pair.source, "web", spec=INTERNAL), then=has(ip_1="2001:db8::2")),
            step(prefix("web-0", "web"), then=has(ip_1="2001:db8::2")),
            step(change(kinds.prefix, "web-0", {"status": {"phase": "Allocated"}}, subresource="status")),
            then=both(web_is_mapped, has(ip_0="10.0.0.1", ip_1="2001:db8::2")),
        ),
        story(
            "a family is given up",
            step(create(pair.source, "web", spec={**PUBLIC, "ipFamilies": ["IPv4", "IPv6"]})),
            step(change(pair.source, "web", {"spec": {"ipFamilies": ["IPv4"]}}), needs=is_reported(pair, "web")),
            then=web_is_mapped,
        ),
        story(
            "of another type",
            step(web, routing("10.0.0.1")),
            step(
                change(pair.source, "web", {"spec": {"type": "Internal", "ips": [{"value": "10.0.0.8"}]}}),
                needs=is_reported(pair, "web"),
            ),
            then=both(web_is_mapped, has(ip_0="10.0.0.8"), routes_to("10.0.0.1")),
        ),
        story(
            "its network is made anew",
            step(web),
            step(
                in_turn(
                    change(kinds.network, "blue", {"metadata": {"finalizers": None}}), delete(kinds.network, "blue")
                ),
                needs=is_reported(pair, "web"),
            ),
            step(network, needs=lambda world: not objects(world, kinds.network)),
            then=web_is_mapped,
        ),
        story(
            "both counterparts deleted by hand",
            step(web, routing("10.0.0.1")),
            step(
                delete_counterpart(pair, pair.target, "web"),
                delete_counterpart(pair, pair.dependent, "web"),
                needs=has_counterparts(pair, "web"),
            ),
            then=both(web_is_mapped, routes_to("10.0.0.1")),
        ),
        story(
            "counterpart held by somebody",
            step(web),
            step(
                change_counterpart(pair, pair.target, "web", {"metadata": {"finalizers": [FOREIGN]}}),
                needs=has_counterparts(pair, "web"),
            ),
            step(delete(pair.source, "web"), then=held),
            step(change_counterpart(pair, pair.target, "web", {"metadata": {"finalizers": None}})),
            then=nothing_left(pair),
        ),
        story("counterparts of nobody", step(dangling("left-over", "no-such-uid")), then=nothing_left(pair)),
        story(
            "made anew while the daemon was down",
            step(web),
            step(replace_while_down(pair, "web", PUBLIC), needs=is_reported(pair, "web")),
            then=web_is_mapped,
        ),
        story(
            "watch filter",
            step(web, then=no_counterparts(pair)),
            step(change(pair.source, "web", {"metadata": {"labels": watched}}), then=web_is_mapped),
            step(delete(pair.source, "web")),
            setup=in_turn(namespaces(), create(kinds.network, "blue", metadata={"labels": watched}, spec={})),
            world=functools.partial(world, watch_filter="here"),
            then=nothing_left(pair),
        ),
        story(
            "managed by somebody",
            step(
                create(
                    pair.source, "web", metadata={"annotations": {generation.managed_by_annotation: "x"}}, spec=PUBLIC
                )
            ),
            step(routing("10.0.0.1")),
            setup=namespaces(),
            then=untouched,
        ),
        story(
            "created while the other side is down",
            step(fail(FaultPlan.of(Refused()))),
            step(web, then=no_counterparts(pair)),
            step(heal),
            then=web_is_mapped,
        ),
        story(
            "no address is left",
            step(*(create(pair.source, f"web-{place}", spec=PUBLIC) for place in range(4))),
            step(web, needs=lambda world: all(is_reported(pair, f"web-{place}")(world) for place in range(4))),
            step(delete(pair.source, "web-0")),
            world=functools.partial(world, prefixes=("198.18.0.0/30",)),
            then=mapped(pair, "web", "web-1", "web-2", "web-3"),
        ),
        story(
            "looked at a hundred times",
            step(in_turn(web, routing("10.0.0.1"))),
            step(look_a_hundred_times, needs=is_reported(pair, "web")),
            then=web_is_mapped,
        ),
    ]
