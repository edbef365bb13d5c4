"""What is wrong with a document by the rules of its schema. Pure."""

from collections.abc import Iterator

from reconcile.testing.apiserver.failure import Document, Fault
from reconcile.testing.apiserver.schema import Schema


def schema_faults(schema: Schema, new: Document, old: Document | None) -> Iterator[Fault]:
    """Faults of a custom resource."""
    return iter(())
