"""Whom a change concerns: from an object that changed to the keys to reconcile.

A handler is any function from a ``Change`` to keys. It sees the old object and the new one, and both count: the object
that was pointed at before must hear of it, too. Pure.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, Literal, TypeAlias

import attrs

from reconcile.cache.change import Change
from reconcile.controller.reconciler import Request
from reconcile.kube.objects import ObjectMeta
from reconcile.kube.resource import Resource

Handler: TypeAlias = Callable[[Change[Any]], Iterable[Hashable]]
"""Yields ``Request``, or any hashable key that the controller's reconciler understands."""


def enqueue_self(change: Change[Any]) -> Iterable[Request]:
    """The object itself."""
    key = change.key
    return (Request(change.cluster, key.namespace, key.name),)


def enqueue_owner(resource: Resource[Any], cluster: str = "", *, controller_only: bool = True) -> Handler:
    """The object's owner of that kind, at any version; every such owner with ``controller_only=False``.

    ``cluster`` is where the owner lives; "" means where the change was seen, the only place a garbage collector knows.
    """

    def owners(meta: ObjectMeta, seen_in: str) -> Iterator[Request]:
        namespace = meta.namespace if resource.namespaced else ""
        for owner in meta.owner_references:
            group = owner.api_version.rpartition("/")[0]
            if owner.kind == resource.kind and group == resource.group and (owner.controller or not controller_only):
                yield Request(cluster or seen_in, namespace, owner.name)

    return Mapped(f"enqueue_owner({resource.name})", lambda meta, change: owners(meta, change.cluster), of="meta")


def enqueue_by(mapping: Callable[[Any], Iterable[Hashable]]) -> Handler:
    """What ``mapping`` yields for the old object and for the new one, each as an object of the watched type.

    If it raises for one of them the keys of the other still count; the controller asks again later.
    """
    name = getattr(mapping, "__qualname__", None) or repr(mapping)
    return Mapped(f"enqueue_by({name})", lambda obj, _change: mapping(obj), of="object")


def enqueue_labelled(
    cluster: str, name: str, namespace: str | None = None, *, name_in: Literal["labels", "annotations"] = "labels"
) -> Handler:
    """The object of ``cluster`` that labels point to, for origins in another cluster.

    ``name`` and ``namespace`` are label keys; without ``namespace`` the object is cluster-scoped. ``name_in`` tells
    where the name stands: it may be too long for a label. An object that lacks one of them points nowhere.
    """

    def origin(meta: ObjectMeta, _change: Change[Any]) -> Iterator[Request]:
        found = getattr(meta, name_in).get(name)
        where = "" if namespace is None else meta.labels.get(namespace)
        if found and where is not None:
            yield Request(cluster, where, found)

    return Mapped(f"enqueue_labelled({name})", origin, of="meta")


@attrs.frozen(eq=False, repr=False)
class Mapped:
    """Asks one function about the old side and the new side of a change. Each key comes once."""

    name: str
    _function: Callable[[Any, Change[Any]], Iterable[Hashable]]
    of: Literal["meta", "object"]

    def __call__(self, change: Change[Any]) -> Iterator[Hashable]:
        seen: set[Hashable] = set()
        failure: Exception | None = None
        for entry, side in ((change.old, "old"), (change.new, "new")):
            if entry is None:
                continue
            try:
                asked = entry.meta if self.of == "meta" else getattr(change, f"{side}_object")
                for key in self._function(asked, change):
                    if key not in seen:
                        seen.add(key)
                        yield key
            except Exception as error:
                # the other side first: what it yields must not wait for this one to be mended
                failure = error
        if failure is not None:
            raise failure

    def __repr__(self) -> str:
        return self.name
