"""What looks after the server's objects without being asked: definitions, garbage, namespaces, Events that are old.

Definitions come into force in the step that stores them. The others work in a task of their own, one write at a time,
each a user of the server like any other.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
import attrs

from reconcile.core.clock import Clock, Seconds
from reconcile.kube import kinds as known
from reconcile.kube.objects import ObjectKey
from reconcile.testing.apiserver import crds
from reconcile.testing.apiserver.admission import User
from reconcile.testing.apiserver.converting import converter_of
from reconcile.testing.apiserver.deleting import delete
from reconcile.testing.apiserver.failure import Document, Failure
from reconcile.testing.apiserver.gc import Action, Delete, Disown, Finalize, Graph
from reconcile.testing.apiserver.lifetimes import TABLE, Lifetimes
from reconcile.testing.apiserver.orders import DeleteOptions
from reconcile.testing.apiserver.rbac import GROUP, Rbac, default_objects
from reconcile.testing.apiserver.session import Session
from reconcile.testing.apiserver.storage import Event, key_of
from reconcile.testing.apiserver.strategy import Kind
from reconcile.testing.apiserver.writing import create, update

if TYPE_CHECKING:
    from reconcile.testing.apiserver.server import ApiServer

_log = logging.getLogger(__name__)
_API_SERVER: Final = User("system:apiserver", ("system:masters",))
_COLLECTOR: Final = User("system:serviceaccount:kube-system:generic-garbage-collector", ("system:serviceaccounts",))
_NAMESPACES: Final = User("system:serviceaccount:kube-system:namespace-controller", ("system:serviceaccounts",))
_MANAGER: Final = "kube-apiserver"
_AGGREGATOR: Final = "clusterrole-aggregation-controller"
_CLUSTER_ROLES: Final = f"clusterroles.{GROUP}"
_TICK: Final[Seconds] = 1.0
"""Events go at most so much later than their time is over, many at a time."""


@attrs.define(eq=False)
class Caretakers:
    """All of them, for one server."""

    server: "ApiServer"
    graph: Graph = attrs.field(init=False)
    _terminating: set[str] = attrs.field(factory=set)
    """Definitions in deletion, by name."""
    _leaving: set[str] = attrs.field(factory=set)
    """Namespaces in deletion."""
    _busy: bool = False
    _busy_with_roles: bool = False
    _due: anyio.Event = attrs.field(factory=anyio.Event)
    _lifetimes: Lifetimes = attrs.field(init=False)
    _is_mortal: anyio.Event = attrs.field(factory=anyio.Event)
    """Set once there is something whose time will be over."""
    _clock: Clock = attrs.field(factory=Clock)

    def __attrs_post_init__(self) -> None:
        self.graph = Graph(self._place)
        self._lifetimes = Lifetimes(self.server.settings.event_ttl)

    def _place(self, api_version: str, kind: str) -> tuple[str, bool] | None:
        found = self.server.registry.of_kind(api_version, kind)
        return (found.table, found.resource.namespaced) if found is not None else None

    def observe(self, events: list[tuple[str, Event]]) -> None:
        """Take note of what was committed; definitions are seen to at once."""
        for table, event in events:
            self.graph.observe(table, event)
            if table == known.CRD.name:
                self._define(event)
            elif table == known.NAMESPACE.name:
                self._note_namespace(event)
            elif table == TABLE:
                self._lifetimes.observe(event, self._clock.now())
                self._is_mortal.set()
        self._clear_definitions()
        rules = self.server.rules
        if (
            isinstance(rules, Rbac)
            and rules.storage is not None
            and any(table == _CLUSTER_ROLES for table, _ in events)
        ):
            self._aggregate(rules)
        if self.graph.is_due or self._leaving:
            self._due.set()

    def begin_roles(self) -> None:
        """Create the roles and bindings that every server with roles begins with, those that are not there."""
        rules = self.server.rules
        if not isinstance(rules, Rbac):
            return
        rules.storage = self.server.storage
        self._busy_with_roles = True
        for plural in ("clusterroles", "clusterrolebindings", "roles", "rolebindings"):
            kind = self.server.registry.find(GROUP, "v1", plural)
            assert kind is not None
            for document in default_objects(plural):
                metadata = document["metadata"]
                namespace = metadata.get("namespace", "")
                if self.server.storage.get(kind.table, key_of(namespace, metadata["name"])) is None:
                    self.server.write(partial(_create, kind, namespace, document), user=_API_SERVER)
        self._busy_with_roles = False
        self._aggregate(rules)

    def _aggregate(self, rules: Rbac) -> None:
        """Give the cluster roles that gather others the rules of those; each is one write."""
        kind = self.server.registry.find(GROUP, "v1", "clusterroles")
        if kind is None or self._busy_with_roles:
            return
        self._busy_with_roles = True
        try:
            while found := next(rules.aggregated(), None):
                name, now = found
                change = partial(_with_rules, now)
                key = ObjectKey("", name)
                self.server.write(partial(_update, kind, key, change), user=_API_SERVER)
        finally:
            self._busy_with_roles = False

    def reset(self) -> None:
        """Begin anew from what is stored."""
        self.graph = Graph(self._place)
        self._lifetimes = Lifetimes(self.server.settings.event_ttl)
        self._terminating.clear()
        self._leaving.clear()
        for name, table in self.server.storage.tables.items():
            self.observe([(name, Event(stored.version, None, stored)) for stored in table.objects.values()])

    async def run(self) -> None:
        """Work whenever something is due, for ever."""
        while True:
            await self._due.wait()
            self._due = anyio.Event()
            # what was just committed reaches its watchers before its consequences do
            await anyio.lowlevel.checkpoint()
            if self.server.settings.garbage_collection:
                self.collect()
            if self.server.settings.namespace_lifecycle:
                self.finish_namespaces()

    async def expire(self) -> None:
        """Remove Events whose time is over, for ever."""
        while True:
            await self._is_mortal.wait()
            while (end := self._lifetimes.next_end) is not None:
                await anyio.sleep(max(end - self._clock.now(), _TICK))
                if over := self._lifetimes.over(self._clock.now()):
                    self.server.write(partial(_remove, over), user=_API_SERVER)
            self._is_mortal = anyio.Event()

    # -- definitions -----------------------------------------------------------------------------------------------

    def _define(self, event: Event) -> None:
        server = self.server
        if event.new is None:
            assert event.old is not None
            self._terminating.discard(event.old.name)
            for kind in server.registry.all_of_table(event.old.name):
                if kind.custom:
                    server.registry.remove(kind)
                    server.end_watches(kind.resource)
            self._settle_others(event.old.value)
            return
        definition = event.new.value
        if crds.is_condition(definition.get("status") or {}, "Established"):
            self._serve(event.new.name, definition, event)
        if crds.is_terminating(definition):
            self._terminating.add(event.new.name)
        elif not self._is_settled(definition):
            self._settle(event.new.name, definition)

    def _serve(self, name: str, definition: Document, event: Event) -> None:
        """Let the kinds of a definition be found, in place of what it was."""
        before = self.server.registry.all_of_table(name)
        old = event.old.value if event.old is not None else {}
        same_names = (old.get("status") or {}).get("acceptedNames") == definition["status"].get("acceptedNames")
        if before and same_names and old.get("spec") == definition["spec"]:
            return
        served = crds.kinds_of(definition, event.version, converter_of(definition))
        for kind in before:
            self.server.registry.remove(kind)
        self.server.registry.add(*served)

    def _is_settled(self, definition: Document) -> bool:
        status = definition.get("status") or {}
        return bool(status.get("conditions")) and status.get("acceptedNames") == definition["spec"]["names"]

    def _definitions(self, group: str, but: str) -> list[Document]:
        table = self.server.storage.table(known.CRD.name)
        found = [stored.value for stored in table.objects.values() if stored.name != but]
        return [one for one in found if one["spec"]["group"] == group]

    def _settle(self, name: str, definition: Document) -> None:
        """Decide about the names of a definition; names that it gave up are free for others."""
        others = self._definitions(definition["spec"]["group"], name)
        now = crds.settled(definition, others, "")
        if crds.same_status(definition.get("status") or {}, now):
            return
        self._set_status(name, lambda status, time: crds.settled({**definition, "status": status}, others, time))

    def _settle_others(self, gone: Document) -> None:
        for other in self._definitions(gone["spec"]["group"], gone["metadata"]["name"]):
            if not self._is_settled(other) and not crds.is_terminating(other):
                self._settle(other["metadata"]["name"], other)

    def _set_status(self, name: str, status: Callable[[Document, str], Document]) -> None:
        def change(session: Session) -> None:
            update(
                session,
                crds.CRD_KIND,
                ObjectKey("", name),
                lambda live: {**live, "status": status(live.get("status") or {}, session.time)},
                _MANAGER,
                subresource="status",
            )

        self.server.write(change, user=_API_SERVER)

    def _clear_definitions(self) -> None:
        """Delete the objects of definitions in deletion, and the definitions that have none left."""
        if self._busy:
            return
        self._busy = True
        try:
            for name in list(self._terminating):
                kind = self.server.registry.of_table(name)
                if kind is not None and self.server.storage.keys(name):
                    self._set_status(name, crds.in_progress)
                    self._delete_contents(kind, "")
                if not self.server.storage.keys(name) and name in self._terminating:
                    self._release_definition(name)
        finally:
            self._busy = False

    def _release_definition(self, name: str) -> None:
        def change(live: Document) -> Document:
            finalizers = [one for one in live["metadata"].get("finalizers") or () if one != crds.CLEANUP]
            return {**live, "metadata": {**live["metadata"], "finalizers": finalizers}}

        self._terminating.discard(name)
        self.server.write(
            lambda session: update(session, crds.CRD_KIND, ObjectKey("", name), change, _MANAGER), user=_API_SERVER
        )

    def _delete_contents(self, kind: Kind, namespace: str, user: User = _API_SERVER) -> None:
        for key in list(self.server.storage.keys(kind.table, namespace)):
            stored = self.server.storage.get(kind.table, key)
            if stored is not None and not stored.value["metadata"].get("deletionTimestamp"):
                where = ObjectKey(stored.namespace, stored.name)
                self.server.write(partial(_delete, kind, where), user=user)

    # -- namespaces ------------------------------------------------------------------------------------------------

    def _note_namespace(self, event: Event) -> None:
        if event.new is None:
            assert event.old is not None
            self._leaving.discard(event.old.name)
        elif event.new.value["metadata"].get("deletionTimestamp"):
            self._leaving.add(event.new.name)

    def finish_namespaces(self) -> None:
        """Empty the namespaces in deletion, and let go of those that are empty."""
        server = self.server
        for name in sorted(self._leaving):
            contents = [kind for kind in server.registry if kind.resource.namespaced]
            for kind in contents:
                self._delete_contents(kind, name, _NAMESPACES)
            if not any(server.storage.keys(kind.table, name) for kind in contents):
                self._release_namespace(name)

    def _release_namespace(self, name: str) -> None:
        kind = self.server.registry.of(known.NAMESPACE)
        stored = self.server.storage.get(known.NAMESPACE.name, name)
        if kind is None or stored is None or not (stored.value.get("spec") or {}).get("finalizers"):
            return

        def change(live: Document) -> Document:
            rest = [one for one in live["spec"]["finalizers"] if one != "kubernetes"]
            return {**live, "spec": {"finalizers": rest} if rest else {}}

        self.server.write(
            lambda session: update(
                session, kind, ObjectKey("", name), change, "kube-controller-manager", subresource="finalize"
            ),
            user=_NAMESPACES,
        )

    # -- garbage ---------------------------------------------------------------------------------------------------

    def collect(self) -> int:
        """Do what the garbage collector finds due; the answer counts the writes."""
        count = 0
        while (action := self.graph.next_action()) is not None:
            kind = self.server.registry.of_table(action.node.table)
            try:
                if kind is None:
                    self.graph.skip(action)
                    continue
                self.server.write(partial(_act, kind, action), user=_COLLECTOR)
                count += 1
            except Failure:
                _log.exception("garbage collection failed object=%s/%s", action.node.table, action.node.key)
                self.graph.skip(action)
        return count


def _create(kind: Kind, namespace: str, document: Document, session: Session) -> None:
    create(session, kind, namespace, document, _MANAGER)


def _update(kind: Kind, key: ObjectKey, change: Callable[[Document], Document], session: Session) -> None:
    update(session, kind, key, change, _AGGREGATOR)


def _with_rules(rules: list[Document], live: Document) -> Document:
    return {**live, "rules": rules}


def _delete(kind: Kind, key: ObjectKey, session: Session) -> None:
    delete(session, kind, key, DeleteOptions())


def _remove(keys: list[str], session: Session) -> None:
    for key in keys:
        session.transaction.remove(TABLE, key)


def _act(kind: Kind, action: Action, session: Session) -> None:
    node = action.node
    if isinstance(action, Delete):
        delete(session, kind, node.key, DeleteOptions(uid=node.uid, propagation=action.propagation))
        return

    def change(live: Document) -> Document:
        metadata = dict(live["metadata"])
        owners = metadata.get("ownerReferences") or []
        if isinstance(action, Finalize):
            metadata["finalizers"] = [name for name in metadata.get("finalizers") or () if name != action.finalizer]
        elif isinstance(action, Disown):
            metadata["ownerReferences"] = [owner for owner in owners if owner.get("uid") not in action.owners]
        else:
            metadata["ownerReferences"] = [{**owner, "blockOwnerDeletion": False} for owner in owners]
        return {**live, "metadata": metadata}

    update(session, kind, node.key, change, "kube-controller-manager", uid=node.uid)
