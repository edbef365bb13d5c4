"""The tables of docs/operations.md that follow from the code: the flags, and the rights that the daemon needs.

python tools/operations.py           # prints them
python tools/operations.py --write   # puts them into docs/operations.md
"""

import argparse
import asyncio
import pathlib
import re
from collections.abc import Mapping
from functools import partial
from itertools import groupby

from apinetlet import flags
from apinetlet.api import IRONCORE
from apinetlet.app import elector
from apinetlet.assembly import assemble
from apinetlet.settings import Settings
from reconcile.manager import rbac
from reconcile.testing.apiserver import ApiServer

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "operations.md"


def flag_table() -> str:
    """Every flag in Markdown: a table a group."""
    parts = []
    for group, members in groupby(flags.flags_of(Settings), key=lambda flag: flag.group):
        rows = [f"**{group}**", "", "| flag | default | meaning |", "|---|---|---|"]
        for flag in members:
            spelled = f"--{flag.name}" + (f"={flag.takes}" if flag.takes else "")
            rows.append(f"| `{_cell(spelled)}` | {_default(flag)} | {_cell(flag.meaning)} |")
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def _default(flag: flags.Flag) -> str:
    match flag.default:
        case "":
            return ""
        case bool():
            return f"`{str(flag.default).lower()}`"
        case float():
            return f"`{flag.default:g}`" if flag.takes == flags.NUMBER else f"`{flag.default:g}s`"
    return f"`{flag.default}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def rights_table() -> str:
    """The rights of generation ironcore, leader election included, as ``Manager.rules`` derives them."""
    return f"```\n{asyncio.run(_rights())}\n```\n"


async def _rights() -> str:
    settings = Settings(api_net_namespace="apinet", leader_elect=True, leader_election_namespace="apinetlet-system")
    source, apinet = ApiServer(), ApiServer()
    election = elector(settings, IRONCORE, partial(source.client))
    daemon = assemble(settings, IRONCORE, source.client(), apinet.client(), election=election)
    return rbac.table(daemon.rules())


def tables() -> Mapping[str, str]:
    """All of them by the names of their marks."""
    return {"flags": flag_table(), "rights": rights_table()}


def replaced(page: str) -> str:
    """``page`` with what stands between each pair of marks replaced."""
    for name, content in tables().items():
        begin, end = f"<!-- {name}: made by tools/operations.py -->\n", f"<!-- end of {name} -->\n"
        page, count = re.subn(f"(?<={re.escape(begin)}).*?(?={re.escape(end)})", lambda _: content, page, flags=re.S)  # noqa: B023
        if count != 1:
            raise ValueError(f"the page needs one pair of marks for {name}, and has {count}")
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put them into docs/operations.md")
    if parser.parse_args().write:
        PAGE.write_text(replaced(PAGE.read_text()))
    else:
        print("\n".join(tables().values()), end="")


if __name__ == "__main__":
    main()
