"""Read a study's runs back, and summarise them: tidy files on disk in, data frames out.

All accuracies are fractions in [0, 1]. The headline is the last epoch's (ledger L10), averaged over folds (L12).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gndl.checkpoint import read_record
from gndl.errors import GndlError
from gndl.files import locked, written_aside
from gndl.identity import differences
from gndl.methods import method_names, method_settings
from gndl.paper import DATABASE_TITLES
from gndl.run_record import require_record
from gndl.study_csv import read_csv as read_csv

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

    @property
    def source(self) -> str:
        """What was trained on: ``"rendered"``, ``"licensed"`` or ``"own"``."""
        return str(self.record["identity"]["extra"]["source"])

    @property
    def imported(self) -> bool:
        """Whether another code base made its predictions (`gndl.imported`); its training was not audited."""
        return bool(self.record.get("imported"))

    @property
    def configuration(self) -> dict[str, Any]:
        """The run's identity without what tells the runs of one variant apart: fold, seed and who is in which part."""
        identity = {key: value for key, value in self.record["identity"].items() if key not in _OF_ONE_RUN}
        extra = {key: value for key, value in identity["extra"].items() if key not in ("test_subjects", "dev_subjects")}
        name = str(self.record["method"]["name"])
        if name in method_names() and method_settings(name).rearrange is not None:
            identity["pairs"] = "rearranged within each fold's training samples"
        return {**identity, "extra": extra, "epochs": self.record["epochs"]}


_NUMBER = r"(?:0|[1-9][0-9]{0,8})"
_RUN_FOLDERS = tuple(
    re.compile(pattern) for pattern in (r"lam-(?:none|[0-9.]+(?:e[+-][0-9]+)?)", rf"fold-{_NUMBER}", rf"seed-{_NUMBER}")
)
"""What the last three folders of a run are called."""

_OF_ONE_RUN = ("fold", "seed", "train_samples", "test_samples")


def require_one_configuration(runs: Iterable[FinishedRun]) -> None:
    """Raise `GndlError` where runs that are to be averaged differ in more than fold and seed, naming the field."""
    first: dict[tuple[str, str, str], FinishedRun] = {}
    for run in runs:
        other = first.setdefault((run.database, run.method, run.lam), run)
        named = differences(other.configuration, run.configuration)
        if named:
            raise GndlError(
                f"{run.folder} and {other.folder} cannot be averaged: {'; '.join(named)}. "
                "Train them alike, or remove one."
            )


