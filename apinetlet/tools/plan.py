"""``apinetlet plan``: what the daemon would change if it were started now; nothing is written.

For an upgrade, or before taking over from another daemon: every pass that a start makes is run once.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import anyio
from attrs import frozen

from apinetlet.settings import Settings
from apinetlet.tools import shell
from apinetlet.tools.answer import FINDING, OK, Answer, Part, Table
from apinetlet.tools.changes import Difference
from apinetlet.tools.rehearsal import Pass, rehearsal
from apinetlet.tools.shell import Reading, Tool
from apinetlet.tools.sides import Sides, sides
from reconcile import Seconds

USAGE = """\
apinetlet plan shows what the daemon would change if it were started with these flags now. Nothing is written, so it
needs no more than rights to read. Exit status 1 if something would change, or a pass would fail.

  apinetlet plan --kubeconfig=source.kubeconfig --api-net-kubeconfig=apinet.kubeconfig --api-net-namespace=apinet
  apinetlet plan --api-net-namespace=apinet -o json | jq '.changes[].name'
"""


@frozen
class Plan:
    """Everything that would happen. ``told``: the Events, as documents."""

    moved: tuple[Difference, ...]
    passes: Sequence[Pass]
    told: Sequence[Mapping[str, Any]]

    @property
    def changes(self) -> list[Difference]:
        """Of all objects, in the order of the passes."""
        return [*self.moved, *(one for each in self.passes for one in each.changes)]

    @property
    def failed(self) -> list[Pass]:
        """The passes that would fail."""
        return [one for one in self.passes if one.error]


def work(flags: Reading, places: Sequence[str]) -> Answer:
    """Rehearse a start."""
    shell.wanted(places)

    async def asked() -> Plan:
        async with sides(flags) as both:
            return await planned(flags, both, timeout=flags.timeout)

    return answer(anyio.run(asked))


async def planned(settings: Settings, both: Sides, *, timeout: Seconds) -> Plan:
    """Run every pass of a start once, with the writes noted."""
    async with rehearsal(settings, both, timeout=timeout) as rehearsed:
        passes = [
            await rehearsed.run(controller, key)
            for controller in rehearsed.daemon.controllers
            for key in rehearsed.keys(controller)
        ]
        return Plan(rehearsed.moved, passes, await rehearsed.told())


def answer(plan: Plan) -> Answer:
    """The plan as a diff, what users would be told, and a summary."""
    changes, failed = plan.changes, plan.failed
    facts = {
        "passes": len(plan.passes),
        "changes": [one.facts for one in changes],
        "failures": [{"controller": one.controller, "key": str(one.key), "error": one.error} for one in failed],
        "events": [event_facts(one) for one in plan.told],
    }
    parts: list[Part] = [
        "\n".join(map(str, changes)) or "Nothing would change.",
        events_table(plan.told),
        Table(("CONTROLLER", "KEY", "WOULD FAIL"), [(one.controller, one.key, one.error) for one in failed]),
        summary(changes, len(plan.passes), len(failed)),
    ]
    return Answer(facts, parts, FINDING if changes or failed else OK)


def summary(changes: Sequence[Difference], passes: int, failed: int) -> str:
    """All of it in one line."""
    verbs = [sum(one.verb == verb for one in changes) for verb in ("create", "update", "delete")]
    created, updated, deleted = verbs
    return f"{passes} passes: {created} to create, {updated} to update, {deleted} to delete; {failed} would fail."


def events_table(told: Sequence[Mapping[str, Any]]) -> Table:
    """The Events that users would see."""
    rows = [(one["type"], one["reason"], one["about"], one["message"]) for one in map(event_facts, told)]
    return Table(("TYPE", "REASON", "OBJECT", "WOULD BE TOLD"), sorted(rows))


def event_facts(event: Mapping[str, Any]) -> Mapping[str, str]:
    """What an Event says, and of which object."""
    about = event.get("involvedObject") or {}
    name = f"{about.get('kind', '')} {about.get('namespace', '')}/{about.get('name', '')}"
    facts = {part: str(event.get(part) or "") for part in ("type", "reason", "message")}
    return {**facts, "about": name}


TOOL = Tool("plan", USAGE, Reading, work)


def main(words: Sequence[str]) -> int:
    """Run the tool."""
    return shell.run(TOOL, words)
