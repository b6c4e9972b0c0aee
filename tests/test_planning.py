"""What --dry-run says: every run, what is there already, and a time that follows from what was measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from written_runs import predictions, write_run

from gndl.checkpoint import State, save_state
from gndl.errors import GndlError
from gndl.files import write_json
from gndl.profiles import PROFILES, TrainSettings
from gndl.request import StudyRequest, save_request
from gndl.runs import runs_of_study
from gndl.study import open_study
from gndl.sweeping import planning, warm_up
from gndl.sweeping.planning import PlannedRun, plan_text, planned_runs, seconds_of, share_of_plan, side_by_side
from gndl.sweeping.shard import Shard
from gndl.sweeping.sweep import Sweep, shared
from gndl.sweeping.warm_up import Pace, pace_of

QUICK = PROFILES["quick"]
PACES = {"baseline": Pace(0.01, 0.001, 0.5), "gndl": Pace(0.01, 0.002, 0.5)}


def state_after(epochs: int) -> State:
    """What a run goes on from after so many epochs."""
    history = [{"epoch": epoch + 1} for epoch in range(epochs)]
    return State({}, {"weight": torch.zeros(2)}, {}, torch.get_rng_state(), [], history, 1.0)


@pytest.fixture
def request_of_quick(tmp_path: Path) -> StudyRequest:
    """Profile quick on CK+ alone, 2 epochs, with three folds dealt of which one run is finished and one begun."""
    train = replace(QUICK.train, epochs=2, min_steps=0, checkpoint_every=1)
    request = StudyRequest(tmp_path / "study", replace(QUICK, train=train), data_roots={"ckplus": ""}, device="cpu")
    save_request(request)
    write_json(request.out / "ckplus" / "folds.json", {"0": ["a"], "1": ["b"], "2": ["c"]})
    table = predictions([("a", "a/1", "anger", (1, 0, 0))])
    finished = write_run(request.out, "baseline", "none", 0, table)
    (finished / "epochs.csv").write_text("epoch,loss\n1,1\n2,1\n")
    begun = request.out / "ckplus" / "gndl" / "lam-5" / "fold-1" / "seed-0"
    begun.mkdir(parents=True)
    (begun / "epochs.csv").write_text("epoch,loss\n1,1\n")
    save_state(begun / "resume.pt", state_after(1))
    return request


def test_the_plan_is_what_the_study_trains(rendered_trees: dict[str, Path], tmp_path: Path) -> None:
    """Variant, λ, fold and folder of every run are foreseen before the database is read."""
    root = str(rendered_trees["ckplus"])
    study = open_study("ckplus", data_root=root, profile="quick", out=tmp_path / "study", device="cpu", jobs=1)
    planned = planned_runs(study.request)
    assert {(run.variant, run.lam, run.fold) for run in planned} == {
        (run.variant, run.lam, run.fold) for run in runs_of_study(study)
    }
    assert len(planned) == len(runs_of_study(study)) and not any(run.there or run.begun for run in planned)


@pytest.mark.parametrize("count", [2, 5])
def test_a_share_of_the_plan_is_that_which_is_trained(
    rendered_trees: dict[str, Path], tmp_path: Path, count: int
) -> None:
    """Whatever order runs are listed in and however large the folds turn out to be."""
    root = str(rendered_trees["ckplus"])
    study = open_study("ckplus", data_root=root, profile="quick", out=tmp_path / "study", device="cpu", jobs=1)
    planned = [share_of_plan(study.request, Shard(number, count)) for number in range(1, count + 1)]
    trained = [shared([(study, runs_of_study(study))], Shard(number, count))[0][1] for number in range(1, count + 1)]
    assert [{run.folder for run in share} for share in planned] == [{run.folder for run in share} for share in trained]
    assert len({len(share) for share in trained}) <= 2 and all(trained)


def test_finished_and_begun_runs_are_told_from_the_rest(request_of_quick: StudyRequest) -> None:
    """3 baseline runs, and 9 of GNDL at three values of λ; one is there, one has one of two epochs behind it."""
    runs = planned_runs(request_of_quick)
    assert len(runs) == 12
    assert [(run.variant, run.fold) for run in runs if run.there] == [("baseline", 0)]
    assert [(run.variant, run.lam, run.fold, run.done) for run in runs if run.begun] == [("gndl", 5.0, 1, 1)]
    # 36 sequences of three pairs, two thirds of them in training.
    pictures = {(run.method, round(run.trained, 9), round(run.tested, 9)) for run in runs}
    assert pictures == {("baseline", 72, 36), ("gndl", 144, 36)}


def test_an_unfinished_run_without_a_checkpoint_begins_anew(request_of_quick: StudyRequest) -> None:
    """Its rows of epochs.csv will be trained again."""
    (request_of_quick.out / "ckplus" / "gndl" / "lam-5" / "fold-1" / "seed-0" / "resume.pt").unlink()
    assert [run.done for run in planned_runs(request_of_quick) if run.begun] == [0]


def test_epochs_that_a_checkpoint_does_not_hold_are_trained_again(request_of_quick: StudyRequest) -> None:
    """Killed after the 19th of 20 epochs with a checkpoint of the tenth, ten remain; a damaged one is named."""
    begun = request_of_quick.out / "ckplus" / "gndl" / "lam-5" / "fold-1" / "seed-0"
    longer = replace(request_of_quick, settings=replace(QUICK, train=replace(QUICK.train, epochs=20, min_steps=0)))
    (begun / "epochs.csv").write_text("epoch\n" + "".join(f"{epoch + 1}\n" for epoch in range(19)))
    save_state(begun / "resume.pt", state_after(10))
    assert [run.done for run in planned_runs(longer) if run.folder == begun] == [10]
    (begun / "resume.pt").write_bytes(b"half of it")
    with pytest.raises(GndlError, match=r"resume\.pt: is damaged"):
        planned_runs(longer)


def test_time_follows_from_pictures_and_checkpoints() -> None:
    """By hand: 3 epochs of 100 pictures at 10 ms, 20 tested at 1 ms, a checkpoint of 0.5 s every second epoch."""
    run = PlannedRun("ckplus", "baseline", "baseline", None, 0, Path(), 1, 4, True, 100, 20)
    assert seconds_of(run, PACES, 2) == pytest.approx(3 * (1.0 + 0.02 + 0.25))
    assert seconds_of(run, PACES, 0) == pytest.approx(3 * 1.02)
    assert seconds_of(replace(run, done=4), PACES, 1) == 0


def test_runs_side_by_side_take_as_long_as_the_longest_process() -> None:
    """By hand: three equal runs on two processes take two rounds."""
    assert side_by_side([2, 2, 2], 2) == 4
    assert side_by_side([3, 1, 1, 1], 2) == 3
    assert side_by_side([], 3) == 0


def test_the_text_names_runs_and_times(request_of_quick: StudyRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """One process: 2 baseline runs and 8 of GNDL from their first epoch, and half a run of GNDL."""
    monkeypatch.setattr(planning, "measured_paces", lambda methods, *_: {name: PACES[name] for name in methods})
    text = plan_text(request_of_quick, Sweep(jobs=1))
    assert "  baseline: folds 0, 1, 2 of 2 epochs; there: 0\n" in text
    assert "  gndl λ=5: folds 0, 1, 2 of 2 epochs; begun: 1 (1 of 2 epochs)\n" in text
    assert "12 runs: 1 there, 1 begun, 10 not begun" in text
    baseline, gndl = 2 * (0.72 + 0.036 + 0.5), 2 * (1.44 + 0.072 + 0.5)
    assert f"training about {2 * baseline + 8.5 * gndl:.0f} s, by that measurement" in text
    assert "images a second of one of 1 processes: baseline 100, gndl 100" in text
    assert "first guesses that were not measured here" in text
    share = plan_text(request_of_quick, Sweep(jobs=1, shard=Shard(1, 12)))
    assert "1 runs: " in share and "notebooks about" not in share


def test_a_pace_is_measured_in_a_moment_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training a picture takes longer than testing one; neither random numbers nor threads are disturbed."""
    monkeypatch.setattr(warm_up, "SECONDS", 0.0)
    before = torch.get_rng_state(), torch.get_num_threads()
    pace = pace_of("gndl", TrainSettings(image_size=32, batch_size=8), 5.0, torch.device("cpu"))
    assert pace.trained > pace.tested > 0 and pace.checkpoint > 0
    assert torch.equal(torch.get_rng_state(), before[0]) and torch.get_num_threads() == before[1]


def test_a_pace_is_that_of_sequences_of_three_pairs_with_one_neutral_face() -> None:
    """A method that takes whole sequences looks at it once, so its pace would be another on unrelated pairs."""
    pairs = warm_up._noise(8, 4)
    assert list(pairs.sequence) == ["0", "0", "0", "1", "1", "1", "2", "2"]
    assert pairs.neutral_index.tolist() == [8, 8, 8, 9, 9, 9, 10, 10]
    assert pairs.examined_index.tolist() == list(range(8)) and len(pairs.images) > 10
