"""The daemon as it is declared, put together over no server at all: what it watches, writes and needs rights for."""

from functools import partial
from typing import NoReturn

from attrs import frozen

from apinetlet.api import Generation
from apinetlet.app import elector
from apinetlet.assembly import assemble
from apinetlet.settings import Settings
from reconcile import Client, Manager, Seconds
from reconcile.kube.errors import ConnectionFailed
from reconcile.kube.request import HttpRequest
from reconcile.kube.transport import Guard


@frozen
class Nowhere:
    """``Transport`` to no server."""

    host: str = "nowhere"

    async def call(self, request: HttpRequest, *, timeout: Seconds, guard: Guard | None = None) -> NoReturn:
        raise ConnectionFailed(f"there is no server for {request.method} {request.path}", sent=False)

    async def open(self, request: HttpRequest, *, timeout: Seconds, guard: Guard | None = None) -> NoReturn:
        raise ConnectionFailed(f"there is no server for {request.method} {request.path}", sent=False)

    async def aclose(self) -> None:
        pass


def declared(settings: Settings, generation: Generation) -> Manager:
    """The daemon for these flags. It is not to be run."""
    client = partial(Client, Nowhere())
    return assemble(settings, generation, client(), client(), election=elector(settings, generation, client))
