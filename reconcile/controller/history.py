"""What the last passes of each key were about: why they ran, what they wrote, how they ended.

Bounded three ways: so many keys (the one that ran longest ago is forgotten first), so many passes a key, and so many
bytes of old objects that are kept alive only to be compared when somebody asks what changed. Pure.
"""

import datetime as dt
import itertools
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from typing import Any, Final, Generic, TypeVar

import attrs

from reconcile.controller.cause import Cause
from reconcile.core.clock import Seconds
from reconcile.kube.journal import Write

K = TypeVar("K", bound=Hashable)

WRITES: Final = 64
"""So many writes are kept of one pass."""


@attrs.define(eq=False, weakref_slot=False)
class Pass(Generic[K]):
    """One call of the reconciler. ``seconds`` and ``result`` are set when it ends."""

    series: str
    number: int
    controller: str
    key: K
    started: dt.datetime
    causes: tuple[Cause, ...] = ()
    writes: list[Write] = attrs.field(factory=list)
    writes_left_out: int = 0
    seconds: Seconds | None = None
    result: str = ""
    """The label it is counted under; "" while it runs."""
    error: str = ""
    then: str = ""
    """What happens to the key next."""

    @property
    def id(self) -> str:
        """As in the logs: ``reconcile_id``."""
        return f"{self.series}-{self.number}"

    @property
    def name(self) -> str:
        """Which controller, key and pass, for a log line."""
        return f"controller={self.controller} key={self.key} reconcile_id={self.id}"

    @property
    def held(self) -> "Iterable[Cause | Write]":
        """What may keep old objects alive."""
        return itertools.chain[Cause | Write](self.causes, self.writes)

    def note_write(self, write: Write) -> None:
        """Remember a write of this pass."""
        if len(self.writes) < WRITES:
            self.writes.append(write)
        else:
            self.writes_left_out += 1

    def facts(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "id": self.id,
            "started": self.started.isoformat(),
            "seconds": self.seconds,
            "result": self.result or "running",
            "error": self.error,
            "then": self.then,
            "causes": [cause.facts() for cause in self.causes],
            "writes": [_write_facts(write) for write in self.writes],
            "writesLeftOut": self.writes_left_out,
        }

    def __str__(self) -> str:
        took = f"in {self.seconds:.3f} s" if self.seconds is not None else "so far"
        head = f"{self.started:%Y-%m-%d %H:%M:%S} {self.result or 'running'} {took}"
        head += "".join(f", {part}" for part in (self.then, self.error) if part) + f" ({self.id})"
        return "\n  ".join([head, *(f"because {cause}" for cause in self.causes), *map(_write_text, self.writes)])


@attrs.define(eq=False)
class History(Generic[K]):
    """The last passes, by key."""

    keys: int = 500
    passes: int = 8
    limit_bytes: int = 2 * 1024 * 1024
    _by_key: "OrderedDict[K, tuple[Pass[K], ...]]" = attrs.field(init=False, factory=OrderedDict)
    _kept: "OrderedDict[Pass[K], int]" = attrs.field(init=False, factory=OrderedDict)
    """The passes that keep old objects alive, and how many bytes; the oldest first."""
    _kept_bytes: int = attrs.field(init=False, default=0)

    def remember(self, ended: Pass[K]) -> None:
        """Keep a pass, and forget what is beyond the bounds."""
        found = (*self._by_key.get(ended.key, ()), ended)
        self._by_key[ended.key] = found[-self.passes :]
        self._by_key.move_to_end(ended.key)
        self._drop(found[: -self.passes])
        if len(self._by_key) > self.keys:
            self._drop(self._by_key.popitem(last=False)[1])
        if size := sum(held.kept_bytes for held in ended.held):
            self._kept[ended] = size
            self._kept_bytes += size
        while self._kept_bytes > self.limit_bytes:
            oldest, size = self._kept.popitem(last=False)
            self._kept_bytes -= size
            for held in oldest.held:
                held.forget_change()

    def _drop(self, passes: Iterable[Pass[K]]) -> None:
        """Passes that are remembered no longer keep nothing alive."""
        for one in passes:
            self._kept_bytes -= self._kept.pop(one, 0)

    def of(self, key: K) -> tuple[Pass[K], ...]:
        """The last passes of a key, the newest last."""
        return self._by_key.get(key, ())

    def __len__(self) -> int:
        return len(self._by_key)


@attrs.frozen
class Why(Generic[K]):
    """Everything known about the runs of one key; ``str`` makes a text for people of it."""

    controller: str
    key: K
    passes: tuple[Pass[K], ...]
    running: Pass[K] | None
    pending: tuple[Cause, ...]
    """Why it will run next."""
    due_in: Seconds | None
    """Seconds until then; ``None`` if nothing is planned."""
    failures: int
    """In a row."""

    def facts(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "controller": self.controller,
            "key": str(self.key),
            "dueIn": self.due_in,
            "failures": self.failures,
            "pending": [cause.facts() for cause in self.pending],
            "running": self.running and self.running.facts(),
            "passes": [found.facts() for found in self.passes],
        }

    def __str__(self) -> str:
        due = "nothing planned" if self.due_in is None else f"next run in {max(0.0, self.due_in):.1f} s"
        lines = [f"{self.controller} {self.key}: {due}, {self.failures} failures in a row"]
        lines += [f"  because {cause}" for cause in self.pending]
        lines += [str(found) for found in (*self.passes, *([self.running] if self.running else []))]
        return "\n".join(lines)


def _write_facts(write: Write) -> dict[str, Any]:
    return {
        "cluster": write.cluster,
        "verb": write.verb,
        "resource": write.resource.name,
        "key": str(write.key),
        "subresource": write.subresource,
        "outcome": write.outcome,
        "paths": list(write.paths),
        "resourceVersion": write.resource_version,
    }


def _write_text(write: Write) -> str:
    what = f"{write.resource.name}/{write.subresource}" if write.subresource else write.resource.name
    paths = f" {', '.join(write.paths)}" if write.paths else ""
    return f"{write.verb} {write.cluster} {what} {write.key}: {write.outcome}{paths}"
