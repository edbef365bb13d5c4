"""What the hooks of a kind reach: other objects, inside the same write.

Each step is a whole: what a hook survives leaves nothing behind. Pure.
"""

from collections.abc import Iterable
from typing import Any

import attrs

from reconcile.kube.objects import ObjectKey
from reconcile.kube.resource import Resource
from reconcile.testing.apiserver import metadata as metas
from reconcile.testing.apiserver.deleting import delete
from reconcile.testing.apiserver.failure import Document, GroupName, not_found
from reconcile.testing.apiserver.orders import DeleteOptions
from reconcile.testing.apiserver.session import Session
from reconcile.testing.apiserver.storage import key_of
from reconcile.testing.apiserver.strategy import Kind
from reconcile.testing.apiserver.writing import create, replace


@attrs.define(eq=False)
class Reach:
    """``World`` over a session; writes are made in the name of the session's user."""

    session: Session

    def get(self, resource: Resource[Any], key: ObjectKey) -> Document | None:
        found = self.session.transaction.get(resource.name, key_of(*key))
        return found.value if found is not None else None

    def list(self, resource: Resource[Any], namespace: str = "") -> Iterable[Document]:
        return [found.value for found in self.session.transaction.all(resource.name, namespace)]

    def create(self, resource: Resource[Any], document: Document) -> Document:
        namespace = (document.get("metadata") or {}).get("namespace") or ""
        with self.session.step():
            return create(self.session, self._kind(resource), namespace, document, self.session.user.name).document

    def update(self, resource: Resource[Any], document: Document) -> Document:
        metadata = metas.of(document)
        key = ObjectKey(metadata.get("namespace") or "", metadata.get("name") or "")
        with self.session.step():
            return replace(self.session, self._kind(resource), key, document, self.session.user.name).document

    def delete(self, resource: Resource[Any], key: ObjectKey) -> None:
        with self.session.step():
            delete(self.session, self._kind(resource), key, DeleteOptions())

    def _kind(self, resource: Resource[Any]) -> Kind:
        kind = self.session.registry.of(resource)
        if kind is None:
            raise not_found(GroupName(resource.group, resource.plural), "")
        return kind
