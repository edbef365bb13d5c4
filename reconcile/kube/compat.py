"""The bridge to ``kubernetes_asyncio``, for programs that have it: a way in, a way out, and its models.

``credentials_of`` takes a ``Configuration`` or ``ApiClient`` of theirs as our credentials. ``api_client`` gives an
``ApiClient`` of theirs that sends through a client of ours: its typed API stays as it is, with our connections,
credentials, retries and fence, and raises its own exceptions, also where nothing is preloaded. ``resource_of`` (see
``models.py``) makes its models our typed objects. Importing this module loads all of theirs (0.6 s, 66 MB): import it
only where it is used.
"""

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import orjson
from attrs import asdict, define, field
from kubernetes_asyncio.client import ApiClient, ApiException, Configuration, models

from reconcile.core.clock import Seconds
from reconcile.kube.access import ClusterAccess
from reconcile.kube.client import Client
from reconcile.kube.credentials import Grant, RenewedCredentials
from reconcile.kube.errors import ApiError, BadAnswer
from reconcile.kube.models import ModelCodec, ModelResource, plain, read, resource_of
from reconcile.kube.objects import BadObject
from reconcile.kube.request import HttpRequest, HttpResponse
from reconcile.kube.views import dumps

__all__ = ["ModelCodec", "ModelResource", "api_client", "credentials_of", "resource_of"]


def credentials_of(theirs: Configuration | ApiClient) -> "BorrowedCredentials":
    """Log in as they do. Whoever keeps their configuration current (a hook, a refreshing task) keeps ours current.

    An ``ApiClient`` also lends its default headers. Files of certificates are watched by us.
    """
    configuration: Any = theirs.configuration if isinstance(theirs, ApiClient) else theirs
    headers = theirs.default_headers if isinstance(theirs, ApiClient) else {}
    access = ClusterAccess(
        configuration.host.rstrip("/"),
        origin="a Configuration of kubernetes_asyncio",
        ca=_path(configuration.ssl_ca_cert),
        tls_server_name=configuration.tls_server_name or "",
        is_insecure=not configuration.verify_ssl,
        proxy_url=configuration.proxy or "",
        certificate=_path(configuration.cert_file),
        key=_path(configuration.key_file),
    )
    return BorrowedCredentials(configuration, access, headers)


@define(eq=False)
class BorrowedCredentials:
    """``Credentials`` out of a ``Configuration``: its token is asked for each request, as their client does."""

    configuration: Any = field(repr=False)
    access: ClusterAccess
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    _files: RenewedCredentials = field(init=False, repr=False)
    _last: Grant = field(default=Grant(), init=False, repr=False)

    @_files.default
    def _own(self) -> RenewedCredentials:
        return RenewedCredentials(self.access)

    async def grant(self) -> Grant:
        own = await self._files.grant()
        settings = await self.configuration.auth_settings()
        named = {name.lower(): value for name, value in self.headers.items() if name.lower() != "user-agent"}
        named |= {setting["key"].lower(): setting["value"] for setting in settings.values()}
        # their token from a pod's file ends with a line break
        grant = Grant((*own.headers, *((name, value.strip()) for name, value in named.items() if value)), own.tls)
        if grant != self._last:
            self._last = grant
        return self._last

    async def renew(self, refused: Grant) -> Grant | None:
        await self._files.renew(refused)
        grant = await self.grant()
        return grant if grant is not refused else None


def api_client(client: Client) -> ApiClient:
    """An ``ApiClient`` that sends through ``client``. Closing it leaves the client open.

    Streams are not bridged: watch with an informer, or by ``client.open``.
    """
    return _BridgedApiClient(client)


class _BridgedApiClient(ApiClient):
    """Their client without connections of its own, which their constructor would make."""

    def __init__(self, client: Client) -> None:
        self.configuration = Configuration(host="")
        self.configuration.client_side_validation = False
        self.client_side_validation = False
        self.default_headers: dict[str, str] = {}
        self.cookie: Any = None
        self.pool_threads = 1
        self._client = client

    async def request(
        self,
        method: str,
        url: str,
        query_params: Any = None,
        headers: Mapping[str, str] | None = None,
        post_params: Any = None,
        body: Any = None,
        _preload_content: bool = True,
        _request_timeout: Any = None,
    ) -> "_Response":
        named = {name.lower(): value for name, value in (headers or {}).items() if name.lower() != "user-agent"}
        query = tuple((str(name), str(value)) for name, value in query_params or ())
        sent = body if isinstance(body, bytes) else b"" if body is None else dumps(body)
        if sent:
            named.setdefault("content-type", "application/json")
        request = HttpRequest(method, url, query, named, sent)
        if not _preload_content and (request.flag("watch") or request.flag("follow")):
            raise ValueError("streams are not bridged: watch with an informer, or by Client.open")
        try:
            response = await self._client.request(request, timeout=_seconds(_request_timeout))
        except ApiError as error:
            raise _exception(error) from error
        return _Response(response)

    def sanitize_for_serialization(self, obj: Any) -> Any:
        return obj if isinstance(obj, bytes) else plain(obj)

    def deserialize(self, response: Any, response_type: str) -> Any:
        if response_type in ("file", "bytes", "str"):
            return super().deserialize(response, response_type)
        try:
            return read(models, response_type, orjson.loads(response.data))
        except (orjson.JSONDecodeError, BadObject) as error:
            raise BadAnswer(str(error), about=response_type) from error

    async def close(self) -> None:
        """The client is not ours to close."""


class _Response:
    """An answer as theirs look: preloaded (``data``) or not (``read``, ``text``, ``json``)."""

    def __init__(self, response: HttpResponse) -> None:
        self.status = response.status
        self.reason = HTTPStatus(response.status).phrase
        self.headers = response.headers
        self.data: Any = response.body

    def getheaders(self) -> Mapping[str, str]:
        return self.headers

    def getheader(self, name: str, default: str | None = None) -> str | None:
        return self.headers.get(name.lower(), default)

    async def read(self) -> bytes:
        return bytes(self.data)

    async def text(self) -> str:
        return bytes(self.data).decode()

    async def json(self) -> Any:
        return orjson.loads(self.data)

    def release(self) -> None:
        """Nothing is held."""


def _exception(error: ApiError) -> ApiException:
    """Theirs, with the Status that ours was made of."""
    details = error.details
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": error.message,
        "reason": error.reason,
        "details": {
            **{name: getattr(details, name) for name in ("group", "kind", "name", "uid") if getattr(details, name)},
            "causes": [asdict(cause) for cause in details.causes],
        },
        "code": error.code,
    }
    headers = {} if error.retry_after is None else {"retry-after": f"{error.retry_after:g}"}
    answer: Any = _Response(HttpResponse(error.code, headers, dumps(status)))
    return ApiException(http_resp=answer)


def _seconds(timeout: Any) -> Seconds | None:
    """Theirs may be a number, or a pair for connecting and reading."""
    if isinstance(timeout, (tuple, list)):
        return float(sum(part for part in timeout if part))
    return float(timeout) if isinstance(timeout, (int, float)) and timeout else None


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None
