"""One API server as a client sees it.

``Resource`` says what a kind is called and as what its objects are read, ``request`` makes a call a value, a transport
sends it, ``errors`` are what can come back. Everything named here is pure and loads no HTTP library, no cattrs and no
generated client; the rest is imported from its own module: ``client``, ``transport``, ``login``, ``recorder``.
"""

from reconcile.kube.codec import Codec
from reconcile.kube.errors import ApiError, BadAnswer, Conflict, ConnectionFailed, Fenced, KubeError, NotFound
from reconcile.kube.objects import BadObject, KubeObject, Object, ObjectKey, ObjectMeta, OwnerReference
from reconcile.kube.patch import JsonPatch, MergePatch, Patch, StrategicPatch, merge
from reconcile.kube.quantity import Quantity
from reconcile.kube.resource import Resource

__all__ = [
    "ApiError",
    "BadAnswer",
    "BadObject",
    "Codec",
    "Conflict",
    "ConnectionFailed",
    "Fenced",
    "JsonPatch",
    "KubeError",
    "KubeObject",
    "MergePatch",
    "NotFound",
    "Object",
    "ObjectKey",
    "ObjectMeta",
    "OwnerReference",
    "Patch",
    "Quantity",
    "Resource",
    "StrategicPatch",
    "merge",
]
