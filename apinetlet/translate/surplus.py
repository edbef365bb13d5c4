"""What strangers put on a load balancer of ours beside what is ours, and the patch that takes it away.

An apply takes away only what was applied under our name. Entries of ``spec.ips`` go one by one, each only if it still
is where it was seen: a list that is replaced asks for all its addresses anew. Pure.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from apinetlet.api import apinet
from reconcile.kube.patch import JsonPatch, pointer


def surplus(target: apinet.LoadBalancer, body: Mapping[str, Any]) -> JsonPatch | None:
    """Take away what ``target`` has beyond ``body``, which was applied to it; ``None``: nothing."""
    wanted = body["spec"]
    ops = [
        *_entries(target, {one["name"] for one in wanted.get("ips", ())}),
        *(
            [_remove("spec", "ports")] if target.spec.ports and "ports" not in wanted else []
        ),  # none of ours: it serves all
        *(_remove("spec", "template", *path) for path in _beyond(target.spec.template, wanted["template"])),
    ]
    return JsonPatch([_test("metadata", "uid", value=target.metadata.uid), *ops]) if ops else None


def _entries(target: apinet.LoadBalancer, wanted: set[str]) -> Iterator[dict[str, Any]]:
    """From the last to the first, so that places stay true."""
    for place, entry in reversed(list(enumerate(target.spec.ips))):
        if entry.name not in wanted:
            yield _test("spec", "ips", str(place), "name", value=entry.name)
            yield _remove("spec", "ips", str(place))


def _beyond(live: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The paths of what only ``live`` has; a list is wanted as a whole or not at all."""
    for name, value in live.items():
        known = wanted.get(name)
        if isinstance(known, Mapping) and isinstance(value, Mapping):
            yield from ((name, *path) for path in _beyond(value, known))
        elif known is None and not _is_empty(value):
            yield (name,)


def _is_empty(value: Any) -> bool:
    """Whether a value is what a Go server writes for a field that nobody has set."""
    return all(map(_is_empty, value.values())) if isinstance(value, Mapping) else value in (None, "", 0, [], ())


def _test(*path: str, value: str) -> dict[str, Any]:
    return {"op": "test", "path": pointer(*path), "value": value}


def _remove(*path: str) -> dict[str, Any]:
    return {"op": "remove", "path": pointer(*path)}
