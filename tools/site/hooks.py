"""What the site adds to the documents, which are written to be read in the repository, too.

A page for each example, a page that lists the decisions, and links that lead out of ``docs``: to an example they lead
to its page, to anything else they are words.
"""

import os
import re
from pathlib import Path
from typing import Any, Final

from mkdocs.structure.files import File, Files

ROOT: Final = Path(__file__).resolve().parent.parent.parent
OUTSIDE: Final = re.compile(r"\[([^\]]*)\]\(((?:\.\./)+[^)#\s]+)(#[^)]*)?\)")
EXAMPLES: Final = sorted(path for path in (ROOT / "examples").glob("*.py") if path.name != "__init__.py")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made."""
    for path in EXAMPLES:
        page = f"# examples/{path.name}\n\n```python\n{path.read_text()}```\n"
        files.append(File.generated(config, f"examples/{path.stem}.md", content=page))
    if files.get_file_from_path("decisions/index.md") is None:
        files.append(File.generated(config, "decisions/index.md", content=decisions()))
    return files


def decisions() -> str:
    """Every decision by its title."""
    lines = ["# Decisions", "", "Why it is as it is: context, choice, example of use, what was given up.", ""]
    pages = sorted((ROOT / "docs" / "decisions").glob("0*.md"))
    lines += [f"- [{path.read_text().splitlines()[0].lstrip('# ')}]({path.name})" for path in pages]
    return "\n".join(lines) + "\n"


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links out of ``docs`` as the site can follow them."""
    folder = (ROOT / "docs" / page.file.src_uri).parent

    def led(link: re.Match[str]) -> str:
        text, target = link[1], (folder / link[2]).resolve()
        if target.is_relative_to(ROOT / "docs"):
            return link[0]
        if target in EXAMPLES:
            place = os.path.relpath(ROOT / "docs" / "examples" / f"{target.stem}.md", folder)
            return f"[{text}]({place})"
        return text

    return OUTSIDE.sub(led, markdown)
