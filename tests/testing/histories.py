"""Histories of writes to a Thing, drawn at random: documents of every shape that its schema allows, empty parts too."""

from typing import Any

import attrs
from hypothesis import strategies as st

from tests.testing.callers import Api, Reply, a_thing

MANAGERS = ("one", "two", "three")

texts = st.sampled_from("pqr")
counts = st.integers(1, 3)


def some(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A map with any of these fields."""
    return st.fixed_dictionaries({}, optional=parts)


leaves = some(a=texts, b=counts)
text_maps = st.dictionaries(st.sampled_from("jkl"), texts, max_size=3)
ports = st.lists(
    st.fixed_dictionaries({"port": counts}, optional={"protocol": st.sampled_from(["TCP", "UDP"]), "note": texts}),
    max_size=3,
    unique_by=lambda item: (item["port"], item.get("protocol", "TCP")),
)
parts = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from("xyz")}, optional={"size": counts, "leaf": leaves, "ports": ports}),
    max_size=3,
    unique_by=lambda item: item["name"],
)
free = st.recursive(
    texts | counts | st.lists(counts, max_size=2),
    lambda inside: st.dictionaries(st.sampled_from("uvw"), inside, max_size=2),
    max_leaves=4,
)
SPEC: dict[str, st.SearchStrategy[Any]] = {
    "text": texts,
    "count": counts,
    "labels": text_maps,
    "leaves": st.dictionaries(st.sampled_from("jkl"), leaves, max_size=2),
    "leaf": leaves,
    "atom": some(a=texts, b=texts),
    "list": st.lists(texts, max_size=2),
    "set": st.lists(st.sampled_from("abcd"), max_size=3, unique=True),
    "parts": parts,
    "free": st.dictionaries(st.sampled_from("uvw"), free, max_size=2),
}
specs = some(**SPEC)
managers = st.sampled_from(MANAGERS)
owners = st.lists(st.sampled_from(["u1", "u2"]), unique=True).map(
    lambda uids: [{"apiVersion": "v1", "kind": "X", "name": f"of-{uid}", "uid": uid} for uid in uids]
)
metadata = some(
    labels=text_maps,
    annotations=text_maps,
    finalizers=st.lists(st.sampled_from(["a.b/c", "d.e/f"]), unique=True),
    ownerReferences=owners,
)
status = some(phase=texts, seen=text_maps)


@attrs.frozen
class Move:
    """One request of somebody about the Thing."""

    verb: str
    manager: str
    metadata: dict[str, Any]
    spec: dict[str, Any]
    status: dict[str, Any]
    nulls: list[str]
    """Parts of the spec that a patch removes."""
    force: bool

    async def send(self, api: Api, name: str) -> Reply:
        """Make the request, and say what came of it."""
        path = f"{api.things}/{name}"
        who = {"fieldManager": self.manager}
        force = {"force": "true"} if self.force else {}
        body = a_thing(name, self.spec, **self.metadata)
        removed = dict.fromkeys(self.nulls)
        match self.verb:
            case "apply":
                return await api.apply(path, body, self.manager, **force)
            case "apply status":
                told = {**a_thing(name), "status": self.status}
                return await api.apply(f"{path}/status", told, self.manager, **force)
            case "create":
                return await api.post(api.things, body, **who)
            case "merge":
                patch = {"metadata": self.metadata, "spec": {**self.spec, **removed}}
                return await api.merge(path, patch, **who)
            case "merge status":
                return await api.merge(f"{path}/status", {"status": self.status}, **who)
            case "delete":
                return await api.delete(path, {"propagationPolicy": "Background"})
        assert self.verb == "replace"
        live = await api.get(path)
        return await api.put(path, {**live.body, "spec": self.spec}, **who) if live.code == 200 else live


_VERBS = ("apply", "apply", "apply", "apply", "apply status", "create", "merge", "merge status", "replace", "delete")
moves = st.builds(
    Move,
    st.sampled_from(_VERBS),
    managers,
    metadata,
    specs,
    status,
    st.lists(st.sampled_from(sorted(SPEC)), max_size=2),
    st.booleans(),
)
histories = st.lists(moves, min_size=1, max_size=8)
