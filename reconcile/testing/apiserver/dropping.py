"""What goes from a document because its applier no longer lists it.

Pure; documents are left alone. Source of the rules: structured-merge-diff, ``merge/update.go`` (prune).
"""

from collections.abc import Callable
from typing import TypeAlias

from reconcile.testing.apiserver import fields as fieldsets
from reconcile.testing.apiserver import walks
from reconcile.testing.apiserver.failure import Document
from reconcile.testing.apiserver.fields import EMPTY, FieldSet
from reconcile.testing.apiserver.managers import Managers, Owned
from reconcile.testing.apiserver.schema import Schema

Converter: TypeAlias = Callable[[Document, str], "tuple[Schema, Document] | None"]
"""A document in the words of another API version, with that version's schema; ``None``: no such version any more."""


def without_dropped(
    convert: Converter, api_version: str, merged: Document, managers: Managers, last: Owned | None
) -> Document:
    """A merged document without what the applier applied last time, does not apply now, and nobody else claims.

    ``managers`` are those after this write, ``last`` is what the applier applied before it.
    """
    if last is None or not last.fields or _is_claimed(last, managers):
        return merged
    found = convert(merged, last.api_version)
    if found is None:
        return merged
    schema, document = found
    pruned = _remove(schema, document, walks.with_named_fields(schema, last.fields))
    pruned = _with_owned_back(convert, document, pruned, last.api_version, managers)
    # what the applier never owned was caught by a parent's removal: it comes back too
    gone = fieldsets.difference(_all_fields(schema, document), _all_fields(schema, pruned))
    dangling = fieldsets.intersection(gone, walks.with_named_fields(schema, last.fields))
    pruned = _remove(schema, document, dangling)
    back = convert(pruned, api_version)
    return back[1] if back is not None else pruned


def _is_claimed(last: Owned, managers: Managers) -> bool:
    """Whether one manager claims all of it, in the same words: as most do who apply again. Then nothing can go."""
    return any(
        owned.api_version == last.api_version and not fieldsets.difference(last.fields, owned.fields)
        for owned in managers.values()
    )


def _with_owned_back(
    convert: Converter, document: Document, pruned: Document, version: str, managers: Managers
) -> Document:
    claimed: dict[str, FieldSet] = {}
    for owned in managers.values():
        claimed[owned.api_version] = fieldsets.union(claimed.get(owned.api_version, EMPTY), owned.fields)
    for one in sorted(claimed, key=lambda name: name != version):
        whole, part = convert(document, one), convert(pruned, one)
        if whole is None or part is None:
            continue
        schema = whole[0]
        keep = fieldsets.union(_all_fields(schema, part[1]), walks.with_named_fields(schema, claimed[one]))
        pruned = _remove(schema, whole[1], fieldsets.difference(_all_fields(schema, whole[1]), keep))
        document = whole[1]
    back = convert(pruned, version)
    return back[1] if back is not None else pruned


def _all_fields(schema: Schema, document: Document) -> FieldSet:
    return walks.with_named_fields(schema, walks.field_set(schema, document))


def _remove(schema: Schema, document: Document, fields: FieldSet) -> Document:
    return walks.remove(schema, document, fields) or {} if fields else document
