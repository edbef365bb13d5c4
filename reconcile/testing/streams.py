"""Streams that stand between a watch and its reader: held back, told event by event, or made up."""

from collections import deque
from collections.abc import Awaitable, Callable, Mapping

import attrs

from reconcile.kube.transport import Stream


@attrs.define(eq=False)
class Gated:
    """``inner``, whose reader has to pass a gate with whatever it has read."""

    status: int
    headers: Mapping[str, str]
    inner: Stream
    gate: Callable[[], Awaitable[None]]

    async def read(self) -> bytes:
        """What ``inner`` says, once the gate is passed."""
        data = await self.inner.read()
        await self.gate()
        return data

    async def aclose(self) -> None:
        """Close ``inner``."""
        await self.inner.aclose()


@attrs.define(eq=False)
class ByEvent:
    """``inner`` line by line. ``see`` is called before an event is told, and what it raises is raised to the reader."""

    status: int
    headers: Mapping[str, str]
    inner: Stream
    see: Callable[[], None]
    _lines: deque[bytes] = attrs.field(factory=deque, init=False)

    async def read(self) -> bytes:
        """One line; b"" at the end."""
        if not self._lines:
            self._lines.extend((await self.inner.read()).splitlines(keepends=True))
        if not self._lines:
            return b""
        line = self._lines.popleft()
        if not line.startswith(b'{"type":"BOOKMARK"'):
            self.see()
        return line

    async def aclose(self) -> None:
        """Close ``inner``."""
        await self.inner.aclose()


@attrs.define(eq=False)
class Scripted:
    """Lines that are made up, and then what ``then`` opens, if there is such."""

    lines: list[bytes]
    then: Callable[[], Awaitable[Stream]] | None = None
    status: int = 200
    headers: Mapping[str, str] = attrs.field(factory=lambda: {"content-type": "application/json"})
    _inner: Stream | None = attrs.field(default=None, init=False)

    async def read(self) -> bytes:
        """All made-up lines, then the rest."""
        if self.lines:
            lines, self.lines = b"".join(self.lines), []
            return lines
        if self._inner is None and self.then is not None:
            self._inner = await self.then()
        return b"" if self._inner is None else await self._inner.read()

    async def aclose(self) -> None:
        """Close what was opened."""
        if self._inner is not None:
            await self._inner.aclose()
