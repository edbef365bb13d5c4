"""Answers in words that do not depend on who gave them, when and after how much else.

Uids, generated names, addresses and times become symbols; resource versions keep their order within a case. The version
of a list or of a bookmark may be later than the last change of the case, for others write too: it is read as "at or
after" that change. What a real server leaves to the order of a map in Go is sorted. Pure.
"""

import base64
import json
import re
from collections.abc import Iterator
from typing import Any, Final

import attrs

from tests.conformance.running import Answer
from tests.conformance.steps import Case

_UID: Final = re.compile(r"(?!00000000)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
"""Cases that bring identities of their own begin them with zeros."""
_TIME: Final = re.compile(r"20(?:2[4-9]|[3-9]\d)-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
"""Cases that bring times of their own take them from before."""
_GENERATED: Final = re.compile(r"[bcdfghjklmnpqrstvwxz2456789]{5}")
_ADDRESS: Final = re.compile(r"\b10\.0\.0\.\d{1,3}\b")
_NUMBER: Final = re.compile(r"\b\d+\b")
_AGE: Final = re.compile(r"\d+s")
_QUOTED: Final = re.compile(r'"\{(?:[^"\\]|\\.)*\}"')
_RUN: Final = re.compile(r"(.)\1{39,}")
_CURRENT: Final = re.compile(r"(current: )\d+|(too old resource version: \d+ \()\d+")


def read(case: Case, answers: list[Answer], namespace: str) -> list[Any]:
    """The answers as they can be compared and recorded, one for each step of the case."""
    reader = _Reader(namespace, sorted(set(_versions([one.body for one in answers]))), _prefixes(case))
    for answer in answers:
        reader.learn(answer.body)
    return [
        reader.answer(answer, step.pick) for step, answer in zip(case.steps, answers, strict=True) if not step.forgets
    ]


def differences(expected: Any, found: Any, path: str = "") -> Iterator[str]:
    """One line for each place in which two values differ."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for name in dict.fromkeys((*expected, *found)):
            yield from differences(expected.get(name, "(nothing)"), found.get(name, "(nothing)"), f"{path}.{name}")
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for index, (one, other) in enumerate(zip(expected, found, strict=True)):
            yield from differences(one, other, f"{path}[{index}]")
    elif expected != found or isinstance(expected, bool) is not isinstance(found, bool):
        yield f"{path}\n    recorded {_short(expected)}\n    found    {_short(found)}"


def told_apart(recorded: list[Any], found: list[Any]) -> list[str]:
    """One line for each difference, by the number of the answer; of answers with another code, what they say."""
    lines = [] if len(recorded) == len(found) else [f"{len(recorded)} answers recorded, {len(found)} found"]
    for number, (one, other) in enumerate(zip(recorded, found, strict=False)):
        if one["code"] != other["code"]:
            said = [f"{answer['code']} {_short(answer['body'])}" for answer in (one, other)]
            lines.append(f"answer {number}\n    recorded {said[0]}\n    found    {said[1]}")
        else:
            lines += [f"answer {number}{line}" for line in differences(one, other)]
    return lines


def _short(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return text if len(text) < 1500 else f"{text[:1500]}..."


def _versions(value: Any) -> Iterator[int]:
    """The versions of objects; those of lists and bookmarks have no uid beside them."""
    if isinstance(value, dict):
        metadata = value.get("metadata")
        if isinstance(metadata, dict) and _is_version(metadata.get("resourceVersion")) and metadata.get("uid"):
            yield int(metadata["resourceVersion"])
        for one in value.values():
            yield from _versions(one)
    elif isinstance(value, list):
        for one in value:
            yield from _versions(one)


def _without_hash(resource: dict[str, Any]) -> dict[str, Any]:
    """It is made of the name of the group, which is the case's own."""
    return {name: value for name, value in resource.items() if name != "storageVersionHash"}


def _in_order(quoted: str) -> str:
    """A document in quotes with its fields sorted: their order is that of Go structs."""
    try:
        return json.dumps(json.dumps(json.loads(json.loads(quoted)), sort_keys=True))
    except ValueError:
        return quoted


def _prefixes(case: Case) -> list[str]:
    """From which the server is asked to make up names."""
    bodies = [step.body for step in case.steps if isinstance(step.body, dict)]
    found = [
        (body.get("metadata") or {}).get("generateName") for body in bodies if isinstance(body.get("metadata"), dict)
    ]
    return [one for one in found if one]


def _is_version(value: Any) -> bool:
    return isinstance(value, str) and value.isdigit() and int(value) > 0


@attrs.define
class _Reader:
    namespace: str
    versions: list[int]
    prefixes: list[str]
    generated: dict[str, str] = attrs.field(factory=dict)
    symbols: dict[str, str] = attrs.field(factory=dict)
    _counts: dict[str, int] = attrs.field(factory=dict)

    def learn(self, value: Any) -> None:
        """Take note of names that the server made up."""
        if isinstance(value, dict):
            prefix, name = value.get("generateName"), value.get("name")
            if isinstance(prefix, str) and isinstance(name, str) and _GENERATED.fullmatch(name[-5:]):
                self.generated.setdefault(name, f"{name[:-5]}<made up {len(self.generated)}>")
            for one in value.values():
                self.learn(one)
        elif isinstance(value, list):
            for one in value:
                self.learn(one)

    def answer(self, answer: Answer, pick: str) -> Any:
        body = answer.body
        headers = {name: self.text(value) for name, value in answer.headers.items()}
        if isinstance(body, dict) and body.get("kind") == "Status":
            body = _sorted_causes(body)
        body = self.value(body)
        if pick and answer.code < 300:
            body = {name: _at(body, name) for name in pick.split(",")}
        return {"code": answer.code, "headers": headers, "body": body}

    def value(self, value: Any, field: str = "") -> Any:
        if isinstance(value, dict):
            if field == "metadata" and _is_version(value.get("resourceVersion")):
                version = str(value["resourceVersion"])
                value = {**value, "resourceVersion": self.version(version, exact=bool(value.get("uid")))}
            if self.namespace in str(value.get("groupVersion")):
                value = {**value, "resources": [_without_hash(one) for one in value.get("resources", ())]}
            if field == "metadata" and value.get("continue"):
                value = {**value, "continue": self.token(value["continue"])}
            return {self.text(name): self.value(one, name) for name, one in value.items()}
        if field == "cells" and isinstance(value, list):
            value = ["<age>" if isinstance(one, str) and _AGE.fullmatch(one) else one for one in value]
        if isinstance(value, list):
            items = [self.value(one) for one in value]
            if field == "columnDefinitions":
                # what a column means is told in sentences, and those are nobody's business here
                items = [{name: part for name, part in one.items() if name != "description"} for one in items]
            if field == "resources" and all(isinstance(one, dict) and "verbs" in one for one in items):
                items.sort(key=lambda one: str(one.get("name")))
            if field == "managedFields":
                # within one second their order is that of a map in Go
                items.sort(key=lambda one: json.dumps(one, sort_keys=True))
            return items
        if isinstance(value, str):
            return self.text(value)
        if field in ("nodePort", "healthCheckNodePort") and value:
            return self.symbol("port", str(value))
        return value

    def text(self, text: str) -> str:
        text = _QUOTED.sub(lambda found: _in_order(found[0]), text)
        text = text.replace(self.namespace, "NS")
        for name, shown in self.generated.items():
            text = text.replace(name.replace(self.namespace, "NS"), shown.replace(self.namespace, "NS"))
        for prefix in self.prefixes:
            text = re.sub(f"\\b{re.escape(prefix)}{_GENERATED.pattern}\\b", f"{prefix}<made up>", text)
        text = _UID.sub(lambda found: self.symbol("uid", found[0]), text)
        text = _TIME.sub(lambda found: "<micro time>" if found[1] else "<time>", text)
        text = _ADDRESS.sub(lambda found: self.symbol("address", found[0]), text)
        if "ersion" in text:
            text = _CURRENT.sub(lambda found: f"{found[1] or found[2]}<now>", text)
            known = {str(one): f"<version {rank}>" for rank, one in enumerate(self.versions)}
            text = _NUMBER.sub(lambda found: known.get(found[0], found[0]), text)
        return _RUN.sub(lambda found: f"{found[1]}{{{len(found[0])}}}", text)

    def version(self, text: str, *, exact: bool) -> str:
        if exact:
            return f"<version {self.versions.index(int(text))}>"
        before = sum(1 for one in self.versions if one <= int(text))
        return f"<at or after version {before - 1}>" if before else "<before all>"

    def symbol(self, sort: str, text: str) -> str:
        if text not in self.symbols:
            count = self._counts[sort] = self._counts.get(sort, -1) + 1
            self.symbols[text] = f"<{sort} {count}>"
        return self.symbols[text]

    def token(self, text: str) -> Any:
        try:
            parts = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        except ValueError:
            return "<token>"
        return {
            **parts,
            "rv": self.version(str(rv), exact=False) if (rv := int(parts.get("rv", 0))) > 0 else rv,
        }


def _at(body: Any, path: str) -> Any:
    """A part of a body: names joined by dots; ``[name=x]`` finds an item of a list, ``*`` counts what there is."""
    for part in re.findall(r"\[[^\]]*\]|[^.\[\]]+", path):
        if part.startswith("["):
            key, _, wanted = part[1:-1].partition("=")
            items = body if isinstance(body, list) else []
            body = next((one for one in items if isinstance(one, dict) and str(one.get(key)) == wanted), None)
        elif isinstance(body, dict):
            body = body.get(part.replace("~", "."))
        else:
            return None
    return body


def _sorted_causes(status: dict[str, Any]) -> dict[str, Any]:
    """Of several causes the real server tells in the order of a map in Go."""
    details = status.get("details")
    if not isinstance(details, dict) or len(details.get("causes") or ()) < 2:
        return status
    causes = sorted(details["causes"], key=lambda one: json.dumps(one, sort_keys=True))
    pieces = sorted(re.split(r", |\[|\]|\n", str(status.get("message"))))
    return {**status, "message": pieces, "details": {**details, "causes": causes}}
