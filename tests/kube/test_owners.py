"""Owner references point where the garbage collector looks, and others' entries stay."""

from typing import Any

import orjson
import pytest

from reconcile.kube import kinds, owners
from reconcile.kube.objects import Object, ObjectKey, OwnerReference
from reconcile.kube.patch import apply_merge

CHILD = ObjectKey("shop", "child")


def an_object(name: str, *references: dict[str, Any], namespace: str = "shop", uid: str = "u") -> Object:
    metadata = {"name": name, "namespace": namespace, "uid": uid, "resourceVersion": "7"}
    return Object.decode(orjson.dumps({"metadata": {**metadata, "ownerReferences": list(references)}}))


A = {"apiVersion": "v1", "kind": "A", "name": "a", "uid": "1"}
B = {"apiVersion": "v1", "kind": "B", "name": "b", "uid": "2", "controller": True, "blockOwnerDeletion": True}


def test_a_reference_names_its_owner() -> None:
    made = owners.reference(CHILD, an_object("own"), kinds.DEPLOYMENT)
    assert made == OwnerReference(
        api_version="apps/v1", kind="Deployment", name="own", uid="u", controller=True, block_owner_deletion=True
    )


@pytest.mark.parametrize(("owner", "child"), [("other", CHILD), ("shop", ObjectKey("", "child"))])
def test_an_owner_in_another_namespace_is_refused(owner: str, child: ObjectKey) -> None:
    with pytest.raises(owners.CrossNamespace, match="another namespace") as caught:
        owners.reference(child, an_object("own", namespace=owner), kinds.POD)
    assert (caught.value.obj, caught.value.owner) == (child, ObjectKey(owner, "own"))


def test_what_is_cluster_scoped_may_own_in_every_namespace() -> None:
    assert owners.reference(CHILD, an_object("n1", namespace=""), kinds.NODE).name == "n1"


def test_an_owner_without_uid_was_never_read() -> None:
    with pytest.raises(ValueError, match="no uid"):
        owners.reference(CHILD, Object({"metadata": {"name": "x"}}), kinds.POD)


def test_adding_keeps_the_others_and_the_version() -> None:
    obj = an_object("child", B)
    new = owners.reference(CHILD, an_object("own"), kinds.POD, controller=False, block_deletion=False)
    patch = owners.add(obj, new)
    assert patch is not None
    assert patch.value == {
        "metadata": {
            "resourceVersion": "7",
            "ownerReferences": [B, {"apiVersion": "v1", "kind": "Pod", "name": "own", "uid": "u"}],
        }
    }
    after = Object(apply_merge(obj, patch))
    assert owners.owns(an_object("own"), after)
    assert not owners.owns(an_object("own"), obj)
    assert owners.add(after, new) is None


def test_adding_again_changes_how_it_is_owned_in_its_place() -> None:
    obj = an_object("child", A, {**A, "uid": "3", "name": "c"})
    patch = owners.add(obj, OwnerReference(api_version="v1", kind="A", name="a", uid="1", controller=True))
    assert patch is not None
    assert [owner["uid"] for owner in patch.value["metadata"]["ownerReferences"]] == ["1", "3"]
    assert patch.value["metadata"]["ownerReferences"][0]["controller"] is True


def test_there_can_be_only_one_controller() -> None:
    new = owners.reference(CHILD, an_object("own"), kinds.POD)
    with pytest.raises(owners.AlreadyControlled, match="controlled by B b") as caught:
        owners.add(an_object("child", A, B), new)
    assert caught.value.controller.uid == "2"


def test_removing_takes_one_owner_away() -> None:
    obj = an_object("child", A, B)
    patch = owners.remove(obj, "1")
    assert patch is not None
    assert patch.value["metadata"] == {"resourceVersion": "7", "ownerReferences": [B]}
    assert owners.remove(obj, "9") is None
