"""What a request asks for besides its resource: query parameters and delete options, checked.

Pure. Source of rules and texts: apimachinery, ``apis/meta/v1/validation`` and ``internalversion/validation``.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs

from reconcile.kube.request import HttpRequest
from reconcile.kube.selector import FieldSelector, LabelSelector
from reconcile.testing.apiserver import selectors
from reconcile.testing.apiserver.failure import (
    Document,
    Failure,
    Fault,
    GroupName,
    bad_request,
    forbidden_field,
    invalid,
    invalid_value,
    not_supported,
    required,
    too_long,
)
from reconcile.testing.apiserver.metadata import FIELD_MANAGER_LIMIT
from reconcile.testing.apiserver.storage import Stored
from reconcile.testing.apiserver.strategy import Kind

META: Final = "meta.k8s.io"
NOT_OLDER_THAN: Final = "NotOlderThan"
EXACT: Final = "Exact"
_VALIDATION: Final = ("", "Ignore", "Strict", "Warn")
_PROPAGATION: Final = ("Foreground", "Background", "Orphan")


@attrs.frozen
class Selection:
    """Which objects of a kind are meant."""

    namespace: str = ""
    labels: LabelSelector = attrs.field(factory=LabelSelector)
    fields: FieldSelector = attrs.field(factory=FieldSelector)

    @property
    def is_all(self) -> bool:
        """Whether no selector was given."""
        return not self.labels.requirements and not self.fields.terms

    def matches(self, stored: Stored) -> bool:
        """Whether an object is meant."""
        if self.namespace and stored.namespace != self.namespace:
            return False
        if self.labels.requirements and not self.labels.matches(stored.labels):
            return False
        return all((_field(stored, term.path) == term.value) is not term.negated for term in self.fields.terms)


def _field(stored: Stored, path: str) -> str:
    if path == "metadata.name":
        return stored.name
    if path == "metadata.namespace":
        return stored.namespace
    return stored.fields.get(path, "")


@attrs.frozen
class ListOptions:
    """How a collection is read or watched."""

    selection: Selection
    version: str = ""
    match: str = ""
    limit: int = 0
    continue_: str = ""
    watch: bool = False
    timeout: int = 0
    bookmarks: bool = False
    initial_events: bool | None = None


def list_options(request: HttpRequest, kind: Kind, namespace: str, *, watch_list: bool) -> ListOptions:
    """Read the query of a list, a watch or a deletecollection. ``watch_list``: whether the server has WatchList.

    Raises:
        Failure: 400 or 422 as the real server answers.
    """
    initial = (
        request.get("sendInitialEvents") if any(name == "sendInitialEvents" for name, _ in request.query) else None
    )
    options = ListOptions(
        Selection(
            namespace, selectors.labels(request.get("labelSelector")), _fields(request.get("fieldSelector"), kind)
        ),
        version=request.get("resourceVersion"),
        match=request.get("resourceVersionMatch"),
        limit=_number(request, "limit"),
        continue_=request.get("continue"),
        watch=request.flag("watch"),
        timeout=_number(request, "timeoutSeconds"),
        bookmarks=request.flag("allowWatchBookmarks"),
        initial_events=None if initial is None else initial.lower() not in ("0", "false"),
    )
    faults = list(_watch_faults(options, watch_list) if options.watch else _list_faults(options))
    if faults:
        raise invalid(GroupName(META, "ListOptions"), "", faults)
    return options


def parse_version(text: str, *, watch: bool = False) -> int:
    """A resource version as a number; "" is 0.

    Raises:
        Failure: 400, and for a watch 500, as the real server has it.
    """
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()) or int(text) >= 2**64:
        shown = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
        why = "value out of range" if text.isascii() and text.isdigit() else "invalid syntax"
        text = f"resourceVersion: Invalid value: {shown}: strconv.ParseUint: parsing {shown}: {why}"
        raise Failure(500, "", text) if watch else bad_request(f"invalid resource version: {text}")
    return int(text)


def _fields(text: str, kind: Kind) -> FieldSelector:
    selector = selectors.fields(text)
    for term in selector.terms:
        known = ("metadata.name", "metadata.namespace", *kind.strategy.fields)
        if term.path not in known:
            if kind.custom or kind.strategy.fields:
                raise bad_request(f"field label not supported: {term.path}")
            raise bad_request(
                f'"{term.path}" is not a known field selector: only "metadata.name", "metadata.namespace"'
            )
    return selector


def _number(request: HttpRequest, name: str) -> int:
    text = request.get(name)
    if not text:
        return 0
    try:
        return int(text)
    except ValueError:
        shown = '"' + text + '"'
        raise bad_request(f"strconv.ParseInt: parsing {shown}: invalid syntax") from None


def _list_faults(options: ListOptions) -> Iterator[Fault]:
    if options.match:
        path = "resourceVersionMatch"
        if not options.version:
            yield forbidden_field(path, f"{path} is forbidden unless resourceVersion is provided")
        if options.continue_:
            yield forbidden_field(path, f"{path} is forbidden when continue is provided")
        if options.match not in (EXACT, NOT_OLDER_THAN):
            yield not_supported(path, options.match, (EXACT, NOT_OLDER_THAN, ""))
        if options.match == EXACT and options.version == "0":
            yield forbidden_field(path, f'{path} "exact" is forbidden for resourceVersion "0"')
    if options.initial_events is not None:
        yield forbidden_field("sendInitialEvents", "sendInitialEvents is forbidden for list")


def _watch_faults(options: ListOptions, watch_list: bool) -> Iterator[Fault]:
    path = "resourceVersionMatch"
    if options.initial_events is not None:
        if options.match != NOT_OLDER_THAN:
            yield forbidden_field(path, f"sendInitialEvents requires setting {path} to {NOT_OLDER_THAN}")
        if not watch_list:
            yield forbidden_field(
                "sendInitialEvents",
                "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled",
            )
    if options.match:
        if options.initial_events is None:
            yield forbidden_field(path, f"{path} is forbidden for watch unless sendInitialEvents is provided")
        if options.match != NOT_OLDER_THAN:
            yield not_supported(path, options.match, (NOT_OLDER_THAN,))
        if options.continue_:
            yield forbidden_field(path, f"{path} is forbidden when continue is provided")


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
    manager = request.get("fieldManager")
    dry_run = [value for name, value in request.query if name == "dryRun"]
    validation = request.get("fieldValidation")
    faults: list[Fault] = []
    if apply and not manager:
        faults.append(required("fieldManager", "is required for apply patch"))
    if kind == "PatchOptions" and not apply and any(name == "force" for name, _ in request.query):
        faults.append(forbidden_field("force", "may not be specified for non-apply patch"))
    faults += _manager_faults(manager)
    faults += _dry_run_faults(dry_run)
    if validation not in _VALIDATION:
        faults.append(not_supported("fieldValidation", validation, _VALIDATION))
    if faults:
        raise invalid(GroupName(META, kind), "", faults)
    return WriteOptions(
        manager or manager_of(request.headers.get("user-agent", "")), bool(dry_run), request.flag("force"), validation
    )


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
        **({"gracePeriodSeconds": _number(request, "gracePeriodSeconds")} if request.get("gracePeriodSeconds") else {}),
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
        raise _delete_failure(faults)
    return options


def _delete_failure(faults: list[Fault]) -> Failure:
    return invalid(GroupName(META, "DeleteOptions"), "", faults)
