"""Paired differences of methods from a reference: fold by fold, subject by subject, and what their spread is made of.

:mod:`gndl.comparison` tests the mean of the folds' differences; here is what stands behind it. Accuracies of folds are
those of the last epoch, of frames; of a subject one vote a sequence is counted, since three frames are near copies.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from gndl import results
from gndl.analysis.hard_samples import votes_side_by_side
from gndl.analysis.variants import Variant
from gndl.comparison import sd_between_seeds
from gndl.errors import GndlError

KEY = ["fold", "seed"]

TOLERANCE = 1e-9
"""Differences of accuracies below this are none: they are sums of fractions."""


@dataclass(frozen=True)
class PairedSummary:
    """How one variant differs from the reference, in fractions of 1.

    Parameters
    ----------
    variant, reference : Variant
    folds, subjects, seeds : int
        That both have.
    difference : float
        Mean of the folds' differences of last accuracies.
    folds_better, folds_worse, folds_equal : int
    subjects_better, subjects_worse, subjects_equal : int
        By sequences right, one vote each, seeds averaged.
    sd_folds : float or None
        Standard deviation of the folds' differences; None for one fold.
    sd_subjects : float or None
        Standard deviation of the subjects' differences; None for one subject.
    sd_fold_means : float or None
        Standard deviation between folds of the mean difference of their subjects.
    sd_dealt : float or None
        What ``sd_fold_means`` would be if the same subjects were dealt to the same number of places at random:
        the part of the spread that comes from who is in which fold.
    sd_seeds : float or None
        Standard deviation between seeds within a fold, pooled: the part that comes from the training's own chance.
        None with one seed.
    """

    variant: Variant
    reference: Variant
    folds: int
    subjects: int
    seeds: int
    difference: float
    folds_better: int
    folds_worse: int
    folds_equal: int
    subjects_better: int
    subjects_worse: int
    subjects_equal: int
    sd_folds: float | None
    sd_subjects: float | None
    sd_fold_means: float | None
    sd_dealt: float | None
    sd_seeds: float | None


@dataclass(frozen=True, eq=False)
class PairedDifferences:
    """Differences of every variant from one reference.

    Parameters
    ----------
    folds : DataFrame
        ``method``, ``lam``, ``fold``, ``seeds``, ``accuracy``, ``reference``, ``difference``: one row per fold.
    subjects : DataFrame
        ``method``, ``lam``, ``fold``, ``subject``, ``sequences``, ``right``, ``reference_right`` (mean number of
        sequences over seeds), ``difference`` (of the shares that are right): one row per subject.
    summaries : tuple of PairedSummary
        One per variant, in the order given.
    """

    folds: pd.DataFrame
    subjects: pd.DataFrame
    summaries: tuple[PairedSummary, ...]

    def table(self) -> pd.DataFrame:
        """Return folds and subjects in one table, told apart by ``per``, with the reference in every row."""
        reference = self.summaries[0].reference
        both = pd.concat([self.folds.assign(per="fold"), self.subjects.assign(per="subject")], ignore_index=True)
        named = both.assign(reference_method=reference.method, reference_lam=reference.lam)
        first = ["per", "method", "lam", "reference_method", "reference_lam", "fold", "subject", "difference"]
        return named[[*first, *(name for name in named.columns if name not in first)]]


def paired_differences(out: Path, database: str, variants: Iterable[Variant], reference: Variant) -> PairedDifferences:
    """Compare every variant with the reference on the folds and seeds that both have.

    Raises
    ------
    GndlError
        Where a variant shares no fold with the reference, or there is none beside the reference.
    """
    accuracy = results.accuracy_table(out, database)
    folds, subjects, summaries = [], [], []
    for variant in variants:
        if variant == reference:
            continue
        by_run = _by_run(accuracy, variant, reference)
        if by_run.empty:
            raise GndlError(
                f"{out / database}: {variant.title} and {reference.title} share no finished fold of one seed; "
                f"run `gndl study --out {out}` to train what is missing."
            )
        own_folds = _by_fold(by_run)
        own_subjects = _by_subject(out, database, variant, reference, by_run)
        summaries.append(_summary(variant, reference, by_run, own_folds, own_subjects))
        named = {"method": variant.method, "lam": variant.lam}
        folds.append(own_folds.assign(**named)[["method", "lam", *own_folds.columns]])
        subjects.append(own_subjects.assign(**named)[["method", "lam", *own_subjects.columns]])
    if not summaries:
        raise GndlError(f"{out / database}: nothing is there to be compared with {reference.title}.")
    return PairedDifferences(
        pd.concat(folds, ignore_index=True), pd.concat(subjects, ignore_index=True), tuple(summaries)
    )


def sd_if_dealt_at_random(differences: ArrayLike, sizes: ArrayLike) -> float:
    """Standard deviation between the means of groups when n values are dealt to them at random, all to one.

    For values with variance s² (n − 1 in the denominator) and groups of n₁, n₂, … the expected variance between the
    group means is s² times the mean of 1/nₖ, exactly, since the groups draw from one finite set.

    Parameters
    ----------
    differences : array (n,)
    sizes : int array (k,)
        Of the groups; they sum to n.
    """
    return float(np.sqrt(np.var(np.asarray(differences), ddof=1) * np.mean(1 / np.asarray(sizes))))


def _by_run(accuracy: pd.DataFrame, variant: Variant, reference: Variant) -> pd.DataFrame:
    """Last accuracies of both in every fold and seed that both have."""
    one, other = (
        accuracy.loc[(accuracy["method"] == each.method) & (accuracy["lam"] == each.lam), [*KEY, "accuracy_last"]]
        for each in (variant, reference)
    )
    both = one.merge(other, on=KEY, suffixes=("", "_reference"))
    return both.assign(difference=both["accuracy_last"] - both["accuracy_last_reference"])


def _by_fold(by_run: pd.DataFrame) -> pd.DataFrame:
    groups = by_run.groupby("fold")
    table = groups[["accuracy_last", "accuracy_last_reference", "difference"]].mean()
    table = table.rename(columns={"accuracy_last": "accuracy", "accuracy_last_reference": "reference"})
    table.insert(0, "seeds", groups.size())
    return table.reset_index()


def _by_subject(out: Path, database: str, variant: Variant, reference: Variant, by_run: pd.DataFrame) -> pd.DataFrame:
    own, other = (
        results.read_predictions(out, database, each.method, each.lam).merge(by_run[KEY], on=KEY)
        for each in (variant, reference)
    )
    votes = votes_side_by_side(own, other)
    of_seed = votes.groupby(["fold", "subject", "seed"]).agg(
        sequences=("sequence", "size"), right=("right_a", "sum"), reference_right=("right_b", "sum")
    )
    table = of_seed.groupby(["fold", "subject"]).mean().reset_index()
    table["sequences"] = table["sequences"].round().astype(int)
    return table.assign(difference=(table["right"] - table["reference_right"]) / table["sequences"])


def _summary(
    variant: Variant, reference: Variant, by_run: pd.DataFrame, folds: pd.DataFrame, subjects: pd.DataFrame
) -> PairedSummary:
    of_folds, of_subjects = folds["difference"].to_numpy(float), subjects["difference"].to_numpy(float)
    sd_seeds = sd_between_seeds(by_run)
    groups = subjects.groupby("fold")["difference"]
    means, sizes = groups.mean().to_numpy(float), groups.size().to_numpy()
    return PairedSummary(
        variant=variant,
        reference=reference,
        folds=len(of_folds),
        subjects=len(of_subjects),
        seeds=int(by_run["seed"].nunique()),
        difference=float(of_folds.mean()),
        folds_better=int((of_folds > TOLERANCE).sum()),
        folds_worse=int((of_folds < -TOLERANCE).sum()),
        folds_equal=int((np.abs(of_folds) <= TOLERANCE).sum()),
        subjects_better=int((of_subjects > TOLERANCE).sum()),
        subjects_worse=int((of_subjects < -TOLERANCE).sum()),
        subjects_equal=int((np.abs(of_subjects) <= TOLERANCE).sum()),
        sd_folds=_sd(of_folds),
        sd_subjects=_sd(of_subjects),
        sd_fold_means=_sd(means),
        sd_dealt=sd_if_dealt_at_random(of_subjects, sizes) if len(sizes) > 1 else None,
        sd_seeds=None if np.isnan(sd_seeds) else sd_seeds,
    )


def _sd(values: NDArray[np.float64]) -> float | None:
    return float(values.std(ddof=1)) if len(values) > 1 else None
