"""What the calibration of the stand-ins promises: other people than the record's, the baseline alone, nothing lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from gndl import calibration
from gndl.calibration import TARGETS, Trial, add_line, measure
from gndl.errors import GndlError
from gndl.paper import DATABASES, reported_accuracy
from gndl.prepare import STAND_IN_SEED
from gndl.profiles import SMOKE
from gndl.standins.difficulty import DIFFICULTY


def test_the_people_of_the_record_are_never_calibrated_on() -> None:
    """Asking for the record's own seed is refused before anything is rendered."""
    with pytest.raises(GndlError, match="record's own"):
        measure(Trial("ckplus", seed=STAND_IN_SEED))


def test_every_target_contains_the_papers_baseline() -> None:
    """The level aimed at is the one that the paper reports for the same method."""
    for name in DATABASES:
        reported = reported_accuracy("baseline", name)
        assert reported is not None
        assert TARGETS[name][0] <= reported <= TARGETS[name][1]


def test_only_what_is_named_differs_from_the_standard_difficulty() -> None:
    """A trial of another strength keeps every other number, and is told apart by its fingerprint."""
    tried = Trial("mmi", strength=(0.2, 0.5)).difficulty()
    assert tried.strength == (0.2, 0.5)
    assert tried.appearance == DIFFICULTY["mmi"].appearance
    assert tried.fingerprint() != DIFFICULTY["mmi"].fingerprint()
    assert Trial("mmi").difficulty() == DIFFICULTY["mmi"]


def test_a_trial_trains_the_baseline_alone(
    rendered_trees: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line has the last epoch's accuracy of the baseline, and no other method leaves a run."""
    asked: dict[str, Any] = {}

    def rendered(name: str, root: Path, **settings: Any) -> Path:
        asked.update(settings)
        return rendered_trees[name]

    monkeypatch.setenv("GNDL_DATA", str(tmp_path))
    monkeypatch.setattr(calibration, "render_database", rendered)
    monkeypatch.setattr(calibration, "STANDARD", SMOKE)
    row = measure(Trial("oulu_casia", seed=7, folds=(0,), jobs=1))
    assert asked["seed"] == 7
    assert asked["difficulty"] == DIFFICULTY["oulu_casia"]
    (study,) = (tmp_path / "calibration").glob("*/study-*")
    assert {path.parts[-5] for path in study.rglob("run.json")} == {"baseline"}
    accuracy = pd.read_csv(study / "accuracy.csv")
    assert row["accuracy_last"] == accuracy["accuracy_last"].iloc[0]
    assert row["folds"] == 1
    assert row["paper_baseline"] == reported_accuracy("baseline", "oulu_casia")


def test_the_table_keeps_every_trial_once(tmp_path: Path) -> None:
    """A repeated trial replaces its line; another seed adds one."""
    table = tmp_path / "calibration.csv"
    line = {"database": "mmi", "seed": 1, "strength_low": 0.5, "accuracy_last": 0.8, "accuracy_last_sd": 0.1}
    add_line(line, table)
    add_line({**line, "accuracy_last": 0.9}, table)
    add_line({**line, "seed": 2}, table)
    assert pd.read_csv(table)[["seed", "accuracy_last"]].values.tolist() == [[1, 0.9], [2, 0.8]]
