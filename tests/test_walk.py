"""The pages that follow a Network, a VirtualIP and a NetworkPolicy through the code tell the truth: a traced daemon
takes the steps."""

import re
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

import pytest

from apinetlet.api import IRONCORE, ONMETAL
from apinetlet.api.networking import NetworkState
from tests.scenarios.daemon import lab
from tests.scenarios.people import Both

ROOT = Path(__file__).resolve().parent.parent
OURS = ("reconcile", "provider", "apinetlet")


class Step(NamedTuple):
    """A function of the page, or one that was called. ``file`` is relative to the root."""

    file: str
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.function}"


class Call(NamedTuple):
    """One that was called or resumed, and the functions of ours below it, nearest first."""

    step: Step
    callers: tuple[Step, ...]


def steps(about: str = "Network") -> list[Step]:
    """The numbered steps of one page."""
    pages = re.split(r"^# The walk: one (\w+)", (ROOT / "docs" / "walk.md").read_text(), flags=re.MULTILINE)[1:]
    page = dict(zip(pages[::2], pages[1::2], strict=True))[about]
    found = re.findall(r"^(\d+)\. `([\w/]+\.py):([\w.]+)`", page, re.MULTILINE)
    assert [int(number) for number, *_ in found] == list(range(1, len(found) + 1))
    return [Step(file, function) for _, file, function in found]


@contextmanager
def traced() -> Iterator[list[Call]]:
    """Every call of a function of ours while the block lasts."""
    calls: list[Call] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and (step := _step(frame.f_code)) is not None:
            calls.append(Call(step, tuple(_callers(frame))))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield calls
    finally:
        sys.setprofile(before)


@cache
def _step(code: CodeType) -> Step | None:
    path = Path(code.co_filename)
    if not path.is_relative_to(ROOT) or (file := path.relative_to(ROOT)).parts[0] not in OURS:
        return None
    return Step(file.as_posix(), code.co_qualname.replace(".<locals>", ""))


def _callers(frame: FrameType) -> Iterator[Step]:
    caller = frame.f_back
    while caller is not None:
        if (step := _step(caller.f_code)) is not None:
            yield step
        caller = caller.f_back


def first_missed(expected: list[Step], called: list[Step]) -> Step | None:
    """The first of ``expected`` that does not follow, somewhere later, on those before it."""
    rest = iter(called)
    return next((step for step in expected if step not in rest), None)


async def walked() -> list[Call]:
    """What is called when a user declares a Network, until nothing more happens."""
    async with lab(ONMETAL) as world, world.daemon():
        await world.rest(1)
        with traced() as calls:
            await world.world.create_network("blue")
            await world.rest(2)
        assert world.state("blue") is NetworkState.AVAILABLE
        return calls


async def used_and_deleted() -> list[Call]:
    """What is called when a user declares a VirtualIP, lets an interface have it, and deletes it later."""
    async with lab(ONMETAL) as world, world.daemon():
        both = Both.of(world)
        await both.create_nic(on=await both.create_interface())
        await world.rest(1)
        with traced() as calls:
            await both.create_vip()
            await world.rest(2)
            await both.want("nic", "public")
            await world.rest(2)
            assert both.public() == [both.vip().status.ip]
            await both.delete(both.kinds.virtual_ip, "public")
            await world.rest(2)
        assert (both.vips, both.taken) == ([], [])
        return calls


async def regulated_and_deleted() -> list[Call]:
    """What is called when a user declares a NetworkPolicy, gives an interface a label of it, and deletes it later."""
    web, client = {"app": "web"}, {"role": "client"}
    peer = {"objectSelector": {"kind": "NetworkInterface", "matchLabels": client}}
    rules = {"networkInterfaceSelector": {"matchLabels": web}, "ingress": [{"from": [peer]}]}
    async with lab(IRONCORE) as world, world.daemon():
        both = Both.of(world)
        blue = await world.world.create_network("blue")
        for name, ip, labels in (("nic", "10.0.0.1", web), ("peer", "10.0.0.2", {})):
            spec = {"networkRef": {"name": blue.metadata.uid}, "ips": [ip]}
            made = await both.create_interface(f"machine-{name}", spec=spec)
            await both.create_nic(name, on=made, spec={"networkRef": {"name": "blue"}}, labels=labels)
            await both.program(f"machine-{name}", "Ready")
        await world.rest(2)

        def enforced() -> list[tuple[list[str], list[str]]]:
            """The addresses that rules are for, and those that are let in."""
            made = world.world.there("networkpolicyrules").values()
            return [
                ([to["ip"] for to in one["targets"]], [ip["prefix"] for ip in one["ingressRule"][0].get("ips") or ()])
                for one in made
            ]

        with traced() as calls:
            await world.world.declare("networkpolicies", "guard", {"networkRef": {"name": "blue"}, **rules})
            await world.rest(2)
            assert enforced() == [(["10.0.0.1"], [])]
            written = world.world.writes
            await both.change(both.kinds.network_interface, "peer", metadata={"labels": client})
            await world.rest(2)
            assert enforced() == [(["10.0.0.1"], ["10.0.0.2/32"])]
            assert world.world.writes == written + 1
            await world.world.delete("networkpolicies", "guard")
            await world.rest(2)
        assert (world.world.declared("networkpolicies"), enforced()) == ({}, [])
        return calls


@pytest.mark.parametrize(
    ("about", "story"),
    [("Network", walked), ("VirtualIP", used_and_deleted), ("NetworkPolicy", regulated_and_deleted)],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_an_object_takes_the_steps_of_its_page_in_their_order(
    about: str, story: Callable[[], Awaitable[list[Call]]]
) -> None:
    expected = steps(about)
    assert len(expected) > 30
    missed = first_missed(expected, [call.step for call in await story()])
    assert missed is None, f"docs/walk.md: step {expected.index(missed) + 1} or its place is not true: {missed}"


async def test_from_the_watch_line_to_the_queue_is_one_step_without_an_await() -> None:
    read, add = (
        Step("reconcile/cache/follower.py", "Follower._read_on"),
        Step("reconcile/core/queue.py", "WorkQueue.add"),
    )
    expected = steps()
    between = expected[expected.index(read) + 1 : expected.index(add)]
    calls = await walked()
    at = next(i for i, call in enumerate(calls) if call.step == add)
    begun = max(i for i, call in enumerate(calls[:at]) if call.step == read)
    assert first_missed(between, [call.step for call in calls[begun:at]]) is None
    assert read in calls[at].callers


def test_a_step_out_of_its_place_is_found() -> None:
    one, two = Step("a.py", "one"), Step("a.py", "two")
    assert first_missed([one, two], [one, one, two]) is None
    assert first_missed([two, one], [one, two]) == one
