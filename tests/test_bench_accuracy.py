"""Accuracies of faster ways of training: compared on the same folds, trained once, or read from a study."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from planted import planted_pairs

from gndl.bench import accuracy
from gndl.bench.asked import TINY, Asked
from gndl.bench.trainings import Way
from gndl.errors import GndlError
from gndl.folds import deal_folds
from gndl.profiles import TrainSettings
from gndl.train import fit

ASKED = Asked(**TINY)  # type: ignore[arg-type]


def test_accuracies_are_compared_on_the_same_folds_and_said_inside_only_where_the_interval_is() -> None:
    """Hand-computed: no difference is inside; one of 2.5 points is not shown to be; a fold missing is refused."""
    rows = [
        {"way": way, "fold": fold, "accuracy_last": right, "n_train": 90, "n_test": 10}
        for way, shift in (("fp32", 0.0), ("same", 0.0), ("worse", -0.02))
        for fold, right in ((0, 0.9 + shift), (1, 0.8 + shift * 1.5))
    ]
    table = accuracy.paired(pd.DataFrame(rows), 2).set_index("way")
    assert table.loc["same", ["difference", "low", "high", "inside"]].tolist() == [0, 0, 0, "yes"]
    worse = table.loc["worse"]
    # Differences −2 and −3 points: sd 0.7071; error 0.7071 · sqrt(1/2 + 1/9); t(1) at 97.5 % is 12.706.
    assert worse["difference"] == pytest.approx(-2.5) and worse["inside"] == "not shown"
    assert worse["high"] == pytest.approx(-2.5 + 12.706 * 0.70711 * (1 / 2 + 1 / 9) ** 0.5, abs=1e-2)
    with pytest.raises(GndlError, match="same 2 folds"):
        accuracy.paired(pd.DataFrame(rows[:-1]), 2)


def test_differences_that_cancel_are_zero_and_not_a_remainder_of_rounding() -> None:
    """−0.6, 0.1 and 0.5 do not sum to zero in binary; the page says +0.00 and not -0.00."""
    rows = [
        {"way": way, "fold": fold, "accuracy_last": right, "n_train": 90, "n_test": 10}
        for way, accuracies in (("fp32", (0.1, 0.7, 0.2)), ("other", (0.2, 0.1, 0.7)))
        for fold, right in enumerate(accuracies)
    ]
    table = accuracy.paired(pd.DataFrame(rows), 3)
    assert table.loc[0, "difference"] == 0
    assert "other: +0.00 points" in accuracy._said(table.iloc[0].to_dict())
    assert ": +0.00 points (-1.00" in accuracy._said(table.iloc[0].to_dict() | {"difference": -0.001, "low": -1.0})


def small_study(**train: Any) -> Any:
    """What accuracies are trained on, of a prepared study: twelve sequences in two folds."""
    pairs = planted_pairs(12)
    return SimpleNamespace(
        pairs=pairs,
        folds=deal_folds(pairs.subject, pairs.label.tolist(), n_folds=2),
        train=TrainSettings(**{"image_size": 16, "batch_size": 6, "epochs": 1, "schedule": "cosine"} | train),
        request=SimpleNamespace(settings=SimpleNamespace(lam=5.0)),
        database=SimpleNamespace(name="planted"),
        identity=lambda fold: {"asked": fold},
    )


def test_accuracies_are_trained_once_and_kept(tmp_path: Path) -> None:
    """Every way on every fold; a second call reads them, and more epochs are trained anew."""
    study = small_study()
    named = {"fp32": Way(), "fp32, by sequence": Way(by_sequence=True)}
    first = accuracy.train_missing(study, named, (0, 1), ASKED, tmp_path / "kept.csv")
    assert first[["way", "fold"]].to_numpy().tolist() == [[way, fold] for way in named for fold in (0, 1)]
    kept = (tmp_path / "kept.csv").read_bytes()
    again = accuracy.train_missing(study, named, (0, 1), ASKED, tmp_path / "kept.csv")
    assert again.equals(first) and (tmp_path / "kept.csv").read_bytes() == kept
    assert accuracy.paired(again, 2)["way"].tolist() == ["fp32, by sequence"]
    study = small_study(epochs=2)
    accuracy.train_missing(study, {"fp32": Way()}, (0,), ASKED, tmp_path / "kept.csv")
    assert len(pd.read_csv(tmp_path / "kept.csv")) == 5


def test_accuracies_of_runs_that_a_study_holds_are_read_from_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The very run, which trained here has the same accuracy; none of other settings, and what differs is said."""
    study = small_study()
    train_index, test_index = study.folds.train_test(0, study.pairs.subject)
    run = tmp_path / "study" / "planted" / "gndl" / "lam-5" / "fold-0" / "seed-0"
    trained = fit(
        "gndl", study.pairs, train_index, test_index, study.train, run_folder=run, lam=5.0, identity=study.identity(0),
        show_progress=False,
    )  # fmt: skip
    (tmp_path / "study" / "study.json").write_text("{}")
    asked = replace(ASKED, study=str(tmp_path / "study"))
    named = {"fp32": Way(), "fp32, Adam not fused": Way(fused=False)}
    found = accuracy.train_missing(study, named, (0, 1), asked, tmp_path / "kept.csv")
    assert found["trained"].tolist() == ["in the study", "here", "here", "here"]
    assert "1 runs are read from it, 3 are to be trained" in capsys.readouterr().err
    here = accuracy.train_missing(study, {"fp32": Way()}, (0,), ASKED, tmp_path / "here.csv")
    assert here["trained"].tolist() == ["here"]
    assert found["accuracy_last"].iloc[0] == here["accuracy_last"].iloc[0] == trained.accuracy_last
    rows, why_not = accuracy.read_from_study(small_study(learning_rate=0.01), named, [("fp32", 0)], asked)
    assert rows == [] and "train.learning_rate: 0.001, now 0.01" in why_not


def test_a_named_study_that_is_none_or_is_damaged_starts_no_training(tmp_path: Path) -> None:
    """Hours of training would else begin for a slip of the hand."""
    study, key = small_study(), [("fp32", 0)]
    asked = replace(ASKED, study=str(tmp_path / "mistyped"))
    with pytest.raises(GndlError, match="mistyped: holds no study"):
        accuracy.read_from_study(study, {"fp32": Way()}, key, asked)
    run = tmp_path / "mistyped" / "planted" / "gndl" / "lam-5" / "fold-0" / "seed-0"
    run.mkdir(parents=True)
    (tmp_path / "mistyped" / "study.json").write_text("{}")
    (run / "run.json").write_text("{")
    with pytest.raises(GndlError, match=r"run\.json: is damaged"):
        accuracy.read_from_study(study, {"fp32": Way()}, key, asked)
