"""What is left of a prefix, once parts of it were given away. Pure.

Parts are kept as ranges that do not touch, so that a pool which was filled from its start costs the same however many
parts it has given.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network

from attrs import define

_REMEMBERED = 50_000
"""So many prefixes are not parsed again."""
_Range = tuple[int, int]
"""The first and the last address."""


@define
class Room:
    """A prefix, and the parts of it that are taken."""

    whole: IPv4Network | IPv6Network
    _taken: list[_Range]

    @classmethod
    def of(cls, whole: str, taken: Iterable[str]) -> "Room":
        """The room in ``whole`` beside the prefixes ``taken``, which may overlap."""
        return cls(ip_network(whole, strict=False), list(_joined(map(_range, taken))))

    def take(self, prefix: str) -> str | None:
        """That very prefix; ``None`` if any of it is taken."""
        first, last = _range(prefix)
        if any(first <= end and begin <= last for begin, end in self._taken):
            return None
        return self._give(first, last, str(ip_network(prefix, strict=False)))

    def take_first(self, length: int | None = None) -> str | None:
        """The first prefix of a length, a single address by default, of which nothing is taken; ``None``: no room."""
        length = length or self.whole.max_prefixlen
        step = 1 << (self.whole.max_prefixlen - length)
        at, end = int(self.whole.network_address), int(self.whole.broadcast_address)
        for first, last in self._taken:
            if at + step - 1 < first:
                break
            if last >= at:
                at = -(-(last + 1) // step) * step
        if length < self.whole.prefixlen or at + step - 1 > end:
            return None
        return self._give(at, at + step - 1, str(type(self.whole)((at, length))))

    def _give(self, first: int, last: int, prefix: str) -> str:
        self._taken = list(_joined([*self._taken, (first, last)]))
        return prefix


def _joined(ranges: Iterable[_Range]) -> Iterator[_Range]:
    """The same addresses in as few ranges as can be, in order."""
    begun: _Range | None = None
    for first, last in sorted(ranges):
        if begun is None or first > begun[1] + 1:
            if begun is not None:
                yield begun
            begun = first, last
        else:
            begun = begun[0], max(begun[1], last)
    if begun is not None:
        yield begun


@lru_cache(_REMEMBERED)
def _range(prefix: str) -> _Range:
    found = ip_network(prefix, strict=False)
    return int(found.network_address), int(found.broadcast_address)
