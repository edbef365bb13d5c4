"""Everybody else in the two clusters, each switchable: small controllers on the framework itself.

The daemon meets them in users' clusters: those of the source cluster make prefixes, virtual IPs and routings, and hold
networks; machines attach interfaces; the api-net cluster programs interfaces and runs NAT gateways. What the servers
themselves do inside a write is in ``apinet.py``.
"""

import random
from collections.abc import Callable, Collection, Mapping

from apinetlet.api import Generation
from apinetlet.demo.actors import interfaces, leftovers, machines, nat, peerings, prefixes, routing, virtualips
from apinetlet.demo.actors.desk import Desk
from reconcile import Client, Controller, Manager, ManagerSettings, Seconds

__all__ = ["ACTORS", "USER_AGENT", "staff"]

USER_AGENT = "cluster-controllers"
"""By which the requests of all actors are known."""
ACTORS: Mapping[str, Callable[[Desk, str], list[Controller]]] = {
    "prefixes": lambda desk, _: prefixes.controllers(desk),
    "virtual-ips": lambda desk, _: virtualips.controllers(desk),
    "routing": lambda desk, _: routing.routing(desk),
    "protection": lambda desk, _: routing.protection(desk),
    "peerings": lambda desk, _: peerings.controllers(desk),
    "machines": machines.controllers,
    "interfaces": lambda desk, _: interfaces.controllers(desk),
    "autoscaler": lambda desk, _: nat.autoscaler(desk),
    "nat-gateways": lambda desk, _: nat.gateways(desk),
    "leftovers": lambda desk, _: leftovers.controllers(desk),
}
"""By name, each a group of controllers given the desk and the namespace of api-net objects."""


def staff(
    generation: Generation,
    source: Client,
    apinet: Client,
    *,
    namespace: str,
    only: Collection[str] = tuple(ACTORS),
    pace: Seconds = 0.1,
    rng: random.Random | None = None,
) -> Manager:
    """The actors named in ``only``, as one block: enter it and they work. ``pace``: how long slow things take.

    Raises:
        ValueError: there is no actor of a name.
    """
    if unknown := set(only) - set(ACTORS):
        raise ValueError(f"there are no actors {sorted(unknown)}; there are {', '.join(ACTORS)}")
    rng = rng or random.Random(0)
    desk = Desk.between(generation, source, apinet, pace=pace, rng=rng)
    working = [controller for name in ACTORS if name in only for controller in ACTORS[name](desk, namespace)]
    return Manager([desk.source, desk.apinet], working, settings=ManagerSettings(preflight="off"), rng=rng)
