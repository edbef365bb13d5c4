"""The form an answer goes out in: as tables, in YAML, in protobuf.

Everything inside makes whole objects in JSON; what a client asked for besides is made of them here, on the way out.
Pure but for the time, which ages in tables need. Source: apiserver, ``endpoints/handlers/response.go``.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import orjson

from reconcile.kube.request import HttpRequest, HttpResponse
from reconcile.testing.apiserver import content
from reconcile.testing.apiserver.content import JSON, PROTOBUF, YAML, Form, Wanted
from reconcile.testing.apiserver.failure import Document, Failure
from reconcile.testing.apiserver.remembering import remembered
from reconcile.testing.apiserver.strategy import Kind


@attrs.define
class Shape:
    """How one answer is to look."""

    kind: Kind
    wanted: Wanted
    include: str
    """What of an object goes with its row: None, Metadata or Object."""
    now: Callable[[], dt.datetime]
    _began: bool = False

    @property
    def stream_headers(self) -> Mapping[str, str]:
        """Of a watch."""
        return {"content-type": PROTOBUF + ";stream=watch" if self.wanted.media == PROTOBUF else self.wanted.media}

    def whole(self, response: HttpResponse) -> HttpResponse:
        """An answer that is all there."""
        if response.headers.get("content-type") != JSON:
            return response
        document = orjson.loads(response.body)
        if self.wanted.form is Form.TABLE and response.status < 300:
            document = self._table(document, headed=True)
        headers = {**response.headers, "content-type": self.wanted.media}
        return attrs.evolve(response, headers=headers, body=_encoded(document, self.wanted.media))

    def lines(self, chunk: bytes) -> bytes:
        """Lines of a watch."""
        return b"".join(map(self._line, chunk.splitlines()))

    def _line(self, line: bytes) -> bytes:
        if self.wanted.media == PROTOBUF:
            return _frame(line)
        event = orjson.loads(line)
        if event["type"] != "ERROR" and self.wanted.form is Form.TABLE:
            event["object"] = self._table(event["object"], headed=not self._began)
            self._began = True
        return orjson.dumps(event) + b"\n"

    def _table(self, document: Document, *, headed: bool) -> Document:
        from reconcile.testing.apiserver import table

        return table.of(self.kind, document, self.now(), include=self.include, headed=headed)


def shape(request: HttpRequest, kind: Kind, now: Callable[[], dt.datetime]) -> Shape | None:
    """How an answer is to look; ``None``: as it is."""
    try:
        wanted = content.wanted(request, custom=kind.custom)
    except Failure:
        wanted = Wanted(content.media_of_refusals(request))
    if wanted.media == JSON and wanted.form is not Form.TABLE:
        return None
    return Shape(kind, wanted, request.get("includeObject", "Metadata") or "Metadata", now)


def _encoded(document: Any, media: str) -> bytes:
    if media == YAML:
        import yaml

        dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
        text: str = yaml.dump(document, Dumper=dumper, sort_keys=True, allow_unicode=True)
        return text.encode()
    if media == PROTOBUF:
        return _sealed(document)
    return orjson.dumps(document)


def _sealed(document: Document) -> bytes:
    from reconcile.testing.apiserver import published, wire

    return wire.sealed(document, published.definition(document["apiVersion"], document["kind"]))


@remembered(1024, of=len, most=1 << 15)
def _frame(line: bytes) -> bytes:
    """One event; kept for a while, as many may watch the same."""
    from reconcile.testing.apiserver import wire

    event = orjson.loads(line)
    return wire.frame(event["type"], _sealed(event["object"]))
