"""The parts of a document, and which of them a write takes over.

Pure; documents are left alone unless a function says otherwise.
"""

from reconcile.testing.apiserver import metadata as metas
from reconcile.testing.apiserver import walks
from reconcile.testing.apiserver.failure import Document
from reconcile.testing.apiserver.strategy import ALL


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


def keep_times(new: Document, old: Document) -> None:
    """Where only the times of managedFields differ, nothing does: in ``new`` they become what they were."""
    after, before = metas.of(new).get("managedFields") or [], metas.of(old).get("managedFields") or []
    if not after or len(after) != len(before):
        return
    if any({**a, "time": None} != {**b, "time": None} for a, b in zip(after, before, strict=True)):
        return
    if walks.equal(_timeless(new), _timeless(old)):
        metas.of(new)["managedFields"] = before


def _timeless(document: Document) -> Document:
    metadata = {name: value for name, value in metas.of(document).items() if name != "managedFields"}
    return {**document, "metadata": metadata}
