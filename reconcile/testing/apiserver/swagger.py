"""OpenAPI version 2: all pages of version 3 in one document, in the older words.

Pure. Source of the differences: kube-openapi, ``builder`` beside ``builder3``.
"""

import functools
from collections.abc import Callable
from typing import Final

import orjson

from reconcile.testing.apiserver import published, publishing
from reconcile.testing.apiserver.failure import Document
from reconcile.testing.apiserver.strategy import Kind

_OLD: Final = "#/definitions/"
_NEW: Final = "#/components/schemas/"
_UNKNOWN: Final = ("nullable", "default", "allOf", "anyOf", "oneOf", "not")
"""Words that version 2 has not, or that are not told in it."""
_HIDDEN: Final = {"type", "properties", "items"}
_OPEN: Final = "x-kubernetes-preserve-unknown-fields"


@functools.lru_cache(maxsize=8)
def document(kinds: tuple[Kind, ...]) -> bytes:
    """``/openapi/v2``."""
    paths: Document = {}
    definitions: Document = {}
    for found in publishing.group_versions(kinds).values():
        page = orjson.loads(publishing.page(tuple(found)))
        paths |= {path: _path(one) for path, one in page["paths"].items()}
        definitions |= {name: definition(name, one) for name, one in page["components"]["schemas"].items()}
    return orjson.dumps(
        {
            "swagger": "2.0",
            "info": {"title": "Kubernetes", "version": "v1.36.3"},
            "paths": dict(sorted(paths.items())),
            "definitions": dict(sorted(definitions.items())),
            "securityDefinitions": {"BearerToken": {"type": "apiKey", "name": "authorization", "in": "header"}},
            "security": [{"BearerToken": []}],
        }
    )


def definition(name: str, value: Document) -> Document:
    """A schema that others refer to."""
    if name in published.definitions():
        # what may be one of several is told as the text that each of them may be written as
        return {**schema(value), "type": "string"} if "oneOf" in value else schema(value)
    if value.get(_OPEN):
        return {word: one for word, one in schema(value).items() if word not in (_OPEN, "properties")}
    return schema(_lenient(value))


def _lenient(value: Document) -> Document:
    """A custom schema that says of what may be null, or anything, neither type nor parts: kubectl would refuse what the
    server takes."""
    is_free = value.get("nullable") or value.get(_OPEN)
    hidden = {"required", *_HIDDEN} if value.get("x-kubernetes-embedded-resource") else _HIDDEN
    return _below({word: one for word, one in value.items() if not (is_free and word in hidden)}, _lenient)


def schema(value: Document) -> Document:
    """A schema in the older words: references lie elsewhere, with nothing but extensions beside them, and defaults are
    not told."""
    parts = value.get("allOf", ())
    reference = parts[0] if len(parts) == 1 and "$ref" in parts[0] else value
    if "$ref" in reference:
        extensions = {word: one for word, one in value.items() if word.startswith("x-")}
        return {"$ref": reference["$ref"].replace(_NEW, _OLD), **extensions}
    return _below({word: one for word, one in value.items() if word not in _UNKNOWN}, schema)


def _below(value: Document, change: Callable[[Document], Document]) -> Document:
    """A schema whose parts are changed."""
    found = dict(value)
    for word in ("items", "additionalProperties"):
        if isinstance(one := found.get(word), dict):
            found[word] = change(one)
    if "properties" in found:
        found["properties"] = {name: change(one) for name, one in found["properties"].items()}
    return found


def _path(path: Document) -> Document:
    return {
        name: [_parameter(one) for one in found] if name == "parameters" else _operation(found)
        for name, found in path.items()
    }


def _parameter(parameter: Document) -> Document:
    return {**{name: one for name, one in parameter.items() if name != "schema"}, **parameter["schema"]}


def _operation(operation: Document) -> Document:
    found = {name: one for name, one in operation.items() if name not in ("requestBody", "responses", "parameters")}
    parameters = [_parameter(one) for one in operation.get("parameters", ())]
    body = operation.get("requestBody")
    if body is not None:
        form = schema(next(iter(body["content"].values()))["schema"])
        required = {"required": True} if body.get("required") else {}
        parameters.insert(0, {"name": "body", "in": "body", **required, "schema": form})
        found["consumes"] = list(body["content"])
    if parameters:
        found["parameters"] = parameters
    found["schemes"] = ["https"]
    found["responses"] = {}
    for code, response in operation["responses"].items():
        content = response.get("content")
        shown = {"schema": schema(next(iter(content.values()))["schema"])} if content else {}
        if content:
            found["produces"] = list(content)
        found["responses"][code] = {"description": response["description"], **shown}
    return found
