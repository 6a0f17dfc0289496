"""Plots of the validation cases as SVG files, drawn without a plotting library."""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from citymap.workspace import write_text

if TYPE_CHECKING:
    from citymap.flood.validation import Curve

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 720, 360, 60, 44, 24, 170
COLOURS = ("#0b5fa5", "#c2410c", "#15803d", "#7c3aed", "#b91c1c", "#0f766e", "#4b5563", "#a16207")


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers from low to high: steps of 1, 2 or 5 times a power of ten, about five of them."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(s for s in (1, 2, 5, 10) if s * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


def svg(title: str, curves: list[Curve]) -> str:
    """One plot."""
    xs, ys = [v for c in curves for v in c.x], [v for c in curves for v in c.y]
    x0, x1, y0, y1 = min(xs), max(xs), min(ys), max(ys)
    y1 = y1 if y1 > y0 else y0 + 1
    across, up = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def px(v: float) -> float:
        return LEFT + (v - x0) / (x1 - x0) * across

    def py(v: float) -> float:
        return HEIGHT - BOTTOM - (v - y0) / (y1 - y0) * up

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/><text x="{LEFT}" y="16">{escape(title)}</text>',
    ]
    for v in _ticks(x0, x1):
        out.append(
            f'<line x1="{px(v):.1f}" x2="{px(v):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#ddd"/>'
        )
        out.append(
            f'<text x="{px(v):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{v:.4g}</text>'
        )
    for v in _ticks(y0, y1):
        out.append(
            f'<line y1="{py(v):.1f}" y2="{py(v):.1f}" x1="{LEFT}" x2="{LEFT + across}" stroke="#ddd"/>'
        )
        out.append(f'<text x="{LEFT - 6}" y="{py(v) + 4:.1f}" text-anchor="end">{v:.3g}</text>')
    out.append(
        f'<text x="{LEFT + across / 2}" y="{HEIGHT - 8}" text-anchor="middle">{escape(curves[0].x_label)}</text>'
    )
    out.append(f'<text x="{LEFT}" y="{HEIGHT - 8}">{escape(curves[0].y_label)}</text>')
    for n, c in enumerate(curves):
        colour = COLOURS[n % len(COLOURS)]
        line = " ".join(f"{px(a):.1f},{py(b):.1f}" for a, b in zip(c.x, c.y, strict=True))
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        out.append(
            f'<text x="{LEFT + across + 8}" y="{TOP + 14 + 18 * n}" fill="{colour}">{escape(c.label)}</text>'
        )
    return "\n".join([*out, "</svg>\n"])


def draw(curves: Iterable[Curve], folder: Path) -> list[Path]:
    """Write `<case>.svg` for every case with curves."""
    cases: dict[str, list[Curve]] = {}
    for c in curves:
        cases.setdefault(c.case, []).append(c)
    made = []
    for name, lines in cases.items():
        write_text(folder / f"{name}.svg", svg(name, lines))
        made.append(folder / f"{name}.svg")
    return made
