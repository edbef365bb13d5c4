"""The code blocks of the documents: those that are files, and those that are commands."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from attrs import frozen

ROOT: Final = Path(__file__).resolve().parent.parent.parent
PAGES: Final = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK: Final = re.compile(
    r"(?:<!-- example: (?P<file>\S+) -->\n)?^ *```(?P<language>\w*)\n(?P<text>.*?)^ *```$", re.S | re.M
)
LANGUAGES: Final = {"python", "sh", "yaml", "toml", "json", "diff", "console", ""}
"""A block without a language is output, or a picture in text."""


@frozen
class Block:
    """One code block."""

    page: str
    language: str
    file: str
    """The name it is given, if it is a whole file."""
    text: str


def blocks(page: Path) -> list[Block]:
    name = page.relative_to(ROOT).as_posix()
    return [Block(name, one["language"], one["file"] or "", one["text"]) for one in BLOCK.finditer(page.read_text())]


def commands(page: Path) -> Iterator[list[str]]:
    """Every command of the page's ``sh`` blocks in words, without comments; the parts of a pipe one by one."""
    for block in blocks(page):
        if block.language == "sh":
            for line in block.text.replace("\\\n", " ").splitlines():
                words: list[str] = []
                for word in [*shlex.split(line, comments=True), "|"]:
                    if word in ("|", "&&", ";", "&"):
                        if words:
                            yield words
                        words = []
                    else:
                        words.append(word)
