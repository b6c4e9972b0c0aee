"""Audit the CSV files behind figures and tables: derived again from the runs, and compared cell by cell."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from gndl import results
from gndl.analysis.comparisons import compare_database
from gndl.analysis.hard_samples import compare_samples, hard_samples, pair_predictions
from gndl.analysis.paired import paired_differences
from gndl.analysis.reliability import reliability, reliability_table
from gndl.analysis.variants import Variant
from gndl.checking.crops import Looked
from gndl.checking.runs import TOLERANCE
from gndl.errors import GndlError
from gndl.figures.redraw import CSV_FOLDERS, has_rows
from gndl.figures.training import counts_table
from gndl.files import whole
from gndl.licence import publishable
from gndl.report import confusion_by_title, settings_of
from gndl.selection import choices, summarise_choices
from gndl.sensitivity import sensitivity_of_study
from gndl.tables import results_table as tables
from gndl.tables.scores import score_table

TEXT = {name: str for name in ("lam", "subject", "sequence", "frame", "a_lam", "b_lam", "reference_lam")}

Derive = Callable[[Path, str, pd.DataFrame], pd.DataFrame]
"""Takes the study's directory, the database and the table as written; returns it as the runs give it."""


def _headline(out: Path, database: str) -> pd.DataFrame:
    return results.headline(results.summarise(out, database), settings_of(out).lam)


def _named(written: pd.DataFrame) -> list[Variant]:
    """The variants that a table names, in its order: others may have been trained since it was written."""
    pairs = written[["method", "lam"]].drop_duplicates()
    return [Variant(str(method), str(lam)) for method, lam in pairs.to_numpy()]


def _confusion(out: Path, database: str, written: pd.DataFrame) -> pd.DataFrame:
    return counts_table(confusion_by_title(out, database, _headline(out, database)))


def _curves(out: Path, database: str, written: pd.DataFrame) -> pd.DataFrame:
    return results.headline(results.read_epochs(out, database), settings_of(out).lam)


def _folds(out: Path, database: str, written: pd.DataFrame) -> pd.DataFrame:
    """Samples tested of each class; folds that were not run stay as they are written."""
    runs = [run for run in results.finished_runs(out) if run.database == database]
    derived = written.set_index("fold").drop(columns="source")
    for run in runs:
        tested = results.read_csv(run.folder / "predictions.csv", ("truth",))["truth"].value_counts()
        derived.loc[run.fold] = [int(tested.get(name, 0)) for name in derived.columns]
    return derived.reset_index()


def _paired(out: Path, database: str, written: pd.DataFrame) -> pd.DataFrame:
    reference = Variant(str(written["reference_method"].iloc[0]), str(written["reference_lam"].iloc[0]))
    return paired_differences(out, database, _named(written), reference).table()


def _reliability(out: Path, database: str, written: pd.DataFrame) -> pd.DataFrame:
    return reliability_table([reliability(out, database, variant) for variant in _named(written)])


def _pair(written: pd.DataFrame) -> tuple[Variant, Variant]:
    first = written.iloc[0]
    return Variant(str(first["a_method"]), str(first["a_lam"])), Variant(str(first["b_method"]), str(first["b_lam"]))


def _cells(out: Path, database: str, written: pd.DataFrame) -> pd.DataFrame:
    return compare_samples(out, database, *_pair(written), int(written["seed"].iloc[0])).cells()


def _samples(gained_by: str) -> Derive:
    def derive(out: Path, database: str, written: pd.DataFrame) -> pd.DataFrame:
        """The pair is that of notebook 5: the baseline and the method at the fixed λ.

        A gallery of a licensed copy was chosen from publishable subjects alone, the table beside it from all.
        """
        a, b = Variant("baseline"), Variant("gndl", f"{settings_of(out).lam:g}")
        paired = pair_predictions(out, database, a, b, int(written["seed"].iloc[0]))
        everything = hard_samples(paired, gained_by, count=len(paired))  # type: ignore[arg-type]
        rule = publishable(out, database, str(written["source"].iloc[0]) if "source" in written else "rendered")
        if all(rule.may_show(str(subject)) for subject in written["subject"]):
            everything = everything[everything["subject"].map(rule.may_show).astype(bool)]
        return everything.head(len(written))

    return derive


def _features(out: Path, database: str, written: pd.DataFrame) -> pd.DataFrame:
    """Only what the runs say is derived: which run a row comes from, the sample's names, truth and prediction."""
    said = []
    for run in results.finished_runs(out):
        if run.database == database:
            predictions = results.read_csv(run.folder / "predictions.csv", ("sample", "truth", "predicted"))
            name = f"{run.record['identity_hash'][:16]}-{run.record['epochs']}"
            said.append(predictions.assign(method=run.method, lam=run.lam, fold=run.fold, seed=run.seed, run=name))
    names = ["run", "subject", "sequence", "frame", "truth", "predicted"]
    key = ["method", "lam", "fold", "seed", "sample"]
    both = written[key].merge(pd.concat(said)[[*key, *names]], on=key, how="left")
    return both[names]


