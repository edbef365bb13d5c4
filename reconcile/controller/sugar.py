"""Reconcilers that are handed the object instead of its key."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from reconcile.cache.cluster import Cluster
from reconcile.controller.reconciler import DONE, Reconcile, Request, Result
from reconcile.kube.resource import Resource

T = TypeVar("T")


def with_object(
    cluster: Cluster,
    kind: type[T] | Resource[T],
    function: Callable[[T], Awaitable[Result | None]],
    *,
    gone: Reconcile | None = None,
) -> Reconcile:
    """Calls ``function`` with the object from the store, or ``gone`` with the request if there is none any more.

    Raises:
        UndeclaredKind: the cluster was not told to watch that kind.
    """
    store = cluster.store(kind)

    async def reconcile(request: Request) -> Result | None:
        found = store.get(request.key)
        if found is not None:
            return await function(found)
        return await gone(request) if gone is not None else DONE

    return reconcile
