"""What the server says no with: ``metav1.Status`` values in the words of the real server.

A ``Failure`` is raised anywhere in the server and becomes the answer as it is. A ``Fault`` is one wrong field; several
make one ``invalid`` failure. Pure. Source of the texts: apimachinery, ``api/errors`` and ``util/validation/field``.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import attrs
import orjson

Document: TypeAlias = dict[str, Any]
"""An object of the API as JSON decodes it."""

RETRY_AFTER = 1
"""Seconds a client is told to wait where the real server says 1."""


class Failure(Exception):
    """An answer that is not a success: ``status`` is the whole ``metav1.Status``."""

    def __init__(self, code: int, reason: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.warning = ""
        """What the answer warns of besides, as its header has it."""
        self.status: Document = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
        }
        if reason:
            self.status["reason"] = reason
        if details is not None:
            self.status["details"] = {name: value for name, value in details.items() if value}
        self.status["code"] = code

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer, lower-case names."""
        seconds = self.status.get("details", {}).get("retryAfterSeconds")
        found = {"content-type": "application/json"}
        found |= {"retry-after": str(seconds)} if seconds else {}
        return {**found, "warning": self.warning} if self.warning else found

    @property
    def body(self) -> bytes:
        """The body of the answer."""
        return orjson.dumps(self.status)


class NoSuchPath(Failure):
    """404 for a path, group or resource that is not served: plain text, as the real router writes it."""

    def __init__(self) -> None:
        super().__init__(404, "NotFound", "404 page not found")

    @property
    def headers(self) -> dict[str, str]:
        return {"content-type": "text/plain; charset=utf-8"}

    @property
    def body(self) -> bytes:
        return b"404 page not found\n"


@attrs.frozen
class GroupName:
    """A resource or a kind with its group: ``configmaps``, ``networks.core.example.com``."""

    group: str
    name: str

    def __str__(self) -> str:
        return f"{self.name}.{self.group}" if self.group else self.name

    def details(self, name: str = "") -> Document:
        """The ``details`` of a status about object ``name`` of this resource."""
        return {"name": name, "group": self.group, "kind": self.name}


def not_found(resource: GroupName, name: str) -> Failure:
    """404 for one object."""
    return Failure(404, "NotFound", f'{resource} "{name}" not found', resource.details(name))


def already_exists(resource: GroupName, name: str, *, generated: bool = False, deleting: bool = False) -> Failure:
    """409 for a name that is taken; ``generated`` by the server, or held by an object in deletion."""
    message = f'{resource} "{name}" already exists'
    details = resource.details(name)
    if generated:
        message += ", the server was not able to generate a unique name for the object"
        details["retryAfterSeconds"] = RETRY_AFTER
    if deleting:
        message = f"object is being deleted: {message}"
    return Failure(409, "AlreadyExists", message, details)


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def conflict(resource: GroupName, name: str, why: str = MODIFIED) -> Failure:
    """409: someone else wrote first, or a precondition does not hold."""
    message = f'Operation cannot be fulfilled on {resource} "{name}": {why}'
    return Failure(409, "Conflict", message, resource.details(name))


def forbidden(resource: GroupName, name: str, why: str) -> Failure:
    """403 with the reason that ``why`` gives."""
    subject = f'{resource} "{name}"' if name else str(resource)
    return Failure(403, "Forbidden", f"{subject} is forbidden: {why}", resource.details(name))


def bad_request(message: str) -> Failure:
    """400."""
    return Failure(400, "BadRequest", message)


def method_not_supported(resource: GroupName, action: str) -> Failure:
    """405 for a verb that this resource does not have, from the storage."""
    message = f'{action} is not supported on resources of kind "{resource}"'
    return Failure(405, "MethodNotAllowed", message, resource.details())


