"""Every story of a VirtualIP and of a NetworkInterface: who does what to both clusters, and what must come of it.

The acceptance scenarios, restated. ``then`` of a story holds in every telling, however the daemon is disturbed; and at
no moment of any telling is an address free, or somebody else's, while an interface lists it.
"""

import functools
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from apinetlet.api import Generation, Kinds
from apinetlet.demo import apinet as server
from apinetlet.demo.definitions import source_kinds
from apinetlet.settings import Settings
from reconcile.kube.kinds import NAMESPACE
from reconcile.testing.apiserver import ApiServer, Kind
from reconcile.testing.scenario import Act, Look, Scenario, Step, in_turn, step
from reconcile.testing.state import Allocated
from reconcile.testing.world import World
from tests.scenarios.networks import APINET, FOREIGN, SOURCE, apinetlet
from tests.scenarios.people import TARGET, Both

Deed: TypeAlias = Callable[[Both], Awaitable[object]]
"""What somebody does."""
Fact: TypeAlias = Callable[[Both], object]
"""Asserts something, or tells whether it is so."""
FEW = ("198.18.0.0/30",)
"""Four addresses; two of them are taken by others."""
NAT = {"ipFamily": "IPv4", "claimRef": {"name": "g", "uid": "uid-g"}}
NAT6 = {"ipFamily": "IPv6", "claimRef": {"name": "h", "uid": "uid-h"}}


# -- the world ---------------------------------------------------------------------------------------------------------


@functools.cache
def _kinds(
    generation: Generation, prefixes: tuple[str, ...]
) -> tuple[tuple[Kind, ...], tuple[Kind, ...], random.Random]:
    rng = random.Random()
    return source_kinds(generation), server.kinds(generation, rng, server.Supply(prefixes=prefixes)), rng


def a_world(
    generation: Generation, *, prefixes: tuple[str, ...] = server.Supply().prefixes, is_safe: bool = True
) -> World:
    """Two servers, and apinetlet between them. ``is_safe``: nobody but the daemon takes an address from its user."""
    sources, targets, rng = _kinds(generation, prefixes)
    rng.seed(0)
    return World(
        {
            SOURCE: ApiServer(sources, rng=random.Random("source")),
            APINET: ApiServer(targets, rng=random.Random("apinet")),
        },
        apinetlet(generation, Settings(api_net_namespace=TARGET)),
        always=functools.partial(always, generation, is_safe),
        allocated=(Allocated(Kinds.of(generation).apinet_ip.name, ("spec", "ip")),),
    )


def always(generation: Generation, is_safe: bool, world: World) -> None:
    """No address is free while somebody uses it; no VirtualIP goes before its IP; nobody's interface is deleted."""
    both, last = people(generation, world), world.writes[-1]
    if is_safe:
        assert not both.unsafe()
    if last.agent != "program":
        return
    if (last.cluster, last.resource) == (SOURCE, both.kinds.virtual_ip.name):
        event = world.servers[SOURCE].storage.table(last.resource).history[-1]
        if event.new is None:
            assert event.old is not None
            names = {one.metadata.name for one in both.ips}
            assert event.old.uid not in names, "a VirtualIP was let go of before its IP was gone"
    if (last.cluster, last.resource) == (APINET, both.kinds.apinet_network_interface.name):
        assert last.verb == "patch", "an interface of the data plane is nobody's to make or delete but its provider's"


def people(generation: Generation, world: World) -> Both:
    """Everybody but the daemon."""
    user, provider = world.client(SOURCE), world.client(APINET, agent="provider")
    return Both(generation, Kinds.of(generation), world.servers[SOURCE], world.servers[APINET], user, provider)


# -- the stories -------------------------------------------------------------------------------------------------------


