"""From changes to reconciles.

``For``, ``Owns`` and ``Watches`` say what a ``Controller`` looks at, predicates and handlers which changes concern
which key, the reconciler what to do about it. In the order of a change: ``source``, ``predicate``, ``handler``,
``intake``, ``backlog``, ``worker``, ``outcome``.
"""

from reconcile.controller.cause import Cause
from reconcile.controller.context import PassFilter, running_pass
from reconcile.controller.controller import Controller, ControllerSnapshot
from reconcile.controller.handler import Handler, enqueue_by, enqueue_labelled, enqueue_owner, enqueue_self
from reconcile.controller.history import Pass, Why
from reconcile.controller.observer import ControllerObserver
from reconcile.controller.predicate import (
    Predicate,
    all_of,
    annotations_changed,
    any_of,
    changed,
    exactly,
    generation_changed,
    label_selector,
    labels_changed,
    not_,
    resource_version_changed,
)
from reconcile.controller.reconciler import DONE, Reconcile, Reconciler, Request, Result, TerminalError
from reconcile.controller.settings import ControllerSettings
from reconcile.controller.source import For, Owns, Source, Watches
from reconcile.controller.sugar import with_object

__all__ = [
    "DONE",
    "Cause",
    "Controller",
    "ControllerObserver",
    "ControllerSettings",
    "ControllerSnapshot",
    "For",
    "Handler",
    "Owns",
    "Pass",
    "PassFilter",
    "Predicate",
    "Reconcile",
    "Reconciler",
    "Request",
    "Result",
    "Source",
    "TerminalError",
    "Watches",
    "Why",
    "all_of",
    "annotations_changed",
    "any_of",
    "changed",
    "enqueue_by",
    "enqueue_labelled",
    "enqueue_owner",
    "enqueue_self",
    "exactly",
    "generation_changed",
    "label_selector",
    "labels_changed",
    "not_",
    "resource_version_changed",
    "running_pass",
    "with_object",
]
