"""Paired differences fold by fold and subject by subject, against numbers worked out by hand."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written_runs import Frame, predictions, write_run

from gndl.analysis.paired import paired_differences, sd_if_dealt_at_random
from gndl.analysis.variants import Variant
from gndl.errors import GndlError

BASELINE, GNDL, OTHER = Variant("baseline"), Variant("gndl", "5"), Variant("gndl", "50")
RIGHT, WRONG = (0.8, 0.1, 0.1), (0.2, 0.7, 0.1)


def sequences(subject: str, *right: bool) -> list[Frame]:
    """One sequence of one frame for each answer."""
    return [(subject, f"{subject}_{k}", "anger", RIGHT if one else WRONG) for k, one in enumerate(right)]


def write_both(out: Path, fold: int, baseline: list[Frame], gndl: list[Frame], seed: int = 0) -> None:
    """Write one fold by both methods."""
    write_run(out, "baseline", "none", fold, predictions(baseline, first=100 * fold), seed=seed)
    write_run(out, "gndl", "5", fold, predictions(gndl, first=100 * fold), seed=seed)


def test_differences_are_paired_by_fold_and_by_subject(tmp_path: Path) -> None:
    """Fold 0: 2/4 against 3/4, S1 +1/2 and S2 even; fold 1: 2/2 against 1/2, S3 −1/2."""
    write_both(
        tmp_path,
        0,
        sequences("S1", False, True) + sequences("S2", True, False),
        sequences("S1", True, True) + sequences("S2", False, True),
    )
    write_both(tmp_path, 1, sequences("S3", True, True), sequences("S3", True, False))
    found = paired_differences(tmp_path, "ckplus", [BASELINE, GNDL], BASELINE)
    assert list(found.folds["difference"]) == pytest.approx([0.25, -0.5])
    assert list(found.folds["reference"]) == pytest.approx([0.5, 1.0])
    assert list(found.subjects["subject"]) == ["S1", "S2", "S3"]
    assert list(found.subjects["difference"]) == pytest.approx([0.5, 0.0, -0.5])
    (summary,) = found.summaries
    assert summary.difference == pytest.approx(-0.125)
    assert (summary.folds_better, summary.folds_worse, summary.folds_equal) == (1, 1, 0)
    assert (summary.subjects_better, summary.subjects_worse, summary.subjects_equal) == (1, 1, 1)
    assert summary.sd_folds == pytest.approx(0.75 / np.sqrt(2))
    assert summary.sd_subjects == pytest.approx(0.5)
    assert summary.sd_fold_means == pytest.approx(0.75 / np.sqrt(2))  # (1/4, −1/2)
    assert summary.sd_dealt == pytest.approx(0.5 * np.sqrt((1 / 2 + 1) / 2))
    assert summary.sd_seeds is None


def test_one_fold_of_one_subject_has_no_spread(tmp_path: Path) -> None:
    """No number is made up where there is nothing to spread."""
    write_both(tmp_path, 0, sequences("S1", True), sequences("S1", True))
    (summary,) = paired_differences(tmp_path, "ckplus", [GNDL], BASELINE).summaries
    assert (summary.sd_folds, summary.sd_subjects, summary.sd_fold_means, summary.sd_dealt) == (None,) * 4


def test_seeds_are_averaged_and_their_own_spread_is_told(tmp_path: Path) -> None:
    """Seed 0 gains nothing and seed 1 one half: mean 1/4, and between seeds an sd of 0.5/√2."""
    write_both(tmp_path, 0, sequences("S1", True, False), sequences("S1", True, False), seed=0)
    write_both(tmp_path, 0, sequences("S1", True, False), sequences("S1", True, True), seed=1)
    write_run(tmp_path, "gndl", "5", 0, predictions(sequences("S1", False, False)), seed=2)  # the reference lacks it
    found = paired_differences(tmp_path, "ckplus", [GNDL], BASELINE)
    assert list(found.folds["seeds"]) == [2]
    assert list(found.folds["difference"]) == pytest.approx([0.25])
    assert list(found.subjects["right"]) == pytest.approx([1.5])
    assert list(found.subjects["difference"]) == pytest.approx([0.25])
    (summary,) = found.summaries
    assert summary.seeds == 2
    assert summary.sd_seeds == pytest.approx(0.5 / np.sqrt(2))


def test_a_subject_has_one_vote_a_sequence(tmp_path: Path) -> None:
    """Two of three frames wrong by a hair, one right by far: the sequence counts as right."""
    near: list[Frame] = [("S1", "S1_0", "anger", values) for values in ((0.45, 0.5, 0.05),) * 2 + ((0.9, 0.05, 0.05),)]
    far: list[Frame] = [("S1", "S1_0", "anger", WRONG)] * 3
    write_both(tmp_path, 0, far, near)
    found = paired_differences(tmp_path, "ckplus", [GNDL], BASELINE)
    assert list(found.subjects["difference"]) == [1.0]
    assert list(found.folds["difference"]) == pytest.approx([1 / 3])


def test_any_set_of_methods_is_compared_in_the_order_given(tmp_path: Path) -> None:
    """The reference itself is left out; a method without a common fold is named."""
    write_both(tmp_path, 0, sequences("S1", True), sequences("S1", False))
    write_run(tmp_path, "gndl", "50", 0, predictions(sequences("S1", True)))
    found = paired_differences(tmp_path, "ckplus", [OTHER, GNDL, BASELINE], BASELINE)
    assert [summary.variant for summary in found.summaries] == [OTHER, GNDL]
    assert list(found.folds["lam"]) == ["50", "5"]
    with pytest.raises(GndlError, match="GNDL, λ = 7 and baseline share no finished fold"):
        paired_differences(tmp_path, "ckplus", [Variant("gndl", "7")], BASELINE)
    with pytest.raises(GndlError, match="nothing is there to be compared"):
        paired_differences(tmp_path, "ckplus", [BASELINE], BASELINE)


@settings(max_examples=30)
@given(st.lists(st.integers(-3, 3), min_size=5, max_size=5), st.sampled_from([(2, 3), (1, 4), (1, 2, 2), (1, 1, 3)]))
def test_the_spread_of_random_folds_is_exact(values: list[int], sizes: tuple[int, ...]) -> None:
    """Over all 120 ways of dealing five subjects, the mean variance between folds is what the formula says."""
    variances = []
    starts = np.cumsum((0, *sizes))
    for order in itertools.permutations(values):
        means = [np.mean(order[start:stop]) for start, stop in itertools.pairwise(starts)]
        variances.append(np.var(means, ddof=1))
    expected = sd_if_dealt_at_random(np.array(values, dtype=float), np.array(sizes))
    assert expected**2 == pytest.approx(np.mean(variances))
