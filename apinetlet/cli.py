"""What the words of the command line ask for: the daemon, the demo, a tool or help.

Exit status: 0 done, 1 it failed or a required flag is missing (as the Go daemon does), 2 the words cannot be read.
Whatever goes wrong is one line on stderr that says what, where and what to do.
"""

import os
import sys
from collections.abc import Sequence

from apinetlet import flags, given, logs, tools
from apinetlet.flags import FlagError
from apinetlet.settings import Settings

USAGE = f"""\
apinetlet maps the networking objects of a source cluster into an api-net cluster, and reports back.

  apinetlet --api-net-namespace NAMESPACE [flags]   run the daemon
  apinetlet demo [--once] [flags]                   watch it between two embedded API servers

{tools.summary()}
  Each with --help, which shows an example.

Flags are spelled as the Go daemon spells them: one dash or two, --flag=value or --flag value. Each is also read from
the environment (APINETLET_API_NET_NAMESPACE) and from a file (--config), in this order.
"""

_HELP = {"-h", "-help", "--help", "help"}


def main(words: Sequence[str] | None = None) -> int:
    """Do what ``words`` (by default the process's own) ask for. Answers the exit status."""
    words = sys.argv[1:] if words is None else words
    try:
        match words:
            case [word, *rest] if word in tools.TOOLS:
                return int(tools.load(word).main(rest))
            case ["demo", *rest]:
                return _demo(rest)
            case _ if _HELP & set(words):
                return _show(f"{USAGE}\n{flags.describe(flags.flags_of(Settings))}")
        return _daemon(words)
    except KeyboardInterrupt:
        return 130


def _daemon(words: Sequence[str]) -> int:
    try:
        settings, rest = given.read(words, Settings, os.environ)
        if rest:
            raise FlagError(f"unexpected word {rest[0]!r}: flags start with a dash, --help lists them")
        logs.configure(settings)
    except FlagError as error:
        return _complain(error, status=2)
    try:
        settings = settings.check()
    except FlagError as error:
        return _complain(error, status=1)
    from apinetlet import app  # only now: help and mistakes should not wait for it

    return app.main(settings)


def _demo(words: Sequence[str]) -> int:
    from apinetlet.demo import main as demo

    if _HELP & set(words):
        return _show(f"{demo.USAGE}\n{flags.describe(flags.flags_of(demo.DemoSettings))}")
    try:
        settings, rest = flags.parse(words, demo.DemoSettings)
        if rest:
            raise FlagError(f"unexpected word {rest[0]!r}: the demo takes only flags")
        settings = settings.check()
    except FlagError as error:
        return _complain(error, status=2)
    return demo.main(settings)


def _show(text: str) -> int:
    from apinetlet.tools import shell

    return shell.put([text, "\n"], 0)


def _complain(error: Exception, *, status: int) -> int:
    print(f"apinetlet: {error}", file=sys.stderr)
    return status
