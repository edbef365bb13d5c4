"""The embedded API server measured: in memory, over HTTP, and beside the real one where there is one.

``python -m benchmarks.apiserver`` prints a table; ``--plot FILE`` draws what a write costs against the history and the
number of objects there are; ``--quick`` takes a tenth of everything. The real server's programs are found as the tests
find them. CPU is that of the server's process alone; for the real server, of kube-apiserver and etcd together. Our own
programs find their bytecode ready, as installed ones do.
"""

import argparse
import asyncio
import atexit
import base64
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from benchmarks import hammer
from benchmarks.plot import plot
from reconcile.kube.request import HttpRequest
from reconcile.testing.apiserver import ApiServer
from reconcile.testing.assets import MissingAssets
from reconcile.testing.envtest import ControlPlane

_TICK = os.sysconf("SC_CLK_TCK")
_TOKEN = "bench-token"


@frozen
class Target:
    """A server under load. ``cpu`` tells the seconds it has used so far."""

    name: str
    host: str
    port: int
    cpu: Callable[[], float]
    resident: Callable[[], float]
    token: str = ""
    ca: str = ""


def cpu_of(*processes: int) -> Callable[[], float]:
    def read() -> float:
        return sum(_ticks(pid) for pid in processes) / _TICK

    return read


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def resident_of(*processes: int) -> Callable[[], float]:
    """Megabytes."""

    def read() -> float:
        found = [Path(f"/proc/{pid}/status").read_text() for pid in processes]
        return sum(int(text.partition("VmRSS:")[2].split()[0]) for text in found) / 1024

    return read


@contextmanager
def ours(*flags: str) -> Iterator[tuple[Target, float]]:
    """A process of ours, and how long it took to be ready."""
    with _started(_environment(), *flags) as found:
        yield found


