"""Libraries of the extra ``server``: imported by whoever first needs one, and missed by name."""

from collections.abc import Iterator
from contextlib import contextmanager


class MissingExtra(ImportError):
    """A library of the extra ``server`` is not installed. The text says what needs it, and what to install."""


@contextmanager
def needed(package: str, user: str) -> Iterator[None]:
    """Around the import of something of ``package``, which ``user`` (plural) need.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        yield
    except ImportError as error:
        raise MissingExtra(f"{user} need the package {package!r}: install the extra 'server'") from error
