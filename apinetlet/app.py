"""The daemon put together: the only module that knows all parts.

``assemble`` makes a ``Manager`` out of two clients and the settings; tests and the demo call it with clients of
embedded servers. ``main`` finds the two servers as the command line says, and runs it as a process.
"""

import asyncio
import logging
import os
import random
import socket
import uuid
from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anyio

from apinetlet.api import GENERATIONS, IRONCORE, ONMETAL, Generation, Kinds
from apinetlet.brake import Brake, Count, Limits
from apinetlet.controllers.bridge import Bridge, by_origin, by_uid
from apinetlet.controllers.guarded import missing_kinds
from apinetlet.controllers.loadbalancer import by_prefix, load_balancer_controller
from apinetlet.controllers.natgateway import nat_gateway_controller
from apinetlet.controllers.network import network_controller
from apinetlet.controllers.networkinterface import by_wants, network_interface_controller
from apinetlet.controllers.reference import by_network
from apinetlet.controllers.virtualip import by_target, virtual_ip_controller
from apinetlet.migration import Migration
from apinetlet.predicates import Eligibility
from apinetlet.settings import AUTO, OFF, Settings
from apinetlet.standings import show
from apinetlet.translate.natgateway import Scale
from reconcile import (
    Client,
    Cluster,
    ControllerSettings,
    EventRecorder,
    KubeError,
    LeaderElection,
    LeaderElector,
    Manager,
    ManagerSettings,
    Resource,
    Seconds,
    Watched,
    Writes,
    connect,
)
from reconcile.core import Backoff, ServiceStuck
from reconcile.core.clock import now
from reconcile.core.stacks import task_line
from reconcile.kube.client import ClientSettings
from reconcile.kube.kinds import EVENT
from reconcile.manager.manager import PartEnded
from reconcile.manager.web import Certificate

log = logging.getLogger(__name__)