@contextmanager
def _started(environment: Mapping[str, str], *flags: str) -> Iterator[tuple[Target, float]]:
    began = time.perf_counter()
    command = [sys.executable, "-m", "reconcile.testing.apiserver", "--port", "0", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().decode().split("://")[1].strip()
            ready = time.perf_counter() - began
            host, _, port = address.rpartition(":")
            name = f"ours {' '.join(flags)}".strip()
            yield Target(name, host, int(port), cpu_of(process.pid), resident_of(process.pid)), ready
        finally:
            process.kill()


@functools.cache
def _environment() -> Mapping[str, str]:
    """One where everything was compiled, as it is by an installer."""
    folder = Path(tempfile.mkdtemp(prefix="bytecode-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with _started(environment, "--tls", "--data-dir", str(folder / "data")):
        return environment


@contextmanager
def real() -> Iterator[Target]:
    """The real server, on memory."""
    with ControlPlane.start(in_memory=True) as plane:
        processes = [plane.pid(name) for name in ("etcd", "kube-apiserver")]
        host, _, port = plane.url.removeprefix("https://").rpartition(":")
        ca = plane.ca.pair.certificate
        yield Target("kube-apiserver", host, int(port), cpu_of(*processes), resident_of(*processes), plane.token, ca)


# -- over HTTP ---------------------------------------------------------------------------------------------------------


@frozen
class Heard:
    """What a load has shown. ``cpu`` is of one request, in microseconds; times are in milliseconds."""

    rate: float
    cpu: float
    p50: float
    p99: float

    def __str__(self) -> str:
        return f"{self.rate:8.0f}/s {self.cpu:6.0f} us CPU   p50 {self.p50:6.2f} ms   p99 {self.p99:7.2f} ms"


def load(target: Target, verb: str, count: int, *, objects: int, connections: int = 16, turn: int = 0) -> Heard:
    """Make so many requests of one verb from another process."""
    told = {
        "host": target.host, "port": target.port, "token": target.token, "ca": target.ca, "verb": verb,
        "count": count, "objects": objects, "connections": connections, "turn": turn,
    }  # fmt: skip
    before = target.cpu()
    command = [sys.executable, "-m", "benchmarks.hammer"]
    done = subprocess.run(command, input=json.dumps(told), stdout=subprocess.PIPE, text=True, check=True)
    heard = json.loads(done.stdout)
    assert heard["bad"] == 0, f"{heard['bad']} of {count} were refused"
    return Heard(heard["rate"], (target.cpu() - before) / count * 1e6, heard["p50"], heard["p99"])


def verbs(target: Target, count: int) -> Iterator[tuple[str, Heard]]:
    """Each verb in turn, on as many objects as there are requests."""
    for verb in ("create", "get", "merge", "apply"):
        yield verb, load(target, verb, count, objects=count)
    yield "apply again", load(target, "apply", count, objects=count, turn=count)


async def _fan_out(target: Target, watchers: int, writes: int) -> tuple[float, float]:
    """Deliveries a second, and microseconds of the server's CPU for each: writes come from another process."""
    lines = 0
    reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    class Reader(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            transport.write(f"GET {hammer.PATH}?watch=1 HTTP/1.1\r\nHost: a\r\n\r\n".encode())

        def data_received(self, data: bytes) -> None:
            nonlocal lines
            lines += data.count(b'{"type":"MODIFIED"')
            if lines >= watchers * writes and not reached.done():
                reached.set_result(None)

    loop = asyncio.get_running_loop()
    opened = [await loop.create_connection(Reader, target.host, target.port) for _ in range(watchers)]
    await asyncio.sleep(0.5)
    began, before = time.perf_counter(), target.cpu()
    writer = loop.run_in_executor(None, lambda: load(target, "merge", writes, objects=100, turn=1_000_000))
    await asyncio.wait_for(reached, 120)
    spent = time.perf_counter() - began
    used = target.cpu() - before
    await writer
    for transport, _ in opened:
        transport.abort()
    return watchers * writes / spent, used / (watchers * writes) * 1e6


# -- in memory ---------------------------------------------------------------------------------------------------------


def in_memory(verb: str, number: int, turn: int) -> HttpRequest:
    """The request that ``hammer`` sends, as a value."""
    head, _, body = hammer.request(verb, number, turn, "a", "").partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    method, target, _ = first.split()
    path, _, query = target.partition("?")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    pairs = tuple((name, value) for name, _, value in (one.partition("=") for one in query.split("&") if one))
    return HttpRequest(method, path, pairs, headers, body)


async def _memory(count: int) -> list[tuple[str, float]]:
    """CPU microseconds of a request, by verb."""
    found = []
    async with ApiServer() as server:
        for verb, turn in (("create", 0), ("get", 0), ("merge", 1), ("apply", 2), ("apply", 3)):
            requests = [in_memory(verb, number, turn) for number in range(count)]
            began = time.process_time()
            for request in requests:
                answer = await server.answer(request)
                assert answer.response.status < 300, answer.response.body
            name = "apply again" if turn == 3 else verb
            found.append((name, (time.process_time() - began) / count * 1e6))
    return found


async def _cost(sizes: list[int], of_history: bool) -> list[float]:
    """CPU microseconds of a merge patch, with so much history or so many objects before it."""
    costs = []
    async with ApiServer() as server:
        done = 0
        for size in sizes:
            while done < size:
                verb = "merge" if of_history and done else "create"
                await server.answer(in_memory(verb, 0 if of_history else done, done))
                done += 1
            probes = [in_memory("merge", 0, -number) for number in range(300)]
            began = time.process_time()
            for probe in probes:
                await server.answer(probe)
            costs.append((time.process_time() - began) / len(probes) * 1e6)
    return costs


# -- all of it ---------------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.apiserver", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--no-real", action="store_true")
    flags = parser.parse_args()
    count = 500 if flags.quick else 5000
    print(f"load of the machine at the start: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for verb, cost in asyncio.run(_memory(count)):
        print(f"memory          {verb:12} {1e6 / cost:8.0f}/s {cost:6.0f} us CPU")
    kept = ["--data-dir", "{dir}/data"]
    for options in ([], ["--tls", "--token-file", "{dir}/tokens"], kept, [*kept, "--sync", "normal"]):
        show(options, count)
    fan_out(200 if flags.quick else 3000)
    keep(2000 if flags.quick else 20_000)
    come_back(2000 if flags.quick else 20_000)
    rules()
    if not flags.no_real:
        try:
            with real() as target:
                for verb, heard in verbs(target, count):
                    print(f"{target.name:15} {verb:12} {heard}")
                print(f"{target.name:15} {target.resident():.0f} MB with {count} objects (etcd included)")
        except MissingAssets as missing:
            print(f"kube-apiserver: {missing}")
    if flags.plot:
        sizes = list(range(500, 10_001, 500))[: 3 if flags.quick else None]
        history, objects = (asyncio.run(_cost(sizes, of_history)) for of_history in (True, False))
        lines = {"earlier changes of the object": history, "other objects of the kind": objects}
        plot(flags.plot, "µs a write", sizes, lines)
        print(f"a write costs {history[0]:.0f} to {history[-1]:.0f} us over history, ", end="")
        print(f"{objects[0]:.0f} to {objects[-1]:.0f} us over objects: {flags.plot}")


def show(options: list[str], count: int) -> None:
    """Each verb on one process of ours."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config"
        (Path(folder) / "tokens").write_text(f"{_TOKEN},bench,1,system:masters\n")
        given = [one.format(dir=folder) for one in options]
        with ours(*given, "--kubeconfig-out", str(config)) as (started, ready):
            target = evolve(
                started, name=" ".join(["ours", *(one for one in options if "{" not in one and one != "--token-file")])
            )
            if "--tls" in options:
                target = evolve(target, token=_TOKEN, ca=_authority(config))
            used, resident = target.cpu(), target.resident()
            print(f"{target.name:15} ready in {ready * 1e3:.0f} ms, {used:.2f} s CPU, {resident:.0f} MB")
            for verb, heard in verbs(target, count):
                print(f"{target.name:15} {verb:12} {heard}")


def _authority(config: Path) -> str:
    """Who signed the certificate of the server that wrote a kubeconfig."""
    cluster = json.loads(config.read_text())["clusters"][0]["cluster"]
    return base64.b64decode(cluster["certificate-authority-data"]).decode()


def fan_out(writes: int) -> None:
    """One change told to a hundred."""
    with ours() as (target, _):
        load(target, "create", 100, objects=100)
        rate, cost = asyncio.run(_fan_out(target, 100, writes))
        print(f"{target.name:15} 100 watchers {rate:8.0f} deliveries/s, {cost:.1f} us CPU each")


def rules() -> None:
    """What the first rule of a definition costs, for it loads what rules are read with."""
    script = (
        "import time, reconcile.testing.apiserver as _; began = time.process_time();"
        "from reconcile.testing.apiserver.cel.rules import RuleTree;"
        "number = {'type': 'integer', 'x-kubernetes-validations': [{'rule': 'self > 1'}]};"
        "tree = RuleTree.read({'type': 'object', 'properties': {'a': number}});"
        "assert tree.judge({'a': 1}, None).faults; print(time.process_time() - began)"
    )
    command = [sys.executable, "-c", script]
    best = min(float(subprocess.check_output(command, env=_environment())) for _ in range(3))
    print(f"the first rule of a definition: {best * 1e3:.0f} ms CPU")


def keep(count: int) -> None:
    """What so many objects take."""
    with ours() as (target, _):
        empty = target.resident()
        load(target, "create", count, objects=count)
        print(f"{target.name:15} {count} objects of 1 KB: {target.resident():.0f} MB in all, {empty:.0f} MB empty")


def come_back(count: int) -> None:
    """What a start costs that finds so many objects in its folder, beside one that finds none."""
    with tempfile.TemporaryDirectory() as folder:
        flags = ("--data-dir", f"{folder}/data", "--sync", "normal")
        with ours(*flags) as (target, empty):
            load(target, "create", count, objects=count)
        with ours(*flags) as (target, full):
            print(f"ours --data-dir  start on {count} objects: {full:.2f} s, on none {empty:.2f} s", end="")
            print(f" ({target.cpu():.2f} s CPU, {target.resident():.0f} MB)")


if __name__ == "__main__":
    main()
