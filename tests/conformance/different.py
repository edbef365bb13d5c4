"""What is knowingly otherwise than on a real server: the case that shows it, and why it is so."""

from collections.abc import Mapping
from typing import Final

DIFFERENT: Final[Mapping[str, str]] = {
    "discovery: the version of the server": "it says that it is not the real one",
    "patches: strategic of a pod: an order": "what may not change in a pod is named, its Go structs are not shown",
}
DIFFERENT_OVER_HTTP: Final[Mapping[str, str]] = {
    "errors: a method that is none": "the reader of HTTP knows all methods there are, and answers 400 itself",
}

UNDER_WORK: Final = frozenset(
    {
        "apply: a deployment and its scale",
        "apply: managers that cannot be read: a long name",
        "definitions: a scale",
        "definitions: embedded objects",
        "definitions: judged: an empty one",
        "definitions: short names and categories",
        "discovery: the version of the server",
        "errors: a deployment against its rules",
        "lists: a custom object refuses protobuf",
        "lists: a form nobody has",
        "lists: a table with something else",
        "lists: the form of a list asked of an object",
        "lists: the form of an object asked of a list",
        "patches: merge: another custom kind",
        "patches: strategic of a pod: an order",
        "selectors: fields of a pod: spec.hostNetwork=false",
        "watches: yaml is no stream",
    }
)
"""What is going to be the same, and may be so already."""
