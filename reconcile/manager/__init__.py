"""Runs everything in order, stops in reverse, and says how it is.

``Manager`` is the block that a program runs in. ``LeaderElector`` lets one process of several write; ``rbac`` and
``preflight`` tell which rights are needed and which are missing; probes, metrics and debug pages show the rest.
"""

from reconcile.manager.certificate import Certificate
from reconcile.manager.election import LeaderElector, LeadershipLost
from reconcile.manager.lease import LeaderElection
from reconcile.manager.manager import Manager, PartEnded
from reconcile.manager.metrics import Metrics
from reconcile.manager.preflight import MissingRights
from reconcile.manager.probes import Probes
from reconcile.manager.rbac import Rule, Writes
from reconcile.manager.settings import ManagerSettings
from reconcile.manager.web import Address, CannotListen, WebServer

__all__ = [
    "Address",
    "CannotListen",
    "Certificate",
    "LeaderElection",
    "LeaderElector",
    "LeadershipLost",
    "Manager",
    "ManagerSettings",
    "Metrics",
    "MissingRights",
    "PartEnded",
    "Probes",
    "Rule",
    "WebServer",
    "Writes",
]
