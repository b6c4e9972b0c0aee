"""How a variant is told from others in a figure: by its colour and its marker."""

from __future__ import annotations

from gndl.figures.style import METHOD_COLOURS

OTHERS = ("#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
MARKERS = ("o", "s", "D", "^", "v", "P")


def look(method: str, number: int) -> tuple[str, str]:
    """Colour and marker of a method, the ``number``-th of its figure; the paper's two have colours of their own."""
    return METHOD_COLOURS.get(method, OTHERS[number % len(OTHERS)]), MARKERS[number % len(MARKERS)]
