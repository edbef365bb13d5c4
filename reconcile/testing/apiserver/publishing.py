"""The OpenAPI documents of a server: what its kinds look like and which requests they take.

Version 3 has a page for each group and version; version 2 is all of them in one. Schemas of built-in kinds are
published data, those of others are written from their typed views; operations follow from each kind's entry in
discovery. There are no sentences but those a definition brought along. Pure. Source of forms and names: apiserver,
``endpoints/openapi``, and kube-openapi, ``builder3``.
"""

import functools
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import orjson

from reconcile.testing.apiserver import discovery, published
from reconcile.testing.apiserver.failure import Document
from reconcile.testing.apiserver.schema import DEDUCED, MISSING, OBJECT_META, UNTYPED, Schema
from reconcile.testing.apiserver.strategy import Kind

_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
_TITLE: Final = {"title": "Kubernetes", "version": "v1.36.3"}
_REFERENCE: Final = "#/components/schemas/"
_STRING: Final[Document] = {"type": "string", "uniqueItems": True}
_NUMBER: Final[Document] = {"type": "integer", "uniqueItems": True}
_FLAG: Final[Document] = {"type": "boolean", "uniqueItems": True}
_SELECTING: Final = {
    "continue": _STRING,
    "fieldSelector": _STRING,
    "labelSelector": _STRING,
    "limit": _NUMBER,
    "resourceVersion": _STRING,
    "resourceVersionMatch": _STRING,
    "sendInitialEvents": _FLAG,
    "shardSelector": _STRING,
    "timeoutSeconds": _NUMBER,
}
_LISTING: Final = {**_SELECTING, "allowWatchBookmarks": _FLAG, "watch": _FLAG}
_WRITING: Final = {"dryRun": _STRING, "fieldManager": _STRING, "fieldValidation": _STRING}
_DELETING: Final = {
    "dryRun": _STRING,
    "gracePeriodSeconds": _NUMBER,
    "ignoreStoreReadErrorWithClusterBreakingPotential": _FLAG,
    "orphanDependents": _FLAG,
    "propagationPolicy": _STRING,
}
_SAID: Final = {"200": "OK", "201": "Created", "202": "Accepted", "401": "Unauthorized"}
_TYPED: Final = ("application/json", "application/vnd.kubernetes.protobuf", "application/yaml")
_CUSTOM: Final = ("application/json", "application/yaml")
_PATCHES: Final = tuple(f"application/{name}" for name in ("apply-patch+yaml", "json-patch+json", "merge-patch+json"))
_STRATEGIC: Final = "application/strategic-merge-patch+json"


def group_versions(kinds: Iterable[Kind]) -> dict[str, list[Kind]]:
    """The kinds by the name of the page that tells of them: ``api/v1``, ``apis/apps/v1``."""
    pages: dict[str, list[Kind]] = {}
    for kind in kinds:
        resource = kind.resource
        group = f"apis/{resource.group}" if resource.group else "api"
        pages.setdefault(f"{group}/{resource.version}", []).append(kind)
    return dict(sorted(pages.items()))


def index(kinds: Iterable[Kind]) -> Document:
    """``/openapi/v3``: where each page is; its address changes with what it says."""
    urls = {
        name: f"/openapi/v3/{name}?hash={digest(page(tuple(found)))}" for name, found in group_versions(kinds).items()
    }
    return {"paths": {name: {"serverRelativeURL": url} for name, url in urls.items()}}


@functools.lru_cache(maxsize=64)
def digest(raw: bytes) -> str:
    """By which a page is told from another state of it."""
    return hashlib.sha512(raw).hexdigest().upper()


