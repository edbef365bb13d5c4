"""The indexes that every mapped kind has: by whom a target was made for, and by uid."""

from apinetlet.api import Generation
from apinetlet.origin import ORIGIN, Origins
from reconcile import Index

UID = "uid"
"""The index over objects of either side: by their uids. That of a source is the name of its targets."""


def by_origin(generation: Generation, kind: str) -> Index:
    """The index ``ORIGIN`` over the targets of one source kind."""
    return Index(ORIGIN, Origins(generation, kind).keys, needs="meta")


def by_uid() -> Index:
    """The index ``UID``."""
    return Index(UID, lambda meta: (meta.uid,), needs="meta")
