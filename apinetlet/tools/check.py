"""``apinetlet check``: whether the daemon could do its work with these flags, and what to do where it could not."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import attrs
from attrs import frozen

from apinetlet.settings import Settings
from apinetlet.tools import shell
from apinetlet.tools.answer import FINDING, OK, Answer, Part, Table
from apinetlet.tools.findings import Finding, findings
from apinetlet.tools.gather import Gathered, gather
from apinetlet.tools.shell import Tool
from apinetlet.tools.sides import reaching
from reconcile.core.clock import utc

USAGE = """\
apinetlet check looks at both connections before the daemon is started: whether the servers answer, which versions and
which generation they serve, the kinds and their fields, the namespaces, every right that is needed, clocks,
certificates and who leads. It writes nothing, and says what to do for each finding. Exit status 1 if there is one.

  apinetlet check --kubeconfig=source.kubeconfig --api-net-kubeconfig=apinet.kubeconfig --api-net-namespace=apinet
  apinetlet check --api-net-namespace=apinet --leader-elect -o json | jq '.findings[] | select(.level != "ok")'
"""


@frozen
class Flags(Settings):
    """The daemon's, and the form of the output."""

    o: str = shell.form()


def work(flags: Flags, places: Sequence[str]) -> Answer:
    """Look, and judge."""
    shell.wanted(places)
    return anyio.run(checked, flags, os.environ)


async def checked(settings: Settings, environment: Mapping[str, str]) -> Answer:
    """Both connections as the flags name them.

    Raises:
        Failure: a kubeconfig cannot be used.
    """
    async with reaching(settings) as reach:
        gathered = await gather(
            settings, reach.source, reach.apinet, environment=environment, own=reach.own, host=reach.host
        )
        return answer(gathered, findings(settings, gathered.generation, gathered.sides, utc()))


def answer(gathered: Gathered, found: Sequence[Finding]) -> Answer:
    """The findings as a table: first what is to be done, by weight, and a summary."""
    counts = {level: sum(one.level == level for one in found) for level in ("problem", "warning", "unknown", "ok")}
    is_good = not counts["problem"] and not counts["warning"]
    facts: dict[str, Any] = {
        "generation": gathered.generation.name if gathered.generation is not None else None,
        "findings": [attrs.asdict(one) for one in found],
        **counts,
    }
    rows = [(one.level, one.side, one.about, one.what, one.todo) for one in found]
    summary = ", ".join(f"{count} {level}" for level, count in counts.items() if count)
    parts: list[Part] = [Table(("LEVEL", "SIDE", "ABOUT", "WHAT", "TO DO"), rows), f"{summary}."]
    return Answer(facts, parts, OK if is_good else FINDING)


TOOL = Tool("check", USAGE, Flags, work)


def main(words: Sequence[str]) -> int:
    """Run the tool."""
    return shell.run(TOOL, words)