@functools.lru_cache(maxsize=64)
def page(kinds: tuple[Kind, ...]) -> bytes:
    """The document of one group and version."""
    paths: Document = {}
    for kind in sorted(kinds, key=lambda one: one.resource.plural):
        paths |= _paths(kind)
    schemas: Document = {}
    for kind in kinds:
        for name in definitions_of(kind):
            _collect(name, kind, schemas)
    for name in list(dict.fromkeys(_references(paths))):
        _collect(name, kinds[0], schemas)
    for name in (f"{_META}DeleteOptions", f"{_META}WatchEvent"):
        if name in schemas:
            own = {**_gvk(kinds[0], name.rpartition(".")[2])}
            schemas[name] = {**schemas[name], "x-kubernetes-group-version-kind": _with_core(own)}
    document = {
        "openapi": "3.0.0",
        "info": _TITLE,
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": dict(sorted(schemas.items())), "securitySchemes": _SECURITY},
    }
    return orjson.dumps(document)


_SECURITY: Final = {"BearerToken": {"type": "apiKey", "name": "authorization", "in": "header"}}


# -- schemas -------------------------------------------------------------------------------------------------------


def definition_of(kind: Kind) -> str:
    """The name of the schema of a kind."""
    resource = kind.resource
    known = published.definition_names().get((resource.group, resource.version, resource.kind))
    if known is not None and published.entry(resource) is not None:
        return known
    return ".".join((*reversed(resource.group.split(".")), resource.version, resource.kind))


def definitions_of(kind: Kind) -> Iterator[str]:
    """The names of the schemas that operations of a kind mention."""
    name = definition_of(kind)
    yield name
    if "list" in kind.strategy.verbs:
        yield f"{name}List"
    for one in discovery.entry_of(kind).get("subresources", ()):
        shown = one["responseKind"]
        found = published.definition_names().get((shown["group"], shown["version"], shown["kind"]))
        if found:
            yield found


def _collect(name: str, kind: Kind, into: Document) -> None:
    """Take in a definition and all that it refers to."""
    if name in into:
        return
    found = published.definitions().get(name)
    if found is not None:
        made = {key: value for key, value in found.items() if key != "x-go"}
    elif name == definition_of(kind):
        made = _custom_definition(kind)
    elif name == f"{definition_of(kind)}List":
        made = _custom_list(kind)
    else:
        return
    into[name] = made
    for reference in _references(made):
        _collect(reference, kind, into)


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str):
            yield reference.removeprefix(_REFERENCE)
        for child in value.values():
            yield from _references(child)
    elif isinstance(value, list):
        for child in value:
            yield from _references(child)


def _gvk(kind: Kind, name: str = "") -> Document:
    resource = kind.resource
    return {"group": resource.group, "version": resource.version, "kind": name or resource.kind}


def _metadata(name: str) -> Document:
    return {"allOf": [{"$ref": f"{_REFERENCE}{_META}{name}"}]}


def _custom_definition(kind: Kind) -> Document:
    document = described(kind.schema)
    properties = document.get("properties", {})
    head = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": _metadata("ObjectMeta")}
    return {
        **document,
        "type": "object",
        "properties": {**properties, **head},
        "x-kubernetes-group-version-kind": [_gvk(kind)],
    }


def _custom_list(kind: Kind) -> Document:
    properties = {
        "apiVersion": {"type": "string"},
        "items": {"type": "array", "items": {"$ref": _REFERENCE + definition_of(kind)}},
        "kind": {"type": "string"},
        "metadata": _metadata("ListMeta"),
    }
    gvk = [_gvk(kind, kind.list_kind)]
    return {"type": "object", "required": ["items"], "properties": properties, "x-kubernetes-group-version-kind": gvk}


