"""Who may read a page: an API server says whose a token is (TokenReview), and whether they may (SubjectAccessReview).

As controller-runtime guards its metrics: a bearer token, and the right to ``get`` the page's path as a non-resource
URL. Answers are remembered for a while, so that a scrape every few seconds is no load; tokens only as digests. Who
cannot be told gets 401, who may not 403; where the API server does not answer nobody gets in.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from attrs import define, field, frozen

from reconcile.core.clock import Seconds, now
from reconcile.kube.client import Client
from reconcile.kube.errors import BadAnswer, KubeError
from reconcile.kube.kinds import SUBJECT_ACCESS_REVIEW, TOKEN_REVIEW
from reconcile.manager.web import Call, Handler, Reply

log = logging.getLogger(__name__)
T = TypeVar("T")

KNOWN: Final[Seconds] = 60.0
"""How long it is remembered whose a token is, or that it is nobody's."""
ALLOWED: Final[Seconds] = 300.0
DENIED: Final[Seconds] = 30.0
MOST: Final = 256
"""So many answers of a kind are remembered."""
AT_ONCE: Final = 4
"""So many questions are under way at most, whoever knocks."""


@frozen
class Visitor:
    """Whom a token stands for."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


@define(eq=False)
class Guard:
    """Asks ``client``'s server, which needs to let us create both kinds of reviews."""

    client: Client
    _visitors: "Memory[Visitor | None]" = field(factory=lambda: Memory(), init=False, repr=False)
    _rights: "Memory[bool]" = field(factory=lambda: Memory(), init=False, repr=False)
    _asking: asyncio.Semaphore = field(factory=lambda: asyncio.Semaphore(AT_ONCE), init=False, repr=False)

    def guarded(self, routes: Mapping[str, Handler]) -> Mapping[str, Handler]:
        """The same pages for those who may."""
        return {path: self._guarded(handler) for path, handler in routes.items()}

    def _guarded(self, handler: Handler) -> Handler:
        async def answer(call: Call) -> Reply:
            if not call.token or not call.token.isascii():  # nobody has a token with other letters
                return Reply(b"Unauthorized\n", status=401)
            try:
                async with self._asking:
                    visitor = await self._who(call.token)
                    may = visitor is not None and await self._may(visitor, call)
            except KubeError as error:
                # what makes no sense is quoted by its error, and has the token in it
                why = "an answer that makes no sense" if isinstance(error, BadAnswer) else error
                log.warning("page refused, for nobody can be asked: path=%s error=%s", call.path, why)
                return Reply(b"Authentication failed\n", status=500)
            if visitor is None:
                return Reply(b"Unauthorized\n", status=401)
            if not may:
                return Reply(f"Authorization denied for user {visitor.name}\n".encode(), status=403)
            return await handler(call)

        return answer

    async def _who(self, token: str) -> Visitor | None:
        async def ask() -> tuple[Visitor | None, Seconds]:
            body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
            return _visitor((await self.client.create(TOKEN_REVIEW, body)).inside), KNOWN

        return await self._visitors.recall(hashlib.sha256(token.encode()).hexdigest(), ask)

    async def _may(self, visitor: Visitor, call: Call) -> bool:
        async def ask() -> tuple[bool, Seconds]:
            wanted = {"path": call.path, "verb": call.method.lower()}
            spec = {
                "user": visitor.name,
                "uid": visitor.uid,
                "groups": list(visitor.groups),
                "extra": {name: list(values) for name, values in visitor.extra},
                "nonResourceAttributes": wanted,
            }
            body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
            status = (await self.client.create(SUBJECT_ACCESS_REVIEW, body)).inside.get("status") or {}
            allowed = status.get("allowed") is True and status.get("denied") is not True
            return allowed, ALLOWED if allowed else DENIED

        return await self._rights.recall((visitor, call.method, call.path), ask)


class Memory(dict[Any, tuple[T, Seconds]]):
    """Answers with the time until which they hold; the oldest go first."""

    async def recall(self, question: Any, ask: Callable[[], Awaitable[tuple[T, Seconds]]]) -> T:
        """The remembered answer, or a new one."""
        found = self.get(question)
        if found is not None and now() < found[1]:
            return found[0]
        answer, holds = await ask()
        self.pop(question, None)
        self[question] = answer, now() + holds
        while len(self) > MOST:
            del self[next(iter(self))]
        return answer


def _visitor(review: Mapping[str, Any]) -> Visitor | None:
    """Of an answered TokenReview."""
    status = review.get("status") or {}
    user = status.get("user") or {}
    if status.get("authenticated") is not True or not user.get("username"):
        return None
    return Visitor(
        user["username"],
        user.get("uid") or "",
        tuple(user.get("groups") or ()),
        tuple((name, tuple(values)) for name, values in sorted((user.get("extra") or {}).items())),
    )
