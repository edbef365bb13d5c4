"""Conversion of custom resources by a webhook.

What was converted once is remembered by its contents, so that a step that is run again finds it. Pure; what is not
known yet raises ``Pending``. Source of rules and texts: apiextensions-apiserver, ``apiserver/conversion``.
"""

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

import attrs
import orjson

from reconcile.testing.apiserver.asking import Answer, Pending, Question, Target
from reconcile.testing.apiserver.calling import target_of
from reconcile.testing.apiserver.failure import Document, Failure
from reconcile.testing.apiserver.versions import Converter, relabelled

if TYPE_CHECKING:
    from reconcile.testing.apiserver.strategy import Kind

REVIEW: Final = "apiextensions.k8s.io/v1"
_REMEMBERED: Final = 50_000
"""Objects."""
_OWN: Final = ("labels", "annotations")
"""What of its metadata a conversion may change."""


def converter_of(definition: Document) -> Converter:
    """The conversion that a definition wants."""
    conversion = definition["spec"].get("conversion") or {}
    if conversion.get("strategy") != "Webhook":
        return relabelled
    target = target_of(conversion["webhook"]["clientConfig"], 30.0)
    kind = definition["spec"]["names"]["kind"]
    return WebhookConverter(target, kind)


def asks(kind: "Kind") -> bool:
    """Whether objects of a kind are converted by somebody else."""
    return kind.family is not None and kind.family.converter is not relabelled


@attrs.define(eq=False)
class WebhookConverter:
    """One webhook that converts."""

    target: Target
    kind: str
    _known: OrderedDict[bytes, Document | Failure] = attrs.field(factory=OrderedDict, init=False)

    def __call__(self, documents: list[Document], api_version: str) -> list[Document]:
        """Documents in another version, their metadata kept but for labels and annotations.

        Raises:
            Pending: some were not converted yet.
            Failure: 500: the webhook could not, in the words of the real server.
        """
        bare = [_bare(document) for document in documents]
        keys = [_key(one, api_version) for one in bare]
        missing = {key: one for key, one in zip(keys, bare, strict=True) if key not in self._known}
        if missing:
            raise Pending([self._question(missing, api_version)])
        results = []
        for key, document in zip(keys, documents, strict=True):
            found = self._known[key]
            if isinstance(found, Failure):
                # the next one may have more luck
                del self._known[key]
                raise found
            results.append(_with_metadata(found, document))
        return results

    def _question(self, missing: dict[bytes, Document], api_version: str) -> Question:
        objects = list(missing.values())
        body = {
            "kind": "ConversionReview",
            "apiVersion": REVIEW,
            "request": {"desiredAPIVersion": api_version, "objects": objects},
        }

        def keep(question: Question, answer: Answer) -> None:
            try:
                found: list[Any] = _converted(answer, objects, api_version)
            except _Malformed as error:
                group, _, version = objects[0]["apiVersion"].rpartition("/")
                what = f"conversion webhook for {group}/{version}, Kind={self.kind}"
                found = [Failure(500, "", f"{what} {error}")] * len(objects)
            self._known.update(zip(missing, found, strict=True))
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)

        return Question(self.target, body, keep=keep)


class _Malformed(Exception):
    """An answer that is of no use."""


def _bare(document: Document) -> Document:
    metadata = {name: one for name, one in document["metadata"].items() if name != "resourceVersion"}
    return {**document, "metadata": metadata}


def _key(document: Document, api_version: str) -> bytes:
    raw = orjson.dumps([api_version, document], option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(raw, digest_size=16).digest()


def _converted(answer: Answer, objects: list[Document], api_version: str) -> list[Document]:
    if answer.error:
        raise _Malformed(f"failed: {answer.error}")
    body = answer.body if isinstance(answer.body, dict) else {}
    if (body.get("apiVersion"), body.get("kind")) != (REVIEW, "ConversionReview"):
        group, _, version = str(body.get("apiVersion") or "").rpartition("/")
        got = f"{group}/{version}, Kind={body.get('kind') or ''}"
        raise _Malformed(f"failed: expected webhook response of {REVIEW}, Kind=ConversionReview, got {got}")
    response = body.get("response")
    if not isinstance(response, dict):
        raise _Malformed("failed: no response provided")
    if response.get("uid") != answer.id:
        raise _Malformed(f'failed: expected response.uid="{answer.id}", got "{response.get("uid") or ""}"')
    result = response.get("result") or {}
    if result.get("status") != "Success":
        says = result.get("message") or f"response.result.status was '{result.get('status') or ''}', not 'Success'"
        raise _Malformed(f"failed: {says}")
    found = response.get("convertedObjects") or []
    if len(found) != len(objects):
        raise _Malformed(f"returned {len(found)} objects, expected {len(objects)}")
    for index, (one, was) in enumerate(zip(found, objects, strict=True)):
        wrong = f"returned invalid converted object at index {index}"
        if one.get("apiVersion") != api_version:
            says = f"invalid groupVersion (expected {api_version}, received {one.get('apiVersion')})"
            raise _Malformed(f"{wrong}: {says}")
        if one.get("kind") != was["kind"]:
            raise _Malformed(f"{wrong}: invalid kind (expected {was['kind']}, received {one.get('kind')})")
    return found


def _with_metadata(found: Document, document: Document) -> Document:
    theirs = found.get("metadata") or {}
    metadata = {name: one for name, one in document["metadata"].items() if name not in _OWN}
    metadata |= {name: theirs[name] for name in _OWN if theirs.get(name)}
    return {**found, "metadata": metadata}
