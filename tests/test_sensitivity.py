"""Accuracy against λ, and λ chosen on development subjects, are what one would work out by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

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


def at(table: pd.DataFrame, lam: float) -> pd.Series:
    """The only row of a value of λ."""
    (row,) = [row for _, row in table.iterrows() if row["lam"] == lam]
    return row


def test_a_point_is_the_mean_over_folds_of_the_means_over_seeds() -> None:
    """Fold 0: seeds 0.7 and 0.9; fold 1: 0.6. Mean 0.7, sd 0.1414; 12.706 is the 97.5 % point of t with 1 degree."""
    row = at(sensitivity(accuracies([("gndl", 5, 0, 0, 0.7), ("gndl", 5, 0, 1, 0.9), ("gndl", 5, 1, 0, 0.6)])), 5)
    assert row["accuracy"] == pytest.approx(0.7)
    assert row["sd"] == pytest.approx(0.1 * np.sqrt(2))
    assert row["high"] - row["accuracy"] == pytest.approx(12.7062 * 0.1 * np.sqrt(2) * np.sqrt(1 / 2 + 1 / 9), rel=1e-4)
    assert (row["folds"], row["runs"], row["fold_numbers"]) == (2, 3, "0, 1")


def test_the_baseline_stands_on_the_folds_of_the_point() -> None:
    """GNDL on folds 0 and 1, the baseline on 0 to 3: folds 2 and 3, at 10 %, count nowhere."""
    rows: list[Row] = [("gndl", 5, 0, 0, 0.9), ("gndl", 5, 1, 0, 0.7)]
    rows += [("baseline", NONE, fold, 0, value) for fold, value in enumerate((0.8, 0.7, 0.1, 0.1))]
    row = at(sensitivity(accuracies(rows), folds=range(4)), 5)
    assert row["baseline_accuracy"] == pytest.approx(0.75)
    assert (row["baseline_folds"], row["state"]) == (2, "in part")
    assert row["to_baseline_difference"] == pytest.approx(0.05)


def test_runs_of_folds_outside_the_sweep_are_left_out() -> None:
    """λ = 5 has ten folds from the headline; the sweep's four are what its point stands on."""
    table = sensitivity(sweep(10), folds=(0, 1, 2, 3))
    assert set(table["fold_numbers"]) == {"0, 1, 2, 3"}
    assert not table["decrease"].any()


def test_the_first_significant_decrease_above_the_best_is_marked() -> None:
    """Ten folds, ten points lower at 20 and at 50: both are significant, only the first is marked."""
    table = sensitivity(sweep(10))
    assert table.loc[table["decrease"], "lam"].tolist() == [20.0]
    assert at(table, 20)["to_best_difference"] == pytest.approx(at(table, 20)["to_fixed_difference"])
    assert not sensitivity(sweep(10, fall=0.0))["decrease"].any()
    few = sensitivity(sweep(6))
    assert few["to_best_p"].isna().all() and not few["decrease"].any(), "six folds allow no test"


def test_values_that_were_not_run_are_rows_without_numbers() -> None:
    """Asked for 0.1 as well: a row with no fold."""
    row = at(sensitivity(sweep(3), lams=(0.1, 5)), 0.1)
    assert (row["state"], row["folds"], row["runs"]) == ("not run", 0, 0)
    assert np.isnan(row["accuracy"]) and np.isnan(row["to_fixed_difference"])


def test_runs_of_different_length_stand_in_no_curve() -> None:
    """λ = 5 with twice the epochs of the others is refused."""
    runs = sweep(3)
    runs.loc[runs["lam"] == 5, "epochs"] = 24
    with pytest.raises(GndlError, match=r"gndl was trained for 12 to 24 epochs.*gndl train --lams"):
        sensitivity(runs)


def chosen_results() -> Any:
    """Two folds by hand, GNDL at λ = 1 and 5 and the baseline; on a third fold λ = 1 was not run. λ = 5 is fixed."""
    curves = {
        ("gndl", 5.0, 0): ([0.3, 0.6, 0.6], [0.40, 0.50, 0.60]),
        ("gndl", 1.0, 0): ([0.2, 0.6, 0.5], [0.90, 0.55, 0.30]),
        ("gndl", 5.0, 1): ([0.3, 0.3, 0.4], [0.40, 0.75, 0.70]),
        ("gndl", 1.0, 1): ([0.2, 0.7, 0.5], [0.20, 0.65, 0.80]),
        ("baseline", NONE, 0): ([0.9, 0.1], [0.35, 0.45]),
        ("baseline", NONE, 1): ([0.1, 0.9], [0.55, 0.50]),
        ("gndl", 5.0, 2): ([0.9, 0.9, 0.9], [0.9, 0.9, 0.9]),
    }
    tables = []
    for (method, lam, fold), (dev, test) in curves.items():
        run = {"database": "ckplus", "method": method, "lam": lam, "fold": fold, "seed": 0}
        epochs = {"epoch": range(1, len(test) + 1), "accuracy_dev": dev, "accuracy_test": test}
        tables.append(pd.DataFrame(epochs).assign(**run))
    epochs = pd.concat(tables, ignore_index=True)
    key = ["database", "method", "lam", "fold", "seed"]
    runs = epochs[key].drop_duplicates().assign(source="rendered", n_train=60, n_dev=10, n_test=20)
    return SimpleNamespace(runs=runs, epochs=epochs)


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
    assert set(gndl["lams"]) == {"1, 5"} and set(gndl["n_dev"]) == {10}


def test_the_gap_is_what_choosing_on_the_test_fold_promises() -> None:
    """Means over two folds, by hand; with two folds no test is made; a seed of GNDL alone is in no difference."""
    chosen = choices(chosen_results())
    summary = summarise_choices(chosen).set_index("method")
    gndl = summary.loc["gndl"]
    assert gndl["on_dev"] == pytest.approx(0.575) and gndl["on_test"] == pytest.approx(0.85)
    assert gndl["gap"] == pytest.approx(0.275) and gndl["to_fixed"] == pytest.approx(-0.075)
    assert gndl["to_baseline"] == pytest.approx(0.575 - (0.35 + 0.50) / 2)
    assert np.isnan(gndl["to_baseline_p"]) and gndl["gap_low"] < 0.275 < gndl["gap_high"]
    assert np.isnan(summary.loc["baseline", "to_baseline"])
    second = chosen[chosen["method"] == "gndl"].assign(seed=7, accuracy=0.0)
    after = summarise_choices(pd.concat([chosen, second])).set_index("method").loc["gndl"]
    assert after["to_baseline"] == gndl["to_baseline"] and after["on_dev"] < gndl["on_dev"]
