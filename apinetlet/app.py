"""The daemon put together: the only module that knows all parts.

``assemble`` makes a ``Manager`` out of two clients and the settings; tests and the demo call it with clients of embedded
servers. ``main`` finds the two servers as the command line says, and runs it as a process.
"""

import logging
import random
from pathlib import Path

import anyio

from apinetlet.api import GENERATIONS, IRONCORE, ONMETAL, Generation, Kinds
from apinetlet.controllers.bridge import ORIGIN, Bridge
from apinetlet.controllers.network import network_controller
from apinetlet.origin import Origins
from apinetlet.predicates import Eligibility
from apinetlet.settings import AUTO, Settings
from reconcile import (
    Client,
    Cluster,
    ControllerSettings,
    EventRecorder,
    Index,
    KubeError,
    Manager,
    Watched,
)
from reconcile.core import Backoff

log = logging.getLogger(__name__)

SOURCE, APINET = "source", "apinet"
"""The names of the two clusters in logs, metrics and keys."""


def assemble(
    settings: Settings, generation: Generation, source: Client, apinet: Client, *, rng: random.Random | None = None
) -> Manager:
    """The whole daemon between two API servers. Nothing runs before the manager is entered."""
    rng = rng or random.Random()
    kinds = Kinds.of(generation)
    source_cluster = Cluster(
        SOURCE,
        source,
        [Watched(kinds.network, namespaces=(settings.namespace,) if settings.namespace else ())],
        rng=rng,
    )
    apinet_cluster = Cluster(
        APINET,
        apinet,
        [
            Watched(
                kinds.apinet_network,
                namespaces=(settings.api_net_namespace,),
                indexes=(Index(ORIGIN, Origins(generation, "Network").keys, needs="meta"),),
            )
        ],
        rng=rng,
    )
    events = EventRecorder(source, "apinetlet", resources=(kinds.network,))
    bridge = Bridge(
        source_cluster,
        apinet_cluster,
        generation,
        kinds,
        settings.api_net_namespace,
        Eligibility(generation, settings.watch_filter, settings.namespace),
        events,
        settings.deletion_poll,
    )
    work = ControllerSettings(
        workers=settings.workers,
        deadline=settings.reconcile_deadline,
        resync=settings.resync or None,
        backoff=Backoff(cap=settings.backoff_cap),
    )
    return Manager(
        [source_cluster, apinet_cluster],
        [network_controller(bridge, work, rng=rng)],
        services=[events],
    )
