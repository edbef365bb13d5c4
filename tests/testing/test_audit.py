"""An audit log read back."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from reconcile.testing import audit

PATCH: dict[str, Any] = {
    "kind": "Event",
    "apiVersion": "audit.k8s.io/v1",
    "level": "Metadata",
    "stage": "ResponseComplete",
    "requestURI": "/apis/apps/v1/namespaces/default/deployments/web/status",
    "verb": "patch",
    "user": {"username": "jane", "groups": ["system:authenticated"]},
    "userAgent": "apinetlet",
    "objectRef": {
        "apiGroup": "apps",
        "apiVersion": "v1",
        "resource": "deployments",
        "subresource": "status",
        "namespace": "default",
        "name": "web",
    },
    "responseStatus": {"metadata": {}, "code": 200},
    "requestReceivedTimestamp": "2026-01-02T03:04:05.000001Z",
    "stageTimestamp": "2026-01-02T03:04:05.250000Z",
}
READYZ: dict[str, Any] = {
    "stage": "ResponseComplete",
    "requestURI": "/readyz",
    "verb": "get",
    "user": {},
    "responseStatus": {"code": 200},
    "requestReceivedTimestamp": "2026-01-02T03:04:06.000000Z",
    "stageTimestamp": "2026-01-02T03:04:06.000000Z",
}


def test_a_write_names_who_changed_what_and_when(tmp_path: Path) -> None:
    [event] = audit.read(a_log(tmp_path, json.dumps(PATCH) + "\n"))
    assert event == audit.AuditEvent(
        verb="patch",
        user="jane",
        user_agent="apinetlet",
        group="apps",
        resource="deployments",
        subresource="status",
        namespace="default",
        name="web",
        code=200,
        received=dt.datetime(2026, 1, 2, 3, 4, 5, 1, tzinfo=dt.UTC),
        completed=dt.datetime(2026, 1, 2, 3, 4, 5, 250_000, tzinfo=dt.UTC),
    )
    assert event.is_write


def test_a_request_that_is_about_no_object_has_empty_parts(tmp_path: Path) -> None:
    [event] = audit.read(a_log(tmp_path, json.dumps(READYZ) + "\n"))
    assert (event.user, event.resource, event.name, event.is_write) == ("", "", "", False)


def test_a_line_that_is_still_being_written_is_left_for_later(tmp_path: Path) -> None:
    text = json.dumps(PATCH) + "\n" + json.dumps(READYZ)[:40]
    assert [event.verb for event in audit.read(a_log(tmp_path, text))] == ["patch"]


def test_a_request_without_an_answer_is_no_event(tmp_path: Path) -> None:
    assert audit.read(a_log(tmp_path, json.dumps(PATCH | {"stage": "Panic"}) + "\n")) == []


def test_a_server_that_keeps_no_log_has_none_to_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        audit.read(tmp_path / "audit.log")


def a_log(folder: Path, text: str) -> Path:
    path = folder / "audit.log"
    path.write_text(text)
    return path
