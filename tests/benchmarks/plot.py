"""Bars in SVG: groups of them side by side, drawn with nothing but text."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_BAR, _GAP, _LEFT, _WIDTH, _TOP = 15, 5, 150, 230, 56
_COLUMNS = 3


@dataclass(frozen=True)
class Bars:
    """One panel: a bar per name."""

    title: str
    values: Sequence[tuple[str, float]]
    most: float
    """The end of the scale."""


def bars(title: str, note: str, panels: Sequence[Bars], strong: str) -> str:
    """The whole picture; bars whose name begins with ``strong`` stand out."""
    rows = -(-len(panels) // _COLUMNS)
    height = max((len(panel.values) for panel in panels), default=0) * (_BAR + _GAP) + 48
    wide, high = _COLUMNS * (_LEFT + _WIDTH + 50) + 20, _TOP + rows * height + 10
    drawn = [
        _panel(panel, 10 + at % _COLUMNS * (_LEFT + _WIDTH + 50), _TOP + at // _COLUMNS * height, strong)
        for at, panel in enumerate(panels)
    ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" '
        f'font-family="sans-serif" font-size="11"><rect width="{wide}" height="{high}" fill="#ffffff"/>'
        f'<text x="10" y="22" font-size="16" font-weight="bold">{escape(title)}</text>'
        f'<text x="10" y="40" fill="#555555">{escape(note)}</text>'
    )
    return "\n".join([head, *drawn, "</svg>"]) + "\n"


def _panel(panel: Bars, x: int, y: int, strong: str) -> str:
    lines = [f'<text x="{x}" y="{y + 14}" font-size="12" font-weight="bold">{escape(panel.title)}</text>']
    for at, (name, value) in enumerate(panel.values):
        top = y + 24 + at * (_BAR + _GAP)
        length = _WIDTH * min(value / panel.most, 1.0) if panel.most else 0.0
        colour = "#1b7f4d" if name.startswith(strong) else "#9aa5b1"
        lines += [
            f'<text x="{x + _LEFT - 6}" y="{top + 11}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{x + _LEFT}" y="{top}" width="{length:.1f}" height="{_BAR}" fill="{colour}"/>',
            f'<text x="{x + _LEFT + length + 4:.1f}" y="{top + 11}">{value:.0f}</text>',
        ]
    return "\n".join(lines)
