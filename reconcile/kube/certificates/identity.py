"""What requests show while certificates come and go: the one that is good now.

A new certificate means a new TLS context, and with it new connections; what is under way on old ones goes on, so a
watch loses nothing and shows the new one when it is opened again. Whoever renews is told when a server refuses it.
"""

import asyncio
import datetime as dt
from collections.abc import Callable

import anyio.to_thread
from attrs import define, evolve, field

from reconcile.core.clock import utc
from reconcile.kube import tls
from reconcile.kube.access import ClusterAccess
from reconcile.kube.certificates import pairs
from reconcile.kube.certificates.pairs import Pair
from reconcile.kube.credentials import Grant
from reconcile.kube.kubeconfig import LoginError


@define(eq=False)
class Identity:
    """``Credentials`` whose certificate is put in from outside. May be shared by transports of any loop."""

    access: ClusterAccess
    """The server, and what to trust; without a way to log in."""
    pair: Pair | None = field(default=None, init=False)
    ends: dt.datetime | None = field(default=None, init=False)
    was_refused: bool = field(default=False, init=False)
    """Whether a server answered 401 to the certificate that is good now."""
    ca: bytes | None = field(default=None, init=False)
    """What was trusted when the certificate was put in."""
    on_refused: Callable[[], object] | None = field(default=None, init=False)
    """Called in the loop of whoever was refused."""
    _grant: Grant | None = field(default=None, init=False)

    async def show(self, pair: Pair, reached: ClusterAccess | None = None) -> None:
        """Use this certificate from the next request on; ``reached`` replaces what leads to the server.

        Raises:
            LoginError: it cannot be used; the former one stays.
        """
        reached = self.access if reached is None else reached
        ends = pairs.validity(pair.certificate).ends
        grant, ca = await anyio.to_thread.run_sync(_granted, reached, pair, utc())
        self.access, self.pair, self.ends, self.ca = reached, pair, ends, ca
        self._grant, self.was_refused = grant, False

    def is_good(self, at: dt.datetime) -> bool:
        """Whether there is a certificate, and it has not expired."""
        return self.ends is not None and at < self.ends

    async def grant(self) -> Grant:
        if self._grant is None:
            remedy = "it is requested; look at the log"
            raise LoginError("there is no client certificate yet", where=self.access.origin, remedy=remedy)
        return self._grant

    async def renew(self, refused: Grant) -> Grant | None:
        await asyncio.sleep(0)  # no step is made: who tries again and again at once must not keep the loop
        if self._grant is not refused:
            return self._grant
        if not self.was_refused:
            self.was_refused = True
            if self.on_refused is not None:
                self.on_refused()
        return None


def _granted(reached: ClusterAccess, pair: Pair, at: dt.datetime) -> tuple[Grant, bytes | None]:
    """In a thread: reads the authority's file, and makes a context."""
    shown = evolve(reached, certificate=pair.certificate, key=pair.key)
    material = tls.read(shown)
    context = tls.context(material, shown, at) if shown.server.startswith("https:") else None
    return Grant((), context), material.ca
