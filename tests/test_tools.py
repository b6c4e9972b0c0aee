"""The tools: calibration sees other people than the record, a lossy kill is noticed, and so is a changed number."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from layouts import write_ckplus

from gndl.files import GndlError
from gndl.paper import DATABASES
from gndl.sequences import STAND_IN_LABEL

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

import calibrate
import faults
import referee


def test_nobody_of_the_record_is_calibrated_on_and_every_target_holds_the_papers_baseline() -> None:
    with pytest.raises(GndlError, match="record's own"):
        calibrate.measure(calibrate.Trial("ckplus", seed=0))
    for name in DATABASES:
        low, high = calibrate.TARGETS[name]
        assert low <= calibrate.PAPER_BASELINE[name] <= high


def test_a_trial_trains_the_baseline_alone_and_its_line_replaces_an_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def render(name: str, folder: Path, **settings: Any) -> Path:
        asked.update(settings)
        write_ckplus(folder, tuple(f"S{number:03}" for number in range(6)))
        (folder / STAND_IN_LABEL).write_text("Pictures of a test.\n")
        return folder

    monkeypatch.setenv("GNDL_DATA", str(tmp_path))
    monkeypatch.setattr(calibrate, "render_database", render)
    trial = calibrate.Trial("ckplus", seed=7, strength=(0.2, 0.5), folds=(0,), profile="smoke", jobs=1)
    line = calibrate.measure(trial)
    assert (asked["seed"], asked["difficulty"].strength) == (7, (0.2, 0.5))
    (study,) = (tmp_path / "calibration").glob("*/study-*")
    assert {path.parts[-5] for path in study.rglob("run.json")} == {"baseline"}
    assert line["accuracy_last"] == pd.read_csv(study / "accuracy.csv")["accuracy_last"].item()
    table = tmp_path / "calibration.csv"
    for changed in ({}, {"accuracy_last": 0.9}, {"seed": 8}):
        calibrate.add_line({**line, **changed}, table)
    assert pd.read_csv(table)["seed"].tolist() == [7, 8]
    assert pd.read_csv(table)["accuracy_last"][0] == 0.9


LOSES = "[ -e out ] || { echo half > out; sleep 60; echo whole > out; }"
SURVIVES = "echo whole > aside; [ -e ../seen ] || { touch ../seen; sleep 60; }; mv aside out"
LEAVES = "[ -e ../seen ] && { echo whole > out; exit; }; touch ../seen; echo half > .aside; sleep 60"


@pytest.mark.parametrize(
    ("program", "what"), [(LOSES, "different: out (1)"), (SURVIVES, ""), (LEAVES, "left over: .aside (1)")]
)
def test_a_kill_that_loses_or_leaves_something_is_not_survived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, what: str
) -> None:
    """A stage that takes a half-written file for a whole one, one that does not, and one that does not clean up."""

    chance = random.Random()
    monkeypatch.setattr(chance, "uniform", lambda *_: 1.0)
    monkeypatch.setattr(chance, "random", lambda: 0.0)  # all processes are killed

    def start(_stage: str, work: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["sh", "-c", program], cwd=work, start_new_session=True)

    monkeypatch.setattr(faults, "start", start)
    (tmp_path / "before").mkdir()
    places = tmp_path / "work", tmp_path / "before"
    kill = faults.try_kill("runs", 0, *places, {"out": b"whole\n"}, 2.0, chance)
    assert kill is not None and (kill["survived"], kill["what"]) == (not what, what)


def test_times_and_the_commit_are_no_difference_and_a_number_is(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text('{"time": 1, "git": "a", "accuracy_last": 0.5}')
    expected = faults.snapshot(tmp_path)
    path.write_text('{"time": 2, "git": "b", "accuracy_last": 0.5}')
    assert faults.difference(expected, faults.snapshot(tmp_path)) == ""
    path.write_text('{"time": 1, "git": "a", "accuracy_last": 0.6}')
    assert faults.difference(expected, faults.snapshot(tmp_path)) == "different: run.json (1)"


def test_the_referee_names_changed_numbers_columns_rows_and_files(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    table = pd.DataFrame({"name": ["a", "b"], "lam": ["none", "5"], "value": [0.1, 0.2]})
    for folder in (old, new):
        folder.mkdir()
    for name in ("numbers.csv", "gone.csv"):
        table.to_csv(old / name, index=False)
    table.assign(value=[0.1 + 1e-12, 0.2 + 1e-6], lam=["", "5"]).to_csv(new / "numbers.csv", index=False)
    gone, number = referee.compare_folders(old, new)
    assert gone == f"gone.csv: only in {old}"
    assert number == "numbers.csv: value, row 3: '0.2' before, '0.200001' now"
    table.drop(columns="lam").iloc[:1].to_csv(new / "numbers.csv", index=False)
    _, columns, rows = referee.compare_folders(old, new)
    assert columns.endswith("removed lam; added none") and rows.endswith("2 rows before, 1 now")
