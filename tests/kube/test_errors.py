"""Every answer that is no success has a class, a cause and one line that names the object."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.kube import errors, kinds, request
from reconcile.kube.errors import ApiError, Cause, ConnectionFailed, error_from, is_retryable, status_error
from reconcile.kube.objects import ObjectKey
from reconcile.kube.request import HttpRequest, HttpResponse
from reconcile.kube.resource import Resource

NETWORK = Resource.untyped("networking.example.io/v1", "Network", "networks")
KEY = ObjectKey("shop", "blue")
PATCH = request.apply(NETWORK, KEY, {}, field_manager="m")
POST = request.create(NETWORK, {}, namespace="shop")


def status(code: int, reason: str = "", message: str = "it is so", **details: Any) -> HttpResponse:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message}
    return HttpResponse(code, body=orjson.dumps({**body, "reason": reason, "details": details}))


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (400, "BadRequest", errors.BadRequest),
        (401, "Unauthorized", errors.Unauthorized),
        (403, "Forbidden", errors.Forbidden),
        (404, "NotFound", errors.NotFound),
        (405, "MethodNotAllowed", errors.MethodNotAllowed),
        (406, "NotAcceptable", errors.NotAcceptable),
        (409, "Conflict", errors.Conflict),
        (409, "AlreadyExists", errors.AlreadyExists),
        (410, "Gone", errors.Gone),
        (410, "Expired", errors.Gone),
        (413, "RequestEntityTooLarge", errors.TooLarge),
        (415, "UnsupportedMediaType", errors.UnsupportedMediaType),
        (422, "Invalid", errors.Invalid),
        (429, "TooManyRequests", errors.TooManyRequests),
        (500, "InternalError", errors.InternalError),
        (500, "ServerTimeout", errors.ServerTimeout),
        (501, "", errors.NotImplementedByServer),
        (502, "", errors.Unavailable),
        (503, "ServiceUnavailable", errors.Unavailable),
        (504, "Timeout", errors.ServerTimeout),
        (418, "Teapot", ApiError),
    ],
)
def test_the_reason_chooses_the_class_and_the_code_where_there_is_none(
    code: int, reason: str, kind: type[ApiError]
) -> None:
    error = error_from(PATCH, status(code, reason))
    assert type(error) is kind
    assert (error.code, error.reason, error.message) == (code, reason, "it is so")
    if reason not in ("AlreadyExists", "ServerTimeout"):  # the code alone means their neighbours
        assert type(error_from(PATCH, HttpResponse(code, body=b""))) is kind


def test_a_conflict_without_a_reason_means_what_the_method_allows() -> None:
    assert type(error_from(POST, HttpResponse(409))) is errors.AlreadyExists
    assert type(error_from(PATCH, HttpResponse(409))) is errors.Conflict


def test_the_facts_of_a_status_are_kept() -> None:
    causes = [{"reason": "FieldValueInvalid", "message": "must be > 0", "field": "spec.size"}]
    error = error_from(
        PATCH, status(422, "Invalid", group="networking.example.io", kind="Network", name="blue", causes=causes)
    )
    assert (error.details.group, error.details.kind, error.details.name) == ("networking.example.io", "Network", "blue")
    assert error.details.causes == (Cause("spec.size", "FieldValueInvalid", "must be > 0"),)
    assert (error.method, error.path) == ("PATCH", PATCH.path)


@pytest.mark.parametrize(
    ("sent", "line"),
    [
        (PATCH, "PATCH networks.networking.example.io/shop/blue: 409 Conflict: the object has been modified"),
        (request.list_(kinds.POD), "GET pods/*: 409 Conflict: the object has been modified"),
        (HttpRequest("GET", "/version"), "GET /version: 409 Conflict: the object has been modified"),
    ],
)
def test_an_error_is_one_line_that_names_the_object(sent: HttpRequest, line: str) -> None:
    assert str(error_from(sent, status(409, "Conflict", "the object\n has been   modified"))) == line


@pytest.mark.parametrize(
    ("body", "quoted"),
    [
        (b"<html>\n<h1>502 Bad Gateway</h1>" + b"x" * 5000, "<html> <h1>502 Bad Gateway</h1>xxx"),
        (b"upstream connect error", "upstream connect error"),
        (b"", "no body"),
        (b'{"error":"proxy"}', '{"error":"proxy"}'),
        (b"[1]", "[1]"),
        (b"\xff\xfe", "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_an_answer_of_somebody_else_is_quoted_briefly(body: bytes, quoted: str) -> None:
    error = error_from(PATCH, HttpResponse(502, body=body))
    assert type(error) is errors.Unavailable
    assert error.message.startswith(quoted)
    assert len(error.message) < 250


@pytest.mark.parametrize(
    ("header", "details", "seconds"),
    [
        ("5", {}, 5.0),
        ("0", {}, 0.0),
        ("1.5", {}, 1.5),
        ("5", {"retryAfterSeconds": 9}, 5.0),
        (None, {"retryAfterSeconds": 9}, 9.0),
        (None, {"retryAfterSeconds": 0}, None),
        (None, {}, None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", {}, None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", {"retryAfterSeconds": 2}, 2.0),
        ("-3", {}, None),
        ("nan", {}, None),
        ("inf", {}, None),
        (None, {"retryAfterSeconds": "x"}, None),
        (None, {"retryAfterSeconds": [1]}, None),
    ],
)
def test_when_to_come_back_is_read_from_header_or_status(
    header: str | None, details: dict[str, Any], seconds: float | None
) -> None:
    answer = status(429, "TooManyRequests", **details)
    headers = {} if header is None else {"retry-after": header}
    assert error_from(PATCH, HttpResponse(429, headers, answer.body)).retry_after == seconds


def test_the_error_of_a_watch_has_the_code_of_its_status() -> None:
    error = status_error({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"})
    assert type(error) is errors.Gone
    assert (error.code, str(error)) == (410, "410 Expired: too old")
    assert type(status_error({})) is errors.InternalError


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["details", "causes", "reason", "code", "message"]), inner, max_size=3)
    ),
)


@given(json_values)
def test_no_status_however_odd_breaks_the_reading(value: object) -> None:
    error = error_from(PATCH, HttpResponse(500, body=orjson.dumps(value)))
    assert isinstance(error, ApiError)
    assert "\n" not in str(error)


def api_error(code: int, retry_after: float | None = None, **details: Any) -> ApiError:
    headers = {} if retry_after is None else {"retry-after": str(retry_after)}
    return error_from(PATCH, HttpResponse(code, headers, status(code, **details).body))


@pytest.mark.parametrize(
    ("error", "idempotent", "otherwise"),
    [
        (ConnectionFailed("refused", sent=False), True, True),
        (ConnectionFailed("reset", sent=True), True, False),
        (errors.RequestTimeout("slow", sent=True), True, False),
        (api_error(429), True, True),
        (api_error(429, 3.0), True, True),
        (api_error(429, causes=[{"reason": "DisruptionBudget"}]), False, False),
        (api_error(502), True, False),
        (api_error(503), True, False),
        (api_error(504), True, False),
        (api_error(500), False, False),
        (api_error(500, 1.0), True, False),
        (api_error(501, 1.0), False, False),
        (api_error(400), False, False),
        (api_error(401), False, False),
        (api_error(403), False, False),
        (api_error(404), False, False),
        (api_error(409), False, False),
        (api_error(410), False, False),
        (api_error(422), False, False),
        (errors.Fenced("over"), False, False),
        (errors.BadAnswer("no JSON"), False, False),
        (RuntimeError("bug"), False, False),
    ],
)
def test_what_may_be_sent_again_is_decided_in_one_place(error: Exception, idempotent: bool, otherwise: bool) -> None:
    assert is_retryable(error, idempotent=True) is idempotent
    assert is_retryable(error, idempotent=False) is otherwise


def test_a_bad_answer_names_resource_limit_and_bytes() -> None:
    error = errors.BadAnswer("a line is too long", about="pods", limit_bytes=5, excerpt="{...")
    assert str(error) == "pods: a line is too long in {..."
    assert (error.about, error.limit_bytes) == ("pods", 5)