SOURCE, APINET = "source", "apinet"
"""The names of the two clusters in logs, metrics and keys."""
USER_AGENT = "apinetlet"
LAST_WORDS: Seconds = 1.0
"""For tasks that are left at the very end."""
NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def assemble(
    settings: Settings,
    generation: Generation,
    source: Client,
    apinet: Client,
    *,
    election: LeaderElector | None = None,
    manager: ManagerSettings = ManagerSettings(preflight="off"),  # noqa: B008 - frozen
    rng: random.Random | None = None,
) -> Manager:
    """The whole daemon between two API servers. Nothing runs before the manager is entered."""
    rng = rng or random.Random()
    kinds = Kinds.of(generation)
    # a server that lacks a kind is no reason to serve none
    here = partial(Watched, namespaces=(settings.namespace,) if settings.namespace else (), optional=True)
    there = partial(Watched, namespaces=(settings.api_net_namespace,), optional=True)
    source_cluster = Cluster(
        SOURCE,
        source,
        [
            here(kinds.network, indexes=(by_uid(),)),
            here(kinds.prefix, keep=("spec.ipFamily", "spec.prefix", "status.phase")),
            here(kinds.load_balancer, indexes=(by_uid(), by_network(), by_prefix())),
            here(kinds.load_balancer_routing),
            here(kinds.nat_gateway, indexes=(by_uid(), by_network())),
            here(kinds.virtual_ip, indexes=(by_uid(), by_target())),
            here(kinds.network_interface, indexes=by_wants(generation, settings.api_net_namespace)),
        ],
        rng=rng,
    )
    counterparts: dict[Resource[Any], Resource[Any]] = {
        kinds.network: kinds.apinet_network,
        kinds.load_balancer: kinds.apinet_load_balancer,
        kinds.nat_gateway: kinds.apinet_nat_gateway,
        kinds.virtual_ip: kinds.apinet_ip,
        kinds.network_interface: kinds.apinet_network_interface,
    }
    targets: dict[Resource[Any], str] = {
        kinds.apinet_network: "Network",
        kinds.apinet_load_balancer: "LoadBalancer",
        kinds.apinet_load_balancer_routing: "LoadBalancer",
        kinds.apinet_nat_gateway: "NATGateway",
        kinds.apinet_nat_gateway_autoscaler: "NATGateway",
        kinds.apinet_ip: "VirtualIP",
    }
    apinet_cluster = Cluster(
        APINET,
        apinet,
        [
            *(there(one, indexes=(by_origin(generation, kind),)) for one, kind in targets.items()),
            there(kinds.apinet_network_interface, indexes=(by_origin(generation, "NetworkInterface"), by_uid())),
        ],
        rng=rng,
    )
    events = EventRecorder(source, "apinetlet", resources=tuple(counterparts))
    bridge = Bridge(
        source_cluster,
        apinet_cluster,
        generation,
        kinds,
        settings.api_net_namespace,
        Eligibility(generation, settings.watch_filter, settings.namespace),
        events,
        settings.deletion_poll,
        Brake(Limits(settings.dangling_number, settings.dangling_percent, settings.dangling_unlimited)),
    )
    for one, target in counterparts.items():
        count = Count(source_cluster, one, apinet_cluster, target, bridge.origins(one.kind), bridge.eligibility.watches)
        bridge.brake.watch(count)

    def work(workers: int) -> ControllerSettings:
        return ControllerSettings(
            workers=workers or settings.workers,
            deadline=settings.reconcile_deadline,
            resync=settings.resync or None,
            backoff=Backoff(base=settings.backoff_base, cap=settings.backoff_cap),
        )

    scale = Scale(settings.nat_gateway_min_public_ips, settings.nat_gateway_max_public_ips)
    follows_nodes = settings.is_node_affinity_aware and generation is IRONCORE
    controllers = {
        "Network": network_controller(bridge, work(settings.network_workers), rng=rng),
        "LoadBalancer": load_balancer_controller(
            bridge, work(settings.load_balancer_workers), follows_nodes=follows_nodes, rng=rng
        ),
        "NATGateway": nat_gateway_controller(bridge, work(settings.nat_gateway_workers), scale=scale, rng=rng),
        "VirtualIP": virtual_ip_controller(bridge, work(settings.virtual_ip_workers), rng=rng),
        "NetworkInterface": network_interface_controller(bridge, work(settings.network_interface_workers), rng=rng),
    }
    former = {**targets, kinds.apinet_network_interface: "NetworkInterface"}
    migration = [] if settings.skip_migrations else [Migration(apinet_cluster, generation, former)]
    bridge.brake.released = lambda kind: controllers[kind].enqueue_all("the brake on cleaning up was released")
    daemon = Manager(
        [source_cluster, apinet_cluster],
        list(controllers.values()),
        leader_services=[*migration, events],
        election=election,
        writes=[
            *(Writes(SOURCE, one, ("patch",), ("", "status")) for one in counterparts),
            Writes(SOURCE, EVENT, ("create", "patch")),
            *(Writes(APINET, one, ("apply", "delete")) for one in targets),
            Writes(APINET, kinds.apinet_network_interface, ("patch",)),
        ],
        settings=manager,
        rng=rng,
    )
    daemon.probes.add("kinds", lambda: missing_kinds(source_cluster, apinet_cluster), "readyz")
    daemon.probes.add("clean-up", bridge.brake.problem, "readyz")
    daemon.probes.add("work", lambda: bridge.standings.problem(now()), "readyz")
    daemon.probes.add("api-net-namespace", bridge.home.problem, "readyz")
    if daemon.metrics is not None:
        show(daemon.metrics.figures, bridge.standings, bridge.brake)
    return daemon


def main(settings: Settings) -> int:
    """Run the daemon until SIGTERM or SIGINT. Answers the exit status: 1 when it could not go on.

    Leaves the process by itself, with 1, when a task does not end: waiting for it would keep a successor waiting, too.
    """
    return anyio.run(_main, settings, backend_options={"use_uvloop": find_spec("uvloop") is not None})


async def _main(settings: Settings) -> int:
    status = 1
    try:
        await run(settings)
        status = 0
    except (KubeError, PartEnded, ServiceStuck, OSError, ValueError) as error:
        log.error("Cannot go on error=%s", error)
    except Exception as error:
        log.error("Cannot go on, and did not expect it error=%r", error, exc_info=error)
    if left := asyncio.all_tasks() - {asyncio.current_task()}:
        for task in left:
            task.cancel()
        _, stuck = await asyncio.wait(left, timeout=LAST_WORDS)
        if stuck:  # the end of the loop would wait for them
            log.error("Leaving though tasks still run tasks=%s", [task_line(task) for task in stuck])
            logging.shutdown()
            os._exit(1)
    return status


