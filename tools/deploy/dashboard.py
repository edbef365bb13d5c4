"""The Grafana dashboard: which figures are looked at side by side.

Every query keeps to the job that is chosen above, as the alerts do.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import frozen

JOB: Final = 'job="$job"'
WIDTH, HEIGHT = 8, 7
"""Of a panel; a row has 24 columns."""


@frozen
class Panel:
    """One picture: queries with the names of their lines. ``unit`` is a word of Grafana's."""

    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    kind: str = "timeseries"


def _quantile(share: float, name: str, by: str) -> str:
    return f"histogram_quantile({share}, sum by (le, {by}) (rate({name}_bucket{{{JOB}}}[5m])))"


ROWS: Final[tuple[tuple[str, tuple[Panel, ...]], ...]] = (
    (
        "What is mapped",
        (
            Panel(
                "Objects by how they stand",
                ((f"max by (kind, state) (apinetlet_objects{{{JOB}}})", "{{kind}} {{state}}"),),
            ),
            Panel(
                "What they wait for",
                (
                    (
                        f'max by (kind, reason) (apinetlet_objects{{{JOB}, state=~"waiting|failing"}})',
                        "{{kind}}: {{reason}}",
                    ),
                ),
            ),
            Panel(
                "Counterparts without a source",
                (
                    (f"max by (kind) (apinetlet_dangling{{{JOB}}})", "{{kind}}"),
                    (f"max by (kind) (apinetlet_clean_up_held{{{JOB}}})", "{{kind}}: held"),
                ),
            ),
        ),
    ),
    (
        "Work",
        (
            Panel(
                "Passes a second",
                (
                    (
                        f"sum by (controller, result) (rate(controller_runtime_reconcile_total{{{JOB}}}[5m]))",
                        "{{controller}} {{result}}",
                    ),
                ),
                "ops",
            ),
            Panel(
                "From a change to its pass",
                (
                    (_quantile(0.5, "event_to_reconcile_seconds", "controller"), "{{controller}} half"),
                    (_quantile(0.99, "event_to_reconcile_seconds", "controller"), "{{controller}} 99 %"),
                ),
                "s",
            ),
            Panel(
                "Waiting for a worker",
                (
                    (f"sum by (controller) (workqueue_depth{{{JOB}}})", "{{controller}} keys"),
                    (f"max by (controller) (workqueue_oldest_wait_seconds{{{JOB}}})", "{{controller}} oldest, s"),
                ),
            ),
            Panel(
                "How long a pass takes",
                ((_quantile(0.99, "controller_runtime_reconcile_time_seconds", "controller"), "{{controller}}"),),
                "s",
            ),
            Panel(
                "Writes a second",
                ((f"sum by (cluster, outcome) (rate(writes_total{{{JOB}}}[5m]))", "{{cluster}} {{outcome}}"),),
                "ops",
            ),
            Panel(
                "Passes that failed",
                (
                    (
                        f"sum by (controller) (rate(controller_runtime_reconcile_errors_total{{{JOB}}}[5m]))",
                        "{{controller}}",
                    ),
                ),
                "ops",
            ),
        ),
    ),
    (
        "Servers and copies",
        (
            Panel(
                "Requests a second",
                ((f"sum by (host, code) (rate(rest_client_requests_total{{{JOB}}}[5m]))", "{{host}} {{code}}"),),
                "ops",
            ),
            Panel(
                "How long an answer takes",
                ((_quantile(0.99, "rest_client_request_duration_seconds", "host, verb"), "{{host}} {{verb}}"),),
                "s",
            ),
            Panel(
                "How old the copies are",
                (
                    (
                        f"max by (cluster, resource) (informer_staleness_seconds{{{JOB}}})",
                        "{{cluster}} {{resource}}",
                    ),
                ),
                "s",
            ),
            Panel(
                "Objects in the copies",
                ((f"max by (cluster, resource) (informer_objects{{{JOB}}})", "{{cluster}} {{resource}}"),),
            ),
            Panel(
                "Lists and watches begun again",
                (
                    (f"sum by (cluster, reason) (rate(informer_relists_total{{{JOB}}}[5m]))", "list: {{reason}}"),
                    (f"sum by (cluster, reason) (rate(watch_restarts_total{{{JOB}}}[5m]))", "watch: {{reason}}"),
                ),
                "ops",
            ),
        ),
    ),
    (
        "The process",
        (
            Panel(
                "Client certificates end in",
                ((f"min by (name) (client_certificate_ttl_seconds{{{JOB}}})", "{{name}}"),),
                "s",
            ),
            Panel("Leaders", ((f"sum(leader_election_master_status{{{JOB}}})", "leaders"),), kind="stat"),
            Panel("Memory", ((f"process_resident_memory_bytes{{{JOB}}}", "{{instance}}"),), "bytes"),
            Panel("CPU", ((f"rate(process_cpu_seconds_total{{{JOB}}}[5m])", "{{instance}}"),), "percentunit"),
            Panel("How late the loop comes round", ((_quantile(0.99, "loop_lag_seconds", "instance"), "99 %"),), "s"),
        ),
    ),
)


def queries() -> Iterable[str]:
    """Every query, with the job filled in."""
    for _, panels in ROWS:
        for panel in panels:
            for query, _ in panel.queries:
                yield query.replace("$job", "apinetlet")


def board() -> Mapping[str, Any]:
    """As Grafana imports it."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS:
        panels.append({"type": "row", "title": title, "gridPos": {"h": 1, "w": 24, "x": 0, "y": y}, "panels": []})
        y += 1
        for number, panel in enumerate(row):
            place = {"h": HEIGHT, "w": WIDTH, "x": number % 3 * WIDTH, "y": y + number // 3 * HEIGHT}
            panels.append(_panel(panel, place))
        y += -(-len(row) // 3) * HEIGHT
    for number, one in enumerate(panels, start=1):
        one["id"] = number
    job: dict[str, Any] = {
        "name": "job",
        "label": "job",
        "type": "query",
        "query": "label_values(apinetlet_objects, job)",
    }
    source = {"name": "source", "label": "source", "type": "datasource", "query": "prometheus"}
    job["datasource"] = {"type": "prometheus", "uid": "$source"}
    job["current"] = {"text": "apinetlet", "value": "apinetlet"}
    return {
        "title": "apinetlet",
        "uid": "apinetlet",
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [source, job]},
        "panels": panels,
    }


def _panel(panel: Panel, place: Mapping[str, int]) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + number), "expr": query, "legendFormat": name}
        for number, (query, name) in enumerate(panel.queries)
    ]
    return {
        "type": panel.kind,
        "title": panel.title,
        "gridPos": place,
        "datasource": {"type": "prometheus", "uid": "$source"},
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": targets,
    }


def text() -> str:
    return json.dumps(board(), indent=2) + "\n"
