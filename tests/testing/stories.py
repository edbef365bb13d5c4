"""Stories that are told to the embedded API server and to a real one, and what the real one answered.

A story is a list of requests. Its answers are recorded from the real server (``pytest -m real`` with ``RECORD=1``) into
``recorded/``; the embedded server has to give the same ones, and so has the real one at the next run.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import anyio
import attrs
import orjson

from tests.testing.callers import JSON, Api, Reply

FOLDER: Final = Path(__file__).parent / "recorded"


@attrs.frozen
class Step:
    """One request. ``until``: it is repeated until it is answered so, for a real server needs time; not recorded."""

    method: str
    path: str
    body: Any = None
    media: str = JSON
    query: Mapping[str, str] = attrs.field(factory=dict)
    user: str = ""
    """Who asks; "" is the administrator."""
    until: Callable[[Reply], bool] | None = None
    accept: str = JSON


@attrs.frozen
class Story:
    """A name and what happens."""

    name: str
    steps: tuple[Step, ...]


def post(path: str, body: Any, **more: Any) -> Step:
    """A create."""
    return Step("POST", path, body, **more)


def get(path: str, **more: Any) -> Step:
    """A read."""
    return Step("GET", path, **more)


def put(path: str, body: Any, **more: Any) -> Step:
    """A replacement; see ``resolved`` for how it comes by a version."""
    return Step("PUT", path, body, **more)


def merge(path: str, body: Any, **more: Any) -> Step:
    """A merge patch."""
    return Step("PATCH", path, body, "application/merge-patch+json", **more)


def apply(path: str, body: Any, manager: str = "applier", **query: str) -> Step:
    """A server-side apply."""
    return Step("PATCH", path, body, "application/apply-patch+yaml", {"fieldManager": manager, **query})


def delete(path: str, **more: Any) -> Step:
    """A deletion."""
    return Step("DELETE", path, **more)


Callers = Callable[[str], Awaitable[Api]]


async def tell(story: Story, caller: Callers) -> list[Any]:
    """What a server answers, in words that no server made up."""
    reader = Reader()
    answers = []
    for step in story.steps:
        api = await caller(step.user)
        reply = await _sent(api, step)
        if step.until is not None:
            with anyio.move_on_after(30):
                while not step.until(reply):
                    await anyio.sleep(0.1)
                    reply = await _sent(api, step)
            assert step.until(reply), (step.path, reply.body)
            continue
        answers.append(reader.read(reply))
    return answers


async def _sent(api: Api, step: Step) -> Reply:
    return await api.send(step.method, step.path, step.body, media=step.media, accept=step.accept, **step.query)


_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_ADDRESS = re.compile(r"0x[c0]\w{6,}")
_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


@attrs.define
class Reader:
    """Reads answers of one server, with names of our own for what each server makes up."""

    names: dict[str, str] = attrs.field(factory=dict)

    def read(self, reply: Reply) -> Any:
        """An answer as it is recorded."""
        body = self._of(reply.body)
        if isinstance(body, dict) and body.get("status") == "Failure":
            # the order of several causes is that of a map in Go
            causes = (body.get("details") or {}).get("causes", [])
            if len(causes) > 1:
                causes.sort(key=str)
                del body["message"]
        answer = {"code": reply.code, "body": body}
        if warning := reply.headers.get("warning"):
            answer["warning"] = warning
        return orjson.loads(orjson.dumps(answer, option=orjson.OPT_SORT_KEYS))

    def _of(self, value: Any, field: str = "") -> Any:
        if isinstance(value, dict):
            return {name: self._of(one, name) for name, one in sorted(value.items()) if name != "managedFields"}
        if isinstance(value, list):
            items = [self._of(one) for one in value]
            # the order of roles is that of a map in Go
            return sorted(items, key=str) if field in ("resourceRules", "nonResourceRules") else items
        if field == "resourceVersion":
            return self.names.setdefault(f"rv {value}", f"version {len(self.names)}")
        if isinstance(value, str):
            if _TIME.fullmatch(value):
                return "TIME"
            value = _UID.sub(lambda found: self.names.setdefault(found.group(), f"uid {len(self.names)}"), value)
            # Go prints some values with the addresses of their parts
            return re.sub(r"Invalid value: (\[\]|&)?apiextensions\.\w+\{.*\}: ", "Invalid value: ...: ", value)
        return value


def recorded(name: str) -> dict[str, Any]:
    """The answers of the real server, by the name of the story."""
    path = FOLDER / f"{name}.json"
    return orjson.loads(path.read_bytes()) if path.exists() else {}


def record(name: str, answers: Mapping[str, Any]) -> None:
    """Keep the answers of the real server."""
    FOLDER.mkdir(exist_ok=True)
    text = orjson.dumps(answers, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    (FOLDER / f"{name}.json").write_bytes(text + b"\n")


def named(stories: Iterable[Story]) -> dict[str, Story]:
    """Stories by their names, each of which is there once."""
    found = {story.name: story for story in stories}
    return found
