"""What the daemon waits for before it can be put together, while probes are answered and a stop is heeded."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

import anyio

from reconcile import Manager, ManagerSettings

T = TypeVar("T")
Say: TypeAlias = Callable[[str], None]
"""Takes what is in the way now."""


async def waiting(name: str, work: Callable[[Say], Awaitable[T]], *, first: str, probes: str) -> T | None:
    """What ``work`` answers, or ``None`` if the process was told to stop before that.

    Meanwhile the pages at ``probes`` say that it lives and is not ready: ``/readyz`` has a check ``name`` with what
    ``work`` said last, and ``first`` before it said anything.

    Raises:
        CannotListen: the address of the probes cannot be used.
    """
    problem, found, failed = first, list[T](), list[Exception]()

    def say(text: str) -> None:
        nonlocal problem
        problem = text

    room = Manager([], [], settings=ManagerSettings(probes=probes))
    room.probes.add(name, lambda: problem, "readyz")

    async def do() -> None:
        try:
            found.append(await work(say))
        except Exception as error:  # raised where it is waited for, and alone
            failed.append(error)
        room.stop()

    async with room, anyio.create_task_group() as tasks:
        tasks.start_soon(do)
        await room.run(signals=True)
        tasks.cancel_scope.cancel()
    for error in failed:
        raise error
    return found[0] if found else None
