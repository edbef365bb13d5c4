"""Who may have an object that several would like to have: the rules as a table, and what follows from all of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apinetlet.claims import Move, after_asking, move
from apinetlet.origin import Origin
from reconcile.kube import ObjectMeta

US = ObjectMeta(namespace="default", name="us", uid="our-uid")
OURS = Origin("default", "us", "our-uid")
OURS_BEFORE = Origin("default", "us", "an-older-uid")
THEIRS = Origin("default", "them", "their-uid")


@pytest.mark.parametrize(
    ("holder", "wanted", "adoptable", "expected"),
    [
        (OURS, True, True, Move.USE),
        (OURS, True, False, Move.USE),
        (OURS, False, True, Move.RELEASE),
        (None, True, True, Move.ADOPT),
        (None, True, False, Move.LEAVE),
        (None, False, True, Move.LEAVE),
        (THEIRS, True, True, Move.ASK),
        (THEIRS, False, True, Move.LEAVE),
        (OURS_BEFORE, True, True, Move.ASK),
        (OURS_BEFORE, False, True, Move.ASK),
    ],
)
def test_what_follows_from_who_holds_it(holder: Origin | None, wanted: bool, adoptable: bool, expected: Move) -> None:
    assert move(holder, US, wanted=wanted, adoptable=adoptable) is expected


@pytest.mark.parametrize(
    ("lives", "wanted", "adoptable", "expected"),
    [
        (True, True, True, Move.WAIT),
        (True, False, True, Move.LEAVE),
        (False, True, True, Move.ADOPT),
        (False, True, False, Move.RELEASE),
        (False, False, True, Move.RELEASE),
    ],
)
def test_what_follows_once_the_server_was_asked(lives: bool, wanted: bool, adoptable: bool, expected: Move) -> None:
    assert after_asking(lives=lives, wanted=wanted, adoptable=adoptable) is expected


holders = st.one_of(st.none(), st.sampled_from([OURS, OURS_BEFORE, THEIRS]))


@given(holder=holders, wanted=st.booleans(), adoptable=st.booleans())
def test_what_somebody_else_holds_is_never_taken_without_asking(
    holder: Origin | None, wanted: bool, adoptable: bool
) -> None:
    found = move(holder, US, wanted=wanted, adoptable=adoptable)
    if holder is not None and holder.uid != US.uid:
        assert found in {Move.ASK, Move.LEAVE}


@given(lives=st.booleans(), wanted=st.booleans(), adoptable=st.booleans())
def test_after_asking_nobody_asks_again_and_nothing_is_taken_from_the_living(
    lives: bool, wanted: bool, adoptable: bool
) -> None:
    found = after_asking(lives=lives, wanted=wanted, adoptable=adoptable)
    assert found is not Move.ASK
    assert not lives or found in {Move.WAIT, Move.LEAVE}