class Stories:
    """All of them, in one generation; and the words they are told in."""

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        self.kinds = Kinds.of(generation)

    def act(self, deed: Deed) -> Act:
        async def act(world: World) -> None:
            await deed(people(self.generation, world))

        return act

    def look(self, fact: Fact) -> Look:
        def look(world: World) -> None:
            assert fact(people(self.generation, world)) is not False

        return look

    def step(self, *deeds: Deed, needs: Fact | None = None, then: Fact | None = None) -> Step:
        """Deeds that may come in any order."""
        return step(
            *map(self.act, deeds),
            needs=(lambda world: bool(needs(people(self.generation, world)))) if needs is not None else None,
            then=self.look(then) if then is not None else None,
        )

    def while_down(self, *deeds: Deed) -> Step:
        """What happens while the daemon is not there."""

        async def crash(world: World) -> None:
            await world.crash()

        async def start(world: World) -> None:
            world.start()

        return step(in_turn(crash, *map(self.act, deeds), start))

    def story(self, name: str, *steps: Step, then: Fact, there: tuple[Deed, ...] = (), **world: Any) -> Scenario:
        async def setup(world: World) -> None:
            await world.client(APINET).create(NAMESPACE, {"metadata": {"name": TARGET}})
            for deed in there:
                await deed(people(self.generation, world))

        build = functools.partial(a_world, self.generation, **world)
        return Scenario(name, build, steps, setup=setup, then=self.look(then))

    # -- deeds and facts -------------------------------------------------------------------------------------------

    def delete_vip(self, name: str = "public") -> Deed:
        return lambda both: both.delete(self.kinds.virtual_ip, name)

    def delete_nic(self, name: str = "nic") -> Deed:
        return lambda both: both.delete(self.kinds.network_interface, name)

    def hold(self, *finalizers: str) -> Deed:
        def deed(both: Both) -> Awaitable[object]:
            uid = both.vip().metadata.uid
            return both.edit(self.kinds.apinet_ip, uid, metadata={"finalizers": list(finalizers) or None})

        return deed

    def dangling_ip(self, both: Both) -> Awaitable[object]:
        metadata = {"name": "left-over", **both.origin_of("VirtualIP", "nobody", "no-such-uid")}
        body = {"metadata": metadata, "spec": {"type": "Public", "ipFamily": "IPv4"}}
        return both.provider.create(self.kinds.apinet_ip, body, namespace=TARGET)

    def taken_by_others(self, both: Both) -> Awaitable[object]:
        spec = {"publicIPs": [{"name": "its-own", "ipFamily": "IPv4"}]}
        return both.create_interface(f"foreign-{len(both.taken)}", spec=spec)

    def claimed_by_nobody(self, both: Both) -> Awaitable[object]:
        origin = both.origin_of("NetworkInterface", "nobody", "no-such-uid")
        return both.create_interface("machine-9", spec={"prefixes": ["10.9.0.0/24"]}, **origin)

    def virtual_ips(self) -> list[Scenario]:
        kinds, when, story = self.kinds, self.step, self.story
        attached = when(lambda both: nic(both), needs=has_address, then=serves)
        return [
            story("mapped", when(vip), then=has_address),
            story("deleted", when(vip, then=has_address), when(self.delete_vip()), then=no_address),
            story(
                "deleted at once",
                step(in_turn(self.act(vip), self.act(self.delete_vip()))),
                then=no_address,
            ),
            story("IP of nobody", when(self.dangling_ip), then=no_address),
            story(
                "deleted while an interface uses it",
                when(vip),
                attached,
                when(self.delete_vip(), needs=serves),
                then=lambda both: no_address(both) and both.public() == [],
                there=(machine,),
            ),
            story(
                "IP deleted by hand",
                when(vip),
                attached,
                when(lambda both: both.remove(kinds.apinet_ip, both.vip().metadata.uid), needs=serves),
                then=serves,
                there=(machine,),
                is_safe=False,
            ),
            story(
                "IP held by somebody",
                when(vip, then=has_address),
                when(self.hold(FOREIGN), needs=has_address),
                when(self.delete_vip(), then=lambda both: both.vip().metadata.finalizers != ()),
                when(self.hold()),
                then=no_address,
            ),
            story(
                "no address is left",
                when(vip),
                when(lambda both: both.create_vip("second"), needs=has_address),
                when(lambda both: both.create_vip("late"), needs=lambda both: len(both.taken) == 4),
                when(self.delete_vip()),
                then=lambda both: both.vip("late").status.ip in both.taken and len(both.taken) == 4,
                there=(self.taken_by_others, self.taken_by_others),
                prefixes=FEW,
            ),
            story(
                "made anew while the daemon was down",
                when(vip),
                attached,
                self.while_down(lambda both: both.delete_by_force(kinds.virtual_ip, "public"), vip),
                then=serves,
                there=(machine,),
            ),
            story(
                "managed by somebody",
                when(lambda both: both.create_vip(annotations={self.generation.managed_by_annotation: ""})),
                then=no_counterpart,
            ),
        ]

    def interfaces(self) -> list[Scenario]:
        kinds, when, story = self.kinds, self.step, self.story
        one, two = (machine,), (machine, lambda both: both.create_interface("machine-1"))
        here = when(vip, nic, then=serves)
        return [
            story("attached", here, then=serves, there=one),
            story("deleted", here, when(self.delete_nic(), needs=serves), then=is_free, there=one),
            story(
                "deleted at once", step(in_turn(self.act(nic), self.act(self.delete_nic()))), then=is_free, there=one
            ),
            story(
                "detached",
                here,
                when(lambda both: both.attach("nic", None), needs=serves),
                then=lambda both: is_free(both) and both.nic().status.state == "Pending",
                there=one,
            ),
            story(
                "moved to another machine",
                here,
                when(lambda both: both.attach("nic", both.interface("machine-1")), needs=serves),
                then=lambda both: is_free(both) and both.public("machine-1") == [both.vip().status.ip],
                there=two,
            ),
            story(
                "a virtual IP changes hands",
                here,
                when(lambda both: both.create_nic("other", on=both.interface("machine-1"), vip="public"), needs=serves),
                when(lambda both: both.want("nic", "")),
                then=lambda both: both.public() == [] and both.public("machine-1") == [both.vip().status.ip],
                there=two,
            ),
            story(
                "another virtual IP",
                here,
                when(lambda both: both.create_vip("better"), lambda both: both.want("nic", "better"), needs=serves),
                then=lambda both: both.public() == [both.vip("better").status.ip] and claim(both) == "",
                there=one,
            ),
            story(
                "the machine is up, and down, and gone",
                here,
                when(lambda both: both.program("machine-0", "Ready"), needs=serves),
                when(lambda both: both.program("machine-0", "Error")),
                when(lambda both: both.remove(kinds.apinet_network_interface, "machine-0")),
                then=lambda both: both.nic().status.state == "Pending" and both.nic().status.ips == (),
                there=one,
            ),
            story(
                "made anew while the daemon was down",
                here,
                self.while_down(lambda both: both.delete_by_force(kinds.network_interface, "nic"), nic),
                then=serves,
                there=one,
            ),
            story(
                "gone while the daemon was down",
                here,
                self.while_down(lambda both: both.delete_by_force(kinds.network_interface, "nic")),
                then=is_free,
                there=one,
            ),
            story(
                "interface of nobody",
                when(self.claimed_by_nobody),
                then=lambda both: both.interface("machine-9").spec.prefixes == () and both.holder("machine-9") == "",
            ),
            story(
                "NAT gives way",
                when(nic, then=lambda both: len(both.interface().spec.nat_gateways) == 2),
                when(vip),
                then=lambda both: serves(both) and [dict(e) for e in both.interface().spec.nat_gateways] == [NAT6],
                there=(lambda both: both.create_interface(spec={"natGateways": [NAT, NAT6]}),),
            ),
            story(
                "everything goes at once",
                here,
                when(
                    self.delete_vip(),
                    self.delete_nic(),
                    lambda both: both.remove(kinds.apinet_network_interface, "machine-0"),
                    needs=serves,
                ),
                then=lambda both: not both.nics and no_address(both),
                there=one,
            ),
            story(
                "what is ours is changed by others",
                here,
                when(
                    lambda both: both.edit(
                        kinds.apinet_network_interface, "machine-0", spec={"prefixes": ["10.0.0.0/8"]}
                    ),
                    lambda both: both.edit(kinds.apinet_network_interface, "machine-0", metadata=stripped(both)),
                    lambda both: both.change(kinds.virtual_ip, "public", spec={"targetRef": None}),
                    lambda both: both.change(kinds.network_interface, "nic", status={"state": "Error"}),
                    needs=serves,
                ),
                then=lambda both: serves(both) and both.interface().spec.prefixes == (),
                there=one,
            ),
            story(
                "managed by somebody",
                when(
                    vip,
                    lambda both: both.create_nic(
                        on=both.interface(), vip="public", annotations={self.generation.managed_by_annotation: ""}
                    ),
                ),
                then=is_free,
                there=one,
            ),
        ]


