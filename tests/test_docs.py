"""What the documents say about the repository is true: tables are current, links lead somewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from apinetlet.api import GENERATIONS
from tools import pains, scenarios

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOT_DUE: set[int] = set()
"""Pains that nothing is promised against yet."""


def test_the_table_of_pains_is_the_one_that_the_marks_make() -> None:
    page = pains.PAGE.read_text()
    assert pains.replaced(page, pains.table(pains.proofs(), pains.red())) == page, "run tools/pains.py --write"


def test_every_pain_that_is_due_has_a_test() -> None:
    assert pains.PAINS.keys() - {proof.pain for proof in pains.proofs()} <= NOT_DUE


def test_every_test_that_was_seen_red_is_marked_with_the_pain_it_was_seen_red_for() -> None:
    marked = pains.proofs()
    unmarked = [
        seen
        for seen in pains.red().tests
        if not any(seen.pain == one.pain and pains.is_in(seen.test, one.test) for one in marked)
    ]
    assert unmarked == []


def test_the_table_of_scenarios_is_the_one_that_the_names_make() -> None:
    page = scenarios.PAGE.read_text()
    assert scenarios.replaced(page, scenarios.table(list(scenarios.tellings()))) == page, (
        "run tools/scenarios.py --write"
    )


def test_every_scenario_has_a_test_and_no_test_tells_one_that_is_not_there() -> None:
    assert {one.scenario for one in scenarios.tellings()} == set(scenarios.scenarios())


def test_every_scenario_is_told_in_both_generations_but_the_one_that_only_one_of_them_has() -> None:
    """Asks pytest what it would run: a test that is not parametrized by generation tells of one."""
    words = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:randomly", "tests/scenarios"]
    asked = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    told = {
        (f"{kind.upper()}-{number}", generation)
        for kind, number, generation in re.findall(
            r"::test_(net|lb|nat|nic|vip)_(\d+)_\w+\[[^\]]*\b(onmetal|ironcore)\b", asked.stdout
        )
    }
    due = [one for one in scenarios.scenarios() if one.partition("-")[0] not in scenarios.UNPAIRED]
    assert {(scenario, name) for scenario in due for name in GENERATIONS} - told == {("LB-4", "onmetal")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_names_a_place_on_somebodys_machine(page: Path) -> None:
    assert re.findall(r"(?:^|[\s\"'`(])(/(?:work|root|home)/[^\s`]*)", page.read_text()) == []


def test_every_test_that_a_page_names_is_there() -> None:
    named = {found for page in PAGES for found in re.findall(r"(tests/[\w/]+\.py)::(test_\w+)", page.read_text())}
    sources = {file: (ROOT / file).read_text() for file, _ in named}
    assert named
    assert [name for file, name in sorted(named) if f"def {name}(" not in sources[file]] == []
