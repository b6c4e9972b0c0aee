"""Read a study's runs back, and summarise them: tidy files on disk in, data frames out.

All accuracies are fractions in [0, 1]. The headline is the last epoch's (ledger L10), averaged over folds (L12).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gndl.errors import GndlError
from gndl.files import written_aside
from gndl.paper import DATABASE_TITLES

ACCURACY_COLUMNS = (
    "database",
    "source",
    "method",
    "lam",
    "fold",
    "seed",
    "needs_neutral_at_test",
    "accuracy_last",
    "accuracy_best",
    "epoch_best",
    "n_train",
    "n_test",
)

RUN_KEY = ["database", "method", "lam", "fold", "seed"]


@dataclass(frozen=True)
class FinishedRun:
    """One finished run on disk: its folder, the values that name it, and its ``run.json``."""

    folder: Path
    database: str
    method: str
    lam: str
    fold: int
    seed: int
    record: dict[str, Any]


def finished_runs(out: Path) -> list[FinishedRun]:
    """Find every finished run of a study, sorted by database, method, λ, fold and seed.

    A run is finished when run.json, epochs.csv and predictions.csv are there.
    """
    runs = []
    for path in sorted(out.glob("*/*/lam-*/fold-*/seed-*/run.json")):
        folder = path.parent
        if not ((folder / "epochs.csv").exists() and (folder / "predictions.csv").exists()):
            continue
        database, method, lam, fold, seed = folder.relative_to(out).parts
        runs.append(
            FinishedRun(
                folder=folder,
                database=database,
                method=method,
                lam=lam.removeprefix("lam-"),
                fold=int(fold.removeprefix("fold-")),
                seed=int(seed.removeprefix("seed-")),
                record=json.loads(path.read_text(encoding="utf-8")),
            )
        )
    order = {name: number for number, name in enumerate(DATABASE_TITLES)}
    return sorted(runs, key=lambda run: (order.get(run.database, 99), run.method, run.lam, run.fold, run.seed))


def accuracy_table(out: Path, database: str | None = None) -> pd.DataFrame:
    """Collect every finished run's accuracies, one row a run, in the columns of ``accuracy.csv``."""
    rows = []
    for run in finished_runs(out):
        if database is not None and run.database != database:
            continue
        named = {name: getattr(run, name) for name in RUN_KEY} | {"source": run.record["identity"]["extra"]["source"]}
        rows.append({name: named.get(name, run.record.get(name)) for name in ACCURACY_COLUMNS})
    return pd.DataFrame(rows, columns=list(ACCURACY_COLUMNS))


def write_csv(table: pd.DataFrame, path: Path) -> Path:
    """Write a data frame atomically, in a form that is the same on every system."""
    with written_aside(path) as aside:
        table.to_csv(aside, index=False, lineterminator="\n")
    return path


def write_accuracy(out: Path) -> pd.DataFrame:
    """Write ``accuracy.csv`` from the runs on disk, and return it."""
    table = accuracy_table(out)
    write_csv(table, out / "accuracy.csv")
    return table