def vip(both: Both) -> Awaitable[object]:
    return both.create_vip()


def machine(both: Both) -> Awaitable[object]:
    return both.create_interface()


def nic(both: Both) -> Awaitable[object]:
    return both.create_nic(on=both.interface(), vip="public")


def stripped(both: Both) -> dict[str, Any]:
    return {name: dict.fromkeys(values) for name, values in both.origin_of("NetworkInterface", "nic", "u").items()}


def has_address(both: Both) -> bool:
    """The VirtualIP says the address of its one IP."""
    return (
        "public" in both.vips
        and both.vip().status.ip in both.taken
        and both.ip(both.vip()).spec.ip == both.vip().status.ip
    )


def no_address(both: Both) -> bool:
    """No VirtualIP, no IP, every address free."""
    return not both.vips and not both.ips and not both.taken


def no_counterpart(both: Both) -> bool:
    return not both.ips and both.vip().status.ip == "" and not both.vip().metadata.finalizers


def claim(both: Both) -> str:
    target = both.vip().spec.target_ref
    return target.uid if target is not None else ""


def serves(both: Both) -> bool:
    """The interface has what its source wants, and both say so."""
    if "nic" not in both.nics or not has_address(both):
        return False
    uid = both.nic().metadata.uid
    return both.holder() == uid == claim(both) and both.public() == [both.vip().status.ip] and not both.unsafe()


def is_free(both: Both) -> bool:
    """Nobody has claimed the interface of ``machine-0``, and nothing is left of who had."""
    found = both.interface()
    return both.holder() == "" and found.spec.public_ips == () and found.spec.prefixes == ()
