"""What the change of one interface costs under policies: 10,000 interfaces under 100 of them, between two servers.

``python -m benchmarks.policies`` takes one interface after the other away from those who can be reached, and gives it
back. Each policy is for a hundred interfaces and lets in a hundred others, by the labels of users, so each change
concerns two policies and writes two rules of a hundred targets and a hundred peers. All of it runs in this process, on
virtual time: figures are CPU time, and what is spent within requests of the daemon is the servers'.
"""

import argparse
import sys
import time
import types
from collections.abc import Callable, Coroutine, Generator, Iterator
from functools import partial
from typing import Any, cast

import anyio
from attrs import define, frozen

from apinetlet.api import IRONCORE
from apinetlet.assembly import assemble
from apinetlet.demo.world import DAEMON, TARGET_NAMESPACE, World
from apinetlet.origin import Origins
from apinetlet.settings import Settings
from provider import ProviderID
from reconcile import Client, Manager, ManagerSettings, ObjectKey, ObjectMeta, Resource, Seconds
from reconcile.kube import MergePatch
from reconcile.kube.request import HttpRequest, HttpResponse
from reconcile.kube.transport import Guard, Stream, Transport
from reconcile.testing.apiserver import ApiServer
from reconcile.testing.loop import run

HOME, NETWORK = "default", "blue"
REST = 5.0
"""Virtual seconds in which everything comes to rest."""


