"""A local copy that is always some true past."""

from reconcile.cache.audience import Handler, Subscription
from reconcile.cache.change import Change
from reconcile.cache.cluster import Cluster, ClusterSettings, UndeclaredKind
from reconcile.cache.follower import FollowerSettings
from reconcile.cache.informer import Informer, InformerSettings, NotSynced
from reconcile.cache.steps import ReflectorSettings, State
from reconcile.cache.store import Store, UnknownIndex
from reconcile.cache.table import Index
from reconcile.cache.watched import Watched

__all__ = [
    "Change",
    "Cluster",
    "ClusterSettings",
    "FollowerSettings",
    "Handler",
    "Index",
    "Informer",
    "InformerSettings",
    "NotSynced",
    "ReflectorSettings",
    "State",
    "Store",
    "Subscription",
    "UndeclaredKind",
    "UnknownIndex",
    "Watched",
]
