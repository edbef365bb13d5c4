"""One object, or a page of a collection at a version.

Every answer is made of the bytes that are stored. Pure. Source of the rules: apiserver, ``storage/etcd3`` and
``storage/cacher``, as the API concepts page describes them.
"""

import base64
import bisect
import functools
from collections.abc import Mapping

import orjson

from reconcile.kube.objects import ObjectKey
from reconcile.testing.apiserver.content import Form, metadata_only
from reconcile.testing.apiserver.failure import bad_request, expired, not_found
from reconcile.testing.apiserver.options import EXACT, ListOptions, parse_version
from reconcile.testing.apiserver.scaling import scale_of
from reconcile.testing.apiserver.storage import Storage, Stored, key_of, within
from reconcile.testing.apiserver.strategy import Kind

_TOO_OLD = "The resourceVersion for the provided list is too old."
_CONTINUE_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)
_LATEST = -1
"""As the version in a continue token: go on with whatever is there now."""


def get(storage: Storage, kind: Kind, key: ObjectKey, form: Form = Form.WHOLE) -> bytes:
    """One object as it is now.

    Raises:
        Failure: 404.
    """
    found = storage.get(kind.table, key_of(*key))
    if found is None:
        raise not_found(kind.group_resource, key.name)
    return encoded(kind.seen(found), form)


def scale(storage: Storage, kind: Kind, key: ObjectKey, form: Form = Form.WHOLE) -> bytes:
    """One object as a scale.

    Raises:
        Failure: 404, or 500 for an object that has no number of replicas.
    """
    found = storage.get(kind.table, key_of(*key))
    if found is None:
        raise not_found(kind.group_resource, key.name)
    assert kind.strategy.scale is not None
    document = scale_of(kind.strategy.scale, kind.seen(found).value)
    return orjson.dumps(document) if form is Form.WHOLE else metadata_only(document)


def encoded(stored: Stored, form: Form) -> bytes:
    """An object in the form that was asked for."""
    return stored.raw if form is Form.WHOLE else metadata_only(stored.value)


def at_least(options: ListOptions) -> int:
    """The version that has to be reached before this list may be answered; 0 if any will do."""
    return 0 if options.continue_ else parse_version(options.version)


def list_(storage: Storage, kind: Kind, options: ListOptions, form: Form = Form.WHOLE) -> bytes:
    """A page of a collection.

    Raises:
        Failure: 410 when the version is forgotten, 504 when it is yet to come, 400 for a token that is none.
    """
    version, start = storage.version, ""
    namespace = options.selection.namespace
    if options.continue_:
        if options.version not in ("", "0"):
            raise bad_request("specifying resource version is not allowed when using continue")
        asked, start = _decoded(options.continue_, namespace)
        version = storage.version if asked < 0 else asked
    elif _is_exact(options):
        version = parse_version(options.version)
    table = storage.table(kind.table)
    found = table.at(version) if version >= storage.compacted else None
    if found is None:
        if options.continue_:
            raise expired(_CONTINUE_TOO_OLD, continue_=_encoded(_LATEST, "/" + start.removeprefix(_prefix(namespace))))
        raise expired(_TOO_OLD)
    objects, order = found
    order = within(order, namespace) if namespace else order
    if kind.family is not None:
        # in one go: others may have to be asked
        kind.family.learn(kind, (objects[key] for key in order))
    page, last, rest = _page(kind, objects, order, options, start)
    # a list of custom resources says that there is no more, one of built-in kinds leaves it out
    metadata: dict[str, object] = {"continue": ""} if kind.custom and form is Form.WHOLE else {}
    metadata["resourceVersion"] = str(version)
    if rest:
        metadata["continue"] = _encoded(version, "/" + last.removeprefix(_prefix(namespace)) + "\0")
        if options.selection.is_all:
            metadata["remainingItemCount"] = rest
    return _document(kind, form, metadata, page)


def _is_exact(options: ListOptions) -> bool:
    legacy = not options.match and options.limit > 0 and options.version not in ("", "0")
    return options.match == EXACT or legacy


def _page(
    kind: Kind, objects: Mapping[str, Stored], order: list[str], options: ListOptions, start: str
) -> tuple[list[Stored], str, int]:
    """The objects of a page, the key of the last one looked at, and how many keys are left after it."""
    page: list[Stored] = []
    selection = options.selection
    # what one name selects, and what a cache answers, comes in one page
    limit = 0 if selection.is_one or options.version == "0" else options.limit
    for index in range(bisect.bisect_left(order, start) if start else 0, len(order)):
        stored = kind.seen(objects[order[index]])
        if selection.is_all or selection.matches(stored):
            page.append(stored)
            if limit and len(page) == limit:
                return page, order[index], len(order) - index - 1
    return page, "", 0


def _document(kind: Kind, form: Form, metadata: Mapping[str, object], page: list[Stored]) -> bytes:
    if form is Form.METADATA:
        head = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
    else:
        head = {"kind": kind.list_kind, "apiVersion": kind.resource.api_version, "metadata": metadata}
    if form is Form.METADATA and not page:
        return orjson.dumps({**head, "items": None})
    # an item of a built-in kind does not repeat what kind it is
    skip = 0 if kind.custom or form is not Form.WHOLE else head_length(kind)
    opening = b"{" if skip else b""
    items = b",".join([opening + encoded(stored, form)[skip:] for stored in page])
    return orjson.dumps(head)[:-1] + b',"items":[' + items + b"]}"


@functools.cache
def head_length(kind: Kind) -> int:
    """How many bytes at the start of a stored object of this kind say what kind it is."""
    head = {"apiVersion": kind.resource.api_version, "kind": kind.resource.kind}
    return len(orjson.dumps(head))  # a comma follows where the brace closes here


def _prefix(namespace: str) -> str:
    return f"{namespace}/" if namespace else ""


def _encoded(version: int, start: str) -> str:
    token = orjson.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": start})
    return base64.urlsafe_b64encode(token).rstrip(b"=").decode()


def _bytes_of(token: str) -> bytes:
    """What a token holds. Raises ValueError in Go's words."""
    wrong = next((at for at, sign in enumerate(token) if not (sign.isascii() and (sign.isalnum() or sign in "-_"))), -1)
    if wrong < 0 and len(token) % 4 == 1:
        wrong = len(token) // 4 * 4
    if wrong >= 0:
        raise ValueError(f"illegal base64 data at input byte {wrong}")
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))


def _decoded(token: str, namespace: str) -> tuple[int, str]:
    """The version and the first key of the page that a token stands for."""
    try:
        value = orjson.loads(_bytes_of(token))
        assert isinstance(value, dict)
    except (ValueError, AssertionError) as error:
        raise bad_request(f"invalid continue token: continue key is not valid: {error}") from error
    if value.get("v") != "meta.k8s.io/v1":
        what = f"server does not recognize this encoded version {value.get('v') or ''}"
        raise bad_request(f"invalid continue token: continue key is not valid: {what}")
    version, start = value.get("rv"), value.get("start")
    if not isinstance(version, int) or version == 0:
        what = "incorrect encoded start resourceVersion (version meta.k8s.io/v1)"
        raise bad_request(f"invalid continue token: continue key is not valid: {what}")
    if not isinstance(start, str) or not start:
        what = "encoded start key empty (version meta.k8s.io/v1)"
        raise bad_request(f"invalid continue token: continue key is not valid: {what}")
    if ".." in start.split("/"):
        raise bad_request(f"invalid continue token: continue key is not valid: {start}")
    return version, _prefix(namespace) + start.removeprefix("/")
