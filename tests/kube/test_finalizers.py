"""A finalizer patch touches our entry only, and only at the version that was read."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.kube import finalizers
from reconcile.kube.errors import Conflict
from reconcile.kube.objects import Object
from reconcile.kube.patch import MergePatch, apply_merge

OURS = "example.io/ours"


def an_object(*names: str, version: str = "7") -> Object:
    metadata = {"name": "blue", "resourceVersion": version, "finalizers": list(names)}
    return Object.decode(orjson.dumps({"kind": "Thing", "metadata": metadata}))


def stored(obj: Object, patch: MergePatch) -> dict[str, Any]:
    """What a server makes of it: another version than its own is a conflict."""
    guard = patch.value["metadata"]["resourceVersion"]
    if guard != obj.metadata.resource_version:
        raise Conflict("the object has been modified", code=409, reason="Conflict")
    return apply_merge(obj, patch)


names = st.lists(st.sampled_from(["a.io/a", "b.io/b", OURS, "c.io/c"]), unique=True)


@pytest.mark.pain(20)
@given(names)
def test_adding_and_removing_touch_our_own_entry_only(listed: list[str]) -> None:
    obj = an_object(*listed)
    others = [name for name in listed if name != OURS]
    for change, held in ((finalizers.add, True), (finalizers.remove, False)):
        patch = change(obj, OURS)
        assert (patch is None) is (finalizers.has(obj, OURS) is held)
        after = Object(stored(obj, patch)) if patch else obj
        assert finalizers.has(after, OURS) is held
        assert [name for name in after.metadata.finalizers if name != OURS] == others
        assert change(after, OURS) is None


@pytest.mark.pain(20)
@pytest.mark.parametrize("change", [finalizers.add, finalizers.remove])
def test_who_wrote_in_between_makes_it_a_conflict_and_loses_nothing(change: Any) -> None:
    seen = an_object("a.io/a", OURS) if change is finalizers.remove else an_object("a.io/a")
    now = an_object(*seen.metadata.finalizers, "b.io/b", version="8")
    with pytest.raises(Conflict):
        stored(now, change(seen, OURS))


@pytest.mark.pain(20)
def test_a_patch_is_the_list_and_its_guard_and_nothing_else() -> None:
    added = finalizers.add(an_object("a.io/a"), OURS)
    removed = finalizers.remove(an_object(OURS), OURS)
    assert added == MergePatch({"metadata": {"resourceVersion": "7", "finalizers": ["a.io/a", OURS]}})
    assert removed == MergePatch({"metadata": {"resourceVersion": "7", "finalizers": None}})


def test_an_object_that_was_never_read_cannot_be_guarded() -> None:
    with pytest.raises(ValueError, match="never read"):
        finalizers.add(Object({"metadata": {"name": "x"}}), OURS)
