"""Credentials out of a store that others write: read at start, and again when a server refuses them.

The store may change them, not the server: who was refused and finds another server there keeps what it had.
"""

import logging

from attrs import define, field

from reconcile.core.clock import Seconds, now
from reconcile.kube import login
from reconcile.kube.access import ClusterAccess, access
from reconcile.kube.certificates.stores import Store
from reconcile.kube.credentials import CredentialSettings, Grant, RenewedCredentials
from reconcile.kube.kubeconfig import LoginError

log = logging.getLogger(__name__)


@define(eq=False)
class KeptCredentials:
    """``Credentials`` from the kubeconfig in a store."""

    store: Store
    access: ClusterAccess
    settings: CredentialSettings = field(factory=CredentialSettings)
    _inner: RenewedCredentials = field(init=False)
    _text: bytes | None = field(default=None, init=False, repr=False)
    _look_at: Seconds = field(default=0.0, init=False)

    @_inner.default
    def _first(self) -> RenewedCredentials:
        return RenewedCredentials(self.access, self.settings)

    @classmethod
    async def load(cls, store: Store) -> "KeptCredentials":
        """Read the store.

        Raises:
            LoginError: it cannot be read, is empty, or holds no kubeconfig that can be used.
        """
        text = await store.read()
        if not text:
            remedy = "put one there, under the key 'kubeconfig' if it is a Secret"
            raise LoginError("there is no kubeconfig", where=str(store.path), remedy=remedy)
        kept = cls(store, access(login.parse(text, store.path)))
        kept._text = text
        return kept

    async def grant(self) -> Grant:
        return await self._inner.grant()

    async def renew(self, refused: Grant) -> Grant | None:
        other = await self._inner.renew(refused)
        if other is not None or now() < self._look_at:
            return other
        self._look_at = now() + self.settings.check_interval
        try:
            text = await self.store.read()
            if text is None or text == self._text:
                return None
            found = access(login.parse(text, self.store.path))
            if found.server != self.access.server:
                problem = f"it is for another server now: {found.server}"
                raise LoginError(problem, where=str(self.store.path), remedy="restart to follow it")
            inner = RenewedCredentials(found, self.settings)
            grant = await inner.grant()
        except LoginError as error:
            log.warning("credentials could not be renewed, the old ones stay in use: %s", error)
            return None
        self._text, self._inner = text, inner
        return grant
