"""What a real server answered, as it is kept beside the tests.

One file a section, one line a case, with the version of the server. A case that was changed since carries another mark
than its record, and has to be recorded again.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from tests.conformance.steps import Case

FOLDER: Final = Path(__file__).with_name("answers")


@attrs.frozen
class Recorded:
    """The answers to one case."""

    server: str
    mark: str
    answers: list[Any]


def mark(case: Case) -> str:
    """What a case asks, in a word."""
    said = [{name: value for name, value in attrs.asdict(step).items() if value} for step in case.steps]
    return hashlib.sha256(repr(said).encode()).hexdigest()[:10]


def load(section: str) -> dict[str, Recorded]:
    """The cases of a section on record, by name."""
    path = _path(section)
    if not path.exists():
        return {}
    document = json.loads(path.read_text())
    return {
        name: Recorded(document["server"], found["of"], found["answers"]) for name, found in document["cases"].items()
    }


def store(server: str, told: Iterable[tuple[Case, list[Any]]], keep: Iterable[Case]) -> None:
    """Put answers on record; what belongs to none of ``keep`` is dropped."""
    by_section: dict[str, dict[str, Mapping[str, Any]]] = {}
    for case, answers in told:
        by_section.setdefault(case.section, {})[case.name] = {"of": mark(case), "answers": answers}
    wanted: dict[str, list[str]] = {}
    for case in keep:
        wanted.setdefault(case.section, []).append(case.name)
    for section, fresh in by_section.items():
        before = {name: {"of": one.mark, "answers": one.answers} for name, one in load(section).items()}
        kept = {name: {**before, **fresh}[name] for name in wanted[section] if name in before or name in fresh}
        _write(section, server, kept)
    for path in FOLDER.glob("*.json"):
        if path.stem not in {_path(section).stem for section in wanted}:
            path.unlink()


def _write(section: str, server: str, cases: Mapping[str, Any]) -> None:
    lines = [
        f"{json.dumps(name)}: {json.dumps(one, sort_keys=True, separators=(',', ':'), ensure_ascii=False)}"
        for name, one in cases.items()
    ]
    body = ",\n".join(lines)
    _path(section).write_text(f'{{"server": {json.dumps(server)}, "cases": {{\n{body}\n}}}}\n')


def _path(section: str) -> Path:
    return FOLDER / f"{section.replace(' ', '-')}.json"
