"""Asks webhooks: over HTTPS, or a function of the test that stands for one.

``handlers`` are functions by address: of a webhook with a URL that URL, of one with a service
``https://<name>.<namespace>.svc:<port><path>``. A handler gets the review and answers one; it may be async. Everything
else is asked over HTTPS, with the certificates that its configuration gives.
"""

import base64
import inspect
import ssl
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import anyio
import attrs
import orjson

from reconcile.testing.apiserver.asking import Answer, Answers, Pending, Question, Target
from reconcile.testing.apiserver.failure import Document

Handler: TypeAlias = Callable[[Document], Document | Awaitable[Document]]


@attrs.define(eq=False)
class Caller:
    """The way to all webhooks."""

    handlers: Mapping[str, Handler] = attrs.field(factory=dict)

    async def ask(self, question: Question, new_id: Callable[[], str] = lambda: str(uuid.uuid4())) -> Answer:
        """Put a question; never raises for what the other side did."""
        target, id_ = question.target, new_id()
        body = {**question.body, question.part: {"uid": id_, **question.body[question.part]}}
        try:
            with anyio.fail_after(target.timeout):
                handler = self.handlers.get(target.url)
                found = await _handled(handler, body) if handler is not None else await _posted(target, body)
        except TimeoutError:
            return Answer(id_, error=f'Post "{_shown(target)}": context deadline exceeded')
        except _CallFailed as failed:
            return Answer(id_, error=str(failed))
        return Answer(id_, found)

    async def settle(self, pending: Pending, answers: Answers) -> None:
        """Get the answers that a step lacks, all at once."""

        async def one(question: Question) -> None:
            answer = await self.ask(question)
            (question.keep or answers.add)(question, answer)

        async with anyio.create_task_group() as tasks:
            for question in pending.questions:
                tasks.start_soon(one, question)


class _CallFailed(Exception):
    """Nothing of use came back; the text is the real server's."""


def _shown(target: Target) -> str:
    return f"{target.url}?timeout={int(target.timeout)}s"


async def _handled(handler: Handler, body: Document) -> Any:
    try:
        found = handler(orjson.loads(orjson.dumps(body)))
        return await found if inspect.isawaitable(found) else found
    except Exception as error:
        raise _CallFailed(f"the webhook failed: {error!r}") from error


async def _posted(target: Target, body: Document) -> Any:
    import aiohttp  # on use: a server in memory may never need it

    url = _shown(target)
    context = ssl.create_default_context()
    if target.ca:
        try:
            context = ssl.create_default_context(cadata=target.ca.decode())
        except (ssl.SSLError, ValueError) as error:
            raise _CallFailed("unable to load root certificates: unable to parse bytes as PEM block") from error
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                url, data=orjson.dumps(body), ssl=context, headers={"content-type": "application/json"}
            ) as reply,
        ):
            raw = await reply.read()
            status = reply.status
    except aiohttp.ClientConnectorCertificateError as error:
        raise _CallFailed(f'Post "{url}": tls: failed to verify certificate: {_certificate(error)}') from error
    except aiohttp.ClientConnectorDNSError as error:
        raise _CallFailed(f'Post "{url}": dial tcp: lookup {error.host}: no such host') from error
    except aiohttp.ClientConnectorError as error:
        raise _CallFailed(f'Post "{url}": dial tcp {error.host}:{error.port}: connect: connection refused') from error
    except aiohttp.ClientError as error:
        raise _CallFailed(f'Post "{url}": {str(error) or "EOF"}') from error
    if status != 200:
        text = raw.decode(errors="replace").strip()
        raise _CallFailed(
            _refusals.get(status) or f'an error on the server ("{text}") has prevented the request from succeeding'
        )
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _CallFailed(f"couldn't get version/kind; json parse error: {error}") from error


_refusals = {
    404: "the server could not find the requested resource",
    401: "the server has asked for the client to provide credentials",
}


def _certificate(error: Any) -> str:
    text = str(error.certificate_error)
    return "x509: certificate signed by unknown authority" if "self-signed" in text or "unable to get" in text else text


def target_of(config: Document, timeout: float) -> Target:
    """Where a ``clientConfig`` leads."""
    service = config.get("service")
    url = config.get("url") or ""
    if service is not None:
        port, path = service.get("port", 443), service.get("path") or "/"
        url = f"https://{service['name']}.{service['namespace']}.svc:{port}{path}"
    return Target(url, base64.b64decode(config.get("caBundle") or ""), timeout)
