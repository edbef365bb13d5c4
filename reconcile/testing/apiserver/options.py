"""Which objects are to be read, and how: the query of a list or a watch, checked.

Pure. Source of rules and texts: apimachinery, ``apis/meta/v1/validation`` and ``internalversion/validation``.
"""

from collections.abc import Iterator
from typing import Final

import attrs

from reconcile.kube.request import HttpRequest
from reconcile.kube.selector import FieldSelector, LabelSelector
from reconcile.testing.apiserver import selectors
from reconcile.testing.apiserver.failure import (
    Failure,
    Fault,
    GroupName,
    bad_request,
    forbidden_field,
    invalid,
    not_supported,
)
from reconcile.testing.apiserver.storage import Stored
from reconcile.testing.apiserver.strategy import Kind

META: Final = "meta.k8s.io"
NOT_OLDER_THAN: Final = "NotOlderThan"
EXACT: Final = "Exact"


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

    @property
    def is_one(self) -> bool:
        """Whether it is one object by its name."""
        return any(term.path == "metadata.name" and not term.negated for term in self.fields.terms)

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
        limit=number(request, "limit"),
        continue_=request.get("continue"),
        watch=request.flag("watch"),
        timeout=number(request, "timeoutSeconds"),
        bookmarks=request.flag("allowWatchBookmarks"),
        initial_events=None if initial is None else initial.lower() not in ("0", "false"),
    )
    faults = list(_watch_faults(options, watch_list) if options.watch else _list_faults(options))
    if faults:
        raise invalid(GroupName(META, "ListOptions"), "", faults)
    return options


def parse_version(text: str, *, of_list: bool = True) -> int:
    """A resource version as a number; "" is 0.

    Raises:
        Failure: 400; 500 for a watch or one object, as the real server has it.
    """
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()) or int(text) >= 2**64:
        shown = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
        why = "value out of range" if text.isascii() and text.isdigit() else "invalid syntax"
        text = f"resourceVersion: Invalid value: {shown}: strconv.ParseUint: parsing {shown}: {why}"
        raise bad_request(f"invalid resource version: {text}") if of_list else Failure(500, "", text)
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


def number(request: HttpRequest, name: str) -> int:
    """A parameter that is a number; 0 if it is not there. Raises ``Failure``: 400."""
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