def read_csv(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Read one of the study's CSV files; text such as the λ ``none`` stays text.

    Raises
    ------
    GndlError
        Where the file is missing or lacks a column; both are named.
    """
    if not path.exists():
        raise GndlError(f"{path} is missing; run `gndl study` again to train what is not there.")
    table = pd.read_csv(
        path, keep_default_na=False, na_values=[""], dtype={"lam": str, "subject": str, "sequence": str, "frame": str}
    )
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise GndlError(f"{path} lacks the column {missing[0]!r}; it is not what a run writes.")
    return table


def read_predictions(out: Path, database: str, method: str, lam: str, seed: int | None = None) -> pd.DataFrame:
    """Read the last epoch's predictions of every fold of one variant, with ``fold`` and ``seed`` as columns."""
    tables = []
    for run in finished_runs(out):
        if (run.database, run.method, run.lam) == (database, method, lam) and seed in (None, run.seed):
            table = read_csv(run.folder / "predictions.csv", ("sample", "subject", "sequence", "truth", "predicted"))
            tables.append(table.assign(fold=run.fold, seed=run.seed))
    if not tables:
        raise GndlError(f"{out / database / method} holds no finished run with λ = {lam}.")
    return pd.concat(tables, ignore_index=True)


def read_epochs(out: Path, database: str) -> pd.DataFrame:
    """Read the learning curves of every finished run of one database, with the run's name as columns."""
    tables = []
    for run in finished_runs(out):
        if run.database == database:
            table = read_csv(run.folder / "epochs.csv", ("epoch", "loss", "accuracy_train", "accuracy_test"))
            tables.append(table.assign(method=run.method, lam=run.lam, fold=run.fold, seed=run.seed))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def confusion_counts(predictions: pd.DataFrame, expressions: tuple[str, ...]) -> pd.DataFrame:
    """Count predictions, one row per true class and one column per predicted class, in the order given."""
    counts = pd.crosstab(predictions["truth"], predictions["predicted"])
    return counts.reindex(index=list(expressions), columns=list(expressions), fill_value=0)


def sequence_votes(predictions: pd.DataFrame) -> pd.DataFrame:
    """Give each sequence one vote: the class of the largest mean probability over its frames.

    Returns one row per fold, seed and sequence, with ``subject``, ``truth`` and ``predicted``.
    """
    probabilities = [name for name in predictions.columns if name.startswith("p_")]
    groups = predictions.groupby(["fold", "seed", "sequence"], sort=True)
    votes = groups[["subject", "truth"]].first()
    means = groups[probabilities].mean()
    votes["predicted"] = means.idxmax(axis=1).astype(str).str.removeprefix("p_")
    return votes.reset_index()


def chance(predictions: pd.DataFrame) -> float:
    """Accuracy of always answering the most frequent class of the samples tested."""
    return float(predictions["truth"].value_counts(normalize=True).iloc[0])


def summarise(out: Path, database: str, accuracy: pd.DataFrame | None = None) -> pd.DataFrame:
    """Summarise every variant of one database.

    Returns
    -------
    DataFrame
        One row per method and λ: ``accuracy`` (mean of folds, last epoch; seeds of a fold averaged first), ``sd``
        (standard deviation between folds, NaN for one fold), ``folds``, ``seeds``, ``pooled`` (over all samples
        tested), ``per_sequence`` (one vote a sequence), ``optimistic`` (best epoch, chosen on the test fold),
        ``chance``, ``n_test``, ``images_per_epoch`` (largest of the folds) and ``parameters``.
    """
    accuracy = accuracy_table(out, database) if accuracy is None else accuracy[accuracy["database"] == database]
    records = {(run.method, run.lam): run.record for run in finished_runs(out) if run.database == database}
    images: dict[tuple[str, str], int] = {}
    for run in finished_runs(out):
        if run.database == database:
            key = (run.method, run.lam)
            images[key] = max(images.get(key, 0), int(run.record["images_per_epoch"]))
    rows = []
    for (method, lam), group in accuracy.groupby(["method", "lam"], sort=True):
        predictions = read_predictions(out, database, str(method), str(lam))
        votes = sequence_votes(predictions)
        folds = group.groupby("fold")[["accuracy_last", "accuracy_best"]].mean()
        rows.append(
            {
                "database": database,
                "source": group["source"].iloc[0],
                "method": method,
                "lam": lam,
                "needs_neutral_at_test": bool(group["needs_neutral_at_test"].iloc[0]),
                "accuracy": folds["accuracy_last"].mean(),
                "sd": folds["accuracy_last"].std(ddof=1) if len(folds) > 1 else np.nan,
                "folds": len(folds),
                "seeds": group["seed"].nunique(),
                "pooled": float((predictions["truth"] == predictions["predicted"]).mean()),
                "per_sequence": float((votes["truth"] == votes["predicted"]).mean()),
                "optimistic": folds["accuracy_best"].mean(),
                "chance": chance(predictions),
                "n_test": len(predictions),
                "images_per_epoch": images[(str(method), str(lam))],
                "parameters": records[(str(method), str(lam))]["parameters"],
            }
        )
    return pd.DataFrame(rows)


def in_plain_words(summary: pd.DataFrame, accuracy: pd.DataFrame) -> str:
    """Say in one or two sentences how every variant compares with the baseline, fold by fold, in Markdown.

    Fewer than seven folds carry no test: effect and spread are stated, and nothing is called shown.
    """
    if "baseline" not in set(summary["method"]):
        return "No baseline was run, so there is nothing to compare with."
    base = accuracy[accuracy["method"] == "baseline"].groupby("fold")["accuracy_last"].mean()
    lines = []
    for row in summary.itertuples():
        if row.method == "baseline":
            continue
        own = accuracy[(accuracy["method"] == row.method) & (accuracy["lam"] == row.lam)]
        difference = (own.groupby("fold")["accuracy_last"].mean() - base).dropna()
        lam = "" if row.lam == "none" else f" (λ = {row.lam})"
        spread = f", standard deviation {100 * difference.std(ddof=1):.1f}" if len(difference) > 1 else ""
        better, worse = int((difference > 0).sum()), int((difference < 0).sum())
        rendered = row.source == "rendered"
        stand_in = " This was measured on rendered faces and says nothing about people." if rendered else ""
        folds = f"{len(difference)} fold{'' if len(difference) == 1 else 's'}"
        lines.append(
            f"- **{row.method}{lam}** differs from the baseline by {100 * difference.mean():+.1f} points on average "
            f"over {folds}{spread}: better in {better}, worse in {worse}. "
            + (
                "So few folds show no difference either way."
                if len(difference) < 7
                else "The folds share most of their training samples, so this is a description and not a test."
            )
            + stand_in
        )
    return "\n".join(lines)
