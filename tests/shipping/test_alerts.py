"""Debian's promtool takes the rules, fires each alert on figures that mean it, and none on figures of a good day."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.deploy.alerts import ALERTS
from tools.deploy.write import FOLDER

RULES = FOLDER / "monitoring" / "rules.yaml"
pytestmark = pytest.mark.proof

Series = dict[str, str]
"""Figures by minute, in promtool's notation, by series."""
GOOD: Series = {
    'up{job="apinetlet",instance="a"}': "1x200",
    'up{job="apinetlet",instance="b"}': "0x200",
    'leader_election_master_status{job="apinetlet",name="lease",instance="a"}': "1x200",
    'leader_election_master_status{job="apinetlet",name="lease",instance="b"}': "0x200",
    'informer_staleness_seconds{job="apinetlet",cluster="source",resource="networks"}': "5x200",
    'workqueue_oldest_wait_seconds{job="apinetlet",controller="network"}': "1x200",
    'controller_runtime_reconcile_total{job="apinetlet",controller="network",result="success"}': "0+60x200",
    'controller_runtime_reconcile_errors_total{job="apinetlet",controller="network"}': "0+1x200",
    'controller_runtime_reconcile_panics_total{job="apinetlet",controller="network"}': "0x200",
    'apinetlet_objects{job="apinetlet",kind="Network",state="mapped",reason=""}': "9x200",
    'apinetlet_clean_up_held{job="apinetlet",kind="Network"}': "0x200",
    'self_triggers_total{job="apinetlet",controller="network"}': "0x200",
    'rest_client_requests_total{job="apinetlet",host="source",code="200"}': "0+60x200",
    'rest_client_requests_total{job="apinetlet",host="source",code="500"}': "0+1x200",
    'client_certificate_ttl_seconds{job="apinetlet",name="source"}': "86400x200",
    'client_certificate_renewals_total{job="apinetlet",name="source",outcome="failed"}': "0x100 1x100",
    'loop_lag_seconds_bucket{job="apinetlet",le="0.1"}': "0+60x200",
    'loop_lag_seconds_bucket{job="apinetlet",le="+Inf"}': "0+60x200",
    'process_resident_memory_bytes{job="apinetlet"}': "90000000x200",
    # of somebody else's controller: nobody's concern here
    'leader_election_master_status{job="other",name="lease"}': "0x200",
    'workqueue_oldest_wait_seconds{job="other",controller="x"}': "9999x200",
}
BAD: dict[str, Series] = {
    "ApinetletDown": {'up{job="apinetlet",instance="a"}': "0x200"},
    "ApinetletNoLeader": {'leader_election_master_status{job="apinetlet",name="lease",instance="a"}': "0x200"},
    "ApinetletCopyStale": {
        'informer_staleness_seconds{job="apinetlet",cluster="source",resource="networks"}': "0+60x200"
    },
    "ApinetletWorkWaits": {'workqueue_oldest_wait_seconds{job="apinetlet",controller="network"}': "0+60x200"},
    "ApinetletReconcilesFail": {
        'controller_runtime_reconcile_errors_total{job="apinetlet",controller="network"}': "0+40x200"
    },
    "ApinetletObjectsFail": {
        'apinetlet_objects{job="apinetlet",kind="Network",state="failing",reason="Conflict"}': "1x200"
    },
    "ApinetletObjectsWait": {
        'apinetlet_objects{job="apinetlet",kind="LoadBalancer",state="waiting",reason="NetworkNotFound"}': "2x200"
    },
    "ApinetletCleanUpHeld": {'apinetlet_clean_up_held{job="apinetlet",kind="Network"}': "1x200"},
    "ApinetletPanics": {
        'controller_runtime_reconcile_panics_total{job="apinetlet",controller="network"}': "0x85 1x120"
    },
    "ApinetletAnswersItself": {'self_triggers_total{job="apinetlet",controller="network"}': "0x60 1x140"},
    "ApinetletRequestsForbidden": {
        'rest_client_requests_total{job="apinetlet",host="source",code="403"}': "0+1x200"
    },
    "ApinetletServerFails": {'rest_client_requests_total{job="apinetlet",host="source",code="500"}': "0+20x200"},
    "ApinetletRenewalsFail": {
        'client_certificate_renewals_total{job="apinetlet",name="source",outcome="failed"}': "0+1x200"
    },
    "ApinetletCertificateEnds": {'client_certificate_ttl_seconds{job="apinetlet",name="source"}': "5400-60x200"},
    "ApinetletLoopLags": {'loop_lag_seconds_bucket{job="apinetlet",le="0.1"}': "0+10x200",
                          'loop_lag_seconds_bucket{job="apinetlet",le="2.5"}': "0+60x200"},
    "ApinetletMemoryNearLimit": {'process_resident_memory_bytes{job="apinetlet"}': "250000000x200"},
}  # fmt: skip
MOMENT = "95m"


@pytest.fixture(scope="module")
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        if os.environ.get("REQUIRE_REAL") == "1":
            raise AssertionError("needs Debian's prometheus: tools/debian-programs prometheus")
        pytest.skip("needs Debian's prometheus: tools/debian-programs prometheus")
    return found


def test_the_rules_are_read_without_complaint(promtool: str) -> None:
    said = subprocess.run([promtool, "check", "rules", RULES], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr
    assert f"{len(ALERTS)} rules found" in said.stdout


def test_there_is_a_bad_day_for_each_alert() -> None:
    assert BAD.keys() == {one.name for one in ALERTS}


def test_a_good_day_raises_nothing(promtool: str, tmp_path: Path) -> None:
    check(promtool, tmp_path, [(GOOD, set())])


def test_each_alert_is_raised_on_its_bad_day_and_no_other_one(promtool: str, tmp_path: Path) -> None:
    check(promtool, tmp_path, [({**GOOD, **series}, {name}) for name, series in BAD.items()])


def check(promtool: str, folder: Path, days: list[tuple[Series, set[str]]]) -> None:
    tests = [_day(series, raised) for series, raised in days]
    file = folder / "test.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    said = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr


def _day(series: Series, raised: set[str]) -> dict[str, Any]:
    """Names of alerts that are firing, counted by Prometheus itself: it keeps a series of them."""
    expected = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(raised)]
    asked = {"expr": 'count by (alertname) (ALERTS{alertstate="firing"})', "eval_time": MOMENT, "exp_samples": expected}
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [asked],
    }