async def run(settings: Settings) -> None:
    """The daemon as the command line wants it; returns after an orderly stop.

    Raises:
        LoginError: a kubeconfig that cannot be used.
        PartEnded: a part of the daemon ended by itself, and why.
    """
    limits = ClientSettings(call_timeout=settings.request_timeout)
    reach_source = partial(connect, settings.kubeconfig or None, settings=limits)
    reach_apinet = partial(connect, settings.api_net_kubeconfig or None, settings=limits)
    generation = await find_generation(settings, reach_source(user_agent=USER_AGENT))
    if generation is None:
        return
    log.info("Serving generation=%s namespace=%s", generation.name, settings.api_net_namespace)
    manager = generation.field_manager
    async with (
        reach_source(field_manager=manager, user_agent=USER_AGENT) as source,
        reach_apinet(field_manager=manager, user_agent=USER_AGENT) as apinet,
    ):
        daemon = assemble(
            settings,
            generation,
            source,
            apinet,
            election=elector(settings, generation, partial(reach_source, user_agent=f"{USER_AGENT}-leader-election")),
            manager=manager_settings(settings, generation),
        )
        async with daemon:
            await daemon.run(signals=True)


async def find_generation(settings: Settings, client: Client) -> Generation | None:
    """The generation that the flag names, or the one whose groups the source cluster serves.

    Asks again and again while the server cannot be reached or serves neither; ``/readyz`` tells so meanwhile. ``None``
    if the process was told to stop before there was an answer.
    """
    async with client:
        if settings.generation != AUTO:
            return GENERATIONS[settings.generation]
        found: list[Generation] = []
        problem = "the source cluster was not asked yet"

        async def ask() -> None:
            nonlocal problem
            failures, backoff, rng = 0, Backoff(cap=settings.backoff_cap), random.Random()
            while not found:
                try:
                    groups = (await client.discover(fresh=True)).groups
                    found.extend(one for one in GENERATIONS.values() if one.networking in groups)
                    names = " nor ".join(one.networking for one in GENERATIONS.values())
                    problem = "" if found else f"the source cluster serves neither {names}"
                except KubeError as error:
                    problem = f"the source cluster cannot be asked for its generation: {error}"
                if found:
                    waiting.stop()
                else:
                    failures += 1
                    log.warning("Cannot tell the generation yet problem=%s", problem)
                    await anyio.sleep(backoff.delay(failures, rng))

        waiting = Manager([], [], settings=ManagerSettings(probes=settings.health_probe_bind_address))
        waiting.probes.add("generation", lambda: problem, "readyz")
        async with waiting, anyio.create_task_group() as asking:
            asking.start_soon(ask)
            await waiting.run(signals=True)
            asking.cancel_scope.cancel()
        return found[0] if found else None


def elector(settings: Settings, generation: Generation, connect: partial[Client]) -> LeaderElector | None:
    """The candidate for the Lease that the Go daemon uses, too; ``None`` without ``--leader-elect``."""
    if not settings.leader_elect:
        return None
    election = LeaderElection(
        namespace=settings.leader_election_namespace or pod_namespace(os.environ),
        name=generation.lease,
        identity=f"{socket.gethostname()}_{uuid.uuid4()}",
        lease_duration=settings.leader_election_lease_duration,
        renew_deadline=settings.leader_election_renew_deadline,
        retry_period=settings.leader_election_retry_period,
    )
    return LeaderElector(election, connect, cluster=SOURCE)


def manager_settings(settings: Settings, generation: Generation) -> ManagerSettings:
    """Where the daemon listens. The generations differ in whether metrics are on by default."""
    metrics = settings.metrics_bind_address or (":8080" if generation is ONMETAL else OFF)
    certificate = None
    if settings.metrics_secure and settings.metrics_cert_path:
        folder = Path(settings.metrics_cert_path)
        certificate = Certificate(folder / settings.metrics_cert_name, folder / settings.metrics_cert_key)
    return ManagerSettings(
        probes=settings.health_probe_bind_address,
        metrics=metrics,
        metrics_certificate=certificate,
        debug=settings.debug_bind_address,
        preflight="warn",
        drain_budget=settings.drain,
        freeze_gc=True,
    )


def pod_namespace(environment: Mapping[str, str], file: Path = NAMESPACE_FILE) -> str:
    """Where this process runs: ``$POD_NAMESPACE``, else what the service account says, else ``default``."""
    if named := environment.get("POD_NAMESPACE"):
        return named
    try:
        return file.read_text(encoding="utf-8").strip() or "default"
    except OSError:
        return "default"
