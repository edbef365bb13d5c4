"""The cells of a pod: what state it is in, told from all its containers.

Pure. Source: k8s.io/kubernetes, ``pkg/printers/internalversion/printers.go`` (printPod).
"""

from collections.abc import Callable
from typing import Any, Final

import attrs

from reconcile.testing.apiserver.failure import Document

_NONE: Final = "<none>"


@attrs.define
class _Tally:
    restarts: int = 0
    last: str = ""

    def add(self, status: Document) -> None:
        self.restarts += status.get("restartCount", 0)
        ended = ((status.get("lastState") or {}).get("terminated") or {}).get("finishedAt")
        self.last = max(self.last, ended or "")


def pod(document: Document, since: Callable[[str | None], str]) -> list[Any]:
    """Name, ready containers, state, restarts, age; and what is shown to who wants more."""
    spec, status, metadata = document.get("spec") or {}, document.get("status") or {}, document["metadata"]
    of_init = {one["name"]: one for one in spec.get("initContainers") or ()}
    total = len(spec.get("containers") or ()) + sum(map(_restarts_always, of_init.values()))
    reason = status.get("reason") or status.get("phase", "")
    if any(
        c["type"] == "PodScheduled" and c.get("reason") == "SchedulingGated" for c in status.get("conditions") or ()
    ):
        reason = "SchedulingGated"
    tally, sidecars, ready = _Tally(), _Tally(), 0
    waiting = ""
    for index, one in enumerate(status.get("initContainerStatuses") or ()):
        tally.add(one)
        always = _restarts_always(of_init.get(one["name"], {}))
        if always:
            sidecars.add(one)
        state = one.get("state") or {}
        ended = state.get("terminated")
        if ended is not None and not ended.get("exitCode"):
            continue
        if always and one.get("started"):
            ready += bool(one.get("ready"))
            continue
        waiting = _initialising(state, index, len(of_init))
        break
    reason = waiting or reason
    if not waiting or _holds(status, "Initialized"):
        tally = sidecars
        reason, ready = _running(status, reason, tally, ready)
    if metadata.get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            reason = "Unknown"
        elif status.get("phase") not in ("Failed", "Succeeded"):
            reason = "Terminating"
    restarts = str(tally.restarts)
    if tally.restarts and tally.last:
        restarts = f"{tally.restarts} ({since(tally.last)} ago)"
    ip = next((one.get("ip") for one in status.get("podIPs") or ()), "")
    return [
        *(metadata.get("name", ""), f"{ready}/{total}", reason, restarts, since(metadata.get("creationTimestamp"))),
        *(ip or _NONE, spec.get("nodeName") or _NONE, status.get("nominatedNodeName") or _NONE, _gates(spec, status)),
    ]


def _restarts_always(container: Document) -> bool:
    return container.get("restartPolicy") == "Always"


def _initialising(state: Document, index: int, count: int) -> str:
    ended, waits = state.get("terminated"), (state.get("waiting") or {}).get("reason", "")
    if ended is not None:
        return f"Init:{_end(ended)}"
    return f"Init:{waits}" if waits and waits != "PodInitializing" else f"Init:{index}/{count}"


def _end(ended: Document) -> str:
    signal = ended.get("signal")
    return ended.get("reason") or (f"Signal:{signal}" if signal else f"ExitCode:{ended.get('exitCode', 0)}")


def _running(status: Document, reason: str, tally: _Tally, ready: int) -> tuple[str, int]:
    runs, wrong = False, ""
    for one in reversed(status.get("containerStatuses") or ()):
        tally.add(one)
        state = one.get("state") or {}
        if (state.get("waiting") or {}).get("reason"):
            reason = state["waiting"]["reason"]
        elif state.get("terminated") is not None:
            reason = _end(state["terminated"])
            wrong = reason if state["terminated"].get("exitCode") else wrong
        elif one.get("ready") and state.get("running") is not None:
            runs = True
            ready += 1
    if reason == "Completed":
        otherwise = wrong or ("NotReady" if runs else reason)
        reason = "Running" if runs and _holds(status, "Ready") else otherwise
    return reason, ready


def _holds(status: Document, type_: str) -> bool:
    return any(one["type"] == type_ and one["status"] == "True" for one in status.get("conditions") or ())


def _gates(spec: Document, status: Document) -> str:
    gates = spec.get("readinessGates") or ()
    return f"{sum(_holds(status, one['conditionType']) for one in gates)}/{len(gates)}" if gates else _NONE


def conditions(document: Document) -> list[Document]:
    """What the row of a pod that is done says besides."""
    phase = (document.get("status") or {}).get("phase")
    says = {
        "Succeeded": "The pod has completed successfully.",
        "Failed": "The pod failed.",
    }.get(phase or "")
    return [{"type": "Completed", "status": "True", "reason": phase, "message": says}] if says else []
