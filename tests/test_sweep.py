"""Many runs at once: nobody trains one twice, what is killed or stopped goes on, and every way gives the same bytes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from planted_study import EPOCHS, SLOW, Quick, after_epochs, epochs_done, planted_study, quick, slow_study, written

from gndl.checkpoint import epochs_kept
from gndl.errors import GndlError
from gndl.files import is_locked, locked
from gndl.methods import register_method
from gndl.runs import Run, find_finished, plan_runs
from gndl.study import train_missing
from gndl.sweeping.shard import Shard
from gndl.sweeping.stopping import SIGNALS, Stopped, heeding_signals
from gndl.sweeping.sweep import Sweep, shared, train_runs
from gndl.train import FitResult

QUICK = quick()


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[bytes, ...]]:
    """What the two slow runs write when one is trained after the other and nothing happens."""
    study = slow_study(tmp_path_factory.mktemp("reference"))
    train_missing(study, methods=[SLOW], jobs=1)
    return written(plan_runs(study, [SLOW]))


def test_a_run_that_another_holds_comes_last(tmp_path: Path) -> None:
    """Its lock is found taken, the next run is trained meanwhile, and then the first once its lock is free."""
    study = planted_study(tmp_path, QUICK)
    first, second = plan_runs(study, [QUICK])
    free, taken = threading.Event(), threading.Event()

    def hold() -> None:
        with locked(first.folder):
            taken.set()
            free.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait(60)
    finished: list[Run] = []

    def on_finished(run: Run, _: FitResult) -> None:
        finished.append(run)
        free.set()

    assert is_locked(first.folder) and not is_locked(second.folder)
    train_runs(study, [first, second], Sweep(jobs=1), on_finished)
    holder.join()
    assert [run.fold for run in finished] == [second.fold, first.fold]
    assert not is_locked(first.folder)


CHILD = """
import os, signal, sys
from pathlib import Path
from planted_study import SLOW, planted_study, slow_study
from gndl.runs import fit_run, plan_runs
from gndl.sweeping.sweep import Sweep, train_runs, with_checkpoints
what, out = sys.argv[1], Path(sys.argv[2])
if what == "killed":
    study = with_checkpoints(slow_study(out), Sweep(checkpoint_every=1))
    run = plan_runs(study, [SLOW])[0]
    fit_run(study, run, on_epoch=lambda row: row["epoch"] == 3 and os.kill(os.getpid(), signal.SIGKILL))
else:
    study = planted_study(out, SLOW, folds=6, epochs=4)
    print("ready", flush=True)
    sys.stdin.readline()
    train_runs(
        study, plan_runs(study, [SLOW]), Sweep(jobs=1), lambda run, result: result.reused or print("trained", run.fold)
    )
"""


def child(what: str, out: Path) -> subprocess.Popen[str]:
    """Another process that trains in the same study."""
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, what, str(out)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )


def test_a_process_killed_outright_leaves_no_lock_and_its_run_goes_on(
    tmp_path: Path, reference: list[tuple[bytes, ...]]
) -> None:
    """After kill -9 the lock file lies there and holds nobody; the run resumes from its checkpoint, same bytes."""
    process = child("killed", tmp_path)
    assert process.wait(timeout=900) == -signal.SIGKILL
    study = slow_study(tmp_path)
    first, second = plan_runs(study, [SLOW])
    assert (first.folder.parent / ".seed-0.lock").exists() and not is_locked(first.folder)
    assert (first.folder / "resume.pt").exists() and epochs_done(first) == 3
    started = time.monotonic()
    train_runs(study, [first], Sweep(jobs=1))
    assert time.monotonic() - started < 60
    train_runs(study, [second], Sweep(jobs=1))
    assert written([first, second]) == reference
    assert not list(first.folder.parent.glob(".*"))


def test_two_processes_share_a_study_and_train_no_run_twice(tmp_path: Path) -> None:
    """Both are given the whole plan of six runs; each run is trained by one of them, and both see all finished."""
    study = planted_study(tmp_path, SLOW, folds=6, epochs=4)
    runs = plan_runs(study, [SLOW])
    process = child("shares", tmp_path)
    assert process.stdout is not None and process.stdin is not None
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("\n")
    process.stdin.flush()
    here: list[int] = []
    train_runs(study, runs, Sweep(jobs=1), lambda run, result: None if result.reused else here.append(run.fold))
    printed = process.communicate(timeout=900)[0].splitlines()
    there = [int(line.split()[1]) for line in printed if line.startswith("trained ")]
    assert process.returncode == 0
    assert sorted([*here, *there]) == [run.fold for run in sorted(runs, key=lambda run: run.fold)]
    assert here and there
    assert all(find_finished(study, run) is not None for run in runs)


def test_a_killed_worker_is_replaced_and_its_run_goes_on(
    tmp_path: Path, reference: list[tuple[bytes, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Two processes train, both are killed in the middle, and the study is what it would have been."""
    study = slow_study(tmp_path)
    runs = plan_runs(study, [SLOW])

    def kill_workers() -> None:
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                words = " ".join(process.cmdline())
                if "loky" in words and "resource_tracker" not in words:
                    process.kill()

    with after_epochs(2, runs, kill_workers) as watched:
        train_runs(study, runs, Sweep(jobs=2, checkpoint_every=1))
    assert 2 <= max(watched.epochs) < EPOCHS and not watched.began_anew
    assert "its run goes on from its checkpoint" in capsys.readouterr().err
    assert written(runs) == reference


