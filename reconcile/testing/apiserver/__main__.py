"""``python -m reconcile.testing.apiserver``, also installed as ``reconcile-apiserver``.

Prints its address when it is ready. SIGTERM and SIGINT end it: watches end, what is under way is answered, exit code 0.
A mistake on the command line or in a file that it names is one line, and exit code 2; a port or a data folder that
cannot be had is one line, and 1.
"""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from reconcile.testing.apiserver.flags import BadFlags, Flags, parse

_OBJECTS_BETWEEN_COLLECTIONS = 10_000
"""Nearly all that a request makes goes without the collector, which would look in vain after each second one."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop; the answer is the exit code."""
    try:
        flags = parse(sys.argv[1:] if arguments is None else arguments)
    except BadFlags as error:
        return _complain(error, 2)
    from reconcile.testing.apiserver.definitions import BadDefinition

    logging.basicConfig(level=logging.INFO if flags.verbose else logging.WARNING, format="%(levelname)s %(message)s")
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_run(flags))
    except (BadFlags, BadDefinition) as error:
        return _complain(error, 2)
    except ImportError as error:
        return _complain(error, 2)
    except (OSError, ValueError) as error:
        return _complain(error, 1)


def _loop_factory() -> "type[asyncio.AbstractEventLoop] | None":
    if find_spec("uvloop") is None:
        return None
    import uvloop

    return uvloop.Loop


async def _run(flags: Flags) -> int:
    from reconcile.testing.apiserver.program import ended, serving

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serving(flags) as endpoint:
        # what was loaded stays; the collector need not look at it again and again
        gc.collect()
        gc.freeze()
        gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
        print(f"listening on {endpoint.url}", flush=True)  # noqa: T201 - what it is asked for
        if await ended(endpoint.server, stop):
            return 0
    return _complain(OSError("the data folder cannot be written to any more; everything acknowledged is in it"), 1)


def _complain(error: Exception, code: int) -> int:
    print(f"reconcile-apiserver: {error}", file=sys.stderr)  # noqa: T201 - of the command line
    return code


if __name__ == "__main__":
    sys.exit(main())
