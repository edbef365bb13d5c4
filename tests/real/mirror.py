"""A controller for tests on real servers: each ConfigMap of one namespace has a mirror in another, derived from it.

Small, and yet it does all that a controller does: reads its own writes from the store, applies, deletes what is left
over. ``is_idle`` tells when nothing is left to do, and ``differences`` whether that is true.
"""

from collections.abc import Mapping
from typing import Any

from attrs import define, field, frozen

from reconcile import (
    Client,
    Cluster,
    Controller,
    ControllerSettings,
    Manager,
    ManagerSettings,
    Object,
    ObjectKey,
    Request,
    Watched,
    Watches,
    enqueue_by,
)
from reconcile.cache.cluster import ClusterSettings
from reconcile.cache.informer import InformerSettings
from reconcile.cache.steps import ReflectorSettings, State
from reconcile.core import Backoff
from reconcile.kube.kinds import CONFIG_MAP

QUICK = Backoff(base=0.2, factor=2.0, cap=1.0)
"""So that a test does not wait long for what a program may wait for."""
IMPATIENT = ClusterSettings(informer=InformerSettings(reflector=ReflectorSettings(backoff=QUICK)))


@frozen
class Mirrors:
    """The reconciler."""

    cluster: Cluster
    sources: str
    mirrors: str

    async def reconcile(self, request: Request) -> None:
        store = self.cluster.store(CONFIG_MAP)
        source, mirror = (store.get(ObjectKey(where, request.name)) for where in (self.sources, self.mirrors))
        if source is not None:
            metadata = {"namespace": self.mirrors, "name": request.name}
            data = derived(source.at("data", default={}))
            await self.cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
        elif mirror is not None:
            await self.cluster.delete(mirror)


@define(eq=False)
class Mirroring:
    """All parts of the program around one ``Client``; run ``manager``."""

    client: Client
    sources: str
    mirrors: str
    cluster: Cluster = field(init=False)
    controller: Controller = field(init=False)
    manager: Manager = field(init=False)

    def __attrs_post_init__(self) -> None:
        places = self.sources, self.mirrors
        self.cluster = Cluster("home", self.client, [Watched(CONFIG_MAP, namespaces=places)], settings=IMPATIENT)
        self.controller = Controller(
            "mirrors",
            Mirrors(self.cluster, *places),
            sources=[Watches(self.cluster, CONFIG_MAP, enqueue_by(self._source_of))],
            settings=ControllerSettings(backoff=Backoff(cap=2.0)),
        )
        self.manager = Manager([self.cluster], [self.controller], settings=ManagerSettings(preflight="off"))

    @property
    def is_idle(self) -> bool:
        """Whether its copy is live, nothing is in work, and nothing is going to be tried again."""
        now = self.controller.snapshot()
        is_live = self.cluster.informer(CONFIG_MAP).state is State.LIVE
        return is_live and not (now.running or now.failing or now.queue.keys)

    def _source_of(self, changed: Object) -> list[Request]:
        return [Request(self.cluster.name, self.sources, changed.metadata.name)]


def derived(data: Mapping[str, str]) -> dict[str, str]:
    """What the mirror of ``data`` has to say."""
    return {name: value[::-1] for name, value in data.items()}


async def differences(client: Client, sources: str, mirrors: str) -> list[str]:
    """The names for which the mirrors are not what they should be, as the server says now."""

    async def contents(namespace: str) -> dict[str, Any]:
        items = (await client.list(CONFIG_MAP, namespace=namespace)).items
        return {one.metadata.name: dict(one.at("data", default={})) for one in items if one.metadata.name != _NOT_OURS}

    wanted = {name: derived(data) for name, data in (await contents(sources)).items()}
    found = await contents(mirrors)
    return sorted(name for name in wanted | found if wanted.get(name) != found.get(name))


_NOT_OURS = "kube-root-ca.crt"
"""kube-controller-manager puts it everywhere, where it runs with that controller."""
