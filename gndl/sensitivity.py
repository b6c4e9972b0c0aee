"""Accuracy against λ: the numbers behind Fig. 7, from a study's runs to a table.

Every value of λ is looked at on the same folds, and so is the baseline. Below seven folds no decrease is marked
(:mod:`gndl.comparison`). λ = 5 was fixed beforehand; the best value is chosen on the test folds and enters no headline
(ledger L19).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gndl.comparison import CONFIDENCE, compare, holm
from gndl.errors import GndlError
from gndl.identity import differences
from gndl.methods import method_names, method_settings
from gndl.request import profile_from_json, read_study_json
from gndl.results import FinishedRun, accuracy_table, finished_runs, require_one_configuration

REFERENCES = ("best", "fixed", "baseline")
"""What every value of λ is compared with: the best value, the one fixed beforehand, and the baseline."""

_COMPARED = ("difference", "low", "high", "folds", "p")
SENSITIVITY_COLUMNS = (
    *("database", "source", "method", "lam", "state", "accuracy", "sd", "low", "high", "folds", "runs"),
    *("fold_numbers", "best", "fixed"),
    *("baseline", "baseline_accuracy", "baseline_sd", "baseline_low", "baseline_high", "baseline_folds"),
    *(f"to_{reference}_{name}" for reference in REFERENCES for name in _COMPARED),
    *("to_best_p_holm", "decrease"),
)


def sensitivity_table(
    accuracy: pd.DataFrame,
    *,
    folds: Iterable[int],
    lams: Iterable[float] = (),
    methods: Iterable[str] = (),
    fixed: float = 5.0,
    baselines: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Summarise every method that uses λ, value by value (Fig. 7).

    Parameters
    ----------
    accuracy : DataFrame
        Of :func:`gndl.results.accuracy_table`, of one database.
    folds : iterable of int
        The folds of the sweep; runs of other folds are left out, so that all values stand on the same ones.
    lams, methods : iterables of float and of str
        What was asked for; what was not run becomes rows without numbers.
    fixed : float
        λ of the headline, fixed beforehand (ledger L19).
    baselines : mapping, optional
        Method to its baseline's name, for variants with starting weights; ``"baseline"`` for all by default.

    Returns
    -------
    DataFrame
        One row per method and λ, in this order:

        - ``accuracy``: mean over the folds of the last epoch's accuracy, seeds of a fold averaged first; ``sd``
          between folds; ``low`` and ``high``: 95 % interval of the mean over the folds, by t with the variance enlarged
          for shared training samples (:func:`gndl.comparison.compare`); NaN for a single fold;
        - ``folds``, ``fold_numbers`` and ``runs`` behind it; ``state``: ``"run"``, ``"in part"`` where some of the
          folds are missing, ``"not run"``;
        - ``baseline…``: the same of the baseline, on the very folds of the row;
        - ``to_best…``, ``to_fixed…``, ``to_baseline…``: paired difference over common folds, its interval and p (NaN
          below seven folds). ``best`` is chosen on the test folds among the values that were run in full; the
          smallest of equals;
        - ``to_best_p_holm``: adjusted over the values of λ; ``decrease``: the first value above the best whose paired
          decrease is significant at 5 % after that.
    """
    folds = sorted(set(folds))
    here = accuracy[accuracy["fold"].isin(folds)]
    rows: list[dict[str, Any]] = []
    for method in dict.fromkeys([*accuracy.loc[accuracy["lam"] != "none", "method"], *methods]):
        runs = accuracy[accuracy["method"] == method]
        known = {float(lam) for lam in runs["lam"]}
        against = (baselines or {}).get(str(method), "baseline")
        one = {"method": method} | {name: next(iter(accuracy[name]), "") for name in ("database", "source")}
        values = sorted({*known, *map(float, lams)})
        rows += _rows_of_method(here, str(method), values, folds, fixed, against, one)
    return pd.DataFrame(rows, columns=list(SENSITIVITY_COLUMNS))


def sensitivity_of_study(
    out: Path, database: str, lams: Iterable[float] | None = None, folds: Iterable[int] | None = None
) -> pd.DataFrame:
    """Read the table behind Fig. 7 from a study on disk; nothing is trained.

    Parameters
    ----------
    out : Path
        The study's directory.
    database : str
    lams, folds : optional
        Values and folds that were asked for; default: those that the study's profile names for the sweep, as far as
        there are runs of them. Values that lie on disk beside these are shown too, and other methods with several.

    Raises
    ------
    GndlError
        Where ``out`` holds no study, or runs of two values of λ differ in more than λ.
    """
    content = read_study_json(out)
    settings = profile_from_json(content["asked"]["settings"])
    runs = [run for run in finished_runs(out) if run.database == database]
    require_one_configuration(runs)
    _require_alike(runs)
    there = {run.fold for run in runs}
    if folds is None:
        chosen = there if settings.only_folds is None else there & set(settings.only_folds) or there
        chosen = chosen if settings.sweep_folds is None else chosen & set(settings.sweep_folds) or chosen
    else:
        chosen = set(folds)
    by_weights = {_weights(run): run.method for run in runs if run.record["method"]["name"] == "baseline"}
    # A method of one's own with a single λ has no curve; it would only stand in the way of those that have one.
    lams_of = pd.Series({(run.method, run.lam): run.method for run in runs if run.lam != "none"}).value_counts()
    headline = {*settings.methods, *(variant for variant, count in lams_of.items() if count > 1)}
    runs = [run for run in runs if run.lam == "none" or headline & {run.method, run.record["method"]["name"]}]
    known = [name for name in settings.methods if name in method_names()]  # others are some notebook's own
    accuracy = accuracy_table(out, database)
    table = sensitivity_table(
        accuracy[accuracy["method"].isin([run.method for run in runs])],
        folds=chosen,
        lams=settings.lams if lams is None else lams,
        methods=() if any(run.lam != "none" for run in runs) else [n for n in known if method_settings(n).uses_lam],
        fixed=settings.lam,
        baselines={run.method: by_weights.get(_weights(run), "") for run in runs},
    )
    return table.assign(database=database, source=content.get("source", ""))


