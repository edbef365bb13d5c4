"""Lines over sizes, and bars, as SVG, with nothing but text: for the pictures of the documentation."""

from collections.abc import Mapping, Sequence
from pathlib import Path

COLORS = ("#2563eb", "#dc2626", "#16a34a", "#9333ea")
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 640, 260, 60, 40


def plot(file: Path, unit: str, sizes: Sequence[int], lines: Mapping[str, Sequence[float]]) -> None:
    """Draw each of ``lines``, by its label: a figure for each of ``sizes``, both counted from 0."""
    top = max(cost for costs in lines.values() for cost in costs) * 1.25

    def at(size: float, cost: float) -> str:
        x = _LEFT + (_WIDTH - _LEFT - 20) * size / sizes[-1]
        return f"{x:.0f},{_HEIGHT - _BOTTOM - (_HEIGHT - _BOTTOM - 20) * cost / top:.0f}"

    def line(label: str, costs: Sequence[float], color: str, row: int) -> str:
        points = " ".join(at(size, cost) for size, cost in zip(sizes, costs, strict=True))
        return (
            f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"/>'
            f'<text x="{_LEFT + 12}" y="{30 + 18 * row}" fill="{color}">{label}</text>'
        )

    axes = "".join(
        f'<text x="{at(size, 0).split(",")[0]}" y="{_HEIGHT - 20}" text-anchor="middle" fill="#666">{size:,}</text>'
        for size in (sizes[0], sizes[len(sizes) // 2], sizes[-1])
    )
    drawn = "".join(line(label, costs, COLORS[row], row) for row, (label, costs) in enumerate(lines.items()))
    file.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        f'font-size="13"><rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>'
        f'<path d="M{_LEFT},20 V{_HEIGHT - _BOTTOM} H{_WIDTH - 20}" fill="none" stroke="#999"/>'
        f'<text x="6" y="16" fill="#666">{unit}</text>{axes}'
        f'<text x="{_LEFT - 8}" y="{_HEIGHT - _BOTTOM}" text-anchor="end" fill="#666">0</text>'
        f'<text x="{_LEFT - 8}" y="24" text-anchor="end" fill="#666">{top:.0f}</text>{drawn}</svg>\n'
    )


_ROW, _GAP, _NAMES, _BARS = 16, 14, 150, 400


def bars(file: Path, groups: Mapping[str, Mapping[str, float]]) -> None:
    """Draw a group of bars for each of ``groups``, by its title: a figure by label, the longest bar for the largest."""
    drawn, y = [], 10
    for title, figures in groups.items():
        most = max(figures.values())
        drawn.append(f'<text x="6" y="{y + 12}" font-weight="bold">{title}</text>')
        for row, (label, figure) in enumerate(figures.items()):
            top = y + 18 + row * _ROW
            color = COLORS[0] if row == 0 else "#94a3b8"
            drawn.append(
                f'<text x="{_NAMES - 8}" y="{top + 12}" text-anchor="end" fill="#444">{label}</text>'
                f'<rect x="{_NAMES}" y="{top + 2}" width="{_BARS * figure / most:.0f}" height="{_ROW - 4}" '
                f'fill="{color}"/>'
                f'<text x="{_NAMES + _BARS * figure / most + 6:.0f}" y="{top + 12}" fill="#444">{figure:g}</text>'
            )
        y += 18 + len(figures) * _ROW + _GAP
    file.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" font-family="sans-serif" '
        f'font-size="12"><rect width="{_WIDTH}" height="{y}" fill="#fff"/>{"".join(drawn)}</svg>\n'
    )
