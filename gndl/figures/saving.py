"""Save a figure for a manuscript: PDF, SVG, PNG and the CSV behind it, the same bytes for the same numbers."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from gndl.figures.style import style
from gndl.files import written_aside
from gndl.results import write_csv


def save_figure(figure: Figure, folder: Path, name: str, data: pd.DataFrame, source: str) -> Path:
    """Write ``name`` as PDF (TrueType), SVG (text as paths), PNG (300 dpi) and the CSV behind it; return the PNG.

    Every row of the CSV says in ``source`` what kind of faces it comes from. Dates and random identifiers are left
    out, so that the same numbers give the same bytes.
    """
    metadata: dict[str, dict[str, None]] = {"pdf": {"CreationDate": None, "ModDate": None}, "svg": {"Date": None}}
    with style():
        for kind in ("pdf", "svg", "png"):
            with written_aside(folder / f"{name}.{kind}") as aside:
                figure.savefig(aside, format=kind, metadata=metadata.get(kind))
    write_csv(data.assign(source=source), folder / f"{name}.csv")
    return folder / f"{name}.png"
