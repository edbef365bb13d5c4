"""What goes when owners go: the garbage collector's decisions.

A ``Graph`` learns of every change and says, one action at a time, what has to be done; it takes note of the outcome as
of any other change. Pure: ``caretakers.py`` acts. Source of the rules: kube-controller-manager's garbage collector.
"""

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

import attrs

from reconcile.kube.objects import ObjectKey
from reconcile.testing.apiserver.failure import Document
from reconcile.testing.apiserver.metadata import FOREGROUND, ORPHAN
from reconcile.testing.apiserver.storage import Event, Stored


@attrs.frozen
class Reference:
    """An owner reference: what it names, and by what identity."""

    api_version: str
    kind: str
    name: str
    uid: str
    blocks: bool = False


@attrs.frozen
class Node:
    """What matters about an object."""

    table: str
    key: ObjectKey
    uid: str
    owners: tuple[Reference, ...] = ()
    is_deleting: bool = False
    finalizers: tuple[str, ...] = ()

    @property
    def awaits_dependents(self) -> bool:
        """Whether it is deleted in the foreground: dependents that block it go first."""
        return self.is_deleting and FOREGROUND in self.finalizers

    @property
    def orphans_dependents(self) -> bool:
        """Whether it is deleted and its dependents are to stay."""
        return self.is_deleting and ORPHAN in self.finalizers


@attrs.frozen
class Delete:
    """Delete an object; ``propagation`` is what becomes of its own dependents."""

    node: Node
    propagation: str


@attrs.frozen
class Disown:
    """Take some owners out of an object's references."""

    node: Node
    owners: frozenset[str]


@attrs.frozen
class Unblock:
    """Let an object block its owners no longer."""

    node: Node


@attrs.frozen
class Finalize:
    """Take the collector's finalizer off an object in deletion."""

    node: Node
    finalizer: str


Action: TypeAlias = Delete | Disown | Unblock | Finalize

Places: TypeAlias = Callable[[str, str], tuple[str, bool] | None]
"""Table and scope (namespaced) of an apiVersion and kind; ``None``: no such kind."""


_OWNERS: Final = b'"ownerReferences"'
_DELETION: Final = b'"deletionTimestamp"'
_FINALIZERS: Final = b'"finalizers"'
"""Without any of these in its bytes, an object has neither owners nor finalizers, and is not being deleted."""


def node_of(table: str, stored: Stored) -> Node:
    """What matters about a stored object."""
    key = ObjectKey(stored.namespace, stored.name)
    raw = stored.raw
    if _OWNERS not in raw and _DELETION not in raw and _FINALIZERS not in raw:  # a loop takes three times as long
        return Node(table, key, stored.uid, (), False, ())
    metadata: Document = stored.value["metadata"]
    owners = tuple(
        Reference(
            one.get("apiVersion", ""),
            one.get("kind", ""),
            one.get("name", ""),
            one.get("uid", ""),
            bool(one.get("blockOwnerDeletion")),
        )
        for one in metadata.get("ownerReferences") or ()
    )
    return Node(
        table,
        key,
        stored.uid,
        owners,
        bool(metadata.get("deletionTimestamp")),
        tuple(metadata.get("finalizers") or ()),
    )


