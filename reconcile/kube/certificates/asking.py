"""Asks an API server for a client certificate, and waits for it.

One request object for each call: its key exists in memory only, so nobody else can use what comes. Waits by a watch,
and looks again where there is none; a server that is away for a while is waited for, within the time limit.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import anyio.to_thread
import orjson

from reconcile.core.clock import Seconds, utc
from reconcile.kube import kinds
from reconcile.kube import request as http
from reconcile.kube.certificates import pairs
from reconcile.kube.certificates.pairs import Pair
from reconcile.kube.certificates.requests import CertificateRefused, Wanted, is_approved, issued, unanswered
from reconcile.kube.client import Client
from reconcile.kube.errors import Forbidden, KubeError, NotFound, Unauthorized
from reconcile.kube.objects import ObjectKey

LOOK: Final[Seconds] = 1.0
"""Between two looks while no watch can be had."""
WATCH: Final = 240
"""How long one watch is, in seconds."""


async def ask(client: Client, wanted: Wanted, *, timeout: Seconds) -> Pair:
    """A new key and the certificate that was signed for it. ``timeout`` is for all of it.

    Raises:
        CertificateRefused: denied, failed, deleted, of no use, or not signed in time.
        KubeError: the request could not be made, or may not be looked at.
    """
    new = await anyio.to_thread.run_sync(pairs.make, wanted.subject, wanted.key)
    name, approved = "", False
    try:
        async with asyncio.timeout(timeout):
            made = await client.create(kinds.CSR, wanted.body(new.request))
            name, uid = made.metadata.name, made.metadata.uid
            while True:
                found = await _look(client, name)
                if found is None:
                    await asyncio.sleep(LOOK)
                    continue
                if (pair := issued(found, uid=uid, key=new.key, at=utc())) is not None:
                    return pair
                approved = is_approved(found)
                await _changed(client, name, found["metadata"].get("resourceVersion", ""))
    except TimeoutError:
        if not name:
            raise CertificateRefused("(new)", f"could not be made within {timeout:g} s", "look at the server") from None
        raise unanswered(name, approved, timeout) from None


async def _look(client: Client, name: str) -> Mapping[str, Any] | None:
    """The request as it is now; None if the server does not say."""
    try:
        answer = await client.request(http.get(kinds.CSR, ObjectKey("", name)))
    except NotFound as error:
        raise CertificateRefused(name, "was deleted before it was answered", "try again") from error
    except (Unauthorized, Forbidden):
        raise
    except KubeError:
        return None
    try:
        found = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return None
    is_object = isinstance(found, Mapping) and isinstance(found.get("metadata"), Mapping)
    return found if is_object else None  # whoever is in the way may go again


async def _changed(client: Client, name: str, version: str) -> None:
    """Return when the request may have changed; at the latest after one watch."""
    asked = http.watch(
        kinds.CSR,
        fields=f"metadata.name={name}",
        resource_version=version,
        timeout_seconds=WATCH,
        allow_bookmarks=False,
    )
    try:
        stream = await client.open(asked)
        try:
            async with asyncio.timeout(WATCH + LOOK):
                if await stream.read():
                    return
        finally:
            await stream.aclose()
    except (KubeError, TimeoutError):
        pass  # looking again tells the same, and what is really wrong
    await asyncio.sleep(LOOK)
