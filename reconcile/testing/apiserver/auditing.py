"""The audit log: who asked for what and how that was answered, a line each, in the real server's format.

The level is Metadata: bodies are not in it. A line is written before its answer leaves, so who has an answer finds it
here; a watch has a line for its beginning and one for its end. Source of the format: ``audit.k8s.io/v1``, with the
stage RequestReceived left out.
"""

import datetime as dt
import os
from pathlib import Path
from typing import Any, Final

import attrs
import orjson

from reconcile.kube.request import HttpRequest, HttpResponse, RequestInfo, parse
from reconcile.testing.apiserver import impersonation
from reconcile.testing.apiserver.admission import User
from reconcile.testing.apiserver.failure import Document

STARTED: Final = "ResponseStarted"
COMPLETE: Final = "ResponseComplete"


@attrs.frozen
class Asked:
    """A request as the log tells it."""

    id: str
    request: HttpRequest
    user: User
    address: str
    received: dt.datetime


def event(asked: Asked, stage: str, response: HttpResponse, moment: dt.datetime) -> Document:
    """One line. Pure."""
    request, info = asked.request, parse(asked.request)
    line: Document = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": asked.id,
        "stage": stage,
        "requestURI": request.target,
        "verb": info.verb if info is not None else request.method.lower(),
        "user": _user(asked.user),
    }
    if impersonation.is_wanted(request.headers):
        line["impersonatedUser"] = _user(impersonation.wanted(request.headers))
    line["sourceIPs"] = [asked.address]
    line["userAgent"] = request.headers.get("user-agent", "")
    if info is not None:
        line["objectRef"] = _reference(request, info)
    line["responseStatus"] = _status(response)
    line["requestReceivedTimestamp"] = _time(asked.received)
    line["stageTimestamp"] = _time(moment)
    decision = "forbid" if response.status == 403 else "allow"
    line["annotations"] = {"authorization.k8s.io/decision": decision, "authorization.k8s.io/reason": ""}
    return line


def _user(user: User) -> Document:
    parts = {"username": user.name, "uid": user.uid, "groups": list(user.groups), "extra": dict(user.extra)}
    return {name: value for name, value in parts.items() if value}


def _reference(request: HttpRequest, info: RequestInfo) -> Document:
    metadata = _metadata(request.body) if info.verb in ("create", "update") else {}
    parts = {
        "resource": info.plural,
        "namespace": info.namespace or (info.name if info.plural == "namespaces" else ""),
        "name": info.name or metadata.get("name"),
        "uid": metadata.get("uid"),
        "apiGroup": info.group,
        "apiVersion": info.version,
        "resourceVersion": metadata.get("resourceVersion"),
        "subresource": info.subresource,
    }
    return {name: value for name, value in parts.items() if value}


def _metadata(body: bytes) -> Document:
    try:
        metadata = orjson.loads(body)["metadata"]
    except (ValueError, KeyError, TypeError):
        return {}
    return metadata if isinstance(metadata, dict) else {}


def _status(response: HttpResponse) -> Document:
    found: Any = {}
    if response.body.startswith(_STATUS):
        found = orjson.loads(response.body)
    kept = {name: found[name] for name in ("status", "message", "reason", "details") if found.get(name)}
    return {"metadata": {}, **kept, "code": response.status}


_STATUS: Final = b'{"kind":"Status"'


def _time(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@attrs.define(eq=False)
class AuditLog:
    """A file that lines are appended to, mode 0600 if it is made here."""

    path: Path
    _file: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, asked: Asked, stage: str, response: HttpResponse, moment: dt.datetime) -> None:
        """Append a line, whole, at once."""
        os.write(self._file, orjson.dumps(event(asked, stage, response, moment)) + b"\n")

    def close(self) -> None:
        """Write no more."""
        os.close(self._file)
