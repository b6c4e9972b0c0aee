"""What notebook 4 shows of a study's features: measured, drawn, written into the study, and told.

Figures go into ``figures`` of the database's folder, tables into ``tables``, what is kept for later into ``analysis``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from gndl.analysis.deviation import Measured, deviation_map, deviation_measurements, map_name
from gndl.analysis.ensure import one_run
from gndl.figures.deviation import MAP_DESCRIPTION, map_caption
from gndl.figures.deviation import deviation_map as draw_map
from gndl.figures.measures import MEASURES_DESCRIPTION, deviation_measures, measures_caption
from gndl.figures.saving import save_figure
from gndl.methods import MethodSettings
from gndl.prepare import Prepared
from gndl.results import write_csv

MEASURES = "deviation_measures"


@dataclass(frozen=True)
class MapReport:
    """Fig. 8 of one fold.

    Parameters
    ----------
    figure : Figure or None
        None where there are too few samples to draw.
    table : DataFrame
        Of :func:`gndl.analysis.embedding.deviation_embedding`.
    note : str
        On weights of a second training; "" without one.
    """

    figure: Figure | None
    table: pd.DataFrame
    note: str


@dataclass(frozen=True)
class NumbersReport:
    """What was measured in the features of one method, and beside it in others.

    Parameters
    ----------
    figure : Figure or None
        Of the method; None where nothing could be measured.
    folds, numbers : DataFrame
        Every number per fold, and joined over folds; of all methods.
    own : DataFrame
        The rows of ``numbers`` that belong to the method.
    notes : str
        On folds that could not be measured and on second trainings, in Markdown.
    """

    figure: Figure | None
    folds: pd.DataFrame
    numbers: pd.DataFrame
    own: pd.DataFrame
    notes: str


def report_map(
    study: Prepared, method: str | MethodSettings = "gndl", lam: float | None = None, *, fold: int = 0, seed: int = 0
) -> MapReport:
    """Draw Fig. 8 of one fold, training its run first where that is needed (a line says so).

    Parameters
    ----------
    study : Prepared
    method, lam
        With a generator; λ is the profile's by default.
    fold : int
    seed : int
        Of t-SNE.
    """
    table, note = deviation_map(study, method, lam, fold, seed)
    source = study.database.source
    if table.empty:
        return MapReport(None, table, note)
    figure = draw_map(table, source=source)
    save_figure(
        figure, study.folder / "figures", map_name(study, one_run(study, method, lam, fold)), table, source,
        caption=map_caption(table.assign(source=source)), description=MAP_DESCRIPTION,
    )  # fmt: skip
    return MapReport(figure, table, note)


def report_numbers(
    study: Prepared,
    method: str | MethodSettings = "gndl",
    lam: float | None = None,
    *,
    beside: Iterable[str | MethodSettings] = ("baseline",),
    folds: Iterable[int] | None = None,
) -> NumbersReport:
    """Measure the features of a method on every fold whose weights are at hand, and those of others beside it.

    Parameters
    ----------
    study : Prepared
    method, lam
        With a generator; λ is the profile's by default.
    beside : iterable of methods
    folds : iterable of int, optional
        All that the study runs by default.
    """
    variants = [(method, lam), *((other, None) for other in beside)]
    measured = deviation_measurements(study, variants, folds)
    notes = "\n".join(f"- {note}" for note in measured.notes)
    if measured.folds.empty:
        return NumbersReport(None, measured.folds, measured.folds, measured.folds, notes)
    run = one_run(study, method, lam, study.run_folds[0])
    numbers = measured.numbers
    own = numbers[(numbers["method"] == run.variant) & (numbers["lam"] == run.lam_text)].reset_index(drop=True)
    _write_tables(study, measured, numbers)
    if own.empty:
        return NumbersReport(None, measured.folds, numbers, own, notes)
    source = study.database.source
    figure = deviation_measures(own, source=source)
    name = map_name(study, run).replace("deviation_features", MEASURES)
    save_figure(
        figure, study.folder / "figures", name, own, source,
        caption=measures_caption(own.assign(source=source)), description=MEASURES_DESCRIPTION,
    )  # fmt: skip
    write_csv(own.assign(source=source), study.folder / "analysis" / f"{name}.csv")
    return NumbersReport(figure, measured.folds, numbers, own, notes)


def _write_tables(study: Prepared, measured: Measured, numbers: pd.DataFrame) -> None:
    """Write one CSV per analysis, joined over folds, and one with everything per fold."""
    folder, source = study.folder / "tables", study.database.source
    for analysis, rows in numbers.groupby("analysis", sort=False):
        write_csv(rows.assign(source=source), folder / f"deviation_{analysis}.csv")
    write_csv(measured.folds.assign(source=source), folder / "deviation_folds.csv")
