"""What an API server was asked, by whom, and how it answered: its audit log as values.

``POLICY`` makes the server write one line for each answer, before the answer leaves: a write that returned is here.
Bodies are not recorded. Reading is pure but for the file; turning the log on is ``envtest.py``'s.
"""

import datetime as dt
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attrs import frozen

POLICY: Final = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [{"level": "Metadata"}],
}
WRITES: Final = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@frozen(kw_only=True)
class AuditEvent:
    """One answered request. Times are aware, ``code`` is the HTTP status; a part the request does not have is ""."""

    verb: str
    user: str
    user_agent: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int
    received: dt.datetime
    completed: dt.datetime

    @property
    def is_write(self) -> bool:
        """Asked for a change, whether or not it was allowed or changed anything."""
        return self.verb in WRITES


def read(path: Path) -> list[AuditEvent]:
    """The events of a log in the order of the answers; a watch is there once it has ended.

    Raises:
        OSError: there is no log.
    """
    complete = path.read_bytes().split(b"\n")[:-1]  # what follows the last line end is still being written
    return [_event(line) for line in map(json.loads, complete) if line["stage"] == "ResponseComplete"]


def _event(line: Mapping[str, Any]) -> AuditEvent:
    target = line.get("objectRef", {})
    return AuditEvent(
        verb=line["verb"],
        user=line["user"].get("username", ""),
        user_agent=line.get("userAgent", ""),
        group=target.get("apiGroup", ""),
        resource=target.get("resource", ""),
        subresource=target.get("subresource", ""),
        namespace=target.get("namespace", ""),
        name=target.get("name", ""),
        code=line["responseStatus"]["code"],
        received=dt.datetime.fromisoformat(line["requestReceivedTimestamp"]),
        completed=dt.datetime.fromisoformat(line["stageTimestamp"]),
    )
