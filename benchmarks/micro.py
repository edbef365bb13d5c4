"""What is measured: pure code here, what needs an event loop in ``walk.py``, and the cost of the first import."""

import subprocess
import sys
from typing import Any, Final

import orjson

from benchmarks import walk
from benchmarks.measure import Benchmark, cpu
from benchmarks.samples import MACHINE, MANAGER, SAMPLE, changes, document, machine, pages, raw, wanted
from reconcile.cache import proof
from reconcile.cache.entry import EntryReader
from reconcile.core.schedule import Schedule
from reconcile.kube import decoding, fieldset, patch
from reconcile.kube.objects import decode_meta
from reconcile.kube.pages import read_page
from reconcile.kube.watch import Lines, decode_event

# the queue


def schedule(count: int) -> float:
    """Add all keys, then take and give back one after the other."""
    plan: Schedule[int] = Schedule()
    with cpu(count) as spent:
        for key in range(count):
            plan.add(key, 0.0)
        while (taken := plan.take(1.0)) is not None:
            plan.done(taken, 1.0)
    return spent.each


# from the wire to an entry


def watch_lines(count: int) -> float:
    """Cut a stream into lines and read their events, objects as bytes."""
    pieces, lines = changes(count), Lines()
    with cpu(count) as spent:
        for piece in pieces:
            for line in lines.feed(piece):
                decode_event(line)
    return spent.each


def page(count: int) -> float:
    """Cut a page of ``samples.PAGE`` into objects; a figure for each of ``count`` objects."""
    bodies = pages(count)
    with cpu(count) as spent:
        for body in bodies:
            read_page(body, SAMPLE.name)
    return spent.each


def entry(count: int) -> float:
    """What the cache keeps of an object: managed fields cut out, head decoded."""
    reader, text = EntryReader(SAMPLE, MANAGER), raw()
    with cpu(count) as spent:
        for _ in range(count):
            reader.read(text)
    return spent.each


# codec


def head(count: int) -> float:
    """Decode the head of an object of 1 KB."""
    text = raw()
    with cpu(count) as spent:
        for _ in range(count):
            decode_meta(text)
    return spent.each


def decode_untyped(count: int) -> float:
    """Decode a whole object without a class."""
    codec, text = SAMPLE.codec, raw()
    with cpu(count) as spent:
        for _ in range(count):
            codec.decode(text)
    return spent.each


def decode_typed(count: int) -> float:
    """Decode a whole object as its class."""
    codec, text = MACHINE.codec, orjson.dumps(machine())
    with cpu(count) as spent:
        for _ in range(count):
            codec.decode(text)
    return spent.each


def structure(count: int) -> float:
    """Make an object of its class from parsed JSON."""
    codec, value = MACHINE.codec, machine()
    with cpu(count) as spent:
        for _ in range(count):
            codec.structure(value)
    return spent.each


def encode(count: int) -> float:
    """A typed object as plain data."""
    codec, value = MACHINE.codec, MACHINE.codec.structure(machine())
    with cpu(count) as spent:
        for _ in range(count):
            codec.encode(value)
    return spent.each


def update_document(count: int) -> float:
    """What an update sends of a typed object that was read."""
    codec, value = MACHINE.codec, MACHINE.codec.decode(orjson.dumps(machine()))
    with cpu(count) as spent:
        for _ in range(count):
            codec.document(value)
    return spent.each


def converter(count: int) -> float:
    """Build the reader of typed objects, as happens once in a process."""
    with cpu(count) as spent:
        for _ in range(count):
            decoding.converter.cache_clear()
            MACHINE.codec.structure(machine())
    return spent.each / 1e3


# patch


def merge(count: int) -> float:
    """The smallest patch between two objects that differ in one field."""
    old, new = machine(), machine("Off")
    with cpu(count) as spent:
        for _ in range(count):
            patch.merge(old, new)
    return spent.each


def no_op(count: int) -> float:
    """See from a document in bytes that a patch changes nothing."""
    text, change = raw(), patch.MergePatch({"metadata": {"labels": {"bench": "source"}}, "data": {"color": "blue"}})
    with cpu(count) as spent:
        for _ in range(count):
            proof.is_met(orjson.loads(text), change, is_partial=False)
    return spent.each


