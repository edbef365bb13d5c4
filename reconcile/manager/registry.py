"""Counters, values and distributions in a registry of their own, shown as Prometheus reads them.

The only module that knows the library. Two registries in one process do not mix, and nothing is global. Needs the extra
``metrics``, which is not loaded before a ``Figures`` is made.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from reconcile.manager.web import Call, Reply

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Metric


class Figures:
    """Makes metrics, and a page of them.

    Raises:
        ImportError: the extra is not installed; the text says how to get it.
    """

    def __init__(self) -> None:
        try:
            from prometheus_client import CollectorRegistry, ProcessCollector
        except ImportError as missing:
            raise ImportError("metrics need the extra 'metrics': pip install 'apinetlet[metrics]'") from missing
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._samplers: list[Callable[[], None]] = []
        self._showing = asyncio.Lock()

    def counter(self, name: str, text: str, *labels: str) -> "Family":
        """A new counter; ``name`` ends with ``_total``."""
        from prometheus_client import Counter

        return Family(Counter(name, text, labels, registry=self.registry))

    def gauge(self, name: str, text: str, *labels: str) -> "Family":
        """A new value that goes up and down."""
        from prometheus_client import Gauge

        return Family(Gauge(name, text, labels, registry=self.registry))

    def histogram(self, name: str, text: str, *labels: str, bounds: tuple[float, ...]) -> "Family":
        """A new distribution, counted up to each of ``bounds``."""
        from prometheus_client import Histogram

        return Family(Histogram(name, text, labels, registry=self.registry, buckets=bounds))

    def sample(self, read: Callable[[], None]) -> None:
        """Call ``read`` on the loop before each showing, to set what has a value at any time."""
        self._samplers.append(read)

    async def page(self, _: Call) -> Reply:
        """All figures as text. Sampled here, put into words in a thread: that takes milliseconds."""
        from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

        async with self._showing:
            for read in self._samplers:
                read()
            text = await anyio.to_thread.run_sync(generate_latest, _Tidy(self.registry))
        return Reply(text, content_type=CONTENT_TYPE_PLAIN_0_0_4)


class Family(dict[tuple[str, ...], Any]):
    """The children of one metric by the values of their labels: ``family[controller, "success"].inc()``."""

    def __init__(self, metric: Any) -> None:
        super().__init__()
        self._metric = metric

    def __missing__(self, labels: tuple[str, ...]) -> Any:
        child = self[labels] = self._metric.labels(*labels) if labels else self._metric
        return child

    def reset(self) -> None:
        """Forget all children: what is set after that is all there is."""
        self.clear()
        self._metric.clear()


class Counts:
    """A counter whose totals are known elsewhere."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._seen: dict[tuple[str, ...], float] = {}

    def set(self, total: float, *labels: str) -> None:
        """``total`` never goes back."""
        self._family[labels].inc(total - self._seen.get(labels, 0.0))
        self._seen[labels] = total


class _Tidy:
    """A registry without the moments at which counters were made: dashboards know no such series."""

    def __init__(self, registry: "CollectorRegistry") -> None:
        self._registry = registry

    def collect(self) -> "Iterator[Metric]":
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric
