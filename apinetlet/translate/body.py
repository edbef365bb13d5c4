"""What every api-net object that we write has in common: where it stands, whose it is, and who owns it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from apinetlet.origin import Origins
from reconcile import ObjectMeta, Resource
from reconcile.kube.objects import OwnerReference


def body(
    resource: Resource[Any],
    source: ObjectMeta,
    *,
    namespace: str,
    origins: Origins,
    owners: Sequence[OwnerReference] = (),
    **parts: Any,
) -> dict[str, Any]:
    """The object for ``source``: named after its uid, in ``namespace``, marked with its origin. ``parts`` as given.

    An empty list among them is left out: applied, it would be a field that the server does not store.
    """
    metadata: dict[str, Any] = {"namespace": namespace, "name": source.uid, **origins.metadata(source)}
    if owners:
        metadata["ownerReferences"] = [msgspec.to_builtins(owner) for owner in owners]
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, **filled(parts)}


def filled(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is empty: an absent text, number, list or map stays absent."""
    return {name: value for name, value in values.items() if value not in (None, "", [], {}, ())}


def holding(body: dict[str, Any], applied: Iterable[bytes]) -> dict[str, Any]:
    """``body``, with an empty ``spec`` if it has none and what was ``applied`` under our name before had one.

    The Go daemon applies every Network with one. Who owns a map and leaves it out takes it away with all in it that
    nobody owns, such as what the server allocated; that cannot be, so the server would refuse it for ever. ``applied``
    are sets of fields (``fieldsV1``).
    """
    if "spec" in body or not any(b'"f:spec"' in fields for fields in applied):
        return body
    return {**body, "spec": {}}
