"""Accuracy against λ (Fig. 7), and λ and epoch chosen on development subjects versus on the test fold itself.

λ = 5 was fixed beforehand. The best value of λ is chosen on the test folds and enters no headline (ledger L19), so that
differences from it are descriptive. Every p is secondary: the verdict is `gndl.analysis.compare.compare`. Below seven
folds there is none.

Where the folds hold development subjects (``--select-on dev``), epochs.csv has the accuracy on them after every epoch.
Per fold and seed the λ and the epoch are taken that did best there; what counts is the accuracy that the same network
has on the test fold at that point. What does best on the test fold itself is optimistic.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from gndl.analysis.compare import CONFIDENCE, NOTHING, corrected_t, holm
from gndl.files import GndlError
from gndl.results import Results


def sensitivity(
    runs: pd.DataFrame, *, folds: Iterable[int] | None = None, lams: Iterable[float] = (), fixed: float = 5.0
) -> pd.DataFrame:
    """Summarise every method that was run at several values of λ (or, where none was, that uses λ), value by value.

    Only ``folds``, those of the sweep, count (default: all), so that all values stand on the same ones. Values of
    ``lams`` that were not run become rows without numbers; ``fixed`` is the λ of the headline. One row per database,
    method and λ:

    - ``accuracy``: mean over the folds of the last epoch's accuracy, seeds of a fold averaged first; ``sd`` between
      folds; ``low`` and ``high``: 95 % interval of the mean over the folds, by the corrected t;
    - ``folds``, ``fold_numbers`` and ``runs`` behind it; ``state``: ``"run"``, ``"in part"`` where some of the folds
      are missing, ``"not run"``;
    - ``baseline…``: the same of the baseline with the same starting weights, on the very folds of the row;
    - ``to_fixed…``, ``to_baseline…``: paired difference over common folds, its interval, ``…_p`` (NaN below seven
      folds) and ``…_p_adjusted`` (Holm, over the values of λ);
    - ``best``: the highest mean among the values that were run in full, the smallest of equals; ``to_best…`` and
      ``decrease_descriptive``, the first value above the best whose difference from it is below zero with an adjusted
      p below 5 %. Both are descriptive, since the best is chosen on the very folds that are compared.
    """
    tables = []
    for _, here in runs.groupby("database", sort=False):
        values = here.dropna(subset="lam").groupby("method", sort=False)["lam"].nunique()
        methods = values[values > 1] if (values > 1).any() else values
        known = set(here["fold"]) if folds is None else set(here["fold"]) & set(folds) or set(here["fold"])
        for method in methods.index:
            tables.append(_method(here[here["fold"].isin(known)], str(method), here, set(lams), len(known), fixed))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _method(
    runs: pd.DataFrame, method: str, everywhere: pd.DataFrame, asked: set[float], n_folds: int, fixed: float
) -> pd.DataFrame:
    of_method = everywhere[everywhere["method"] == method]
    if of_method["epochs"].nunique() > 1:
        raise GndlError(
            f"{method} was trained for {of_method['epochs'].min()} to {of_method['epochs'].max()} epochs, so its λ "
            "cannot stand in one curve; `gndl train --lams` continues runs to the study's epochs"
        )
    first, own = of_method.iloc[0], runs[runs["method"] == method]
    lams = sorted({*of_method["lam"], *asked})
    by_lam = {lam: _by_fold(own[own["lam"] == lam]) for lam in lams}
    same_weights = runs["weights"].fillna("") == ("" if pd.isna(first["weights"]) else first["weights"])
    reference = runs[(runs["base_method"] == "baseline") & same_weights]
    baseline = _by_fold(reference)
    means = {lam: by_lam[lam]["accuracy"].mean() for lam in lams if len(by_lam[lam]) == n_folds}
    highest = max(means.values(), default=0.0) - NOTHING  # means of equal accuracies may differ by their rounding
    best = min(lam for lam in means if means[lam] >= highest) if len(means) > 1 else None
    rows: list[dict[str, Any]] = []
    for lam, at in by_lam.items():
        row = {"database": first["database"], "source": first["source"], "method": method, "lam": lam}
        row |= {"state": "run" if lam in means else "in part" if len(at) else "not run"} | _summary(at)
        row |= {"runs": int(at["runs"].sum()), "fold_numbers": ", ".join(map(str, at.index))}
        row |= {"best": lam == best, "fixed": lam == fixed, "baseline": next(iter(reference["method"]), "")}
        on_same = _summary(baseline[baseline.index.isin(at.index)])
        row |= {f"baseline_{name}": value for name, value in on_same.items()}
        others = {"best": by_lam.get(best), "fixed": by_lam.get(fixed), "baseline": baseline}
        for name, other in others.items():
            others_own = at.iloc[:0] if other is None or other is at else other
            both = at.merge(others_own, on="fold", suffixes=("", "_other"))
            compared = _compared(both["accuracy"] - both["accuracy_other"], both["share"].mean())
            row |= {f"to_{name}_{part}": value for part, value in compared.items()}
        rows.append(row)
    table = pd.DataFrame(rows)
    for name in others:
        table[f"to_{name}_p_adjusted"] = holm(table[f"to_{name}_p"])
    falls = (table["to_best_p_adjusted"] < 1 - CONFIDENCE) & (table["to_best_difference"] < 0)
    falls &= table["lam"] > (np.inf if best is None else best)
    table = table.rename(columns={f"to_best_{name}": f"to_best_{name}_descriptive" for name in ("p", "p_adjusted")})
    return table.assign(decrease_descriptive=falls & (falls.cumsum() == 1))


def _by_fold(runs: pd.DataFrame) -> pd.DataFrame:
    """Accuracy, ratio of tested to trained samples and number of runs of each fold (the index), seeds averaged."""
    groups = runs.assign(share=runs["n_test"] / runs["n_train"]).groupby("fold")
    return groups.agg(accuracy=("accuracy_last", "mean"), share=("share", "mean"), runs=("seed", "size"))


def _summary(own: pd.DataFrame) -> dict[str, Any]:
    """Mean, spread and interval over folds; the interval is that of differences from nothing."""
    found = corrected_t(own["accuracy"], own["share"].mean()) if len(own) else {"folds": 0}
    return {"accuracy": found.get("difference")} | {name: found.get(name) for name in ("sd", "low", "high", "folds")}


def _compared(differences: pd.Series, share: float) -> dict[str, Any]:
    found = corrected_t(differences, share) if len(differences) else {"folds": 0}
    return {name: found.get(name, np.nan) for name in ("difference", "low", "high", "folds", "p")}


def choices(results: Results, fixed: float = 5.0) -> pd.DataFrame:
    """Choose λ and epoch of every method, fold and seed, on development subjects and on the test fold.

    Of equals, the λ that was fixed beforehand comes first, then the smaller one, then the earlier epoch. Folds on which
    not every λ of a method was run are left out, so that all choices are made among the same values.

    One row per database, method, fold and seed: ``lams`` (chosen among), ``accuracy_fixed`` (at the fixed λ, last
    epoch), ``lam_dev``, ``epoch_dev``, ``accuracy_dev`` and ``accuracy`` (the test fold's at what was chosen on
    development subjects), ``lam_test``, ``epoch_test`` and ``accuracy_chosen_on_test``. No rows where no run has
    development subjects.
    """
    if "accuracy_dev" not in results.epochs:
        return pd.DataFrame()
    epochs = results.epochs.dropna(subset="accuracy_dev")
    sizes = ["n_train", "n_dev", "n_test"]
    runs = results.runs[[*_RUN, "source", *sizes]]
    rows = []
    for (database, method), own in epochs.groupby(["database", "method"], sort=False):
        all_lams = own["lam"].drop_duplicates()
        # Stable sorts: the fixed λ first, then by value, then by epoch, so that idxmax takes the first of equals.
        own = own.assign(later=own["lam"].notna() & (own["lam"] != fixed)).sort_values(["later", "lam", "epoch"])
        for (fold, seed), run in own.groupby(["fold", "seed"]):
            if run["lam"].nunique(dropna=False) < len(all_lams):
                continue
            run = run.reset_index(drop=True)
            accuracies = (run[name] for name in ("accuracy_dev", "accuracy_test"))
            dev, test = (run.iloc[int((values >= values.max() - NOTHING).argmax())] for values in accuracies)
            beforehand = run.loc[~run["later"], "accuracy_test"]
            row = {"database": database, "method": method, "fold": fold, "seed": seed}
            row |= {"lams": ", ".join(f"{lam:g}" for lam in sorted(all_lams.dropna()))}
            row |= {"accuracy_fixed": beforehand.iloc[-1] if len(beforehand) else np.nan}
            row |= {"lam_dev": dev["lam"], "epoch_dev": dev["epoch"], "accuracy_dev": dev["accuracy_dev"]}
            row |= {"accuracy": dev["accuracy_test"], "lam_test": test["lam"], "epoch_test": test["epoch"]}
            rows.append(row | {"accuracy_chosen_on_test": test["accuracy_test"]})
    return pd.DataFrame(rows).merge(runs.drop_duplicates(_RUN), on=_RUN, how="left") if rows else pd.DataFrame()


_RUN = ["database", "method", "fold", "seed"]


def summarise_choices(chosen: pd.DataFrame, baseline: str = "baseline") -> pd.DataFrame:
    """Average choices over the folds, seeds of a fold first, with the gap that choosing on the test fold opens.

    One row per database and method: mean accuracies ``fixed`` (λ fixed, last epoch), ``on_dev`` and ``on_test``;
    ``gap`` (chosen on the test fold minus chosen on development subjects, never below 0), ``to_fixed`` and
    ``to_baseline`` (by development subjects), each with its 95 % interval by the corrected t, ``…_p`` (NaN below seven
    folds) and ``…_p_adjusted`` (Holm, over the rows); both are secondary. Methods are compared with the baseline on
    the folds and seeds that both have.
    """
    rows = []
    for (database, method), own in chosen.groupby(["database", "method"], sort=False):
        folds = own.assign(share=own["n_test"] / own["n_train"]).groupby("fold").mean(numeric_only=True)
        of_baseline = chosen[(chosen["method"] == baseline) & (chosen["database"] == database)]
        both = own.merge(of_baseline, on=["fold", "seed"], suffixes=("", "_baseline"))
        both = both if method != baseline else both.iloc[:0]
        dev, test, fixed = (folds[name] for name in ("accuracy", "accuracy_chosen_on_test", "accuracy_fixed"))
        row = {"database": database, "source": own["source"].iloc[0], "method": method, "folds": len(folds)}
        row |= {"lams": own["lams"].iloc[0], "baseline": baseline}
        row |= {"fixed": fixed.mean(), "on_dev": dev.mean(), "on_test": test.mean()}
        to_baseline = (both["accuracy"] - both["accuracy_baseline"]).groupby(both["fold"]).mean()
        for name, differences in (("gap", test - dev), ("to_fixed", dev - fixed), ("to_baseline", to_baseline)):
            found = _compared(differences.dropna(), folds["share"].mean())
            row[name] = found["difference"]
            row |= {f"{name}_{part}": found[part] for part in ("low", "high", "p")}
        rows.append(row)
    table = pd.DataFrame(rows)
    return table.assign(
        **{f"{name}_p_adjusted": holm(table[f"{name}_p"]) for name in ("gap", "to_fixed", "to_baseline")}
    )
