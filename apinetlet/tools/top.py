"""``apinetlet top``: what a running daemon does, from its debug pages, drawn again and again.

On a terminal the view stays in place; elsewhere each look is printed below the one before. Nothing but those pages is
asked, so no login to a cluster is needed: where the daemon is a pod, ``kubectl port-forward`` brings them here.
"""

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from http.client import HTTPException
from typing import Any, Final
from urllib.request import ProxyHandler, build_opener

import anyio
import anyio.to_thread
import orjson
from attrs import evolve, frozen

from apinetlet.flags import FlagError, setting
from apinetlet.tools import shell
from apinetlet.tools.answer import FINDING, OK, Answer, Failure, Table
from apinetlet.tools.shell import Tool
from reconcile import Seconds
from reconcile.kube.proxies import proxy_for
from reconcile.manager.web import Address

USAGE = """\
apinetlet top shows what a running daemon does: queues, the oldest wait, what is in flight, how current its copies are,
and which keys are slowest. The daemon needs --debug-bind-address. Exit status of --once: 1 if something is late.

  apinetlet top --debug-bind-address=127.0.0.1:8082
  apinetlet top --once -o json      of a pod: while kubectl port-forward deployment/apinetlet 8082 goes on beside it
"""

_VIEW = "View"
PAGES: Final[Mapping[str, str]] = {"queues": "inWork", "informers": "staleness"}
"""With what each line of them has, and hardly another program's."""
TIMEOUT: Final[Seconds] = 10.0
LATE: Final[Seconds] = 60.0
"""A key that waits or works for so long is a finding."""
STALE: Final[Seconds] = 120.0
"""So is a copy that was not known to be current for so long, as it is to the probes."""
CLEAR: Final = "\x1b[H\x1b[2J"


@frozen
class Flags:
    """Where to look, and how."""

    debug_bind_address: str = setting(
        "127.0.0.1:8082", "where the daemon serves its debug pages", takes="host:port", group=_VIEW
    )
    once: bool = setting(False, "look once", group=_VIEW)
    interval: Seconds = setting(2.0, "between two looks", group=_VIEW)
    keys: int = setting(10, "so many of the slowest keys", group=_VIEW)
    o: str = shell.form()

    def check(self) -> "Flags":
        """Itself, if its values make sense.

        Raises:
            FlagError: one does not; names it.
        """
        if self.interval <= 0:
            raise FlagError("--interval must be more than 0: whoever looks all the time keeps the daemon from its work")
        if self.keys < 0:
            raise FlagError(f"--keys must not be negative, not {self.keys}")
        return self


@frozen
class View:
    """One look."""

    queues: Sequence[Mapping[str, Any]]
    informers: Sequence[Mapping[str, Any]]


def work(flags: Flags, places: Sequence[str]) -> Answer:
    """Look once; ``main`` does the rest."""
    shell.wanted(places)
    return answer(look(flags.check().debug_bind_address), flags.keys)


def look(address: str) -> View:
    """Ask the daemon.

    Raises:
        Failure: it does not answer, or with something else than its pages.
        FlagError: no address.
    """
    try:
        place = Address.parse(address)
    except ValueError:
        place = None
    if place is None:
        raise FlagError(f"--debug-bind-address must be host:port, not {address!r}")
    base = f"http://{evolve(place, host=place.host or '127.0.0.1')}/debug/"
    proxy = proxy_for(base, os.environ)  # urllib would ask one for this machine, too
    opener = build_opener(ProxyHandler({"http": proxy} if proxy else {}))
    try:
        found = []
        for page, has in PAGES.items():
            with opener.open(f"{base}{page}?limit=1000", timeout=TIMEOUT) as reply:
                found.append(_lines(orjson.loads(reply.read()), has))
        return View(*found)
    except (HTTPException, OSError, ValueError) as error:
        why = getattr(error, "reason", None) or str(error) or type(error).__name__
        remedy = "is the daemon started with --debug-bind-address?"
        raise Failure(f"no debug pages at {address}: {why}; {remedy}") from error


