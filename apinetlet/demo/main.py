"""``apinetlet demo``: the daemon between two embedded API servers, watched as a live table.

Everything is real but the network: the daemon is assembled as in production, the servers validate, allocate and send
watch events. Exit status 0 only if every step came to its goal in time.
"""

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable

import anyio
from attrs import frozen

from apinetlet.api import GENERATIONS
from apinetlet.flags import FlagError, setting

_GROUP = "Demo"
_EXTRAS = {"rich": "tui", "httptools": "server"}
"""Which extra brings a module that the demo needs."""

USAGE = """\
apinetlet demo shows the daemon at work between two embedded API servers, with everybody else of such clusters.

  apinetlet demo --once                    tell the story, and end; exit status 1 if a goal was missed
  apinetlet demo --port 8001               the same over and over, with both clusters open to kubectl
  apinetlet demo --once --load 100         a hundred of each kind instead of the story
"""


@frozen
class DemoSettings:
    """How the demo is shown."""

    once: bool = setting(False, "tell the story once and end; otherwise over and over until Ctrl-C", group=_GROUP)
    generation: str = setting("onmetal", "API generation to show", choices=tuple(GENERATIONS), group=_GROUP)
    speed: int = setting(1, "so many times as fast", takes="factor", group=_GROUP)
    port: int = setting(
        0, "serve the source cluster on this port and the api-net cluster on the next, for kubectl; 0: no", group=_GROUP
    )
    load: int = setting(0, "so many objects of each kind at once, instead of the story", group=_GROUP)
    plain: bool = setting(
        False, "one table a step, nothing drawn over; without a terminal it is so anyway", group=_GROUP
    )

    def check(self) -> "DemoSettings":
        """Itself, if its values make sense.

        Raises:
            FlagError: one does not; names it.
        """
        if self.speed < 1:
            raise FlagError(f"--speed must be at least 1, not {self.speed}")
        if not 0 <= self.port < 65535:
            raise FlagError(f"--port must be from 0 to 65534, not {self.port}")
        if self.load < 0:
            raise FlagError(f"--load must not be negative, not {self.load}")
        return self


def main(settings: DemoSettings) -> int:
    """Show it. Answers the exit status: 1 if a goal was missed or an extra is not there."""
    logging.basicConfig(level=logging.ERROR)
    try:
        from apinetlet.demo import show
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if (extra := _EXTRAS.get(missing)) is None:
            raise
        print(f"apinetlet: the demo needs {missing}: pip install 'apinetlet[{extra}]'", file=sys.stderr)
        return 1
    try:
        return anyio.run(_until_told, show.run, settings)
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        print(f"apinetlet: {error}", file=sys.stderr)
        return 1


async def _until_told(run: Callable[[DemoSettings], Awaitable[int]], settings: DemoSettings) -> int:
    """Run it. SIGTERM ends it as Ctrl-C does, in order: no kubeconfig stays behind."""
    with anyio.CancelScope() as scope:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, scope.cancel)
        return await run(settings)
    return 128 + signal.SIGTERM
