"""What Kubernetes publishes about its own kinds: schemas, discovery, the columns of tables.

One packed file, read whole on first use (a few milliseconds) and once in a process; the schema of a kind is built when
somebody asks for it. The file is made by ``tools/schemas.py`` from a real server: structure without sentences. Pure but
for that one read.
"""

import functools
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from reconcile.kube.resource import Resource
from reconcile.testing.apiserver.failure import Document
from reconcile.testing.apiserver.openapi import GoReader
from reconcile.testing.apiserver.schema import Schema, with_head

DATA: Final = Path(__file__).parent / "data" / "published.json.z"


@functools.cache
def _data() -> Mapping[str, Any]:
    found: Mapping[str, Any] = orjson.loads(zlib.decompress(DATA.read_bytes()))
    return found


def version() -> Document:
    """``/version`` of the release."""
    return dict(_data()["version"])


def groups() -> list[Document]:
    """The groups in the order of discovery, each with its versions and their resources."""
    return _data()["groups"]  # type: ignore[no-any-return]


@functools.cache
def _entries() -> Mapping[tuple[str, str, str], Document]:
    return {
        (group["name"], version["version"], one["resource"]): one
        for group in groups()
        for version in group["versions"]
        for one in version["resources"]
    }


def entry(resource: Resource[Any]) -> Document | None:
    """A resource as aggregated discovery lists it; ``None``: it is not one of Kubernetes."""
    return _entries().get((resource.group, resource.version, resource.plural))


def definitions() -> Mapping[str, Document]:
    """Schemas by name, as OpenAPI v3 has them; ``x-go`` holds what only the Go types say."""
    return _data()["definitions"]  # type: ignore[no-any-return]


def columns(kind: str, group: str) -> list[Document] | None:
    """The columns of a kind's tables; ``None``: it has the common ones."""
    return _data()["columns"].get(f"{kind}.{group}" if group else kind)  # type: ignore[no-any-return]


@functools.cache
def definition_names() -> Mapping[tuple[str, str, str], str]:
    """Which schema is that of a kind, by group, version and kind."""
    return {
        (one["group"], one["version"], one["kind"]): name
        for name, schema in definitions().items()
        for one in schema.get("x-kubernetes-group-version-kind", ())
    }


_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
_OPTIONS: Final = ("CreateOptions", "DeleteOptions", "GetOptions", "ListOptions", "PatchOptions", "UpdateOptions")


def definition(api_version: str, kind: str) -> str:
    """The name of the schema of what says it is of this version and kind; "" if there is none."""
    group, _, version = api_version.rpartition("/")
    if group == "meta.k8s.io" or kind in _OPTIONS:
        return _META + kind
    return definition_names().get((group, version, kind), "")


@functools.cache
def _reader() -> GoReader:
    return GoReader(definitions())


@functools.cache
def schema(name: str) -> Schema:
    """The typed view of a kind."""
    return with_head(_reader().named(name))
