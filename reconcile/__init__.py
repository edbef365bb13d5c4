"""An asyncio framework for Kubernetes controllers: watch, decide, write.

The walk, from a change in a cluster to a write::

    watch line -> Reflector -> Store -> Predicate, Handler -> WorkQueue -> worker -> Reconciler -> patch

A ``Cluster`` is one API server: a ``Client`` to write, and a store of each kind it was told to watch (``Watched``). A
watch line is committed to its store and told as a ``Change``, old object and new. What a ``Controller`` looks at
(``For``, ``Owns``, ``Watches``) turns changes into ``Request``s, which say only which object. A key waits in the queue
once, however often it was added, and is in work once at a time. The ``Reconciler`` reads stores, decides, writes by its
clusters, and says when to look again (``Result``, ``DONE``); what it raises is tried again, later each time, or waits
for the next change (``TerminalError``). From the watch line to the queue there is no await, and after a write of ours
every store shows that write or something newer.

A ``Manager`` runs all of it in order: probes and metrics, caches, controllers, and a ``LeaderElector`` if only one
process may write; it stops in reverse. Nothing is global: several managers live in one process, and in a test.

    async with connect() as client:
        cluster = Cluster("home", client, [GREETING])
        async with Manager([cluster], [Controller("greeter", greet, [For(cluster, GREETING)])]) as manager:
            await manager.run(signals=True)

These are the words most controllers need. Each is loaded when it is first asked for; what is not here is imported from
the layer it lives in: ``reconcile.kube``, ``.cache``, ``.controller``, ``.manager``; ``reconcile.testing`` for tests.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconcile.cache.change import Change as Change
    from reconcile.cache.cluster import Cluster as Cluster
    from reconcile.cache.table import Index as Index
    from reconcile.cache.watched import Watched as Watched
    from reconcile.controller.controller import Controller as Controller
    from reconcile.controller.handler import enqueue_by as enqueue_by
    from reconcile.controller.handler import enqueue_owner as enqueue_owner
    from reconcile.controller.predicate import changed as changed
    from reconcile.controller.predicate import generation_changed as generation_changed
    from reconcile.controller.reconciler import DONE as DONE
    from reconcile.controller.reconciler import Reconciler as Reconciler
    from reconcile.controller.reconciler import Request as Request
    from reconcile.controller.reconciler import Result as Result
    from reconcile.controller.reconciler import TerminalError as TerminalError
    from reconcile.controller.settings import ControllerSettings as ControllerSettings
    from reconcile.controller.source import For as For
    from reconcile.controller.source import Owns as Owns
    from reconcile.controller.source import Watches as Watches
    from reconcile.core.clock import Seconds as Seconds
    from reconcile.kube.client import Client as Client
    from reconcile.kube.connect import connect as connect
    from reconcile.kube.errors import ApiError as ApiError
    from reconcile.kube.errors import Conflict as Conflict
    from reconcile.kube.errors import KubeError as KubeError
    from reconcile.kube.errors import NotFound as NotFound
    from reconcile.kube.objects import Object as Object
    from reconcile.kube.objects import ObjectKey as ObjectKey
    from reconcile.kube.objects import ObjectMeta as ObjectMeta
    from reconcile.kube.recorder import EventRecorder as EventRecorder
    from reconcile.kube.resource import Resource as Resource
    from reconcile.manager.election import LeaderElector as LeaderElector
    from reconcile.manager.lease import LeaderElection as LeaderElection
    from reconcile.manager.manager import Manager as Manager
    from reconcile.manager.rbac import Writes as Writes
    from reconcile.manager.settings import ManagerSettings as ManagerSettings

_HOMES = {
    "cache.change": "Change",
    "cache.cluster": "Cluster",
    "cache.table": "Index",
    "cache.watched": "Watched",
    "controller.controller": "Controller",
    "controller.handler": "enqueue_by enqueue_owner",
    "controller.predicate": "changed generation_changed",
    "controller.reconciler": "DONE Reconciler Request Result TerminalError",
    "controller.settings": "ControllerSettings",
    "controller.source": "For Owns Watches",
    "core.clock": "Seconds",
    "kube.client": "Client",
    "kube.connect": "connect",
    "kube.errors": "ApiError Conflict KubeError NotFound",
    "kube.objects": "Object ObjectKey ObjectMeta",
    "kube.recorder": "EventRecorder",
    "kube.resource": "Resource",
    "manager.election": "LeaderElector",
    "manager.lease": "LeaderElection",
    "manager.manager": "Manager",
    "manager.rbac": "Writes",
    "manager.settings": "ManagerSettings",
}
_HOME = {name: f"reconcile.{module}" for module, names in _HOMES.items() for name in names.split()}

__all__ = sorted(_HOME)


if not TYPE_CHECKING:  # a type checker that saw it would take every misspelt word for one of ours

    def __getattr__(name: str) -> object:
        """Load a word on its first use (PEP 562): ``import reconcile`` itself loads nothing."""
        if name not in _HOME:
            raise AttributeError(f"module 'reconcile' has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_HOME[name]), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
