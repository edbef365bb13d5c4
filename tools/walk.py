"""The terminal walk of docs/operations.md: the tools at work between two embedded API servers with roles.

python tools/walk.py           # prints it
python tools/walk.py --write   # puts it into docs/operations.md

What differs from run to run (uids, ports, times, ages) is replaced by something of the same length.
"""

import argparse
import contextlib
import io
import json
import pathlib
import random
import re
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
from attrs import field, frozen

from apinetlet import cli
from apinetlet.api import IRONCORE
from apinetlet.assembly import APINET, SOURCE, assemble
from apinetlet.demo.world import TARGET_NAMESPACE, World
from apinetlet.settings import Settings
from apinetlet.tools.declared import declared
from apinetlet.tools.rights import Subject, manifests, rights
from reconcile import Manager, ManagerSettings
from reconcile.testing.apiserver import ApiServer, User, kubeconfig
from reconcile.testing.apiserver.http import Security, listening
from reconcile.testing.apiserver.kubeconfig import Login
from reconcile.testing.apiserver.rbac import Rbac

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "operations.md"
BEGIN, END = "<!-- walk: made by tools/walk.py -->\n", "<!-- end of walk -->\n"
ROBOT = User("apinetlet", ("system:authenticated",))
SETTINGS = Settings(api_net_namespace=TARGET_NAMESPACE, generation=IRONCORE.name)
CONFIG = "apinetlet.yaml"
GATEWAY = {"type": "Public", "ipFamily": "IPv4", "networkRef": {"name": "green"}}
PATIENCE = 60.0


@frozen
class Take:
    """One command and what it printed."""

    said: str
    """What stands before it, for the reader."""
    command: str
    output: str
    status: int

    def __str__(self) -> str:
        ended = f"(exit status {self.status})\n" if self.status else ""
        return f"{self.said}\n\n```console\n$ {self.command}\n{self.output}{ended}```\n"


@frozen
class Stage:
    """Two servers that know what the daemon may do, and files that lead to them."""

    world: World
    folder: pathlib.Path
    takes: list[Take] = field(factory=list)

    async def run(self, said: str, command: str) -> None:
        """Run a command as it is shown, but for where its files are."""
        words = [str(self.folder / CONFIG).join(word.split(CONFIG)) for word in command.split()[1:]]
        out = io.StringIO()

        def call() -> int:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                return cli.main(words)

        status = await anyio.to_thread.run_sync(call)
        self.takes.append(Take(said, command, out.getvalue().replace(f"{self.folder}/", ""), status))

    async def grant(self, *, without: str = "") -> None:
        """Write the roles of the daemon, all of them or without a resource."""
        rules = rights(declared(SETTINGS, IRONCORE), SETTINGS, IRONCORE, environment={})
        robot = Subject("User", ROBOT.name)
        chosen = [one for one in rules if one.resource != without]
        for side, documents in manifests(chosen, {SOURCE: robot, APINET: robot}, "apinetlet").items():
            client = getattr(self.world, side).client(field_manager="people")
            for one in documents:
                kind = await client.find("rbac.authorization.k8s.io", one["kind"])
                await client.apply(kind.resource, one)

    @asynccontextmanager
    async def daemon(self) -> AsyncIterator[Manager]:
        """The daemon, working."""
        manager = IRONCORE.field_manager
        clients = (one.client(user=ROBOT, field_manager=manager) for one in (self.world.source, self.world.apinet))
        settings = ManagerSettings(preflight="off", debug="127.0.0.1:0")
        async with assemble(SETTINGS, IRONCORE, *clients, manager=settings, rng=random.Random(0)) as running:
            await running.ready()
            yield running


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    """The servers, entered and listening."""
    world = World(IRONCORE)
    for side in (SOURCE, APINET):
        open_to_all: ApiServer = getattr(world, side)
        setattr(world, side, ApiServer(open_to_all.kinds, rng=open_to_all.rng, rules=Rbac()))
    security = Security(authenticate=lambda _headers, _peer: ROBOT)
    async with (
        world,
        listening(world.source, security=security) as source,
        listening(world.apinet, security=security) as apinet,
    ):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            lines = [f"api-net-namespace: {TARGET_NAMESPACE}", f"generation: {IRONCORE.name}"]
            for flag, endpoint in (("kubeconfig", source), ("api-net-kubeconfig", apinet)):
                (folder / flag).write_text(json.dumps(kubeconfig.document(endpoint.url, Login())))
                lines.append(f"{flag}: {folder / flag}")
            (folder / CONFIG).write_text("\n".join(lines))
            yield Stage(world, folder)


