"""What a comparison of methods over the same folds says, checked against numbers worked out by hand."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted_runs import Frame, predictions, write_run
from scipy import stats

from gndl.analysis.compare import (
    against_baseline,
    compare,
    compare_variants,
    corrected_t,
    holm,
    paired_differences,
    sign_flip,
)
from gndl.files import GndlError
from gndl.results import read

TEN = np.array([0.01, 0.02, 0.00, 0.03, 0.02, -0.01, 0.04, 0.01, 0.00, 0.03])
RIGHT, WRONG = (0.8, 0.1, 0.1), (0.2, 0.7, 0.1)


def test_effects_are_those_worked_out_by_hand() -> None:
    """Mean 0.015 by sd 0.01581; sizes 1 1 1 2 2 3 3 4 have mean ranks 2 2 2 4.5 4.5 6.5 6.5 8, one 2 down."""
    found = corrected_t(TEN, 1 / 9)
    assert (found["better"], found["worse"], found["equal"]) == (7, 1, 2)
    assert found["effect"] == pytest.approx(0.948683, abs=1e-5)
    assert found["rank_effect"] == pytest.approx((36 - 2 * 2) / 36)
    # Of 256 ways to sign these ranks, those with a sum at least as far from zero as 32:
    ranks = [2, 2, 2, 4.5, 4.5, 6.5, 6.5, 8]
    sums = [np.dot(ranks, signs) for signs in itertools.product((-1, 1), repeat=8)]
    assert found["p_signed_rank"] == sum(abs(one) >= 32 for one in sums) / 256


def test_below_seven_folds_there_is_no_test() -> None:
    """Six folds give an effect and an interval, and no p; one fold not even an interval."""
    found = corrected_t(TEN[:6], 0.2)
    assert np.isnan(found["p"]) and np.isnan(found["p_signed_rank"]) and np.isfinite(found["low"])
    assert np.isnan(corrected_t(TEN[:1], 0.2)["low"])
    seven, eight = (corrected_t(np.arange(1, folds + 1) / 100, 0.2)["p_signed_rank"] for folds in (7, 8))
    assert (seven, eight) == (2 / 2**7, 2 / 2**8), "seven folds cannot reach 1 %"


def test_methods_that_agree_everywhere_are_not_called_different() -> None:
    """Also where they agree but for rounding: 0.1 + 0.2 is not 0.3 in floats; as an accuracy it is."""
    found = corrected_t([0.1 + 0.2 - 0.3] * 8, 0.1)
    assert (found["better"], found["worse"], found["equal"], found["p"]) == (0, 0, 8, 1)
    assert np.isnan(found["effect"]) and np.isnan(found["rank_effect"]) and np.isnan(found["p_signed_rank"])


@given(st.lists(st.integers(-4, 4), max_size=8))
def test_the_sign_flip_test_counts_every_flip(differences: list[int]) -> None:
    """The count one subject after the other agrees with going through all 2ⁿ flips."""
    sums = [abs(sum(flip)) for flip in itertools.product(*[(value, -value) for value in differences])]
    expected = np.mean([total >= abs(sum(differences)) for total in sums])
    assert sign_flip(differences) == pytest.approx(expected)


def test_holm_multiplies_by_the_tests_that_are_left() -> None:
    """0.01, 0.04, 0.03: 3 × 0.01, then 2 × 0.03 = 0.06, then 0.04 raised to 0.06; NaN is not counted."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([np.nan, 0.04, 0.6])[1:] == pytest.approx([0.08, 0.6])
    assert np.isnan(holm([np.nan, np.nan])).all()


def runs(folds_of_gndl: range, database: str = "ckplus", lead: float = 0.02) -> pd.DataFrame:
    """Rows of `Results.runs`: a baseline on ten folds, and GNDL, two points better, on some of them."""
    rows = [("baseline", np.nan, fold, 0.90 + 0.001 * fold) for fold in range(10)]
    rows += [("gndl", 5.0, fold, 0.90 + lead + 0.001 * fold + 0.002 * (fold % 2)) for fold in folds_of_gndl]
    table = pd.DataFrame(rows, columns=["method", "lam", "fold", "accuracy_last"])
    return table.assign(database=database, source="rendered", seed=0, n_test=10, n_train=90)


def test_only_folds_that_both_have_are_compared() -> None:
    """GNDL on folds 3 to 9 next to a baseline on all ten: seven pairs; with no common fold there is no row."""
    compared = compare(runs(range(3, 10)))
    assert compared["folds"].tolist() == [7]
    assert compared["difference"].iloc[0] == pytest.approx(0.02 + 0.002 * 4 / 7)
    assert compare(runs(range(20, 22))).empty


