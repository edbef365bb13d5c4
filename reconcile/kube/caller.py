"""One request to an API server, and everything that is true of all of them.

A request is sent plainly; only what failed in a way that may pass is tried again, a bounded number of times, and never
when its outcome is unknown and repeating it could do harm. A server that says 429 is asked more slowly, by everybody
who uses the same client. Just before the first byte of a write leaves, ``fence`` is asked whether this process may
still write. What the server refuses is raised as an ``ApiError``.

A client is cheap: who must not wait for others (leader election) makes another one on the same transport.
"""

import asyncio
import random
from typing import Final, Protocol, Self

from attrs import define, field, frozen

from reconcile.core.backoff import TokenBucket
from reconcile.core.clock import Clock, Seconds
from reconcile.kube.errors import ApiError, ConnectionFailed, KubeError, TooManyRequests, error_from, is_retryable
from reconcile.kube.pace import Pace
from reconcile.kube.patch import JsonPatch
from reconcile.kube.request import HttpRequest, HttpResponse
from reconcile.kube.retry import RetryPolicy, again
from reconcile.kube.transport import Guard, Stream, Transport

DEFAULT_BURST: Final = 10


class Observer(Protocol):
    """Hears what a client does. Called on the hot path: count, and return."""

    def request(self, method: str, host: str, code: str, seconds: Seconds) -> None:
        """One request was answered with ``code``, or with "<error>": not at all."""

    def retried(self, method: str, host: str, error: KubeError) -> None:
        """A failure is tried again."""

    def paused(self, host: str, seconds: Seconds) -> None:
        """A request waits for a server that is asked more slowly."""


@frozen
class ClientSettings:
    call_timeout: Seconds = 30.0
    """For one attempt, from the wait for a connection to the last byte of the answer."""
    retry: RetryPolicy = field(factory=RetryPolicy)
    page_size: int = 500
    refused_limit_bytes: int = 1 << 20
    """How much is read of the answer with which a stream is refused."""
    qps: float = 0.0
    """Requests a second at most, over a while; 0 or less: as many as the server takes."""
    burst: int = DEFAULT_BURST
    """So many may leave at once all the same; counts only with ``qps``. Below 1 it is 10, as in client-go."""
    discovery_interval: Seconds = 10.0
    """The server is not asked for its kinds more often than this because one was not found."""


