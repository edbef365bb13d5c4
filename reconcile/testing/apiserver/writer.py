"""Makes writes real: one at a time, from request to commit in one step without waiting.

A shell around ``verbs.py`` and ``session.py``. Where others have a say, a write begins again once they have answered.
"""

import datetime as dt
import logging
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from reconcile.core.clock import utc
from reconcile.kube.request import HttpRequest, HttpResponse
from reconcile.testing.apiserver import actions, admitting, reviews, verbs
from reconcile.testing.apiserver.admission import User
from reconcile.testing.apiserver.admitting import Admission
from reconcile.testing.apiserver.asking import ROUNDS, Answers, Pending
from reconcile.testing.apiserver.converting import asks
from reconcile.testing.apiserver.failure import internal
from reconcile.testing.apiserver.managers import timestamp
from reconcile.testing.apiserver.reach import Reach
from reconcile.testing.apiserver.routes import Call
from reconcile.testing.apiserver.session import Session
from reconcile.testing.apiserver.storage import Event
from reconcile.testing.apiserver.verbs import Order

if TYPE_CHECKING:
    from reconcile.testing.apiserver.server import ApiServer

T = TypeVar("T")
_log = logging.getLogger(__name__)


@attrs.define(eq=False)
class Writer:
    """Of one server. ``publish`` is told what was committed."""

    server: "ApiServer"
    publish: Callable[[list[tuple[str, Event]]], None]

    def write(self, change: Callable[[Session], T], user: User) -> T:
        """Run a change in a transaction of its own and make it real; whatever it raises undoes it."""
        return self._commit(self._session(user), change)

    async def answer(self, call: Call, request: HttpRequest, user: User) -> tuple[HttpResponse, bool]:
        """Answer a write; whether it changed something for good. Raises ``Failure``."""
        server, session = self.server, self._session(user)
        review = reviews.review(call.kind, server.rules, user, server.authenticate, time=session.time)
        if review is not None:
            return verbs.reviewed(call, request, session, review), False
        if not (admitting.is_needed(server.storage) or asks(call.kind)):
            # the whole of it in one step
            order = self._ordered(call, request)
            session.dry_run, session.strictness = order.dry_run, order.strictness
            outcome = self._commit(session, order.run)
            return outcome.response, outcome.changed and not order.dry_run
        answers, seed = Answers(), server.rng.getrandbits(64)
        for _ in range(ROUNDS):
            order = self._ordered(call, request)
            # whatever is made up is the same in each round, so that questions are
            attempt = self._session(user, rng=random.Random(seed), time=session.time)
            attempt.dry_run, attempt.strictness = order.dry_run, order.strictness
            attempt.admission = Admission(server.storage, server.registry, answers)
            try:
                outcome = self._commit(attempt, order.run)
            except Pending as pending:
                await server.webhooks.settle(pending, answers)
            else:
                return outcome.response, outcome.changed and not order.dry_run
        raise internal("webhooks keep changing their minds")

    def _ordered(self, call: Call, request: HttpRequest) -> Order:
        """What a request wants to be done; anew each time, for doing it uses it up."""
        action = actions.find(call)
        if action is not None:
            return actions.ordered(action, call, request, self.server.tokens)
        return verbs.ordered(call, request, watch_list=self.server.settings.watch_list)

    def _session(self, user: User, *, rng: random.Random | None = None, time: str = "", **options: Any) -> Session:
        server = self.server
        time = time or timestamp(utc() + dt.timedelta(seconds=server.skew) if server.skew else utc())
        return Session(
            server.registry,
            server.storage.begin(),
            user,
            time,
            rng or server.rng,
            Reach,
            gate=server.rules.gate,
            needs_namespace=server.settings.needs_namespace,
            **options,
        )

    def _commit(self, session: Session, change: Callable[[Session], T]) -> T:
        result = change(session)
        if not session.dry_run:
            self.publish(session.transaction.commit())
            for write in session.done:
                hook = write.kind.hooks.after_commit
                assert hook is not None
                try:
                    hook(write)
                except Exception:
                    _log.exception("after_commit hook failed kind=%s", write.kind.resource)
        return result
