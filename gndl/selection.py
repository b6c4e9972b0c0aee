"""λ and epoch chosen on development subjects, beside the same chosen on the test fold, and the gap between the two.

Where the folds hold development subjects (``--select-on dev``), epochs.csv has the accuracy on them after every epoch.
Per fold and seed the λ and the epoch are taken that did best there; what counts is the accuracy that the same network
has on the test fold at that point. The one that does best on the test fold itself stands beside it and is optimistic:
no other sample says how good it is. Nothing is trained for it beyond the runs of the sweep over λ.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gndl.comparison import compare
from gndl.record import DEV_COLUMN
from gndl.request import profile_from_json, read_study_json
from gndl.results import FinishedRun, finished_runs, read_csv, require_one_configuration

CHOICE_COLUMNS = (
    *("database", "source", "method", "fold", "seed", "lams"),
    *("lam_fixed", "accuracy_fixed"),
    *("lam_dev", "epoch_dev", "accuracy_dev", "accuracy"),
    *("lam_test", "epoch_test", "accuracy_chosen_on_test"),
    *("n_train", "n_dev", "n_test"),
)

SUMMARY_COLUMNS = (
    *("database", "source", "method", "folds", "lams"),
    *("fixed", "on_dev", "on_test", "gap", "gap_low", "gap_high"),
    *("to_fixed", "to_fixed_low", "to_fixed_high"),
    *("baseline", "to_baseline", "to_baseline_low", "to_baseline_high", "to_baseline_p"),
)


def choices(out: Path, database: str) -> pd.DataFrame:
    """Choose λ and epoch of every method, fold and seed, on development subjects and on the test fold.

    Of equals, the λ that was fixed beforehand comes first, then the smaller one, then the earlier epoch. Folds on which
    not every value of λ of a method was run are left out, so that all choices are made among the same values.

    Parameters
    ----------
    out : Path
        The study's directory.
    database : str

    Returns
    -------
    DataFrame
        In the columns `CHOICE_COLUMNS`, sorted by method, fold and seed; λ is ``"none"`` for methods without one.
        ``accuracy`` is the test fold's at what was chosen on development subjects, ``accuracy_fixed`` that of the fixed
        λ after the last epoch (NaN where it was not run). No rows where no run has development subjects.
    """
    runs = [run for run in finished_runs(out) if run.database == database and "n_dev" in run.record]
    require_one_configuration(runs)
    fixed = f"{profile_from_json(read_study_json(out)['asked']['settings']).lam:g}" if runs else ""
    rows = []
    for method in sorted({run.method for run in runs}):
        own = [run for run in runs if run.method == method]
        lams = sorted({run.lam for run in own}, key=lambda lam: (lam != fixed, _number(lam)))
        for fold, seed in sorted({(run.fold, run.seed) for run in own}):
            by_lam = {run.lam: run for run in own if (run.fold, run.seed) == (fold, seed)}
            if len(by_lam) == len(lams):
                rows.append(_choice([by_lam[lam] for lam in lams], fixed))
    return pd.DataFrame(rows, columns=list(CHOICE_COLUMNS))


def _choice(runs: list[FinishedRun], fixed: str) -> dict[str, Any]:
    """Choose among the runs of one method, fold and seed; the first of equals is taken."""
    epochs = pd.concat(
        [
            read_csv(run.folder / "epochs.csv", ("epoch", "accuracy_test", DEV_COLUMN)).assign(lam=run.lam)
            for run in runs
        ],
        ignore_index=True,
    )
    on_dev, on_test = (
        epochs.to_dict("records")[int(epochs[name].to_numpy().argmax())] for name in (DEV_COLUMN, "accuracy_test")
    )
    beforehand = {run.lam: run.record["accuracy_last"] for run in runs}
    first = runs[0]
    return {
        "database": first.database,
        "source": first.source,
        "method": first.method,
        "fold": first.fold,
        "seed": first.seed,
        "lams": " ".join(["λ", *sorted((run.lam for run in runs), key=_number)]),
        "lam_fixed": "none" if first.lam == "none" else fixed,
        "accuracy_fixed": beforehand.get("none" if first.lam == "none" else fixed, np.nan),
        "lam_dev": on_dev["lam"],
        "epoch_dev": int(on_dev["epoch"]),
        "accuracy_dev": on_dev[DEV_COLUMN],
        "accuracy": on_dev["accuracy_test"],
        "lam_test": on_test["lam"],
        "epoch_test": int(on_test["epoch"]),
        "accuracy_chosen_on_test": on_test["accuracy_test"],
        **{name: int(first.record[name]) for name in ("n_train", "n_dev", "n_test")},
    }


def _number(lam: str) -> float:
    return -1.0 if lam == "none" else float(lam)


def summarise_choices(chosen: pd.DataFrame, baseline: str = "baseline") -> pd.DataFrame:
    """Average choices over the folds, seeds of a fold first, with the gap that choosing on the test fold opens.

    Parameters
    ----------
    chosen : DataFrame
        Of :func:`choices`, of one database.
    baseline : str
        The method that others are compared with, both by what was chosen on development subjects, on the folds that
        both have.

    Returns
    -------
    DataFrame
        One row per method in the columns `SUMMARY_COLUMNS`: mean accuracies ``fixed`` (λ fixed, last epoch), ``on_dev``
        and ``on_test``; ``gap`` (chosen on the test fold minus chosen on development subjects, never below 0),
        ``to_fixed`` and ``to_baseline`` (by development subjects), each with its 95 % interval by the corrected t
        (:func:`gndl.comparison.compare`); the p value is NaN below seven folds.
    """
    rows = []
    reference = chosen.loc[chosen["method"] == baseline, ["fold", "seed", "accuracy"]]
    for method, own in chosen.groupby("method", sort=True):
        folds = _by_fold(own)
        row = {"database": own["database"].iloc[0], "source": own["source"].iloc[0], "method": method}
        row |= {"folds": len(folds), "lams": own["lams"].iloc[0], "baseline": baseline}
        row |= {"fixed": folds["fixed"].mean(), "on_dev": folds["dev"].mean(), "on_test": folds["test"].mean()}
        both = own.merge(reference, on=["fold", "seed"], suffixes=("", "_of_baseline"))  # a seed of one alone is out
        both = both if method != baseline else both.iloc[:0]
        to_baseline = (both["accuracy"] - both["accuracy_of_baseline"]).groupby(both["fold"]).mean()
        for name, differences in (
            ("gap", folds["test"] - folds["dev"]),
            ("to_fixed", (folds["dev"] - folds["fixed"]).dropna()),
            ("to_baseline", to_baseline),
        ):
            row |= _compared(name, differences, float(folds["share"].mean()))
        rows.append(row)
    return pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS))


def _by_fold(chosen: pd.DataFrame) -> pd.DataFrame:
    shares = chosen.assign(share=chosen["n_test"] / chosen["n_train"])
    names = {"accuracy_fixed": "fixed", "accuracy": "dev", "accuracy_chosen_on_test": "test", "share": "share"}
    return shares.groupby("fold")[list(names)].mean().rename(columns=names)


def _compared(name: str, differences: pd.Series, share: float) -> Mapping[str, float]:
    if differences.empty:
        return {name: np.nan, f"{name}_low": np.nan, f"{name}_high": np.nan, f"{name}_p": np.nan}
    found = compare(differences.to_numpy(float), share)
    return {
        name: found["difference"],
        f"{name}_low": found["low"],
        f"{name}_high": found["high"],
        f"{name}_p": found["p_corrected_t"],
    }
