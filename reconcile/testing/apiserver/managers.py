"""Who owns which fields of an object: ``metadata.managedFields`` read into values and written back.

A manager is told from another by name, operation and subresource, and for updates by API version too. Pure.
Source of the rules: apimachinery, ``util/managedfields/internal``.
"""

import datetime as dt
import functools
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

import orjson

from reconcile.testing.apiserver import fields as fieldsets
from reconcile.testing.apiserver.failure import Document
from reconcile.testing.apiserver.fields import EMPTY, FieldSet

APPLY = "Apply"
UPDATE = "Update"
MAX_UPDATERS = 10
"""Entries of operation Update an object keeps; older ones are merged into one."""
BEFORE_FIRST_APPLY = "before-first-apply"
_ANCIENT = "ancient-changes"
_FORMS = ("f:", "k:", "v:", "i:", ".")


class Manager(NamedTuple):
    """Who wrote. ``api_version`` is "" for appliers, who own across versions."""

    name: str
    operation: str
    api_version: str = ""
    subresource: str = ""

    @classmethod
    def applier(cls, name: str, subresource: str = "") -> "Manager":
        """One who applies."""
        return cls(name or "unknown", APPLY, "", subresource)

    @classmethod
    def updater(cls, name: str, api_version: str, subresource: str = "") -> "Manager":
        """One who creates, updates or patches."""
        return cls(name or "unknown", UPDATE, api_version, subresource)

    def __str__(self) -> str:
        """As the text of a conflict names it."""
        text = _quoted(self.name)
        if self.subresource:
            text += f" with subresource {_quoted(self.subresource)}"
        return f"{text} using {self.api_version}" if self.operation == UPDATE else text

    @property
    def identifier(self) -> str:
        """By which the real server sorts managers: a JSON text."""
        parts = {"manager": self.name, "operation": self.operation}
        parts |= {"apiVersion": self.api_version} if self.api_version else {}
        parts |= {"subresource": self.subresource} if self.subresource else {}
        return orjson.dumps(parts).decode()


class Owned(NamedTuple):
    """What a manager owns, in the words of one API version; ``time`` is when that last changed (RFC 3339)."""

    fields: FieldSet
    api_version: str
    time: str | None = None


Managers: TypeAlias = Mapping[Manager, Owned]


class BadEntry(ValueError):
    """An entry of managedFields that cannot be read."""


def decode(entries: Iterable[Mapping[str, Any]] | None) -> dict[Manager, Owned]:
    """Read ``metadata.managedFields``.

    Raises:
        BadEntry: an entry breaks the form.
    """
    managers: dict[Manager, Owned] = {}
    for index, entry in enumerate(entries or ()):
        operation = entry.get("operation")
        version = entry.get("apiVersion") or ""
        if operation not in (APPLY, UPDATE):
            raise BadEntry("operation must be `Apply` or `Update`")
        if not version:
            raise BadEntry("apiVersion must not be empty")
        kind = entry.get("fieldsType") or ""
        if kind != "FieldsV1":
            what = f'invalid fieldsType "{kind}" in' if kind else "missing fieldsType in"
            raise BadEntry(f"{what} managed fields entry {index}")
        name, subresource = entry.get("manager") or "", entry.get("subresource") or ""
        manager = Manager(name, operation, version if operation == UPDATE else "", subresource)
        managers[manager] = Owned(_known(entry.get("fieldsV1") or EMPTY), version, entry.get("time"))
    return managers


def told(entries: Iterable[Mapping[str, Any]] | None) -> dict[Manager, Owned]:
    """Read what a client says of managers: what is in there may be anything.

    Raises:
        BadEntry: an entry breaks the form.
    """
    for index, entry in enumerate(entries or ()):
        fields = entry.get("fieldsV1")
        if fields is not None and not _is_set(fields):
            raise BadEntry(f"fieldsV1 of managed fields entry {index} is no set of fields")
    return decode(entries)


def _is_set(fields: Any) -> bool:
    if not isinstance(fields, dict):
        return False
    return all(
        _is_element(element) and _is_set(below)
        for element, below in fields.items()
        if element[:2] in _FORMS and element != fieldsets.SELF
    )


def _is_element(element: str) -> bool:
    form, value = element[:2], element[2:]
    if form == "f:":
        return True
    try:
        meant = orjson.loads(value)
    except orjson.JSONDecodeError:
        return False
    return form == "v:" or (isinstance(meant, dict) if form == "k:" else type(meant) is int)


def _known(fields: FieldSet) -> FieldSet:
    """Without elements of a form that nobody knows yet: those are passed over."""
    for element in fields:
        if element[:2] not in _FORMS:
            break
    else:
        return fields
    return {element: child for element, child in fields.items() if element[:2] in _FORMS}


def encode(managers: Managers) -> list[Document]:
    """The entries as an object stores them, in the real server's order."""
    order = sorted(managers.items(), key=lambda pair: _order(*pair)) if len(managers) > 1 else managers.items()
    return [_entry(manager, owned) for manager, owned in order]


def _entry(manager: Manager, owned: Owned) -> Document:
    entry: Document = {"manager": manager.name} if manager.name else {}
    entry["operation"] = manager.operation
    entry["apiVersion"] = owned.api_version
    if owned.time:
        entry["time"] = owned.time
    entry["fieldsType"] = "FieldsV1"
    entry["fieldsV1"] = owned.fields
    if manager.subresource:
        entry["subresource"] = manager.subresource
    return entry


def _order(manager: Manager, owned: Owned) -> tuple[str, str, str, str, str]:
    return manager.operation, owned.time or "", manager.name, owned.api_version, manager.subresource


def is_reset(entries: Any) -> bool:
    """Whether a client asked to forget all managers: an empty list, or one empty entry."""
    return bool(entries == [] or entries == [{}])


def capped(managers: Managers) -> Managers:
    """At most ``MAX_UPDATERS`` updaters: the oldest ones of a version become one entry."""
    updaters = [manager for manager in managers if manager.operation == UPDATE]
    if len(updaters) <= MAX_UPDATERS:
        return managers
    updaters.sort(key=lambda manager: (managers[manager].time or "", manager.identifier))
    result = dict(managers)
    count = len(updaters)
    first: dict[str, Manager] = {}
    for manager in updaters:
        if count <= MAX_UPDATERS:
            break
        owned = result[manager]
        if owned.api_version not in first:
            first[owned.api_version] = manager
            continue
        bucket = Manager(_ANCIENT, UPDATE, owned.api_version)
        if bucket not in result:
            result[bucket] = result.pop(first[owned.api_version])
        both = fieldsets.union(owned.fields, result[bucket].fields)
        result[bucket] = owned._replace(fields=both)
        if manager != bucket:
            del result[manager]
        count -= 1
    return result


def timestamp(now: dt.datetime) -> str:
    """A time as the API writes it: RFC 3339, UTC, whole seconds."""
    return _timestamp(int(now.timestamp()))


@functools.lru_cache(16)
def _timestamp(second: int) -> str:
    return f"{dt.datetime.fromtimestamp(second, dt.UTC).replace(tzinfo=None).isoformat()}Z"


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()
