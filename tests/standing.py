"""A wall clock that stands still, for tests with real sockets that compare answers."""

import asyncio
import datetime as dt


class StandingClock(asyncio.SelectorEventLoop):
    """A loop whose ``utc()`` is always the second it was made in.

    Entries of managed fields tell seconds, so what changes nothing is a write in the next one: a server under load
    would answer as the seconds fall.
    """

    def __init__(self) -> None:
        super().__init__()
        self._made = dt.datetime.now(dt.UTC)

    def utc(self) -> dt.datetime:
        """When this loop was made."""
        return self._made
