"""Summaries are what one would compute by hand from the files on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gndl import comparison, results
from gndl.checking.study import check_study
from gndl.errors import GndlError
from gndl.files import hash_json, write_json
from gndl.profiles import PAPER
from gndl.sweeping.estimate import Estimate, expected_images

EXPRESSIONS = ("anger", "happiness")


def write_run(
    out: Path, method: str, lam: str, fold: int, truths: list[str], predicted: list[str], best: float, subject: str
) -> None:
    """Write one finished run by hand; every three rows are one sequence."""
    folder = out / "ckplus" / method / f"lam-{lam}" / f"fold-{fold}" / "seed-0"
    folder.mkdir(parents=True)
    accuracy = float(np.mean([t == p for t, p in zip(truths, predicted, strict=True)]))
    rows = [
        {
            "sample": 10 * fold + number,
            "subject": subject,
            "sequence": f"{subject}_{number // 3}",
            "frame": f"{number}.png",
            "truth": truth,
            "predicted": answer,
            "p_anger": 0.9 if answer == "anger" else 0.2,
            "p_happiness": 0.1 if answer == "anger" else 0.8,
        }
        for number, (truth, answer) in enumerate(zip(truths, predicted, strict=True))
    ]
    pd.DataFrame(rows).to_csv(folder / "predictions.csv", index=False)
    epochs = {"epoch": [1, 2], "loss": [1.0, 0.5], "accuracy_train": [0.5, 1.0], "accuracy_test": [best, accuracy]}
    pd.DataFrame(epochs).to_csv(folder / "epochs.csv", index=False)
    identity = {
        "method": {"name": method},
        "lam": lam,
        "fold": fold,
        "seed": 0,
        "weights": None,
        "train": {"learning_rate": 0.001},
        "train_samples": str(fold),
        "test_samples": str(fold),
        "extra": {"source": "rendered", "test_subjects": subject},
    }
    record = {
        "method": {"name": method, "images_per_pair": 2 if method == "gndl" else 1},
        "epochs": 2,
        "needs_neutral_at_test": False,
        "accuracy_last": accuracy,
        "accuracy_best": best,
        "epoch_best": 1,
        "n_train": 30,
        "n_test": len(rows),
        "parameters": 1000,
        "images_per_epoch": 60 if method == "gndl" else 30,
        "identity": identity,
        "identity_hash": hash_json(identity),
    }
    write_json(folder / "run.json", record)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two methods on two folds of six and three samples."""
    a, h = "anger", "happiness"
    for method, first in (("baseline", [a, h, h, h, h, h]), ("gndl", [a, a, h, h, h, h])):
        lam = "none" if method == "baseline" else "5"
        write_run(tmp_path, method, lam, 0, [a, a, a, h, h, h], first, 1.0, "S001")
        write_run(tmp_path, method, lam, 1, [h, h, h], [h, h, a], 1.0, "S002")
    write_json(tmp_path / "ckplus" / "folds.json", {"0": ["S001"], "1": ["S002"]})
    crops = pd.DataFrame({"sequence": ["S001_0", "S001_1", "S002_0"], "subject": ["S001", "S001", "S002"]})
    crops.assign(source="rendered").to_csv(tmp_path / "ckplus" / "crops.csv", index=False)
    results.write_accuracy(tmp_path)
    return tmp_path


def test_headline_is_the_mean_of_folds_and_pooled_stands_beside_it(study: Path) -> None:
    """Folds of unequal size: mean of folds and pooled accuracy differ, and both are right (ledger L12, L17)."""
    summary = results.summarise(study, "ckplus").set_index("method")
    # baseline: 4 of 6 and 2 of 3; gndl: 5 of 6 and 2 of 3
    assert summary.loc["baseline", "accuracy"] == pytest.approx((4 / 6 + 2 / 3) / 2)
    assert summary.loc["gndl", "accuracy"] == pytest.approx((5 / 6 + 2 / 3) / 2)
    assert summary.loc["gndl", "pooled"] == pytest.approx(7 / 9)
    assert summary.loc["gndl", "sd"] == pytest.approx(np.std([5 / 6, 2 / 3], ddof=1))
    assert summary.loc["gndl", "optimistic"] == 1.0
    assert summary.loc["gndl", "chance"] == pytest.approx(6 / 9)
    assert list(summary["folds"]) == [2, 2]


def test_a_sequence_has_one_vote(study: Path) -> None:
    """Three frames of a sequence vote by their mean probability: two of three for happiness outvote one."""
    votes = results.sequence_votes(results.read_predictions(study, "ckplus", "baseline", "none"))
    assert len(votes) == 3
    assert dict(zip(votes["sequence"], votes["predicted"], strict=True)) == {
        "S001_0": "happiness",
        "S001_1": "happiness",
        "S002_0": "happiness",
    }