@pytest.mark.parametrize(
    ("jobs", "number", "every"),
    [(1, signal.SIGUSR1, 1), (2, signal.SIGTERM, 1), (1, signal.SIGTERM, None), (2, signal.SIGUSR1, 1000)],
)
def test_a_signal_ends_the_epoch_and_the_next_call_goes_on(
    tmp_path: Path, reference: list[tuple[bytes, ...]], jobs: int, number: signal.Signals, every: int | None
) -> None:
    """The command's process alone is signalled; its workers keep their epochs, and no stop sign is left.

    However rarely checkpoints are written else, or never: a stop costs no epoch.
    """
    study = slow_study(tmp_path)
    runs = plan_runs(study, [SLOW])
    how = Sweep(jobs=jobs, checkpoint_every=every)
    with (
        after_epochs(2, runs, lambda: os.kill(os.getpid(), number)) as watched,
        heeding_signals(),
        pytest.raises(Stopped),
    ):
        train_runs(study, runs, how)
    done = [epochs_done(run) for run in runs]
    assert 0 < max(watched.epochs) <= max(done) < EPOCHS
    for run, epochs in zip(runs, done, strict=True):
        assert epochs_kept(run.folder) == epochs
        assert not is_locked(run.folder)
    assert not list(tmp_path.glob(".stop-*"))
    train_runs(study, runs, how)
    assert written(runs) == reference


def test_a_signal_where_nothing_trains_stops_at_once_and_handlers_come_back() -> None:
    """Rendering or reading ends as by Ctrl-C; after the block the signals mean what they meant before."""
    before = [signal.getsignal(number) for number in SIGNALS]
    with heeding_signals(), pytest.raises(Stopped):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    assert [signal.getsignal(number) for number in SIGNALS] == before
    assert issubclass(Stopped, KeyboardInterrupt) and not issubclass(Stopped, Exception)


def test_a_share_is_dealt_over_all_databases(tmp_path: Path) -> None:
    """Of three runs on one database and three on another each of two shares gets three, and together all."""
    plans = []
    for name in ("one", "other"):
        study = planted_study(tmp_path / name, QUICK, folds=3)
        plans.append((study, plan_runs(study, [QUICK])))
    halves = [shared(plans, Shard(number, 2)) for number in (1, 2)]
    dealt = [[run.folder for _, runs in half for run in runs] for half in halves]
    assert [len(half) for half in dealt] == [3, 3]
    assert sorted(dealt[0] + dealt[1]) == sorted(run.folder for _, runs in plans for run in runs)


class BrokenAtFirst(Quick):
    """A method of one's own with a mistake that shows on the first fold alone."""

    built = 0
    mistake: Exception

    def __init__(self, n_classes: int, lam: float) -> None:
        super().__init__(n_classes, lam)
        BrokenAtFirst.built += 1
        if BrokenAtFirst.built == 1:
            raise BrokenAtFirst.mistake


@pytest.mark.parametrize("mistake", [ValueError("no such layer"), FileNotFoundError(2, "no such file", "layers.txt")])
def test_a_mistake_in_ones_own_method_is_named_and_stops_no_other_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mistake: Exception
) -> None:
    """The error, its place and the whole traceback are told; the other run is trained."""
    BrokenAtFirst.built, BrokenAtFirst.mistake = 0, mistake
    own = register_method("own", BrokenAtFirst)
    study = planted_study(tmp_path, own)
    runs = plan_runs(study, [own])
    told = re.escape(f"{type(mistake).__name__}: {mistake}") + r" \(test_sweep\.py, line \d+\)"
    with pytest.raises(GndlError, match=f"1 of 2 runs failed.*{told}"):
        train_runs(study, runs, Sweep(jobs=1))
    assert "Traceback" in capsys.readouterr().err
    assert [find_finished(study, run) is not None for run in runs] == [False, True]


def test_a_full_disk_of_the_study_ends_the_call(tmp_path: Path) -> None:
    """Every further run would meet it; an error that names no file is taken for one of the study's disk."""
    own = register_method("own", BrokenAtFirst)
    for file in (str(tmp_path / "study" / "epochs.csv"), None):
        BrokenAtFirst.built, BrokenAtFirst.mistake = 0, OSError(28, "No space left on device", file)
        study = planted_study(tmp_path / "study", own)
        with pytest.raises(OSError, match="No space left"):
            train_runs(study, plan_runs(study, [own]), Sweep(jobs=1))


def test_runs_that_fail_are_named_and_stop_no_other(tmp_path: Path) -> None:
    """One run's folder holds another configuration's checkpoint: it is named, and the other run is trained."""
    study = planted_study(tmp_path, QUICK, checkpoint_every=1)
    first, second = plan_runs(study, [QUICK])
    first.folder.mkdir(parents=True)
    (first.folder / "resume.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(GndlError, match=r"1 of 2 runs failed, the others are finished\. .*fold 0: .*resume\.pt"):
        train_runs(study, [first, second], Sweep(jobs=1))
    assert find_finished(study, second) is not None
