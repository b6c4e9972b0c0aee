"""What a comparison of two methods over the same folds says, checked against numbers worked out by hand."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gndl.comparison import compare, compare_with_baseline, in_plain_words, with_holm

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
    return summary, accuracy.assign(database="ckplus", seed=0, n_test=10, n_train=90)


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


def test_effects_are_those_worked_out_by_hand() -> None:
    """Mean 0.015 by sd 0.01581; sizes 1 1 1 2 2 3 3 4 have mean ranks 2 2 2 4.5 4.5 6.5 6.5 8, one 2 down."""
    found = compare(TEN, 1 / 9)
    assert found["effect"] == pytest.approx(0.948683, abs=1e-5)
    assert found["rank_effect"] == pytest.approx((36 - 2 * 2) / 36)
    # Of 256 ways to sign these ranks, those with a sum at least as far from zero as 32:
    ranks = [2, 2, 2, 4.5, 4.5, 6.5, 6.5, 8]
    sums = [sum(rank * sign for rank, sign in zip(ranks, signs, strict=True)) for signs in product((-1, 1), repeat=8)]
    assert found["p_wilcoxon"] == sum(abs(one) >= 32 for one in sums) / 256
    assert found["p_wilcoxon"] == pytest.approx(0.03125)


def test_the_exact_signed_rank_test_is_scipys_where_nothing_is_tied() -> None:
    """Nine differences of different sizes, none of them zero."""
    differences = np.array([0.01, -0.02, 0.03, 0.04, 0.05, 0.06, -0.07, 0.08, 0.09])
    assert compare(differences, 0.1)["p_wilcoxon"] == pytest.approx(stats.wilcoxon(differences).pvalue)


def test_differences_that_are_zero_but_for_rounding_are_equal() -> None:
    """0.1 + 0.2 is not 0.3 in floats; as an accuracy it is."""
    found = compare(np.array([0.1 + 0.2 - 0.3] * 8), 0.1)
    assert (found["better"], found["worse"], found["equal"]) == (0, 0, 8)
    assert np.isnan(found["effect"]) and np.isnan(found["rank_effect"]) and np.isnan(found["p_wilcoxon"])


def test_seeds_of_a_fold_are_averaged_before_anything_is_tested() -> None:
    """Two seeds that both have: their mean is the fold's difference; a third that only one has stays out."""
    summary, accuracy = tables(range(10))
    lucky = accuracy.assign(seed=1, accuracy_last=accuracy["accuracy_last"] + 0.01 * (accuracy["method"] == "gndl"))
    alone = accuracy[accuracy["method"] == "gndl"].assign(seed=2, accuracy_last=1.0)
    compared = compare_with_baseline(summary, pd.concat([accuracy, lucky, alone])).iloc[0]
    assert (compared["folds"], compared["seeds"]) == (10, 2)
    assert compared["difference"] == pytest.approx(0.021 + 0.005)
    assert compared["sd_seeds"] == pytest.approx(0.01 / np.sqrt(2))
    words = in_plain_words(compare_with_baseline(summary, pd.concat([accuracy, lucky])))
    assert "2 seeds each averaged first" in words
    assert "0.7 points, sd" in words


def test_the_number_of_databases_is_paid_for() -> None:
    """p = 0.02, 0.03 and 0.2 on three databases: 0.06, 0.06 and 0.2 after Holm, so none is called a difference."""
    common = {"source": "licensed", "method": "gndl", "lam": "5", "against": "baseline", "seeds": 1, "folds": 10}
    found = {"difference": 0.01, "low": 0.0, "high": 0.02, "better": 7, "worse": 2, "equal": 1}
    found |= {"effect": 0.5, "rank_effect": 0.4, "p_wilcoxon": 0.01}
    names = {"ckplus": 0.02, "oulu_casia": 0.03, "mmi": 0.2}
    table = pd.DataFrame([{**common, **found, "database": name, "p_corrected_t": p} for name, p in names.items()])
    adjusted = with_holm(table)
    assert adjusted["p_holm"].tolist() == pytest.approx([0.06, 0.06, 0.2])
    assert set(adjusted["databases_tested"]) == {3}
    assert in_plain_words(table).count("a difference beyond chance") == 2
    words = in_plain_words(adjusted)
    assert words.count("no difference shown") == 3
    assert "for 3 databases tested (Holm) p = 0.06" in words
    assert "without the 1 equal" in words


def test_a_database_without_a_test_costs_the_others_nothing() -> None:
    """Below seven folds there is no p, and nothing to adjust for."""
    table = pd.DataFrame({"method": "gndl", "lam": "5", "against": "baseline", "p_corrected_t": [0.03, np.nan]})
    adjusted = with_holm(table)
    assert adjusted["p_holm"].tolist()[0] == 0.03
    assert np.isnan(adjusted["p_holm"].iloc[1])
    assert set(adjusted["databases_tested"]) == {1}
