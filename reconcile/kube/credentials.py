"""What proves to an API server who we are, kept current while the process runs.

For each request ``Credentials`` answer with a ``Grant``: the headers and the TLS context that are good now. Files are
looked at again every few seconds and read when they changed; a plugin runs again shortly before what it gave expires,
or when a server refused it. What cannot be renewed stays in use: a half-written file must not stop a controller.
Streams that are open keep the credentials they were opened with, until the time limit that every watch asks for.
"""

import asyncio
import base64
import datetime as dt
import logging
import os
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol, TypeAlias
from urllib.parse import quote
from weakref import WeakKeyDictionary

import anyio.to_thread
from attrs import define, field, frozen

from reconcile.core.clock import Seconds, now, utc
from reconcile.kube import exec_plugin, tls
from reconcile.kube.access import ClusterAccess
from reconcile.kube.exec_plugin import PluginLogin
from reconcile.kube.kubeconfig import LoginError

log = logging.getLogger(__name__)
Stamp: TypeAlias = tuple[int, int, int] | None
"""When a file was changed, its size and its number; None: not there."""


@frozen
class Grant:
    """What one request carries. ``tls`` is None for a server without TLS; another context means other connections."""

    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    tls: ssl.SSLContext | None = None


class Credentials(Protocol):
    """The way in to one API server."""

    access: ClusterAccess

    async def grant(self) -> Grant:
        """What is good now; mostly without a wait. Raises LoginError if there never was anything, or it is over."""
        ...

    async def renew(self, refused: Grant) -> Grant | None:
        """A server answered 401 to ``refused``: something else, if there is something else, for one more try."""
        ...


@frozen
class CredentialSettings:
    check_interval: Seconds = 10.0
    """How long a changed file may go unnoticed."""
    plugin_timeout: Seconds = 60.0
    expiry_margin: Seconds = 60.0
    """What expires is renewed this long before; a tenth of its life if that is less."""


@define(eq=False)
class RenewedCredentials:
    """``Credentials`` from an access: static, from files that others rotate, or from a plugin.

    A failure is told once in the log, and as a LoginError to those who have nothing else; it is looked into again after
    the check interval, so that a broken plugin is not run for every request. May be shared by transports of any loop.
    """

    access: ClusterAccess
    settings: CredentialSettings = CredentialSettings()
    environment: Mapping[str, str] = field(factory=lambda: os.environ, repr=False)
    _grant: Grant | None = field(default=None, init=False)
    _material: tls.Material | None = field(default=None, init=False)
    _stamps: Mapping[Path, Stamp] = field(factory=dict, init=False)
    _login: PluginLogin | None = field(default=None, init=False)
    _run_at: dt.datetime | None = field(default=None, init=False)
    _look_at: Seconds = field(default=0.0, init=False)
    _force_at: Seconds = field(default=0.0, init=False)
    _complaint: LoginError | None = field(default=None, init=False)
    _locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = field(
        factory=WeakKeyDictionary, init=False, repr=False
    )

    async def grant(self) -> Grant:
        # who has something to show does not wait for another's look
        if now() >= self._look_at and (self._grant is None or not self._looking().locked()):
            async with self._looking():
                if now() >= self._look_at:
                    await self._look(forced=False)
        if self._grant is None or (self._complaint is not None and self._is_over()):
            complaint = self._complaint
            assert complaint is not None
            raise LoginError(complaint.problem, where=complaint.where, remedy=complaint.remedy) from complaint
        return self._grant

    async def renew(self, refused: Grant) -> Grant | None:
        async with self._looking():
            if self._grant is refused and now() >= self._force_at:
                await self._look(forced=True)
                self._force_at = now() + self.settings.check_interval
        return self._grant if self._grant is not refused else None

    def _looking(self) -> asyncio.Lock:
        """One at a time in each loop: a lease is often renewed from a loop of its own, with the same credentials."""
        return self._locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())

    async def _look(self, *, forced: bool) -> None:
        try:
            await self._update(utc(), forced=forced)
            self._complaint = None
        except LoginError as error:
            if self._grant is not None and str(error) != str(self._complaint):
                log.warning("credentials could not be renewed, the old ones stay in use: %s", error)
            self._complaint = error
        self._look_at = now() + self.settings.check_interval

    async def _update(self, moment: dt.datetime, *, forced: bool) -> None:
        access, login = self.access, self._login
        stamps = {path: _stamp(path) for path in _files(access)}
        if _asks_plugin(access) and (forced or login is None or (self._run_at is not None and moment >= self._run_at)):
            login = await self._run_plugin()
        if not forced and self._grant is not None and login is self._login and stamps == self._stamps:
            return
        self._grant, self._material = await anyio.to_thread.run_sync(self._read, login or PluginLogin(), moment)
        if login is not self._login and login is not None:
            self._run_at = self._renewal(login, moment)
        self._stamps, self._login = stamps, login

    async def _run_plugin(self) -> PluginLogin:
        assert self.access.plugin is not None
        ca = (await anyio.to_thread.run_sync(tls.read, self.access)).ca if self.access.ca is not None else None
        timeout = self.settings.plugin_timeout
        return await exec_plugin.run(
            self.access.plugin, self.access, ca=ca, environment=self.environment, timeout=timeout
        )

    def _renewal(self, login: PluginLogin, moment: dt.datetime) -> dt.datetime | None:
        if login.expires is None:
            return None
        life = max(login.expires - moment, dt.timedelta(0))
        return login.expires - min(dt.timedelta(seconds=self.settings.expiry_margin), life / 10)

    def _read(self, login: PluginLogin, moment: dt.datetime) -> tuple[Grant, tls.Material]:
        """In a thread: reads files and makes contexts. What did not change stays the same object."""
        access, old = self.access, self._grant
        material = tls.read(access, certificate=login.certificate, key=login.key)
        if not access.server.startswith("https:"):
            context = None
        elif old is not None and material == self._material:
            context = old.tls
        else:
            context = tls.context(material, access, moment)
        grant = Grant(tuple(_headers(access, read_token(access) or login.token)), context)
        return old if old is not None and old == grant else grant, material

    def _is_over(self) -> bool:
        return self._login is not None and self._login.expires is not None and self._login.expires <= utc()


