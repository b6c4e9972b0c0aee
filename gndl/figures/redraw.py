"""Figures that can be drawn again from the CSV behind them alone: no weights, no pictures, no training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from gndl.analysis.deviation import HOW
from gndl.errors import GndlError
from gndl.figures.captions import stacked_words
from gndl.figures.deviation import MAP_DESCRIPTION, deviation_map, map_caption
from gndl.figures.intensity import INTENSITY_DESCRIPTION, intensity_caption, intensity_curves
from gndl.figures.measures import MEASURES_DESCRIPTION, deviation_measures, measures_caption
from gndl.figures.paired import PAIRED_DESCRIPTION, paired_caption, paired_dots
from gndl.figures.reliability import RELIABILITY_DESCRIPTION, reliability_caption, reliability_diagrams
from gndl.figures.samples import CELLS_DESCRIPTION, cells_caption, cells_figure
from gndl.figures.saving import save_figure
from gndl.figures.sensitivity import sensitivity_curves, sensitivity_differences
from gndl.figures.sensitivity_captions import (
    DIFFERENCES_DESCRIPTION,
    differences_caption,
    from_csv,
    sensitivity_caption,
    sensitivity_description,
)
from gndl.figures.style import NARROW
from gndl.figures.training import fold_balance


@dataclass(frozen=True)
class Redrawn:
    """How one figure is drawn from its CSV.

    Parameters
    ----------
    draw : callable
        Takes the table and ``source``, and ``width`` in inches where it is not to be its own; returns the figure.
    caption, description : callable, optional
        Take the table, with its ``source``, and return the texts; those of `gndl.figures.captions` by default.
    """

    draw: Callable[..., Figure]
    caption: Callable[[pd.DataFrame], str] | None = None
    description: Callable[[pd.DataFrame], str] | None = None


FIGURES: dict[str, Redrawn] = {
    "folds": Redrawn(lambda table, source, **wide: fold_balance(table.set_index("fold"), source=source, **wide)),
    "deviation_features": Redrawn(
        lambda table, source, **wide: deviation_map(table, source=source, **wide),
        map_caption,
        lambda table: MAP_DESCRIPTION,
    ),
    "deviation_measures": Redrawn(
        lambda table, source, **wide: deviation_measures(table, source=source, **wide),
        measures_caption,
        lambda table: MEASURES_DESCRIPTION,
    ),
    "sample_cells": Redrawn(
        lambda table, source, **wide: cells_figure(table, source=source, **wide),
        cells_caption,
        lambda table: CELLS_DESCRIPTION,
    ),
    "paired_differences": Redrawn(
        lambda table, source, **wide: paired_dots(table, source=source, **wide),
        paired_caption,
        lambda table: PAIRED_DESCRIPTION,
    ),
    "reliability": Redrawn(
        lambda table, source, **wide: reliability_diagrams(table, source=source, **wide),
        reliability_caption,
        lambda table: RELIABILITY_DESCRIPTION,
    ),
    "intensity": Redrawn(
        lambda table, source, **wide: intensity_curves(table, source=source, **wide),
        intensity_caption,
        lambda table: INTENSITY_DESCRIPTION,
    ),
    "sensitivity": Redrawn(
        lambda table, source, **wide: sensitivity_curves(from_csv(table.assign(source=source)), **wide),
        lambda table: sensitivity_caption(from_csv(table)),
        lambda table: sensitivity_description(from_csv(table)),
    ),
    "sensitivity_differences": Redrawn(
        lambda table, source, **wide: sensitivity_differences(from_csv(table.assign(source=source)), **wide),
        lambda table: differences_caption(from_csv(table)),
        lambda table: DIFFERENCES_DESCRIPTION,
    ),
}
"""Every figure that is drawn again from ``NAME.csv``, by NAME."""

ORDER = ("confusion_matrices", "sensitivity", "deviation_features", "hard_samples")
"""The figures that the paper has, in its order; all others follow by name."""

CSV_FOLDERS = ("figures", "analysis")
"""Where in a database's folder of a study the CSV files lie. A study of record keeps those in the second alone."""


def in_order(names: Iterable[str]) -> list[str]:
    """Sort names of figures: the paper's first, those that begin alike together."""

    def place(name: str) -> tuple[int, str]:
        return next((number for number, start in enumerate(ORDER) if name.startswith(start)), len(ORDER)), name

    return sorted(names, key=place)


def read_figure_csv(path: Path) -> tuple[pd.DataFrame, str]:
    """Read the CSV behind a figure, exactly as it was written; return it without ``source``, and the source.

    Raises
    ------
    GndlError
        Where the file has no row or no ``source``, or more than one.
    """
    texts = {"lam": str, "subject": str, "sequence": str, "frame": str}
    # Python's own parser gives back every float as it was written.
    table = pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=texts, engine="python")
    sources = sorted(set(table["source"])) if "source" in table.columns else []
    if len(sources) != 1:
        raise GndlError(f"{path}: one source is expected in the column source, found {', '.join(sources) or 'none'}.")
    return table.drop(columns="source"), str(sources[0])


def has_rows(csv: Path) -> bool:
    """Whether a CSV file is there and has a row below its header; a figure of nothing has none."""
    return csv.is_file() and csv.read_bytes().count(b"\n") > 1


def wide(width: float | None) -> dict[str, float]:
    """Keyword for a figure's width in inches; none where it keeps its own."""
    return {} if width is None else {"width": width}


def redraw(
    study_of_database: Path,
    folder: Path,
    names: Iterable[str] | None = None,
    csv_folders: Sequence[str] = CSV_FOLDERS,
    width: float | None = None,
) -> list[Path]:
    """Draw every figure whose CSV a database's folder of a study holds into ``folder``; return the PNG files.

    Parameters
    ----------
    study_of_database : Path
        ``OUT/DATABASE``; the CSV files lie in its ``analysis`` or ``figures``.
    folder : Path
        For the figures; may be the study's own.
    names : iterable of str, optional
        Only these; by default all in `FIGURES`. One whose CSV is missing, or has no row, is left out.
    csv_folders : sequence of str
        Where the CSV files are looked for, the first that has one decides.
    width : float, optional
        Of every figure, in inches; by default each its own, one or two columns of acmart.
    """
    drawn = []
    for name in FIGURES if names is None else names:
        files = [study_of_database / part / f"{name}.csv" for part in csv_folders]
        csv = next((file for file in files if has_rows(file)), None)
        if csv is None:
            continue
        table, source = read_figure_csv(csv)
        table = table.drop(columns=HOW, errors="ignore")  # only analyses that are kept have these
        how = FIGURES[name]
        described = table.assign(source=source)
        caption = how.caption(described) if how.caption else ""
        if width is not None and width < NARROW:
            caption = stacked_words(caption)
        description = how.description(described) if how.description else ""
        figure = how.draw(table, source, **wide(width))
        drawn.append(save_figure(figure, folder, name, table, source, caption=caption, description=description))
    return drawn
