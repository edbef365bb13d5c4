"""What comes in and what may go out: media types, bodies, and the cut-down forms of an answer.

Pure. Source of rules and texts: apiserver, ``endpoints/handlers/negotiation`` and ``responsewriters``.
"""

import enum
from typing import Any, Final

import orjson

from reconcile.kube.request import HttpRequest, HttpResponse
from reconcile.testing.apiserver.failure import (
    Document,
    bad_request,
    go_value,
    not_acceptable,
    not_implemented,
    too_large,
    unsupported_media_type,
)
from reconcile.testing.apiserver.gotext import json_error

JSON: Final = "application/json"
YAML: Final = "application/yaml"
PROTOBUF: Final = "application/vnd.kubernetes.protobuf"
CBOR: Final = "application/cbor"
BODY_LIMIT: Final = 3 * 1024 * 1024
"""Bytes of a request's body."""
_OFFERS: Final = (JSON, YAML, PROTOBUF)
_DEPTH_LIMIT: Final = 1000


class Form(enum.Enum):
    """How an object goes out."""

    WHOLE = "whole"
    METADATA = "PartialObjectMetadata"


def form(request: HttpRequest, *, custom: bool, streams: bool = False) -> Form:
    """Which form the client accepts, first one first. ``streams``: the path can be watched.

    Raises:
        Failure: 406 when there is none; 501 for a form that the real server has and this one has not.
    """
    missing = ""
    for clause in (request.headers.get("accept") or "*/*").split(","):
        media, *parameters = (part.strip() for part in clause.split(";"))
        named = dict(parameter.partition("=")[::2] for parameter in parameters)
        if media not in (JSON, "*/*", "application/*", YAML, PROTOBUF, CBOR):
            continue
        if media in (YAML, PROTOBUF) and not (media == PROTOBUF and custom):
            missing = missing or f"answers in {media}"
            continue
        if media in (CBOR, PROTOBUF):
            continue
        kind = named.get("as", "")
        if not kind:
            return Form.WHOLE
        if named.get("g") == "meta.k8s.io" and named.get("v") == "v1":
            if kind in ("PartialObjectMetadata", "PartialObjectMetadataList"):
                return Form.METADATA
            if kind == "Table":
                missing = missing or "answers as Table"
    if missing:
        raise not_implemented(missing)
    offers: tuple[str, ...] = _OFFERS
    if not custom and request.method == "GET" and streams:
        offers += (f"{JSON};stream=watch", f"{PROTOBUF};stream=watch")
    raise not_acceptable(offers, routed=not custom)


def body(request: HttpRequest, *, custom: bool) -> Any:
    """What a request carries, whatever it is.

    Raises:
        Failure: 413, 415 or 400; 501 for protobuf.
    """
    media = request.headers.get("content-type", "").partition(";")[0].strip() or JSON
    if media == PROTOBUF and not custom:
        raise not_implemented(f"bodies in {PROTOBUF}")
    if media not in (JSON, YAML):
        raise unsupported_media_type(_OFFERS, routed=False)
    return parse(request.body, yaml=media == YAML)


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
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        if not yaml:
            raise bad_request(json_error(raw) or str(error)) from error
    import yaml as pyyaml

    try:
        value = pyyaml.load(raw, Loader=getattr(pyyaml, "CSafeLoader", pyyaml.SafeLoader))  # noqa: S506 - safe ones
        return orjson.loads(orjson.dumps(value))
    except (pyyaml.YAMLError, orjson.JSONEncodeError, orjson.JSONDecodeError, RecursionError) as error:
        raise bad_request(f"error converting YAML to JSON: {error}") from error


def misfit(value: Any, go_type: str, field: str = "") -> str:
    """What the real server's decoder says of a value that is of the wrong form."""
    form = {dict: "object", list: "array", str: "string", bool: "bool", type(None): "null"}.get(type(value), "number")
    where = f"struct field {field}" if field else "value"
    return f"json: cannot unmarshal {form} into Go {where} of type {go_type}"


def too_deep(value: Any, limit: int = _DEPTH_LIMIT) -> bool:
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
