"""Who may do what, and what a kind's own code sees while it is done.

``User`` and ``Rules`` decide over a request before it is looked at; ``Write`` is what the hooks of a kind are handed
inside the write. Pure.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

import attrs

from reconcile.kube.objects import ObjectKey
from reconcile.kube.request import RequestInfo
from reconcile.kube.resource import Resource
from reconcile.testing.apiserver.failure import Document, Failure, GroupName, forbidden

if TYPE_CHECKING:
    from reconcile.testing.apiserver.strategy import Kind


@attrs.frozen
class User:
    """Who sends a request."""

    name: str = "system:admin"
    groups: tuple[str, ...] = ("system:masters", "system:authenticated")
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict, hash=False)


ADMIN = User()


@attrs.frozen
class Rule:
    """Something a user may do, as an RBAC rule says it; ``*`` is everything, ``namespace`` "" means all of them."""

    verbs: tuple[str, ...]
    groups: tuple[str, ...] = ("",)
    resources: tuple[str, ...] = ("*",)
    """``pods``, ``pods/status``, ``*``."""
    names: tuple[str, ...] = ()
    namespace: str = ""

    def allows(self, verb: str, group: str, resource: str, name: str, namespace: str) -> bool:
        """Whether this rule covers a request."""
        return (
            ("*" in self.verbs or verb in self.verbs)
            and ("*" in self.groups or group in self.groups)
            and ("*" in self.resources or resource in self.resources)
            and (not self.names or name in self.names)
            and (not self.namespace or namespace == self.namespace)
        )


OF_EVERYBODY: Final = (
    Rule(("create",), ("authorization.k8s.io",), ("selfsubjectaccessreviews", "selfsubjectrulesreviews")),
    Rule(("create",), ("authentication.k8s.io",), ("selfsubjectreviews",)),
)
"""Everyone may ask about themselves."""


@attrs.frozen
class Rules:
    """What each user may do. A user who is not listed may do everything, one who is listed may ask what it may do."""

    of_user: Mapping[str, tuple[Rule, ...]] = attrs.field(factory=dict)

    def allows(self, user: User, verb: str, group: str, resource: str, *, name: str, namespace: str) -> bool:
        """Whether a user may do this; ``resource`` has its subresource: ``pods/status``."""
        rules = self.of_user.get(user.name)
        return rules is None or any(
            rule.allows(verb, group, resource, name, namespace) for rule in (*rules, *OF_EVERYBODY)
        )

    def check(self, user: User, info: RequestInfo) -> None:
        """Let a request pass, or not.

        Raises:
            Failure: 403 in the words of the real server.
        """
        resource = f"{info.plural}/{info.subresource}" if info.subresource else info.plural
        if not self.allows(user, info.verb, info.group, resource, name=info.name, namespace=info.namespace):
            raise refused(user, info, "")

    def check_path(self, user: User, verb: str, path: str) -> None:
        """Everybody may see the server's own pages."""

    def decide(
        self, user: User, verb: str, group: str, resource: str, *, name: str, namespace: str
    ) -> tuple[bool, str]:
        """Whether a user may do this; there is no reason."""
        return self.allows(user, verb, group, resource, name=name, namespace=namespace), ""

    def decide_path(self, user: User, verb: str, path: str) -> tuple[bool, str]:
        """Whether a user may do everything: those who are not listed may."""
        return user.name not in self.of_user, ""

    def listed(self, user: User, namespace: str) -> tuple[list[Document], list[Document]]:
        """The rules of a user in a namespace, as a SelfSubjectRulesReview lists them: resources, and pages."""
        everything: tuple[Rule, ...] = (Rule(("*",), ("*",), ("*",)),)
        resources: list[Document] = []
        for rule in (*self.of_user.get(user.name, everything), *OF_EVERYBODY):
            if not rule.namespace or rule.namespace == namespace:
                found = {"verbs": rule.verbs, "apiGroups": rule.groups, "resources": rule.resources}
                resources.append({**found, **({"resourceNames": rule.names} if rule.names else {})})
        pages = [] if user.name in self.of_user else [{"verbs": ["*"], "nonResourceURLs": ["*"]}]
        return resources, [*_PAGES_OF_EVERYBODY, *pages]

    def gate(self, write: "Write") -> None:
        """Nobody is kept from giving others rights."""


