"""What is left of a strategic merge patch when it is quoted in a refusal."""

from reconcile.testing.apiserver.strategic import followed


def test_a_map_that_is_set_as_a_whole_loses_its_nulls() -> None:
    """Source: the real server's answer to a random story."""
    assert followed({}, {"data": {"j": None, "$retainKeys": ["j"]}}) == {"data": {"$retainKeys": ["j"]}}


def test_a_map_that_is_merged_keeps_them() -> None:
    assert followed({"data": {"k": "v"}}, {"data": {"j": None}}) == {"data": {"j": None}}
