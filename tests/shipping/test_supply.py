"""Every dependency is declared, pinned, and its licence known; who asks for weaknesses is told when nobody answers."""

import re
import sys

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import supply

OURS = {"apinetlet", "provider", "reconcile", "benchmarks", "examples", "tests", "tools"}
DISTRIBUTIONS = {
    "cel_expr_python": "cel-expr-python",
    "google": "protobuf",
    "prometheus_client": "prometheus-client",
    "re2": "google-re2",
    "yaml": "pyyaml",
}
"""Modules that are called otherwise than what brings them."""
OF_THE_SITE = {"mkdocs"}


def test_everything_that_is_imported_comes_with_a_pinned_distribution() -> None:
    pinned = supply.pins()
    unpinned = {
        (module, file)
        for module, file in supply.imported(["reconcile", "provider", "apinetlet"])
        if module not in OURS | sys.stdlib_module_names
        and DISTRIBUTIONS.get(module, canonicalize_name(module)) not in pinned
    }
    assert unpinned == set()


def test_every_declared_dependency_is_pinned_within_its_bounds() -> None:
    pinned = supply.pins()
    for extra, lines in supply.extras().items():
        for line in lines:
            wanted = Requirement(line)
            name = canonicalize_name(wanted.name)
            assert name == "apinetlet" or pinned[name] in wanted.specifier, (extra, line)


@pytest.mark.slow
def test_everything_that_those_need_is_pinned_at_the_version_that_is_installed() -> None:
    pinned = supply.pins()
    needed = supply.needed(["dev"], supply.installed())
    assert {name: one.version for name, one in needed.items()} == {name: pinned.get(name) for name in needed}


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the page is of the Python of the image")
def test_the_page_of_licences_is_current_and_none_is_unknown() -> None:
    page = supply.page()
    assert supply.PAGE.read_text() == page, "run make tables"
    assert "not stated" not in page
    assert "not pinned" not in page


def test_no_licence_asks_for_more_than_to_be_named() -> None:
    """What ships is under licences that allow linking from anywhere."""
    shipped = supply.PAGE.read_text().split("\n## ")[1]
    licences = set(re.findall(r"^\| \S+ \| \S+ \| (.+) \|$", shipped, re.MULTILINE))
    assert [one for one in licences if re.search(r"\b[AL]?GPL", one)] == []


_SKIPPED = "attrs  Dependency not found on PyPI and could not be audited: attrs (26.1.0)\n"


@pytest.mark.parametrize(
    ("status", "out", "said", "expected", "told"),
    [
        (0, "", "No known vulnerabilities found", 0, ""),
        (1, "", "Found 1 known vulnerability in 1 package", 1, ""),
        (1, "", "requests.exceptions.ConnectionError: Max retries exceeded", 3, "cannot be reached"),
        (0, _SKIPPED, "No known vulnerabilities found", 3, "nothing could be learnt of 1 dep"),
        (1, _SKIPPED, "Found 1 known vulnerability in 1 package", 1, "nothing could be learnt of 1 dep"),
    ],
    ids=["nothing", "something", "nobody answers", "nobody knows", "something, and nobody knows the rest"],
)
def test_an_audit_that_reaches_nobody_says_that_nothing_is_known(
    capsys: pytest.CaptureFixture[str], status: int, out: str, said: str, expected: int, told: str
) -> None:
    assert supply.verdict(status, out, said) == expected
    assert told in capsys.readouterr().err
