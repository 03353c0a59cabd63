"""Curves over one quantity, on logarithmic scales, as SVG for the documents."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

WIDTH, HEIGHT, MARGIN = 720, 360, 56
COLOURS: Final = ("#b3402a", "#1f5f8b", "#4d7a2a")


@dataclass(frozen=True, slots=True)
class Curve:
    """One line: its name, and a value above 0 for each point across."""

    name: str
    values: Sequence[float]


def draw_curves(across: Sequence[int], curves: Sequence[Curve], *, label: str) -> str:
    """Draw curves over the same points, which must be above 0, as SVG.

    Args:
        across: what the values stand over, ascending.
        curves: at most as many as there are colours.
        label: of the points.
    """
    assert len(curves) <= len(COLOURS)
    values = [value for curve in curves for value in curve.values]
    place_x = _scale(across, MARGIN, WIDTH - MARGIN)
    place_y = _scale([10 ** math.floor(math.log10(min(values))), max(values)], HEIGHT - MARGIN, MARGIN)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
    ]
    for power in range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1):
        y = place_y(10.0**power)
        if MARGIN - 1 <= y <= HEIGHT - MARGIN + 1:
            parts.append(f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>')
            parts.append(f'<text x="{MARGIN - 6}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g}</text>')
    for point in across:
        x = place_x(point)
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - MARGIN + 18}" text-anchor="middle">{point}</text>')
    parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 14}" text-anchor="middle">{label}</text>')
    for number, (colour, curve) in enumerate(zip(COLOURS, curves, strict=False)):
        path = " ".join(
            f"{place_x(point):.1f},{place_y(value):.1f}" for point, value in zip(across, curve.values, strict=True)
        )
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        y = MARGIN - 16 - 14 * (len(curves) - 1 - number)
        parts.append(f'<text x="{MARGIN + 12}" y="{y}" fill="{colour}">{curve.name}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _scale(values: Sequence[float], first: float, last: float) -> Callable[[float], float]:
    """Map a logarithmic range onto a straight one."""
    low, high = math.log10(min(values)), math.log10(max(values))
    return lambda value: first + (math.log10(value) - low) / ((high - low) or 1) * (last - first)
