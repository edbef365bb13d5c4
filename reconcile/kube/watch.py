"""From the bytes of a watch to its events: cut into lines as they come, each line read on its own.

Nothing waits for more than one line, and a line has a limit. An event's object stays bytes; its reader takes what it
needs (``decode_meta``, a codec). Pure: ``informer.py`` reads the wire and decides what an event means.
"""

from typing import Final, Literal, TypeAlias

import msgspec
import orjson

from reconcile.kube.errors import ApiError, BadAnswer, status_error
from reconcile.kube.objects import BadObject, decode_meta, excerpt

LINE_LIMIT_BYTES: Final = 64 * 1024 * 1024
"""Far above what etcd can store (1.5 MiB by default), far below what hurts."""
INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"
"""The annotation of the bookmark that ends the first part of a WatchList."""

EventType: TypeAlias = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]


class Lines:
    """Cuts a stream into lines, whatever the pieces it comes in. Empty lines are left out.

    ``about`` names the resource in the error when a line is longer than ``limit_bytes``.
    """

    def __init__(self, limit_bytes: int = LINE_LIMIT_BYTES, *, about: str = "") -> None:
        self._limit_bytes = limit_bytes
        self._about = about
        self._pieces: list[bytes] = []
        self._held_bytes = 0

    @property
    def held_bytes(self) -> int:
        """How much of an unfinished line is held; more than 0 at the end of the stream means it was cut."""
        return self._held_bytes

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next piece; the lines that it completes, without their ends.

        Raises:
            BadAnswer: a line is longer than the limit. The stream is of no use after that.
        """
        first, *others = data.split(b"\n")
        if not others:
            self._hold(first)
            return []
        lines = others[:-1]
        if self._pieces:
            self._hold(first)
            first = b"".join(self._pieces)
            self._pieces.clear()
            self._held_bytes = 0
        lines.insert(0, first)
        if len(data) > self._limit_bytes:
            for line in lines:
                self._check(len(line))
        self._hold(others[-1])
        return [line for line in lines if line and not line.isspace()]

    def _hold(self, piece: bytes) -> None:
        self._check(self._held_bytes + len(piece))
        if piece:
            self._pieces.append(piece)
            self._held_bytes += len(piece)

    def _check(self, length_bytes: int) -> None:
        if length_bytes > self._limit_bytes:
            raise BadAnswer(
                f"a line of the watch is longer than the limit of {self._limit_bytes} bytes",
                about=self._about,
                limit_bytes=self._limit_bytes,
            )


class WatchEvent(msgspec.Struct, frozen=True):
    """One event. ``raw`` is the object as JSON, a copy of its own: it keeps no line alive."""

    type: EventType
    raw: bytes
    resource_version: str = ""
    """Of a bookmark; objects carry their own."""
    ends_initial_events: bool = False
    """Of a bookmark: all objects of the WatchList have been sent."""
    error: ApiError | None = None
    """What an ERROR event says; the watch is over."""


class _Line(msgspec.Struct, frozen=True, gc=False):
    type: EventType
    object: msgspec.Raw


_LINE: Final = msgspec.json.Decoder(_Line)


def decode_event(line: bytes, *, about: str = "") -> WatchEvent:
    """Read one line of a watch.

    Raises:
        BadAnswer: not JSON, no event, an unknown type, or a bookmark without a version. ``about`` names the resource.
    """
    try:
        read = _LINE.decode(line)
        raw = bytes(read.object)
        if read.type == "BOOKMARK":
            return _bookmark(raw)
        if read.type == "ERROR":
            return WatchEvent("ERROR", raw, error=status_error(orjson.loads(raw)))
    except (msgspec.DecodeError, orjson.JSONDecodeError, UnicodeDecodeError, RecursionError, BadObject) as error:
        raise BadAnswer(f"no event of a watch ({error})", about=about, excerpt=excerpt(line)) from error
    return WatchEvent(read.type, raw)


def _bookmark(raw: bytes) -> WatchEvent:
    meta = decode_meta(raw, named=False)
    if not meta.resource_version:
        raise BadObject("a bookmark without a version", where="metadata.resourceVersion")
    ends = meta.annotations.get(INITIAL_EVENTS_END) == "true"
    return WatchEvent("BOOKMARK", raw, resource_version=meta.resource_version, ends_initial_events=ends)
