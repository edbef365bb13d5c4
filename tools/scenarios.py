"""Which test tells which acceptance scenario: the table of docs/testing.md, made from the names of the tests.

    python tools/scenarios.py           # prints the table
    python tools/scenarios.py --write   # puts it into docs/testing.md

A test says which scenario it tells by the start of its name: ``test_vip_6_an_address_is_given_back_only_after…`` tells
VIP-6. The sources are read, not run.
"""

import argparse
import ast
import pathlib
import re
from collections.abc import Iterator, Mapping

from attrs import frozen

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "testing.md"
START, END = "<!-- scenarios: made by tools/scenarios.py -->\n", "<!-- end of scenarios -->\n"

SCENARIOS: Mapping[str, int] = {"NET": 16, "LB": 17, "NAT": 12, "NIC": 16, "VIP": 12, "NP": 12, "PEER": 13, "CRED": 4}
"""How many there are of each kind, counted from 1."""
UPSTREAM: Mapping[str, str] = {
    **dict.fromkeys(("NET-1", "NET-2", "NET-3", "NET-4", "LB-1", "NAT-1", "NIC-1", "VIP-1", "VIP-2", "VIP-3"), "both"),
    **dict.fromkeys(("LB-2", "LB-3", "LB-4", "NAT-2", "NIC-2", "NIC-3"), "ironcore"),
    **dict.fromkeys(("NP-1", "NP-2", "NP-3", *(f"PEER-{number}" for number in range(1, 7))), "ironcore"),
}
"""The scenarios that the Go daemon's own tests tell, too, and of which generation."""
UNPAIRED = ("NP", "PEER", "CRED")
"""What only ``ironcore`` has, or what is one and the same in both generations."""
_NAME = re.compile(rf"test_({'|'.join(SCENARIOS).lower()})_(\d+)_")


@frozen
class Telling:
    """A test that tells a scenario."""

    scenario: str
    file: pathlib.PurePosixPath
    name: str


def scenarios() -> list[str]:
    """The ids of all of them."""
    return [f"{kind}-{number}" for kind, count in SCENARIOS.items() for number in range(1, count + 1)]


def tellings(root: pathlib.Path = ROOT) -> Iterator[Telling]:
    """Every test of a scenario, in the order of files and lines."""
    for path in sorted((root / "tests").rglob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (found := _NAME.match(node.name)):
                kind, number = found.groups()
                file = pathlib.PurePosixPath(path.relative_to(root).as_posix())
                yield Telling(f"{kind.upper()}-{number}", file, node.name)


def table(found: list[Telling]) -> str:
    """The table in Markdown: a row a scenario, its tests in order."""
    rows = ["| scenario | test | of the Go daemon too |", "|---|---|---|"]
    for scenario in scenarios():
        tests = [f"`{one.file}::{one.name}`" for one in found if one.scenario == scenario]
        rows.append(f"| {scenario} | {'<br>'.join(tests) or 'none yet'} | {UPSTREAM.get(scenario, '')} |")
    return "\n".join(rows) + "\n"


def replaced(page: str, content: str) -> str:
    """``page`` with what stands between the marks replaced."""
    before, rest = page.split(START)
    _, after = rest.split(END)
    return before + START + content + END + after


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the table into docs/testing.md")
    content = table(list(tellings()))
    if parser.parse_args().write:
        PAGE.write_text(replaced(PAGE.read_text(), content))
    else:
        print(content, end="")


if __name__ == "__main__":
    main()
