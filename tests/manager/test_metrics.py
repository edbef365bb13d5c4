"""The figures carry the names and labels that existing dashboards ask for, and tell what happened."""

import sys

import anyio
import pytest

from reconcile.core.queue import WorkQueue
from reconcile.core.schedule import LOW
from reconcile.kube.errors import ConnectionFailed, Unavailable
from reconcile.manager.metrics import PRIORITIES, Metrics
from reconcile.manager.web import Call


async def shown(metrics: Metrics) -> dict[str, float]:
    """The samples of the page, by name with labels."""
    page = (await metrics.figures.page(Call())).body.decode()
    lines = (line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in lines}


async def test_a_reconcile_is_counted_under_the_names_of_controller_runtime() -> None:
    metrics = Metrics()
    metrics.controllers.workers("net", 4)
    metrics.controllers.active("net", 2)
    for result in ("success", "success", "requeue_after", "conflict", "error", "terminal", "timeout", "panic"):
        metrics.controllers.reconciled("net", result, 0.2)
    figures = await shown(metrics)
    total = 'controller_runtime_reconcile_total{controller="net",result='
    assert {name: value for name, value in figures.items() if name.startswith(total)} == {
        f'{total}"success"}}': 2,
        f'{total}"requeue_after"}}': 1,
        f'{total}"requeue"}}': 1,
        f'{total}"error"}}': 4,
    }
    of_net = '{controller="net"}'
    assert figures[f"controller_runtime_reconcile_errors_total{of_net}"] == 4
    assert figures[f"controller_runtime_terminal_reconcile_errors_total{of_net}"] == 1
    assert figures[f"controller_runtime_reconcile_panics_total{of_net}"] == 1
    assert figures[f"controller_runtime_reconcile_timeouts_total{of_net}"] == 1
    assert figures[f"controller_runtime_reconcile_time_seconds_count{of_net}"] == 8
    assert figures['controller_runtime_reconcile_time_seconds_bucket{controller="net",le="0.15"}'] == 0
    assert figures['controller_runtime_reconcile_time_seconds_bucket{controller="net",le="0.2"}'] == 8
    assert figures[f"controller_runtime_max_concurrent_reconciles{of_net}"] == 4
    assert figures[f"controller_runtime_active_workers{of_net}"] == 2


async def test_a_controller_that_has_done_nothing_is_there_with_zeros() -> None:
    metrics = Metrics()
    metrics.controllers.workers("net", 1)
    figures = await shown(metrics)
    assert figures['controller_runtime_reconcile_total{controller="net",result="error"}'] == 0
    assert figures['controller_runtime_reconcile_panics_total{controller="net"}'] == 0
    assert figures['self_triggers_total{controller="net"}'] == 0


async def test_a_queue_in_which_nothing_waits_is_there_with_zeros() -> None:
    metrics = Metrics()
    metrics.queues.sample([WorkQueue[str]("net")])
    figures = await shown(metrics)
    labels = 'controller="net",name="net",priority="0"'
    assert figures[f"workqueue_depth{{{labels}}}"] == figures[f"workqueue_oldest_wait_seconds{{{labels}}}"] == 0


@pytest.mark.pain(35)
async def test_a_queue_shows_its_depth_by_priority_its_oldest_wait_and_the_work_going_on() -> None:
    metrics = Metrics()
    queue: WorkQueue[str] = WorkQueue("net", observer=metrics.queues.observer("net"))
    queue.add("a")
    queue.add("a")
    assert await queue.get() == "a"
    await anyio.sleep(3)
    queue.add("b")
    queue.add("c", priority=LOW)
    queue.add("later", after=60)
    await anyio.sleep(2)
    metrics.figures.sample(lambda: metrics.queues.sample([queue]))
    figures = await shown(metrics)
    of_net = 'controller="net",name="net"'
    assert figures[f"workqueue_adds_total{{{of_net}}}"] == 4
    assert figures[f'workqueue_depth{{{of_net},priority="0"}}'] == 1
    assert figures[f'workqueue_depth{{{of_net},priority="-100"}}'] == 1
    assert figures[f'workqueue_oldest_wait_seconds{{{of_net},priority="-100"}}'] == 2
    assert figures[f"workqueue_unfinished_work_seconds{{{of_net}}}"] == 5
    assert figures[f"workqueue_longest_running_processor_seconds{{{of_net}}}"] == 5
    queue.done("a")
    for key in ("b", "c"):
        assert await queue.get() == key
        queue.retry(key)
        queue.done(key)
    figures = await shown(metrics)
    assert figures[f"workqueue_retries_total{{{of_net}}}"] == 2
    assert figures[f"workqueue_work_duration_seconds_sum{{{of_net}}}"] == 5
    assert figures[f"workqueue_queue_duration_seconds_count{{{of_net}}}"] == 3
    assert figures[f'workqueue_depth{{{of_net},priority="0"}}'] == 0
    assert f'workqueue_depth{{{of_net},priority="-100"}}' not in figures


async def test_priorities_beyond_a_bound_share_a_label() -> None:
    metrics = Metrics()
    queue: WorkQueue[int] = WorkQueue("net")
    for number in range(40):
        queue.add(number, priority=number)
    metrics.queues.sample([queue])
    depths = {name: value for name, value in (await shown(metrics)).items() if name.startswith("workqueue_depth")}
    assert len(depths) == PRIORITIES + 1
    shared = 'workqueue_depth{controller="net",name="net",priority="exceeded_cardinality_limit"}'
    assert depths[shared] == 40 - PRIORITIES


async def test_requests_are_counted_as_client_go_does() -> None:
    metrics = Metrics()
    metrics.clients.request("GET", "api:443", "200", 0.02)
    metrics.clients.request("PATCH", "api:443", "<error>", 1.5)
    metrics.clients.retried("PATCH", "api:443", ConnectionFailed("cut", sent=True))
    metrics.clients.retried("GET", "api:443", Unavailable("later", code=503))
    metrics.clients.paused("api:443", 2.5)
    figures = await shown(metrics)
    assert figures['rest_client_requests_total{code="200",host="api:443",method="GET"}'] == 1
    assert figures['rest_client_requests_total{code="<error>",host="api:443",method="PATCH"}'] == 1
    assert figures['rest_client_request_retries_total{code="<error>",host="api:443",verb="PATCH"}'] == 1
    assert figures['rest_client_request_retries_total{code="503",host="api:443",verb="GET"}'] == 1
    assert figures['rest_client_request_duration_seconds_sum{host="api:443",verb="PATCH"}'] == 1.5
    assert figures['rest_client_rate_limiter_duration_seconds_sum{host="api:443",verb=""}'] == 2.5


async def test_two_managers_do_not_share_figures() -> None:
    ours, theirs = Metrics(), Metrics()
    ours.controllers.reconciled("net", "success", 1.0)
    assert not [name for name in await shown(theirs) if "net" in name]


async def test_no_series_tells_when_a_counter_was_made() -> None:
    metrics = Metrics()
    metrics.controllers.reconciled("net", "success", 1.0)
    assert not [name for name in await shown(metrics) if "_created" in name]


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ImportError, match=r"metrics need the extra 'metrics': pip install 'apinetlet\[metrics\]'"):
        Metrics()
