"""Save a figure for a manuscript: PDF, SVG, PNG, the CSV behind it and the LaTeX around it, always the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from gndl.figures.captions import caption_of, label_of, path_in_study
from gndl.figures.shown import write_declaration
from gndl.figures.style import ONE_COLUMN, style
from gndl.files import write_text, written_aside
from gndl.manuscript.tex import figure_environment
from gndl.results import write_csv


def save_figure(
    figure: Figure,
    folder: Path,
    name: str,
    data: pd.DataFrame,
    source: str,
    *,
    caption: str = "",
    description: str = "",
    root: Path | None = None,
) -> Path:
    """Write ``name`` as PDF (TrueType), SVG (text as paths), PNG (300 dpi), CSV and LaTeX; return the PNG.

    Every row of the CSV says in ``source`` what kind of faces it comes from. Dates and random identifiers are left
    out, so that the same numbers give the same bytes. The PNG keeps caption and description as its own texts. Of faces
    that are not rendered, ``.NAME.faces.json`` says whose the figure shows (`gndl.figures.shown`).

    Parameters
    ----------
    figure : Figure
    folder : Path
        ``OUT/DATABASE/figures``, or any other.
    name : str
        File name without its ending.
    data : DataFrame
        What the figure shows.
    source : str
        ``"rendered"``, ``"licensed"`` or ``"own"``.
    caption, description : str
        Plain texts for the ``.tex``; the description is for those who cannot see the figure. By default those that
        `gndl.figures.captions` has for the name. Rendered data is called a rendered stand-in whatever they say.
    root : Path, optional
        What ``\\gndlStudy`` stands for in the ``.tex``; by default the folder that the database's folder lies in.
    """
    caption, description = caption_of(name, folder, source, caption, description)
    metadata: dict[str, dict[str, Any]] = {
        "pdf": {"CreationDate": None, "ModDate": None},
        "svg": {"Date": None},
        "png": {"Description": caption, "Comment": description},
    }
    with style():
        for kind in ("pdf", "svg", "png"):
            with written_aside(folder / f"{name}.{kind}") as aside:
                figure.savefig(aside, format=kind, metadata=metadata[kind])
    if source != "rendered":
        write_declaration(figure, folder, name)
    write_csv(data.assign(source=source), folder / f"{name}.csv")
    environment = figure_environment(
        path_in_study(name, folder, root),
        float(figure.get_figwidth()),
        caption=caption,
        description=description,
        label=label_of(name, folder),
        columns=ONE_COLUMN,
    )
    write_text(folder / f"{name}.tex", environment)
    return folder / f"{name}.png"
