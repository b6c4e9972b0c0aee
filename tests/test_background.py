"""A long training goes on without the page that started it, once, and its progress is what lies on disk."""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from planted import planted_pairs

from gndl import results
from gndl.explore import watching
from gndl.files import write_json
from gndl.folds import deal_folds
from gndl.methods import method_settings
from gndl.paths import repository_root
from gndl.prepare import Prepared
from gndl.profiles import SMOKE
from gndl.runs import Run, find_finished, plan_runs
from gndl.study import open_study
from gndl.sweeping import background

NO_METHODS = SimpleNamespace(methods=())


def run_in(folder: Path, fold: int = 0) -> Run:
    """One run of GNDL at λ = 5."""
    return Run(method_settings("gndl"), "gndl", 5.0, fold, 0, folder / f"gndl/lam-5/fold-{fold}/seed-0", 36)


@contextmanager
def held(folder: Path) -> Iterator[int]:
    """The database's lock, as a process at work holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / background.LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()


def write_job(folder: Path, **more: Any) -> None:
    """A job of two runs of four epochs, started a minute ago."""
    folder.mkdir(parents=True, exist_ok=True)
    runs = [{"folder": f"gndl/lam-5/fold-{fold}/seed-0"} for fold in (0, 1)]
    write_json(folder / background.JOB, {"started": time.time() - 60, "epochs": 4, "runs": runs, **more})
    (folder / background.LOG).write_text("Training, 2 runs\nat epoch 3\n")


def write_epochs(folder: Path, fold: int, epochs: int) -> Path:
    """An epochs.csv of so many epochs."""
    run = folder / f"gndl/lam-5/fold-{fold}/seed-0"
    run.mkdir(parents=True)
    (run / "epochs.csv").write_text("epoch\n" + "".join(f"{k}\n" for k in range(epochs)))
    return run


def test_progress_counts_the_epochs_on_disk(tmp_path: Path) -> None:
    """Four of four epochs of one run and one of the other: 5 of 8, while the process lives."""
    assert background.progress_of(tmp_path) is None
    write_job(tmp_path)
    write_epochs(tmp_path, 0, 4)
    write_epochs(tmp_path, 1, 1)
    with held(tmp_path):
        progress = background.progress_of(tmp_path)
    assert progress is not None
    assert (progress.running, progress.epochs_done, progress.epochs) == (True, 5, 8)
    assert progress.share == 5 / 8
    assert 59 < progress.seconds < 120
    assert watching.in_words(progress) == "5 of 8 epochs after 1 minute."


def test_a_training_that_died_says_what_it_said_last(tmp_path: Path) -> None:
    """Nobody holds the lock and a run is missing: the last line of the log is the reason, or the error noted."""
    write_job(tmp_path)
    progress = background.progress_of(tmp_path)
    assert progress is not None
    assert not progress.running
    assert "at epoch 3" in progress.failure
    write_job(tmp_path, error="the loss became nan", ended=time.time())
    progress = background.progress_of(tmp_path)
    assert progress is not None
    assert "the loss became nan" in watching.in_words(progress)


def test_a_training_whose_runs_are_all_there_has_not_failed(tmp_path: Path) -> None:
    """Both run.json are there and the process is gone: finished."""
    write_job(tmp_path)
    for fold in (0, 1):
        (write_epochs(tmp_path, fold, 4) / "run.json").write_text("{}")
    progress = background.progress_of(tmp_path)
    assert progress is not None
    assert progress.share == 1
    assert watching.in_words(progress).startswith("Finished")


def test_a_second_call_starts_no_second_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one holds the lock, start does nothing and the cell says that one is at work."""

    def no_process(*_: object, **__: object) -> None:
        raise AssertionError("a second process was started")

    monkeypatch.setattr(subprocess, "Popen", no_process)
    study = cast(
        Prepared,
        SimpleNamespace(folder=tmp_path, request=SimpleNamespace(out=tmp_path, device="cpu", settings=NO_METHODS)),
    )
    with held(tmp_path):
        assert background.is_running(tmp_path)
        assert background.start(study, [run_in(tmp_path)], jobs=1) is None
        monkeypatch.setattr(background, "plan_runs", lambda *_: [run_in(tmp_path)])
        monkeypatch.setattr(background, "find_finished", lambda *_: None)
        standing = background.train(study, wait=False)
    assert standing.running
    assert "at work" in standing.words
    assert not background.is_running(tmp_path)


