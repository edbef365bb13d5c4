"""What a patch in a request makes of a document.

Documents are left alone. Pure. Source of the texts: apiserver, ``endpoints/handlers/patch.go``.
"""

from collections.abc import Callable
from typing import Any, Final

from reconcile.kube.patch import apply_merge
from reconcile.testing.apiserver import content, operations, strategic
from reconcile.testing.apiserver.failure import Document, Failure, bad_request, too_large
from reconcile.testing.apiserver.gotext import go_plain
from reconcile.testing.apiserver.schema import Schema

MERGE: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"
APPLY: Final = "application/apply-patch+yaml"
_MAX_OPERATIONS: Final = 10_000


def patched(schema: Schema, live: Document, raw: bytes, media: str) -> Document:
    """Apply a patch of one of the three media types above.

    Raises:
        Failure: 400 for a patch that is none, 422 or 500 for one that cannot be applied.
    """
    if media == STRATEGIC:
        patch = _decoded(raw, "")
        if not isinstance(patch, dict):
            raise bad_request(content.misfit(patch, "map[string]interface {}"))
        return strategic.merge(schema, live, patch)
    return json_patch(live, raw) if media == JSON_PATCH else merge_patch(live, raw)


def blame(raw: bytes, live: Document) -> Callable[[Document], str]:
    """How an answer shows that a strategic merge patch is to blame: what is left of the patch, as Go prints it."""
    return lambda _: go_plain(strategic.followed(live, _decoded(raw, "")))


def merge_patch(live: Document, raw: bytes) -> Document:
    """Apply an RFC 7396 patch.

    Raises:
        Failure: 400 for a patch that is none.
    """
    patch = _decoded(raw)
    if patch is None:
        raise bad_request("Invalid JSON Patch")
    if not isinstance(patch, dict):
        raise bad_request(f"error decoding patch: {content.misfit(patch, 'map[string]interface {}')}")
    return apply_merge(live, _lists_without_nulls(patch, live) if b"null" in raw else patch)


def _lists_without_nulls(patch: Any, live: Any) -> Any:
    """A patch whose lists hold objects without nulls: the real server's library takes them away there, too, but not
    from a list that comes in the place of a map."""
    if isinstance(patch, dict):
        before = live if isinstance(live, dict) else {}
        return {name: _lists_without_nulls(one, before.get(name)) for name, one in patch.items()}
    return _without_nulls(patch) if isinstance(patch, list) and not isinstance(live, dict) else patch


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value] if isinstance(value, list) else value


def json_patch(live: Document, raw: bytes) -> Document:
    """Apply an RFC 6902 patch.

    Raises:
        Failure: 400 for a patch that is none, 422 for one that cannot be applied.
    """
    steps = _decoded(raw)
    if not isinstance(steps, list):
        raise bad_request(f"error decoding patch: {content.misfit(steps, '[]handlers.jsonPatchOp')}")
    wrong = next((one for one in steps if not isinstance(one, dict)), None)
    if wrong is not None:
        raise bad_request(f"error decoding patch: {content.misfit(wrong, 'handlers.jsonPatchOp')}")
    if len(steps) > _MAX_OPERATIONS:
        raise too_large(f"The allowed maximum operations in a JSON patch is {_MAX_OPERATIONS}, got {len(steps)}")
    try:
        result = operations.patched(live, steps)
    except operations.CannotApply as error:
        raise _cannot_apply() from error
    # a patch may put something deep into something deep
    if not isinstance(result, dict) or content.too_deep(result):
        raise _cannot_apply()
    return result


def _cannot_apply() -> Failure:
    return Failure(422, "Invalid", "the server rejected our request due to an error in our request", {})


def _decoded(raw: bytes, what: str = "error decoding patch: ") -> Any:
    try:
        return content.parse(raw)
    except Failure as failure:
        if failure.code != 400:
            raise
        raise bad_request(f"{what}{failure}") from failure