def test_the_variance_is_enlarged_by_tested_over_trained_samples() -> None:
    """10 tested for 90 trained on: 1/9, neither 1/10 of all nor 9; by hand from the ten differences."""
    found, values = compare(runs(range(10))).iloc[0], 0.02 + 0.002 * (np.arange(10) % 2)
    error = values.std(ddof=1) * np.sqrt(1 / 10 + 1 / 9)
    assert found["t"] == pytest.approx(values.mean() / error)
    assert found["p"] == pytest.approx(2 * stats.t.sf(values.mean() / error, 9))
    assert found["low"] == pytest.approx(values.mean() - stats.t.ppf(0.975, 9) * error)


def test_every_p_is_adjusted_for_the_databases_tested() -> None:
    """Two databases with a test and one without: each p is paid for twice at most, the third costs nothing."""
    parts = [runs(range(10), "ckplus", 0.001), runs(range(10), "oulu_casia", -0.002), runs(range(3), "mmi")]
    found = compare(pd.concat(parts))
    assert found["database"].tolist() == ["ckplus", "oulu_casia", "mmi"] and set(found["databases_tested"]) == {2}
    small, large = sorted(found["p"].dropna())
    assert sorted(found["p_adjusted"].dropna()) == pytest.approx([min(1, 2 * small), max(min(1, 2 * small), large)])
    assert np.isnan(found["p_adjusted"].iloc[2]) and np.isnan(found["p_signed_rank_adjusted"].iloc[2])
    assert found["p_signed_rank"].iloc[:2].tolist() == [2 / 2**10, 2 / 2**5], "of the second five folds are equal"
    assert found["p_signed_rank_adjusted"].iloc[:2].tolist() == [4 / 2**10, 2 / 2**5]


def test_seeds_of_a_fold_are_averaged_before_anything_is_tested() -> None:
    """Two seeds that both have: their mean is the fold's difference; a third that only one has stays out."""
    table = runs(range(10))
    is_gndl = table["method"] == "gndl"
    lucky = table.assign(seed=1, accuracy_last=table["accuracy_last"] + 0.01 * is_gndl)
    alone = table[is_gndl].assign(seed=2, accuracy_last=1.0)
    found = compare(pd.concat([table, lucky, alone])).iloc[0]
    assert (found["folds"], found["seeds"]) == (10, 2)
    assert found["difference"] == pytest.approx(0.021 + 0.005)
    assert found["sd_seeds"] == pytest.approx(0.01 / np.sqrt(2))


def test_a_reference_at_several_values_of_lam_is_refused() -> None:
    """It would be paired with every one of them."""
    table = runs(range(10))
    with pytest.raises(GndlError, match="gndl was run at several λ"):
        compare(pd.concat([table, table[table["method"] == "gndl"].assign(lam=50.0)]), "baseline", "gndl")


def sequences(subject: str, *right: bool) -> list[Frame]:
    """One sequence of one frame for each answer."""
    return [(subject, f"{subject}_{k}", "anger", RIGHT if one else WRONG) for k, one in enumerate(right)]


def write_both(out: Path, fold: int, baseline: list[Frame], gndl: list[Frame], seed: int = 0) -> None:
    """Write one fold by both methods."""
    write_run(out, "baseline", "none", fold, predictions(baseline, first=100 * fold), seed=seed)
    write_run(out, "gndl", "5", fold, predictions(gndl, first=100 * fold), seed=seed)


def test_differences_are_paired_by_fold_and_by_subject(tmp_path: Path) -> None:
    """Fold 0: 2/4 against 3/4, S1 +1/2 and S2 even; fold 1: 2/2 against 1/2, S3 -1/2."""
    baseline = sequences("S1", False, True) + sequences("S2", True, False)
    write_both(tmp_path, 0, baseline, sequences("S1", True, True) + sequences("S2", False, True))
    write_both(tmp_path, 1, sequences("S3", True, True), sequences("S3", True, False))
    found = paired_differences(read(tmp_path))
    folds, subjects = (found[found["per"] == per] for per in ("fold", "subject"))
    assert folds["difference"].tolist() == pytest.approx([0.25, -0.5])
    assert folds["reference"].tolist() == pytest.approx([0.5, 1.0])
    assert subjects["subject"].tolist() == ["S1", "S2", "S3"]
    assert subjects["difference"].tolist() == pytest.approx([0.5, 0.0, -0.5])


def test_subjects_count_with_seeds_averaged_and_one_vote_a_sequence(tmp_path: Path) -> None:
    """Seed 0 gains nothing, seed 1 one of two sequences; of its three frames two are wrong by a hair."""
    near: list[Frame] = [("S1", "S1_1", "anger", values) for values in ((0.45, 0.5, 0.05),) * 2 + ((0.9, 0.05, 0.05),)]
    write_both(tmp_path, 0, sequences("S1", True, False), sequences("S1", True, False), seed=0)
    far: list[Frame] = [("S1", "S1_1", "anger", WRONG)] * 3
    write_both(tmp_path, 0, sequences("S1", True) + far, sequences("S1", True) + near, seed=1)
    write_run(tmp_path, "gndl", "5", 0, predictions(sequences("S1", False, False)), seed=2)  # the reference lacks it
    subject = paired_differences(read(tmp_path)).query("per == 'subject'").iloc[0]
    assert (subject["right"], subject["difference"]) == (1.5, 0.25)