async def recorded() -> list[Take]:
    """The whole walk."""
    async with stage() as on:
        await on.run(
            "Which rights does it need with these flags in the api-net cluster?",
            f"apinetlet rbac --config={CONFIG} --side=apinet -o table",
        )
        await on.grant(without="prefixes")
        await on.run(
            "They were granted, but one was forgotten; before the first start:", f"apinetlet check --config={CONFIG}"
        )
        await on.grant()
        await on.run("The rule is added:", f"apinetlet check --config={CONFIG}")
        await on.world.declare("networks", "blue", {})
        await on.world.declare("natgateways", "way-out", GATEWAY)
        await on.run(
            "A user has declared a network, and a gateway for a network that is not there. What would happen now?",
            f"apinetlet plan --config={CONFIG}",
        )
        async with on.daemon() as running:
            await _until(lambda: _is_told(on.world), "the gateway waits and the network is mapped")
            [address] = [str(one.bound) for one in running.servers if one.bound is not None]
            await on.run("The daemon was started:", f"apinetlet top --once --debug-bind-address={address}")
            await on.run(
                "Why has the gateway no address?", f"apinetlet explain NATGateway default/way-out --config={CONFIG}"
            )
            await on.run("And the network?", f"apinetlet explain Network default/blue --config={CONFIG}")
        [network] = on.world.networks
        await on.run("What its provider ID says:", f"apinetlet provider-id parse {network.spec.provider_id}")
        await on.run(
            "The daemon was stopped, and shall not come back:",
            f"apinetlet drain --config={CONFIG} --targets=delete",
        )
        await on.run("So be it:", f"apinetlet drain --config={CONFIG} --targets=delete --yes")
        return on.takes


def _is_told(world: World) -> bool:
    [network] = world.networks
    return (
        bool(network.spec.provider_id) and network.status.state is not None and _reasons(world) == ["NetworkNotFound"]
    )


def _reasons(world: World) -> list[str]:
    from reconcile.kube.kinds import EVENT

    return [str(one["reason"]) for one in world.source.objects(EVENT)]


async def _until(holds: Any, what: str) -> None:
    with anyio.move_on_after(PATIENCE):
        while not holds():
            await anyio.sleep(0.02)
        return
    raise AssertionError(f"not in time: {what}")


def plain(text: str) -> str:
    """``text`` without what differs from run to run."""
    for number, uid in enumerate(dict.fromkeys(re.findall(_UUID, text)), 1):
        text = text.replace(uid, f"5c2e763b-0000-4000-8000-{number:012d}")
    text = re.sub(r"(?<=127\.0\.0\.1:)\d+", "40001", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "2026-11-22T15:31:46Z", text)
    text = re.sub(r"\b\d+\.\d(?=s\b)", "0.1", text)
    for number in dict.fromkeys(re.findall(rf"(?<=/){_UUID}/(\d+)(?=/)", text)):
        text = re.sub(rf"\b{number}\b", "1003", text)
    return text


_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def told(takes: Iterable[Take]) -> str:
    """The walk in Markdown."""
    return plain("\n".join(map(str, takes)))


def shown(page: str) -> str:
    """The walk that stands in a page."""
    _, begin, rest = page.partition(BEGIN)
    found, end, _ = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page needs one pair of marks for the walk")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put it into docs/operations.md")
    walk = told(anyio.run(recorded))
    if parser.parse_args().write:
        page = PAGE.read_text()
        PAGE.write_text(page.replace(BEGIN + shown(page) + END, BEGIN + walk + END))
    else:
        print(walk, end="")


if __name__ == "__main__":
    main()
