"""What others write: our fields are repaired, theirs are never touched, in any order and at any pace.

Somebody writes at random to both sides, also while the daemon is at work. At the end every field that is ours is as the
source wants it, every field that is theirs is as they left it, no address was lost, and nothing is written any more.
"""

from typing import Any

import anyio
import pytest
from attrs import define, field, frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apinetlet.api import GENERATIONS, Generation
from apinetlet.demo.world import TARGET_NAMESPACE
from reconcile import ObjectMeta
from reconcile.testing.loop import run
from tests.scenarios.desk import Desk, desk

PLURALS = {
    "networks": ("networks",),
    "loadbalancers": ("loadbalancers", "loadbalancerroutings"),
    "natgateways": ("natgateways", "natgatewayautoscalers"),
    "virtualips": ("ips",),
}
"""The kinds of counterparts by the kind of their source."""
OWNED: dict[str, list[dict[str, Any]]] = {
    "networks": [],
    "loadbalancers": [{"spec": {"ports": [{"port": 1}]}}, {"spec": {"ports": None}}],
    "loadbalancerroutings": [{"destinations": [{"ip": "6.6.6.6"}]}, {"destinations": None}],
    "natgateways": [{"spec": {"portsPerNetworkInterface": 64}}],
    "natgatewayautoscalers": [{"spec": {"maxPublicIPs": 3}}, {"spec": {"natGatewayRef": {"name": "other"}}}],
    "ips": [],
}
"""Edits of our fields."""
NOWHERE = {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["none"]}]}]}
SURPLUS: list[dict[str, Any]] = [
    {"ips": [{"name": "theirs", "ipFamily": "IPv4"}]},
    {"ips": [{"name": "a", "ipFamily": "IPv4"}, {"name": "b", "ipFamily": "IPv4"}]},
    {"template": {"metadata": {"labels": {"a/b": "c"}, "annotations": {"a": "b"}}}},
    {"template": {"spec": {"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone"}]}}},
    {"template": {"spec": {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": NOWHERE}}}}},
    {"ports": [{"port": 8}], "template": {"spec": {"nodeRef": {"name": "n"}}}},
]
"""What nobody but we has to write on a load balancer, beside what we write."""
STRIPPED = {"metadata": {"labels": None, "annotations": None}}
OWNER = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "p", "controller": True}


@frozen
class Edit:
    """Somebody writes: ``what`` to the ``plural`` of a source kind, and waits ``pause`` seconds."""

    source: str
    plural: str
    what: str
    number: int
    pause: float


def edits() -> st.SearchStrategy[Edit]:
    places = st.sampled_from([(source, plural) for source, plurals in PLURALS.items() for plural in plurals])
    what = st.sampled_from(["owned", "stripped", "forged", "theirs", "source", "owners", "scale", "surplus"])
    pause = st.sampled_from([0.0, 0.0, 0.05, 1.0, 40.0])
    return st.builds(
        lambda place, what, number, pause: Edit(place[0], place[1], what, number, pause),
        places,
        what,
        st.integers(0, 9),
        pause,
    )


@define
class Somebody:
    """The foreign writer, and what it has written last to each field of its own."""

    at: Desk
    sources: dict[str, ObjectMeta]
    theirs: dict[tuple[str, str], str] = field(factory=dict)
    entries: list[str] = field(factory=list)

    async def write(self, edit: Edit) -> None:
        meta = self.sources[edit.source]
        there = ObjectMeta(namespace=TARGET_NAMESPACE, name=meta.uid)
        kind, value = self.at.world.at_apinet[edit.plural], str(edit.number)
        mark: dict[str, Any] = {"labels": {"example.org/theirs": value}, "annotations": {"example.org/note": value}}
        match edit.what:
            case "owned":
                choices = OWNED[edit.plural]
                for patch in choices[edit.number % len(choices) : edit.number % len(choices) + 1] if choices else ():
                    await self.at.change(kind, there, patch)
            case "stripped":
                await self.at.change(kind, there, STRIPPED)
                self.theirs.pop(("apinet", edit.plural), None)
            case "forged":
                origin = self.at.origin(meta_kind(edit.source), ObjectMeta(namespace="default", name="x", uid="y"))
                await self.at.change(kind, there, {"metadata": origin})
            case "theirs":
                await self.at.change(kind, there, {"metadata": mark})
                self.theirs["apinet", edit.plural] = value
            case "source":
                await self.at.change(self.at.world.at_source[edit.source], meta, {"metadata": mark})
                self.theirs["source", edit.source] = value
            case "owners" if edit.plural in ("loadbalancerroutings", "natgatewayautoscalers"):
                await self.at.change(
                    kind, there, {"metadata": {"ownerReferences": [OWNER] if edit.number % 2 else None}}
                )
            case "scale":
                await self.scale(edit.number % 4)
            case "surplus":
                await self.put(SURPLUS[edit.number % len(SURPLUS)])

    async def put(self, parts: dict[str, Any]) -> None:
        """Apply more than is ours to the load balancer, under a name of their own."""
        kind, meta = self.at.world.kinds.apinet_load_balancer, self.sources["loadbalancers"]
        head = {"apiVersion": kind.api_version, "kind": kind.kind}
        body = {**head, "metadata": {"name": meta.uid, "namespace": TARGET_NAMESPACE}, "spec": parts}
        await self.at.world.apinet.client(field_manager="stranger").apply(kind, body)

    async def scale(self, number: int) -> None:
        """The autoscaler of the other cluster: entries are its own."""
        kind, meta = self.at.world.kinds.apinet_nat_gateway, self.sources["natgateways"]
        found = self.at.made_for(kind, meta)["spec"].get("ips") or []
        self.entries = [f"entry-{place}" for place in range(number)]
        known = {one["name"]: one for one in found}
        patch = {"spec": {"ips": [known.get(name, {"name": name}) for name in self.entries]}}
        await self.at.change(kind, ObjectMeta(namespace=TARGET_NAMESPACE, name=meta.uid), patch)


def meta_kind(plural: str) -> str:
    return {"networks": "Network", "loadbalancers": "LoadBalancer", "natgateways": "NATGateway"}.get(
        plural, "VirtualIP"
    )


async def declared(at: Desk) -> dict[str, ObjectMeta]:
    """One source of each kind, and a routing."""
    kinds, blue = at.world.kinds, {"networkRef": {"name": "blue"}}
    web = {"type": "Public", "ipFamilies": ["IPv4"], "ports": [{"port": 80}], **blue}
    await at.create(kinds.load_balancer_routing, "web", networkRef={}, destinations=[{"ip": "10.0.0.1"}])
    return {
        "networks": await at.declare_network(),
        "loadbalancers": await at.create(kinds.load_balancer, "web", spec=web),
        "natgateways": await at.create(kinds.nat_gateway, "out", spec={"type": "Public", "ipFamily": "IPv4", **blue}),
        "virtualips": await at.create(kinds.virtual_ip, "vip", spec={"type": "Public", "ipFamily": "IPv4"}),
    }


def ours(at: Desk, sources: dict[str, ObjectMeta]) -> dict[str, Any]:
    """Every field of every counterpart that is ours, or must stay as the server gave it."""
    found: dict[str, Any] = {}
    for source, plurals in PLURALS.items():
        origin = at.origin(meta_kind(source), sources[source])
        for plural in plurals:
            document = at.made_for(at.world.at_apinet[plural], sources[source])
            head = document["metadata"]
            spec = dict(document.get("spec", {}))
            if plural == "natgateways":
                spec.pop("ips", None)
            found[plural] = {
                "uid": head["uid"],
                "owners": head.get("ownerReferences"),
                "origin": {
                    where: {key: head.get(where, {}).get(key) for key in keys} for where, keys in origin.items()
                },
                "spec": spec,
                "destinations": document.get("destinations"),
            }
    return found


async def story(generation: Generation, written: list[Edit]) -> None:
    async with desk(generation, collects=False) as at, at.daemon() as daemon:
        sources = await declared(at)
        await at.rest(5)
        before, somebody = ours(at, sources), Somebody(at, sources)
        for edit in written:
            await somebody.write(edit)
            await anyio.sleep(edit.pause)
        await at.rest()
        assert ours(at, sources) == before
        gateway = at.made_for(at.world.kinds.apinet_nat_gateway, sources["natgateways"])
        assert [one["name"] for one in gateway["spec"].get("ips") or ()] == somebody.entries
        for (side, plural), value in somebody.theirs.items():
            kind = (at.world.at_apinet if side == "apinet" else at.world.at_source)[plural]
            if side == "apinet":
                source = next(one for one, plurals in PLURALS.items() if plural in plurals)
                document = at.made_for(kind, sources[source])
            else:
                document = at.live(kind, sources[plural])
            assert document["metadata"]["labels"]["example.org/theirs"] == value
            assert document["metadata"]["annotations"]["example.org/note"] == value
        writes = at.world.writes
        for controller in daemon.controllers:
            controller.enqueue_all()
        await at.rest()
        assert at.world.writes == writes


@pytest.mark.parametrize("generation", list(GENERATIONS.values()), ids=list(GENERATIONS))
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(written=st.lists(edits(), max_size=12))
def test_our_fields_are_repaired_and_those_of_others_are_never_touched(
    generation: Generation, written: list[Edit]
) -> None:
    run(story(generation, written))
