"""Our name on an object that must not go before we have cleaned up.

Finalizers are one list that several controllers share, so a patch replaces the list as it was read, changes our own
entry only, and carries the version it was read at: who wrote in between makes it a ``Conflict``, never a loss. Pure.

Only for objects that need cleaning up: one that stays behind holds an object, and its namespace, for ever.
"""

from reconcile.kube.objects import KubeObject
from reconcile.kube.patch import MergePatch, replace_guarded


def has(obj: KubeObject, name: str) -> bool:
    """Whether the object waits for us."""
    return name in obj.metadata.finalizers


def add(obj: KubeObject, name: str) -> MergePatch | None:
    """Make the object wait for us; ``None`` if it does. The server refuses it (422) once the object is being deleted.

    Raises:
        ValueError: the object was never read from a server.
    """
    if has(obj, name):
        return None
    return replace_guarded(obj.metadata, "finalizers", [*obj.metadata.finalizers, name])


def remove(obj: KubeObject, name: str) -> MergePatch | None:
    """Let the object go as far as we are concerned; ``None`` if it does not wait for us.

    Raises:
        ValueError: the object was never read from a server.
    """
    if not has(obj, name):
        return None
    return replace_guarded(obj.metadata, "finalizers", [other for other in obj.metadata.finalizers if other != name])