def read_token(access: ClusterAccess) -> str:
    """The token of an access, read from its file if it has one; "" for none.

    Raises:
        LoginError: the file is missing, unreadable or empty, and there is no other token.
    """
    if access.token_file is None:
        return access.token
    problem = "is empty"
    try:
        if token := access.token_file.read_text().strip():
            return token
    except (OSError, ValueError) as error:
        problem = f"cannot be read: {getattr(error, 'strerror', None) or 'it is not text'}"
    if access.token:
        return access.token
    raise LoginError(f"token file {access.token_file} {problem}", where=access.origin, remedy="correct or renew it")


def _asks_plugin(access: ClusterAccess) -> bool:
    return access.plugin is not None and not (access.token or access.token_file or access.username)


def _headers(access: ClusterAccess, token: str) -> Iterator[tuple[str, str]]:
    if token:
        yield "authorization", _sendable(f"Bearer {token}", "the token", access)
    elif access.username:
        pair = f"{access.username}:{access.password}".encode()
        yield "authorization", "Basic " + base64.b64encode(pair).decode()
    if (other := access.impersonation) is not None:
        yield "impersonate-user", _sendable(other.user, "user.as", access)
        if other.uid:
            yield "impersonate-uid", _sendable(other.uid, "user.as-uid", access)
        for group in other.groups:
            yield "impersonate-group", _sendable(group, "user.as-groups", access)
        for key, values in other.extra.items():
            name = "impersonate-extra-" + quote(key.lower(), safe="!#$&'*+^`|")
            for value in values:
                yield name, _sendable(value, "user.as-user-extra", access)


def _sendable(text: str, name: str, access: ClusterAccess) -> str:
    if not (text.isascii() and text.isprintable()):
        problem = f"{name} holds a character that no HTTP header can carry"
        raise LoginError(problem, where=access.origin, remedy="look for a line break or a letter beyond ASCII")
    return text


def _files(access: ClusterAccess) -> Iterator[Path]:
    for source in (access.token_file, access.ca, access.certificate, access.key):
        if isinstance(source, Path):
            yield source


def _stamp(path: Path) -> Stamp:
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_size, seen.st_ino