def listed(lams: Iterable[float]) -> str:
    """Values of λ as text: ``"0.5, 5, 50"``."""
    return ", ".join(f"{lam:g}" for lam in lams)


def _rows_of_method(
    accuracy: pd.DataFrame,
    method: str,
    lams: list[float],
    folds: list[int],
    fixed: float,
    against: str,
    one: dict[str, Any],
) -> list[dict[str, Any]]:
    by_lam = {lam: _by_fold(accuracy, method, f"{lam:g}") for lam in lams}
    baseline = _by_fold(accuracy, against, "none")
    full = [lam for lam in lams if len(by_lam[lam]) == len(folds) > 0]
    means = {lam: by_lam[lam]["accuracy"].mean() for lam in full}
    best = max(full, key=lambda lam: (means[lam], -lam)) if len(full) > 1 else None
    rows = []
    for lam in lams:
        own = by_lam[lam]
        row = one | {
            "lam": lam,
            "state": "run" if lam in full else "in part" if len(own) else "not run",
            **_summary(own),
            "runs": int(own["runs"].sum()),
            "fold_numbers": " ".join(["folds", *map(str, own.index)]) if len(own) else "",
            "best": lam == best,
            "fixed": lam == fixed,
            "baseline": against,
            **{f"baseline_{name}": value for name, value in _summary(baseline[baseline.index.isin(own.index)]).items()},
        }
        others = {"best": by_lam.get(best) if best is not None else None, "fixed": by_lam.get(fixed)}
        for reference, other in ({**others, "baseline": baseline}).items():
            itself = (reference == "best" and lam == best) or (reference == "fixed" and lam == fixed)
            compared = _compared(own, own.iloc[:0] if other is None or itself else other)
            row |= {f"to_{reference}_{name}": value for name, value in compared.items()}
        rows.append(row)
    adjusted = holm([row["to_best_p"] for row in rows])
    for row, p in zip(rows, adjusted, strict=True):
        row |= {"to_best_p_holm": p, "decrease": False}
    for row in rows:
        if best is not None and row["lam"] > best and _falls(row):
            row["decrease"] = True
            break
    return rows


def _falls(row: Mapping[str, Any]) -> bool:
    return bool(row["to_best_p_holm"] < 1 - CONFIDENCE and row["to_best_difference"] < 0)


def _by_fold(accuracy: pd.DataFrame, method: str, lam: str) -> pd.DataFrame:
    """Accuracy, ratio of tested to trained samples and number of runs of each fold (the index), seeds averaged."""
    own = accuracy[(accuracy["method"] == method) & (accuracy["lam"] == lam)]
    own = own.assign(share=own["n_test"] / own["n_train"])
    groups = own.groupby("fold")
    return groups.agg(accuracy=("accuracy_last", "mean"), share=("share", "mean"), runs=("seed", "size"))


def _summary(own: pd.DataFrame) -> dict[str, float | int]:
    """Mean, spread and interval over folds; the interval is that of differences from nothing."""
    if own.empty:
        return {"accuracy": np.nan, "sd": np.nan, "low": np.nan, "high": np.nan, "folds": 0}
    found = compare(own["accuracy"].to_numpy(float), float(own["share"].mean()))
    return {"accuracy": found["difference"], **{name: found[name] for name in ("sd", "low", "high", "folds")}}


def _compared(own: pd.DataFrame, other: pd.DataFrame) -> dict[str, float | int]:
    both = own.merge(other, on="fold", suffixes=("", "_other"))
    if both.empty:
        return {**dict.fromkeys(_COMPARED, np.nan), "folds": 0}
    found = compare((both["accuracy"] - both["accuracy_other"]).to_numpy(float), float(both["share"].mean()))
    return {**{name: found[name] for name in _COMPARED[:-1]}, "p": found["p_corrected_t"]}


def _weights(run: FinishedRun) -> str:
    return run.record["identity"]["weights"] or ""


def _require_alike(runs: Sequence[FinishedRun]) -> None:
    """Values of λ that stand in one curve were trained alike in all else, and so was their baseline."""
    first: dict[str, FinishedRun] = {}
    for run in (run for run in runs if run.lam != "none"):
        other = first.setdefault(run.method, run)
        named = differences({**other.configuration, "lam": None}, {**run.configuration, "lam": None})
        if named:
            raise GndlError(
                f"{run.folder} and {other.folder} cannot stand in one curve: {'; '.join(named)}. Train them alike "
                "(`gndl train --lams` continues a run to the study's epochs), or remove one."
            )
    for run in (run for run in runs if run.record["method"]["name"] == "baseline"):
        for other in (other for other in first.values() if _weights(other) == _weights(run)):
            shared = ("train", "pairs", "device", "extra", "epochs")
            one, two = ({name: its.configuration.get(name) for name in shared} for its in (other, run))
            if named := differences(one, two):
                raise GndlError(f"{run.folder} is no baseline of {other.folder}: {'; '.join(named)}.")
