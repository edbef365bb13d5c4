"""The daemon put together between two API servers: the only module that knows all its parts.

``assemble`` makes a ``Manager`` out of two clients and the settings. Which kinds are watched, what is made for which of
them, and who looks after it stand here and nowhere else. ``app.py`` runs it as a process; tests and the demo call it
with clients of embedded servers.
"""

import random
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from apinetlet.api import IRONCORE, Generation, Kinds
from apinetlet.brake import Brake, Count, Limits
from apinetlet.controllers.bridge import Bridge
from apinetlet.controllers.indexes import by_origin, by_uid
from apinetlet.controllers.loadbalancer import by_prefix, load_balancer_controller
from apinetlet.controllers.missing import missing_kinds
from apinetlet.controllers.natgateway import nat_gateway_controller
from apinetlet.controllers.network import network_controller
from apinetlet.controllers.networkinterface import by_wants, network_interface_controller
from apinetlet.controllers.networkpolicy import network_policy_controller
from apinetlet.controllers.peering import by_peers
from apinetlet.controllers.reference import by_network
from apinetlet.controllers.selecting import by_policies, selectable_sources, selectable_targets
from apinetlet.controllers.virtualip import by_target, virtual_ip_controller
from apinetlet.migration import Migration
from apinetlet.predicates import Eligibility
from apinetlet.settings import Settings
from apinetlet.standings import show
from apinetlet.translate.natgateway import Scale
from reconcile import (
    Client,
    Cluster,
    Controller,
    ControllerSettings,
    EventRecorder,
    LeaderElector,
    Manager,
    ManagerSettings,
    Resource,
    Watched,
    Writes,
)
from reconcile.core import Backoff
from reconcile.core.clock import now
from reconcile.core.service import Service
from reconcile.kube.kinds import EVENT

SOURCE, APINET = "source", "apinet"
"""The names of the two clusters in logs, metrics and keys."""


