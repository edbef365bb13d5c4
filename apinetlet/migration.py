"""Moves the origin of api-net objects to where the generation records it now.

Releases of the Go daemon for ``ironcore`` up to 0.3 wrote all three values as labels; since then the name is an
annotation. What still stands as it was is moved once, before anything is reconciled: an object whose origin nobody can
read is nobody's. It is told from the local copies, so a start with nothing to move asks for nothing.
"""

import logging
from collections.abc import Mapping
from typing import Any

import anyio
from anyio.abc import TaskStatus
from attrs import frozen

from apinetlet.api import Generation
from apinetlet.origin import Origins
from reconcile import Cluster, Conflict, KubeError, NotFound, ObjectKey, Resource, Seconds
from reconcile.kube.errors import is_retryable

log = logging.getLogger(__name__)

PAUSE: Seconds = 1.0
"""Between two tries of what may pass."""


@frozen
class Migration:
    """A service of the leader: started once every object is moved, and idle then.

    An outage is waited out. What the server refuses is raised, for nothing can be reconciled on half of it.
    """

    cluster: Cluster
    """The api-net cluster."""
    generation: Generation
    targets: Mapping[Resource[Any], str]
    """The kinds of its objects, and of the sources that each was made for."""
    name: str = "migration"

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        for resource, kind in self.targets.items():
            origins = Origins(self.generation, kind)
            former = [one.key for one in self.cluster.store(resource).entries() if origins.moved(one.meta)]
            for key in former:
                await self._move(resource, origins, key)
            if former:
                log.info("Moved the origin of api-net objects kind=%s number=%d", resource.kind, len(former))
        task_status.started()
        await anyio.sleep_forever()

    async def _move(self, resource: Resource[Any], origins: Origins, key: ObjectKey) -> None:
        while (found := self.cluster.store(resource).get(key)) is not None:
            try:
                await self.cluster.patch(found, origins.moved(found.metadata))
            except NotFound:
                pass  # nothing to move any more
            except KubeError as error:
                # a conflict is another object of the name: the local copy will show it
                if not isinstance(error, Conflict) and not is_retryable(error, idempotent=True):
                    raise
                log.warning("Could not move the origin of an api-net object yet key=%s error=%s", key, error)
                await anyio.sleep(PAUSE)
                continue
            return
