"""Whose object this is: owner references, by which the garbage collector deletes what has no owner left.

Like finalizers they are one shared list: a patch replaces it as it was read and carries the version it was read at. An
owner is recognised by its uid. In the body of an apply a reference goes in as it is (``reference``): their list has the
uid as its key, so every manager has its own. Pure.
"""

from typing import Any

import msgspec

from reconcile.kube.objects import KubeObject, ObjectKey, ObjectMeta, OwnerReference
from reconcile.kube.patch import MergePatch, replace_guarded
from reconcile.kube.resource import Resource


class OwnerError(ValueError):
    """A reference that must not be made. ``obj`` and ``owner`` are the keys of the two."""

    def __init__(self, message: str, *, obj: ObjectKey, owner: ObjectKey) -> None:
        super().__init__(message)
        self.obj = obj
        self.owner = owner


class CrossNamespace(OwnerError):
    """The owner lives in another namespace: the garbage collector would take it for gone and delete the object."""


class AlreadyControlled(OwnerError):
    """Another owner controls the object, and there can be only one; it is ``controller``."""

    controller: OwnerReference


def reference(
    obj: ObjectKey, owner: KubeObject, kind: Resource[Any], *, controller: bool = True, block_deletion: bool = True
) -> OwnerReference:
    """The reference by which ``owner``, of ``kind``, owns ``obj``.

    ``block_deletion``: a foreground deletion of the owner waits for the object.

    Raises:
        CrossNamespace: a namespaced owner has to share the namespace of what it owns.
        ValueError: the owner was never read from a server, so it has no uid.
    """
    meta = owner.metadata
    if not meta.uid:
        raise ValueError(f"{kind.kind} {meta.key} has no uid: it was never read from a server")
    if meta.namespace and meta.namespace != obj.namespace:
        raise CrossNamespace(
            f"{kind.kind} {meta.key} cannot own {obj}: it lives in another namespace", obj=obj, owner=meta.key
        )
    return OwnerReference(
        api_version=kind.api_version,
        kind=kind.kind,
        name=meta.name,
        uid=meta.uid,
        controller=controller,
        block_owner_deletion=block_deletion,
    )


def owns(owner: KubeObject, obj: KubeObject) -> bool:
    """Whether ``owner`` is one of the owners of ``obj``."""
    return any(reference.uid == owner.metadata.uid for reference in obj.metadata.owner_references)


def add(obj: KubeObject, new: OwnerReference) -> MergePatch | None:
    """Make the object owned, or change how it is; ``None`` if it is like that already.

    Raises:
        AlreadyControlled: ``new`` controls, and so does another owner.
        ValueError: the object was never read from a server.
    """
    meta = obj.metadata
    if new in meta.owner_references:
        return None
    others = [known for known in meta.owner_references if known.uid != new.uid]
    taken = next((known for known in others if known.controller), None)
    if new.controller and taken:
        error = AlreadyControlled(
            f"{meta.key} is controlled by {taken.kind} {taken.name} already",
            obj=meta.key,
            owner=ObjectKey(meta.namespace, new.name),
        )
        error.controller = taken
        raise error
    if len(others) == len(meta.owner_references):
        return _patch(meta, [*others, new])
    return _patch(meta, [new if known.uid == new.uid else known for known in meta.owner_references])


def remove(obj: KubeObject, uid: str) -> MergePatch | None:
    """Take an owner away; ``None`` if it is none.

    Raises:
        ValueError: the object was never read from a server.
    """
    left = [known for known in obj.metadata.owner_references if known.uid != uid]
    return None if len(left) == len(obj.metadata.owner_references) else _patch(obj.metadata, left)


def _patch(meta: ObjectMeta, owners: list[OwnerReference]) -> MergePatch:
    return replace_guarded(meta, "ownerReferences", [msgspec.to_builtins(owner) for owner in owners])
