"""Two methods on the same folds: how far they differ, how sure that is, and the same in plain words.

Folds of one cross-validation share most of their training samples, so the spread of their differences is smaller than
that of independent studies. The variance is therefore enlarged after Nadeau and Bengio (2003): (1/k + n_test/n_train)
times the sample variance in place of 1/k, with k − 1 degrees of freedom. It was derived for random splits and is an
approximation for k folds. Below seven folds there is no test, only the effect and its interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from gndl.analysis.exact_tests import sign_flip_exact
from gndl.imported import imported_note, is_imported

FEWEST_FOLDS = 7
"""Folds from which on a test is made: with fewer, no exact signed-rank test could reach 1 %."""

CONFIDENCE = 0.95


NOTHING = 1e-9
"""Differences of accuracies below this are none: they are sums of fractions."""


def compare(differences: NDArray[np.float64], n_test_over_n_train: float) -> dict[str, float | int]:
    """Summarise the differences of two methods over the folds, seeds averaged first.

    Parameters
    ----------
    differences : array (k,)
        Accuracy of the one minus accuracy of the other, fold by fold, as fractions.
    n_test_over_n_train : float
        Mean ratio of samples tested to samples trained on.

    Returns
    -------
    dict
        ``folds``, ``difference`` (mean), ``sd``, ``low`` and ``high`` (95 % interval by the corrected t), ``better``,
        ``worse`` and ``equal`` (numbers of folds), ``effect`` (mean by standard deviation of the folds' differences),
        ``rank_effect`` (matched pairs, rank-biserial: from -1, worse in every fold that differs, to 1, better in every
        one), ``p_corrected_t`` and ``p_wilcoxon`` (two-sided; NaN below seven folds; the signed-rank test is exact and
        leaves equal folds out; it and the rank effect are NaN where all are equal).
    """
    differences = np.where(np.abs(differences) <= NOTHING, 0.0, differences)
    k = len(differences)
    mean = float(differences.mean())
    sd = float(differences.std(ddof=1)) if k > 1 else np.nan
    error = sd * np.sqrt(1 / k + n_test_over_n_train)
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, k - 1)) * error if k > 1 else np.nan
    ranks = _signed_ranks(differences)
    p_t = p_wilcoxon = np.nan
    if k >= FEWEST_FOLDS:
        p_t = _p_of_t(mean, error, k)
        if len(ranks):
            p_wilcoxon = sign_flip_exact(2 * ranks)
    return {
        "folds": k,
        "difference": mean,
        "sd": sd,
        "low": mean - reach,
        "high": mean + reach,
        "better": int((differences > 0).sum()),
        "worse": int((differences < 0).sum()),
        "equal": int((differences == 0).sum()),
        "effect": mean / sd if k > 1 and sd > NOTHING else np.nan,
        "rank_effect": float(ranks.sum() / np.abs(ranks).sum()) if len(ranks) else np.nan,
        "p_corrected_t": p_t,
        "p_wilcoxon": p_wilcoxon,
    }


def _signed_ranks(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks of the sizes of the differences that are not zero, with their signs; equal sizes share their mean rank."""
    differing = differences[differences != 0]
    # Rounded: shares of one fold's samples that are equal as fractions need not be as floats.
    return np.asarray(stats.rankdata(np.abs(differing).round(9)) * np.sign(differing), dtype=np.float64)


def holm(p: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Adjust p values for their number after Holm's step-down procedure; NaN stays NaN and is not counted.

    Parameters
    ----------
    p : array (m,)

    Returns
    -------
    array (m,)
    """
    values = np.asarray(p, dtype=np.float64)
    adjusted = np.full(len(values), np.nan)
    order = [int(k) for k in np.argsort(values, kind="stable") if not np.isnan(values[k])]
    largest = 0.0
    for rank, k in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * values[k]))
        adjusted[k] = largest
    return adjusted


def with_holm(comparisons: pd.DataFrame) -> pd.DataFrame:
    """Adjust the corrected t-test's p of every variant for the databases on which it was tested (Holm).

    Parameters
    ----------
    comparisons : DataFrame
        Of :func:`compare_with_baseline`, of all databases of a study one after the other.

    Returns
    -------
    DataFrame
        With ``p_holm`` (NaN where there is no test) and ``databases_tested``, the number of tests adjusted for.
    """
    table = comparisons.assign(p_holm=np.nan, databases_tested=0)
    if "p_corrected_t" not in table.columns:
        return table
    for _, own in table.groupby(["method", "lam", "against"], sort=False):
        table.loc[own.index, "p_holm"] = holm(own["p_corrected_t"].to_numpy(float))
        table.loc[own.index, "databases_tested"] = int(own["p_corrected_t"].notna().sum())
    return table


def compare_with_baseline(summary: pd.DataFrame, accuracy: pd.DataFrame) -> pd.DataFrame:
    """Compare every variant with the baseline that starts from the same weights, on the folds that both have.

    Parameters
    ----------
    summary : DataFrame
        Of :func:`gndl.results.summarise`.
    accuracy : DataFrame
        Of :func:`gndl.results.accuracy_table`.

    Returns
    -------
    DataFrame
        One row per variant: ``database``, ``source``, ``method``, ``lam``, ``against`` (empty where there is no such
        baseline or no common fold and seed), ``seeds`` (the fewest that a fold has of both), ``sd_seeds`` (standard
        deviation of a fold's difference between seeds, pooled over folds; NaN with one seed) and what
        :func:`compare` returns.
    """
    plain = summary[summary["base_method"] == "baseline"]
    baselines = dict(zip(plain["weights"].astype(str), plain["method"].astype(str), strict=True))
    rows = []
    for variant in summary[summary["base_method"] != "baseline"].itertuples():
        row = {"database": variant.database, "source": variant.source, "method": variant.method, "lam": variant.lam}
        against = baselines.get(str(variant.weights), "")
        if against:
            here = accuracy[accuracy["database"] == variant.database]
            by_run = _by_run(here, (str(variant.method), str(variant.lam)), (against, "none"))
            if len(by_run):
                folds = by_run.groupby("fold")
                found = compare(folds["difference"].mean().to_numpy(float), float(folds["share"].mean().mean()))
                seeds = {"seeds": int(folds.size().min()), "sd_seeds": sd_between_seeds(by_run)}
                rows.append(row | {"against": against} | seeds | found)
                continue
        rows.append(row | {"against": ""})
    return pd.DataFrame(rows)


def sd_between_seeds(by_run: pd.DataFrame, column: str = "difference") -> float:
    """Standard deviation of a column between the seeds of a fold, pooled over folds; NaN with one seed each."""
    groups = by_run.groupby("fold")[column]
    freedom = int((groups.size() - 1).sum())
    return float(np.sqrt(((by_run[column] - groups.transform("mean")) ** 2).sum() / freedom)) if freedom else np.nan


def in_plain_words(comparisons: pd.DataFrame) -> str:
    """Say in one or two sentences how every variant compares with the baseline, in Markdown."""
    lines = [_sentence(row) for row in comparisons.to_dict("records")]
    return "\n".join(lines) or "Only the baseline was run, so there is nothing to compare."


def _sentence(row: Mapping[Any, Any]) -> str:
    lam = "" if row["lam"] == "none" else f" (λ = {row['lam']})"
    if not row["against"]:
        return f"- **{row['method']}{lam}** has no baseline from the same weights and folds to be compared with."
    folds = int(row["folds"])
    points = {name: 100 * row[name] for name in ("difference", "low", "high")}
    counts = ", ".join(f"{word} in {int(row[word])}" for word in ("better", "worse", "equal"))
    text = (
        f"- **{row['method']}{lam}** differs from the baseline by {points['difference']:+.1f} points on average over "
        f"{folds} fold{'' if folds == 1 else 's'}{_seeds(row)}: {counts}."
    )
    if folds > 1:
        text += f" 95 % interval {points['low']:+.1f} to {points['high']:+.1f} points{_effect(row)}."
    if folds < FEWEST_FOLDS:
        text += " So few folds allow no test: no difference shown either way."
    else:
        text += _tests(row)
    return (
        text
        + _subjects(row)
        + (f" {imported_note(row['method'])}." if is_imported(row["method"]) else "")
        + (" Measured on rendered faces, it says nothing about people." if row["source"] == "rendered" else "")
    )


def _seeds(row: Mapping[Any, Any]) -> str:
    if int(row["seeds"]) == 1:
        return ", one seed each"
    return f", {int(row['seeds'])} seeds each averaged first (they spread it by {100 * row['sd_seeds']:.1f} points, sd)"


def _effect(row: Mapping[Any, Any]) -> str:
    """Effect sizes in brackets; nothing where folds do not differ, or all by the same."""
    parts = []
    if not pd.isna(row["effect"]):
        parts.append(f"{row['effect']:+.2f} standard deviations of the folds' differences")
    if not pd.isna(row["rank_effect"]):
        parts.append(f"rank-biserial {row['rank_effect']:+.2f}")
    return f" (effect: {', '.join(parts)})" if parts else ""


def _tests(row: Mapping[Any, Any]) -> str:
    text = f" Corrected t-test p = {row['p_corrected_t']:.3g} (approximate: made for random splits, folds are none)"
    if pd.isna(row["p_wilcoxon"]):
        text += "; no signed-rank test, since every fold is equal"
    else:
        left_out = f" without the {int(row['equal'])} equal" if row["equal"] else ""
        text += f", signed-rank test{left_out} p = {row['p_wilcoxon']:.3g}"
    decisive = row["p_corrected_t"]
    if row.get("databases_tested", 0) > 1:
        decisive = row["p_holm"]
        text += f"; for {int(row['databases_tested'])} databases tested (Holm) p = {decisive:.3g}"
    verdict = "a difference beyond chance" if decisive < 1 - CONFIDENCE else "no difference shown"
    return f"{text}: **{verdict}**."


def _subjects(row: Mapping[Any, Any]) -> str:
    """How many subjects differ, where they were counted (`gndl.analysis.comparisons`)."""
    if pd.isna(row.get("subjects", np.nan)):
        return ""
    better, worse = int(row["subjects_better"]), int(row["subjects_worse"])
    differing = f"{better + worse} of {int(row['subjects'])} subjects differ"
    return f" By their sequences, {differing}: {better} better, {worse} worse."


def _by_run(accuracy: pd.DataFrame, variant: tuple[str, str], other: tuple[str, str]) -> pd.DataFrame:
    """Difference of last accuracies, and ratio of tested to trained samples, in every fold and seed that both have."""
    one, two = (
        accuracy.loc[(accuracy["method"] == method) & (accuracy["lam"] == lam)] for method, lam in (variant, other)
    )
    both = one.merge(two[["fold", "seed", "accuracy_last"]], on=["fold", "seed"], suffixes=("", "_other"))
    return both.assign(
        difference=both["accuracy_last"] - both["accuracy_last_other"], share=both["n_test"] / both["n_train"]
    )


def _p_of_t(mean: float, error: float, folds: int) -> float:
    """Two-sided p of a mean difference; 1 where nothing differs, 0 where all folds differ by the same amount."""
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * stats.t.sf(abs(mean) / error, folds - 1))
