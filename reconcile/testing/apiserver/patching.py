"""What a patch makes of a document: merge patch and JSON patch.

Documents are left alone. Pure. Source of the texts: apiserver, ``endpoints/handlers/patch.go``.
"""

from typing import Any, Final

from reconcile.kube.patch import apply_merge
from reconcile.testing.apiserver import content
from reconcile.testing.apiserver.failure import Document, Failure, bad_request, too_large

MERGE: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"
APPLY: Final = "application/apply-patch+yaml"
_MAX_OPERATIONS: Final = 10_000


class MissingExtra(ImportError):
    """A library of the extra ``server`` is not installed."""


def merge_patch(live: Document, raw: bytes) -> Document:
    """Apply an RFC 7396 patch.

    Raises:
        Failure: 400 for a patch that is none.
    """
    patch = _decoded(raw)
    if not isinstance(patch, dict):
        raise bad_request(f"error decoding patch: {content.misfit(patch, 'map[string]interface {}')}")
    return apply_merge(live, patch)


def json_patch(live: Document, raw: bytes) -> Document:
    """Apply an RFC 6902 patch.

    Raises:
        Failure: 400 for a patch that is none, 422 for one that cannot be applied.
        MissingExtra: the library is not there.
    """
    try:
        import jsonpatch
    except ImportError as error:
        raise MissingExtra("JSON patches need the package 'jsonpatch': install the extra 'server'") from error
    operations = _decoded(raw)
    if not isinstance(operations, list) or not all(isinstance(operation, dict) for operation in operations):
        raise bad_request(f"error decoding patch: {content.misfit(operations, '[]handlers.jsonPatchOp')}")
    if len(operations) > _MAX_OPERATIONS:
        raise too_large(f"The allowed maximum operations in a JSON patch is {_MAX_OPERATIONS}, got {len(operations)}")
    try:
        result = jsonpatch.apply_patch(live, operations)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError, ValueError) as error:
        raise _cannot_apply() from error
    if not isinstance(result, dict):
        raise _cannot_apply()
    return result


def _cannot_apply() -> Failure:
    return Failure(422, "Invalid", "the server rejected our request due to an error in our request", {})


def _decoded(raw: bytes) -> Any:
    try:
        return content.parse(raw)
    except Failure as failure:
        if failure.code != 400:
            raise
        raise bad_request(f"error decoding patch: {failure}") from failure
