"""Two clusters that know who may do what, and the daemon between them under the rights that ``rbac`` prints."""

import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
from attrs import evolve, frozen

from apinetlet.api import Generation
from apinetlet.assembly import APINET, SOURCE, assemble
from apinetlet.demo.story import story
from apinetlet.demo.world import DAEMON, TARGET_NAMESPACE, World
from apinetlet.settings import Settings
from apinetlet.tools.declared import declared
from apinetlet.tools.rights import Subject, manifests, rights
from reconcile import Manager
from reconcile.kube.discovery import Discovery
from reconcile.kube.request import HttpRequest, parse
from reconcile.manager.rbac import Rule
from reconcile.testing.apiserver import ApiServer, User
from reconcile.testing.apiserver.rbac import Rbac

ROBOT = User("robot", ("system:authenticated",))
SUBJECT = Subject("User", ROBOT.name)
SETTINGS = Settings(api_net_namespace=TARGET_NAMESPACE)
PATIENCE = 40.0
"""Virtual seconds in which a step of the story comes to its goal."""


@frozen
class Told:
    """What a run of the story has come to."""

    refused: frozenset[tuple[str, str, str]]
    """Cluster, verb and resource of what the daemon was not allowed."""
    used: frozenset[tuple[str, str, str]]
    """The same of what it was."""
    missed: tuple[str, ...]
    """The steps that did not come to their goal."""


def least(generation: Generation, settings: Settings = SETTINGS) -> tuple[Rule, ...]:
    """The rights for the daemon of the story."""
    return rights(declared(settings, generation), settings, generation, environment={})


def guarded(generation: Generation, *, watch_list: bool = True) -> World:
    """A world whose servers decide by roles."""
    world = World(generation)
    for side in (SOURCE, APINET):
        open_to_all: ApiServer = getattr(world, side)
        settings = evolve(open_to_all.settings, watch_list=watch_list)
        rng = open_to_all.rng
        setattr(world, side, ApiServer(open_to_all.kinds, rng=rng, settings=settings, rules=Rbac()))
    return world


async def grant(world: World, rules: Iterable[Rule]) -> None:
    """Write the manifests of ``rules`` into both servers."""
    for side, documents in manifests(rules, {SOURCE: SUBJECT, APINET: SUBJECT}, "apinetlet").items():
        client = getattr(world, side).client()
        known: Discovery = await client.discover()
        for one in documents:
            found = known.find("rbac.authorization.k8s.io", one["kind"])
            assert found is not None
            await client.create(found.resource, one, namespace=one["metadata"].get("namespace", ""))


@asynccontextmanager
async def daemon(world: World, settings: Settings = SETTINGS) -> AsyncIterator[Manager]:
    """The daemon as the user who has these rights."""
    manager = world.generation.field_manager
    clients = (
        server.client(user=ROBOT, user_agent=DAEMON, field_manager=manager) for server in (world.source, world.apinet)
    )
    async with assemble(settings, world.generation, *clients, rng=random.Random(0)) as made:
        yield made


async def told(generation: Generation, rules: Iterable[Rule], *, watch_list: bool = True) -> Told:
    """The story of the demo under ``rules``, with somebody who waits for what is not there, for there is an Event."""
    missed, ended = [], False
    async with guarded(generation, watch_list=watch_list) as world:
        await grant(world, rules)
        await world.declare("natgateways", "lost", {"type": "Public", "networkRef": {"name": "no"}, "ipFamily": "IPv4"})
        with suppress(Exception):  # without a right it may not even start
            async with world.staff(), daemon(world) as running:
                with anyio.move_on_after(PATIENCE):
                    await running.ready()
                await world.delete("natgateways", "lost")
                for step in story(generation):
                    await step.act(world)
                    with anyio.move_on_after(PATIENCE):
                        while not step.goal(world):
                            await anyio.sleep(0.5)
                    if not step.goal(world):
                        missed.append(step.title)
                        break
            ended = True
        asked = [
            (side, one) for side in (SOURCE, APINET) for one in getattr(world, side).audit if one.user == ROBOT.name
        ]
    return Told(
        frozenset(_named(side, one) for side, one in asked if one.code == 403),
        frozenset(_named(side, one) for side, one in asked if one.code != 403),
        tuple(missed) if ended else (*missed, "it could not go on"),
    )


def _named(side: str, one: Any) -> tuple[str, str, str]:
    if one.resource.startswith("/apis/"):  # what is refused is known by its path
        info = parse(HttpRequest("GET", one.resource))
        assert info is not None
        return side, one.verb, f"{info.plural}/{info.subresource}" if info.subresource else info.plural
    plural, _, _ = one.resource.partition(".")
    return side, one.verb, f"{plural}/{one.subresource}" if one.subresource else plural
