"""What comes in and what may go out: media types, bodies, and the cut-down forms of an answer.

Pure. Source of rules and texts: apiserver, ``endpoints/handlers/negotiation`` and ``responsewriters``.
"""

import enum
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import attrs
import orjson

from reconcile.kube.request import HttpRequest, HttpResponse
from reconcile.testing.apiserver import goyaml
from reconcile.testing.apiserver.failure import (
    Document,
    Failure,
    bad_request,
    go_value,
    not_acceptable,
    too_large,
    unsupported_media_type,
)
from reconcile.testing.apiserver.gotext import json_error
from reconcile.testing.apiserver.settings import DEPTH_LIMIT

if TYPE_CHECKING:
    from reconcile.testing.apiserver.strategy import Kind

JSON: Final = "application/json"
YAML: Final = "application/yaml"
PROTOBUF: Final = "application/vnd.kubernetes.protobuf"
CBOR: Final = "application/cbor"
BODY_LIMIT: Final = 3 * 1024 * 1024
"""Bytes of a request's body."""
_OFFERS: Final = (JSON, YAML, PROTOBUF)
_TOO_DEEP: Final = "exceeded max depth"


class Form(enum.Enum):
    """How an object goes out."""

    WHOLE = "whole"
    METADATA = "PartialObjectMetadata"
    TABLE = "Table"


@attrs.frozen
class Wanted:
    """What a client accepts best: a media type, and a form in it."""

    media: str = JSON
    form: Form = Form.WHOLE


_PLAIN: Final = Wanted()
_FORMS: Final = {
    "": Form.WHOLE,
    "PartialObjectMetadata": Form.METADATA,
    "PartialObjectMetadataList": Form.METADATA,
    "Table": Form.TABLE,
}


def form(request: HttpRequest, *, custom: bool, streams: bool = False) -> Form:
    """Which form objects are to be read in; a table is made of whole ones.

    Raises:
        Failure: 406 when there is none.
    """
    found = wanted(request, custom=custom, streams=streams).form
    return Form.WHOLE if found is Form.TABLE else found


def wanted(request: HttpRequest, *, custom: bool, streams: bool = False) -> Wanted:
    """What the client accepts, first one first. ``streams``: the path can be watched.

    Raises:
        Failure: 406 when there is nothing.
    """
    if request.headers.get("accept", JSON) == JSON:
        return _PLAIN  # as most do
    routed = not custom
    for media, named in _clauses(request):
        kind = named.get("as", "")
        found = _FORMS.get(kind)
        if media not in _OFFERS:
            continue
        routed = False  # the router would let it pass: the form is what is missing
        if found is None:
            continue
        if kind and (named.get("g") != "meta.k8s.io" or named.get("v") not in ("v1", "v1beta1")):
            continue
        if media == PROTOBUF and (found is Form.TABLE or (custom and found is Form.WHOLE)):
            continue
        if media == YAML and streams and request.flag("watch"):
            raise not_acceptable(_STREAMS, routed=False)
        return Wanted(media, found)
    offers: tuple[str, ...] = _OFFERS
    if routed and request.method == "GET" and streams:
        offers += _STREAMS
    raise not_acceptable(offers, routed=routed)


_STREAMS: Final = (f"{JSON};stream=watch", f"{PROTOBUF};stream=watch")


def _clauses(request: HttpRequest) -> Iterator[tuple[str, dict[str, str]]]:
    """The media types a client accepts, each with its parameters."""
    for clause in (request.headers.get("accept") or "*/*").split(","):
        media, *parameters = (part.strip() for part in clause.split(";"))
        named = dict(parameter.partition("=")[::2] for parameter in parameters)
        yield JSON if media in ("*/*", "application/*") else media, named


def media_of_refusals(request: HttpRequest) -> str:
    """In which media type a client is told that it cannot have what it asked for."""
    return next((media for media, _ in _clauses(request) if media in _OFFERS), JSON)


