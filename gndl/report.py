"""Tables and figures of a study, drawn from its CSV files alone: nothing is read again, cropped or trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from gndl import comparison, figures, results
from gndl.analysis.comparisons import compare_database
from gndl.analysis.variants import Variant
from gndl.errors import GndlError
from gndl.figures.across import ACROSS_DESCRIPTION
from gndl.figures.redraw import CSV_FOLDERS, FIGURES, redraw, wide
from gndl.figures.variants import VARIANTS_DESCRIPTION, far_below
from gndl.manuscript.floats import study_numbers, write_manuscript
from gndl.manuscript.further_numbers import numbers_across, numbers_of_variants
from gndl.paper import DATABASE_TITLES
from gndl.profiles import Profile
from gndl.request import profile_from_json, read_study_json
from gndl.sensitivity import sensitivity_of_study
from gndl.tables import results_table as tables
from gndl.tables import scores as score_tables
from gndl.tables import study as study_tables
from gndl.tables.across import cross_caption, cross_table, save_cross
from gndl.tables.choices import save_choices
from gndl.tables.variants import save_variants, variants_caption

NARROWEST, WIDEST = 2.5, 20.0
"""Widths of a figure that can be asked for, in inches."""


@dataclass(frozen=True)
class DatabaseReport:
    """What notebook 2 shows of one database.

    Parameters
    ----------
    summary : DataFrame
        Of `gndl.results.summarise`, the headline's rows.
    table : DataFrame
        Table 1: the paper's rows, then ours.
    matrices, curves : Figure
        Confusion matrices (Fig. 6) and learning curves.
    comparison : DataFrame
        Every variant against its baseline, of `gndl.analysis.comparisons.compare_database`.
    words : str
        The comparison in plain words, in Markdown.
    scores : DataFrame
        Frames, sequences and classes, of `gndl.tables.scores.score_table`.
    """

    summary: pd.DataFrame
    table: pd.DataFrame
    matrices: Figure
    curves: Figure
    comparison: pd.DataFrame
    words: str
    scores: pd.DataFrame


def report_database(out: Path, database: str, into: Path | None = None, width: float | None = None) -> DatabaseReport:
    """Write Table 1, scores, confusion matrices and learning curves of one database, and return them.

    Only the λ that was fixed beforehand enters (ledger L19); other values lie in accuracy.csv.

    Parameters
    ----------
    out : Path
        The study's directory.
    database : str
    into : Path, optional
        Folder for figures, and tables in its ``tables``; by default ``figures`` and ``tables`` of the study.
    width : float, optional
        Of the figures, in inches; by default two columns of acmart.

    Raises
    ------
    GndlError
        Where the database has no finished run, or its runs cannot be averaged.
    """
    lam = settings_of(out).lam
    summary = results.summarise(out, database)
    if summary.empty:
        raise GndlError(f"{out / database} holds no finished run; run `gndl study --out {out}` first.")
    summary = results.headline(summary, lam)
    source = str(summary["source"].iloc[0])
    counts = confusion_by_title(out, database, summary)
    epochs = results.headline(results.read_epochs(out, database), lam)
    folder = into or out / database / "figures"
    matrices, curves = figures.training_figures(counts, epochs, source, folder, **wide(width))
    table, table_folder = tables.table_1(summary, database), (into or out / database) / "tables"
    tables.save_table_1(table, table_folder, database)
    scores = score_tables.score_table(out, database, summary)
    score_tables.save_scores(scores, summary, table_folder, database)
    compared = compare_database(out, database, summary)
    results.write_csv(compared, table_folder / "comparison.csv")
    save_choices(out, database, table_folder)
    return DatabaseReport(summary, table, matrices, curves, compared, comparison.in_plain_words(compared), scores)


def confusion_by_title(out: Path, database: str, summary: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Count the predictions of every variant of a summary, by the title of its confusion matrix."""
    counts = {}
    for row in summary.itertuples():
        predictions = results.read_predictions(out, database, str(row.method), str(row.lam))
        classes = tuple(column.removeprefix("p_") for column in predictions.columns if column.startswith("p_"))
        folds = f"{row.folds} fold{'' if row.folds == 1 else 's'}"
        variant = Variant(str(row.method), str(row.lam))
        title = f"{tables.measured_on(database, str(row.source))}: {variant.title} ({folds})"
        counts[title] = results.confusion_counts(predictions, classes)
    return counts


def draw_sensitivity(out: Path, database: str, folder: Path, width: float | None = None) -> tuple[str, ...]:
    """Draw Fig. 7 from the runs themselves where more than one value of λ was run; return the names of the figures."""
    runs = results.accuracy_table(out, database)
    if runs.loc[runs["lam"] != "none", "lam"].nunique() < 2:
        return ()
    figures.sensitivity_figures(sensitivity_of_study(out, database), folder, width)
    return "sensitivity", "sensitivity_differences"