def _lines(page: object, has: str) -> Sequence[Mapping[str, Any]]:
    if isinstance(page, list) and all(isinstance(one, Mapping) and has in one for one in page):
        return page
    raise ValueError("another program answers there")


def answer(view: View, keys: int) -> Answer:
    """The view as tables. A finding is a key or a copy that is late, or a controller that has a problem."""
    slow = slowest(view.queues, keys)
    queues = [
        (
            one["controller"],
            len(one["inWork"]),
            sum(one["depth"].values()),
            f"{one['oldestWait']:.1f}s",
            one["plannedCount"],
            one["failingCount"],
            "; ".join(one["problems"]) or ("paused" if one["paused"] else "-"),
        )
        for one in view.queues
    ]
    copies = [
        (
            one["cluster"],
            one["resource"],
            one["state"],
            "-" if one["staleness"] is None else f"{one['staleness']:.1f}s",
            one["objects"],
            one["lastError"] or "-",
        )
        for one in view.informers
    ]
    slow_rows = [(one["controller"], one["key"], one["what"], f"{one['seconds']:.1f}s") for one in slow]
    parts = [
        Table(("CONTROLLER", "IN FLIGHT", "WAITING", "OLDEST", "PLANNED", "FAILING", "PROBLEMS"), queues),
        Table(("SLOWEST IN", "KEY", "WHAT", "SINCE"), slow_rows),
        Table(("CLUSTER", "COPY OF", "STATE", "STALE", "OBJECTS", "LAST ERROR"), copies),
    ]
    is_late = any(one["problems"] for one in view.queues) or any(one["seconds"] > LATE for one in slow)
    is_stale = any(one["staleness"] is None or one["staleness"] > STALE for one in view.informers)
    facts = {"queues": list(view.queues), "slowest": slow, "informers": list(view.informers)}
    return Answer(facts, parts, FINDING if is_late or is_stale else OK)


def slowest(queues: Iterable[Mapping[str, Any]], count: int) -> list[Mapping[str, Any]]:
    """The keys that work or wait for the longest time, the longest first."""
    found: list[Mapping[str, Any]] = [
        {"controller": one["controller"], "key": item["key"], "what": what, "seconds": item["seconds"]}
        for one in queues
        for what, items in (("in flight", "inWork"), ("waits", "waiting"))
        for item in one[items]
    ]
    return sorted(found, key=lambda one: -one["seconds"])[:count]


def watch(flags: Flags, draw: Callable[[Answer], bool]) -> None:
    """Look and draw as long as somebody reads.

    Raises:
        Failure: the daemon does not answer, or not any more.
    """

    async def looking() -> None:
        while draw(answer(await anyio.to_thread.run_sync(look, flags.debug_bind_address), flags.keys)):
            await anyio.sleep(flags.interval)

    anyio.run(looking)


def draw(found: Answer, form: str) -> bool:
    """Put one look onto stdout. Whether somebody reads it."""
    is_terminal = sys.stdout is not None and sys.stdout.isatty() and form != "json"
    before, after = CLEAR if is_terminal else "", "" if is_terminal or form == "json" else "\n"
    return shell.write([before, *shell.printed(found, form), after])


TOOL = Tool("top", USAGE, Flags, work)


def main(words: Sequence[str]) -> int:
    """Run the tool."""
    try:
        flags, places = shell.read(words, Flags, {})
        flags.check()
        is_live = not flags.once and not shell.HELP & set(words) and not places
    except FlagError:
        is_live = False  # the shell tells what is wrong
    if not is_live:
        return shell.run(TOOL, words)
    try:
        watch(flags, lambda found: draw(found, flags.o))
    except KeyboardInterrupt:
        pass
    except Exception as error:
        return shell.shown(error)
    return OK
