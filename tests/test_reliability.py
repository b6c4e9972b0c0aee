"""Confidence beside accuracy: bins, calibration error and intervals against numbers worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from written_runs import predictions, write_run

from gndl.analysis.reliability import reliability, reliability_of
from gndl.analysis.resampling import interval_over_subjects
from gndl.analysis.variants import Variant

BASELINE = Variant("baseline")


def answers(*pairs: tuple[float, bool]) -> pd.DataFrame:
    """One frame of one subject for each confidence, right or wrong."""
    frames = [
        (f"S{k}", f"S{k}_0", "anger" if right else "surprise", (p, 0.6 * (1 - p), 0.4 * (1 - p)))
        for k, (p, right) in enumerate(pairs)
    ]
    return predictions(frames).assign(fold=0, seed=0)


def test_the_calibration_error_is_the_mean_gap() -> None:
    """Five bins of one frame each have gaps of .05, .85, .45, .35 and .25; in one bin they cancel out."""
    table = answers((0.95, True), (0.85, False), (0.55, True), (0.65, True), (0.75, True))
    found = reliability_of(table, BASELINE)
    assert found.error == pytest.approx((0.05 + 0.85 + 0.45 + 0.35 + 0.25) / 5)
    coarse = reliability_of(table, BASELINE, bins=2)
    assert coarse.error == pytest.approx(abs(0.8 - 0.75))  # all in (0.5, 1]: accuracy 4/5, confidence 3.75/5
    assert (coarse.accuracy, coarse.confidence) == pytest.approx((0.8, 0.75))
    assert (coarse.folds, coarse.frames, coarse.subjects) == (1, 5, 5)


def test_a_bin_holds_its_upper_edge() -> None:
    """Confidence 1 lies in the last bin, 0.5 in the fifth of ten, and no frame is lost."""
    found = reliability_of(answers((1.0, True), (0.5, True), (0.5000001, False)), BASELINE)
    assert list(found.bins["count"]) == [0, 0, 0, 0, 1, 1, 0, 0, 0, 1]
    assert found.bins["accuracy"].isna().sum() == 7


def test_perfect_confidence_has_no_error() -> None:
    """Always sure and always right."""
    assert reliability_of(answers((1.0, True), (1.0, True)), BASELINE).error == 0


def test_folds_are_pooled(tmp_path: Path) -> None:
    """Two folds of one frame each are two frames."""
    for fold in (0, 1):
        table = answers((0.9, True)).drop(columns=["fold", "seed"]).assign(subject=f"S{fold}", sample=fold)
        write_run(tmp_path, "baseline", "none", fold, table)
    found = reliability(tmp_path, "ckplus", BASELINE)
    assert (found.folds, found.frames, found.subjects) == (2, 2, 2)
    assert found.error == pytest.approx(0.1)


def test_intervals_are_over_subjects() -> None:
    """Ten subjects, half of them always right: about 0.5 ± 0.31, however many frames each brings; below five, none."""
    one = answers(*[(0.9, k % 2 == 0) for k in range(10)])
    few = reliability_of(one, BASELINE, bins=1).bins.iloc[0]
    many = reliability_of(pd.concat([one] * 30, ignore_index=True), BASELINE, bins=1).bins.iloc[0]
    assert (few["accuracy_low"], few["accuracy_high"]) == (many["accuracy_low"], many["accuracy_high"])
    assert few["accuracy_low"] == pytest.approx(0.2, abs=0.11)
    assert few["accuracy_high"] == pytest.approx(0.8, abs=0.11)
    four = reliability_of(one.head(4), BASELINE, bins=1).bins.iloc[0]
    assert np.isnan(four["accuracy_low"])


def test_an_interval_depends_on_its_seed_alone() -> None:
    """The same seed gives the same numbers."""
    subjects = np.repeat(np.arange(8), 3)
    values = np.random.default_rng(1).random(24)
    one, two, other = (interval_over_subjects(values, np.ones(24), subjects, seed=seed) for seed in (3, 3, 4))
    assert one == two
    assert one != other


@given(st.lists(st.tuples(st.floats(0.34, 1), st.booleans()), min_size=1, max_size=40), st.integers(1, 15))
def test_no_frame_is_lost_and_the_error_is_a_share(pairs: list[tuple[float, bool]], bins: int) -> None:
    """Counts sum to the frames, means lie in their bin, and the error is at least the gap of the overall means."""
    found = reliability_of(answers(*pairs), BASELINE, bins=bins)
    table = found.bins[found.bins["count"] > 0]
    assert table["count"].sum() == len(pairs)
    assert (table["confidence"] <= table["high"] + 1e-9).all()
    assert (table["confidence"] >= table["low"] - 1e-9).all()
    assert abs(found.accuracy - found.confidence) - 1e-9 <= found.error <= 1
