"""What a comparison of two methods over the same folds says, checked against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gndl.comparison import compare, compare_with_baseline, in_plain_words

TEN = np.array([0.01, 0.02, 0.00, 0.03, 0.02, -0.01, 0.04, 0.01, 0.00, 0.03])


def test_the_corrected_t_enlarges_the_variance_by_the_shared_training_samples() -> None:
    """k = 10, mean 0.015, sd 0.01581, n_test/n_train = 1/9: t = 0.015 / (0.01581 √(1/10 + 1/9)) = 2.065."""
    found = compare(TEN, 1 / 9)
    assert found["difference"] == pytest.approx(0.015)
    assert found["sd"] == pytest.approx(0.0158114, abs=1e-6)
    assert found["p_corrected_t"] == pytest.approx(0.06897, abs=2e-4)
    assert (found["better"], found["worse"], found["equal"]) == (7, 1, 2)
    # 2.2622 is the 97.5 % point of t with 9 degrees of freedom.
    assert found["high"] - found["difference"] == pytest.approx(2.2622 * 0.0158114 * np.sqrt(0.1 + 1 / 9), rel=1e-4)


def test_below_seven_folds_there_is_no_test() -> None:
    """Six folds give an effect and an interval, and no p."""
    found = compare(TEN[:6], 0.2)
    assert np.isnan(found["p_corrected_t"])
    assert np.isnan(found["p_wilcoxon"])
    assert np.isfinite(found["low"])


def test_methods_that_agree_everywhere_are_not_called_different() -> None:
    """Ten differences of zero: p of the t-test is 1, and the signed-rank test has nothing to rank."""
    found = compare(np.zeros(10), 1 / 9)
    assert found["p_corrected_t"] == 1
    assert np.isnan(found["p_wilcoxon"])


@settings(deadline=None)
@given(st.lists(st.integers(-98, 98), min_size=7, max_size=12), st.floats(0.01, 0.5))
def test_swapping_the_methods_turns_the_difference_round(hundredths: list[int], ratio: float) -> None:
    """A against B and B against A: the same p, the mirrored interval."""
    differences = np.array(hundredths) / 98
    one, other = compare(differences, ratio), compare(-differences, ratio)
    assert one["low"] == pytest.approx(-other["high"])
    assert one["p_corrected_t"] == pytest.approx(other["p_corrected_t"])


def tables(folds_of_gndl: range) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A summary and accuracies of a baseline on ten folds and of GNDL, two points better, on some of them."""
    common = {"database": "ckplus", "source": "rendered", "weights": ""}
    summary = pd.DataFrame(
        [
            {**common, "method": "baseline", "base_method": "baseline", "lam": "none"},
            {**common, "method": "gndl", "base_method": "gndl", "lam": "5"},
        ]
    )
    rows = [("baseline", "none", fold, 0.90 + 0.001 * fold) for fold in range(10)]
    rows += [("gndl", "5", fold, 0.92 + 0.001 * fold + 0.002 * (fold % 2)) for fold in folds_of_gndl]
    accuracy = pd.DataFrame(rows, columns=["method", "lam", "fold", "accuracy_last"])
    return summary, accuracy.assign(database="ckplus", n_test=10, n_train=90)


def test_only_folds_that_both_have_are_compared() -> None:
    """GNDL on folds 3 to 9 beside a baseline on all ten: seven pairs."""
    compared = compare_with_baseline(*tables(range(3, 10)))
    assert compared["folds"].tolist() == [7]
    assert compared["difference"].iloc[0] == pytest.approx(0.02 + 0.002 * 4 / 7)


def test_a_difference_is_called_one_only_where_the_test_says_so() -> None:
    """Two points in every fold stand out; the words name the test and that faces were rendered."""
    words = in_plain_words(compare_with_baseline(*tables(range(10))))
    assert "a difference beyond chance" in words
    assert "says nothing about people" in words


def test_a_variant_without_a_common_fold_is_said_to_have_no_partner() -> None:
    """No fold of GNDL is one of the baseline's."""
    words = in_plain_words(compare_with_baseline(*tables(range(20, 22))))
    assert "to be compared with" in words


def test_folds_of_another_database_stay_out() -> None:
    """The same methods on MMI, where GNDL loses, change nothing of what is said of CK+."""
    summary, accuracy = tables(range(10))
    elsewhere = accuracy.assign(database="mmi", accuracy_last=1 - accuracy["accuracy_last"])
    compared = compare_with_baseline(summary, pd.concat([accuracy, elsewhere]))
    assert compared["difference"].iloc[0] == pytest.approx(0.021)
