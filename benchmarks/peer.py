"""One small controller, as an ordinary user would write it, for comparisons with other frameworks.

For each ConfigMap labelled ``bench=source`` it applies a ConfigMap ``derived-<name>`` with the same data and marks the
source as done. Called with ``--kubeconfig FILE --namespace NS --workload w1|w2|w3|w4 --concurrency N --expect N``, it
prints ``BENCH reconciled N`` when N distinct sources were brought to their end, and runs until SIGTERM.
"""

import argparse
from importlib.util import find_spec
from typing import Any

import anyio

from reconcile import (
    DONE,
    Cluster,
    Controller,
    ControllerSettings,
    For,
    Manager,
    Object,
    Request,
    Result,
    Watched,
    changed,
    connect,
)
from reconcile.controller import all_of, label_selector
from reconcile.kube import MergePatch
from reconcile.kube.kinds import CONFIG_MAP

MARK = "bench/done"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--namespace", default="default")
    parser.add_argument("--workload", choices=["w1", "w2", "w3", "w4"], default="w1")
    parser.add_argument("--concurrency", type=int, default=0, help="0: the framework's default")
    parser.add_argument("--expect", type=int, default=0)
    parser.add_argument("--qps", default="default", help="ignored: there is no limit on the client's side")
    parser.add_argument("--predicate", choices=["on", "off"], default="on")
    return parser.parse_args()


class Bench:
    """The controller: what it derives, and which sources it has brought to their end."""

    def __init__(self, cluster: Cluster, expect: int, *, writes: bool) -> None:
        self._cluster, self._expect, self._writes = cluster, expect, writes
        self._finished: set[str] = set()

    async def reconcile(self, request: Request) -> Result:
        source = self._cluster.store(CONFIG_MAP).get(request.key)
        if source is None or source.metadata.is_deleting:
            return DONE
        if self._writes:
            await self._cluster.apply(derived(source))
            if source.metadata.annotations.get(MARK) != source.metadata.uid:
                mark = MergePatch({"metadata": {"annotations": {MARK: source.metadata.uid}}})
                await self._cluster.patch(source, mark)
        self._finish(request.name)
        return DONE

    def _finish(self, name: str) -> None:
        if name not in self._finished:
            self._finished.add(name)
            if len(self._finished) == self._expect:
                print(f"BENCH reconciled {self._expect}", flush=True)


def derived(source: Object) -> dict[str, Any]:
    """All that we want of the ConfigMap that belongs to ``source``."""
    meta = source.metadata
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": meta.name, "uid": meta.uid}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "namespace": meta.namespace,
            "name": f"derived-{meta.name}",
            "labels": {"bench": "derived"},
            "ownerReferences": [owner],
        },
        "data": source["data"],
    }


async def main() -> None:
    flags = options()
    async with connect(flags.kubeconfig, field_manager="bench") as client:
        cluster = Cluster(
            "bench", client, [Watched(CONFIG_MAP, namespaces=(flags.namespace,), labels="bench in (source,derived)")]
        )
        bench = Bench(cluster, flags.expect, writes=flags.workload != "w2")
        is_source = label_selector("bench=source")
        wanted = all_of(is_source, changed("data")) if flags.predicate == "on" else is_source
        controller = Controller(
            "bench",
            bench.reconcile,
            [For(cluster, CONFIG_MAP, predicate=wanted)],
            ControllerSettings(workers=flags.concurrency or ControllerSettings().workers),
        )
        async with Manager([cluster], [controller]) as manager:
            await manager.run(signals=True)


if __name__ == "__main__":
    anyio.run(main, backend_options={"use_uvloop": find_spec("uvloop") is not None})
