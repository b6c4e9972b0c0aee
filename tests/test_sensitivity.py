"""Accuracy against λ, and λ chosen on development subjects, are what one would work out by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gndl.analysis.compare import corrected_t
from gndl.analysis.sensitivity import choices, sensitivity, summarise_choices
from gndl.files import GndlError

Row = tuple[str, float, int, int, float]
NONE = float("nan")


def accuracies(rows: list[Row], database: str = "ckplus") -> pd.DataFrame:
    """Rows of `Results.runs`: method, λ, fold, seed and accuracy; 10 samples tested for 90 trained on."""
    table = pd.DataFrame(rows, columns=["method", "lam", "fold", "seed", "accuracy_last"])
    common = {"database": database, "source": "rendered", "weights": "", "epochs": 12, "n_test": 10, "n_train": 90}
    return table.assign(base_method=table["method"], **common)


def sweep(folds: int, fall: float = 0.1) -> pd.DataFrame:
    """A baseline at 80 %, GNDL at 85 % for λ = 1, 88 % for 5, and ``fall`` lower for 20 and 50; folds differ."""
    rows: list[Row] = []
    for fold in range(folds):
        apart = 0.01 * (fold % 3)
        rows.append(("baseline", NONE, fold, 0, 0.80 + apart))
        for lam, mean in ((1, 0.85), (5, 0.88), (20, 0.88 - fall), (50, 0.88 - fall)):
            rows.append(("gndl", lam, fold, 0, mean + apart + 0.004 * ((fold + len(str(lam))) % 2)))
    return accuracies(rows)


def test_a_point_is_the_mean_over_folds_of_the_means_over_seeds() -> None:
    """Fold 0: seeds 0.7 and 0.9; fold 1: 0.6. Mean 0.7, sd 0.1414; 12.706 is the 97.5 % point of t with 1 degree."""
    (row,) = sensitivity(accuracies([("gndl", 5, 0, 0, 0.7), ("gndl", 5, 0, 1, 0.9), ("gndl", 5, 1, 0, 0.6)])).iloc
    assert (row["accuracy"], row["sd"]) == pytest.approx((0.7, 0.1 * np.sqrt(2)))
    reach = 12.7062 * 0.1 * np.sqrt(2) * np.sqrt(1 / 2 + 1 / 9)  # 10 / 90: tested by trained on
    assert (row["accuracy"] - row["low"], row["high"] - row["accuracy"]) == pytest.approx((reach, reach), rel=1e-4)
    assert (row["folds"], row["runs"], row["fold_numbers"], row["state"]) == (2, 3, "0, 1", "run")
    assert row["fixed"] and not row["best"], "of one value none is best"


def test_the_baseline_of_the_same_weights_stands_on_the_folds_of_the_point() -> None:
    """GNDL on folds 0 and 1, the baseline on 0 to 3: folds 2 and 3, at 10 %, count nowhere, nor another baseline."""
    rows: list[Row] = [("gndl", 5, 0, 0, 0.9), ("gndl", 5, 1, 0, 0.7)]
    rows += [("baseline", NONE, fold, 0, value) for fold, value in enumerate((0.8, 0.7, 0.1, 0.1))]
    pretrained = accuracies([("baseline", NONE, 0, 0, 0.0)]).assign(weights="abc", method="baseline-imagenet")
    (row,) = sensitivity(pd.concat([accuracies(rows), pretrained]), folds=range(4)).iloc
    assert (row["baseline"], row["baseline_accuracy"]) == ("baseline", pytest.approx(0.75))
    assert (row["baseline_folds"], row["state"], row["to_baseline_folds"]) == (2, "in part", 2)
    assert row["to_baseline_difference"] == pytest.approx(0.05)


def test_runs_of_folds_outside_the_sweep_are_left_out() -> None:
    """λ = 5 has ten folds from the headline; the sweep's four are what its point stands on; λ = 7 was not run."""
    table = sensitivity(sweep(10), folds=(0, 1, 2, 3), lams=(5, 7)).set_index("lam")
    assert table["fold_numbers"].to_dict() == {
        1: "0, 1, 2, 3",
        5: "0, 1, 2, 3",
        7: "",
        20: "0, 1, 2, 3",
        50: "0, 1, 2, 3",
    }
    row = table.loc[7]
    assert (row["state"], row["folds"], row["runs"]) == ("not run", 0, 0)
    assert np.isnan(row["accuracy"]) and np.isnan(row["to_fixed_difference"])