def _sweep(out: Path, database: str, written: pd.DataFrame) -> pd.DataFrame:
    lams = sorted({float(lam) for lam in written["lam"]})
    return sensitivity_of_study(out, database, lams=lams)


def _table_1(out: Path, database: str, written: pd.DataFrame) -> pd.DataFrame:
    return tables.table_1(_headline(out, database), database)


def _comparison(out: Path, database: str, written: pd.DataFrame) -> pd.DataFrame:
    return compare_database(out, database, _headline(out, database))


def _scores(out: Path, database: str, written: pd.DataFrame) -> pd.DataFrame:
    return score_table(out, database, _headline(out, database))


FIGURES: dict[str, Derive] = {
    "confusion_matrices": _confusion,
    "learning_curves": _curves,
    "folds": _folds,
    "paired_differences": _paired,
    "reliability": _reliability,
    "sample_cells": _cells,
    "deviation_features": _features,
    "hard_samples": _samples("b"),
    "hard_samples_reverse": _samples("a"),
    "sensitivity": _sweep,
    "sensitivity_differences": _sweep,
}
"""Figures whose CSV follows from predictions.csv and epochs.csv alone."""


def _choices(out: Path, database: str, written: pd.DataFrame) -> pd.DataFrame:
    return choices(out, database)


def _choices_summary(out: Path, database: str, written: pd.DataFrame) -> pd.DataFrame:
    return summarise_choices(choices(out, database))


TABLES: dict[str, Derive] = {
    "table1": _table_1,
    "comparison": _comparison,
    "scores": _scores,
    "choices": _choices,
    "choices_summary": _choices_summary,
}


def check_figures(out: Path, database: str) -> Looked:
    """Derive the CSV of every figure and table of a database again, where the runs alone give it.

    Columns that the file does not have (an older version wrote fewer) are left out; every other cell is compared, a
    number within 1e-9. What needs weights or pictures is named as not verified.
    """
    folder = out / database
    found: list[str] = []
    verified: list[str] = []
    others: list[str] = []
    for part in CSV_FOLDERS:
        for file in sorted(whole((folder / part).glob("*.csv"))):
            derive = FIGURES.get(file.stem)
            if derive is None:
                others.append(file.stem)
            elif has_rows(file):
                problem = differs_from_runs(file, partial(derive, out, database))
                found += [problem] if problem else []
                verified += [] if problem else [file.stem]
    for name, derive in TABLES.items():
        file = folder / "tables" / f"{name}.csv"
        if has_rows(file):
            problem = differs_from_runs(file, partial(derive, out, database))
            found += [problem] if problem else []
            verified += [] if problem else [name]
    named = sorted(set(verified))
    need = sorted(set(others) - set(named))
    return Looked(
        tuple(found),
        (f"{database}: CSV files of figures and tables, derived from the runs: {', '.join(named)}",) if named else (),
        (f"{database}: CSV files that need weights or pictures to be derived: {', '.join(need)}",) if need else (),
    )


def differs_from_runs(file: Path, derive: Callable[[pd.DataFrame], pd.DataFrame]) -> str:
    """Say where a CSV file differs from what the runs give; "" where it does not.

    ``derive`` takes the table as written, and returns it as the runs give it.
    """
    again = "it was changed, or runs were added since: draw it again with its notebook, or `gndl report`"
    try:
        written = pd.read_csv(file, keep_default_na=False, na_values=[""], dtype=TEXT, engine="python")
        derived = derive(written)
    except (GndlError, OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        return f"{file}: cannot be derived from the runs ({error}); {again}"
    if len(written) != len(derived):
        return f"{file}: has {len(written)} rows, the runs give {len(derived)}; {again}"
    columns = [name for name in written.columns if name in derived.columns]
    if not columns:
        return f"{file}: has none of the columns that it should have"
    for name in columns:
        row = _first_difference(written[name], derived[name])
        if row is not None:
            said, right = written[name].iloc[row], derived[name].iloc[row]
            return f"{file}, row {row + 2}: {name} is {said}, the runs give {right}; {again}"
    return ""


def _first_difference(written: pd.Series, derived: pd.Series) -> int | None:
    """Row of the first cell that differs: numbers by more than 1e-9, what is missing from what is there, texts."""
    one, other = (pd.to_numeric(column.astype(object), errors="coerce") for column in (written, derived))
    numbers = one.notna().to_numpy() & other.notna().to_numpy()
    near = np.abs(one.to_numpy(float) - other.to_numpy(float)) <= TOLERANCE
    missing = written.isna().to_numpy() & (derived.isna().to_numpy() | (derived.astype(str) == "").to_numpy())
    same = written.astype(str).to_numpy() == derived.astype(str).to_numpy()
    wrong = np.flatnonzero(~np.where(numbers, near, missing | same))
    return int(wrong[0]) if len(wrong) else None
