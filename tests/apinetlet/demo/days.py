"""One generation's clusters through days: users at random, faults of all kinds, and a daemon that dies.

Each day has hours of trouble, an evening in which people put right what cannot come right by itself, and a night in
which everything has to agree and then nobody writes. Certificates are renewed all the while.
"""

import logging
import random
from collections import Counter
from contextlib import suppress
from typing import Self

import anyio
from attrs import define, field

from apinetlet.api import GENERATIONS
from apinetlet.demo.story import all_agree, delete_all, nothing_left
from apinetlet.demo.table import mapped
from apinetlet.demo.world import World as Clusters
from reconcile import Conflict, NotFound
from reconcile.core import now
from reconcile.core.clock import Seconds
from reconcile.kube.errors import AlreadyExists
from reconcile.testing.faultplan import FaultPlan
from reconcile.testing.world import World
from tests.apinetlet.demo.certified import Land

DAY: Seconds = 86_400.0
TROUBLE: Seconds = 300.0
PATIENCE: Seconds = 3_600.0
"""So long after the trouble everything may take to agree: the longest backoff is five minutes."""
CALM: Seconds = 900.0
"""So long nobody may write then."""
LOOK: Seconds = 5.0
POPULATION = 4
"""Names of each kind."""
ACTS = 40
"""What users do in a day."""
ROLES = ("web", "client")
"""What interfaces are, and what policies ask for."""