def finished_runs(out: Path) -> list[FinishedRun]:
    """Find every finished run of a study, sorted by database, method, λ, fold and seed.

    A run is finished when run.json, epochs.csv and predictions.csv are there. A folder that no run is called by, such
    as the copy ``seed-0.bak``, is none.

    Raises
    ------
    GndlError
        Naming the file, where a run.json is damaged.
    """
    runs = []
    for path in sorted(out.glob("*/*/lam-*/fold-*/seed-*/run.json")):
        folder = path.parent
        if not all(pattern.fullmatch(name) for pattern, name in zip(_RUN_FOLDERS, folder.parts[-3:], strict=True)):
            continue
        record = read_record(folder)
        if record is None or not all((folder / name).exists() for name in ("epochs.csv", "predictions.csv")):
            continue
        require_record(path, record)
        database, method, lam, fold, seed = folder.relative_to(out).parts
        runs.append(
            FinishedRun(
                folder=folder,
                database=database,
                method=method,
                lam=lam.removeprefix("lam-"),
                fold=int(fold.removeprefix("fold-")),
                seed=int(seed.removeprefix("seed-")),
                record=record,
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
        named = {name: getattr(run, name) for name in RUN_KEY} | {"source": run.source}
        rows.append({name: named.get(name, run.record.get(name)) for name in ACCURACY_COLUMNS})
    table = pd.DataFrame(rows, columns=list(ACCURACY_COLUMNS))
    # An imported run has no epochs, so nothing is known of its best one.
    missing = table["epoch_best"].isna().any()
    return table.astype({"accuracy_best": float, "epoch_best": float}) if missing else table


def write_csv(table: pd.DataFrame, path: Path) -> Path:
    """Write a data frame atomically, in a form that is the same on every system."""
    with written_aside(path) as aside:
        table.to_csv(aside, index=False, lineterminator="\n", errors="surrogateescape")
    return path


def write_accuracy(out: Path) -> pd.DataFrame:
    """Write ``accuracy.csv`` from the runs on disk, and return it.

    Of several workers that finish at once, the last to write has seen the runs of all.
    """
    with locked(out / "accuracy.csv"):
        table = accuracy_table(out)
        whole = table.astype({"epoch_best": "Int64"}) if table["epoch_best"].isna().any() else table
        write_csv(whole, out / "accuracy.csv")
    return table


def read_predictions(out: Path, database: str, method: str, lam: str, seed: int | None = None) -> pd.DataFrame:
    """Read the last epoch's predictions of every fold of one variant, with ``fold`` and ``seed`` as columns."""
    tables = []
    for run in finished_runs(out):
        if (run.database, run.method, run.lam) == (database, method, lam) and seed in (None, run.seed):
            table = read_csv(run.folder / "predictions.csv", ("sample", "subject", "sequence", "truth", "predicted"))
            _require_predictions(run.folder / "predictions.csv", table)
            tables.append(table.assign(fold=run.fold, seed=run.seed))
    if not tables:
        raise GndlError(f"{out / database / method} holds no finished run with λ = {lam}.")
    return pd.concat(tables, ignore_index=True)


def _require_predictions(path: Path, table: pd.DataFrame) -> None:
    probabilities = [name for name in table.columns if name.startswith("p_")]
    if table.empty or not probabilities or not np.isfinite(table[probabilities].to_numpy(float)).all():
        what = "has no row" if table.empty else "lacks a probability"
        raise GndlError(f"{path}: {what}; fetch it again, or delete its folder and run `gndl study` again.")


def read_epochs(out: Path, database: str) -> pd.DataFrame:
    """Read the learning curves of every finished run of one database, with the run's name as columns.

    Imported runs have none.
    """
    tables = []
    for run in finished_runs(out):
        if run.database == database and not run.imported:
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


def summarise(out: Path, database: str) -> pd.DataFrame:
    """Summarise every variant of one database.

    Returns
    -------
    DataFrame
        One row per method and λ: ``base_method`` (without the name of its starting weights), ``weights`` (their hash,
        empty for none), ``neutral_in_training``, ``accuracy`` (mean of folds, last epoch; seeds of a fold averaged
        first), ``sd`` (standard deviation between folds, NaN for one fold), ``folds``, ``seeds``, ``pooled`` (over all
        samples tested), ``per_sequence`` (one vote a sequence), ``optimistic`` (best epoch, chosen on the test fold),
        ``chance``, ``n_test``, ``images_per_epoch`` (largest of the folds) and ``parameters``; where predictions were
        imported, these two are NaN and a column ``imported`` says so.

    Raises
    ------
    GndlError
        Where runs of one variant were trained under different configurations.
    """
    runs = [run for run in finished_runs(out) if run.database == database]
    require_one_configuration(runs)
    rows = []
    for method, lam in sorted({(run.method, run.lam) for run in runs}):
        own = [run for run in runs if (run.method, run.lam) == (method, lam)]
        predictions = read_predictions(out, database, method, lam)
        votes = sequence_votes(predictions)
        table = pd.DataFrame([{"fold": run.fold, **run.record} for run in own]).astype({"accuracy_best": float})
        folds = table.groupby("fold")[["accuracy_last", "accuracy_best"]].mean()
        settings, imported = own[0].record["method"], own[0].imported
        rows.append(
            {
                "database": database,
                "source": own[0].source,
                "method": method,
                "base_method": settings["name"],
                "weights": own[0].record["identity"]["weights"] or "",
                "lam": lam,
                "needs_neutral_at_test": bool(own[0].record["needs_neutral_at_test"]),
                "neutral_in_training": settings["images_per_pair"] > 1,
                "accuracy": folds["accuracy_last"].mean(),
                "sd": folds["accuracy_last"].std(ddof=1) if len(folds) > 1 else np.nan,
                "folds": len(folds),
                "seeds": len({run.seed for run in own}),
                "pooled": float((predictions["truth"] == predictions["predicted"]).mean()),
                "per_sequence": float((votes["truth"] == votes["predicted"]).mean()),
                "optimistic": folds["accuracy_best"].mean(),
                "chance": chance(predictions),
                "n_test": len(predictions),
                "images_per_epoch": np.nan if imported else max(int(run.record["images_per_epoch"]) for run in own),
                "parameters": np.nan if imported else int(own[0].record["parameters"]),
                **({"imported": True} if imported else {}),
            }
        )
    return pd.DataFrame(rows)


def headline(table: pd.DataFrame, lam: float) -> pd.DataFrame:
    """Keep the rows of the λ that was fixed beforehand, and of methods without one (ledger L19)."""
    return table[table["lam"].isin(["none", f"{lam:g}"])].reset_index(drop=True)
