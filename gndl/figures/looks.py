"""How a variant is told from others in a figure, and how a caption calls what was measured."""

from __future__ import annotations

import pandas as pd

from gndl.figures.style import METHOD_COLOURS
from gndl.paper import DATABASE_TITLES

OTHERS = ("#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
MARKERS = ("o", "s", "D", "^", "v", "P")


def look(method: str, number: int) -> tuple[str, str]:
    """Colour and marker of a method, the ``number``-th of its figure; the paper's two have colours of their own."""
    return METHOD_COLOURS.get(method, OTHERS[number % len(OTHERS)]), MARKERS[number % len(MARKERS)]


def measured_on(table: pd.DataFrame) -> str:
    """Name the database of a table with ``database`` and ``source``, such as "CK+ stand-in"."""
    name = str(table["database"].iloc[0])
    return DATABASE_TITLES.get(name, name) + (" stand-in" if table["source"].iloc[0] == "rendered" else "")
