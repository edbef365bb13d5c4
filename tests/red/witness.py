"""Runs tests on the code of the folder it was started in, and prints as JSON what became of each phase of each test.

python -m tests.red.witness TEST...
"""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

PACKAGES = ("reconcile", "provider", "apinetlet")


@define(eq=False)
class Witness:
    """A pytest plugin."""

    told: list[dict[str, Any]] = field(factory=list)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        report = yield
        error = call.excinfo.value if call.excinfo is not None and report.outcome == "failed" else None
        self.told.append(
            {
                "test": item.nodeid,
                "phase": report.when,
                "raised": [kind.__name__ for leaf in _leaves(error) for kind in type(leaf).__mro__],
                "says": str(error)[:500] if error is not None else "",
            }
        )
        return report


def _leaves(error: BaseException | None) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [] if error is None else [error]


def main(tests: list[str]) -> int:
    witness = Witness()
    code = pytest.main(["-q", "-p", "no:randomly", "-p", "no:cacheprovider", "--tb=short", *tests], plugins=[witness])
    for name in PACKAGES:  # not before: pytest wants to be there first
        place = Path(importlib.import_module(name).__file__ or "")
        assert place.is_relative_to(Path.cwd()), f"{name} came from {place}, not from {Path.cwd()}"
    print()
    print(json.dumps({"code": int(code), "told": witness.told}))
    return int(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
