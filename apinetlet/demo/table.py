"""Both sides beside each other, as a table with an arrow for each pair that belongs together. Pure."""

from collections.abc import Sequence

from attrs import frozen
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from apinetlet.api import Generation, apinet, networking
from apinetlet.origin import Origins

_COLOURS = {"Available": "green", "Pending": "yellow", "Error": "red"}


@frozen
class Pair:
    """A source Network and its counterpart; one of them may be missing."""

    source: networking.Network | None
    target: apinet.Network | None


def pairs(
    generation: Generation, sources: Sequence[networking.Network], targets: Sequence[apinet.Network]
) -> list[Pair]:
    """Who belongs to whom, in the order of the sources; what has no source comes last."""
    origins = Origins(generation, "Network")
    by_uid = {origin.uid: one for one in targets if (origin := origins.of(one.metadata))}
    found = [Pair(source, by_uid.pop(source.metadata.uid, None)) for source in sources]
    taken = {id(pair.target) for pair in found}
    return found + [Pair(None, target) for target in targets if id(target) not in taken]


def picture(found: Sequence[Pair], *, title: str, steps: Sequence[str], writes: int) -> RenderableType:
    """The table of all pairs under the step that is shown, with the steps before it below."""
    table = Table(expand=True, border_style="bright_black", header_style="bold")
    for heading, width in (("Network", 14), ("state", 9), ("provider ID", None), ("", 3), ("api-net", 8), ("VNI", 8)):
        table.add_column(heading, width=width, ratio=None if width else 1, no_wrap=True, overflow="ellipsis")
    for pair in found:
        table.add_row(*_source_cells(pair.source), _arrow(pair), *_target_cells(pair.target))
    if not found:
        table.add_row("[bright_black]none", "", "", "", "[bright_black]none", "")
    done = Text("\n").join(Text(f"✓ {step}", style="bright_black") for step in steps)
    return Group(
        Panel(
            Text(title, style="bold"),
            border_style="cyan",
            subtitle=f"{writes} writes by apinetlet",
            subtitle_align="right",
        ),
        table,
        done,
    )


def _source_cells(source: networking.Network | None) -> tuple[str, str, str]:
    if source is None:
        return "", "", ""
    state = source.status.state.value if source.status.state else "-"
    if source.metadata.is_deleting:
        return f"[strike]{source.metadata.key}[/]", "[magenta]deleting[/]", _short(source.spec.provider_id)
    return str(source.metadata.key), f"[{_COLOURS.get(state, 'white')}]{state}[/]", _short(source.spec.provider_id)


def _short(provider_id: str) -> str:
    """What tells provider IDs apart: the network ID and the start of the uid; ``-`` for none."""
    _, *parts = provider_id.rsplit("/", 2)
    return f".../{parts[0]}/{parts[1][:8]}" if parts else provider_id or "-"


def _target_cells(target: apinet.Network | None) -> tuple[str, str]:
    if target is None:
        return "", ""
    return target.metadata.name[:8], target.spec.id or "-"


def _arrow(pair: Pair) -> str:
    if pair.source is None or pair.target is None:
        return ""
    return "[green]<->[/]" if pair.source.spec.provider_id.endswith(pair.target.metadata.uid) else "[red]-/-[/]"
