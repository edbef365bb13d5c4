"""Both servers of the demo on ports of this machine, with a kubeconfig for each.

Only the loopback address listens, without TLS: whoever is on this machine may look, and change things.
"""

import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from attrs import frozen

from apinetlet.demo.world import World
from reconcile.testing.apiserver import kubeconfig
from reconcile.testing.apiserver.http import listening
from reconcile.testing.apiserver.kubeconfig import Login


@frozen
class Ports:
    """Where the two kubeconfigs lie."""

    source: Path
    apinet: Path


@asynccontextmanager
async def served(world: World, port: int) -> AsyncIterator[Ports | None]:
    """Serve the source cluster on ``port`` and the api-net cluster on the next one; 0: neither, and ``None``.

    Raises:
        CannotListen: a port cannot be had.
    """
    if not port:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="apinetlet-demo-") as folder:
        ports = Ports(Path(folder) / "source", Path(folder) / "apinet")
        async with listening(world.source, port=port) as source, listening(world.apinet, port=port + 1) as apinet:
            for path, endpoint in ((ports.source, source), (ports.apinet, apinet)):
                path.write_text(json.dumps(kubeconfig.document(endpoint.url, Login())))
            yield ports
