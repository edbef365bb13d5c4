"""Whether an object is one of those a watch selects, told here without asking the server.

Needed for the answers to our own writes: a write can move an object out of what is watched. Labels can be told for
certain. A field selector is the server's business, but what it names is nearly always a path of the document: a value
found there decides, and where there is none, we do not know. Pure.
"""

from collections.abc import Mapping
from typing import Any

import attrs
import orjson

from reconcile.cache.entry import Entry
from reconcile.kube.selector import FieldTerm, LabelSelector, parse_fields, parse_labels


@attrs.frozen
class Scope:
    """What a watch selects beside its namespaces."""

    labels: LabelSelector
    fields: tuple[FieldTerm, ...]

    @classmethod
    def of(cls, labels: str = "", fields: str = "") -> "Scope":
        """As in a query.

        Raises:
            BadSelector: one of them cannot be read.
        """
        return cls(parse_labels(labels), parse_fields(fields).terms)

    def has(self, entry: Entry) -> bool | None:
        """Whether the object is selected; ``None`` if that cannot be told."""
        if not self.labels.matches(entry.meta.labels):
            return False
        if not self.fields:
            return True
        document = orjson.loads(entry.raw)
        answers = [_holds(term, document) for term in self.fields]
        if False in answers:
            return False
        return None if None in answers else True


def _holds(term: FieldTerm, document: Mapping[str, Any]) -> bool | None:
    value: Any = document
    for step in term.path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    if value is None and term.path == "metadata.namespace":
        value = ""
    if isinstance(value, bool):
        value = "true" if value else "false"
    if not isinstance(value, (str, int)):
        return None
    return (str(value) == term.value) is not term.negated