@define
class Life:
    """One generation's clusters, its users and its daemon."""

    clusters: Clusters
    world: World
    land: Land
    rng: random.Random
    complaints: "Complaints"
    acts: Counter[str] = field(factory=Counter, init=False)
    deaths: int = field(default=0, init=False)
    writes: int = field(default=0, init=False)

    async def day(self) -> None:
        """From one morning to the next."""
        morning = now()
        for name in self.world.servers:
            self.world.fail(name, FaultPlan.draw(self.rng, until=morning + TROUBLE, strength=0.15))
        fatal = set(self.rng.sample(range(ACTS), self.rng.randint(1, 3)))  # no day without a death
        for act in range(ACTS):
            await anyio.sleep(self.rng.expovariate(ACTS / TROUBLE))
            await self._act()
            if act in fatal:
                self.world.kill()
                self.deaths += 1
                self.world.later(self.rng.uniform(0, 5), self.world.start)
        self.world.heal()
        self.world.start()
        await self._tidy()
        evening = now()
        while not all_agree(self.clusters):
            await self.world.settle()  # a daemon that has ended by itself says why
            assert now() < evening + PATIENCE, f"no agreement on day {morning / DAY:.0f}: {self._dying()}"
            await anyio.sleep(LOOK)
        await self._silence()

    async def end(self) -> None:
        """Everything goes."""
        deadline = now() + PATIENCE
        while not nothing_left(self.clusters):
            assert now() < deadline, f"something is left: {self._dying()}"
            await delete_all(self.clusters)
            await anyio.sleep(LOOK)
        await self._silence()

    async def _silence(self) -> None:
        """Nobody writes any more; then the books are closed, so that they do not grow."""
        await anyio.sleep(CALM)
        await self.world.settle()
        written = len(self.world.writes)
        self.complaints.in_calm += 1
        await anyio.sleep(CALM)
        await self.world.settle()
        self.complaints.in_calm -= 1
        assert len(self.world.writes) == written, "\n".join(map(str, self.world.writes[written:]))
        self.writes += written
        self.world.writes.clear()
        self.world.traffic.tried.clear()
        self.world.traffic.accepted.clear()

    async def _act(self) -> None:
        name = f"{self.rng.randrange(POPULATION)}"
        acts = [self._make] * 3 + [self._delete, self._want, self._take_away]
        if self.clusters.generation.rule_manager:
            acts.append(self._label)
        if self.clusters.generation.has_peerings:
            acts.append(self._peer)
        act = self.rng.choice(acts)
        self.acts[act.__name__.strip("_")] += 1
        with suppress(AlreadyExists, NotFound, Conflict):
            await act(name)

    async def _make(self, name: str) -> None:
        clusters, network = self.clusters, {"networkRef": {"name": f"net-{self.rng.randrange(POPULATION)}"}}
        match self.rng.choice(list(mapped(clusters.generation))):
            case "networks":
                await clusters.declare("networks", f"net-{name}", {})
            case "virtualips":
                await clusters.declare("virtualips", f"vip-{name}", {"type": "Public", "ipFamily": "IPv4"})
            case "loadbalancers":
                ports = [{"protocol": "TCP", "port": self.rng.randrange(1, 1000)}]
                spec = {"type": "Public", **network, "ipFamilies": ["IPv4"], "ports": ports}
                await clusters.declare("loadbalancers", f"lb-{name}", {**spec, "networkInterfaceSelector": {}})
            case "natgateways":
                # one a network, as users' clusters have it
                await clusters.declare(
                    "natgateways",
                    f"nat-{name}",
                    {"type": "Public", "networkRef": {"name": f"net-{name}"}, "ipFamily": "IPv4"},
                )
            case "networkinterfaces":
                machine = {"machineRef": {"name": f"machine-{name}", "uid": f"machine-{name}"}}
                address = {"prefixTemplate": {"spec": {"ipFamily": "IPv4", "parentRef": {"name": "pool"}}}}
                spec = {**network, "ips": [{"ephemeral": address}], **machine}
                labels = {"role": self.rng.choice(ROLES)}
                await clusters.declare("networkinterfaces", f"nic-{name}", spec, labels=labels)
            case "networkpolicies":
                to, others = self.rng.sample(ROLES, 2)
                peers = [{"objectSelector": {"kind": "NetworkInterface", "matchLabels": {"role": others}}}]
                spec = {**network, "networkInterfaceSelector": {"matchLabels": {"role": to}}}
                await clusters.declare("networkpolicies", f"policy-{name}", {**spec, "ingress": [{"from": peers}]})

    async def _delete(self, name: str) -> None:
        plural = self.rng.choice(list(mapped(self.clusters.generation)))
        await self.clusters.delete(plural, f"{_PREFIXES[plural]}-{name}")

    async def _want(self, name: str) -> None:
        wanted = self.rng.choice((None, {"virtualIPRef": {"name": f"vip-{self.rng.randrange(POPULATION)}"}}))
        await self.clusters.change("networkinterfaces", f"nic-{name}", {"virtualIP": wanted})

    async def _label(self, name: str) -> None:
        await self.clusters.label("networkinterfaces", f"nic-{name}", {"role": self.rng.choice(ROLES)})

    async def _peer(self, name: str) -> None:
        others = [other for other in map(str, range(POPULATION)) if other != name]
        wanted = [f"net-{other}" for other in self.rng.sample(others, self.rng.randint(0, 2))]
        peerings = [{"name": one, "networkRef": {"name": one}} for one in wanted]
        await self.clusters.change("networks", f"net-{name}", {"peerings": peerings})

    async def _take_away(self, name: str) -> None:
        plural = self.rng.choice(("loadbalancers", "natgateways"))
        there = sorted(self.clusters.there(plural))
        if there:
            await self.clusters.take_away(plural, self.rng.choice(there))

    async def _tidy(self) -> None:
        """What no daemon can put right: two interfaces that want one address, references to nothing, and networks that
        are to go while they are in use."""
        taken: set[str] = set()
        for name, one in self.clusters.declared("networkinterfaces").items():
            wanted = ((one["spec"].get("virtualIP") or {}).get("virtualIPRef") or {}).get("name")
            if wanted and wanted in taken:
                await self.clusters.change("networkinterfaces", name, {"virtualIP": None})
            taken.update({wanted} if wanted else ())
        for missing in taken:
            with suppress(AlreadyExists):
                await self.clusters.declare("virtualips", missing, {"type": "Public", "ipFamily": "IPv4"})
        deadline = now() + PATIENCE
        while going := {name for name, one in self.clusters.declared("networks").items() if one.metadata.is_deleting}:
            assert now() < deadline, f"networks do not go: {self._dying()}"
            await self.world.settle()
            for plural in ("networkinterfaces", "loadbalancers", "natgateways"):
                for name, one in self.clusters.declared(plural).items():
                    if one["spec"]["networkRef"]["name"] in going:
                        with suppress(NotFound):
                            await self.clusters.delete(plural, name)
            await anyio.sleep(LOOK)
        for number in range(POPULATION):
            with suppress(AlreadyExists):
                await self.clusters.declare("networks", f"net-{number}", {})

    def _dying(self) -> str:
        """What has to go and is still there, and for whom."""
        clusters = self.clusters
        sides = ((clusters.source, clusters.at_source), (clusters.apinet, clusters.at_apinet))
        return "; ".join(
            f"{plural} {one.metadata.name} {one.metadata.uid} of {one.get('spec')} held by {one.metadata.finalizers}"
            for server, kinds in sides
            for plural, kind in kinds.items()
            for one in server.objects(kind)
            if one.metadata.is_deleting
        )


_PREFIXES = {
    "networks": "net",
    "virtualips": "vip",
    "loadbalancers": "lb",
    "natgateways": "nat",
    "networkinterfaces": "nic",
    "networkpolicies": "policy",
}


class Complaints(logging.Handler):
    """What is logged that no fault explains: an error other than of a request, and anything from a warning on in the
    calm.

    Meanwhile nobody else hears the log: a test runner would keep every record of all days, and what its errors hold.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.unexplained: list[str] = []
        self.in_calm = 0
        """How many of the worlds are in their calm."""
        self._others: list[logging.Handler] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        is_unexpected = record.exc_info is not None or not text.startswith("could not reconcile")
        if (record.levelno >= logging.ERROR and is_unexpected) or self.in_calm == len(GENERATIONS):
            self.unexplained.append(text)

    def __enter__(self) -> Self:
        root = logging.getLogger()
        self._others, root.handlers = root.handlers, [self]
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().handlers = self._others
