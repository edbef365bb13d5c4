"""An API server in the box: instant, in the process, and true.

``async with ApiServer(kinds=[...]) as server`` gives a whole server in memory on the clock of the running loop;
``server.client()`` talks to it as to any other. What it answers is what a real kube-apiserver answers; what it does not
do yet answers 501 with the feature's name.
"""

from reconcile.testing.apiserver.admission import ADMIN, Rule, Rules, User, Write
from reconcile.testing.apiserver.failure import Failure, Fault
from reconcile.testing.apiserver.memory import MemoryTransport
from reconcile.testing.apiserver.openapi import from_openapi
from reconcile.testing.apiserver.schema import Schema, open_schema, with_rules
from reconcile.testing.apiserver.server import ApiServer, Audited, Settings
from reconcile.testing.apiserver.storage import Snapshot
from reconcile.testing.apiserver.strategy import ALL, STATUS, Hooks, Kind, Strategy, custom

__all__ = [
    "ADMIN",
    "ALL",
    "STATUS",
    "ApiServer",
    "Audited",
    "Failure",
    "Fault",
    "Hooks",
    "Kind",
    "MemoryTransport",
    "Rule",
    "Rules",
    "Schema",
    "Settings",
    "Snapshot",
    "Strategy",
    "User",
    "Write",
    "custom",
    "from_openapi",
    "open_schema",
    "with_rules",
]