@attrs.define(eq=False)
class Graph:
    """Who owns whom, and whom to look at next."""

    places: Places
    _nodes: dict[str, Node] = attrs.field(factory=dict)
    _by_place: dict[tuple[str, ObjectKey], str] = attrs.field(factory=dict)
    _dependents: dict[str, set[str]] = attrs.field(factory=dict)
    _due: dict[str, None] = attrs.field(factory=dict)

    def observe(self, table: str, event: Event) -> None:
        """Learn of a change."""
        if event.old is not None and (event.new is None or event.new.uid != event.old.uid):
            self._forget(event.old.uid)
        if event.new is not None:
            self._learn(node_of(table, event.new))

    def _learn(self, node: Node) -> None:
        before = self._nodes.get(node.uid)
        self._leave(before)
        self._nodes[node.uid] = node
        self._by_place[node.table, node.key] = node.uid
        for owner in node.owners:
            self._dependents.setdefault(owner.uid, set()).add(node.uid)
        if node.owners or node.is_deleting:
            self._due[node.uid] = None
        self._look_at(owner.uid for owner in (*node.owners, *(before.owners if before is not None else ())))
        if node.is_deleting and (before is None or not before.is_deleting):
            self._look_at(sorted(self._dependents.get(node.uid, ())))

    def _forget(self, uid: str) -> None:
        node = self._nodes.pop(uid, None)
        if node is None:
            return
        self._by_place.pop((node.table, node.key), None)
        self._due.pop(uid, None)
        self._leave(node)
        self._look_at(sorted(self._dependents.get(uid, ())))
        self._look_at(owner.uid for owner in node.owners)

    def _leave(self, node: Node | None) -> None:
        """It depends on nobody any more; nothing is left of an owner whom nobody depends on."""
        if node is None:
            return
        for owner in node.owners:
            if (dependents := self._dependents.get(owner.uid)) is not None:
                dependents.discard(node.uid)
                if not dependents:
                    del self._dependents[owner.uid]

    def _look_at(self, uids: Iterable[str]) -> None:
        self._due.update((uid, None) for uid in uids if uid in self._nodes)

    @property
    def is_due(self) -> bool:
        """Whether there is something to look at."""
        return bool(self._due)

    def next_action(self) -> Action | None:
        """What to do next; ``None`` when all is as it should be."""
        while self._due:
            uid = next(iter(self._due))
            action = self._decide(self._nodes[uid])
            if action is None:
                del self._due[uid]
            else:
                return action
        return None

    def skip(self, action: Action) -> None:
        """Do not come back to an action that could not be done, until something changes."""
        self._due.pop(action.node.uid, None)

    def _decide(self, node: Node) -> Action | None:
        if node.orphans_dependents:
            for dependent in self._dependents_of(node):
                return Disown(dependent, frozenset({node.uid}))
            return Finalize(node, ORPHAN)
        if node.awaits_dependents:
            blocking = [one for one in self._dependents_of(node) if _blocks(one, node)]
            if not blocking:
                return Finalize(node, FOREGROUND)
            self._look_at(one.uid for one in blocking if not one.is_deleting)
            return None
        if node.is_deleting or not node.owners:
            return None
        return self._decide_by_owners(node)

    def _decide_by_owners(self, node: Node) -> Action | None:
        solid, dangling, waiting = [], [], []
        for reference in node.owners:
            owner = self._owner(node, reference)
            if owner == "unknown":
                return None
            if not isinstance(owner, Node):
                dangling.append(reference)
            elif owner.awaits_dependents:
                waiting.append(reference)
            else:
                solid.append(reference)
        if solid:
            gone = frozenset(reference.uid for reference in (*dangling, *waiting))
            return Disown(node, gone) if gone else None
        dependents = self._dependents_of(node)
        if waiting and dependents:
            for dependent in dependents:
                # a circle of objects that all wait for each other is cut here
                if dependent.awaits_dependents and any(owner.blocks for owner in node.owners):
                    return Unblock(node)
            return Delete(node, "Foreground")
        if ORPHAN in node.finalizers:
            return Delete(node, "Orphan")
        return Delete(node, "Foreground" if FOREGROUND in node.finalizers else "Background")

    def _owner(self, node: Node, reference: Reference) -> "Node | str | None":
        """The object a reference means, ``None`` if there is none, "unknown" if nobody can tell."""
        place = self.places(reference.api_version, reference.kind)
        if place is None:
            return "unknown"
        table, namespaced = place
        if namespaced and not node.key.namespace:
            return "unknown"
        key = ObjectKey(node.key.namespace if namespaced else "", reference.name)
        uid = self._by_place.get((table, key))
        return self._nodes[uid] if uid is not None and uid == reference.uid else None

    def _dependents_of(self, node: Node) -> list[Node]:
        return [self._nodes[uid] for uid in sorted(self._dependents.get(node.uid, ())) if uid in self._nodes]


def _blocks(dependent: Node, owner: Node) -> bool:
    return any(reference.uid == owner.uid and reference.blocks for reference in dependent.owners)
