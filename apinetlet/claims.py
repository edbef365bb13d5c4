"""Who may have an object that several would like to have.

An interface of the data plane, or a virtual IP, has one holder: the source interface whose uid is recorded on it. The
rules say what a source interface does about it: whoever holds it keeps it; what is free may be taken; what somebody
else holds is waited for, unless that somebody does not live any more. Pure: who lives is asked by the caller.
"""

from enum import Enum

from apinetlet.origin import Origin
from reconcile.kube import ObjectMeta


class Move(Enum):
    """What follows for the object."""

    USE = "it is ours"
    ADOPT = "it is free: make it ours"
    RELEASE = "it is ours and not wanted any more: let it go"
    LEAVE = "it is nothing to us"
    ASK = "somebody else holds it: ask the server whether the holder lives"
    WAIT = "somebody else holds it and lives"


def move(holder: Origin | None, us: ObjectMeta, *, wanted: bool, adoptable: bool = True) -> Move:
    """What ``us`` does about an object that ``holder`` holds. ``adoptable``: it may be taken if it is free."""
    if holder is None:
        return Move.ADOPT if wanted and adoptable else Move.LEAVE
    if holder.uid == us.uid:
        return Move.USE if wanted else Move.RELEASE
    # what was held for an older object of our name is ours to clear, wanted or not
    return Move.ASK if wanted or holder.key == us.key else Move.LEAVE


def after_asking(*, lives: bool, wanted: bool, adoptable: bool = True) -> Move:
    """What follows for an object that somebody else holds, once it is known whether the holder lives."""
    if lives:
        return Move.WAIT if wanted else Move.LEAVE
    return Move.ADOPT if wanted and adoptable else Move.RELEASE
