"""What an object belongs to while it lives: its namespace, the definition of its kind.

Nothing new is taken into what is going away. Pure. Source of the rules: apiserver, ``plugin/namespace/lifecycle``, and
apiextensions-apiserver, ``customresource_handler.go``.
"""

from typing import Final

from reconcile.testing.apiserver import metadata as metas
from reconcile.testing.apiserver.crds import is_terminating
from reconcile.testing.apiserver.failure import Document, GroupName, forbidden, not_found
from reconcile.testing.apiserver.storage import Transaction
from reconcile.testing.apiserver.strategy import Kind

_DEFINITIONS: Final = "customresourcedefinitions.apiextensions.k8s.io"


def check_namespace(transaction: Transaction, kind: Kind, document: Document) -> None:
    """Refuse an object whose namespace is not there, or going.

    Raises:
        Failure: 404, or 403 with the cause NamespaceTerminating.
    """
    namespace = metas.of(document).get("namespace") or ""
    if not (kind.resource.namespaced and namespace):
        return
    found = transaction.get("namespaces", namespace)
    if found is None:
        raise not_found(GroupName("", "namespaces"), namespace)
    if metas.of(found.value).get("deletionTimestamp"):
        why = f"unable to create new content in namespace {namespace} because it is being terminated"
        failure = forbidden(kind.group_resource, metas.of(document).get("name") or "", why)
        cause = {
            "reason": "NamespaceTerminating",
            "message": f"namespace {namespace} is being terminated",
            "field": "metadata.namespace",
        }
        failure.status["details"]["causes"] = [cause]
        raise failure


def check_definition(transaction: Transaction, kind: Kind, document: Document) -> None:
    """Refuse an object of a kind whose definition is going.

    Raises:
        Failure: 403.
    """
    definition = transaction.get(_DEFINITIONS, kind.table)
    if kind.custom and definition is not None and is_terminating(definition.value):
        name = (document.get("metadata") or {}).get("name") or ""
        why = "create not allowed while custom resource definition is terminating"
        raise forbidden(kind.group_resource, name, why)
