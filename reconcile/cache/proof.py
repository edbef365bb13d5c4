"""Whether a write would change nothing, so that it need not be sent, and what guards one that is sent.

Only a proof counts. What was cut out of a kept document cannot prove anything: where that could matter, the answer is
no, and the write is sent. Pure.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from reconcile.cache.entry import Entry
from reconcile.kube.fieldset import covers
from reconcile.kube.patch import JsonPatch, MergePatch, Patch, changes_nothing


def is_applied(entry: Entry | None, body: Mapping[str, Any], subresource: str = "") -> bool:
    """Whether applying ``body`` again surely changes nothing.

    It does when our own Apply entry has exactly the fields of the body, both ways, and their live values are equal. A
    body without any field gets no entry, and needs none.
    """
    if entry is None:
        return False
    ours = [applied for applied in entry.applied if applied.subresource == subresource]
    if not ours:  # of a partial document it is not known
        return not entry.is_partial and covers({}, body, orjson.loads(entry.raw))
    if len(ours) > 1 or ours[0].api_version != body.get("apiVersion"):
        return False
    return covers(orjson.loads(ours[0].fields), body, orjson.loads(entry.raw))


def is_met(document: Mapping[str, Any] | None, patch: Patch, *, is_partial: bool) -> bool:
    """Whether the document already is as a merge patch wants it; of other patches that is not told.

    ``is_partial``: parts of the document may have been left out. ``None``: nothing is known of it.
    """
    if document is None or not isinstance(patch, MergePatch) or (is_partial and _removes(patch.value)):
        return False
    return changes_nothing(document, patch)


def _removes(value: Mapping[str, Any]) -> bool:
    """Whether a merge patch takes anything away: it may be there, and just not kept."""
    return any(item is None or (isinstance(item, Mapping) and _removes(item)) for item in value.values())


def guarded(patch: MergePatch, resource_version: str) -> MergePatch:
    """The same patch, refused as a conflict if the object has changed since that version ("": never refused)."""
    head = {name: value for name, value in (patch.value.get("metadata") or {}).items() if name != "managedFields"}
    if resource_version:
        head["resourceVersion"] = resource_version
    return MergePatch({**patch.value, "metadata": head} if head else patch.value)


def meant_for(patch: Patch, uid: str) -> Patch:
    """The same patch, refused if another object has the name now. A JSON patch says so itself, by a ``test``."""
    if not uid or isinstance(patch, JsonPatch):
        return patch
    head = patch.value.get("metadata") or {}
    return type(patch)({**patch.value, "metadata": {**head, "uid": uid}})
