"""The admission of a write: what others change in it, and whether they let it pass.

``Admission`` is what one attempt at a request has at hand: a sight of what is stored and the answers of webhooks that
are known so far. Pure; what is not known yet raises ``Pending``. Source of the order: apiserver, its admission chain.
"""

from collections.abc import Callable
from typing import Final

import attrs

from reconcile.testing.apiserver.asking import Answers
from reconcile.testing.apiserver.failure import Document
from reconcile.testing.apiserver.matching import Attributes
from reconcile.testing.apiserver.registry import Registry
from reconcile.testing.apiserver.storage import Storage
from reconcile.testing.apiserver.strategy import Kind

GROUP: Final = "admissionregistration.k8s.io"
TABLES: Final = tuple(
    f"{plural}.{GROUP}"
    for plural in (
        "mutatingwebhookconfigurations",
        "validatingwebhookconfigurations",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
    )
)


def is_needed(storage: Storage) -> bool:
    """Whether anybody wants to be asked."""
    for name in TABLES:
        table = storage.tables.get(name)
        if table is not None and table.objects:
            return True
    return False


@attrs.frozen(eq=False)
class Admission:
    """One attempt."""

    storage: Storage
    registry: Registry
    answers: Answers

    # -- what is seen ----------------------------------------------------------------------------------------------

    def all(self, plural: str, group: str) -> list[Document]:
        """The objects of a resource, in the order of their names."""
        table = self.storage.tables.get(f"{plural}.{group}")
        return [table.objects[key].value for key in table.order] if table is not None else []

    def of_kind(self, api_version: str, kind: str) -> Kind | None:
        """A kind by its name."""
        return self.registry.of_kind(api_version, kind)

    def objects(self, kind: Kind, namespace: str) -> list[Document]:
        """The objects of a kind."""
        found = (self.storage.get(kind.table, key) for key in self.storage.keys(kind.table, namespace))
        return [kind.seen(one).value for one in found if one is not None]

    def namespace(self, name: str) -> Document | None:
        """A namespace."""
        found = self.storage.get("namespaces", name)
        return found.value if found is not None else None

    def versions(self, kind: Kind) -> list[Kind]:
        """All versions of a kind."""
        return self.registry.all_of_table(kind.table) if kind.family is not None else [kind]

    # -- what is decided -------------------------------------------------------------------------------------------

    def mutate(
        self, attributes: Attributes, reform: Callable[[Document], Document], warnings: list[str]
    ) -> Document | None:
        """The new object as others leave it; ``warnings`` gets theirs. Raises ``Failure``, ``Pending``."""
        from reconcile.testing.apiserver import webhooks  # on use, as policies are: what they need is large

        return webhooks.mutated(self, attributes, self.answers, reform, warnings)

    def validate(self, attributes: Attributes, warnings: list[str]) -> None:
        """Let a write pass, or not; ``warnings`` gets what to warn of. Raises ``Failure``, ``Pending``."""
        from reconcile.testing.apiserver import policies, webhooks

        if attributes.is_exempt:
            return
        warnings += policies.judge(self, attributes)
        webhooks.validated(self, attributes, self.answers, warnings)
