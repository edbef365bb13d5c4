"""Both API servers as a tool reaches them: asked once, with few tries, as somebody waits for the answer."""

import datetime as dt
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from attrs import frozen

from apinetlet.api import GENERATIONS, NEITHER, Generation, served
from apinetlet.assembly import APINET, SOURCE
from apinetlet.connections import connections
from apinetlet.settings import AUTO, Settings
from apinetlet.tools.answer import Failure
from reconcile import Client, KubeError
from reconcile.kube.client import ClientSettings
from reconcile.kube.kubeconfig import LoginError
from reconcile.kube.retry import RetryPolicy

USER_AGENT = "apinetlet-tools"
PATIENT = ClientSettings(call_timeout=10.0, retry=RetryPolicy(attempts=2, total=10.0))


@frozen
class Sides:
    """A client for each, and which generation they serve."""

    generation: Generation
    source: Client
    apinet: Client


@frozen
class Reach:
    """A client for each, before anybody was asked anything."""

    source: Client
    apinet: Client
    own: Mapping[str, dt.datetime | None]
    """Of each side that has a client certificate of its own: until when; None: it has yet to be requested."""
    host: Client | None = None
    """One for the cluster where kubeconfigs are kept in Secrets, if any is."""


@asynccontextmanager
async def reaching(settings: Settings) -> AsyncIterator[Reach]:
    """Both by whatever way there is now. Requests no certificate.

    Raises:
        Failure: a kubeconfig or a store cannot be used.
    """
    async with AsyncExitStack() as stack:
        try:
            reach = await stack.enter_async_context(connections(settings))
            source, apinet = (one.scout(user_agent=USER_AGENT) for one in (reach.source, reach.apinet))
        except LoginError as error:
            raise Failure(f"no way in: {error}") from error
        for client in (source, apinet):
            client.settings = PATIENT
            await stack.enter_async_context(client)
        rotations = {SOURCE: reach.source.rotation, APINET: reach.apinet.rotation}
        own = {side: one.identity.ends for side, one in rotations.items() if one is not None}
        yield Reach(source, apinet, own, reach.host)


@asynccontextmanager
async def sides(settings: Settings) -> AsyncIterator[Sides]:
    """Both of them, once they have answered.

    Raises:
        Failure: one cannot be reached or logged in to, or its generation cannot be told; says which.
    """
    async with reaching(settings) as reach:
        source, apinet = reach.source, reach.apinet
        for side, client in (("source", source), ("api-net", apinet)):
            await answering(side, client)
        generation = await _generation(settings, source)
        source.field_manager = apinet.field_manager = generation.field_manager
        yield Sides(generation, source, apinet)


async def answering(side: str, client: Client) -> None:
    """See that a server is there.

    Raises:
        Failure: it is not, or does not know us.
    """
    try:
        await client.version()
    except KubeError as error:
        raise Failure(f"the {side} cluster does not answer: {error}") from error


async def _generation(settings: Settings, source: Client) -> Generation:
    """The generation that the flag names, or the one whose groups the source cluster serves.

    Raises:
        Failure: it serves none.
    """
    if settings.generation != AUTO:
        return GENERATIONS[settings.generation]
    if found := served((await source.discover()).groups):
        return found[0]
    raise Failure(f"the source cluster serves neither {NEITHER}: install one, or say --generation")
