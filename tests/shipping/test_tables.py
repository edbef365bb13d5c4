"""What is made from declarations is current, and leaves nothing out."""

import re

from tools import reference
from tools.deploy.alerts import ALERTS
from tools.deploy.dashboard import queries

ROOT = reference.ROOT
RUNBOOKS = (ROOT / "docs" / "runbooks.md").read_text()
OF_PROMETHEUS = {"up"}


def test_the_reference_is_the_one_that_the_declarations_make() -> None:
    assert reference.PAGE.read_text() == reference.page(), "run make tables"


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert re.findall(r"^## (\w+)$", RUNBOOKS, re.MULTILINE) == [one.name for one in ALERTS]
    for section in RUNBOOKS.split("\n## ")[1:]:
        assert "**Means**" in section
        assert "**Do** " in section


def test_alerts_and_dashboard_ask_for_no_figure_that_there_is_not() -> None:
    known = set(re.findall(r"^\| `(\w+)` \|", reference.metric_table(), re.MULTILINE)) | OF_PROMETHEUS
    asked = {
        re.sub(r"_bucket$", "", name)
        for query in (*queries(), *(one.expression for one in ALERTS))
        for name in re.findall(r"(\w+)\{", query)
    }
    assert asked <= known


def test_every_reason_of_an_event_is_explained() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    assert [reason for reason in reference.reasons() if f"`{reason}`" not in page] == []
