"""Scores by class, intervals over subjects, and calibration, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted_runs import Frame, predictions
from sklearn.metrics import f1_score, recall_score

from gndl.analysis.scores import interval_over_subjects, measures, reliability, scores

SURE = {"anger": (0.8, 0.1, 0.1), "happiness": (0.1, 0.8, 0.1), "surprise": (0.1, 0.1, 0.8)}
RUN = {"database": "ckplus", "method": "gndl", "lam": 5.0, "fold": 0, "seed": 0}


def frames(subject: str, *answers: tuple[str, str]) -> list[Frame]:
    """One sequence of one frame for each truth and answer."""
    return [(subject, f"{subject}_{k}", truth, SURE[answer]) for k, (truth, answer) in enumerate(answers)]


def value(table: pd.DataFrame, of: str, name: str, measure: str) -> float:
    """One cell of a table of scores."""
    return float(table.set_index(["of", "class", "measure"]).loc[(of, name, measure), "value"])


def test_recall_and_f1_of_classes_and_their_plain_means() -> None:
    """Anger 2 of 3, happiness 1 of 1, surprise never tested; one anger called happiness."""
    one = frames("S1", ("anger", "anger"), ("anger", "happiness"))
    table = predictions(one + frames("S2", ("anger", "anger"), ("happiness", "happiness")))
    found = scores(table.assign(**RUN))
    for of in ("frames", "sequences"):
        assert value(found, of, "anger", "recall") == pytest.approx(2 / 3)
        assert np.isnan(value(found, of, "surprise", "recall"))
        assert value(found, of, "happiness", "precision") == pytest.approx(1 / 2)
        assert value(found, of, "happiness", "f1") == pytest.approx(2 / 3)
        assert value(found, of, "all", "accuracy") == pytest.approx(3 / 4)
        assert value(found, of, "all", "macro_recall") == pytest.approx((2 / 3 + 1) / 2)
        assert value(found, of, "all", "macro_f1") == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert found["low"].isna().all()  # two subjects can hardly stand for others
    assert found.set_index(["of", "class", "measure"]).loc[("frames", "anger", "f1"), "count"] == 3


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40))
def test_macro_averages_are_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    """Over the classes tested, with no division by nothing."""
    truth, predicted = zip(*pairs, strict=True)
    counts = np.zeros((1, 3, 3))
    np.add.at(counts, (0, truth, predicted), 1)
    tested = sorted(set(truth))
    _, recall, f1 = measures(counts)[0, :3]
    assert recall == pytest.approx(recall_score(truth, predicted, labels=tested, average="macro", zero_division=0))
    assert f1 == pytest.approx(f1_score(truth, predicted, labels=tested, average="macro", zero_division=0))


def test_the_interval_is_over_subjects_and_not_over_frames() -> None:
    """Ten subjects, all right or all wrong: the interval is that of ten draws, however many frames they have."""

    def found(each: int) -> pd.DataFrame:
        rows: list[Frame] = []
        for number in range(10):
            rows += frames(f"S{number}", *[("anger", "anger" if number < 5 else "happiness")] * each)
        return scores(predictions(rows).assign(**RUN))

    few, many = found(1), found(40)
    row = few[(few["of"] == "frames") & (few["measure"] == "accuracy")].iloc[0]
    assert (row["low"], row["high"]) == pytest.approx((0.2, 0.8))  # 2.5 % points of Bin(10, 1/2), by 10
    pd.testing.assert_series_equal(few["low"], many["low"])
    assert few.equals(found(1)), "the same seed gives the same numbers"


def answers(*pairs: tuple[float, bool]) -> pd.DataFrame:
    """One frame of one subject for each confidence, right or wrong."""
    rows: list[Frame] = [
        (f"S{k}", f"S{k}_0", "anger" if right else "surprise", (p, 0.6 * (1 - p), 0.4 * (1 - p)))
        for k, (p, right) in enumerate(pairs)
    ]
    return predictions(rows).assign(**RUN)


def test_the_calibration_error_is_the_mean_gap() -> None:
    """Five bins of one frame each have gaps of .05, .85, .45, .35 and .25; in one bin they cancel out."""
    table = answers((0.95, True), (0.85, False), (0.55, True), (0.65, True), (0.75, True))
    assert reliability(table)["error"].iloc[0] == pytest.approx((0.05 + 0.85 + 0.45 + 0.35 + 0.25) / 5)
    coarse = reliability(table, bins=2).iloc[1]
    assert coarse[["low", "high", "count", "subjects", "accuracy", "confidence"]].tolist() == pytest.approx(
        [0.5, 1, 5, 5, 0.8, 0.75]
    )
    assert coarse["error"] == pytest.approx(abs(0.8 - 0.75))  # all in (0.5, 1]: accuracy 4/5, confidence 3.75/5
    assert (coarse["mean_accuracy"], coarse["mean_confidence"]) == pytest.approx((0.8, 0.75))
    assert (coarse["folds"], coarse["frames"], coarse["tested_subjects"]) == (1, 5, 5)


def test_a_bin_holds_its_upper_edge_and_an_empty_one_has_no_number() -> None:
    """Confidences 0.5 and 0.51 in bins up to 0.5 and up to 1; five subjects have an interval, fewer none."""
    table = reliability(answers((0.5, True), *[(0.51, number < 3) for number in range(5)]), bins=4)
    assert table["count"].tolist() == [0, 1, 5, 0] and table["subjects"].tolist() == [0, 1, 5, 0]
    assert np.isnan(table.loc[0, "accuracy"]) and table["accuracy_low"].notna().tolist() == [False, False, True, False]
    assert table.loc[2, "accuracy_low"] < 0.6 < table.loc[2, "accuracy_high"]
    assert table["error"].tolist() == pytest.approx([(0.5 + 5 * 0.09) / 6] * 4)


def test_intervals_are_those_of_drawing_subjects_anew() -> None:
    """2,000 draws with replacement by hand; of a difference, members and others are drawn apart; four are too few."""
    values, names = np.array([1.0, 0, 1, 1, 0, 1, 0]), np.array(["a", "a", "b", "c", "d", "e", "e"])
    times = np.random.default_rng(3).multinomial(5, np.full(5, 1 / 5), size=2000)
    draws = times @ [1.0, 1, 1, 0, 1] / (times @ [2.0, 1, 1, 1, 2])
    assert interval_over_subjects(values, names, seed=3) == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975])))
    assert np.isnan(interval_over_subjects(values[:5], names[:5])).all()
    both, others = np.concatenate([values, np.zeros(7)]), np.concatenate([names, np.char.add("other ", names)])
    low, high = interval_over_subjects(both, others, member=np.arange(14) < 7, seed=3)
    times = np.random.default_rng(6).multinomial(5, np.full(5, 1 / 5), size=2000)
    draws = times @ [1.0, 1, 1, 0, 1] / (times @ [2.0, 1, 1, 1, 2])
    assert (low, high) == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975]))), "the others are always wrong"
