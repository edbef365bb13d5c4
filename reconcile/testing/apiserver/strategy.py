"""What is particular to a kind: its schema, its strategy and its hooks.

A ``Kind`` is all the server needs to serve a resource. The ``Strategy`` is a value: which parts of an object which
write may change, when the generation counts, which names are good. ``Hooks`` are code of the kind's own that runs
inside the same write. Pure.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import attrs

from reconcile.kube.resource import Resource
from reconcile.testing.apiserver import names
from reconcile.testing.apiserver.columns import Column
from reconcile.testing.apiserver.failure import Document, Fault, GroupName
from reconcile.testing.apiserver.fields import FieldSet, of_paths
from reconcile.testing.apiserver.scaling import ScalePaths
from reconcile.testing.apiserver.schema import Schema, open_schema
from reconcile.testing.apiserver.storage import Stored
from reconcile.testing.apiserver.versions import Family

if TYPE_CHECKING:
    from reconcile.testing.apiserver.admission import Write

ALL: Final = ("*",)
"""Every part of an object but its metadata."""
STATUS: Final[Mapping[str, tuple[str, ...]]] = {"status": ("status",)}
"""A status subresource whose writes change the status only, as custom resources have it."""
VERBS: Final = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@attrs.frozen
class Strategy:
    """What a write may do to an object of the kind. Parts are top-level fields: ``spec``, ``status``, ``data``."""

    subresources: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    """The subresources that are views of the object, and the parts that a write through each may change."""
    main_keeps: tuple[str, ...] = ()
    """Parts that a write of the object itself cannot change: dropped on create, kept on update."""
    generation: tuple[str, ...] = ()
    """Parts whose change raises ``metadata.generation``, which starts at 1; ``ALL`` for every part; none: no number."""
    unconditional_update: bool = True
    """Whether an update without a resource version is taken."""
    create_on_update: bool = False
    """Whether an update of an object that is not there creates it."""
    name_rule: names.NameRule = names.subdomain
    fields: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    """Field selectors besides those of the metadata: name to the path of its value."""
    zeros: Mapping[str, str] = attrs.field(factory=dict)
    """What such a field is where the object has none, if not ""."""
    returns_deleted: bool = False
    """Whether a deletion answers with the object, not with a Status."""
    grace: Callable[[Document, int | None], int] | None = None
    """Seconds an object lives on after its deletion, given what was asked for; ``None``: this kind dies at once."""
    strategic: bool = False
    """Whether strategic merge patches are taken: built-in kinds do, custom resources answer 415."""
    mark: Callable[[Document, str], None] | None = None
    """What the first deletion changes in an object, given the time, before it is decided whether it stays for a while.
    Such a kind has a deletion of its own: it leaves the generation and the grace period alone."""
    remains: Callable[[Document], bool] | None = None
    """Whether an object in deletion has to stay for a reason that is not in ``metadata.finalizers``."""
    scale: ScalePaths | None = None
    """Where an object keeps its replicas: it has the scale subresource."""
    verbs: tuple[str, ...] = VERBS

    def resets(self, subresource: str) -> FieldSet:
        """Fields that nobody comes to own by a write through a subresource ("" for the object itself)."""
        if not subresource:
            return _whole(self.main_keeps)
        changes = self.subresources.get(subresource, ())
        return _whole(tuple(part for part in ("metadata", "spec") if part not in changes))


@functools.cache
def _whole(parts: tuple[str, ...]) -> FieldSet:
    return of_paths(*((f"f:{part}",) for part in parts))


def custom(*, status: bool = False, **changes: Any) -> Strategy:
    """The strategy of a custom resource: it has a generation, and no update without a resource version.

    With ``status`` there is a status subresource, and the two sides cannot write each other's part.
    """
    own: dict[str, Any] = {"generation": ALL, "unconditional_update": False}
    if status:
        own |= {"subresources": STATUS, "main_keeps": ("status",)}
    return Strategy(**{**own, **changes})


Hook: TypeAlias = Callable[["Write"], None]


class Judged(Protocol):
    """What rules find wrong with an object, and what only deserves a warning."""

    faults: list[Fault]
    warnings: list[str]


Judge: TypeAlias = Callable[[Document, Document | None], Judged]
"""From the new and the old object to what is wrong."""


@attrs.frozen
class Hooks:
    """Code of a kind that runs inside a write, in this order; each sees user, old and new object.

    A hook that raises ``Failure`` answers with it and undoes the write; anything else it raises is a 500.
    """

    default: Callable[[Document], None] | None = None
    """Fill in what is missing, in place; also for a document that is read from a body before it is merged."""
    before_delete: Hook | None = None
    """Whether a deletion may begin: it may refuse; sees the object as ``write.old``, once for each request."""
    allocate: Hook | None = None
    """Take or release what the object needs; may change ``write.new``, and other objects through ``write``."""
    validate: Callable[["Write"], Iterable[Fault]] | None = None
    """What is wrong with the new object; with any fault the write is refused with 422."""
    warn: Callable[["Write"], Iterable[str]] | None = None
    """What the answer to a write that passed is to warn of."""
    after_commit: Hook | None = None
    """Look at what is now stored; runs once the write is real, never for a dry run."""


@attrs.frozen(eq=False)
class Kind:
    """One resource at one version, ready to be served."""

    resource: Resource[Any]
    _schema: Schema | Callable[[], Schema] = attrs.field(factory=open_schema)
    """The type of its objects, or how to get it once somebody asks."""
    strategy: Strategy = attrs.field(factory=custom)
    hooks: Hooks = Hooks()
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    singular: str = ""
    blank: Document = attrs.field(factory=dict)
    """The parts that an empty object of the kind already has: those that its Go type keeps by value."""
    lists_as: str = ""
    """The kind of its lists, if it is not its own with ``List``."""
    custom: bool = True
    """A custom resource: unknown fields are pruned and its schema is enforced, as for a CustomResourceDefinition."""
    rules: "Judge | None" = None
    """Rules of its schema in the Common Expression Language; asked once the schema itself is content."""
    columns: tuple[Column, ...] = ()
    """What a table shows of its objects besides their names."""
    family: Family | None = None
    """All its versions, where there may be several; ``None``: what is stored is what is shown."""
    stored_as: str = ""
    """The resource whose objects it shows, if not its own."""
    deprecation: str = ""
    """What whoever uses this version is warned of; "" if it is a good one."""

    @functools.cached_property
    def schema(self) -> Schema:
        """The type of its objects."""
        return self._schema if isinstance(self._schema, Schema) else self._schema()

    @functools.cached_property
    def table(self) -> str:
        """The name its objects are stored under."""
        return self.stored_as or self.resource.name

    @property
    def group_resource(self) -> GroupName:
        """For errors about its objects."""
        return GroupName(self.resource.group, self.resource.plural)

    @property
    def group_kind(self) -> GroupName:
        """For errors about invalid objects."""
        return GroupName(self.resource.group, self.resource.kind)

    @property
    def list_kind(self) -> str:
        """The kind of its lists."""
        return self.lists_as or f"{self.resource.kind}List"

    def seen(self, found: Stored) -> Stored:
        """A stored object as this version shows it."""
        return found if self.family is None else self.family.seen(self, found)

    def kept(self, document: Document) -> Document:
        """A document of this version as it is stored."""
        return document if self.family is None else self.family.kept(document)

    def selectable(self, document: Document) -> dict[str, str]:
        """The values that field selectors may ask for, besides name and namespace."""
        return self._selectable(document, self.strategy.fields)

    def selectable_as_kept(self, document: Document) -> dict[str, str]:
        """The same for a document as it is stored."""
        paths = self.strategy.fields if self.family is None else self.family.fields[self.family.storage]
        return self._selectable(document, paths)

    def _selectable(self, document: Document, paths: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
        zeros = self.strategy.zeros
        return {name: _text(document, path) or zeros.get(name, "") for name, path in paths.items()}


def _text(document: Any, path: tuple[str, ...]) -> str:
    for step in path:
        document = document.get(step) if isinstance(document, dict) else None
    if document is None:
        return ""
    if isinstance(document, bool):
        return "true" if document else "false"
    return str(document)
