"""Objects of the api-net cluster that hang on a target: one owner, the target, and no other.

What is common to load balancers and NAT gateways: each is a pair, of which the second names the first as its owner.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

from apinetlet.controllers.bridge import Bridge, Mapped
from apinetlet.controllers.reference import is_live
from apinetlet.controllers.refusals import is_refusal
from reconcile import KubeError, NotFound, ObjectKey, Resource
from reconcile.kube import KubeObject, MergePatch
from reconcile.kube.objects import OwnerReference
from reconcile.kube.owners import reference
from reconcile.kube.patch import replace_guarded

Source = TypeVar("Source", bound=KubeObject)


class Behind(KubeError):
    """Our copy of the api-net cluster is behind it, and will come to know."""


async def apply(bridge: Bridge, source: KubeObject, body: dict[str, Any]) -> Any:
    """``Bridge.apply``; a refusal is told to the user of ``source``.

    Raises:
        KubeError: it failed.
    """
    try:
        return await bridge.apply(body)
    except KubeError as error:
        if is_refusal(error):
            bridge.warn(source, "ApplyFailed", f"{body['kind']} {body['metadata']['name']}: {error}")
        raise


async def without(bridge: Bridge, target: Any, path: tuple[str, ...]) -> Any:
    """``target`` without a list that is to be empty. An apply cannot say that: what it leaves out is not its own."""
    patch: dict[str, Any] = {path[-1]: None}
    for step in reversed(path[:-1]):
        patch = {step: patch}
    return await bridge.apinet.patch(target, MergePatch(patch))


async def apply_owned(
    bridge: Bridge,
    source: KubeObject,
    resource: Resource[Any],
    body: dict[str, Any],
    *,
    owner: KubeObject,
    owned_by: Resource[Any],
) -> Any:
    """``apply`` an object with one ``owner``. Owners that others named go first: only one can control it.

    It is not made for an owner of which only our copy knows: it would be collected as soon as it is there, and made
    once more, and so on.

    Raises:
        Behind: the api-net cluster has no such owner.
        KubeError: it failed.
    """
    live = bridge.apinet.store(resource).get(ObjectKey(bridge.namespace, body["metadata"]["name"]))
    wanted = body["metadata"]["ownerReferences"]
    if live is None and not await _lives(bridge, owner, owned_by):
        raise Behind(f"{owned_by.kind} {owner.metadata.name} is not the one that the api-net cluster has")
    if live is not None and {one.uid for one in live.metadata.owner_references} - {one["uid"] for one in wanted}:
        await bridge.apinet.patch(live, replace_guarded(live.metadata, "ownerReferences", wanted))
    return await apply(bridge, source, body)


def ownership(resource: Resource[Any], target: KubeObject) -> OwnerReference:
    """The reference by which ``target`` owns what has its name."""
    return reference(target.metadata.key, target, resource)


async def _lives(bridge: Bridge, target: KubeObject, resource: Resource[Any]) -> bool:
    """Whether the api-net cluster itself says that there is this very object."""
    try:
        return bool((await bridge.apinet.get(resource, target.metadata.key)).metadata.uid == target.metadata.uid)
    except NotFound:
        return False


async def make_room(
    bridge: Bridge,
    mapped: Mapped[Source],
    source: Source,
    *,
    network: str,
    differing: Sequence[str],
    gives_back: Sequence[str] = (),
    costs: str = "it is made anew, and gets other public addresses",
) -> bool:
    """Whether what is wanted of the pair can be applied now; where it cannot, for fields differ, the pair is ended.

    Fields that differ and addresses that an apply would give back cannot be had again, so the source cluster is asked
    first: neither is done on the word of a cache that is behind.
    """
    if not differing and not gives_back:
        return True
    if not await _is_current(bridge, mapped.source, source) or not await is_live(bridge, source, network):
        return False
    if not differing:
        return True
    key = ObjectKey(bridge.namespace, source.metadata.uid)
    pair = [(one, found) for one in mapped.targets if (found := bridge.apinet.store(one).get(key)) is not None]
    if not any(found.metadata.is_deleting for _, found in pair):
        what = f"spec.{' and spec.'.join(differing)} of {mapped.targets[0].kind} {key.name} cannot be changed"
        bridge.warn(source, "Recreating", f"{what}: {costs}")
    gone = [await bridge.delete(one, found) for one, found in pair]
    return all(gone)


async def _is_current(bridge: Bridge, kind: Resource[Source], source: Source) -> bool:
    """Whether ``source`` is what its server has now."""
    try:
        live = (await bridge.source.get(kind, source.metadata.key)).metadata
    except NotFound:
        return False
    return (live.uid, live.resource_version) == (source.metadata.uid, source.metadata.resource_version)