@define(eq=False)
class Caller:
    """Sends requests over a transport that it owns. ``field_manager`` is who writes, for the server's records."""

    transport: Transport
    field_manager: str = field(default="reconcile", kw_only=True)
    settings: ClientSettings = field(default=ClientSettings(), kw_only=True)
    rng: random.Random = field(factory=random.Random, kw_only=True, repr=False)
    fence: Guard | None = field(default=None, kw_only=True)
    observer: Observer | None = field(default=None, kw_only=True)
    _pace: Pace = field(factory=Pace, init=False)
    _limit: TokenBucket | None = field(init=False)
    _clock: Clock = field(factory=Clock, init=False, repr=False)

    @_limit.default
    def _own_limit(self) -> TokenBucket | None:
        qps, burst = self.settings.qps, self.settings.burst
        return TokenBucket(qps, burst if burst >= 1 else DEFAULT_BURST) if qps > 0 else None

    async def request(self, request: HttpRequest, *, timeout: Seconds | None = None) -> HttpResponse:
        """Send any request; errors are raised, the answer is as it came. ``timeout`` is for one attempt.

        Raises:
            KubeError: the last failure, after as many attempts as made sense.
        """
        limit = self.settings.call_timeout if timeout is None else timeout
        guard = self.fence if self.fence is not None and is_write(request) else None
        began = self._clock.now()
        try:
            return await self._attempt(request, limit, guard, began)
        except KubeError as error:
            idempotent = is_idempotent(request)
            if not self.settings.retry.allows(error, idempotent=idempotent):
                raise
            first = error

        def note(error: KubeError, _: Seconds) -> None:
            if self.observer is not None:
                self.observer.retried(request.method, self.transport.host, error)

        return await again(
            lambda: self._attempt(request, limit, guard, self._clock.now()),
            first,
            self.settings.retry,
            began + self.settings.retry.total,
            idempotent=idempotent,
            rng=self.rng,
            note=note,
        )

    async def open(self, request: HttpRequest, *, timeout: Seconds | None = None) -> Stream:
        """Open a stream, such as a watch; the caller closes it. Not tried again: that is the reader's decision.

        ``timeout`` is for the head of the answer.

        Raises:
            KubeError: refused, or no answer.
        """
        limit = self.settings.call_timeout if timeout is None else timeout
        began = await self._turn()
        try:
            stream = await self.transport.open(request, timeout=limit)
        except KubeError:
            self._observe(request, "<error>", began)
            raise
        self._observe(request, str(stream.status), began)
        if stream.status < 300:
            self._pace.succeeded(self._clock.now())
            return stream
        try:
            body = await self._refused(stream, limit)
        finally:
            await stream.aclose()
        raise self._refusal(request, HttpResponse(stream.status, stream.headers, body))

    async def aclose(self) -> None:
        """Close the transport."""
        await self.transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _attempt(
        self, request: HttpRequest, timeout: Seconds, guard: Guard | None, began: Seconds
    ) -> HttpResponse:
        if wait := self._reserve(began):
            began = await self._waited(wait)
        try:
            response = await self.transport.call(request, timeout=timeout, guard=guard)
        except KubeError:
            self._observe(request, "<error>", began)
            raise
        self._observe(request, str(response.status), began)
        if response.status < 300:
            self._pace.succeeded(self._clock.now())
            return response
        raise self._refusal(request, response)

    async def _turn(self) -> Seconds:
        """Wait until the server may be asked; the time it is then."""
        moment = self._clock.now()
        return await self._waited(wait) if (wait := self._reserve(moment)) else moment

    def _reserve(self, moment: Seconds) -> Seconds:
        """Take a place in the order of requests; how long until it comes."""
        wait = self._pace.reserve(moment)
        return wait if self._limit is None else max(wait, self._limit.reserve(moment))

    async def _waited(self, wait: Seconds) -> Seconds:
        """Let the server have its pause; the time it is then."""
        if self.observer is not None:
            self.observer.paused(self.transport.host, wait)
        await asyncio.sleep(wait)
        return self._clock.now()

    def _refusal(self, request: HttpRequest, response: HttpResponse) -> ApiError:
        error = error_from(request, response)
        if not isinstance(error, TooManyRequests):
            self._pace.succeeded(self._clock.now())
        elif is_retryable(error, idempotent=False):  # not so the eviction that a disruption budget forbids
            self._pace.refused(self._clock.now(), error.retry_after)
        return error

    async def _refused(self, stream: Stream, timeout: Seconds) -> bytes:
        """What a server says to a stream that it refuses, as far as it gets."""
        body = b""
        try:
            async with asyncio.timeout(timeout):
                while len(body) < self.settings.refused_limit_bytes and (part := await stream.read()):
                    body += part
        except (TimeoutError, ConnectionFailed):
            pass  # the status says enough
        return body

    def _observe(self, request: HttpRequest, code: str, began: Seconds) -> None:
        if self.observer is not None:
            self.observer.request(request.method, self.transport.host, code, self._clock.now() - began)


def is_write(request: HttpRequest) -> bool:
    """Whether a request changes what is stored. A dry run does not, nor does a review, though both look like writes."""
    return (
        request.method not in ("GET", "HEAD")
        and not request.path.startswith(("/apis/authorization.k8s.io/", "/apis/authentication.k8s.io/"))
        and not request.get("dryRun")
    )


def is_idempotent(request: HttpRequest) -> bool:
    """Whether doing it twice leaves what doing it once would: not so a create, nor the operations of a JSON patch."""
    if request.method == "PATCH":
        return request.headers.get("content-type") != JsonPatch.content_type
    return request.method != "POST"
