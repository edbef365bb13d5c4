"""Everything a call to an API server can fail with: one tree, facts as attributes.

An answer that is no success becomes an ``ApiError`` of the narrowest class; the server's reason counts more than the
code (an ``AlreadyExists`` and a ``Conflict`` are both 409). No answer is ``ConnectionFailed``. Errors of an HTTP
library never get this far: the transport turns them into these. Pure.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

import attrs
import msgspec

from reconcile.core.clock import Seconds
from reconcile.kube.objects import excerpt
from reconcile.kube.request import HttpRequest, HttpResponse, parse


class KubeError(Exception):
    """The root: whatever this package raises about a server."""


class ConnectionFailed(KubeError):
    """No answer, or only part of one.

    ``sent`` is False when the request surely never reached the server, True when the outcome is unknown.
    """

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class RequestTimeout(ConnectionFailed):
    """No answer in time."""


class Fenced(KubeError):
    """A write that was not sent, because this process may no longer write: its lease is over."""


class BadAnswer(KubeError):
    """Bytes that make no sense: not JSON, not what was asked for, or larger than a limit.

    ``what`` is wrong, ``about`` which resource ("" if not known), ``limit_bytes`` was exceeded (``None`` if it is not
    about size), ``excerpt`` is how the bytes start.
    """

    def __init__(self, what: str, *, about: str = "", limit_bytes: int | None = None, excerpt: str = "") -> None:
        super().__init__(what, about, limit_bytes, excerpt)
        self.what = what
        self.about = about
        self.limit_bytes = limit_bytes
        self.excerpt = excerpt

    def __str__(self) -> str:
        return "".join(
            (f"{self.about}: " if self.about else "", self.what, f" in {self.excerpt}" if self.excerpt else "")
        )


@attrs.frozen
class Cause:
    """One of several things that are wrong. ``field`` is a dotted path with indexes in brackets."""

    field: str = ""
    reason: str = ""
    message: str = ""


@attrs.frozen
class Details:
    """What the error is about, as far as the server said."""

    group: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    causes: tuple[Cause, ...] = ()


class ApiError(KubeError):
    """An answer that is not a success.

    ``code`` (HTTP), ``reason`` (``Status.reason``, "" if there was no Status), ``message``, ``details``,
    ``retry_after`` (seconds, or ``None``), ``method`` and ``path`` of the request ("" for an event of a watch).
    """

    def __init__(
        self,
        message: str,
        *,
        code: int,
        reason: str = "",
        details: Details = Details(),
        retry_after: Seconds | None = None,
        method: str = "",
        path: str = "",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.retry_after = retry_after
        self.method = method
        self.path = path

    def __str__(self) -> str:
        about = parse(HttpRequest(self.method, self.path)) or self.path
        head = f"{self.method} {about}: " if self.method else ""
        reason = self.reason or type(self).__name__
        return f"{head}{self.code} {reason}: {' '.join(self.message.split())}"


class BadRequest(ApiError):
    """400: the server does not understand it."""


class Unauthorized(ApiError):
    """401: it does not know who we are."""


class Forbidden(ApiError):
    """403: it knows, and says no."""


class NotFound(ApiError):
    """404: no such object, kind or path."""


class MethodNotAllowed(ApiError):
    """405: the resource does not have this verb."""


class NotAcceptable(ApiError):
    """406: it cannot answer in the form that was asked for."""


class Conflict(ApiError):
    """409: someone wrote first, or owns the field: look again, then decide."""


class AlreadyExists(ApiError):
    """409: there is an object of this name."""


class Gone(ApiError):
    """410, reasons Expired and Gone: this version or page is history. List again."""


class TooLarge(ApiError):
    """413: the request is larger than the server takes."""


class UnsupportedMediaType(ApiError):
    """415: the server does not read this content type (a strategic patch of a custom resource)."""


class Invalid(ApiError):
    """422: the object breaks rules; ``details.causes`` says which."""


class TooManyRequests(ApiError):
    """429: come back later; also an eviction that a disruption budget forbids."""


class InternalError(ApiError):
    """500: the server failed."""


class NotImplementedByServer(ApiError):
    """501: it never will."""


class Unavailable(ApiError):
    """503, and 502 from a proxy: nobody there to answer right now."""


class ServerTimeout(ApiError):
    """504, and reason ServerTimeout: the server gave up; whether it acted is unknown."""


_BY_REASON: Final[Mapping[str, type[ApiError]]] = {
    "BadRequest": BadRequest,
    "Unauthorized": Unauthorized,
    "Forbidden": Forbidden,
    "NotFound": NotFound,
    "MethodNotAllowed": MethodNotAllowed,
    "NotAcceptable": NotAcceptable,
    "Conflict": Conflict,
    "AlreadyExists": AlreadyExists,
    "Gone": Gone,
    "Expired": Gone,
    "RequestEntityTooLarge": TooLarge,
    "UnsupportedMediaType": UnsupportedMediaType,
    "Invalid": Invalid,
    "TooManyRequests": TooManyRequests,
    "InternalError": InternalError,
    "ServiceUnavailable": Unavailable,
    "ServerTimeout": ServerTimeout,
    "Timeout": ServerTimeout,
}
_BY_CODE: Final[Mapping[int, type[ApiError]]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    406: NotAcceptable,
    409: Conflict,
    410: Gone,
    413: TooLarge,
    415: UnsupportedMediaType,
    422: Invalid,
    429: TooManyRequests,
    500: InternalError,
    501: NotImplementedByServer,
    502: Unavailable,
    503: Unavailable,
    504: ServerTimeout,
}


def error_from(request: HttpRequest, response: HttpResponse) -> ApiError:
    """The error that an answer means. Reads a ``metav1.Status`` if there is one, else quotes how the body starts.

    ``Retry-After`` counts in seconds only; of a date nothing is made, for this has no clock.
    """
    try:
        status = _Status.of(msgspec.json.decode(response.body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        status = _Status(message=excerpt(response.body, 200) or "no body")
    wait = _seconds(response.headers.get("retry-after"))
    return status.error(
        response.status, wait if wait is not None else status.retry_after, method=request.method, path=request.path
    )


def status_error(status: Mapping[str, Any]) -> ApiError:
    """The error that the ``metav1.Status`` in an ERROR event of a watch means; its code is 500 if it has none."""
    read = _Status.of(status)
    return read.error(read.code or 500, read.retry_after)


def is_retryable(error: BaseException, *, idempotent: bool) -> bool:
    """Whether the same request may be sent again, later and a bounded number of times.

    A request that was surely not carried out may always be: it was never sent, or 429 turned it away (but for an
    eviction that a disruption budget forbids: that may last for hours). An idempotent one also after a lost connection,
    502 to 504, and after a 500 that names a time (a pool of the server ran out); 501 and the rest say the same again.
    """
    if isinstance(error, ConnectionFailed):
        return idempotent or not error.sent
    if not isinstance(error, ApiError):
        return False
    if error.code == 429:
        return all(cause.reason != "DisruptionBudget" for cause in error.details.causes)
    return idempotent and (error.code in (502, 503, 504) or (error.code == 500 and error.retry_after is not None))


@attrs.frozen
class _Status:
    """A ``metav1.Status`` as far as we use it; whatever has the wrong type reads as absent."""

    code: int = 0
    reason: str = ""
    message: str = ""
    details: Details = Details()
    retry_after: Seconds | None = None

    @classmethod
    def of(cls, value: object) -> "_Status":
        status = value if isinstance(value, Mapping) else {}
        details = status.get("details")
        details = details if isinstance(details, Mapping) else {}
        causes = details.get("causes")
        code = status.get("code")
        return cls(
            code=code if isinstance(code, int) else 0,
            reason=_text(status, "reason"),
            message=_text(status, "message") or ("" if status.get("kind") == "Status" else _brief(value)),
            details=Details(
                **{name: _text(details, name) for name in ("group", "kind", "name", "uid")},
                causes=tuple(
                    Cause(field=_text(cause, "field"), reason=_text(cause, "reason"), message=_text(cause, "message"))
                    for cause in (causes if isinstance(causes, list) else ())
                    if isinstance(cause, Mapping)
                ),
            ),
            retry_after=_seconds(details.get("retryAfterSeconds")) or None,
        )

    def error(self, code: int, retry_after: Seconds | None, *, method: str = "", path: str = "") -> ApiError:
        found = _BY_REASON.get(self.reason) or _BY_CODE.get(code, ApiError)
        if found is Conflict and not self.reason and method == "POST":
            found = AlreadyExists
        return found(
            self.message,
            code=code,
            reason=self.reason,
            details=self.details,
            retry_after=retry_after,
            method=method,
            path=path,
        )


def _text(mapping: Mapping[str, Any], name: str) -> str:
    value = mapping.get(name)
    return value if isinstance(value, str) else ""


def _brief(value: object) -> str:
    return excerpt(msgspec.json.encode(value), 200)


def _seconds(value: object) -> Seconds | None:
    """A wait in seconds: a number or its text, finite and not negative."""
    try:
        seconds = float(value) if isinstance(value, (str, int, float)) else math.nan
    except ValueError:
        return None
    return seconds if 0 <= seconds < math.inf else None
