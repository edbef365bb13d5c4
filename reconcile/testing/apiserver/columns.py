"""What ``kubectl get`` shows of a custom resource, one value a column.

Pure. Source: apiextensions-apiserver, ``registry/customresource/tableconvertor``.
"""

import attrs

from reconcile.testing.apiserver.failure import Document


@attrs.frozen
class Column:
    """One column besides the name. ``json_path`` is a simple path such as ``.spec.size``."""

    name: str
    type: str
    """integer, number, string, boolean or date."""
    json_path: str
    format: str = ""
    priority: int = 0
    """Above 0: shown by ``-o wide`` only."""
    description: str = ""


AGE = Column("Age", "date", ".metadata.creationTimestamp")


def columns_of(version: Document) -> tuple[Column, ...]:
    """The columns of a version of a definition; its age if it lists none."""
    found = [
        Column(
            one["name"],
            one["type"],
            one["jsonPath"],
            one.get("format") or "",
            one.get("priority") or 0,
            one.get("description") or "",
        )
        for one in version.get("additionalPrinterColumns") or ()
    ]
    return tuple(found) or (AGE,)
