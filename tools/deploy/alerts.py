"""The alerts: what is wrong, from which figures it shows, for how long, and how bad it is.

What to do stands in ``docs/runbooks.md``, under the name of the alert. Expressions keep to the job ``apinetlet``, for
other controllers have figures of the same names; they take the highest of all pods, for a standby sees the same world.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

from attrs import frozen

Severity = Literal["critical", "warning", "info"]
JOB: Final = 'job="apinetlet"'


@frozen
class Alert:
    """One alert. ``says`` is a sentence, with labels as Prometheus fills them in."""

    name: str
    expression: str
    lasts: str
    severity: Severity
    says: str


ALERTS: Final = (
    Alert(
        "ApinetletDown",
        f"absent(up{{{JOB}}} == 1)",
        "5m",
        "critical",
        "No apinetlet answers: nothing is mapped.",
    ),
    Alert(
        "ApinetletNoLeader",
        f"sum by (name) (leader_election_master_status{{{JOB}}}) != 1",
        "2m",
        "critical",
        "{{ $value }} pods lead {{ $labels.name }}, and it must be one.",
    ),
    Alert(
        "ApinetletCopyStale",
        f"max by (cluster, resource) (informer_staleness_seconds{{{JOB}}}) > 120",
        "5m",
        "warning",
        "The copy of {{ $labels.resource }} of {{ $labels.cluster }} is {{ $value | humanizeDuration }} old.",
    ),
    Alert(
        "ApinetletWorkWaits",
        f"max by (controller) (workqueue_oldest_wait_seconds{{{JOB}}}) > 300",
        "5m",
        "warning",
        "An object of {{ $labels.controller }} has waited for {{ $value | humanizeDuration }}.",
    ),
    Alert(
        "ApinetletReconcilesFail",
        f"sum by (controller) (rate(controller_runtime_reconcile_errors_total{{{JOB}}}[10m]))"
        f" / sum by (controller) (rate(controller_runtime_reconcile_total{{{JOB}}}[10m])) > 0.5",
        "15m",
        "warning",
        "{{ $value | humanizePercentage }} of the passes of {{ $labels.controller }} fail.",
    ),
    Alert(
        "ApinetletObjectsFail",
        f'max by (kind, reason) (apinetlet_objects{{{JOB}, state="failing"}}) > 0',
        "30m",
        "warning",
        "{{ $value }} objects of {{ $labels.kind }} fail: {{ $labels.reason }}.",
    ),
    Alert(
        "ApinetletObjectsWait",
        f'max by (kind, reason) (apinetlet_objects{{{JOB}, state="waiting"}}) > 0',
        "1h",
        "info",
        "{{ $value }} objects of {{ $labels.kind }} wait: {{ $labels.reason }}.",
    ),
    Alert(
        "ApinetletCleanUpHeld",
        f"max by (kind) (apinetlet_clean_up_held{{{JOB}}}) == 1",
        "5m",
        "critical",
        "So many counterparts of {{ $labels.kind }} have lost their source that none is deleted.",
    ),
    Alert(
        "ApinetletPanics",
        f"sum by (controller) (increase(controller_runtime_reconcile_panics_total{{{JOB}}}[15m])) > 0",
        "0m",
        "warning",
        "A pass of {{ $labels.controller }} raised what no pass should.",
    ),
    Alert(
        "ApinetletAnswersItself",
        f"sum by (controller) (increase(self_triggers_total{{{JOB}}}[1h])) > 0",
        "0m",
        "warning",
        "{{ $labels.controller }} writes the same object again and again.",
    ),
    Alert(
        "ApinetletRequestsForbidden",
        f'sum by (host) (rate(rest_client_requests_total{{{JOB}, code="403"}}[10m])) > 0',
        "10m",
        "warning",
        "{{ $labels.host }} refuses requests for want of rights.",
    ),
    Alert(
        "ApinetletServerFails",
        f'sum by (host) (rate(rest_client_requests_total{{{JOB}, code=~"5..|<error>"}}[10m]))'
        f" / sum by (host) (rate(rest_client_requests_total{{{JOB}}}[10m])) > 0.1",
        "10m",
        "warning",
        "{{ $value | humanizePercentage }} of the requests to {{ $labels.host }} fail.",
    ),
    Alert(
        "ApinetletRenewalsFail",
        f'sum by (name) (increase(client_certificate_renewals_total{{{JOB}, outcome="failed"}}[30m])) > 2',
        "0m",
        "warning",
        "The client certificate for {{ $labels.name }} could not be renewed {{ $value }} times.",
    ),
    Alert(
        "ApinetletCertificateEnds",
        f"min by (name) (client_certificate_ttl_seconds{{{JOB}}}) < 60",
        "0m",
        "critical",
        "The client certificate for {{ $labels.name }} ends in {{ $value | humanizeDuration }}.",
    ),
    Alert(
        "ApinetletLoopLags",
        f"histogram_quantile(0.99, sum by (le) (rate(loop_lag_seconds_bucket{{{JOB}}}[5m]))) > 1",
        "10m",
        "warning",
        "The process comes round {{ $value | humanizeDuration }} late: it has too little CPU, or too much to do.",
    ),
    Alert(
        "ApinetletMemoryNearLimit",
        f"max(process_resident_memory_bytes{{{JOB}}}) > 230e6",
        "15m",
        "warning",
        "It has {{ $value | humanize1024 }}B in memory, and 256 MiB is where the Deployment as shipped ends it.",
    ),
)


def groups(runbooks: str) -> Mapping[str, Any]:
    """The rules as Prometheus reads them; ``runbooks`` is the address of the documents, with a slash at its end."""
    rules = [
        {
            "alert": one.name,
            "expr": one.expression,
            "for": one.lasts,
            "labels": {"severity": one.severity},
            "annotations": {"summary": one.says, "runbook_url": f"{runbooks}runbooks/#{one.name.lower()}"},
        }
        for one in ALERTS
    ]
    return {"groups": [{"name": "apinetlet", "rules": rules}]}
