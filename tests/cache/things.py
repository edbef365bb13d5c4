"""Objects of a made-up kind, in every form the cache meets them in."""

from typing import Any

import orjson

from reconcile.cache.entry import Entry, EntryReader
from reconcile.kube.objects import Object
from reconcile.kube.resource import Resource

THING: Resource[Object] = Resource.untyped("example.dev/v1", "Thing", "things")
MANAGER = "tester"
READER = EntryReader(THING, MANAGER)


def a_thing(
    name: str = "a",
    *,
    version: str | int = 1,
    uid: str = "",
    namespace: str = "default",
    spec: dict[str, Any] | None = None,
    **metadata: Any,
) -> dict[str, Any]:
    """A Thing as its server would send it."""
    head = {"name": name, "namespace": namespace, "uid": uid or f"uid-of-{name}", "resourceVersion": str(version)}
    return {
        "apiVersion": "example.dev/v1",
        "kind": "Thing",
        "metadata": {**{key: value for key, value in head.items() if value}, **metadata},
        "spec": {"color": "blue"} if spec is None else spec,
    }


def raw(*args: Any, **kwargs: Any) -> bytes:
    """``a_thing`` in bytes."""
    return orjson.dumps(a_thing(*args, **kwargs))


def an_entry(*args: Any, **kwargs: Any) -> Entry:
    """``a_thing`` as the cache keeps it."""
    return READER.read(raw(*args, **kwargs))
