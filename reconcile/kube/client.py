"""The verbs of the API, typed.

What the server answers is read as the resource's class; what makes no sense is a ``BadAnswer``. How a request is sent,
tried again, paced and fenced is ``caller.py``'s business.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec
import orjson
from attrs import define, field, frozen

from reconcile.core.clock import Seconds, now
from reconcile.kube import discovery
from reconcile.kube import request as requests
from reconcile.kube.caller import Caller, ClientSettings, Observer
from reconcile.kube.discovery import Discovery, Kind
from reconcile.kube.errors import ApiError, BadAnswer
from reconcile.kube.objects import BadObject, ObjectKey, ObjectMeta, decode_meta, excerpt
from reconcile.kube.pages import Page, Pages
from reconcile.kube.patch import Patch
from reconcile.kube.request import HttpRequest, Propagation
from reconcile.kube.resource import Resource

__all__ = ["Client", "ClientSettings", "ObjectList", "Observer", "Page", "Version"]

T = TypeVar("T")


@frozen
class ObjectList(Generic[T]):
    """All objects of a collection as they were at ``resource_version``."""

    items: list[T]
    resource_version: str


@frozen
class Version:
    """Of a server. ``text`` is what it calls itself: ``v1.37.0``."""

    major: int
    minor: int
    text: str


@define(eq=False)
class Client(Caller):
    """One API server. Owns its transport: ``async with``, or ``aclose``.

    Every verb may raise any ``KubeError``. Of a resource with a class, answers are read as that class; a subresource of
    another kind (``scale``, ``eviction``, ``token``) needs an untyped resource.
    """

    _discovery: Discovery | None = field(default=None, init=False, repr=False)
    _discovered_at: Seconds = field(default=0.0, init=False)
    _discovering: asyncio.Lock = field(factory=asyncio.Lock, init=False, repr=False)

    # reading

    async def get(self, resource: Resource[T], key: ObjectKey, *, subresource: str = "") -> T:
        """One object as it is now."""
        response = await self.request(requests.get(resource, key, subresource=subresource))
        return _read(resource, response.body)

    async def list(
        self,
        resource: Resource[T],
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        limit: int | None = None,
        resource_version: str = "",
        resource_version_match: str = "",
    ) -> ObjectList[T]:
        """All objects of a collection, of all pages. ``limit`` is the size of a page."""
        pages = self.pages(
            resource,
            namespace=namespace,
            labels=labels,
            fields=fields,
            limit=limit,
            resource_version=resource_version,
            resource_version_match=resource_version_match,
        )
        raw, version = await pages.all()
        items: list[T] = []
        for number, one in enumerate(raw):
            items.append(_read(resource, one))
            if number % 100 == 99:
                await asyncio.sleep(0)  # a long list must not hold up the loop
        return ObjectList(items, version)

    def pages(
        self,
        resource: Resource[Any],
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        limit: int | None = None,
        resource_version: str = "",
        resource_version_match: str = "",
        metadata_only: bool = False,
    ) -> Pages:
        """A collection page by page, as bytes. ``limit`` is the size of a page, 0 asks for everything at once."""
        options = {
            "labels": labels,
            "fields": fields,
            "limit": self.settings.page_size if limit is None else limit,
            "resource_version": resource_version,
            "resource_version_match": resource_version_match,
            "metadata_only": metadata_only,
        }
        return Pages(resource, self.request, namespace, options)

    # writing

    async def create(
        self,
        resource: Resource[T],
        body: T | Mapping[str, Any],
        *,
        namespace: str = "",
        subresource: str = "",
        dry_run: bool = False,
        field_manager: str | None = None,
        field_validation: str = "",
    ) -> T:
        """Create an object; with ``subresource``, that of the object which the body names."""
        key = _key(body)
        request = requests.create(
            resource,
            resource.codec.dumps(body),
            namespace=namespace or key.namespace,
            name=key.name if subresource else "",
            subresource=subresource,
            dry_run=dry_run,
            field_manager=field_manager or self.field_manager,
            field_validation=field_validation,
        )
        return _read(resource, (await self.request(request)).body)

    async def update(
        self,
        resource: Resource[T],
        obj: T | Mapping[str, Any],
        *,
        subresource: str = "",
        dry_run: bool = False,
        field_manager: str | None = None,
        field_validation: str = "",
    ) -> T:
        """Replace an object. Fields that its class does not know stay as they were read."""
        request = requests.update(
            resource,
            _named(obj),
            resource.codec.document(obj),
            subresource=subresource,
            dry_run=dry_run,
            field_manager=field_manager or self.field_manager,
            field_validation=field_validation,
        )
        return _read(resource, (await self.request(request)).body)

    async def patch(
        self,
        resource: Resource[T],
        key: ObjectKey,
        patch: Patch,
        *,
        subresource: str = "",
        dry_run: bool = False,
        field_manager: str | None = None,
        field_validation: str = "",
    ) -> T:
        """Change part of an object."""
        request = requests.patch(
            resource,
            key,
            patch,
            subresource=subresource,
            dry_run=dry_run,
            field_manager=field_manager or self.field_manager,
            field_validation=field_validation,
        )
        return _read(resource, (await self.request(request)).body)

    async def apply(
        self,
        resource: Resource[T],
        body: T | Mapping[str, Any],
        *,
        subresource: str = "",
        force: bool = True,
        dry_run: bool = False,
        field_manager: str | None = None,
        field_validation: str = "",
    ) -> T:
        """Server-side apply: the body is all that this field manager wants of the object it names."""
        request = requests.apply(
            resource,
            _named(body),
            resource.codec.dumps(body),
            field_manager=field_manager or self.field_manager,
            force=force,
            subresource=subresource,
            dry_run=dry_run,
            field_validation=field_validation,
        )
        return _read(resource, (await self.request(request)).body)

    async def delete(
        self,
        resource: Resource[T],
        key: ObjectKey,
        *,
        uid: str = "",
        resource_version: str = "",
        propagation: Propagation | None = None,
        grace_period_seconds: int | None = None,
        dry_run: bool = False,
    ) -> T | None:
        """Delete an object. What is left of it while finalizers or a grace period hold it; None if it is gone."""
        request = requests.delete(
            resource,
            key,
            uid=uid,
            resource_version=resource_version,
            propagation=propagation,
            grace_period_seconds=grace_period_seconds,
            dry_run=dry_run,
        )
        body = (await self.request(request)).body
        return None if is_gone(resource, body) else _read(resource, body)

    async def delete_collection(
        self,
        resource: Resource[Any],
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        propagation: Propagation | None = None,
        grace_period_seconds: int | None = None,
        dry_run: bool = False,
    ) -> None:
        """Delete whatever the selectors choose, one by one on the server: not atomic."""
        request = requests.delete_collection(
            resource,
            namespace,
            labels=labels,
            fields=fields,
            propagation=propagation,
            grace_period_seconds=grace_period_seconds,
            dry_run=dry_run,
        )
        await self.request(request)

    # what the server has

    async def discover(self, *, fresh: bool = False) -> Discovery:
        """Its kinds: as it told the first time, unless ``fresh``."""
        async with self._discovering:
            if self._discovery is None or fresh:
                self._discovery = await self._discovered()
                self._discovered_at = now()
            return self._discovery

    async def find(self, group: str, kind: str, version: str = "") -> Kind | None:
        """One kind. When it is not known the server is asked again, but not too often: it may be new."""
        known = await self.discover()
        found = known.find(group, kind, version)
        if found is None and now() - self._discovered_at >= self.settings.discovery_interval:
            found = (await self.discover(fresh=True)).find(group, kind, version)
        return found

    async def version(self) -> Version:
        """Of the server."""
        document = await self._document("/version")
        text = document.get("gitVersion")
        return Version(_number(document.get("major")), _number(document.get("minor")), str(text or ""))

    async def _discovered(self) -> Discovery:
        documents = [await self._document(path, accept=discovery.ACCEPT) for path in ("/api", "/apis")]
        if all(map(discovery.is_aggregated, documents)):
            return discovery.aggregated(documents)
        listed, missing = [], []
        for path in (path for document in documents for path in discovery.versions_of(document)):
            try:
                listed.append(await self._document(path))
            except ApiError:  # its own server may be down; the other groups are there all the same
                missing.append(path.removeprefix("/apis/").removeprefix("/api/"))
        return discovery.listed(listed, missing)

    async def _document(self, path: str, *, accept: str = requests.JSON) -> Mapping[str, Any]:
        response = await self.request(HttpRequest("GET", path, (), {"accept": accept}))
        try:
            document = orjson.loads(response.body)
        except orjson.JSONDecodeError as error:
            raise BadAnswer(f"not JSON ({error})", about=path, excerpt=excerpt(response.body)) from error
        if not isinstance(document, Mapping):
            raise BadAnswer("not a JSON object", about=path, excerpt=excerpt(response.body))
        return document


class _Kind(msgspec.Struct):
    kind: str = ""


_KIND = msgspec.json.Decoder(_Kind)


def is_gone(resource: Resource[Any], answer: bytes) -> bool:
    """Whether nothing is left of an object, by the answer to its deletion.

    Raises:
        BadAnswer: it makes no sense.
    """
    try:
        return _KIND.decode(answer).kind == "Status" or not decode_meta(answer).is_deleting
    except (msgspec.DecodeError, UnicodeDecodeError, BadObject) as error:
        raise BadAnswer(str(error), about=resource.name) from error


def _read(resource: Resource[T], raw: bytes) -> T:
    try:
        return resource.codec.decode(raw)
    except BadObject as error:
        raise BadAnswer(str(error), about=resource.name) from error


def _key(body: object) -> ObjectKey:
    """Which object a body is about."""
    meta = getattr(body, "metadata", None)
    if isinstance(meta, ObjectMeta):
        return meta.key
    meta = body.get("metadata") if isinstance(body, Mapping) else None
    meta = meta if isinstance(meta, Mapping) else {}
    return ObjectKey(meta.get("namespace") or "", meta.get("name") or "")


def _named(body: object) -> ObjectKey:
    key = _key(body)
    if not key.name:
        raise ValueError("a body without metadata.name")
    return key


def _number(text: object) -> int:
    """Of a version: "28+" is 28."""
    digits = "".join(char for char in str(text) if char.isdecimal())
    return int(digits) if digits else 0
