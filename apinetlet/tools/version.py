"""``apinetlet version``: which program this is, of which commit, and which generations of the API it serves."""

import importlib.metadata
import importlib.resources
import json
from collections.abc import Sequence

from attrs import frozen

from apinetlet.api import GENERATIONS
from apinetlet.tools import shell
from apinetlet.tools.answer import Answer, Table
from apinetlet.tools.shell import Tool

USAGE = """\
apinetlet version prints the version, the commit that it was built from, and the generations that it serves.

  apinetlet version
  apinetlet version -o json
"""

BUILT_FROM = "commit.txt"
"""The file of the package in which a build notes its commit."""


@frozen
class Flags:
    """The form of the output."""

    o: str = shell.form()


def work(flags: Flags, places: Sequence[str]) -> Answer:
    """Tell it all."""
    shell.wanted(places)
    release, found = importlib.metadata.version("apinetlet"), commit()
    names = " and ".join(GENERATIONS)
    line = f"apinetlet {release}, {f'commit {found}' if found else 'commit unknown'}, generations {names}"
    groups = [(one.name, one.version, one.networking, one.ipam, one.apinet) for one in GENERATIONS.values()]
    columns = ("name", "version", "networking", "ipam", "apinet")
    facts = {
        "version": release,
        "commit": found or None,
        "generations": [dict(zip(columns, one, strict=True)) for one in groups],
    }
    return Answer(facts, [line, Table(("GENERATION", "VERSION", "SOURCE", "PREFIXES", "API-NET"), groups)])


def commit() -> str:
    """The commit as the build noted it, or as the installer did that fetched it; "" if neither knew."""
    file = importlib.resources.files("apinetlet").joinpath(BUILT_FROM)
    if file.is_file():
        return file.read_text(encoding="ascii").strip()
    origin = importlib.metadata.distribution("apinetlet").read_text("direct_url.json")
    return str(json.loads(origin or "{}").get("vcs_info", {}).get("commit_id", ""))


TOOL = Tool("version", USAGE, Flags, work)


def main(words: Sequence[str]) -> int:
    """Run the tool."""
    return shell.run(TOOL, words)
