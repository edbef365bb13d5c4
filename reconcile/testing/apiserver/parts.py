"""The parts of a document, and which of them a write takes over.

Pure; documents are left alone unless a function says otherwise.
"""

import operator
from typing import Any

from reconcile.testing.apiserver import metadata as metas
from reconcile.testing.apiserver import walks
from reconcile.testing.apiserver.failure import Document
from reconcile.testing.apiserver.schema import MISSING
from reconcile.testing.apiserver.strategy import ALL


def shared(new: Any, old: Any) -> Any:
    """``new`` with all that is as in ``old`` taken from there, so that later steps see at once what has changed."""
    if new is old or type(new) is not type(old):
        return new
    if isinstance(new, dict):
        result, is_same = {}, len(new) == len(old)
        for name, value in new.items():
            was = old.get(name, MISSING)
            result[name] = one = value if was is MISSING else shared(value, was)
            is_same = is_same and one is was
        return old if is_same else result
    if isinstance(new, list):
        items = [*map(shared, new, old), *new[len(old) :]]
        return old if len(new) == len(old) and all(map(operator.is_, items, old)) else items
    return old if new == old else new


def with_own_metadata(document: Document) -> Document:
    """A document whose metadata nobody else has."""
    metadata = document.get("metadata")
    return {**document, "metadata": dict(metadata)} if isinstance(metadata, dict) else {**document}


def merged_parts(old: Document, new: Document, parts: tuple[str, ...]) -> Document:
    """The old document with some parts of the new one, as a write through a subresource leaves it."""
    merged = dict(old)
    for part in parts:
        if part in new:
            merged[part] = new[part]
        else:
            merged.pop(part, None)
    metadata = dict(metas.of(merged))
    entries = metas.of(new).get("managedFields")
    metadata.pop("managedFields", None)
    if entries:
        metadata["managedFields"] = entries
    merged["metadata"] = metadata
    return merged


def differs(old: Document, new: Document, parts: tuple[str, ...]) -> bool:
    """Whether any of these parts is another; ``ALL``: any but the metadata."""
    if parts == ALL:
        parts = tuple((old.keys() | new.keys()) - {"metadata"})
    return any(not walks.equal(old.get(part), new.get(part)) for part in parts)


def keep_times(new: Document, old: Document) -> bool:
    """Whether nothing differs but the times of managedFields: in ``new`` these become what they were."""
    if not _equal_but(new, old, "metadata") or not _equal_but(metas.of(new), metas.of(old), "managedFields"):
        return False
    after, before = metas.of(new).get("managedFields") or [], metas.of(old).get("managedFields") or []
    if len(after) != len(before):
        return False
    if any({**a, "time": None} != {**b, "time": None} for a, b in zip(after, before, strict=True)):
        return False
    if after:
        metas.of(new)["managedFields"] = before
    return True


def _equal_but(new: Document, old: Document, name: str) -> bool:
    """Whether two documents are equal, one field apart."""
    if len(new) - (name in new) != len(old) - (name in old):
        return False
    for one, value in new.items():  # noqa: SIM110 - a generator costs as much as the comparison
        if one != name and not (one in old and walks.equal(value, old[one])):
            return False
    return True