def described(schema: Schema) -> Document:
    """A typed view as the document it was read from, with what its extensions imply."""
    if schema in (UNTYPED, DEDUCED):
        return {}
    if schema is OBJECT_META:
        return _metadata("ObjectMeta")
    found: Document = dict(schema.rules)
    if schema.type:
        found["type"] = schema.type
    if schema.fields:
        found["properties"] = {name: described(child) for name, child in schema.fields.items()}
    if schema.lists_rest and schema.rest is not None:
        found["additionalProperties"] = described(schema.rest) if schema.rest_is_typed else True
    if schema.items not in (None, UNTYPED):
        assert schema.items is not None
        found["items"] = described(schema.items)
    elif schema.type == "array":
        found["items"] = {}
    if schema.default is not MISSING:
        found["default"] = schema.default
    if schema.nullable:
        found["nullable"] = True
    for name, several in (("anyOf", schema.any_of), ("oneOf", schema.one_of), ("allOf", schema.all_of)):
        if several:
            found[name] = [described(one) for one in several]
    if schema.int_or_string:
        found.setdefault("anyOf", [{"type": "integer"}, {"type": "string"}])
    if schema.embedded:
        found["required"] = list(dict.fromkeys((*found.get("required", ()), "kind", "apiVersion")))
    if schema.not_ is not None:
        found["not"] = described(schema.not_)
    return found


def _with_core(gvk: Document) -> list[Document]:
    core = {**gvk, "group": "", "version": "v1"}
    return [core] if gvk == core else [core, gvk]


# -- operations ----------------------------------------------------------------------------------------------------


def _paths(kind: Kind) -> Document:
    """The paths of a kind, each with what may be asked there."""
    resource = kind.resource
    entry = discovery.entry_of(kind)
    verbs = set(entry["verbs"])
    root = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    base = f"{root}/namespaces/{{namespace}}/{resource.plural}" if resource.namespaced else f"{root}/{resource.plural}"
    whole = definition_of(kind)
    scope = "Namespaced" if resource.namespaced else ""
    found: Document = {}
    if resource.namespaced and "list" in verbs:
        everywhere = _operation(kind, "list", f"{resource.kind}ForAllNamespaces", f"{whole}List", _LISTING)
        found[f"{root}/{resource.plural}"] = _path({"get": everywhere}, kind, ())
    places = ("namespace",) if resource.namespaced else ()
    collection: Document = {}
    if "list" in verbs:
        collection["get"] = _operation(kind, "list", f"{scope}{resource.kind}", f"{whole}List", _LISTING)
    if "create" in verbs:
        collection["post"] = _operation(kind, "create", f"{scope}{resource.kind}", whole, _WRITING)
    if "deletecollection" in verbs:
        parameters = {**_SELECTING, **_DELETING}
        name = f"Collection{scope}{resource.kind}"
        collection["delete"] = _operation(kind, "delete", name, f"{_META}Status", parameters, action="deletecollection")
    if collection:
        found[base] = _path(collection, kind, places)
    one = _object_operations(kind, verbs, f"{scope}{resource.kind}", whole)
    if one:
        found[f"{base}/{{name}}"] = _path(one, kind, ("name", *places))
    for sub in entry.get("subresources", ()):
        shown = sub["responseKind"]
        gvk = {**shown, "version": shown["version"] or resource.version, "group": shown["group"] or resource.group}
        known = published.definition_names().get((gvk["group"], gvk["version"], gvk["kind"]), whole)
        name = f"{scope}{resource.kind}{sub['subresource'][0].upper()}{sub['subresource'][1:]}"
        operations = _object_operations(kind, set(sub["verbs"]), name, known, gvk)
        if sub["subresource"] in _NOT_SERVED:
            continue
        if "create" in sub["verbs"]:
            operations["post"] = _operation(kind, "create", name, known, _WRITING, gvk=gvk)
        if operations:
            found[f"{base}/{{name}}/{sub['subresource']}"] = _path(operations, kind, ("name", *places))
    return found


