"""A collection, page by page, as the bytes of its objects.

A class rather than a generator: it may be left at any point, also inside a task group. Objects are copied out of the
page, so what a reader keeps does not keep the page.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Self

import msgspec
from attrs import define, field, frozen

from reconcile.kube import request as requests
from reconcile.kube.errors import BadAnswer, Gone
from reconcile.kube.objects import excerpt
from reconcile.kube.request import HttpRequest, HttpResponse
from reconcile.kube.resource import Resource


@frozen
class Page:
    """Part of a collection at ``resource_version``. ``items``: one JSON document an object.

    Objects in a list lack ``apiVersion`` and ``kind`` where the server keeps them with the list only.
    """

    items: list[bytes]
    resource_version: str
    continue_: str = ""
    """Leads to the next page; "" after the last."""
    remaining: int | None = None
    """How many objects follow, if the server said."""


class _ListMeta(msgspec.Struct, rename="camel", gc=False):
    resource_version: str = ""
    continue_: str | None = msgspec.field(default=None, name="continue")
    remaining_item_count: int | None = None


class _List(msgspec.Struct, gc=False):
    metadata: _ListMeta
    kind: str = ""
    items: list[msgspec.Raw] | None = None


_LIST = msgspec.json.Decoder(_List)


def read_page(body: bytes, about: str) -> Page:
    """Read an answer to a list.

    Raises:
        BadAnswer: not JSON, or no list; ``about`` names the resource.
    """
    try:
        read = _LIST.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadAnswer(f"no list of objects ({error})", about=about, excerpt=excerpt(body)) from error
    if read.items is None and not read.kind.endswith("List"):
        raise BadAnswer(f"no list of objects but {read.kind or 'something'}", about=about, excerpt=excerpt(body))
    meta = read.metadata
    items = [bytes(item) for item in read.items or ()]
    return Page(items, meta.resource_version, meta.continue_ or "", meta.remaining_item_count)


@define(eq=False)
class Pages:
    """The pages of one list, in order: ``async for page in client.pages(...)``.

    Raises:
        Gone: the server no longer has the version that the first page was read at. Start again.
    """

    resource: Resource[Any]
    _send: Callable[[HttpRequest], Awaitable[HttpResponse]]
    _namespace: str
    _options: dict[str, Any]
    _continue: str | None = field(default="", init=False)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Page:
        if self._continue is None:
            raise StopAsyncIteration
        options = self._options
        if self._continue:  # the token carries the version, and the server refuses to hear it twice
            options = {**options, "continue_": self._continue, "resource_version": "", "resource_version_match": ""}
        response = await self._send(requests.list_(self.resource, self._namespace, **options))
        page = read_page(response.body, self.resource.name)
        self._continue = page.continue_ or None
        return page

    async def all(self) -> tuple[list[bytes], str]:
        """The objects of all pages and the version they were read at.

        When the server forgets that version on the way, everything is read once more, in one page.
        """
        items: list[bytes] = []
        try:
            async for page in self:
                items += page.items
                version = page.resource_version
        except Gone:
            if not items:
                raise
            whole = Pages(self.resource, self._send, self._namespace, {**self._options, "limit": 0})
            return await whole.all()
        return items, version