def covers(count: int) -> float:
    """Prove from parsed JSON that an apply changes nothing."""
    live, body = document(0), wanted(0)
    fields: dict[str, Any] = live["metadata"]["managedFields"][0]["fieldsV1"]
    assert fieldset.covers(fields, body, live)
    with cpu(count) as spent:
        for _ in range(count):
            fieldset.covers(fields, body, live)
    return spent.each


def is_applied(count: int) -> float:
    """The same from what the cache keeps."""
    known, body = EntryReader(SAMPLE, MANAGER).read(raw()), wanted(0)
    assert proof.is_applied(known, body)
    with cpu(count) as spent:
        for _ in range(count):
            proof.is_applied(known, body)
    return spent.each


# the first import

_PROBE: Final = """
import sys, time
cpu = time.process_time() * 1e3
try:
    with open("/proc/self/status") as status:
        [resident] = [int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS:")]
except OSError:
    import resource
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)
print(cpu, resident)
"""
NOTHING: Final = "pass"
PACKAGE: Final = "import reconcile"
ALL: Final = "from reconcile import *"
"""Every word that the package offers; each loads what it needs."""


def after(statement: str) -> tuple[float, float]:
    """CPU (ms) and resident memory (MB) of a fresh interpreter that did just this, its own start included."""
    command = (sys.executable, "-c", f"{statement}\n{_PROBE}")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    spent, resident = map(float, done.stdout.split())
    return spent, resident


BENCHMARKS: Final = (
    Benchmark("queue: add, take, done in the schedule", "us", 20_000, schedule),
    Benchmark(f"queue: a key through {walk.WORKERS} workers", "us", 20_000, walk.work_queue),
    Benchmark("cache: cut and read a watch line", "us", 5_000, watch_lines),
    Benchmark("cache: cut an object out of a page", "us", 5_000, page),
    Benchmark("cache: entry of an object", "us", 10_000, entry),
    Benchmark("cache: watch line to handler", "us", 10_000, walk.change),
    Benchmark("cache: first list, an object of pages", "us", 20_000, walk.first_list, rounds=3),
    Benchmark("cache: first list, an object of a stream", "us", 20_000, walk.first_stream, rounds=3),
    Benchmark("cache: first list, longest block by pages", "ms", 20_000, walk.longest_block_of_list, rounds=3),
    Benchmark("cache: first list, longest block by stream", "ms", 20_000, walk.longest_block_of_stream, rounds=3),
    Benchmark("cache: memory of an object of 1 KB", "bytes", 20_000, walk.memory, rounds=1),
    Benchmark("codec: head", "us", 20_000, head),
    Benchmark("codec: decode, untyped", "us", 10_000, decode_untyped),
    Benchmark("codec: decode, typed", "us", 1_000, decode_typed),
    Benchmark("codec: structure", "us", 1_000, structure),
    Benchmark("codec: encode", "us", 1_000, encode),
    Benchmark("codec: document of an update", "us", 500, update_document),
    Benchmark("codec: first use of a class", "ms", 3, converter),
    Benchmark("patch: merge", "us", 3_000, merge),
    Benchmark("patch: no-op check", "us", 5_000, no_op),
    Benchmark("patch: proof of an apply", "us", 5_000, covers),
    Benchmark("patch: proof of an apply, from the cache", "us", 5_000, is_applied),
    Benchmark("controller: empty reconcile", "us", 5_000, walk.empty_reconcile),
    Benchmark("controller: watch line to empty reconcile", "us", 5_000, walk.change_to_reconcile),
    Benchmark("client: apply that is not sent", "us", 5_000, walk.apply_proven),
    Benchmark("client: apply, without the wire", "us", 2_000, walk.apply_sent),
    Benchmark("client: apply on the loopback", "us", 2_000, walk.apply_on_loopback),
    Benchmark("client: call of the transport", "us", 3_000, walk.call_on_loopback),
    Benchmark("import: nothing, CPU", "ms", 1, lambda _: after(NOTHING)[0]),
    Benchmark("import: reconcile, CPU", "ms", 1, lambda _: after(PACKAGE)[0]),
    Benchmark("import: all words of reconcile, CPU", "ms", 1, lambda _: after(ALL)[0]),
    Benchmark("import: nothing, resident", "MB", 1, lambda _: after(NOTHING)[1], rounds=1),
    Benchmark("import: reconcile, resident", "MB", 1, lambda _: after(PACKAGE)[1], rounds=1),
    Benchmark("import: all words of reconcile, resident", "MB", 1, lambda _: after(ALL)[1], rounds=1),
)
