"""Bars and map as SVG text, which a browser draws at once: class probabilities, and where the deviation lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gndl.explore.live import Array, DeviationMap, Reading
from gndl.figures import CLASS_COLOURS, METHOD_COLOURS
from gndl.paper import figure_order

METHOD_TITLES = {"baseline": "baseline", "gndl": "GNDL"}
INK, PALE, LINE = "#222", "#777", "#ddd"
OTHER = "#999"
POINTS_DRAWN = 400
FONT = "font-family='system-ui, sans-serif'"


def bars(probabilities: Mapping[str, Array], expressions: tuple[str, ...]) -> str:
    """Draw each class's probability by every method, as bars one under the other."""
    left, right, row, top, width = 82, 44, 30, 26, 400
    height = top + row * len(expressions) + 4
    room = width - left - right
    parts = [_legend(list(probabilities), width)]
    thick = 22 / max(len(probabilities), 1)
    for k, expression in enumerate(figure_order(expressions)):
        y = top + k * row
        column = expressions.index(expression)
        parts.append(_text(left - 8, y + 15, expression, anchor="end", size=13))
        parts.append(f"<line x1='{left}' y1='{y}' x2='{left}' y2='{y + 22}' stroke='{LINE}'/>")
        for j, (method, values) in enumerate(probabilities.items()):
            share, here = float(values[column]), y + j * thick
            winner = column == int(np.argmax(values))
            colour = METHOD_COLOURS.get(method, OTHER)
            parts.append(
                f"<rect x='{left}' y='{here:.1f}' width='{max(share * room, 0.5):.1f}' height='{thick - 2:.1f}' "
                f"rx='1.5' fill='{colour}' opacity='{1 if winner else 0.5}'/>"
            )
            if share >= 0.005:
                x = left + share * room + 5
                weight = "bold" if winner else "normal"
                parts.append(_text(x, here + thick / 2 + 3, f"{100 * share:.0f} %", size=11, weight=weight))
    return _svg(width, height, parts, "Probability of each class by each method")


def no_bars(expressions: Sequence[str]) -> str:
    """The frame of the bars where there is no network yet."""
    return bars({"baseline": np.zeros(len(expressions)), "gndl": np.zeros(len(expressions))}, tuple(expressions))


class MapDrawing:
    """Draws the map of the validation set once, and the moving face into it again and again."""

    width, height = 400, 222

    def __init__(self, deviations: DeviationMap, expressions: tuple[str, ...]) -> None:
        everything = np.concatenate([deviations.points, deviations.neutral])
        low, high = everything.min(axis=0), everything.max(axis=0)
        self._middle = (low + high) / 2
        edge = 26
        self._scale = np.array([self.width - 2 * edge, self.height - 2 * edge]) / np.maximum(high - low, 1e-6)
        shown = np.arange(len(deviations.points))
        if len(shown) > POINTS_DRAWN:
            shown = np.linspace(0, len(shown) - 1, POINTS_DRAWN).round().astype(int)
        dots = []
        for point in deviations.neutral:
            x, y = self._pixel(point)
            dots.append(f"<circle cx='{x:.0f}' cy='{y:.0f}' r='3.5' fill='none' stroke='{OTHER}'/>")
        for k in shown:
            (x, y), name = self._pixel(deviations.points[k]), expressions[deviations.labels[k]]
            colour = CLASS_COLOURS.get(name, OTHER)
            dots.append(f"<circle cx='{x:.0f}' cy='{y:.0f}' r='4' fill='{colour}' opacity='.75'/>")
        frame = f"<rect x='.5' y='.5' width='{self.width - 1}' height='{self.height - 1}' fill='none' stroke='{LINE}'/>"
        self._still = "".join([frame, *dots])

    def draw(self, trail: Sequence[tuple[float, float]]) -> str:
        """The map with the face's last places; the newest is a ring, the older ones its trail."""
        parts = [self._still]
        inside = [self._inside(place) for place in trail]
        if len(inside) > 1:
            line = " ".join(f"{x:.1f},{y:.1f}" for x, y in inside)
            parts.append(f"<polyline points='{line}' fill='none' stroke='{INK}' stroke-width='1.2' opacity='.45'/>")
        if inside:
            x, y = inside[-1]
            parts.append(f"<circle cx='{x:.1f}' cy='{y:.1f}' r='9' fill='white' stroke='{INK}' stroke-width='3'/>")
            parts.append(f"<circle cx='{x:.1f}' cy='{y:.1f}' r='3' fill='{INK}'/>")
        return _svg(self.width, self.height, parts, "Deviation feature of the face among the validation set")

    def _pixel(self, point: Array | tuple[float, float]) -> tuple[float, float]:
        x, y = (np.asarray(point) - self._middle) * self._scale
        return float(self.width / 2 + x), float(self.height / 2 - y)

    def _inside(self, point: tuple[float, float]) -> tuple[float, float]:
        """The place in the picture; what lies beyond its edge is shown at the edge."""
        x, y = self._pixel(point)
        return min(max(x, 11), self.width - 11), min(max(y, 11), self.height - 11)


def legend_of_map(expressions: tuple[str, ...], *, neutral: bool = True) -> str:
    """Names the map's colours, in HTML; ``neutral`` where neutral faces are on it too."""
    entries = [
        f"<span style='white-space:nowrap;margin-right:10px'><span style='color:{CLASS_COLOURS.get(name, OTHER)}'>●"
        f"</span> {name}</span>"
        for name in figure_order(expressions)
    ]
    if neutral:
        entries.append(f"<span style='white-space:nowrap'><span style='color:{OTHER}'>○</span> neutral</span>")
    return f"<div style='line-height:1.5;font-size:12px'>{' '.join(entries)}</div>"


def nearest_in_words(reading: Reading) -> str:
    """Which classes the nearest validation faces have."""
    if not reading.nearest:
        return ""
    total = sum(count for _, count in reading.nearest)
    return f"nearest {total} faces: " + ", ".join(f"{count} × {name}" for name, count in reading.nearest)


def _legend(methods: list[str], width: int) -> str:
    parts, x = [], 82
    for method in methods:
        title = METHOD_TITLES.get(method, method)
        parts.append(f"<rect x='{x}' y='6' width='11' height='11' fill='{METHOD_COLOURS.get(method, OTHER)}'/>")
        parts.append(_text(x + 16, 16, title, size=13))
        x += 34 + 8 * len(title)
    return "".join(parts)


def _text(x: float, y: float, text: str, *, size: int, anchor: str = "start", weight: str = "normal") -> str:
    return (
        f"<text x='{x:.0f}' y='{y:.0f}' font-size='{size}' {FONT} fill='{INK}' text-anchor='{anchor}' "
        f"font-weight='{weight}'>{text}</text>"
    )


def _svg(width: int, height: int, parts: Sequence[str], title: str) -> str:
    return (
        f"<svg viewBox='0 0 {width} {height}' width='{width}' height='{height}' role='img' aria-label='{title}' "
        f"style='background:white;display:block;max-width:100%'>{''.join(parts)}</svg>"
    )
