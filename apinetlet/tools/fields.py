"""Which fields of a kind we read or write, and which of them a server knows.

Needed is what our class of the kind has and the definitions that come with us have, too: the generations differ in some
fields. A path goes through lists without saying so: ``spec.ports.port``. Pure, but for reading our own definitions.
"""

import importlib.resources
import types
import typing
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from typing import Any, TypeAlias

import attrs
import yaml

from apinetlet.api import Generation
from reconcile import ObjectMeta, Resource
from reconcile.kube.encoding import wire_name

Schema: TypeAlias = Mapping[str, Any]
"""A schema of OpenAPI 3."""


def needed(resource: Resource[Any], generation: Generation) -> tuple[str, ...]:
    """The paths of ``resource`` that we know of, and that its generation has."""
    ours = tuple(_of_class(resource.type))
    known = definitions(generation.name, resource.group).get(resource.plural)
    return ours if known is None else tuple(path for path in ours if has(known, path.split("."), {}))


def lacking(resource: Resource[Any], generation: Generation, document: Schema) -> tuple[str, ...]:
    """Which of the needed paths a server lacks, by its OpenAPI document of the group."""
    components = (document.get("components") or {}).get("schemas") or {}
    wanted = (resource.group, resource.version, resource.kind)
    schema = next((one for one in components.values() if wanted in _kinds(one)), None)
    if schema is None:
        return ()
    missing = [path for path in needed(resource, generation) if not has(schema, path.split("."), components)]
    # what hangs below a field that is missing goes without saying
    return tuple(path for path in missing if not any(path.startswith(f"{other}.") for other in missing))


def has(schema: Schema, path: Collection[str], components: Schema) -> bool:
    """Whether a schema has a field; one that takes any field has it."""
    schema = _resolved(schema, components)
    if not path:
        return True
    if "items" in schema:
        return has(schema["items"], path, components)
    if schema.get("additionalProperties") or schema.get("x-kubernetes-preserve-unknown-fields"):
        return True
    first, *rest = path
    inside = schema.get("properties") or {}
    return first in inside and has(inside[first], rest, components)


@cache
def definitions(generation: str, group: str) -> Mapping[str, Schema]:
    """The schemas that come with us, by plural; empty for a group that we have no definitions of."""
    file = importlib.resources.files("apinetlet").joinpath("crds", generation, f"{group}.yaml")
    if not file.is_file():
        return {}
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found = yaml.load_all(file.read_text(encoding="utf-8"), Loader=loader)
    return {one["spec"]["names"]["plural"]: one["spec"]["versions"][0]["schema"]["openAPIV3Schema"] for one in found}


def _resolved(schema: Schema, components: Schema) -> Schema:
    for one in (schema, *schema.get("allOf", ())):
        if reference := one.get("$ref"):
            return _resolved(components.get(str(reference).rpartition("/")[2]) or {}, components)
    return schema


def _kinds(schema: Schema) -> list[tuple[str, str, str]]:
    found = schema.get("x-kubernetes-group-version-kind") or ()
    return [(one.get("group", ""), one.get("version", ""), one.get("kind", "")) for one in found]


def _of_class(kind: type[Any], seen: tuple[type[Any], ...] = ()) -> Iterator[str]:
    if not attrs.has(kind) or kind in seen:
        return
    hints = typing.get_type_hints(kind)
    for field in attrs.fields(kind):
        inner = _inner(hints[field.name])
        if inner is ObjectMeta:
            continue
        yield (name := wire_name(field))
        yield from (f"{name}.{below}" for below in _of_class(inner, (*seen, kind)))


def _inner(hint: Any) -> Any:
    """The class in an optional one, or in a list."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) in (typing.Union, tuple):
        inner = [one for one in typing.get_args(hint) if one not in (type(None), Ellipsis)]
        return _inner(inner[0]) if inner else object
    return hint if isinstance(hint, type) else object
