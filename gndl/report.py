"""Tables and figures of a study, drawn from its CSV files alone: nothing is read again, cropped or trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from gndl import comparison, figures, results, tables
from gndl.errors import GndlError
from gndl.paper import DATABASE_TITLES
from gndl.request import profile_from_json, read_study_json


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
    words : str
        The comparison in plain words, in Markdown.
    """

    summary: pd.DataFrame
    table: pd.DataFrame
    matrices: Figure
    curves: Figure
    words: str


def report_database(out: Path, database: str) -> DatabaseReport:
    """Write Table 1, confusion matrices and learning curves of one database into the study, and return them.

    Only the λ that was fixed beforehand enters (ledger L19); other values lie in accuracy.csv.

    Raises
    ------
    GndlError
        Where the database has no finished run, or its runs cannot be averaged.
    """
    lam = profile_from_json(read_study_json(out)["asked"]["settings"]).lam
    summary = results.summarise(out, database)
    if summary.empty:
        raise GndlError(f"{out / database} holds no finished run; run `gndl study --out {out}` first.")
    summary = results.headline(summary, lam)
    source = str(summary["source"].iloc[0])
    title = tables.measured_on(database, source)
    counts = {}
    for row in summary.itertuples():
        predictions = results.read_predictions(out, database, str(row.method), str(row.lam))
        classes = tuple(column.removeprefix("p_") for column in predictions.columns if column.startswith("p_"))
        lam_text = "" if row.lam == "none" else f", λ = {row.lam}"
        folds = f"{row.folds} fold{'' if row.folds == 1 else 's'}"
        counts[f"{title}: {row.method}{lam_text} ({folds})"] = results.confusion_counts(predictions, classes)
    epochs = results.headline(results.read_epochs(out, database), lam)
    matrices, curves = figures.training_figures(counts, epochs, source, out / database / "figures")
    table = tables.table_1(summary, database)
    tables.save_table_1(table, out / database / "tables", database)
    compared = comparison.compare_with_baseline(summary, results.accuracy_table(out, database))
    results.write_csv(compared, out / database / "tables" / "comparison.csv")
    return DatabaseReport(summary, table, matrices, curves, comparison.in_plain_words(compared))


def report_study(out: Path) -> pd.DataFrame:
    """Write every table and figure of a study again, and ``accuracy.csv``; return the headline's rows of Table 1."""
    accuracy = results.write_accuracy(out)
    names = [name for name in DATABASE_TITLES if name in set(accuracy["database"])]
    if not names:
        raise GndlError(f"{out} holds no finished run; run `gndl study --out {out}` first.")
    rows = [tables.measured_rows(report_database(out, name).summary) for name in names]
    table = pd.concat(rows, ignore_index=True)
    results.write_csv(table, out / "tables" / "accuracy_summary.csv")
    return table
