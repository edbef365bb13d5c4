"""What the server counts about itself, in the text format of Prometheus.

Names and labels are those of the real server, as far as there is something to count. Pure but for the process's own
figures, which are read when they are asked for.
"""

import bisect
import resource as usage
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import attrs

from reconcile.core.clock import Seconds
from reconcile.kube.request import RequestInfo

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_Key = tuple[str, str, str, str, str, str]


@attrs.define
class _Times:
    """How long requests of one sort took."""

    counts: list[int] = attrs.field(factory=lambda: [0] * (len(_BUCKETS) + 1))
    total: Seconds = 0.0


@attrs.define(eq=False)
class Metrics:
    """Counters of one server."""

    requests: Counter[tuple[_Key, int]] = attrs.field(factory=Counter)
    times: dict[_Key, _Times] = attrs.field(factory=dict)

    def note(self, info: RequestInfo | None, code: int, took: Seconds) -> None:
        """A request was answered; of a watch, its head."""
        if info is None:
            key = ("", "", "", "", "", "")
        else:
            verb = _VERBS.get(info.verb, info.verb.upper())
            scope = "resource" if info.name else "namespace" if info.namespace else "cluster"
            key = (verb, info.group, info.version, info.plural, info.subresource, scope)
        self.requests[key, code] += 1
        times = self.times.get(key)
        if times is None:
            times = self.times[key] = _Times()
        times.counts[bisect.bisect_left(_BUCKETS, took)] += 1
        times.total += took

    def text(self, *, watches: int, objects: Mapping[str, int], version: int) -> str:
        """The page."""
        return "\n".join(self._lines(watches, objects, version)) + "\n"

    def _lines(self, watches: int, objects: Mapping[str, int], version: int) -> Iterator[str]:
        yield from _about("apiserver_request_total", "counter", "Requests by verb, resource and code.")
        for (key, code), count in sorted(self.requests.items()):
            yield f"apiserver_request_total{_labels(key, code=str(code))} {count}"
        yield from _about("apiserver_request_duration_seconds", "histogram", "Time to an answer.")
        for key, times in sorted(self.times.items()):
            name, count = "apiserver_request_duration_seconds", 0
            for limit, here in zip((*_BUCKETS, float("inf")), times.counts, strict=True):
                count += here
                yield f"{name}_bucket{_labels(key, le='+Inf' if limit == float('inf') else f'{limit:g}')} {count}"
            yield f"{name}_sum{_labels(key)} {times.total:.6f}"
            yield f"{name}_count{_labels(key)} {count}"
        yield from _about("apiserver_longrunning_requests", "gauge", "Watches that are open.")
        yield f'apiserver_longrunning_requests{{verb="WATCH"}} {watches}'
        yield from _about("apiserver_storage_objects", "gauge", "Objects by resource.")
        for name, count in sorted(objects.items()):
            yield f'apiserver_storage_objects{{resource="{name}"}} {count}'
        yield from _about("apiserver_resource_version", "gauge", "The newest resource version.")
        yield f"apiserver_resource_version {version}"
        yield from _process()


_VERBS: Final = {"deletecollection": "DELETECOLLECTION", "update": "PUT", "create": "POST"}
_NAMES: Final = ("verb", "group", "version", "resource", "subresource", "scope")


def _labels(key: Iterable[str], **more: str) -> str:
    pairs = {**dict(zip(_NAMES, key, strict=True)), **more}
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs.items()) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _about(name: str, kind: str, says: str) -> Iterator[str]:
    yield f"# HELP {name} {says}"
    yield f"# TYPE {name} {kind}"


def _process() -> Iterator[str]:
    used = usage.getrusage(usage.RUSAGE_SELF)
    yield from _about("process_cpu_seconds_total", "counter", "CPU time of the process.")
    yield f"process_cpu_seconds_total {used.ru_utime + used.ru_stime:.2f}"
    yield from _about("process_max_resident_memory_bytes", "gauge", "The most memory the process has had.")
    yield f"process_max_resident_memory_bytes {used.ru_maxrss * (1 if sys.platform == 'darwin' else 1024)}"
