"""Runs on disk to tidy tables, from a study's folder or from a packed record alike.

All accuracies are fractions in [0, 1]. The headline is the last epoch's accuracy (ledger L10), averaged over folds
(L12), at the λ that was fixed in advance (L19).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from gndl.files import GndlError, locked, read_csv, resolve, write_csv
from gndl.methods import method_names, method_settings
from gndl.paper import DATABASE_TITLES
from gndl.profiles import STANDARD, read_study_json
from gndl.record import (
    COLUMNS,
    RUN,
    RunKey,
    finished_runs,
    fold_table,
    is_packed,
    lam_text,
    of_databases,
    pack,
    read_cached,
    run_key,
)
from gndl.runs import differences

__all__ = ["RUN", "Results", "is_packed", "lam_text", "pack", "read", "read_csv", "run_key", "summarise"]

_OF_RECORD = ("needs_neutral_at_test", "accuracy_last", "n_train", "n_test", "epochs", "identity_hash")
_MAY_LACK = ("accuracy_best", "epoch_best", "n_dev", "images_per_epoch", "parameters")
"""Imported runs have none of these, and only folds with development subjects have ``n_dev``."""
RUN_COLUMNS = [
    *(*RUN, "source", "base_method", "neutral_in_training", "weights", "imported", *_OF_RECORD, *_MAY_LACK),
    *("seconds", "images_per_second", "folder"),
]


@dataclass(eq=False)
class Results:
    """Finished runs of a study. The tables besides `runs` are read from disk when they are first used."""

    out: Path
    study: dict[str, Any] = field(repr=False)
    """study.json."""
    runs: pd.DataFrame
    """One row a run: `RUN`, ``source``, ``base_method``, accuracies, sizes, ``folder`` (None in a packed record)."""
    records: dict[RunKey, dict[str, Any]] = field(repr=False)
    """run.json of every run that was read, by `run_key` of its row."""

    @property
    def source(self) -> str:
        """Where the faces come from: ``"rendered"``, ``"licensed"`` or ``"own"``."""
        return str(self.study.get("source") or (self.runs["source"].iloc[0] if len(self.runs) else "rendered"))

    def title(self, database: str) -> str:
        """The database as tables and figures name it, such as "CK+ stand-in"."""
        return measured_on(database, self.source)

    def classes(self, database: str) -> tuple[str, ...]:
        """The class names of one database, in the order of its labels."""
        named = (record["expressions"] for key, record in self.records.items() if key[0] == database)
        return tuple(next(named, ()))

    def only(
        self,
        *,
        database: str | Iterable[str] | None = None,
        methods: str | Iterable[str] | None = None,
        lams: float | Iterable[float] | None = None,
        folds: int | Iterable[int] | None = None,
        seeds: int | Iterable[int] | None = None,
    ) -> Results:
        """Keep some of the runs; methods without λ stay, whatever ``lams``."""
        runs = self.runs
        given = {"database": database, "method": methods, "lam": lams, "fold": folds, "seed": seeds}
        for column, values in given.items():
            if values is not None:
                wanted = [values] if isinstance(values, (str, int, float)) else list(values)
                runs = runs[runs[column].isin(wanted) | ((column == "lam") & runs["lam"].isna())]
        return replace(self, runs=runs.reset_index(drop=True))

    @property
    def headline(self) -> Results:
        """The runs at the λ fixed in advance, and those of methods without one (ledger L19)."""
        return self.only(lams=self.study["asked"]["settings"]["lam"] if self.study else STANDARD.lam)

    @cached_property
    def epochs(self) -> pd.DataFrame:
        """Learning curves, one row an epoch; imported runs have none."""
        return self._of_runs("epochs", self.runs[~self.runs["imported"].astype(bool)])

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """The last epoch's predictions, one row a test sample, with the probability ``p_CLASS`` of every class."""
        return self._of_runs("predictions", self.runs)

    @cached_property
    def folds(self) -> pd.DataFrame:
        """Who is tested in which fold: ``database``, ``fold``, ``subject``, ``role`` ("test", "dev" or "train")."""
        return self._of_databases("folds.json", "folds.csv", fold_table)

    @cached_property
    def crops(self) -> pd.DataFrame:
        """Every crop: which frame it shows, in which role, and where the eyes were found (crops.csv)."""
        return self._of_databases("crops.csv", "crops.csv.gz")

    def analysis(self, name: str) -> pd.DataFrame:
        """A table that an analysis has left in ``analysis/NAME.csv`` for these databases; empty where there is none."""
        return self._of_databases(f"analysis/{name}.csv", f"analysis/{name}.csv")

    def _of_databases(self, name: str, packed: str, read: Any = read_csv) -> pd.DataFrame:
        path = self.out / packed
        in_one = is_packed(self.out) and path.exists()
        table = read_csv(path) if in_one else of_databases(self.out, name, read)
        return table[table["database"].isin(self.runs["database"])].reset_index(drop=True)

    def _of_runs(self, name: str, runs: pd.DataFrame) -> pd.DataFrame:
        if runs.empty:
            raise GndlError(f"{self.out} holds none of these runs; train them with `gndl study --out {self.out}`.")
        if is_packed(self.out):
            packed = self.out / f"{name}.csv.gz"
            table = runs[RUN].merge(read_cached(packed), on=RUN, how="left")
            absent = table[COLUMNS[name][0]].isna()
            if absent.any():
                lacking = "/".join(map(str, run_key(table[absent].iloc[0])))
                raise GndlError(f"{packed} lacks {lacking}; fetch it again.")
            others = [c for c in table if str(c).startswith(("p_", "accuracy_")) and table[c].isna().all()]
            return table.drop(columns=others)
        tables = []
        for row in runs.to_dict("records"):
            table = read_cached(row["folder"] / f"{name}.csv")
            tables.append(table.assign(**{column: row[column] for column in RUN})[[*RUN, *table]])
        return pd.concat(tables, ignore_index=True)


