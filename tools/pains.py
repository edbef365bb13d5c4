"""Which test protects against which pain: the table of docs/testing.md, made from the marks on the tests.

    python tools/pains.py           # prints the table
    python tools/pains.py --write   # puts it into docs/testing.md

A test says what it protects by ``@pytest.mark.pain(number)``; ``tests/red/breakages.toml`` says which of them turn red
when what they protect is taken away. The sources are read, not run.
"""

import argparse
import ast
import functools
import pathlib
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import frozen

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "testing.md"
BREAKAGES = pathlib.PurePosixPath("tests/red/breakages.toml")
START, END = "<!-- pains: made by tools/pains.py -->\n", "<!-- end of pains -->\n"

PAINS: Mapping[int, str] = {
    1: "a watch dies silently (half-open connection)",
    2: "a background task dies and the process stays ready",
    3: "410 answered by asking for the same version again",
    4: "deletions missed in a gap; indexes that leak",
    5: "a line or an answer too large for the reader",
    6: "an expired token or certificate stops the program",
    7: "decisions on a stale cache: duplicates, lost updates",
    8: "conflicts logged as errors and backed off",
    9: "a cache that takes all memory",
    10: "an informer nobody asked for; missing rights hang the start",
    11: "many objects at start delay fresh changes",
    12: "low priority starves",
    13: "one tenant fills the queue",
    14: "a hot loop of a controller over its own writes",
    15: "false differences; own-event filters that lose events",
    16: "a reconcile that hangs for hours",
    17: "a blocked event loop",
    18: "buffers without a bound",
    19: "two leaders; a lease lost or released too late",
    20: "finalizers stuck, needless or fought over",
    21: "state kept in annotations of users' objects",
    22: "changes lost while handling or while down",
    23: "an object deleted and made anew under its name",
    24: "nobody can tell why something was reconciled",
    25: "controllers that cannot be tested without a cluster",
    26: "a kind missing at start, installed later, removed",
    27: "a stop that hangs or kills in the middle of a write",
    28: "a backoff so long that the fix is not noticed",
    29: "a requested later look lost or doubled",
    30: "resource versions that go backwards",
    31: "a WatchList whose initial phase never ends",
    32: "throttling oneself, or ignoring 429",
    33: "unclosed sessions and tasks",
    34: "a cached object changed by its reader",
    35: "a queue nobody can look into",
}


@frozen
class Proof:
    """A test, or a class or file of them, that is marked with a pain. ``test`` is its id for pytest."""

    pain: int
    test: str


@frozen
class Red:
    """For each pain, how many things were taken away; and the tests that turned red then."""

    counts: Counter[int]
    tests: frozenset[Proof]

    def has(self, proof: Proof) -> bool:
        """Whether a test, or one of those in a class or a file, is among them."""
        return any(one.pain == proof.pain and is_in(one.test, proof.test) for one in self.tests)


def is_in(test: str, place: str) -> bool:
    """Whether a test is ``place``, or lies in that class or file."""
    return test == place or test.startswith(f"{place}::")


@functools.cache
def proofs(root: pathlib.Path = ROOT) -> Sequence[Proof]:
    """Every marked test below ``tests/``, in the order of files and lines. Read once."""
    return [
        proof
        for path in sorted((root / "tests").rglob("test_*.py"))
        for proof in _marked(ast.parse(path.read_text()), path.relative_to(root).as_posix())
    ]


def red(root: pathlib.Path = ROOT) -> Red:
    """What is on the list of breakages."""
    entries = tomllib.loads((root / BREAKAGES).read_text())["breakage"]
    tests = frozenset(Proof(entry["pain"], test) for entry in entries for test in entry["tests"])
    return Red(Counter(entry["pain"] for entry in entries), tests)


def _marked(parent: ast.Module | ast.ClassDef, place: str) -> Iterator[Proof]:
    for node in parent.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            yield from (Proof(pain, place) for pain in _marks([node.value]))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from (Proof(pain, f"{place}::{node.name}") for pain in _marks(node.decorator_list))
        if isinstance(node, ast.ClassDef):
            yield from _marked(node, f"{place}::{node.name}")


def _marks(expressions: Iterable[ast.expr]) -> Iterator[int]:
    for part in (node for expression in expressions for node in ast.walk(expression)):
        if isinstance(part, ast.Call) and ast.unparse(part.func) == "pytest.mark.pain":
            yield from (ast.literal_eval(argument) for argument in part.args)


def table(found: Sequence[Proof], seen: Red) -> str:
    """The table in Markdown: a row a pain, its tests in order, those that were seen red marked as such."""
    rows = ["| # | what goes wrong elsewhere | seen red | the test that would turn red |", "|---|---|---|---|"]
    for number, pain in PAINS.items():
        tests = dict.fromkeys(one for one in found if one.pain == number)
        cells = [f"`{one.test}`{' ●' if seen.has(one) else ''}" for one in tests]
        rows.append(f"| {number} | {pain} | {seen.counts[number] or '-'} | {'<br>'.join(cells) or 'none yet'} |")
    return "\n".join(rows) + "\n"


def replaced(page: str, content: str) -> str:
    """``page`` with what stands between the marks replaced."""
    before, rest = page.split(START)
    _, after = rest.split(END)
    return before + START + content + END + after


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the table into docs/testing.md")
    content = table(proofs(), red())
    if parser.parse_args().write:
        PAGE.write_text(replaced(PAGE.read_text(), content))
    else:
        print(content, end="")


if __name__ == "__main__":
    main()
