"""What a target records of its source."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apinetlet.api import IRONCORE, ONMETAL, Generation
from apinetlet.origin import Origin, Origins
from reconcile.kube import MergePatch, ObjectKey, ObjectMeta

GENERATIONS = st.sampled_from([ONMETAL, IRONCORE])
LABELS = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)


def target(**metadata: dict[str, str]) -> ObjectMeta:
    return ObjectMeta(name="x", labels=metadata.get("labels", {}), annotations=metadata.get("annotations", {}))


@given(GENERATIONS, LABELS, LABELS, LABELS)
def test_what_was_recorded_is_read_back(generation: Generation, namespace: str, name: str, uid: str) -> None:
    origins = Origins(generation, "Network")
    recorded = origins.metadata(ObjectMeta(namespace=namespace, name=name, uid=uid))
    assert origins.of(target(**recorded)) == Origin(namespace, name, uid)
    assert list(origins.keys(target(**recorded))) == [ObjectKey(namespace, name)]


def test_the_first_generation_records_three_labels_and_nothing_else() -> None:
    assert Origins(ONMETAL, "Network").metadata(ObjectMeta(namespace="ns", name="blue", uid="u-1")) == {
        "labels": {
            "apinetlet.api.onmetal.de/network-namespace": "ns",
            "apinetlet.api.onmetal.de/network-name": "blue",
            "apinetlet.api.onmetal.de/network-uid": "u-1",
        }
    }


def test_the_second_generation_records_the_name_as_an_annotation() -> None:
    assert Origins(IRONCORE, "Network").metadata(ObjectMeta(namespace="ns", name="blue", uid="u-1")) == {
        "labels": {"apinetlet.ironcore.dev/network-namespace": "ns", "apinetlet.ironcore.dev/network-uid": "u-1"},
        "annotations": {"apinetlet.ironcore.dev/network-name": "blue"},
    }


@pytest.mark.parametrize("generation", [ONMETAL, IRONCORE])
@pytest.mark.parametrize("missing", ["namespace", "name", "uid"])
@pytest.mark.parametrize("how", ["absent", "empty"])
def test_an_object_that_lacks_one_of_the_three_is_not_ours(generation: Generation, missing: str, how: str) -> None:
    origins = Origins(generation, "Network")
    recorded = origins.metadata(ObjectMeta(namespace="ns", name="blue", uid="u-1"))
    for values in recorded.values():
        for key in [key for key in values if key.endswith(f"network-{missing}")]:
            values.pop(key) if how == "absent" else values.update({key: ""})
    assert origins.of(target(**recorded)) is None
    assert list(origins.keys(target(**recorded))) == []


def test_the_origin_of_another_kind_is_not_read() -> None:
    recorded = Origins(ONMETAL, "VirtualIP").metadata(ObjectMeta(namespace="ns", name="blue", uid="u-1"))
    assert Origins(ONMETAL, "Network").of(target(**recorded)) is None


@pytest.mark.parametrize(
    ("name", "fits"), [("blue", True), ("a" * 63, True), ("a" * 64, False), ("a.b", True), ("-a", False)]
)
def test_only_a_name_that_is_a_label_value_fits_a_label(name: str, fits: bool) -> None:
    assert Origins(ONMETAL, "Network").fits(ObjectMeta(name=name)) is fits
    assert Origins(IRONCORE, "Network").fits(ObjectMeta(name=name))


@pytest.mark.parametrize("missing", ["", "name", "namespace", "uid"])
def test_a_name_is_moved_out_of_a_label_of_a_whole_origin_only_where_it_is_an_annotation_now(missing: str) -> None:
    for generation in (ONMETAL, IRONCORE):
        prefix = f"{generation.origins}/network"
        labels = {f"{prefix}-{part}": part for part in ("name", "namespace", "uid") if part != missing}
        patch = Origins(generation, "Network").moved(ObjectMeta(name="t", labels={**labels, "x": "y"}))
        if missing or generation is ONMETAL:
            assert patch is None
        else:
            name = f"{prefix}-name"
            assert patch == MergePatch({"metadata": {"labels": {name: None}, "annotations": {name: "name"}}})