def test_every_method_is_compared_with_the_baseline_of_its_own_weights(planted_study: Path) -> None:
    """Both databases in their order; three of six subjects gain a sequence, and three folds allow no test."""
    found = against_baseline(read(planted_study).headline)
    assert found["database"].tolist() == ["ckplus", "mmi"] and found["reference"].eq("baseline").all()
    assert found["difference"].tolist() == pytest.approx([2 / 18] * 2) and found["p"].isna().all()
    counts = ["subjects", "subjects_better", "subjects_worse", "subjects_equal"]
    assert found[counts].to_numpy().tolist() == [[6, 3, 0, 3]] * 2
    pretrained = read(planted_study).headline
    pretrained.runs["weights"] = pretrained.runs["weights"].mask(pretrained.runs["method"] == "gndl", "abc")
    alone = against_baseline(pretrained)
    assert alone["reference"].eq("").all() and "difference" not in alone


def some_runs(method: str, lam: float, right: list[int], **further: object) -> pd.DataFrame:
    """Rows of `Results.runs`: one run a fold, ``right`` of ten samples right."""
    table = pd.DataFrame({"fold": range(len(right)), "accuracy_last": np.array(right) / 10})
    common = {"database": "ckplus", "source": "rendered", "seed": 0, "n_test": 10, "n_train": 30, "parameters": 1}
    common |= {
        "base_method": method,
        "weights": "",
        "method": method,
        "lam": lam,
        "needs_neutral_at_test": method == "oracle-swap",
        "images_per_epoch": 1,
    }
    return table.assign(**common | further)


def some_variants() -> pd.DataFrame:
    """Four folds of CK+: baseline 0.6, GNDL 0.7, one variant worse, one bound better; MMI has the paper's two alone."""
    return pd.concat(
        [
            some_runs("oracle-swap", 5, [9, 9, 9, 9]),
            some_runs("baseline", np.nan, [6, 6, 6, 6]),
            some_runs("gndl", 5, [7, 7, 8, 6]),
            some_runs("gndl-stop-gradient", 5, [5, 6, 7]),
            some_runs("baseline", np.nan, [6, 6], database="mmi"),
            some_runs("gndl", 5, [6, 6], database="mmi"),
        ],
        ignore_index=True,
    )


GROUP = ["oracle-swap", "baseline", "gndl", "gndl-stop-gradient"]


def test_variants_are_paired_over_the_folds_that_both_have() -> None:
    """By hand: 5, 6, 7 against 7, 7, 8 is -2, -1, -1 tenths; the interval is the corrected t with two degrees."""
    table = compare_variants(some_variants(), GROUP).set_index("method")
    assert list(table.index) == ["baseline", "gndl", "gndl-stop-gradient", "oracle-swap"], "bounds come last"
    assert set(table["database"]) == {"ckplus"}, "a database without a variant has no ablation to show"
    row = table.loc["gndl-stop-gradient"]
    assert table["seeds"].eq(1).all() and row["sd"] == pytest.approx(0.1)
    second = some_runs("gndl", 5, [7, 7], seed=1)
    assert compare_variants(pd.concat([some_variants(), second]), GROUP).set_index("method").loc["gndl", "seeds"] == 1
    assert row["folds"] == 3 and row["accuracy"] == pytest.approx(0.6) and row["to_gndl_folds"] == 3
    assert row["to_gndl_difference"] == pytest.approx(-0.4 / 3)
    reach = stats.t.ppf(0.975, 2) * np.std([-0.2, -0.1, -0.1], ddof=1) * (1 / 3 + 10 / 30) ** 0.5
    assert row["to_gndl_high"] - row["to_gndl_difference"] == pytest.approx(reach)
    assert table.loc["gndl", "to_baseline_difference"] == pytest.approx(0.1)
    assert pd.isna(table.loc["gndl", "to_gndl_difference"])


def test_variants_that_start_from_weights_are_compared_with_gndl_of_the_same_weights() -> None:
    """All are named ``…-imagenet``; a GNDL without weights, ten points better, is nobody's reference."""
    plain = some_variants()
    pretrained = plain.assign(method=plain["base_method"] + "-imagenet", weights="a hash")
    gndl = some_runs("gndl", 5, [8, 8, 9, 7])
    table = compare_variants(pd.concat([pretrained, gndl]), GROUP).set_index("method")
    assert list(table.index) == [
        f"{name}-imagenet" for name in ("baseline", "gndl", "gndl-stop-gradient", "oracle-swap")
    ]
    expected = compare_variants(plain, GROUP)["to_gndl_difference"]
    assert table["to_gndl_difference"].tolist() == pytest.approx(expected.tolist(), nan_ok=True)