@frozen
class Crowd:
    """So many policies, each for ``each`` interfaces of one network."""

    policies: int = 100
    each: int = 100

    def interfaces(self) -> Iterator[tuple[int, int]]:
        """Every interface: its number, and that of the policy that is for it."""
        return ((number, number // self.each) for number in range(self.policies * self.each))


def name(number: int) -> str:
    return f"nic-{number}"


async def settle(world: World, crowd: Crowd) -> None:
    """Put all of it there, the interfaces as a daemon leaves them that has claimed each."""
    network = (await world.create_network(NETWORK)).metadata
    for number in range(crowd.policies):
        peer = {"kind": "NetworkInterface", "matchLabels": _app((number + 1) % crowd.policies)}
        spec = {
            "networkRef": {"name": NETWORK},
            "networkInterfaceSelector": {"matchLabels": _app(number)},
            "ingress": [{"ports": [{"protocol": "TCP", "port": 443}], "from": [{"objectSelector": peer}]}],
        }
        await world.declare("networkpolicies", f"policy-{number}", spec)
    kinds, origins = world.kinds, Origins(IRONCORE, "NetworkInterface")
    here, there = [], []
    for number, policy in crowd.interfaces():
        source = ObjectMeta(namespace=HOME, name=name(number), uid=f"00000000-0000-4000-8000-{number:012x}")
        target = ObjectMeta(namespace=TARGET_NAMESPACE, name=name(number), uid=f"00000000-0000-4000-9000-{number:012x}")
        ip = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        provider_id = ProviderID.network_interface(
            IRONCORE.scheme, namespace=target.namespace, name=target.name, node="node", uid=target.uid
        )
        head = {"labels": _app(policy), "finalizers": [IRONCORE.finalizer("NetworkInterface")]}
        spec = {"networkRef": {"name": NETWORK}, "ips": [{"value": ip}], "providerID": str(provider_id)}
        here.append(_document(kinds.network_interface, source, head, spec, {"state": "Available", "ips": [ip]}))
        data_plane = {"networkRef": {"name": network.uid}, "nodeRef": {"name": "node"}, "ips": [ip]}
        made = _document(
            kinds.apinet_network_interface, target, origins.metadata(source), data_plane, {"state": "Ready"}
        )
        there.append(made)
    _put(world.source, kinds.network_interface, here)
    _put(world.apinet, kinds.apinet_network_interface, there)


def _app(number: int) -> dict[str, str]:
    return {"app": f"app-{number}"}


def _document(resource: Resource[Any], meta: ObjectMeta, head: Any, spec: Any, status: Any) -> dict[str, Any]:
    names = {"namespace": meta.namespace, "name": meta.name, "uid": meta.uid}
    kind = {"apiVersion": resource.api_version, "kind": resource.kind}
    return {**kind, "metadata": {**names, **head}, "spec": spec, "status": status}


def _put(server: ApiServer, resource: Resource[Any], documents: list[dict[str, Any]]) -> None:
    """Past the server: ten thousand requests would take longer than what is measured."""
    transaction = server.storage.begin()
    for document in documents:
        transaction.put(resource.name, document)
    transaction.commit()


@define(eq=False)
class Metered:
    """``Transport`` that notes the CPU time spent within its calls: that of an embedded server."""

    inner: Transport
    spent: Seconds = 0.0

    @property
    def host(self) -> str:
        return self.inner.host

    async def call(self, request: HttpRequest, *, timeout: Seconds, guard: Guard | None = None) -> HttpResponse:
        return cast(HttpResponse, await self._timed(self.inner.call(request, timeout=timeout, guard=guard)))

    async def open(self, request: HttpRequest, *, timeout: Seconds, guard: Guard | None = None) -> Stream:
        return await self.inner.open(request, timeout=timeout, guard=guard)

    async def aclose(self) -> None:
        await self.inner.aclose()

    @types.coroutine
    def _timed(self, call: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """``call`` step by step: while it waits, others work."""
        step: Callable[[], Any] = partial(call.send, None)
        while True:
            began = time.process_time()
            try:
                waits_for = step()
            except StopIteration as end:
                return end.value
            finally:
                self.spent += time.process_time() - began
            try:
                yield waits_for
                step = partial(call.send, None)
            except BaseException as error:
                step = partial(call.throw, error)


def daemon(world: World) -> tuple[Manager, list[Metered]]:
    """The daemon, and its ways to both servers."""
    ways = [Metered(one.transport(user_agent=DAEMON)) for one in (world.source, world.apinet)]
    clients = [Client(one, field_manager=IRONCORE.field_manager) for one in ways]
    as_a_process = ManagerSettings(preflight="off", freeze_gc=True)
    return assemble(Settings(api_net_namespace=TARGET_NAMESPACE), IRONCORE, *clients, manager=as_a_process), ways


async def program(world: World, number: int, state: str) -> None:
    """The data plane says how an interface is."""
    key, patch = ObjectKey(TARGET_NAMESPACE, name(number)), MergePatch({"status": {"state": state}})
    await world.apinet.client().patch(world.kinds.apinet_network_interface, key, patch, subresource="status")


def regulated(world: World) -> int:
    """How many targets all rules have together."""
    found = world.there("networkpolicyrules").values()
    return sum(len(one.get("targets") or ()) for one in found)


async def main(crowd: Crowd, changes: int) -> float:
    """Prints what it finds. Answers the daemon's CPU for a change, in milliseconds."""
    total = crowd.policies * crowd.each
    async with World(IRONCORE) as world:
        await settle(world, crowd)
        manager, ways = daemon(world)
        began = time.process_time()
        async with manager:
            await anyio.sleep(REST)
            assert regulated(world) == total
            spent = time.process_time() - began
            print(f"{total:,} interfaces under {crowd.policies} policies: {spent:.1f} s CPU until all are mapped")
            writes, began, within = world.writes, time.process_time(), sum(one.spent for one in ways)
            for state, left in (("Pending", total - changes), ("Ready", total)):
                for number in range(changes):
                    await program(world, number * 97 % total, state)
                    await anyio.sleep(REST)
                assert regulated(world) == left
            each, written = (time.process_time() - began) / changes / 2, (world.writes - writes) / changes / 2
            servers = (sum(one.spent for one in ways) - within) / changes / 2
            print(f"the change of one of them: {(each - servers) * 1e3:.1f} ms CPU, {written:.1f} writes")
            print(f"... and of the servers for it: {servers * 1e3:.1f} ms")
            return (each - servers) * 1e3


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policies", type=int, default=100)
    parser.add_argument("--each", type=int, default=100, help="interfaces of a policy")
    parser.add_argument("--changes", type=int, default=25)
    parser.add_argument("--limit-ms", type=float, default=50.0, help="exit status 1 if a change costs more CPU (50)")
    flags = parser.parse_args()
    sys.exit(run(main(Crowd(flags.policies, flags.each), flags.changes)) > flags.limit_ms)
