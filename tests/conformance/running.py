"""Tells a case to a server, and notes every answer as it came.

What an answer means, and which of its parts are the server's own choice, is not decided here but in ``reading.py``.
"""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import anyio
import attrs
import orjson
import yaml

from reconcile.core.clock import Seconds, now
from reconcile.kube.request import HttpRequest
from reconcile.kube.transport import Transport
from tests.conformance.steps import Case, Live, Step
from tests.testing.callers import Watch

PATIENCE: Final[Seconds] = 45.0
_KEPT: Final = ("content-type", "warning", "retry-after", "allow", "content-encoding")
_REFERENCE: Final = re.compile(r"\$\{([^}]+)\}")


@attrs.frozen
class Answer:
    """What a step led to. ``body`` is parsed where it can be; of a watch it is the list of events."""

    code: int
    headers: Mapping[str, str]
    body: Any


@attrs.define
class Place:
    """A server, as one case sees it: a way in, and a namespace of its own."""

    transport: Transport
    namespace: str
    forget: Callable[[], None] = lambda: None
    pause: Callable[[Seconds], Awaitable[None]] = anyio.sleep


async def tell(case: Case, place: Place) -> list[Answer]:
    """The answers to all steps, in order."""
    story = _Story(place)
    try:
        for step in case.steps:
            story.answers.append(await story.take(step))
    finally:
        for watch in story.watches.values():
            await watch.stream.aclose()
    return story.answers


@attrs.define
class _Story:
    place: Place
    answers: list[Answer] = attrs.field(factory=list)
    watches: dict[str, Watch] = attrs.field(factory=dict)

    async def take(self, step: Step) -> Answer:
        if step.forgets:
            self.place.forget()
            return Answer(0, {}, None)
        if step.reads:
            return _events(200, {}, await self.watches[step.reads].take(step.take or 0))
        if step.watches:
            return await self.watch(step)
        if step.until:
            return await self.repeat(step)
        return await self.ask(step)

    async def ask(self, step: Step) -> Answer:
        response = await self.place.transport.call(self.request(step), timeout=PATIENCE)
        return _answer(response.status, response.headers, response.body)

    async def repeat(self, step: Step) -> Answer:
        end = now() + PATIENCE
        while True:
            answer = await self.ask(step)
            if answer.code == step.until["code"] and _holds(answer.body, self.resolved(step.until["where"])):
                return answer
            assert now() < end, f"never came: {step.until} of {step.path}; last {answer}"
            await self.place.pause(0.1)

    async def watch(self, step: Step) -> Answer:
        stream = await self.place.transport.open(self.request(step), timeout=PATIENCE)
        watch = Watch(stream)
        if stream.status == 200 and step.opens:
            self.watches[step.opens] = watch
            return Answer(200, _headers(stream.headers), [])
        try:
            if stream.status == 200 and step.stops:
                return _events(200, stream.headers, await _take_until(watch, step.stops))
            if stream.status == 200:
                events = await (watch.take(step.take) if step.take is not None else watch.to_end())
                return _events(200, stream.headers, events)
            body = b""
            while chunk := await stream.read():
                body += chunk
            return _answer(stream.status, stream.headers, body)
        finally:
            await stream.aclose()

    def request(self, step: Step) -> HttpRequest:
        body = self.resolved(step.body)
        raw = body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else b""
        if body is not None and not isinstance(body, str | bytes):
            raw = json.dumps(body).encode()
        query = tuple((name, str(self.resolved(value))) for name, value in step.query)
        headers = {"user-agent": "tester/1.0", **step.headers}
        return HttpRequest(step.method, str(self.resolved(step.path)), query, headers, raw)

    def resolved(self, value: Any) -> Any:
        """``value`` with everything put in that it speaks of."""
        if isinstance(value, Live):
            return _merged(self.answers[value.step].body, self.resolved(value.patch))
        if isinstance(value, Mapping):
            return {self.resolved(name): self.resolved(one) for name, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.resolved(one) for one in value]
        if not isinstance(value, str):
            return value
        whole = _REFERENCE.fullmatch(value)
        if whole is not None:
            return self.referred(whole[1])
        return _REFERENCE.sub(lambda found: str(self.referred(found[1])), value)

    def referred(self, path: str) -> Any:
        if path == "ns":
            return self.place.namespace
        number, *parts = path.split(".")
        found = self.answers[int(number)].body
        for part in parts:
            found = found[int(part)] if isinstance(found, list) else found[part]
        return found


async def _take_until(watch: Watch, name: str) -> list[tuple[str, Any]]:
    events: list[tuple[str, Any]] = []
    while not events or (events[-1][0] != "ERROR" and events[-1][1]["metadata"]["name"] != name):
        events += await watch.take(1)
    return events


def _answer(code: int, headers: Mapping[str, str], raw: bytes) -> Answer:
    kept = _headers(headers)
    media = kept.get("content-type", "")
    body: Any
    try:
        body = yaml.safe_load(raw) if media == "application/yaml" else orjson.loads(raw)
    except (orjson.JSONDecodeError, yaml.YAMLError):
        body = raw.decode(errors="replace")
    return Answer(code, kept, body)


def _events(code: int, headers: Mapping[str, str], events: list[tuple[str, Any]]) -> Answer:
    return Answer(code, _headers(headers), [{"type": kind, "object": found} for kind, found in events])


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in _KEPT if name in headers}


def _holds(body: Any, wanted: Any) -> bool:
    if isinstance(wanted, Mapping):
        held = isinstance(body, dict) and all(_holds(body.get(name), one) for name, one in wanted.items())
        return not wanted or held
    return bool(body == wanted)


def _merged(value: Any, patch: Any) -> Any:
    if not isinstance(patch, Mapping):
        return patch
    result = dict(value) if isinstance(value, Mapping) else {}
    for name, one in patch.items():
        if one is None:
            result.pop(name, None)
        else:
            result[name] = _merged(result.get(name), one)
    return result