def assemble(
    settings: Settings,
    generation: Generation,
    source: Client,
    apinet: Client,
    *,
    election: LeaderElector | None = None,
    manager: ManagerSettings = ManagerSettings(preflight="off"),  # noqa: B008 - frozen
    services: Sequence[Service] = (),
    rng: random.Random | None = None,
) -> Manager:
    """The whole daemon between two API servers; ``services`` run around it. Nothing runs before it is entered."""
    rng = rng or random.Random()
    kinds = Kinds.of(generation)
    source_cluster = Cluster(SOURCE, source, watched_sources(settings, generation, kinds), rng=rng)
    apinet_cluster = Cluster(APINET, apinet, watched_targets(settings, generation, kinds), rng=rng)
    mapped, made = counterparts(kinds), targets(kinds)
    events = EventRecorder(source, "apinetlet", resources=tuple(mapped))
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
    controllers = _controllers(bridge, settings, rng)
    for one, target in mapped.items():
        count = Count(source_cluster, one, apinet_cluster, target, bridge.origins(one.kind), bridge.eligibility.watches)
        bridge.brake.watch(count)
    bridge.brake.released = lambda kind: controllers[kind].enqueue_all("the brake on cleaning up was released")
    former = {**made, kinds.apinet_network_interface: "NetworkInterface"}
    migration = [] if settings.skip_migrations else [Migration(apinet_cluster, generation, former)]
    # of a policy nothing is reported but Events
    reported = {} if kinds.policies is None else {kinds.policies.source: ("",)}
    daemon = Manager(
        [source_cluster, apinet_cluster],
        list(controllers.values()),
        services=services,
        leader_services=[*migration, events],
        election=election,
        writes=[
            *(Writes(SOURCE, one, ("patch",), reported.get(one, ("", "status"))) for one in mapped),
            Writes(SOURCE, EVENT, ("create", "patch"), namespaces=(settings.namespace,) if settings.namespace else ()),
            *(Writes(APINET, one, ("apply", "delete")) for one in made),
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


def counterparts(kinds: Kinds) -> Mapping[Resource[Any], Resource[Any]]:
    """Of each source kind that is mapped, the kind of what stands for it on the other side."""
    return {
        kinds.network: kinds.apinet_network,
        kinds.load_balancer: kinds.apinet_load_balancer,
        kinds.nat_gateway: kinds.apinet_nat_gateway,
        kinds.virtual_ip: kinds.apinet_ip,
        kinds.network_interface: kinds.apinet_network_interface,
        **({kinds.policies.source: kinds.policies.target} if kinds.policies is not None else {}),
    }


def targets(kinds: Kinds) -> Mapping[Resource[Any], str]:
    """The kinds of all objects that we make, and of the sources whose origin they carry."""
    return {
        kinds.apinet_network: "Network",
        kinds.apinet_load_balancer: "LoadBalancer",
        kinds.apinet_load_balancer_routing: "LoadBalancer",
        kinds.apinet_nat_gateway: "NATGateway",
        kinds.apinet_nat_gateway_autoscaler: "NATGateway",
        kinds.apinet_ip: "VirtualIP",
        **(dict.fromkeys((kinds.policies.target, kinds.policies.rule), "NetworkPolicy") if kinds.policies else {}),
    }


def watched_sources(settings: Settings, generation: Generation, kinds: Kinds) -> list[Watched[Any]]:
    """What we look at in the source cluster. A server that lacks a kind is no reason to serve none."""
    here = partial(Watched, namespaces=(settings.namespace,) if settings.namespace else (), optional=True)
    wants, chosen = (
        by_wants(generation, settings.api_net_namespace),
        selectable_sources(generation, settings.api_net_namespace),
    )
    policies = [] if kinds.policies is None else [here(kinds.policies.source, indexes=(by_uid(), *by_policies()))]
    return [
        here(kinds.network, indexes=(by_uid(), *by_peers(), *chosen["Network"])),
        here(kinds.prefix, keep=("spec.ipFamily", "spec.prefix", "status.phase")),
        here(kinds.load_balancer, indexes=(by_uid(), by_network(), by_prefix(), *chosen["LoadBalancer"])),
        here(kinds.load_balancer_routing),
        here(kinds.nat_gateway, indexes=(by_uid(), by_network())),
        here(kinds.virtual_ip, indexes=(by_uid(), by_target(), *chosen["VirtualIP"])),
        here(kinds.network_interface, indexes=(*wants, *chosen["NetworkInterface"])),
        *policies,
    ]


def watched_targets(settings: Settings, generation: Generation, kinds: Kinds) -> list[Watched[Any]]:
    """What we look at in the api-net cluster: one namespace."""
    there = partial(Watched, namespaces=(settings.api_net_namespace,), optional=True)
    chosen, rules = selectable_targets(generation), kinds.policies.rule if kinds.policies is not None else None
    made = [
        there(
            one,
            indexes=(
                by_origin(generation, kind),
                *(chosen["LoadBalancer"] if one == kinds.apinet_load_balancer else ()),
            ),
            manager=generation.rule_manager if one == rules else "",
        )
        for one, kind in targets(kinds).items()
    ]
    nics = (by_origin(generation, "NetworkInterface"), by_uid(), *chosen["NetworkInterface"])
    return [*made, there(kinds.apinet_network_interface, indexes=nics)]


def _controllers(bridge: Bridge, settings: Settings, rng: random.Random) -> dict[str, Controller]:
    """Who looks after each source kind, by its name."""

    def work(workers: int) -> ControllerSettings:
        return ControllerSettings(
            workers=workers or settings.workers,
            deadline=settings.reconcile_deadline,
            resync=settings.resync or None,
            backoff=Backoff(base=settings.backoff_base, cap=settings.backoff_cap),
        )

    scale = Scale(settings.nat_gateway_min_public_ips, settings.nat_gateway_max_public_ips)
    follows_nodes = settings.is_node_affinity_aware and bridge.generation is IRONCORE
    policies = bridge.kinds.policies
    found = {
        "Network": network_controller(
            bridge, work(settings.network_workers), reports_peerings=not settings.disable_network_peering, rng=rng
        ),
        "LoadBalancer": load_balancer_controller(
            bridge, work(settings.load_balancer_workers), follows_nodes=follows_nodes, rng=rng
        ),
        "NATGateway": nat_gateway_controller(bridge, work(settings.nat_gateway_workers), scale=scale, rng=rng),
        "VirtualIP": virtual_ip_controller(bridge, work(settings.virtual_ip_workers), rng=rng),
        "NetworkInterface": network_interface_controller(bridge, work(settings.network_interface_workers), rng=rng),
    }
    if policies is not None:
        found["NetworkPolicy"] = network_policy_controller(
            bridge,
            policies,
            work(settings.network_policy_workers),
            expands=settings.expand_policy_rules,
            rng=rng,
        )
    return found
