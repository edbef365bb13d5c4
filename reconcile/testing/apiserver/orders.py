"""How objects are to be written or deleted: query parameters and delete options, checked.

Pure. Source of rules and texts: apimachinery, ``apis/meta/v1/validation``.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs

from reconcile.kube.request import HttpRequest, Query
from reconcile.testing.apiserver.failure import (
    Document,
    Fault,
    GroupName,
    forbidden_field,
    invalid,
    invalid_value,
    not_supported,
    required,
    too_long,
)
from reconcile.testing.apiserver.metadata import FIELD_MANAGER_LIMIT
from reconcile.testing.apiserver.options import META, number
from reconcile.testing.apiserver.remembering import remembered

_VALIDATION: Final = ("", "Ignore", "Strict", "Warn")
_PROPAGATION: Final = ("Foreground", "Background", "Orphan")


@attrs.frozen
class WriteOptions:
    """How a create, update or patch is made. ``manager`` is who comes to own what it changes."""

    manager: str
    dry_run: bool = False
    force: bool = False
    validation: str = ""


def write_options(request: HttpRequest, kind: str, *, apply: bool = False) -> WriteOptions:
    """Read the query of a write; ``kind`` is CreateOptions, UpdateOptions or PatchOptions.

    Raises:
        Failure: 422 as the real server answers.
    """
    return _write_options(request.query, request.headers.get("user-agent", ""), kind, apply)


def _length(query: Query, user_agent: str, *_: object) -> int:
    return len(user_agent) + sum(len(name) + len(value) for name, value in query)


@remembered(1000, of=_length, most=1024)
def _write_options(query: Query, user_agent: str, kind: str, apply: bool) -> WriteOptions:
    """The same clients ask the same way again and again."""
    request = HttpRequest("", "", query)
    manager = request.get("fieldManager")
    dry_run = [value for name, value in query if name == "dryRun"]
    validation = request.get("fieldValidation")
    faults: list[Fault] = []
    if apply and not manager:
        faults.append(required("fieldManager", "is required for apply patch"))
    if kind == "PatchOptions" and not apply and any(name == "force" for name, _ in query):
        faults.append(forbidden_field("force", "may not be specified for non-apply patch"))
    faults += _manager_faults(manager)
    faults += _dry_run_faults(dry_run)
    if validation not in _VALIDATION:
        faults.append(not_supported("fieldValidation", validation, _VALIDATION))
    if faults:
        raise invalid(GroupName(META, kind), "", faults)
    return WriteOptions(manager or manager_of(user_agent), bool(dry_run), request.flag("force"), validation)


def manager_of(user_agent: str) -> str:
    """The field manager of a client that names none: its user agent up to the first slash, printable, cut to size."""
    name = user_agent.partition("/")[0]
    kept = b""
    for character in name:
        encoded = character.encode()
        if not character.isprintable() or len(kept) + len(encoded) > FIELD_MANAGER_LIMIT:
            break
        kept += encoded
    return kept.decode()


def _manager_faults(manager: str) -> Iterator[Fault]:
    if len(manager.encode()) > FIELD_MANAGER_LIMIT:
        yield too_long("fieldManager", f"may not be more than {FIELD_MANAGER_LIMIT} bytes")
    for position, character in enumerate(manager):
        if not character.isprintable():
            text = f"invalid character U+{ord(character):04X} (at position {position})"
            yield invalid_value("fieldManager", manager, text)


def _dry_run_faults(values: list[str]) -> Iterator[Fault]:
    if any(value != "All" for value in values):
        yield not_supported("dryRun", values, ("All",))


@attrs.frozen
class DeleteOptions:
    """How an object is deleted. ``propagation`` is "" unless it was asked for."""

    uid: str = ""
    version: str = ""
    propagation: str = ""
    orphan: bool | None = None
    grace_seconds: int | None = None
    dry_run: bool = False


def delete_options(request: HttpRequest, body: Document) -> DeleteOptions:
    """Read delete options from a body, or from the query where there is none.

    Raises:
        Failure: 422 as the real server answers.
    """
    given: Mapping[str, Any] = body or {
        **({"propagationPolicy": policy} if (policy := request.get("propagationPolicy")) else {}),
        **({"gracePeriodSeconds": number(request, "gracePeriodSeconds")} if request.get("gracePeriodSeconds") else {}),
        **({"orphanDependents": request.flag("orphanDependents")} if request.get("orphanDependents") else {}),
        "dryRun": [value for name, value in request.query if name == "dryRun"],
    }
    preconditions = given.get("preconditions") or {}
    options = DeleteOptions(
        uid=preconditions.get("uid") or "",
        version=preconditions.get("resourceVersion") or "",
        propagation=given.get("propagationPolicy") or "",
        orphan=given.get("orphanDependents"),
        grace_seconds=given.get("gracePeriodSeconds"),
        dry_run=bool(given.get("dryRun")),
    )
    faults: list[Fault] = []
    if options.orphan is not None and options.propagation:
        text = "orphanDependents and deletionPropagation cannot be both set"
        faults.append(invalid_value("propagationPolicy", options.propagation, text))
    if options.propagation and options.propagation not in _PROPAGATION:
        faults.append(not_supported("propagationPolicy", options.propagation, (*_PROPAGATION, "nil")))
    faults += _dry_run_faults(given.get("dryRun") or [])
    if faults:
        raise invalid(GroupName(META, "DeleteOptions"), "", faults)
    return options