def read(out: str | Path, database: str | None = None, *, across: bool = False) -> Results:
    """Read the finished runs of a study (``runs/NAME``) or of a packed record (``record/NAME``).

    A run is finished when run.json, epochs.csv and predictions.csv are there; a folder that no run is named by, such as
    the copy ``seed-0.bak``, is skipped. ``across`` reads the runs across databases instead, named ``TRAIN-to-TEST``.

    Raises
    ------
    GndlError
        Naming the file, where a run.json is damaged.
    """
    out = resolve(out)
    study = read_study_json(out) if (out / "study.json").exists() or not out.is_dir() else {}
    packed, rows, records = is_packed(out), [], {}
    for folder, key, record in finished_runs(out, across=across):
        row = _row_of(key, record, out / "runs.csv" if packed else folder / "run.json")
        if database in (None, row["database"]):
            rows.append(row | {"folder": None if packed else folder})
            records[key] = record
    order = {name: number for number, name in enumerate(DATABASE_TITLES)}
    rows.sort(key=lambda row: (order.get(row["database"], 99), *(v if v == v else -1 for v in map(row.get, RUN))))
    return Results(out, study, pd.DataFrame(rows, columns=RUN_COLUMNS), records)


def _row_of(key: RunKey, record: dict[str, Any], path: Path) -> dict[str, Any]:
    database, method, lam, fold, seed = key
    time = record.get("time", {})
    try:
        return {
            "database": database,
            "method": method,
            "lam": float("nan" if lam == "none" else lam),
            "fold": fold,
            "seed": seed,
            "source": record["identity"]["extra"]["source"],
            "base_method": record["method"]["name"],
            "neutral_in_training": record["method"]["images_per_pair"] > 1,
            "weights": record["identity"]["weights"] or "",
            "imported": bool(record.get("imported")),
            **{name: record[name] for name in _OF_RECORD},
            **{name: record.get(name) for name in _MAY_LACK},
            **{name: time.get(name) for name in ("seconds", "images_per_second")},
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise GndlError(f"{path}: the run {key} is damaged ({error!r}); fetch it again.") from error


def measured_on(database: str, source: str) -> str:
    """What a number was measured on: "CK+", or "CK+ stand-in" for rendered faces; "CK+ to MMI" across databases."""
    parts = [DATABASE_TITLES.get(name, name) for name in database.split("-to-")]
    return " to ".join(parts) + (" stand-in" if source == "rendered" else "")


def require_one_configuration(results: Results) -> None:
    """Raise `GndlError` where runs that are averaged differ in more than fold and seed, naming the field."""
    first: dict[tuple[str, ...], tuple[str, dict[str, Any]]] = {}
    for row in results.runs.to_dict("records"):
        key = run_key(row)
        name = str(row["folder"] or "/".join(map(str, key)))
        configuration = _configuration(results.records[key])
        other, expected = first.setdefault(key[:3], (name, configuration))
        if named := differences(expected, configuration):
            raise GndlError(
                f"{name} and {other} cannot be averaged: {'; '.join(named)}. Train them alike, or remove one."
            )


def _configuration(record: dict[str, Any]) -> dict[str, Any]:
    """A run's identity without what differs between folds and seeds."""
    of_one_run = ("fold", "seed", "train_samples", "test_samples")
    identity = {key: value for key, value in record["identity"].items() if key not in of_one_run}
    extra = {key: value for key, value in identity["extra"].items() if key not in ("test_subjects", "dev_subjects")}
    name = record["method"]["name"]
    if name in method_names() and method_settings(name).rearrange:
        identity["pairs"] = "rearranged within each fold's training samples"
    return {**identity, "extra": extra, "epochs": record["epochs"]}


def summarise(results: Results) -> pd.DataFrame:
    """Summarise every database, method and λ, one row each.

    Returns
    -------
    DataFrame
        ``accuracy`` (last epoch, mean of folds, the seeds of a fold averaged first), ``sd`` (between folds; NaN for
        one fold), ``folds``, ``seeds``, ``pooled`` (over all samples tested), ``per_sequence`` (one vote a sequence),
        ``optimistic`` (best epoch, chosen on the test fold), ``chance``, ``n_test``, ``images_per_epoch`` (largest of
        the folds) and ``parameters``; the last two are NaN for imported predictions.

    Raises
    ------
    GndlError
        Where runs of one variant were trained under different configurations.
    """
    require_one_configuration(results)
    rows = []
    # Both in the order of the runs.
    variants = (table.groupby(RUN[:3], dropna=False, sort=False) for table in (results.runs, results.predictions))
    for (_, runs), (_, predictions) in zip(*variants, strict=True):
        votes = sequence_votes(predictions)
        folds = runs.astype({"accuracy_best": float}).groupby("fold")[["accuracy_last", "accuracy_best"]].mean()
        same = ["source", "base_method", "weights", "needs_neutral_at_test", "neutral_in_training", "imported"]
        rows.append(
            runs[[*RUN[:3], *same]].iloc[0].to_dict()
            | {
                "accuracy": folds["accuracy_last"].mean(),
                "sd": folds["accuracy_last"].std(ddof=1),
                "folds": len(folds),
                "seeds": runs["seed"].nunique(),
                "pooled": float((predictions["truth"] == predictions["predicted"]).mean()),
                "per_sequence": float((votes["truth"] == votes["predicted"]).mean()),
                "optimistic": folds["accuracy_best"].mean(),
                "chance": chance(predictions),
                "n_test": len(predictions.drop_duplicates(["fold", "sample"])),  # once, whatever the number of seeds
                "images_per_epoch": runs["images_per_epoch"].max(),
                "parameters": runs["parameters"].iloc[0],
            }
        )
    return pd.DataFrame(rows)


def confusion_counts(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Count predictions, one row a true class and one column a predicted class, in the order given."""
    counts = pd.crosstab(predictions["truth"], predictions["predicted"])
    return counts.reindex(index=list(classes), columns=list(classes), fill_value=0)


def sequence_votes(predictions: pd.DataFrame) -> pd.DataFrame:
    """Give each sequence of each run one vote: the class of the largest mean probability over its frames.

    Returns one row a run and sequence, with ``subject``, ``truth`` and ``predicted``.
    """
    probabilities = [name for name in predictions.columns if name.startswith("p_")]
    keys = [name for name in RUN if name in predictions.columns]
    groups = predictions.groupby([*keys, "sequence"], sort=True, dropna=False)
    votes = groups[["subject", "truth"]].first()
    votes["predicted"] = groups[probabilities].mean().idxmax(axis=1).astype(str).str.removeprefix("p_")
    return votes.reset_index()


def chance(predictions: pd.DataFrame) -> float:
    """Accuracy of always answering the most frequent class of the samples tested."""
    return float(predictions["truth"].value_counts(normalize=True).iloc[0])


def lam_as_text(table: pd.DataFrame) -> pd.DataFrame:
    """The same table as files hold it: λ is text, "none" for methods without one."""
    numbers = "lam" in table and pd.api.types.is_numeric_dtype(table["lam"])
    return table.assign(lam=table["lam"].map(lam_text)) if numbers else table


def accuracy_table(results: Results) -> pd.DataFrame:
    """The table that accuracy.csv holds, one row a run."""
    columns = ["database", "source", "method", "lam", "fold", "seed", "needs_neutral_at_test"]
    columns += ["accuracy_last", "accuracy_best", "epoch_best", "n_train", "n_test"]
    return lam_as_text(results.runs[columns].astype({"epoch_best": "Int64"}))


def write_accuracy(out: Path) -> pd.DataFrame:
    """Write accuracy.csv from the runs on disk. Of several workers, the last to write has seen the runs of all."""
    with locked(out / "accuracy.csv"):
        table = accuracy_table(read(out))
        write_csv(table, out / "accuracy.csv")
    return table