def check_form(request: HttpRequest, kind: "Kind", *, of_list: bool) -> None:
    """See that an answer can be had in the form that was asked for.

    Raises:
        Failure: 406 for metadata of a list asked of an object, or the other way around; 400 for a table with something
            else than the real server puts into one.
    """
    found = wanted(request, custom=kind.custom, streams=of_list)
    if found is _PLAIN:
        return
    if found.form is Form.METADATA and not request.flag("watch"):
        asked = next(named["as"] for media, named in _clauses(request) if named.get("as") in _METADATA)
        if (asked == "PartialObjectMetadataList") is not of_list:
            package = "unstructured" if kind.custom else kind.resource.group.partition(".")[0] or "core"
            name = "Unstructured" if kind.custom else kind.resource.kind
            shown = f"is a list (*{package}.{name}List)" if of_list else f"is not a list (*{package}.{name})"
            says = f"you requested {asked}, but the requested object {shown}"
            raise Failure(406, "NotAcceptable", says)
    include = request.get("includeObject")
    if found.form is Form.TABLE and include not in ("", "None", "Metadata", "Object"):
        shown = "includeObject: Invalid value: " + go_value(include)
        says = f"Unable to convert to Table as requested: {shown}: must be 'Metadata', 'Object', 'None', or empty"
        raise bad_request(says)


_METADATA: Final = ("PartialObjectMetadata", "PartialObjectMetadataList")


def body(request: HttpRequest, *, custom: bool) -> Any:
    """What a request carries, whatever it is.

    Raises:
        Failure: 413, 415 or 400.
    """
    media = request.headers.get("content-type", "").partition(";")[0].strip() or JSON
    if media == PROTOBUF and not custom:
        return _opened(request.body)
    if media not in (JSON, YAML):
        raise unsupported_media_type(_OFFERS, routed=False)
    return parse(request.body, yaml=media == YAML)


def _opened(raw: bytes) -> Document:
    if len(raw) > BODY_LIMIT:
        raise too_large(f"limit is {BODY_LIMIT}")
    from reconcile.testing.apiserver import published, wire

    try:
        found = wire.opened(raw, published.definition)
    except wire.Malformed as error:
        raise bad_request(str(error)) from error
    _shallow(found, raw)
    return found


def document(raw: bytes, *, yaml: bool = False) -> Document:
    """Parse a body into an object.

    Raises:
        Failure: 413 or 400.
    """
    value = parse(raw, yaml=yaml)
    if not isinstance(value, dict):
        raise bad_request(misfit(value, "map[string]interface {}"))
    return value


def parse(raw: bytes, *, yaml: bool = False) -> Any:
    """Parse a body; JSON is tried first, for it is YAML too.

    Raises:
        Failure: 413 for a body that is too long, 400 for one that is neither, or nested too deep.
    """
    if len(raw) > BODY_LIMIT:
        raise too_large(f"limit is {BODY_LIMIT}")
    try:
        return _shallow(orjson.loads(raw), raw)
    except orjson.JSONDecodeError as error:
        # bytes that are no text are a sign of their own
        readable = raw.decode(errors="replace").encode()
        if readable != raw:
            return parse(readable, yaml=yaml)
        if not yaml:
            # the library has a limit of its own, beyond ours
            why = json_error(raw) or (_TOO_DEEP if "depth" in error.msg else error.msg)
            raise bad_request(why) from error
    try:
        value = goyaml.load(raw)[0]
    except goyaml.BadYaml as error:
        raise bad_request(str(error)) from error
    if too_deep(value):
        raise bad_request(_TOO_DEEP)
    return value


def _shallow(value: Any, raw: bytes) -> Any:
    # few bodies have so many brackets at all
    if raw.count(b"{") + raw.count(b"[") > DEPTH_LIMIT and too_deep(value):
        raise bad_request(_TOO_DEEP)
    return value


def misfit(value: Any, go_type: str, field: str = "") -> str:
    """What the real server's decoder says of a value that is of the wrong form."""
    form = {dict: "object", list: "array", str: "string", bool: "bool", type(None): "null"}.get(type(value), "number")
    where = f"struct field {field}" if field else "value"
    return f"json: cannot unmarshal {form} into Go {where} of type {go_type}"


def too_deep(value: Any, limit: int = DEPTH_LIMIT) -> bool:
    """Whether a document is nested deeper than walks over it may go."""
    level = [value]
    for _ in range(limit):
        level = [
            child
            for item in level
            for child in (item.values() if isinstance(item, dict) else item if isinstance(item, list) else ())
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def warned(response: HttpResponse, text: str) -> HttpResponse:
    """An answer that warns of one thing more, before all others."""
    if not text:
        return response
    said = ", ".join(filter(None, (f"299 - {go_value(text)}", response.headers.get("warning", ""))))
    return HttpResponse(response.status, {**response.headers, "warning": said}, response.body)


def metadata_only(document: Document) -> bytes:
    """An object cut down to its metadata."""
    return orjson.dumps(
        {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": document.get("metadata", {})}
    )
