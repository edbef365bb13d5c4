"""What is knowingly otherwise than on a real server: the case that shows it, and why it is so."""

from collections.abc import Mapping
from typing import Final

DIFFERENT: Final[Mapping[str, str]] = {
    "discovery: the version of the server": "it says that it is not the real one",
    "patches: a deployment whose template deserves a warning": "what is legal and unwise in a pod is not warned of",
    "patches: merge: another custom kind": "a version that nobody serves is refused, and no warning comes with it",
    "patches: strategic of a pod: an order": "what may not change in a pod is named, its Go structs are not shown",
    "patches: strategic of a deployment: float 2.0 as replicas": "no number with a point is taken for an integer",
}
DIFFERENT_OVER_HTTP: Final[Mapping[str, str]] = {
    "errors: a method that is none": "the reader of HTTP knows all methods there are, and answers 400 itself",
}