_HEALTH: Final = ("/healthz", "/livez", "/readyz", "/version", "/version/")
_DISCOVERY: Final = ("/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*")
_PAGES_OF_EVERYBODY: Final = (
    {"verbs": ["get"], "nonResourceURLs": sorted((*_HEALTH, *_DISCOVERY))},
    {"verbs": ["get"], "nonResourceURLs": list(_HEALTH)},
)


class Authorizer(Protocol):
    """Says who may do what. ``Rules`` and ``Rbac`` are two."""

    def allows(self, user: User, verb: str, group: str, resource: str, *, name: str, namespace: str) -> bool:
        """Whether a user may do this; ``resource`` has its subresource: ``pods/status``."""

    def decide(
        self, user: User, verb: str, group: str, resource: str, *, name: str, namespace: str
    ) -> tuple[bool, str]:
        """The same with the reason, as a review shows it."""

    def decide_path(self, user: User, verb: str, path: str) -> tuple[bool, str]:
        """Whether a user may ask for a page of the server's own, with the reason."""

    def check(self, user: User, info: RequestInfo) -> None:
        """Let a request pass, or not. Raises ``Failure``: 403."""

    def check_path(self, user: User, verb: str, path: str) -> None:
        """Let a request for a page of the server's own pass, or not. Raises ``Failure``: 403."""

    def listed(self, user: User, namespace: str) -> tuple[list[Document], list[Document]]:
        """The rules of a user in a namespace: those for resources, and those for pages."""

    def gate(self, write: "Write") -> None:
        """Refuse a write that would give more rights than its writer has. Raises ``Failure``."""


def refused(user: User, info: RequestInfo, reason: str) -> Failure:
    """403 for a request about a resource, in the words of the real server."""
    resource = f"{info.plural}/{info.subresource}" if info.subresource else info.plural
    where = f'in the namespace "{info.namespace}"' if info.namespace else "at the cluster scope"
    why = f'User "{user.name}" cannot {info.verb} resource "{resource}" in API group "{info.group}" {where}'
    return forbidden(GroupName(info.group, info.plural), info.name, f"{why}: {reason}" if reason else why)


def forbidden_path(user: User, verb: str, path: str, reason: str) -> Failure:
    """403 for a request for one of the server's own pages."""
    why = f'forbidden: User "{user.name}" cannot {verb} path "{path}"'
    return Failure(403, "Forbidden", f"{why}: {reason}" if reason else why, {})


class World(Protocol):
    """What a hook may do to other objects, inside the same write and undone with it."""

    def get(self, resource: Resource[Any], key: ObjectKey) -> Document | None:
        """An object as it is in this write; a copy of the caller's own."""

    def list(self, resource: Resource[Any], namespace: str = "") -> Iterable[Document]:
        """The objects of a resource, in the order of their names."""

    def create(self, resource: Resource[Any], document: Document) -> Document:
        """Create an object, its own hooks included. Raises ``Failure``."""

    def update(self, resource: Resource[Any], document: Document) -> Document:
        """Replace an object, its own hooks included. Raises ``Failure``."""

    def delete(self, resource: Resource[Any], key: ObjectKey) -> None:
        """Delete an object, its own hooks included. Raises ``Failure``."""


@attrs.define
class Write:
    """One write in progress. ``old`` is ``None`` for a create, ``new`` for a final removal.

    ``new`` may be changed by ``allocate``; ``old`` is a copy. In a dry run, ``world`` forgets everything afterwards.
    """

    user: User
    kind: "Kind"
    subresource: str
    old: Document | None
    new: Document | None
    dry_run: bool
    world: World
    time: str = ""
    """When it is made, as metadata has it."""

    @property
    def object(self) -> Document:
        """The new object, or the old one when it is being removed."""
        found = self.new if self.new is not None else self.old
        assert found is not None
        return found


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Around a hook: what it raises becomes an answer, a 500 with its plain text if it has none of its own.

    Raises:
        Failure: in place of any other exception.
    """
    try:
        yield
    except Failure:
        raise
    except Exception as error:
        raise Failure(500, "", str(error) or type(error).__name__) from error
