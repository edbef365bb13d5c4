"""How the bytes of a request become a document of a kind, or an answer that says why not.

Pure. Source of the texts: apiserver, ``endpoints/handlers/rest.go``, and Go's JSON decoder.
"""

import json
import re
from collections.abc import Callable
from typing import Any, TypeAlias

import orjson

from reconcile.kube.request import HttpRequest
from reconcile.testing.apiserver import content, going, goyaml, published, times
from reconcile.testing.apiserver.content import misfit
from reconcile.testing.apiserver.failure import (
    Document,
    Failure,
    GroupName,
    bad_request,
    invalid,
    invalid_value,
)
from reconcile.testing.apiserver.metadata import shape_fault
from reconcile.testing.apiserver.rules import base64_problem
from reconcile.testing.apiserver.schema import Schema
from reconcile.testing.apiserver.strategy import Kind

_STRUCT = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
_EXCERPT = 30
_NOTHING: Document = {}
Blame: TypeAlias = Callable[[Document], str]


def body(request: HttpRequest, kind: Kind) -> Document:
    """The document in a request to a kind; what it does not say about its kind is taken for granted.

    Raises:
        Failure: 413, 415, 400, or 501 for a form that this server does not read.
    """
    try:
        value = content.body(request, custom=kind.custom)
    except Failure as failure:
        if failure.code != 400:
            raise
        is_yaml = str(failure).startswith(("yaml: ", "json: unsupported"))
        why = str(failure) if is_yaml else f"couldn't get version/kind; json parse error: {failure}"
        raise _unrecognized(kind, why, request.body) from failure
    if value is None:
        value = {}
    if not isinstance(value, dict):
        why = f"couldn't get version/kind; json parse error: {misfit(value, _STRUCT)}"
        raise _unrecognized(kind, why, request.body)
    if kind.custom and not value.get("kind"):
        raise _unrecognized(
            kind, f"Object 'Kind' is missing in '{request.body.decode(errors='replace')}'", request.body
        )
    check_kind(kind, value)
    check_types(kind, value)
    return value


def options(request: HttpRequest) -> Document:
    """The options that come with a deletion; nothing if there is no body.

    Raises:
        Failure: 413, 415 or 400.
    """
    if not request.body:
        return {}
    try:
        value = content.body(request, custom=False)
    except Failure as failure:
        if failure.code != 400:
            raise
        raise bad_request(f"couldn't get version/kind; json parse error: {failure}") from failure
    if not isinstance(value, dict):
        raise bad_request(f"couldn't get version/kind; json parse error: {misfit(value, _STRUCT)}")
    name, version = value.get("kind") or "DeleteOptions", value.get("apiVersion") or "v1"
    if name != "DeleteOptions":
        raise bad_request(_unregistered(str(name), str(version)))
    return value


def _unregistered(kind: str, version: str) -> str:
    return f'no kind "{kind}" is registered for version "{version}" in scheme "pkg/runtime/scheme.go:111"'


def _unrecognized(kind: Kind, why: str, raw: bytes) -> Failure:
    text = f"the object provided is unrecognized (must be of type {kind.resource.kind}): {why} ({_excerpt(raw)})"
    return bad_request(text)


def _excerpt(raw: bytes) -> str:
    if not raw:
        return "<empty>"
    cut = " ..." if len(raw) > _EXCERPT else ""
    start = raw[:_EXCERPT]
    return (start.decode(errors="replace") if raw.startswith(b"{") else start.hex()) + cut


def check_kind(kind: Kind, document: Document) -> None:
    """See that a document is of the kind it was sent to.

    Raises:
        Failure: 400, or 422 for a custom resource.
    """
    version, name = document.get("apiVersion") or "", document.get("kind") or ""
    expected = kind.resource
    if not isinstance(version, str) or not isinstance(name, str):
        wrong = version if not isinstance(version, str) else name
        raise bad_request(f"couldn't get version/kind; json parse error: {misfit(wrong, 'string')}")
    if kind.custom and version and version != expected.api_version:
        raise bad_request(
            f"the API version in the data ({version}) does not match the expected API version ({expected.api_version})"
        )
    if kind.custom and name and name != expected.kind:
        raise wrong_kind(kind, document)
    if not kind.custom and (why := _kind_problem(kind, version, name)):
        in_version = (version or expected.version).rpartition("/")[2]
        raise _cannot_handle(kind, name or expected.kind, in_version, why)


def _kind_problem(kind: Kind, version: str, name: str) -> str:
    """What Go says of a body that is to become an object of a built-in kind; "" if it is one."""
    expected = kind.resource
    version, name = version or expected.api_version, name or expected.kind
    if (version, name) == (expected.api_version, expected.kind):
        return ""
    group, _, plain = version.rpartition("/")
    if (group, plain, name) not in published.definition_names():
        return _unregistered(name, version)
    return f"converting ({plain}.{name}) to ({expected.group or 'core'}.{expected.kind}): unknown conversion"


