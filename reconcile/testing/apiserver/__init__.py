"""An API server in the box: instant, in the process, and true.

``async with ApiServer(kinds=[...]) as server`` gives a whole server in memory on the clock of the running loop;
``server.client()`` talks to it as to any other. What it answers is what a real kube-apiserver answers; what it does not
do yet answers 501 with the feature's name. ``listening`` puts it behind a port, ``in_thread`` serves programs that have
no event loop; both are loaded on use.
"""

from typing import TYPE_CHECKING, Any, Final

from reconcile.testing.apiserver.admission import ADMIN, Rule, Rules, User, Write
from reconcile.testing.apiserver.failure import Failure, Fault
from reconcile.testing.apiserver.memory import MemoryTransport
from reconcile.testing.apiserver.openapi import from_openapi
from reconcile.testing.apiserver.schema import Schema, open_schema, with_rules
from reconcile.testing.apiserver.server import ApiServer, Audited, Settings
from reconcile.testing.apiserver.settings import HttpSettings
from reconcile.testing.apiserver.storage import Snapshot
from reconcile.testing.apiserver.strategy import ALL, STATUS, Hooks, Kind, Strategy, custom

if TYPE_CHECKING:
    from reconcile.testing.apiserver.http import listening
    from reconcile.testing.apiserver.threads import in_thread

_ON_USE: Final = {
    "listening": "reconcile.testing.apiserver.http",
    "in_thread": "reconcile.testing.apiserver.threads",
}


def __getattr__(name: str) -> Any:
    if name not in _ON_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_ON_USE[name]), name)


__all__ = [
    "ADMIN",
    "ALL",
    "STATUS",
    "ApiServer",
    "Audited",
    "Failure",
    "Fault",
    "Hooks",
    "HttpSettings",
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
    "in_thread",
    "listening",
    "open_schema",
    "with_rules",
]
