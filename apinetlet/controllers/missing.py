"""Kinds that a cluster does not serve, by its discovery: an old server, or one on which they are not installed yet.

Such a kind looks like one without objects, and nothing may be concluded from that; nor once it is served, before all
its objects have been listed.
"""

from typing import Any

from reconcile import Cluster, Resource
from reconcile.cache.reflector import State


def is_missing(cluster: Cluster, resource: Resource[Any]) -> bool:
    """Whether a cluster does not serve a kind."""
    return cluster.informer(resource).state in (State.WAITING_FOR_KIND, State.GONE)


def is_unknown(cluster: Cluster, resource: Resource[Any]) -> bool:
    """Whether nobody can say which objects of a kind there are: it is not served, or not listed since it is."""
    return not cluster.informer(resource).has_copy


def is_gone(cluster: Cluster, resource: Resource[Any]) -> bool:
    """Whether there may be objects of ours that a cluster does not show: it has served the kind, or serves it again."""
    return is_unknown(cluster, resource) and cluster.informer(resource).state is not State.WAITING_FOR_KIND


def missing_kinds(*clusters: Cluster) -> str:
    """For ``/readyz``: the kinds that nobody serves, and why we think so; "" if all are."""
    return "; ".join(
        f"{informer.name} is not served: {informer.last_error}"
        for cluster in clusters
        for informer in cluster.informers
        if is_missing(cluster, informer.watched.resource)
    )