def report_variants(
    out: Path, tables_folder: Path, figures_folder: Path, width: float | None = None, root: Path | None = None
) -> list[pd.DataFrame]:
    """Write table and figure of every group of variants that was run (ablations, finer grains); return the tables.

    ``root`` is what the figures' ``.tex`` names them from, the study's directory by default.
    """
    written = save_variants(out, tables_folder, settings_of(out).lam)
    for table in written:
        figures.save_figure(
            figures.variant_differences(table, width=width),
            figures_folder,
            str(table["group"].iloc[0]),
            table,
            str(table["source"].iloc[0]),
            caption=variants_caption(table) + far_below(table),
            description=VARIANTS_DESCRIPTION,
            root=root or out,
        )
    return written


def report_across(
    out: Path, tables_folder: Path, figures_folder: Path, width: float | None = None, root: Path | None = None
) -> pd.DataFrame:
    """Write table and figure of what was trained on one database and tested on another; return the table.

    ``root`` is what the figure's ``.tex`` names it from, the study's directory by default.
    """
    table = cross_table(out, settings_of(out).lam)
    if len(table):
        save_cross(table, tables_folder)
        source = str(table["source"].iloc[0])
        figure, caption = figures.across_databases(table, width=width), cross_caption(table)
        figures.save_figure(
            figure,
            figures_folder,
            "across",
            table,
            source,
            caption=caption,
            description=ACROSS_DESCRIPTION,
            root=root or out,
        )
    return table


def settings_of(out: Path) -> Profile:
    """Read the settings that a study was asked for; a study.json that holds none raises `GndlError`."""
    content = read_study_json(out)
    try:
        return profile_from_json(content["asked"]["settings"])
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise GndlError(
            f"{out / 'study.json'}: its settings are not those of a study ({error!r}); fetch the file again."
        ) from error


def report_study(
    out: Path, into: Path | None = None, beside: Sequence[Path] = (), width: float | None = None
) -> pd.DataFrame:
    """Write every table and figure of a study that its CSV files give; return the headline's rows of Table 1.

    Beside them stands what a manuscript takes: ``tables/numbers.tex``, ``tables/references.bib`` and ``preview.tex``.
    A study that was run across databases alone has none of these; its table and figure are written, no row is returned.

    Parameters
    ----------
    out : Path
        The study's directory.
    into : Path, optional
        Another folder, ``INTO/DATABASE/NAME.pdf``, and the study is only read. By default all goes into the study
        itself, and ``accuracy.csv`` is written too.
    beside : sequence of Path
        Studies whose ablations and finer grains are shown with this one.
    width : float, optional
        Of every figure, in inches; by default each has its own, one or two columns of acmart. Galleries of faces, which
        no CSV gives back, are drawn by notebook 5.

    Raises
    ------
    GndlError
        Where there is no finished run, or no figure can be so wide.
    """
    if width is not None and not NARROWEST <= width <= WIDEST:
        raise GndlError(f"--width {width:g}: a figure is {NARROWEST:g} to {WIDEST:g} inches wide; 3.33 is one column.")
    trained = set(results.accuracy_table(out)["database"])
    names = [name for name in DATABASE_TITLES if name in trained]
    if not names:
        if report_across(out, (into or out) / "tables", into or out / "figures", width, into).empty:
            raise GndlError(f"{out} holds no finished run; run `gndl study --out {out}` first.")
        return pd.DataFrame()
    if not into:
        results.write_accuracy(out)
    reports = {name: report_database(out, name, into / name if into else None, width) for name in names}
    figure_folders = {name: into / name if into else out / name / "figures" for name in names}
    for name, target in figure_folders.items():
        drawn = draw_sensitivity(out, name, target, width)
        others = [figure for figure in FIGURES if figure not in drawn]
        # Of a study of record all but "analysis" may be missing in another copy, and every copy gives the same figures.
        redraw(out / name, target, others, CSV_FOLDERS[::-1] if into else CSV_FOLDERS, width)
    folder = into or out
    scores = [report.scores for report in reports.values()]
    summaries = {name: report.summary for name, report in reports.items()}
    together = pd.concat([report.comparison for report in reports.values()], ignore_index=True)
    comparisons = comparison.with_holm(together)
    study_tables.save_study_table(study_tables.study_table_1(summaries), folder / "tables")
    study_tables.save_comparisons(comparisons, folder / "tables")
    table = pd.concat([tables.measured_rows(summary) for summary in summaries.values()], ignore_index=True)
    results.write_csv(table, folder / "tables" / "accuracy_summary.csv")
    pictures = into or out / "figures"
    variants = [
        written
        for study in (out, *beside)
        for written in report_variants(study, folder / "tables", pictures, width, folder)
    ]
    further = [number for written in variants for number in numbers_of_variants(written)]
    further += numbers_across(report_across(out, folder / "tables", pictures, width, folder))
    numbers = study_numbers(out, settings_of(out), summaries, comparisons, figure_folders, scores, further)
    write_manuscript(folder, numbers, str(table["source"].iloc[0]))
    return table
