"""What requests and answers look like on the wire: HTTP/1.1 heads, chunks and refusals.

Pure; bytes that arrive are taken apart by a library, in ``http.py``.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import orjson

from reconcile.kube.request import HttpRequest, HttpResponse

GZIP_FROM: Final = 128 * 1024
"""Bytes of a body that is worth packing, as the real server has it."""
LAST_CHUNK: Final = b"0\r\n\r\n"
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
ONE_BY_ONE: Final = "\n"
"""Between the values of a repeated ``Impersonate-`` header, which may hold commas themselves."""
_IN_LINES: Final = ("/", "/version")
"""Pages that are always laid out for people."""
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_STATUS_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}


def request(method: str, target: bytes, headers: Mapping[str, str], body: bytes) -> HttpRequest | None:
    """A request as its parts arrived; ``None`` if its target is no URL."""
    text = target.decode("utf-8", "replace")
    if not text.startswith("/"):
        try:
            parts = urlsplit(text)
        except ValueError:
            return None
        text = f"{parts.path or '/'}?{parts.query}" if parts.scheme in ("http", "https") and parts.netloc else ""
    path, _, query = text.partition("?")
    if not path or ("%" in path and _BAD_ESCAPE.search(path)):
        return None
    pairs = tuple(parse_qsl(query, keep_blank_values=True)) if query else ()
    return HttpRequest(method, path, pairs, headers, body)


def add_header(headers: dict[str, str], name: bytes, value: bytes) -> None:
    """Take note of a header that arrived; what is repeated is put together."""
    key, text = name.decode("latin-1").lower(), value.decode("latin-1")
    if key in headers:
        between = ONE_BY_ONE if key.startswith("impersonate-") else ", "
        text = f"{headers[key]}{between}{text}"
    headers[key] = text


def head(status: int, headers: Mapping[str, str], *, length: int | None, date: str, close: bool) -> bytes:
    """The head of an answer; ``length`` ``None``: chunks follow."""
    line = _STATUS_LINES.get(status) or f"HTTP/1.1 {status} Status\r\n"
    fields = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    end = "\r\nConnection: close" if close else ""
    return f"{line}{fields}Date: {date}\r\n{size}{end}\r\n\r\n".encode("utf-8", "replace")


def chunk(data: bytes) -> bytes:
    """A part of a body whose length nobody knows yet."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def laid_out(request: HttpRequest, response: HttpResponse) -> bytes:
    """The body of an answer; JSON as the real server lays it out: in lines for people, else with a line break."""
    body = response.body
    if not response.headers.get("content-type", "").startswith("application/json") or not body:
        return body
    if request.path in _IN_LINES or response.status == HTTPStatus.NOT_ACCEPTABLE or _is_for_people(request):
        return orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2)
    return body if request.path.startswith("/openapi/") else body + b"\n"


def _is_for_people(request: HttpRequest) -> bool:
    asked = request.get("pretty")
    if asked:
        return asked in ("1", "t", "T", "true", "TRUE", "True")
    return request.headers.get("user-agent", "").startswith(("curl", "Wget", "Mozilla/5.0"))


def refusal(status: HTTPStatus) -> bytes:
    """The answer to what is no request at all, as Go's server words it; the connection ends with it."""
    text = f"{status.value} {status.phrase}"
    return (
        f"HTTP/1.1 {text}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"
        f"Content-Length: {len(text)}\r\n\r\n{text}"
    ).encode()


def wants_gzip(request: HttpRequest, status: int, size: int) -> bool:
    """Whether a body of so many bytes goes out packed."""
    if size < GZIP_FROM or status != HTTPStatus.OK or request.method != "GET":
        return False
    return "gzip" in request.headers.get("accept-encoding", "")
