"""Where a renewed kubeconfig is kept between two runs: a file, or a Secret.

A write is whole or did not happen: a crash at any moment leaves the former text or the new one. Texts hold private
keys: no error and no log has any of them, and a file is never readable by others, not even for a moment.
"""

import base64
import binascii
import logging
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

import anyio.to_thread
import orjson
from attrs import field, frozen

from reconcile.kube import kinds
from reconcile.kube import request as http
from reconcile.kube.client import Client
from reconcile.kube.errors import BadAnswer, KubeError, NotFound
from reconcile.kube.kubeconfig import LoginError
from reconcile.kube.objects import ObjectKey

log = logging.getLogger(__name__)

SECRET_KEY: Final = "kubeconfig"  # noqa: S105 (the name of a key, not a key)


class Store(Protocol):
    """One place for one text."""

    @property
    def path(self) -> Path:
        """What messages call it; relative names in the text start at its folder."""
        ...

    async def read(self) -> bytes | None:
        """What is there; None if nothing is. Raises LoginError: it cannot be read."""
        ...

    async def check(self) -> None:
        """Find out whether it could be written. Raises LoginError: it could not."""
        ...

    async def write(self, text: bytes) -> None:
        """Replace what is there. Raises LoginError: it could not be done, and what was there still is."""
        ...


@frozen
class FileStore:
    """A file of mode 0600, replaced as a whole. A symbolic link stays, and what it points to is replaced."""

    path: Path

    async def read(self) -> bytes | None:
        try:
            return await anyio.to_thread.run_sync(self._read)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._error("read", error) from error

    async def check(self) -> None:
        await anyio.to_thread.run_sync(self._attempt, None)

    async def write(self, text: bytes) -> None:
        await anyio.to_thread.run_sync(self._attempt, text)

    def _read(self) -> bytes:
        _see_that_it_is_a_file(self.path)
        with self.path.open("rb") as file:
            text, mode = file.read(), os.fstat(file.fileno()).st_mode & 0o777
        if text and mode & 0o004:  # put there by somebody else: what we write is for nobody but us
            log.warning("everybody may read a private key, so chmod 600 it: file=%s mode=%s", self.path, f"{mode:o}")
        return text

    def _attempt(self, text: bytes | None) -> None:
        try:
            self._replace(text)
        except OSError as error:
            raise self._error("written", error) from error

    def _replace(self, text: bytes | None) -> None:
        """Write beside it, then take its place; without a text only see whether the first is possible."""
        place = Path(os.path.realpath(self.path))
        _see_that_it_is_a_file(place)
        if text is None:
            self._sweep(place)
        number, beside = tempfile.mkstemp(prefix=f".{place.name}.", suffix=".new", dir=place.parent)  # mode 0600
        try:
            with os.fdopen(number, "wb") as file:
                if text is None:
                    return
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, place)
            folder = os.open(place.parent, os.O_RDONLY)  # the new name has to outlive a loss of power, too
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(beside)

    def _sweep(self, place: Path) -> None:
        """Take away what a run that was killed in the middle of a write has left."""
        for left in place.parent.glob(f".{place.name}.*.new"):
            with suppress(OSError):
                left.unlink()

    def _error(self, what: str, error: OSError) -> LoginError:
        problem = f"the kubeconfig store cannot be {what}: {error.strerror or error}"
        return LoginError(problem, where=str(self.path), remedy="correct the path, or the rights of its folder")


def _see_that_it_is_a_file(place: Path) -> None:
    """Nobody could read a pipe twice, and a device must not be replaced. Nothing at all is as good as a file."""
    if place.is_dir():
        raise IsADirectoryError(0, "it is a folder")
    if place.exists() and not place.is_file():
        raise OSError(0, "it is no file")


@frozen
class SecretStore:
    """One key of a Secret, applied under the client's field manager: other keys are left to others."""

    client: Client = field(repr=False)
    key: ObjectKey

    @property
    def path(self) -> Path:
        return Path(f"Secret {self.key.namespace}/{self.key.name}") / SECRET_KEY

    async def read(self) -> bytes | None:
        try:
            answer = await self.client.request(http.get(kinds.SECRET, self.key))
        except NotFound:
            return None
        except KubeError as error:
            raise self._error("read", error) from None
        try:
            text = (orjson.loads(answer.body).get("data") or {}).get(SECRET_KEY)
            return base64.b64decode(text, validate=True) if text else None
        except (orjson.JSONDecodeError, binascii.Error, ValueError, AttributeError, TypeError):
            raise self._error("read", None) from None

    async def check(self) -> None:
        await self._apply({}, dry_run=True)

    async def write(self, text: bytes) -> None:
        await self._apply({SECRET_KEY: base64.b64encode(text).decode()}, dry_run=False)

    async def _apply(self, data: dict[str, str], *, dry_run: bool) -> None:
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"namespace": self.key.namespace, "name": self.key.name},
            "data": data,
        }
        try:
            await self.client.apply(kinds.SECRET, body, dry_run=dry_run)
        except KubeError as error:
            raise self._error("written", error) from None

    def _error(self, what: str, error: KubeError | None) -> LoginError:
        # an answer that makes no sense is quoted by its error, and may hold what is secret
        why = "an answer that makes no sense" if error is None or isinstance(error, BadAnswer) else str(error)
        problem = f"the kubeconfig store cannot be {what}: {why}"
        remedy = f"look at the rights on Secrets in namespace {self.key.namespace}"
        return LoginError(problem, where=str(self.path), remedy=remedy)
