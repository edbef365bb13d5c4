"""Where a task or a thread stands right now, as text for a log line or an error.

A task's own ``get_stack`` shows its outermost frame only; the one worth reading is where it waits, at the other end of
the chain of awaits.
"""

import asyncio
import sys
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Any


def task_line(task: asyncio.Task[Any]) -> str:
    """Name, coroutine and place of a task in one line: ``worker-1 (Controller._work) at queue.py:80 in get``."""
    frames = list(_task_frames(task))
    coroutine = getattr(task.get_coro(), "__qualname__", "?")
    place = f"{_file(frames[-1])}:{frames[-1].f_lineno} in {frames[-1].f_code.co_name}" if frames else "its end"
    return f"{task.get_name()} ({coroutine}) at {place}"


def task_stack(task: asyncio.Task[Any]) -> str:
    """The chain of awaits of a task, outermost first, as a traceback prints it. Empty for a task that is done."""
    summary = traceback.StackSummary.extract((frame, frame.f_lineno) for frame in _task_frames(task))
    return "".join(summary.format()).rstrip("\n")


def thread_stack(ident: int) -> str:
    """The stack of another thread, innermost last. Empty when the thread is gone."""
    frame = sys._current_frames().get(ident)
    return "".join(traceback.format_stack(frame)).rstrip("\n") if frame is not None else ""


def _task_frames(task: asyncio.Task[Any]) -> Iterator[FrameType]:
    """Frames of coroutines, generators and async generators, each awaiting the next."""
    awaited: Any = task.get_coro()
    while awaited is not None:
        for prefix, inner in (("cr", "cr_await"), ("gi", "gi_yieldfrom"), ("ag", "ag_await")):
            frame = getattr(awaited, f"{prefix}_frame", None)
            if frame is not None:
                yield frame
                awaited = getattr(awaited, inner)
                break
        else:
            return


def _file(frame: FrameType) -> str:
    return frame.f_code.co_filename.rpartition("/")[2]