def _object_operations(
    kind: Kind, verbs: set[str], name: str, schema: str, gvk: Document | None = None
) -> dict[str, Document]:
    found = {}
    if "get" in verbs:
        found["get"] = _operation(kind, "read", name, schema, {}, gvk=gvk)
    if "update" in verbs:
        found["put"] = _operation(kind, "replace", name, schema, _WRITING, gvk=gvk)
    if "delete" in verbs:
        answer = schema if kind.strategy.returns_deleted else f"{_META}Status"
        found["delete"] = _operation(kind, "delete", name, answer, _DELETING)
    if "patch" in verbs:
        found["patch"] = _operation(kind, "patch", name, schema, {**_WRITING, "force": _FLAG}, gvk=gvk)
    return found


_NOT_SERVED: Final = ("attach", "exec", "log", "portforward", "proxy")
_ACTIONS: Final = {"read": "get", "replace": "put", "create": "post"}
_CODES: Final = {
    "create": ("200", "201", "202", "401"),
    "replace": ("200", "201", "401"),
    "patch": ("200", "201", "401"),
    "delete": ("200", "202", "401"),
}


def _operation(
    kind: Kind,
    verb: str,
    name: str,
    schema: str,
    parameters: Mapping[str, Document],
    *,
    action: str = "",
    gvk: Document | None = None,
) -> Document:
    group, tag = _group_names(kind)
    version = kind.resource.version.capitalize()
    media = _CUSTOM if kind.custom else _TYPED
    shown = tuple(f"{one};stream=watch" for one in media if "yaml" not in one) if verb == "list" else ()
    codes = ("200", "401") if action else _CODES.get(verb, ("200", "401"))
    content = {one: {"schema": {"$ref": _REFERENCE + schema}} for one in sorted((*media, *shown))}
    found: Document = {
        "tags": [tag],
        "operationId": f"{verb}{group}{version}{name}",
        "parameters": [_parameter(one, form) for one, form in sorted(parameters.items())],
        "responses": {
            code: {"description": _SAID[code], **({"content": content} if code != "401" else {})} for code in codes
        },
        "x-kubernetes-action": action or _ACTIONS.get(verb, verb),
        "x-kubernetes-group-version-kind": gvk or _gvk(kind),
    }
    if verb in ("create", "replace"):
        body = {"$ref": _REFERENCE + schema}
        found["requestBody"] = {"content": {"*/*": {"schema": body}}, "required": True}
    elif verb == "patch":
        patches = sorted((*_PATCHES, *(() if kind.custom else (_STRATEGIC,))))
        body = {"$ref": f"{_REFERENCE}{_META}Patch"}
        found["requestBody"] = {"content": {one: {"schema": body} for one in patches}, "required": True}
    elif verb == "delete":
        body = {"$ref": f"{_REFERENCE}{_META}DeleteOptions"}
        found["requestBody"] = {"content": {"*/*": {"schema": body}}}
    return found


def _group_names(kind: Kind) -> tuple[str, str]:
    """How a group is called in operations and in tags."""
    resource = kind.resource
    first, *rest = (resource.group.removesuffix(".k8s.io") or "core").split(".")
    whole = first + "".join(part[:1].upper() + part[1:] for part in rest)
    return whole[:1].upper() + whole[1:], f"{whole}_{resource.version}"


def _parameter(name: str, form: Document, place: str = "query") -> Document:
    required = {"required": True} if place == "path" else {}
    return {"name": name, "in": place, **required, "schema": form}


def _path(operations: dict[str, Document], kind: Kind, places: tuple[str, ...]) -> Document:
    """The operations of a path; what all of them take stands beside them."""
    shared = list(next(iter(operations.values()))["parameters"])
    for operation in operations.values():
        shared = [one for one in shared if one in operation["parameters"]]
    for operation in operations.values():
        operation["parameters"] = [one for one in operation["parameters"] if one not in shared]
        if not operation["parameters"]:
            del operation["parameters"]
    in_path = [_parameter(name, _STRING, "path") for name in places]
    common = [*shared, *in_path, _parameter("pretty", _STRING)]
    return {**operations, "parameters": sorted(common, key=lambda one: str(one["name"]))}