@pytest.mark.parametrize(
    ("wait", "seconds", "where"),
    [(True, 1e6, "in front"), (False, 599.0, "in front"), (False, 601.0, "background")],
)
def test_only_a_long_training_that_somebody_watches_goes_to_the_background(
    wait: bool, seconds: float, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten minutes are the border; papermill always waits, and needs no estimate."""
    done: list[str] = []
    monkeypatch.setattr(background, "plan_runs", lambda *_: [run_in(tmp_path, fold) for fold in range(3)])
    monkeypatch.setattr(background, "find_finished", lambda _, run: object() if run.fold == 0 else None)
    monkeypatch.setattr(background, "expected_seconds", lambda *_: seconds)
    monkeypatch.setattr(background, "start", lambda *_: done.append("background"))
    monkeypatch.setattr(background, "train_missing", lambda *_, **__: done.append("in front"))
    study = cast(Prepared, SimpleNamespace(folder=tmp_path, request=SimpleNamespace(device="cpu", settings=NO_METHODS)))
    standing = background.train(study, wait=wait)
    assert done == [where]
    assert standing.running == (where == "background")
    assert ("about 10 minutes" if standing.running else "2 of 3 runs were missing") in standing.words


def test_nobody_sits_at_a_test() -> None:
    """Outside a kernel that asks a person, a training is waited for."""
    assert not background.someone_is_there()


def test_the_rate_is_measured_without_leaving_a_trace(tmp_path: Path) -> None:
    """A few steps give images a second; nothing is written and the random state stays."""
    pairs = planted_pairs()
    settings = SMOKE.train
    study = SimpleNamespace(
        pairs=pairs,
        folds=deal_folds(pairs.subject, pairs.label.tolist(), n_folds=3, seed=0),
        train=settings,
        request=SimpleNamespace(device="cpu", settings=NO_METHODS),
    )
    before = torch.get_rng_state()
    rate = background.measured_rate(cast(Prepared, study), run_in(tmp_path))
    assert rate > 0
    assert torch.equal(before, torch.get_rng_state())
    assert not list(tmp_path.iterdir())


def test_the_expected_time_is_work_over_rate_and_at_least_the_longest_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three runs of 36 images and 10 epochs at 18 a second: 20 s each, 30 s on two processes, 20 s on eight."""
    monkeypatch.setattr(background, "measured_rate", lambda *_: 18.0)
    study = cast(Prepared, SimpleNamespace(train=SimpleNamespace(epochs=10)))
    runs = [run_in(tmp_path, fold) for fold in range(3)]
    assert background.expected_seconds(study, runs, 2) == pytest.approx(30)
    assert background.expected_seconds(study, runs, 8) == pytest.approx(20)


@pytest.mark.parametrize("name", ["2_training", "3_sensitivity", "4_deviation_features", "5_hard_samples"])
def test_notebooks_of_the_study_train_by_a_call_that_may_leave_it_to_the_background(name: str) -> None:
    """None of them waits in front of its reader for whatever is missing."""
    cells = json.loads((repository_root() / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    assert len(re.findall(r"^watch = show_standing\(background\.train\(study\b", code, re.M)) == 1
    assert "train_missing" not in code


def test_stopping_ends_the_process_and_says_so(tmp_path: Path) -> None:
    """A process that holds the lock is ended with its whole group."""
    assert not background.stop(tmp_path)
    with held(tmp_path) as lock:
        process = subprocess.Popen(["sleep", "60"], start_new_session=True, pass_fds=[lock])
        write_job(tmp_path, pid=process.pid)
    assert background.is_running(tmp_path)
    watch = watching.TrainingWatch(background.Standing(tmp_path, "", running=True))
    watch.stop()
    assert process.wait(10) != 0
    assert not watch.update()
    assert "it was stopped" in watch.words.value


def test_a_process_of_its_own_trains_what_is_missing(
    tiny_study: Path, rendered_trees: dict[str, Path], tmp_path: Path
) -> None:
    """λ = 0.5 of a tiny study is trained by a detached process; a second call reads what it left."""
    out = shutil.copytree(tiny_study, tmp_path / "study")
    study = open_study("mmi", data_root=str(rendered_trees["mmi"]), profile="smoke", out=out, device="cpu", jobs=1)
    standing = background.train(study, methods=["gndl"], lams=[0.5, 5.0], wait=False, longest=0)
    assert standing.running
    job = json.loads((study.folder / background.JOB).read_text())
    assert [run["lam"] for run in job["runs"]] == [0.5]
    end = time.monotonic() + 300
    while background.is_running(study.folder) and time.monotonic() < end:
        time.sleep(0.2)
    progress = background.progress_of(study.folder)
    assert progress is not None
    assert (progress.share, progress.failure) == (1, "")
    assert all(find_finished(study, run) is not None for run in plan_runs(study, ["gndl"], [0.5, 5.0]))
    assert "0.5" in set(results.accuracy_table(out, "mmi")["lam"])
    again = background.train(study, methods=["gndl"], lams=[0.5, 5.0], wait=False, longest=0)
    assert again.words.startswith("All 2 runs are there")