def _cannot_handle(kind: Kind, name: str, version: str, why: str) -> Failure:
    return bad_request(f'{name} in version "{version}" cannot be handled as a {kind.resource.kind}: {why}')


def check_types(kind: Kind, document: Document) -> None:
    """See that the fields of a document are of the types that its kind decodes them into.

    Raises:
        Failure: 400.
    """
    problem = type_problem(kind, document)
    if problem:
        raise _cannot_handle(kind, kind.resource.kind, kind.resource.version, problem)


def check_patched(kind: Kind, document: Document, live: Document, blame: Blame, *, converts: bool = False) -> None:
    """The same for what a patch made of a live document; ``blame`` says how the answer shows it.

    ``converts``: what came of the patch is converted, field by field, and never was JSON.

    Raises:
        Failure: 422, for the patch is to blame.
    """
    if converts:
        problem = _inconvertible(kind.schema, document) or type_problem(kind, document, live)
    else:
        problem = type_problem(kind, document, live)
    version, name = str(document.get("apiVersion") or ""), str(document.get("kind") or "")
    if not problem and not kind.custom and not converts:
        problem = _kind_problem(kind, version, name)
    if problem:
        raise _bad_patch(blame(document), problem)
    if kind.custom and (version, name) != (kind.resource.api_version, kind.resource.kind):
        raise wrong_kind(kind, document)


def _inconvertible(schema: Schema, value: Any) -> str:
    """The first value that Go cannot convert into the type of its field; "" if there is none."""
    if value is None or schema.rules.get("format") in (times.TIME, times.MICRO_TIME, "quantity", "int-or-string"):
        return ""
    if schema.type == "object":
        if not isinstance(value, dict):
            what = "struct from:" if schema.fields else "map from"
            return f"cannot restore {what} {_GO_NAMES.get(type(value), 'slice')}"
        children = ((schema.child(name), one) for name, one in value.items() if name != "metadata")
        return next((why for child, one in children if child is not None and (why := _inconvertible(child, one))), "")
    if schema.type == "array":
        if not isinstance(value, list):
            return f"cannot restore slice from {_GO_NAMES.get(type(value), 'map')}"
        return next(
            (why for one in value if schema.items is not None and (why := _inconvertible(schema.items, one))), ""
        )
    if (wanted := _GO_TYPES.get(schema.type)) is None or type(value) is wanted[1]:
        return ""
    name = "int64" if schema.rules.get("format") == "int64" else wanted[0]
    if (type(value), wanted[1]) not in _CONVERTIBLE:
        return f"unrecognized type: {name}"
    return f"cannot convert {_GO_NAMES[type(value)]} to {name}"


_CONVERTIBLE = {(int, str), (float, int)}
"""What Go could convert, but JSON does not mean."""
_GO_NAMES = {str: "string", bool: "bool", int: "int64", float: "float64", list: "slice", dict: "map"}


def _bad_patch(shown: str, problem: str) -> Failure:
    return invalid(GroupName("", ""), "", [invalid_value("patch", shown, problem)])


def blame_result(kind: Kind, document: Document) -> str:
    """What a JSON or merge patch led to, as the answer shows it."""
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS if kind.custom else 0).decode()


def wrong_kind(kind: Kind, document: Document) -> Failure:
    """The answer to a custom resource that says it is of another kind or version."""
    version, name = document.get("apiVersion") or "", document.get("kind") or ""
    faults = []
    if name != kind.resource.kind:
        faults.append(invalid_value("kind", name, f"must be {kind.resource.kind}"))
    if version != kind.resource.api_version:
        faults.append(invalid_value("apiVersion", version, f"must be {kind.resource.api_version}"))
    group = str(version).rpartition("/")[0]
    return invalid(GroupName(group, str(name)), (document.get("metadata") or {}).get("name") or "", faults)


def configuration(raw: bytes, *, strict: bool) -> Document:
    """The body of an apply.

    Raises:
        Failure: 413 or 400; a key that is set twice is one if ``strict``.
    """
    try:
        value = content.parse(raw, yaml=True)
    except Failure as failure:
        if failure.code != 400:
            raise
        raise bad_request(f"error decoding YAML: error converting YAML to JSON: {failure}") from failure
    if value is None:
        return {}
    if not isinstance(value, dict):
        why = misfit(value, "map[string]interface {}")
        raise bad_request(f"error decoding YAML: error unmarshaling JSON: while decoding JSON: {why}")
    if strict and (again := repeated(raw, of_yaml=True, strict=True)):
        raise bad_request(f"error strict decoding YAML: error converting YAML to JSON: {again[0]}")
    return value


