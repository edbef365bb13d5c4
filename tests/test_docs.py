"""What the documents say about the repository is true: tables are current, links lead somewhere."""

import re
from pathlib import Path

import pytest

from tools import pains

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOT_DUE = {25}
"""It belongs to the next half of the embedded API server."""


def test_the_table_of_pains_is_the_one_that_the_marks_make() -> None:
    page = pains.PAGE.read_text()
    assert pains.replaced(page, pains.table(list(pains.proofs()))) == page, "run tools/pains.py --write"


def test_every_pain_that_is_due_has_a_test() -> None:
    assert pains.PAINS.keys() - {proof.pain for proof in pains.proofs()} <= NOT_DUE


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_names_a_place_on_somebodys_machine(page: Path) -> None:
    assert re.findall(r"(?:^|[\s\"'`(])(/(?:work|root|home)/[^\s`]*)", page.read_text()) == []
