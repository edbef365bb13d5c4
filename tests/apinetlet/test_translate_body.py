"""What every body has in common."""

import pytest

from apinetlet.translate.body import holding

HEAD = {"apiVersion": "v1", "kind": "Network", "metadata": {"name": "u"}}
EMPTY, PEERED, BARE = b'{"f:spec":{}}', b'{"f:spec":{"f:peerings":{}}}', b'{"f:metadata":{"f:labels":{}}}'


@pytest.mark.parametrize("applied", [[EMPTY], [PEERED], [BARE, EMPTY]])
def test_a_spec_that_was_applied_before_is_never_left_out(applied: list[bytes]) -> None:
    assert holding(HEAD, applied) == {**HEAD, "spec": {}}
    assert holding({**HEAD, "spec": {"a": 1}}, applied) == {**HEAD, "spec": {"a": 1}}


@pytest.mark.parametrize("applied", [[], [BARE]])
def test_what_has_no_spec_gets_none(applied: list[bytes]) -> None:
    assert holding(HEAD, applied) == HEAD
