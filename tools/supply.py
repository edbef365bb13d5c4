"""What the project is made of: which distributions, at which versions, under which licences, with which weaknesses.

python -m tools.supply licences           # the page docs/licences.md; --write writes it
python -m tools.supply sbom PROGRAM FILE  # a CycloneDX document of all of them, by cyclonedx-py
python -m tools.supply audit PROGRAM      # asks for known weaknesses of the pinned versions, by pip-audit

What is pinned stands in constraints.txt; what is needed, and by whom, say the installed distributions themselves.
"""

import argparse
import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import Distribution
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "licences.md"
SHIPPED: Final = ("fast", "metrics", "bootstrap", "tui")
"""The extras of the image."""
HEAD: Final = """\
# Licences

Everything that is installed with the project, at the versions that `constraints.txt` pins, with the licence that
each distribution states. Made by `python -m tools.supply licences --write`.

The image carries those of the first table, but for kubernetes-asyncio and what only that needs (certifi,
python-dateutil, six, urllib3), and for each package of Debian in it the file `/usr/share/doc/<package>/copyright`.
"""
WITHOUT_WORDS: Final = {"editables": "MIT"}
"""Those whose metadata name no licence, and whose licence file does."""
SPELLED: Final = {
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""Older metadata in the words of the newer."""
UNREACHED: Final = re.compile(r"[Cc]onnection|ServiceError|Max retries|HTTPError|timed out|Forbidden|resolve")
SKIPPED: Final = re.compile(r"could not be audited: (\S+)")
"""A line of the table of pip-audit: the database says nothing of it, as a mirror of the index without one does."""


def pins() -> Mapping[str, str]:
    """Versions by canonical name."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if line.strip() and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


def extras() -> Mapping[str, Sequence[str]]:
    """What the project needs with each of its extras, and with none ("")."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {"": project["dependencies"], **project["optional-dependencies"]}


def installed(places: Sequence[str] | None = None) -> Mapping[str, Distribution]:
    """Distributions by canonical name; ``places`` are folders, by default those of this interpreter."""
    found = importlib.metadata.distributions(path=sys.path if places is None else list(places))
    return {canonicalize_name(one.metadata["Name"]): one for one in found}


def needed(wanted: Iterable[str], there: Mapping[str, Distribution]) -> Mapping[str, Distribution]:
    """Every distribution of ``there`` that the project with these extras needs, by canonical name.

    What the project itself needs is read from pyproject.toml, for an editable installation may be older than that.
    """
    own = extras()
    waiting = [(text, frozenset[str]()) for extra in ("", *wanted) for text in own[extra]]
    found: dict[str, Distribution] = {}
    seen = set(waiting)
    while waiting:
        text, extra_of_parent = waiting.pop()
        requirement = Requirement(text)
        markers = [{"extra": extra} for extra in (*extra_of_parent, "")]
        if requirement.marker is not None and not any(requirement.marker.evaluate(one) for one in markers):
            continue
        name, asked = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if name == "apinetlet":
            more = [(line, frozenset[str]()) for extra in asked for line in own[extra]]
        elif name in there:
            found[name] = there[name]
            more = [(line, asked) for line in there[name].requires or ()]
        else:
            raise LookupError(f"{name} is needed, and not installed")
        waiting += [one for one in more if one not in seen]
        seen.update(more)
    return dict(sorted(found.items()))


def licence(distribution: Distribution) -> str:
    """As the distribution states it: by expression, by classifier, or in a field that people wrote freely."""
    facts = distribution.metadata
    if "License-Expression" in facts:
        return facts["License-Expression"]
    classifiers = [one for one in facts.get_all("Classifier") or () if one.startswith("License ::")]
    said = [name for one in classifiers if (name := one.rpartition(" :: ")[2]) != "OSI Approved"]
    if not said and "License" in facts:
        said = [facts["License"].split("\n")[0]]
    return " and ".join(sorted({SPELLED.get(one, one) for one in said})) or "not stated"


def page() -> str:
    """``docs/licences.md``: what tests need here is installed; of the rest only the pins are known."""
    there, pinned = installed(), pins()
    shipped, everything = needed(SHIPPED, there), needed(["dev"], there)
    tests = {name: one for name, one in everything.items() if name not in shipped}
    parts = [HEAD, "## In the image\n", *_table(shipped), "\n## For tests and development\n", *_table(tests)]
    others = sorted(pinned.keys() - everything.keys())
    stated = recorded()
    parts += ["\n## For the site and the audits\n", "| distribution | version | licence |\n|---|---|---|"]
    parts += [f"| {name} | {pinned[name]} | {stated.get(name, 'not stated')} |" for name in others]
    return "\n".join(parts) + "\n"


def recorded(places: Sequence[str] = ()) -> Mapping[str, str]:
    """Licences of what is installed in ``places``, and for the rest what the page says."""
    text = PAGE.read_text() if PAGE.exists() else ""
    known = dict(re.findall(r"^\| ([\w-]+) \| [^|]+ \| ([^|]+) \|$", text, re.MULTILINE))
    for name, one in installed(places).items() if places else ():
        known[name] = licence(one)
    return {**known, **WITHOUT_WORDS}


def _table(found: Mapping[str, Distribution]) -> Iterator[str]:
    pinned = pins()
    yield "| distribution | version | licence |\n|---|---|---|"
    for name, one in found.items():
        yield f"| {name} | {pinned.get(name, 'not pinned')} | {licence(one)} |"


def imported(folders: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The top-level modules that are imported in these folders, with the file."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    yield from ((one.name.partition(".")[0], str(path.relative_to(ROOT))) for one in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    yield node.module.partition(".")[0], str(path.relative_to(ROOT))


def sbom(program: str, file: Path) -> int:
    """Write the document over the environment of development, with the project as its root."""
    file.parent.mkdir(parents=True, exist_ok=True)
    words = [program, "environment", sys.executable, "--pyproject", str(ROOT / "pyproject.toml")]
    words += ["--output-format", "JSON", "--output-reproducible", "--output-file", str(file)]
    return subprocess.run(words, check=False).returncode


def audit(program: str) -> int:
    """Status 0: nothing is known; 1: something is; 3: nobody could be asked, at least of some, and a line says so."""
    words = [program, "--requirement", str(ROOT / "constraints.txt")]
    words += ["--no-deps", "--disable-pip", "--progress-spinner=off"]
    asked = subprocess.run(words, capture_output=True, text=True, check=False)
    return verdict(asked.returncode, asked.stdout, asked.stderr)


def verdict(status: int, out: str, said: str) -> int:
    """What pip-audit's answer means, told to the reader."""
    if status and UNREACHED.search(said):
        print("audit: the database of weaknesses cannot be reached, so nothing is known either way", file=sys.stderr)
        print(f"audit: {said.strip().splitlines()[-1]}", file=sys.stderr)
        return 3
    print(out or said, end="")
    if skipped := SKIPPED.findall(out):
        print(f"audit: nothing could be learnt of {len(skipped)} dependencies", file=sys.stderr)
    return status or (3 if skipped else 0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tasks = parser.add_subparsers(dest="task", required=True)
    telling = tasks.add_parser("licences")
    telling.add_argument("--write", action="store_true")
    telling.add_argument("--also", action="append", default=[], help="a folder where other distributions are installed")
    making = tasks.add_parser("sbom")
    making.add_argument("program")
    making.add_argument("file", type=Path)
    tasks.add_parser("audit").add_argument("program")
    given = parser.parse_args()
    match given.task:
        case "sbom":
            return sbom(given.program, given.file)
        case "audit":
            return audit(given.program)
    if given.write:
        if given.also:
            stated = recorded(given.also)
            PAGE.write_text("".join(f"| {name} | - | {text} |\n" for name, text in stated.items()))
        PAGE.write_text(page())
    else:
        print(page(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
