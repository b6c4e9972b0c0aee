"""Two methods on the same folds: how far they differ, how sure that is, and the same in plain words.

Folds of one cross-validation share most of their training samples, so the spread of their differences is smaller than
that of independent studies. The variance is therefore enlarged after Nadeau and Bengio (2003): (1/k + n_test/n_train)
times the sample variance in place of 1/k, with k − 1 degrees of freedom. It was derived for random splits and is an
approximation for k folds. Below seven folds there is no test, only the effect and its interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

FEWEST_FOLDS = 7
"""Folds from which on a test is made: with fewer, no exact signed-rank test could reach 1 %."""

CONFIDENCE = 0.95


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
        ``worse`` and ``equal`` (numbers of folds), ``p_corrected_t`` and ``p_wilcoxon`` (two-sided; NaN below seven
        folds; the signed-rank test leaves equal folds out and is NaN where all are equal).
    """
    k = len(differences)
    mean = float(differences.mean())
    sd = float(differences.std(ddof=1)) if k > 1 else np.nan
    error = sd * np.sqrt(1 / k + n_test_over_n_train)
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, k - 1)) * error if k > 1 else np.nan
    p_t = p_wilcoxon = np.nan
    if k >= FEWEST_FOLDS:
        p_t = _p_of_t(mean, error, k)
        if np.any(differences != 0):
            p_wilcoxon = float(stats.wilcoxon(differences, zero_method="wilcox").pvalue)
    return {
        "folds": k,
        "difference": mean,
        "sd": sd,
        "low": mean - reach,
        "high": mean + reach,
        "better": int((differences > 0).sum()),
        "worse": int((differences < 0).sum()),
        "equal": int((differences == 0).sum()),
        "p_corrected_t": p_t,
        "p_wilcoxon": p_wilcoxon,
    }


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
        baseline or no common fold) and what :func:`compare` returns.
    """
    plain = summary[summary["base_method"] == "baseline"]
    baselines = dict(zip(plain["weights"].astype(str), plain["method"].astype(str), strict=True))
    rows = []
    for variant in summary[summary["base_method"] != "baseline"].itertuples():
        row = {"database": variant.database, "source": variant.source, "method": variant.method, "lam": variant.lam}
        against = baselines.get(str(variant.weights), "")
        if against:
            here = accuracy[accuracy["database"] == variant.database]
            own = _by_fold(here, str(variant.method), str(variant.lam))
            both = own.merge(_by_fold(here, against, "none"), on="fold", suffixes=("_own", "_other"))
            if len(both):
                difference = (both["accuracy_last_own"] - both["accuracy_last_other"]).to_numpy(float)
                rows.append(row | {"against": against} | compare(difference, float(both["share_own"].mean())))
                continue
        rows.append(row | {"against": ""})
    return pd.DataFrame(rows)


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
        f"{folds} fold{'' if folds == 1 else 's'}: {counts}."
    )
    if folds > 1:
        text += f" 95 % interval {points['low']:+.1f} to {points['high']:+.1f} points."
    if folds < FEWEST_FOLDS:
        text += " So few folds allow no test: no difference shown either way."
    else:
        verdict = "a difference beyond chance" if row["p_corrected_t"] < 1 - CONFIDENCE else "no difference shown"
        text += (
            f" Corrected t-test p = {row['p_corrected_t']:.3g} (approximate: folds share training samples), "
            f"signed-rank test p = {row['p_wilcoxon']:.3g}: {verdict}."
        )
    return text + (" Measured on rendered faces, it says nothing about people." if row["source"] == "rendered" else "")


def _by_fold(accuracy: pd.DataFrame, method: str, lam: str) -> pd.DataFrame:
    """Accuracy and ratio of tested to trained samples of each fold, seeds averaged."""
    own = accuracy[(accuracy["method"] == method) & (accuracy["lam"] == lam)]
    own = own.assign(share=own["n_test"] / own["n_train"])
    return own.groupby("fold")[["accuracy_last", "share"]].mean()


def _p_of_t(mean: float, error: float, folds: int) -> float:
    """Two-sided p of a mean difference; 1 where nothing differs, 0 where all folds differ by the same amount."""
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * stats.t.sf(abs(mean) / error, folds - 1))
