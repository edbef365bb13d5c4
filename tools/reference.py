"""The page docs/reference.md: every flag, metric, Event and alert, from where each is declared.

python -m tools.reference           # tells whether the page is current; status 1 if not
python -m tools.reference --write   # writes it
"""

import argparse
import ast
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from prometheus_client.metrics import MetricWrapperBase

from apinetlet.brake import Brake, Limits
from apinetlet.connections import _show as show_certificates
from apinetlet.standings import Standings, show
from reconcile.manager.metrics import Metrics
from reconcile.manager.registry import Figures
from tools.deploy.alerts import ALERTS
from tools.operations import flag_table

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "reference.md"
HEAD: Final = """\
# Reference

Made from the declarations in the code by `python -m tools.reference --write`. What to do about an alert stands in the
[runbooks](runbooks.md), about an Event in [running apinetlet](operations.md#events).
"""
FOLDER: Final = ROOT / "apinetlet"
REASON: Final = re.compile(r"(?!Normal$|Warning$)([A-Z][A-Za-z]*){1,5}[a-z]+[A-Za-z]*")
TELLERS: Final = {"event", "tell", "warn", "Refused", "refuse", "wait"}
"""Calls by which a reason becomes an Event."""


def families() -> Iterator[Any]:
    """Every metric that a daemon may show, as the library describes it."""
    metrics = Metrics()
    show(metrics.figures, Standings(), Brake(Limits()))
    show_certificates(metrics.figures, ())
    yield from _described(metrics.figures)


def _described(figures: Figures) -> Iterator[Any]:
    for collector in list(figures.registry._collector_to_names):
        if isinstance(collector, MetricWrapperBase):
            yield collector
        else:  # a collector of the library: memory and CPU of the process
            yield from collector.collect()


def metric_table() -> str:
    rows = []
    for one in families():
        if isinstance(one, MetricWrapperBase):
            kind = one._type
            name = one._name + ("_total" if kind == "counter" else "")
            labels, text = ", ".join(f"`{label}`" for label in one._labelnames), one._documentation
        else:
            kind, labels, text = one.type, "", one.documentation
            name = one.name + ("_total" if kind == "counter" else "")
        rows.append(f"| `{name}` | {kind} | {labels} | {text.rstrip('.')} |")
    return "\n".join(["| metric | kind | labels | what it tells |", "|---|---|---|---|", *sorted(rows)]) + "\n"


def reasons() -> Mapping[str, list[str]]:
    """Every reason of an Event, and the modules that give it: what ``TELLERS`` are handed, itself or by name."""
    found: dict[str, set[str]] = {}
    for path in [*FOLDER.glob("controllers/*.py"), *FOLDER.glob("translate/*.py")]:
        tree = ast.parse(path.read_text())
        names = {
            target.id: node.value.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            for one in _told(node):
                text = one.value if isinstance(one, ast.Constant) else names.get(getattr(one, "id", ""))
                if isinstance(text, str) and REASON.fullmatch(text):
                    found.setdefault(text, set()).add(path.stem)
    return {reason: sorted(modules) for reason, modules in sorted(found.items())}


def _told(node: ast.AST) -> Iterator[ast.expr]:
    """What a call hands to whoever writes Events."""
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in TELLERS:
            for one in (*node.args, *(word.value for word in node.keywords)):
                yield from ([one.body, one.orelse] if isinstance(one, ast.IfExp) else [one])


def event_table() -> str:
    rows = [f"| `{reason}` | {', '.join(modules)} |" for reason, modules in reasons().items()]
    return "\n".join(["| reason | given by |", "|---|---|", *rows]) + "\n"


def alert_table() -> str:
    rows = ["| alert | severity | for | when |", "|---|---|---|---|"]
    for one in ALERTS:
        query = one.expression.replace("|", "\\|")
        rows.append(f"| [{one.name}](runbooks.md#{one.name.lower()}) | {one.severity} | {one.lasts} | `{query}` |")
    return "\n".join(rows) + "\n"


def page() -> str:
    """The whole page."""
    parts = {"Flags": flag_table(), "Metrics": metric_table(), "Events": event_table(), "Alerts": alert_table()}
    return HEAD + "".join(f"\n## {title}\n\n{text}" for title, text in parts.items())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write it")
    if parser.parse_args().write:
        PAGE.write_text(page())
        return 0
    is_current = PAGE.read_text() == page()
    print("current" if is_current else "outdated: python -m tools.reference --write")
    return int(not is_current)


if __name__ == "__main__":
    sys.exit(main())