def method_not_allowed() -> Failure:
    """405 for a method that this path does not take, from the router."""
    return Failure(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def no_such_route() -> Failure:
    """404 for a path that leads nowhere within a group and version that are served."""
    return Failure(404, "NotFound", "the server could not find the requested resource", {})


def not_acceptable(offers: Iterable[str], *, routed: bool) -> Failure:
    """406 with the media types that would do; ``routed``: the router says so, as for built-in kinds."""
    if routed:
        message = f"406: Not Acceptable\n\nAvailable representations: {', '.join(offers)}"
        return Failure(406, "NotAcceptable", message, {})
    return Failure(406, "NotAcceptable", f"only the following media types are accepted: {', '.join(offers)}")


def unsupported_media_type(offers: Iterable[str], *, routed: bool) -> Failure:
    """415 with the media types that would do; ``routed``: the router says so, as for built-in kinds."""
    if routed:
        return Failure(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
    message = f"the body of the request was in an unknown format - accepted media types include: {', '.join(offers)}"
    return Failure(415, "UnsupportedMediaType", message)


def too_large(message: str) -> Failure:
    """413."""
    return Failure(413, "RequestEntityTooLarge", f"Request entity too large: {message}")


def expired(message: str, *, continue_: str = "") -> Failure:
    """410 with reason Expired; ``continue_`` is the token that goes on with an inconsistent list."""
    failure = Failure(410, "Expired", message)
    if continue_:
        failure.status["metadata"] = {"continue": continue_}
    return failure


def version_too_large(asked: int, current: int) -> Failure:
    """504: a version from the future, as the real server words it."""
    details = {
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": RETRY_AFTER,
    }
    message = f"Timeout: Too large resource version: {asked}, current: {current}"
    return Failure(504, "Timeout", message, details)


def internal(message: str) -> Failure:
    """500: a bug of the server or of a hook."""
    return Failure(500, "InternalError", f"Internal error occurred: {message}", {"causes": [{"message": message}]})


def not_implemented(feature: str) -> Failure:
    """501: this server does not do ``feature`` yet, and says so instead of guessing."""
    return Failure(501, "NotImplemented", f"this API server does not implement {feature}")


@attrs.frozen
class Fault:
    """One wrong field. ``reason`` is a ``metav1.CauseType``; ``says`` the text without the field."""

    field: str
    reason: str
    says: str

    def __str__(self) -> str:
        return f"{self.field}: {self.says}"


def invalid(kind: GroupName, name: str, faults: Iterable[Fault]) -> Failure:
    """422 with one cause a fault."""
    faults = list(faults)
    texts = list(dict.fromkeys(map(str, faults)))
    said = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    causes = [{"reason": fault.reason, "message": fault.says, "field": fault.field} for fault in faults]
    message = f'{kind} "{name}" is invalid' + (f": {said}" if texts else "")
    return Failure(422, "Invalid", message, {**kind.details(name), "causes": causes})


def required(field: str, detail: str = "") -> Fault:
    """A value is missing."""
    return Fault(field, "FieldValueRequired", _say("Required value", detail))


def invalid_value(field: str, value: object, detail: str, *, type_error: bool = False) -> Fault:
    """A value does not follow its rule."""
    reason = "FieldValueTypeInvalid" if type_error else "FieldValueInvalid"
    return Fault(field, reason, _say(f"Invalid value: {go_value(value)}", detail))


def not_supported(field: str, value: object, allowed: Iterable[str]) -> Fault:
    """A value is not among the allowed ones."""
    names = ", ".join(f'"{one}"' for one in allowed)
    return Fault(field, "FieldValueNotSupported", f"Unsupported value: {go_value(value)}: supported values: {names}")


def not_found_field(field: str, value: object) -> Fault:
    """A value refers to something that is not there."""
    return Fault(field, "FieldValueNotFound", f"Not found: {go_value(value)}")


def duplicate(field: str, value: object) -> Fault:
    """A value may appear once only."""
    return Fault(field, "FieldValueDuplicate", f"Duplicate value: {go_value(value)}")


def forbidden_field(field: str, detail: str) -> Fault:
    """A value may not be set here."""
    return Fault(field, "FieldValueForbidden", _say("Forbidden", detail))


def too_long(field: str, detail: str) -> Fault:
    """A value is longer than its limit."""
    return Fault(field, "FieldValueTooLong", _say("Too long", detail))


def too_many(field: str, count: int, limit: int) -> Fault:
    """A list has more items than it may."""
    return Fault(
        field, "FieldValueTooMany", f"Too many: {count}: must have at most {limit} item{'s' if limit != 1 else ''}"
    )


def go_value(value: object) -> str:
    """A value as the real server prints it in such texts."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    # Go's encoder thinks of browsers
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def _say(kind: str, detail: str) -> str:
    return f"{kind}: {detail}" if detail else kind