def test_every_p_is_adjusted_and_the_first_significant_decrease_above_the_best_is_descriptive() -> None:
    """Ten folds, ten points lower at 20 and at 50: both are significant, the first is marked; λ = 1 is not above."""
    table = sensitivity(sweep(10)).set_index("lam")
    assert table.index[table["best"]].tolist() == table.index[table["fixed"]].tolist() == [5.0]
    assert table.index[table["decrease_descriptive"]].tolist() == [20.0]
    lower = sweep(10).query("lam == 20 or lam == 5").pivot(index="fold", columns="lam", values="accuracy_last")
    expected = corrected_t(lower[20.0] - lower[5.0], 10 / 90)
    for other, p in (("best", "p_descriptive"), ("fixed", "p")):
        assert table.loc[20, f"to_{other}_difference"] == pytest.approx(expected["difference"])
        assert table.loc[20, f"to_{other}_{p}"] == pytest.approx(expected["p"])
        assert np.isnan(table.loc[5, f"to_{other}_difference"]), "a value is not compared with itself"
    smallest = table["to_baseline_p"].min()
    assert table["to_baseline_p_adjusted"].min() == pytest.approx(4 * smallest) and 0 < 4 * smallest < 1
    smallest = table["to_fixed_p"].min()
    assert table["to_fixed_p_adjusted"].min() == pytest.approx(3 * smallest)
    assert table["to_best_p_adjusted_descriptive"].min() == pytest.approx(3 * smallest)


@pytest.mark.parametrize(("folds", "fall"), [(10, 0.0), (10, -0.05), (6, 0.1)])
def test_no_decrease_is_marked_without_a_fall_or_without_a_test(folds: int, fall: float) -> None:
    """Equal and higher values are no decrease, and six folds allow no test."""
    table = sensitivity(sweep(folds, fall))
    assert not table["decrease_descriptive"].any()
    assert table[["to_best_p_descriptive", "to_fixed_p"]].isna().all(axis=None) == (folds == 6)


def test_of_equal_values_the_smallest_is_best_whatever_the_order_of_the_folds() -> None:
    """The same four accuracies in every order: their sums differ in the last digit, which decides nothing."""
    values, random = np.array([0.1, 0.2, 0.3, 0.6]), np.random.default_rng(0)
    sums = set()
    for _ in range(20):
        orders = {lam: random.permutation(values) for lam in (0.5, 5.0, 50.0)}
        sums |= {order.mean() for order in orders.values()}
        rows = [("gndl", lam, fold, 0, value) for lam, order in orders.items() for fold, value in enumerate(order)]
        table = sensitivity(accuracies(rows))
        assert table.loc[table["best"], "lam"].tolist() == [0.5]
    assert len(sums) > 1


def test_runs_of_different_length_stand_in_no_curve() -> None:
    """λ = 5 with twice the epochs of the others is refused."""
    runs = sweep(3)
    runs.loc[runs["lam"] == 5, "epochs"] = 24
    with pytest.raises(GndlError, match=r"gndl was trained for 12 to 24 epochs.*gndl train --lams"):
        sensitivity(runs)


CURVES = {
    ("gndl", 5.0, 0): ([0.3, 0.6, 0.6], [0.40, 0.50, 0.60]),
    ("gndl", 1.0, 0): ([0.2, 0.6, 0.5], [0.90, 0.55, 0.30]),
    ("gndl", 5.0, 1): ([0.3, 0.3, 0.4], [0.40, 0.75, 0.70]),
    ("gndl", 1.0, 1): ([0.2, 0.7, 0.5], [0.20, 0.65, 0.80]),
    ("baseline", NONE, 0): ([0.9, 0.1], [0.35, 0.45]),
    ("baseline", NONE, 1): ([0.1, 0.9], [0.55, 0.50]),
    ("gndl", 5.0, 2): ([0.9, 0.9, 0.9], [0.9, 0.9, 0.9]),  # λ = 1 was not run there
}
"""Accuracies on development and on test subjects, epoch by epoch, by method, λ and fold; λ = 5 is fixed."""


