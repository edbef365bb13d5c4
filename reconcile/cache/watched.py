"""Which objects of a kind a cluster keeps a copy of, and how much of each.

Nothing is watched that was not declared here, and what was declared says all that it costs: which namespaces, which
objects, which parts of them. Pure.
"""

from collections.abc import Iterable
from typing import Any, Generic, TypeVar

import attrs

from reconcile.cache.entry import EntryReader
from reconcile.cache.scope import Scope
from reconcile.cache.table import Index
from reconcile.kube.resource import Resource

T = TypeVar("T")


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


@attrs.frozen
class Watched(Generic[T]):
    """One declared kind.

    ``namespaces``: none means all. ``labels``, ``fields``: selectors, as in a query. ``metadata_only``: bodies are
    never fetched. ``keep``: dotted paths kept beside the head; none means all. ``optional``: a server without the kind
    is fine, and nobody waits for it. ``manager``: the field manager of what is written of it, if not the client's.

    Raises:
        ValueError: namespaces of a cluster-scoped kind, or paths of a kind without bodies.
        BadSelector: a selector that cannot be read.
    """

    resource: Resource[T]
    namespaces: tuple[str, ...] = attrs.field(default=(), converter=_distinct)
    labels: str = ""
    fields: str = ""
    metadata_only: bool = False
    keep: tuple[str, ...] = ()
    indexes: tuple[Index, ...] = ()
    optional: bool = False
    manager: str = ""

    def __attrs_post_init__(self) -> None:
        if any(self.namespaces) and not self.resource.namespaced:
            raise ValueError(f"{self.resource.name} is cluster-scoped: it cannot be watched in {list(self.namespaces)}")
        if self.metadata_only and self.keep:
            raise ValueError(f"{self.resource.name} is watched without bodies: there is no {list(self.keep)} to keep")
        self.scope  # noqa: B018 - a selector that cannot be read is refused here

    @property
    def scopes(self) -> tuple[str, ...]:
        """The namespaces to ask for, one watch each; "" for all of them."""
        return ("",) if not self.namespaces or "" in self.namespaces else self.namespaces

    @property
    def scope(self) -> Scope:
        """The selectors, to be told here."""
        return Scope.of(self.labels, self.fields)

    @property
    def is_whole(self) -> bool:
        """Whether whole documents are kept."""
        return not (self.metadata_only or self.keep)

    def reader(self, manager: str) -> EntryReader:
        """Reads the documents. ``manager``: whose Apply entries to keep, unless the kind has its own."""
        return EntryReader(self.resource, self.manager_or(manager), self.keep, self.metadata_only)

    def manager_or(self, manager: str) -> str:
        """Who writes objects of the kind: its own field manager, or ``manager``."""
        return self.manager or manager

    @classmethod
    def of(cls, declared: "Watched[T] | Resource[T]") -> "Watched[T]":
        """A bare resource means all objects, whole."""
        return declared if isinstance(declared, Watched) else Watched(declared)


def rule_for(resource: Resource[Any], namespace: str, verbs: tuple[str, ...]) -> str:
    """The RBAC rule that allows this, as a sentence with YAML in it."""
    where = f"a Role in namespace {namespace}" if namespace else "a ClusterRole"
    names = [f'"{resource.group}"', resource.plural, ", ".join(verbs)]
    rule = "{{apiGroups: [{}], resources: [{}], verbs: [{}]}}".format(*names)
    return f"add the rule {rule} to {where} that is bound to this identity"
