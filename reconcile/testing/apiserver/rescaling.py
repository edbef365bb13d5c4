"""Writes through the scale subresource: the scale changes, and its object with it. Pure."""

from collections.abc import Callable
from typing import Final

import attrs
import orjson

from reconcile.kube.objects import ObjectKey
from reconcile.kube.resource import Resource
from reconcile.testing.apiserver import metadata as metas
from reconcile.testing.apiserver import scaling
from reconcile.testing.apiserver.apply import Writer, track
from reconcile.testing.apiserver.apply import apply as applied
from reconcile.testing.apiserver.failure import Document, Failure, bad_request
from reconcile.testing.apiserver.fields import EMPTY
from reconcile.testing.apiserver.forming import formed
from reconcile.testing.apiserver.schema import OBJECT_META, TYPE_META, Schema
from reconcile.testing.apiserver.session import Session
from reconcile.testing.apiserver.strategy import Kind, Strategy
from reconcile.testing.apiserver.writing import Result, found_for_update, same_name, update_tracked

_NUMBER: Final = Schema("integer", rules={"format": "int32"})
SCALE: Final = Kind(
    Resource.untyped(scaling.API_VERSION, "Scale", "scales"),
    Schema(
        "object",
        fields={
            **TYPE_META,
            "metadata": OBJECT_META,
            "spec": Schema("object", fields={"replicas": _NUMBER}),
            "status": Schema("object", fields={"replicas": _NUMBER, "selector": Schema("string")}),
        },
    ),
    Strategy(strategic=True, subresources={"scale": ("spec", "metadata")}),
    blank={"spec": {}, "status": {"replicas": 0}},
    custom=False,
)
"""What a scale looks like, whatever it is the scale of."""


def update(
    session: Session, kind: Kind, key: ObjectKey, change: Callable[[Document], Document], manager: str
) -> Result:
    """Change the scale of an object; ``change`` makes the new scale out of the live one.

    Raises:
        Failure: whatever the real server would refuse it with.
    """

    def changed(live: Document) -> Document:
        new = formed(SCALE, change(live))
        same_name(SCALE, key, new)
        return track(_writer(session, manager), live, new)

    return _rescale(session, kind, key, changed)


def apply(session: Session, kind: Kind, key: ObjectKey, config: Document, manager: str, *, force: bool) -> Result:
    """Server-side apply of a scale.

    Raises:
        Failure: whatever the real server would refuse it with.
    """
    if (config.get("apiVersion"), config.get("kind")) != (scaling.API_VERSION, "Scale"):
        group, _, plain = (config.get("apiVersion") or "").rpartition("/")
        raise bad_request(f"invalid object type: {group}/{plain}, Kind={config.get('kind') or ''}")
    if kind.custom:
        # the real server cannot either: it takes the scale for one of the kind's versions
        why = (
            "failed to create manager for existing fields: failed to convert live object "
            "(/; autoscaling/v1, Kind=Scale) to proper version: "
            "request to convert CR to an invalid group/version: autoscaling/v1"
        )
        raise Failure(500, "", why)
    writer = _writer(session, manager)

    def changed(live: Document) -> Document:
        new = applied(writer, live, config, force=force)
        session.note(session.repeated, kind)
        return new

    return _rescale(session, kind, key, changed)


def _writer(session: Session, manager: str) -> Writer:
    # a scale is no view of an object whose other parts are reset
    return attrs.evolve(session.writer(SCALE, manager, "scale"), excluded=EMPTY)


def _rescale(session: Session, kind: Kind, key: ObjectKey, change: Callable[[Document], Document]) -> Result:
    paths = kind.strategy.scale
    assert paths is not None
    found = found_for_update(session, kind, key)
    old = found.value
    scale = change(scaling.draft(paths, old))
    new = scaling.scaled(paths, old, scale, kind.resource.api_version)
    new["metadata"] = dict(metas.of(new))
    result = update_tracked(session, kind, found, old, new)
    return Result(orjson.dumps(scaling.scale_of(paths, result.document)), changed=result.changed)
