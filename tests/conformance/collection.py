"""All cases, in sections."""

from collections import Counter
from importlib import import_module
from typing import Final

from tests.conformance.steps import Case

MODULES: Final = ("storage", "lists", "watches", "patches", "applies", "going", "bodies", "custom")


def all_cases() -> list[Case]:
    """Every case once."""
    cases = [case for name in MODULES for case in import_module(f"tests.conformance.cases.{name}").CASES]
    [*twice] = [name for name, count in Counter(case.id for case in cases).items() if count > 1]
    assert not twice, f"two cases of one name: {twice}"
    return cases