def repeated(raw: bytes, *, of_yaml: bool, strict: bool) -> list[str]:
    """What is to be said of fields that a body sets twice."""
    if not of_yaml:
        return [f'duplicate field "{name}"' for name in twice(raw)]
    if _has_no_repeats(raw) or (_is_json(raw) and not twice(raw)):
        return []
    try:
        found = goyaml.load(raw)[1]
    except goyaml.BadYaml:
        return []
    return ["yaml: unmarshal errors:" + "".join(f"\n  {one}" for one in found)] if strict and found else found


def strict_failure(kind: Kind, problems: list[str], shown: str | None) -> Failure:
    """The answer to a body with fields too many, under strict validation; ``shown`` if a patch is to blame."""
    text = f"strict decoding error: {', '.join(problems)}"
    if shown is None:
        return _cannot_handle(kind, kind.resource.kind, kind.resource.version, text)
    return _bad_patch(shown, text)


def twice(raw: bytes) -> list[str]:
    """The fields that a JSON body sets more than once, as strict field validation names them; of YAML, none."""
    if _has_no_repeats(raw):
        return []
    found: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        document: dict[str, Any] = {}
        for name, value in items:
            if name in document:
                document.setdefault(_TWICE, []).append(name)
            document[name] = value
        return document

    def collect(value: Any, path: str) -> None:
        if isinstance(value, dict):
            found.extend(f"{path}.{name}" if path else name for name in value.pop(_TWICE, ()))
            for name, child in value.items():
                collect(child, f"{path}.{name}" if path else name)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                collect(item, f"{path}[{index}]")

    try:
        collect(json.loads(raw, object_pairs_hook=pairs), "")
    except (ValueError, RecursionError):
        return []
    return found


_TWICE = "\0"
_KEY_END = re.compile(rb'"\s*:')


def _is_json(raw: bytes) -> bool:
    try:
        orjson.loads(raw)
    except orjson.JSONDecodeError:
        return False
    return True


def _has_no_repeats(raw: bytes) -> bool:
    """Whether a body surely sets nothing twice: it has as many keys as what is made of it. Most are told so at once."""
    if b"\\" in raw:  # a string may look like a key
        return False
    try:
        return len(_KEY_END.findall(raw)) == orjson.dumps(orjson.loads(raw)).count(b'":')
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return False


def type_problem(kind: Kind, document: Document, known: Document = _NOTHING) -> str:
    """What Go's decoder would say of a document; "" if it takes it. Custom resources: of its metadata only.

    What it shares with ``known`` is taken to be good.
    """
    struct = "" if kind.custom else kind.resource.kind
    problem = shape_fault(document.get("metadata"), struct, known.get("metadata"))
    if not problem and not kind.custom:
        schema = kind.schema
        mistyped = going.type_problem(schema, document, known) if schema.go is not None else ""
        problem = mistyped or ("" if schema.go is not None else _mistyped(schema, document, kind.resource.kind, ""))
    return problem


def _mistyped(schema: Schema, value: Document, struct: str, path: str) -> str:
    """The first field below a struct that Go cannot decode."""
    for name, child in schema.fields.items():
        one = value.get(name)
        if name == "metadata" or one is None:
            continue
        problem = _misfit_of(child, one, f"{struct}.{path}{name}")
        if not problem and isinstance(one, dict) and child.fields:
            # Go names the struct that holds the field, and the path from the root
            problem = _mistyped(child, one, f"{struct}{name[0].upper()}{name[1:]}", f"{path}{name}.")
        if problem:
            return problem
    return ""


def _misfit_of(schema: Schema, value: Any, where: str) -> str:
    form = schema.rules.get("format", "")
    wanted = _GO_TYPES.get(schema.type)
    if wanted is not None and (not isinstance(value, wanted[1]) or (wanted[1] is int and isinstance(value, bool))):
        return misfit(value, wanted[0], where)
    if form in (times.TIME, times.MICRO_TIME):
        return times.problem(form, value)
    if schema.type == "object" and schema.rest is not None and schema.rest.type == "string":
        binary = schema.rest.rules.get("format") == "byte"
        if not isinstance(value, dict):
            return misfit(value, "map[string][]uint8" if binary else "map[string]string", where)
        wrong = next((text for text in value.values() if not isinstance(text, str) and text is not None), None)
        if wrong is not None:
            return misfit(wrong, "[]uint8" if binary else "string", where)
        return base64_problem(value) if binary else ""
    return ""


_GO_TYPES: dict[str, tuple[str, type]] = {
    "string": ("string", str),
    "boolean": ("bool", bool),
    "integer": ("int32", int),
}
