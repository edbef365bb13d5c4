"""CustomResourceDefinitions from files: read, and handed to a server as ``kubectl apply`` would.

What is wrong with one is told with its file, its place in the file and the field.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs
import orjson

from reconcile.kube.request import APPLY, HttpRequest
from reconcile.testing.apiserver.failure import Document

if TYPE_CHECKING:
    from reconcile.testing.apiserver.server import ApiServer

_ENDINGS: Final = (".yaml", ".yml", ".json")
_PATH: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_HEAD: Final = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
_MANAGER: Final = "reconcile-apiserver"


class BadDefinition(ValueError):
    """A definition that cannot be served: ``file``, ``document`` (from 1; 0: the whole file), ``field``, ``why``."""

    def __init__(self, file: Path, document: int, field: str, why: str) -> None:
        where = [str(file), *([f"document {document}"] if document else []), *([field] if field else [])]
        super().__init__(f"{', '.join(where)}: {why}")
        self.file = file
        self.document = document
        self.field = field


@attrs.frozen
class Definition:
    """One document, and where it stands."""

    file: Path
    number: int
    document: Document


def read(path: Path) -> list[Definition]:
    """The definitions in a file, or in the YAML and JSON files of a folder in the order of their names.

    Raises:
        BadDefinition: a file cannot be read, is no YAML, or has something else in it; a kustomization is passed over.
    """
    if path.is_dir():
        return [one for file in sorted(path.iterdir()) if file.suffix in _ENDINGS for one in _read(file)]
    return list(_read(path))


def _read(file: Path) -> Iterator[Definition]:
    import yaml

    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        documents = list(yaml.load_all(file.read_bytes(), Loader=loader))
    except OSError as error:
        raise BadDefinition(file, 0, "", error.strerror or str(error)) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise BadDefinition(file, 0, "", " ".join(str(error).split())) from error
    for number, document in enumerate(documents, 1):
        if document is None:
            continue
        if not isinstance(document, dict):
            raise BadDefinition(file, number, "", "it is no object")
        if document.get("kind") == "Kustomization":
            continue
        for name, wanted in _HEAD.items():
            if document.get(name) != wanted:
                raise BadDefinition(file, number, name, f"it is {document.get(name)!r} where {wanted} is needed")
        metadata = document.get("metadata")
        if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
            raise BadDefinition(file, number, "metadata.name", "it is missing")
        yield Definition(file, number, document)


async def install(server: "ApiServer", definitions: list[Definition]) -> None:
    """Let a server serve them; those that it has are brought to this state.

    Raises:
        BadDefinition: the server refuses one, with its reason.
    """
    for one in definitions:
        name = one.document["metadata"]["name"]
        query = (("fieldManager", _MANAGER), ("force", "true"), ("fieldValidation", "Strict"))
        headers = {"content-type": APPLY, "accept": "application/json", "user-agent": _MANAGER}
        try:
            body = orjson.dumps(one.document)
        except orjson.JSONEncodeError as error:  # dates without quotes
            raise BadDefinition(one.file, one.number, "", f"it is no JSON: {error}") from error
        answer = await server.answer(HttpRequest("PATCH", f"{_PATH}/{name}", query, headers, body))
        if answer.response.status >= 300:
            raise _refused(one, orjson.loads(answer.response.body))


def _refused(one: Definition, status: Document) -> BadDefinition:
    causes = (status.get("details") or {}).get("causes") or [{}]
    first = causes[0]
    return BadDefinition(one.file, one.number, first.get("field") or "", first.get("message") or status["message"])
