"""What a world has come to, in a form in which two worlds can be compared.

Two runs of one story differ in what nobody chose: uids, versions, times, numbers that a server allocated. ``end_state``
puts a word in the place of each, the same word wherever it is mentioned, so that names made of uids and fields that
refer to other objects still say whom they mean. What is left is what somebody wanted. Pure.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

import attrs
import orjson

from reconcile.testing.apiserver.storage import Storage, Stored

State: TypeAlias = Mapping[str, Any]
"""Documents by ``cluster resource namespace/name``."""

BOOKKEEPING: Final = frozenset({"events", "events.events.k8s.io", "leases.coordination.k8s.io"})
"""Resources, as ``plural.group``, that tell of the work and are no part of it."""
_NOBODY_CHOSE: Final = ("resourceVersion", "managedFields", "generation", "selfLink")
_UID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_WORD: Final = re.compile(r"[\w.:-]+")
_TIME: Final = re.compile(r'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[^"]*"')


@attrs.frozen
class Allocated:
    """A field that a server fills with a value of its own choice, such as a number out of a range."""

    resource: str
    """``plural.group``."""
    path: tuple[str | int, ...]
    """Names of fields, and places in lists."""

    @property
    def name(self) -> str:
        """What the value is called: the field, and in a list its place."""
        return ".".join(
            map(str, self.path[-3:] if any(isinstance(step, int) for step in self.path) else self.path[-1:])
        )

    def value(self, document: Mapping[str, Any]) -> str:
        """What was allocated; "" if nothing was."""
        found: Any = document
        for step in self.path:
            if isinstance(step, int):
                found = found[step] if isinstance(found, list) and step < len(found) else None
            else:
                found = found.get(step) if isinstance(found, Mapping) else None
        return "" if found is None else str(found)


def end_state(
    clusters: Mapping[str, Storage], *, allocated: Iterable[Allocated] = (), ignored: frozenset[str] = BOOKKEEPING
) -> State:
    """All objects of all clusters, comparable. ``ignored`` are resources left out."""
    chosen = tuple(allocated)
    live = [
        _Live(cluster, table, stored)
        for cluster, storage in sorted(clusters.items())
        for table, content in sorted(storage.tables.items())
        if table not in ignored
        for stored in content.objects.values()
    ]
    rename = _renaming(live, _gone(clusters, chosen), chosen)
    state = {rename(one.place): _plain(orjson.loads(_TIME.sub('"<time>"', rename(one.text)))) for one in live}
    return dict(sorted(state.items()))


def differences(expected: State, found: State) -> list[str]:
    """What is not the same, one line each; none: the states are equal."""
    lines = []
    for place in sorted({*expected, *found}):
        if place not in found:
            lines.append(f"missing: {place}")
        elif place not in expected:
            lines.append(f"too much: {place}")
        else:
            lines += [f"{place}: {line}" for line in _compare(expected[place], found[place], "")]
    return lines


# ----------------------------------------------------------------------------------------------------------------------


@attrs.frozen(eq=False)
class _Live:
    cluster: str
    table: str
    stored: Stored

    @property
    def place(self) -> str:
        return f"{self.cluster} {self.table} {self.stored.key}"

    @property
    def text(self) -> str:
        return self.stored.raw.decode()


def _gone(clusters: Mapping[str, Storage], allocated: tuple[Allocated, ...]) -> dict[str, str]:
    """A word for each uid and allocated value that ever was, as far as history goes."""
    words: dict[str, str] = {}
    for storage in clusters.values():
        for table, content in storage.tables.items():
            fields = [one for one in allocated if one.resource == table]
            for event in content.history:
                for stored in (event.old, event.new):
                    if stored is None:
                        continue
                    words[stored.uid] = "<uid of what is gone>"
                    values = {one.value(stored.value): one.name for one in fields}
                    words.update((value, f"<{name} of what is gone>") for value, name in values.items() if value)
    return words


def _renaming(live: list[_Live], words: dict[str, str], allocated: tuple[Allocated, ...]) -> Callable[[str], str]:
    """What replaces uids and allocated values by words. An object named after the uid of another is named after it."""
    own = {one: [one.stored.uid, *_values(one, allocated).values()] for one in live}
    for tokens in own.values():
        for token in tokens:
            words.pop(token, None)
    pending = sorted(live, key=lambda one: one.place)
    while pending:
        unnamed = {token for one in pending for token in own[one] if token}
        ready = [one for one in pending if unnamed.isdisjoint(_tokens(one.place))] or pending
        for one in ready:
            place = _renamed(one.place, words)
            words[one.stored.uid] = f"<uid of {place}>"
            words.update((value, f"<{name} of {place}>") for name, value in _values(one, allocated).items() if value)
        pending = [one for one in pending if one not in ready]
    return lambda text: _renamed(text, words)


def _values(one: _Live, allocated: tuple[Allocated, ...]) -> dict[str, str]:
    fields = [field for field in allocated if field.resource == one.table]
    return {field.name: field.value(one.stored.value) for field in fields}


def _tokens(text: str) -> list[str]:
    return [*_UID.findall(text), *_WORD.findall(text)]


def _renamed(text: str, words: Mapping[str, str]) -> str:
    # a uid may be part of a name; of other values whole words only, for a number may be found inside another one
    text = _UID.sub(lambda match: words.get(match[0], match[0]), text)
    return _WORD.sub(lambda match: words.get(match[0], match[0]), text)


def _plain(document: dict[str, Any]) -> dict[str, Any]:
    """Without what nobody chose; lists whose order means nothing are sorted."""
    metadata = {name: value for name, value in document["metadata"].items() if name not in _NOBODY_CHOSE}
    for name in ("finalizers", "ownerReferences"):
        if name in metadata:
            metadata[name] = sorted(metadata[name], key=str)
    rest: dict[str, Any] = _without(document, "observedGeneration")
    return {**rest, "metadata": metadata}


def _without(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {key: _without(inner, name) for key, inner in value.items() if key != name}
    return [_without(inner, name) for inner in value] if isinstance(value, list) else value


def _compare(expected: Any, found: Any, path: str) -> Iterator[str]:
    if isinstance(expected, dict) and isinstance(found, dict):
        for name in sorted({*expected, *found}):
            yield from _compare(expected.get(name), found.get(name), f"{path}.{name}" if path else name)
    elif expected != found:
        yield f"{path} is {_text(found)}, not {_text(expected)}"


def _text(value: Any) -> str:
    return "absent" if value is None else orjson.dumps(value).decode()