def chosen_results() -> Any:
    tables = []
    for (method, lam, fold), (dev, test) in CURVES.items():
        epochs = {"epoch": range(1, len(test) + 1), "accuracy_dev": dev, "accuracy_test": test}
        run = {"database": "ckplus", "method": method, "lam": lam, "fold": fold, "seed": 0}
        tables.append(pd.DataFrame(epochs).assign(**run))
    epochs = pd.concat(tables, ignore_index=True)
    runs = epochs[["database", "method", "lam", "fold", "seed"]].drop_duplicates()
    return SimpleNamespace(runs=runs.assign(source="rendered", n_train=60, n_dev=10, n_test=20), epochs=epochs)


def test_what_does_best_on_development_subjects_is_taken_and_of_equals_the_fixed_value() -> None:
    """By hand: fold 0 ties at 0.6 between λ = 5, twice, and λ = 1; fold 1 goes to λ = 1; fold 2 is left out."""
    table = choices(chosen_results()).set_index("method").sort_index()
    gndl = table.loc["gndl"]
    assert gndl["fold"].tolist() == [0, 1] and table.loc["baseline", "fold"].tolist() == [0, 1]
    assert gndl["lam_dev"].tolist() == [5, 1] and gndl["epoch_dev"].tolist() == [2, 2]
    assert gndl["accuracy"].tolist() == [0.50, 0.65] and gndl["accuracy_dev"].tolist() == [0.6, 0.7]
    assert gndl["lam_test"].tolist() == [1, 1] and gndl["epoch_test"].tolist() == [1, 3]
    assert gndl["accuracy_chosen_on_test"].tolist() == [0.90, 0.80]
    assert gndl["accuracy_fixed"].tolist() == pytest.approx([0.60, 0.70])
    assert set(gndl["lams"]) == {"1, 5"} and set(gndl["n_dev"]) == {10} and set(gndl["source"]) == {"rendered"}
    without = SimpleNamespace(epochs=chosen_results().epochs.drop(columns="accuracy_dev"))
    assert choices(without).empty


def test_the_gap_is_what_choosing_on_the_test_fold_promises() -> None:
    """Means over two folds, by hand; with two folds no test is made; a seed of GNDL alone is in no difference."""
    chosen = choices(chosen_results())
    gndl = summarise_choices(chosen).set_index("method").loc["gndl"]
    assert (gndl["fixed"], gndl["on_dev"], gndl["on_test"]) == pytest.approx((0.65, 0.575, 0.85))
    assert (gndl["gap"], gndl["to_fixed"]) == pytest.approx((0.275, -0.075))
    assert gndl["to_baseline"] == pytest.approx(0.575 - (0.35 + 0.50) / 2)
    found = corrected_t([0.90 - 0.50, 0.80 - 0.65], 20 / 60)
    assert (gndl["gap_low"], gndl["gap_high"]) == pytest.approx((found["low"], found["high"]))
    assert np.isnan(summarise_choices(chosen).set_index("method").loc["baseline", "to_baseline"])
    second = chosen[chosen["method"] == "gndl"].assign(seed=7, accuracy=0.0)
    after = summarise_choices(pd.concat([chosen, second])).set_index("method").loc["gndl"]
    assert after["to_baseline"] == gndl["to_baseline"] and after["on_dev"] == pytest.approx(0.575 / 2)


def test_the_p_of_choices_are_adjusted_too() -> None:
    """Eight folds of two methods: two gaps are tested, so the smaller p counts twice."""
    one = choices(chosen_results())
    gaps = {"gndl": 0.1, "baseline": 0.03}
    eight = [one[one["fold"] == 0].assign(fold=fold) for fold in range(8)]
    for fold, own in enumerate(eight):
        own["accuracy_chosen_on_test"] = own["accuracy"] + own["method"].map(gaps) * (1 + fold % 2)
    table = summarise_choices(pd.concat(eight)).set_index("method")
    assert table.loc["gndl", "gap_p"] == pytest.approx(table.loc["baseline", "gap_p"]), (
        "ten and three points, alike apart"
    )
    assert table["gap_p_adjusted"].tolist() == pytest.approx((2 * table["gap_p"]).tolist())
    assert table.loc["gndl", "to_baseline_p_adjusted"] == table.loc["gndl", "to_baseline_p"], "the only one tested"
