"""What a request needs to hear from others before it can go on: a step that lacks an answer stops and begins again.

Everything that changes or shows objects happens in one step without waiting. Where such a step needs a word from
outside, from a webhook, it raises ``Pending`` with its questions. Whoever runs the step drops all it did, gets the
answers, and runs it again from the start, on the objects as they are by then; an answer counts only for the very same
question. So nothing is held while somebody is asked, and what is committed was asked about as it is. Pure.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

import attrs
import orjson

from reconcile.core.clock import Seconds
from reconcile.testing.apiserver.failure import Document

ROUNDS: Final = 32
"""How often a step may begin again."""


@attrs.frozen
class Target:
    """Where somebody is to be asked: an address, and who may speak for it (certificates, PEM)."""

    url: str
    ca: bytes = b""
    timeout: Seconds = 10.0


@attrs.frozen(eq=False)
class Question:
    """A document to be posted; its ``part`` gets an id of its own, which is no part of the question."""

    target: Target
    body: Document
    part: str = "request"
    keep: "Callable[[Question, Answer], None] | None" = None
    """Where the answer goes; ``None``: to what is known of the request."""

    @property
    def key(self) -> bytes:
        """By which the answer is found: the same for the same question."""
        return self.target.url.encode() + b"\0" + orjson.dumps(self.body, option=orjson.OPT_SORT_KEYS)


@attrs.frozen
class Answer:
    """What came back for the id that was sent; or why nothing did."""

    id: str
    body: Any = None
    error: str = ""


class Pending(BaseException):
    """A step cannot go on without these answers."""

    def __init__(self, questions: Iterable[Question]) -> None:
        super().__init__("answers are missing")
        self.questions = list(questions)


@attrs.define
class Answers:
    """What is known so far."""

    _found: dict[bytes, Answer] = attrs.field(factory=dict)

    def to(self, *questions: Question) -> list[Answer]:
        """The answers to some questions. Raises ``Pending`` if one is missing."""
        missing = [question for question in questions if question.key not in self._found]
        if missing:
            raise Pending(missing)
        return [self._found[question.key] for question in questions]

    def add(self, question: Question, answer: Answer) -> None:
        """Take an answer."""
        self._found[question.key] = answer
