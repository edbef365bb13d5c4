"""What is knowingly otherwise than on a real server: the case that shows it, and why it is so."""

from collections.abc import Mapping
from typing import Final

DIFFERENT: Final[Mapping[str, str]] = {}

UNDER_WORK: Final = frozenset(
    {
        "lists: a custom object refuses protobuf",
        "lists: a form nobody has",
        "lists: the form of a list asked of an object",
        "lists: the form of an object asked of a list",
        "patches: merge: another custom kind",
        "patches: merge: another kind",
        "patches: strategic: a wrong type",
        "storage: a deployment has a generation that its status knows of",
        "watches: pods, which end in two steps",
    }
)
"""What is going to be the same, and may be so already."""
_KINDS: Final = (" pod", "deployment", "service")


def is_under_work(case: str) -> bool:
    """Whether the kinds this case is about are still being made."""
    return case in UNDER_WORK or any(word in case for word in _KINDS)