def test_accuracy_csv_has_the_columns_that_others_read(study: Path) -> None:
    """Columns and their order are a contract; λ of a method without it is the text "none"."""
    table = results.read_csv(study / "accuracy.csv", ())
    assert ",".join(table.columns) == (
        "database,source,method,lam,fold,seed,needs_neutral_at_test,"
        "accuracy_last,accuracy_best,epoch_best,n_train,n_test"
    )
    assert set(table["lam"]) == {"none", "5"}
    assert set(table["source"]) == {"rendered"}


def test_confusion_counts_keep_classes_that_were_never_predicted(study: Path) -> None:
    """A class without a sample keeps its row and column."""
    predictions = results.read_predictions(study, "ckplus", "gndl", "5")
    counts = results.confusion_counts(predictions, ("anger", "fear", "happiness"))
    assert counts.loc["anger", "anger"] == 2
    assert counts.loc["happiness", "anger"] == 1
    assert counts.loc["fear"].sum() == 0
    assert counts.to_numpy().sum() == 9


def test_too_few_folds_are_never_called_a_difference(study: Path) -> None:
    """Below seven folds the words state effect and spread, and that no difference is shown."""
    compared = comparison.compare_with_baseline(results.summarise(study, "ckplus"), results.accuracy_table(study))
    words = comparison.in_plain_words(compared)
    assert "+8.3 points" in words
    assert "no difference shown either way" in words
    assert "rendered faces" in words


def change_record(run: Path, **changes: object) -> None:
    """Change run.json by hand."""
    record = json.loads((run / "run.json").read_text())
    write_json(run / "run.json", {**record, **changes})


def test_runs_trained_otherwise_are_never_averaged(study: Path) -> None:
    """Another learning rate, or more epochs, in one fold: the mean is refused and the field named."""
    run = study / "ckplus" / "gndl" / "lam-5" / "fold-1" / "seed-0"
    record = json.loads((run / "run.json").read_text())
    other = {**record["identity"], "train": {"learning_rate": 0.1}}
    change_record(run, identity=other, identity_hash=hash_json(other))
    with pytest.raises(GndlError, match=r"train\.learning_rate"):
        results.summarise(study, "ckplus")
    assert any("learning_rate" in problem for problem in check_study(study))
    change_record(run, identity=record["identity"], identity_hash=hash_json(record["identity"]), epochs=3)
    with pytest.raises(GndlError, match="epochs"):
        results.summarise(study, "ckplus")


def test_only_the_lam_fixed_beforehand_is_the_headline(study: Path) -> None:
    """Another λ on disk stays out of the headline's rows (ledger L19)."""
    write_run(study, "gndl", "0.5", 0, ["anger"] * 3, ["anger"] * 3, 1.0, "S001")
    summary = results.summarise(study, "ckplus")
    assert sorted(summary["lam"]) == ["0.5", "5", "none"]
    assert sorted(results.headline(summary, 5.0)["lam"]) == ["5", "none"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """An absent CSV and an empty folder are errors with the path."""
    with pytest.raises(GndlError, match=r"accuracy\.csv"):
        results.read_csv(tmp_path / "accuracy.csv", ())
    with pytest.raises(GndlError, match="holds no finished run"):
        check_study(tmp_path)


def test_an_unfinished_run_does_not_count(study: Path) -> None:
    """Without predictions.csv a run is not finished."""
    (study / "ckplus" / "gndl" / "lam-5" / "fold-0" / "seed-0" / "predictions.csv").unlink()
    assert [run.fold for run in results.finished_runs(study) if run.method == "gndl"] == [1]


def test_a_damaged_record_is_named(study: Path) -> None:
    """A run.json that is no JSON is an error with its path, not a traceback."""
    path = study / "ckplus" / "gndl" / "lam-5" / "fold-0" / "seed-0" / "run.json"
    path.write_text("{")
    with pytest.raises(GndlError, match=r"run\.json"):
        results.finished_runs(study)


def test_the_estimate_follows_the_measured_rate() -> None:
    """After half of the work in 10 s, another 10 s are left, whatever the first guess was."""
    estimate = Estimate(jobs=2)
    estimate.plan("train", "ckplus", 500)
    estimate.plan("train", "mmi", 500)
    estimate.finished("train", "ckplus", 500, 10.0)
    assert estimate.seconds_left() == pytest.approx(10.0)
    assert "10 s remain" in estimate.line()
    estimate.finished("train", "mmi", 500, 10.0)
    assert "nothing remains" in estimate.line()


def test_the_first_estimate_counts_every_training() -> None:
    """Before anything is read, the images of all folds, methods and epochs of the profile are planned."""
    # Nine tenths of 981 pairs, one image a pair for the baseline and two for GNDL, 150 epochs, ten folds.
    # The headline is 1 + 2 images a pair; the sweep adds GNDL at seven further values of λ on the same folds.
    assert expected_images(PAPER, 327, 118) == pytest.approx(981 * 0.9 * (3 + 7 * 2) * 150 * 10)
