"""OpenAPI version 2: all pages of version 3 in one document, in the older words.

Pure. Source of the differences: kube-openapi, ``builder`` beside ``builder3``.
"""

import functools
from typing import Any, Final

import orjson

from reconcile.testing.apiserver import publishing
from reconcile.testing.apiserver.failure import Document
from reconcile.testing.apiserver.strategy import Kind

_OLD: Final = "#/definitions/"
_NEW: Final = "#/components/schemas/"
_UNKNOWN: Final = ("nullable", "anyOf", "oneOf", "not")
"""Words that version 2 has not."""


@functools.lru_cache(maxsize=8)
def document(kinds: tuple[Kind, ...]) -> bytes:
    """``/openapi/v2``."""
    paths: Document = {}
    definitions: Document = {}
    for found in publishing.group_versions(kinds).values():
        page = orjson.loads(publishing.page(tuple(found)))
        paths |= {path: _path(one) for path, one in page["paths"].items()}
        definitions |= {name: schema(one) for name, one in page["components"]["schemas"].items()}
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


def schema(value: Any) -> Any:
    """A schema in the older words: references lie elsewhere and stand alone, defaults are not told."""
    if isinstance(value, list):
        return [schema(one) for one in value]
    if not isinstance(value, dict):
        return value
    parts = value.get("allOf", ())
    if len(parts) == 1 and "$ref" in parts[0]:
        return {"$ref": parts[0]["$ref"].replace(_NEW, _OLD)}
    if isinstance(value.get("$ref"), str):
        return {"$ref": value["$ref"].replace(_NEW, _OLD)}
    found = {}
    for name, one in value.items():
        if name == "properties":
            found[name] = {field: schema(child) for field, child in one.items()}
        elif name == "default":
            if not _is_zero(one):
                found[name] = one
        elif name not in _UNKNOWN and not (name == "allOf" and one):
            found[name] = schema(one)
    return found


def _is_zero(value: Any) -> bool:
    return value in ("", 0, False, {}, [])


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
