"""Many runs at once: none is trained twice, what is killed or stopped resumes, and every way gives the same bytes."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch
from joblib.externals.loky import BrokenProcessPool
from quick import (
    EPOCHS,
    HALFWAY,
    LATER,
    PATIENCE,
    Quick,
    at_gate,
    epochs_begun,
    epochs_done,
    gated,
    quick,
    quick_study,
    wait_for,
    written,
)  # fmt: skip

from gndl import engines
from gndl.engines import Outcome, Shard, Sharing, processes_and_gpus, read_shard, shared, train_missing
from gndl.files import GndlError, is_locked, locked
from gndl.methods import MethodSettings, register_method
from gndl.runs import Run
from gndl.stopping import SIGNALS, Stopped, StopSign, heeding_signals, leave_signals_to
from gndl.study import Study

QUICK = quick()
ALONE, RAY = Sharing(jobs=1), Sharing(engine="ray", jobs=2)
Bytes = list[tuple[bytes, ...]]
os.environ["PYTHONPATH"] = str(Path(__file__).parent)  # the processes of these tests know its methods
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["quick"])


def long_study(out: Path, method: MethodSettings = QUICK) -> Study:
    """Two runs of `EPOCHS` epochs, without checkpoints of their own."""
    return quick_study(out, method, epochs=EPOCHS)


@pytest.fixture(autouse=True)
def ctrl_c_is_heard() -> Iterator[None]:
    """Also where these tests were started in the background, where a shell lets Ctrl-C be ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Bytes:
    """What the two long runs write when one is trained after the other and nothing happens."""
    study = long_study(tmp_path_factory.mktemp("reference"))
    train_missing(study, study.plan(), ALONE)
    return written(study.plan())


def test_a_run_that_another_process_holds_comes_last(tmp_path: Path) -> None:
    """Its lock is found taken, the next run is trained meanwhile, then the first once its lock is free."""
    study = quick_study(tmp_path, QUICK)
    first, second = study.plan()
    taken, over = threading.Event(), threading.Event()

    def hold() -> None:
        with locked(first.folder):
            taken.set()
            wait_for(lambda: (second.folder / "run.json").exists() or over.is_set())

    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait()
    try:
        train_missing(study, [first, second], ALONE)
    finally:
        over.set()
        holder.join()
    times = [(run.folder / "run.json").stat().st_mtime_ns for run in (second, first)]
    assert times == sorted(times)


def train_and_die(out: Path) -> None:
    study = engines._to_share(long_study(out), Sharing(checkpoint_every=1))

    def die(row: dict[str, Any]) -> None:
        if row["epoch"] == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    study.fit(study.plan()[0], on_epoch=die)


def test_a_process_killed_outright_leaves_no_lock_and_its_run_resumes(tmp_path: Path, reference: Bytes) -> None:
    """After kill -9 the lock file holds nobody; the run resumes from its checkpoint, to the same bytes."""
    process = CONTEXT.Process(target=train_and_die, args=(tmp_path,))
    process.start()
    process.join(PATIENCE)
    study = long_study(tmp_path)
    first, second = study.plan()
    assert process.exitcode == -signal.SIGKILL
    assert (first.folder.parent / ".seed-0.lock").exists() and not is_locked(first.folder)
    assert (first.folder / "resume.pt").exists() and epochs_done(first) == 3
    train_missing(study, [first, second], ALONE)
    assert written([first, second]) == reference
    assert not list(first.folder.parent.glob(".*"))


def train_and_tell(out: Path, gate: str, connection: Any) -> None:
    """Train all of six runs, and tell of which folds the runs were trained in this process."""
    method = quick("gated", gate=gate, halts=(HALFWAY,))
    study, trained = quick_study(out, method, folds=6, epochs=HALFWAY), []

    def fit(run: Run, on_epoch: Any) -> Any:
        result = Study.fit(study, run, on_epoch)
        trained.extend([] if result.reused else [run.fold])
        return result

    study.fit = fit  # type: ignore[method-assign, assignment]
    train_missing(study, study.plan(), ALONE)
    assert all(study.finished(run) is not None for run in study.plan())
    connection.send(trained)


def test_two_processes_share_a_study_and_train_no_run_twice(tmp_path: Path) -> None:
    """Both are given the whole plan; each run is trained by one of them, and both see all finished."""
    gate, connections = tmp_path / "gate", []
    gate.mkdir()
    for _ in range(2):
        here, there = CONTEXT.Pipe()
        CONTEXT.Process(target=train_and_tell, args=(tmp_path, str(gate), there), daemon=True).start()
        connections.append(here)
    with at_gate(gate, HALFWAY, 2, lambda: None):
        one, other = (here.recv() for here in connections)
    assert one and other and sorted([*one, *other]) == list(range(6))
    assert epochs_begun(gate) == dict.fromkeys(range(1, HALFWAY + 1), 6)


def kill_workers(mark: str) -> None:
    """Kill the worker processes that train, without a word."""
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            words = " ".join([process.name(), *process.cmdline()])
            if mark in words and "resource_tracker" not in words:
                process.kill()


def test_workers_see_one_gpu_each_and_killed_ones_are_replaced(
    tmp_path: Path, reference: Bytes, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two GPUs in name, two processes, killed in the middle: the next two take their places, and no byte knows it.

    The method's class is in no module, as that of a notebook cell.
    """

    class Mine(Quick):
        pass

    gate = tmp_path / "gate"
    gate.mkdir()
    method = register_method("mine", Mine, options={"gate": str(gate), "halts": [HALFWAY]})
    study = long_study(tmp_path, method)
    monkeypatch.setattr(engines, "processes_and_gpus", lambda *_: (2, ("3", "5")))
    with at_gate(gate, HALFWAY, 2, lambda: kill_workers("loky"), until=lambda: epochs_begun(gate)[HALFWAY] == 4):
        train_missing(study, study.plan(), Sharing(checkpoint_every=1))
    assert epochs_begun(gate) == {epoch: 4 if epoch == HALFWAY else 2 for epoch in range(1, EPOCHS + 1)}
    assert "its run resumes from its checkpoint" in capsys.readouterr().err
    assert Counter(file.read_text() for file in gate.glob("process-*")) == {"3": 2, "5": 2}
    assert written(study.plan()) == reference


@pytest.mark.parametrize(
    ("jobs", "number", "every", "raised"),
    [
        (1, signal.SIGUSR1, 1, Stopped),
        (2, signal.SIGTERM, 1000, Stopped),
        (1, signal.SIGINT, None, KeyboardInterrupt),
    ],
)
def test_a_signal_ends_the_epoch_and_the_next_call_resumes(
    tmp_path: Path,
    reference: Bytes,
    jobs: int,
    number: signal.Signals,
    every: int | None,
    raised: type[BaseException],
) -> None:
    """The command alone is signalled; however rarely checkpoints are written else, a stop costs no epoch."""
    gate = tmp_path / "gate"
    study = long_study(tmp_path, gated(gate, HALFWAY))
    runs, signs = study.plan(), (tmp_path.glob(".stop-*") for _ in iter(int, 1))
    signalled = at_gate(gate, HALFWAY, jobs, lambda: os.kill(os.getpid(), number), until=lambda: any(next(signs)))
    with signalled, heeding_signals(), pytest.raises(raised) as stopped:
        train_missing(study, runs, Sharing(jobs=jobs, checkpoint_every=every))
    assert stopped.type is raised
    assert [epochs_done(run) for run in runs] == [HALFWAY] * jobs + [0] * (2 - jobs)
    for run in runs:
        assert not is_locked(run.folder) and (run.folder / "resume.pt").exists() == (epochs_done(run) > 0)
    assert not list(tmp_path.glob(".stop-*"))
    train_missing(study, runs, ALONE)
    assert epochs_begun(gate) == dict.fromkeys(range(1, EPOCHS + 1), 2) and written(runs) == reference


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGTERM, Stopped), (signal.SIGINT, KeyboardInterrupt)])
def test_a_signal_where_nothing_trains_stops_at_once_and_handlers_come_back(
    number: signal.Signals, raised: type[BaseException]
) -> None:
    """Rendering or reading ends at once; after the block the signals mean what they meant before."""
    before = [signal.getsignal(one) for one in SIGNALS]
    with heeding_signals(), pytest.raises(raised) as stopped:
        os.kill(os.getpid(), number)
        threading.Event().wait(PATIENCE)
    assert stopped.type is raised
    assert [signal.getsignal(one) for one in SIGNALS] == before
    assert issubclass(Stopped, KeyboardInterrupt)


def test_a_second_ctrl_c_stops_at_once_and_leaving_the_block_clears_the_sign(tmp_path: Path) -> None:
    """The first one sets the sign, which every process sees; so does SIGTERM, which is no Ctrl-C."""
    with heeding_signals(), StopSign(tmp_path) as sign:
        sign.check()
        signal.raise_signal(signal.SIGTERM)
        assert sign.is_set() and not sign.interrupted and len(list(tmp_path.iterdir())) == 1
        with pytest.raises(Stopped):
            sign.check()
        signal.raise_signal(signal.SIGINT)
        assert sign.interrupted
        with pytest.raises(KeyboardInterrupt) as again:
            signal.raise_signal(signal.SIGINT)
        assert again.type is KeyboardInterrupt
    assert not sign.is_set() and not list(tmp_path.iterdir())


def test_a_worker_ignores_signals_and_a_background_command_keeps_ignoring_ctrl_c() -> None:
    """The process that was called hears them for its workers; it goes on to hear them itself."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        leave_signals_to(os.getpid())
        assert {number: signal.getsignal(number) for number in SIGNALS} == before
        leave_signals_to(os.getppid())
        assert {signal.getsignal(number) for number in SIGNALS} == {signal.SIG_IGN}
        with heeding_signals():
            signal.raise_signal(signal.SIGINT)
            with pytest.raises(Stopped):
                signal.raise_signal(signal.SIGUSR1)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize(
    ("how", "every"),
    [
        (Sharing(), 7),
        (Sharing(shard=Shard(1, 2)), 1),
        (Sharing(engine="ray"), 1),
        (Sharing(engine="ray", checkpoint_every=3), 3),
    ],
)
def test_checkpoints_are_as_rare_as_the_profile_says_unless_nodes_share_the_runs(
    tmp_path: Path, how: Sharing, every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A study is sent with its pairs and its device by name, without what other nodes may lack."""
    study = quick_study(tmp_path, QUICK, checkpoint_every=7)
    study.config, study.crops = replace(study.config, device="auto"), "not to be sent"  # type: ignore[assignment]
    sent = engines._to_share(study, how)
    assert sent.settings.train == replace(study.settings.train, checkpoint_every=every)
    assert sent.device == ("cuda" if torch.cuda.is_available() else "cpu") and "crops" not in vars(sent)
    assert sent.pairs.content_hash == study.pairs.content_hash and study.device == "auto"
    monkeypatch.setattr("gndl.train.choose_device", lambda _: torch.device("cuda:1"))
    assert engines._to_share(study, how).device == ("cuda" if how.engine == "ray" else "cuda:1")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (GndlError("no such thing"), "^no such thing$"),
        (torch.OutOfMemoryError("17 GiB"), "fewer --runs-per-gpu"),
        (ValueError("odd"), r"^ValueError: odd \(test_engines\.py, line \d+\)$"),
        (FileNotFoundError(2, "gone"), "FileNotFoundError"),
        (MemoryError(), None),
        (OSError(28, "full"), None),
        (OSError(5, "I/O"), None),
    ],
)
def test_what_fails_one_run_is_told_and_what_would_fail_all_is_raised(
    tmp_path: Path, error: Exception, message: str | None
) -> None:
    study = quick_study(tmp_path, QUICK)

    def fit(*_: object, **__: object) -> None:
        raise error

    study.fit = fit  # type: ignore[method-assign, assignment]
    with StopSign(tmp_path) as stop:
        if message is None:
            with pytest.raises(type(error)):
                engines.train_one(study, study.plan()[0], stop, wait=False)
            return
        outcome = engines.train_one(study, study.plan()[0], stop, wait=False)
        assert outcome.state == "failed" and re.search(message, outcome.message)
        folder = study.plan()[0].folder
        for held in (folder, folder.with_name("seed-0.claim")):
            with locked(held):
                assert engines.train_one(study, study.plan()[0], stop, wait=False).state == "busy"
        stop.set()
        assert engines.train_one(study, study.plan()[0], stop, wait=False).state == "stopped"


@pytest.mark.parametrize("is_stopped", [True, False])
def test_runs_whose_workers_die_again_and_again_are_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_stopped: bool
) -> None:
    """After three resumptions; where a stop is asked for, the runs are stopped and not failed."""
    rounds = []

    def die(*_: object, **options: Any) -> None:
        rounds.append(options["n_jobs"])
        raise BrokenProcessPool

    monkeypatch.setattr("joblib.Parallel", lambda **options: lambda _: die(**options))
    study = quick_study(tmp_path, QUICK)
    with StopSign(tmp_path) as stop:
        if is_stopped:
            stop.set()
        training = engines._on_this_machine(study, study.plan(), Sharing(jobs=5), stop)
        if is_stopped:
            assert [outcome.state for outcome in training] == ["stopped", "stopped"] and rounds == [2]
            return
        with pytest.raises(GndlError, match=r"were killed 4 times.*fewer --jobs"):
            list(training)
        assert rounds == [2] * 4


class BrokenAtFirst(Quick):
    """A method from outside with a mistake that shows on the first fold only."""

    built = 0
    mistake: Exception

    def __init__(self, n_classes: int, lam: float) -> None:
        super().__init__(n_classes, lam)
        BrokenAtFirst.built += 1
        if BrokenAtFirst.built == 1:
            raise BrokenAtFirst.mistake


def test_a_mistake_in_a_method_is_named_and_stops_no_other_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error, its place and the whole traceback are shown; the other run is trained. A full disk ends the call."""
    BrokenAtFirst.built, BrokenAtFirst.mistake = 0, ValueError("no such layer")
    study = quick_study(tmp_path, register_method("own", BrokenAtFirst))
    with pytest.raises(GndlError, match=r"1 of 2 runs failed.*ValueError: no such layer \(test_engines\.py, line"):
        train_missing(study, study.plan(), ALONE)
    assert "Traceback" in capsys.readouterr().err
    assert [study.finished(run) is not None for run in study.plan()] == [False, True]
    BrokenAtFirst.built, BrokenAtFirst.mistake = 0, OSError(28, "No space left on device")
    with pytest.raises(OSError, match="No space left"):
        train_missing(study, study.plan(), ALONE)


# Shares


@pytest.mark.parametrize("count", [1, 2, 4, 9])
def test_every_run_is_in_one_share_and_shares_are_about_as_long(tmp_path: Path, count: int) -> None:
    """Three runs on each of two databases are dealt as one plan, whatever the order in which they are listed."""
    studies = [quick_study(tmp_path / name, QUICK, folds=3) for name in ("one", "other")]
    whole = [run.folder for study in studies for run in study.plan()]
    shares = [shared(studies, Study.plan, Shard(number + 1, count)) for number in range(count)]
    dealt = [[run.folder for _, runs in share for run in runs] for share in shares]
    assert sorted(folder for own in dealt for folder in own) == sorted(whole)
    assert max(map(len, dealt)) - min(map(len, dealt)) <= 1
    assert shared(studies[::-1], Study.plan, Shard(1, count))[::-1] == shares[0]


def test_a_share_is_read_as_it_is_written() -> None:
    """Shares are counted from 1, and the message says so."""
    assert read_shard("1/8") == Shard(1, 8) and read_shard(" 8 / 8 ") == Shard(8, 8)
    for text in ("0/2", "3/2", "2", "a/b", "-1/2", "1/2/3"):
        with pytest.raises(GndlError, match="counted from 1, such as 1/8 to 8/8"):
            read_shard(text)


@pytest.mark.parametrize(("told", "status", "requeued"), [(True, 75, True), (False, 0, False), (False, 1, False)])
def test_a_slurm_job_trains_its_share_and_is_requeued_when_stopped(
    tmp_path: Path, told: bool, status: int, requeued: bool
) -> None:
    """The signal reaches the command; its status is the job's, and only a stopped one is queued again."""
    script = Path(__file__).parent.parent / "cluster" / "study.sbatch"
    wait = "trap 'exit 75' USR1; kill -USR1 $PPID; while true; do sleep 0.05; done" if told else f"exit {status}"
    for name, body in (("gndl", f'echo "$@" > asked; {wait}'), ("scontrol", 'echo "$@" > requeued')):
        (tmp_path / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "GNDL": "gndl", "OUT": "out", "SHARDS": "8"}
    environment |= {"SLURM_SUBMIT_DIR": str(tmp_path), "SLURM_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3"}
    done = subprocess.run(["bash", script], env=environment, check=False, timeout=PATIENCE)
    assert done.returncode == status and (tmp_path / "requeued").exists() == requeued
    databases = "--databases ckplus oulu_casia mmi"
    asked = f"study --profile paper {databases} --out out --jobs 1 --shard 3/8\n"
    assert (tmp_path / "asked").read_text() == asked


# GPUs, none of which is needed here


@pytest.mark.parametrize(
    ("device", "how", "expected"),
    [
        ("cuda", Sharing(), (2, ("4", "6"))),
        ("cuda", Sharing(runs_per_gpu=3), (6, ("4", "6") * 3)),
        ("cuda", Sharing(jobs=3, runs_per_gpu=3), (3, ("4", "6", "4"))),
        ("cuda:1", Sharing(runs_per_gpu=2), (2, ())),
        ("cpu", Sharing(jobs=5, runs_per_gpu=3), (5, ())),
        ("cpu", Sharing(), (1, ())),
    ],
)
def test_processes_are_one_a_gpu_or_one_a_core(
    device: str, how: Sharing, expected: tuple[int, tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """GPUs keep the names of the batch system, each has one before any has two; cores are those that may be used."""
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")  # as affinity or a control group would say
    monkeypatch.setattr("gndl.train.choose_device", torch.device)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv(engines.VISIBLE, "4, 6")
    assert processes_and_gpus(device, how) == expected
    with pytest.raises(GndlError, match="--runs-per-gpu"):
        Sharing(runs_per_gpu=0)


# Ray


def test_runs_on_a_ray_cluster_stop_at_a_signal_and_survive_their_workers(
    tmp_path: Path, reference: Bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First the command is signalled, then both workers are killed; no run begins anew, and every byte is the same."""
    gate, before = tmp_path / "gate", signal.getsignal(signal.SIGTERM)
    study, ray = long_study(tmp_path, gated(gate, HALFWAY, LATER)), engines.require_ray()
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(engines, "RAY_STARTS", 30)  # a node that waited 15 s for its helpers gives up
    with engines._cluster(ray, study, RAY):
        assert ray.cluster_resources()["CPU"] == 2 and signal.getsignal(signal.SIGTERM) == before
        stop = at_gate(
            gate, HALFWAY, 2, lambda: os.kill(os.getpid(), signal.SIGTERM), until=lambda: any(tmp_path.glob(".stop-*"))
        )
        with stop, heeding_signals(), pytest.raises(Stopped):
            train_missing(study, study.plan(), RAY)
        assert [epochs_done(run) for run in study.plan()] == [HALFWAY, HALFWAY]
        with at_gate(gate, LATER, 2, lambda: kill_workers("ray::train_one")):
            train_missing(study, study.plan(), RAY)
    assert epochs_begun(gate) == {epoch: 4 if epoch == LATER else 2 for epoch in range(1, EPOCHS + 1)}
    assert written(study.plan()) == reference and not ray.is_initialized()


@pytest.mark.parametrize(
    ("errors", "raised"),
    [
        ([Exception("The current node timed out during startup"), Exception("timed out"), None], None),
        ([Exception("timed out")] * 3, (Exception, "timed out")),
        ([Exception("a mistake")], (Exception, "a mistake")),
        ([ConnectionError("refused")], (GndlError, "No Ray cluster answers at RAY_ADDRESS=head:6379: refused")),
    ],
)
def test_a_cluster_that_starts_slowly_is_tried_again_and_one_that_does_not_answer_is_named(
    monkeypatch: pytest.MonkeyPatch, errors: list[Exception | None], raised: tuple[type[Exception], str] | None
) -> None:
    """Three times, if Ray gave up waiting; whatever happens, the cluster is left."""
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    asked: list[dict[str, Any]] = []

    def init(**options: Any) -> None:
        asked.append(options)
        if error := errors[len(asked) - 1]:
            raise error

    ray = SimpleNamespace(init=init, shutdown=lambda: None)
    started = engines._cluster(ray, quick_study(Path("nowhere"), QUICK), RAY)  # type: ignore[arg-type]
    with pytest.raises(raised[0], match=raised[1]) if raised else nullcontext(), started:
        pass
    assert len(asked) == len(errors) and asked[0]["address"] == "head:6379" and "num_cpus" not in asked[0]


def test_a_cluster_is_asked_for_what_a_run_needs_and_busy_runs_are_tried_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A third of a GPU where three runs share one; an error of the cluster itself fails its run alone."""
    study, asked = quick_study(tmp_path, QUICK, folds=3), dict[str, Any]()
    study.config = replace(study.config, device="cuda")
    first, second, third = study.plan()

    class RayError(Exception):
        pass

    def get(reference: tuple[Path, bool]) -> Outcome:
        folder, wait = reference
        run = next(run for run in study.plan() if run.folder == folder)
        if run == second:
            raise RayError("details\nthe node died")
        return Outcome(run, "finished" if wait or run == third else "busy")

    def remote(**options: Any) -> Any:
        asked.update(options)
        return lambda function: SimpleNamespace(remote=lambda study, run, stop, wait: (run.folder, wait))

    ray = SimpleNamespace(
        is_initialized=lambda: True, cluster_resources=lambda: {"GPU": 1.0}, remote=remote, put=lambda study: study,
        wait=lambda references, **_: (references[:1], references[1:]), get=get,
        exceptions=SimpleNamespace(RayError=RayError),
    )  # fmt: skip
    monkeypatch.setattr(engines, "require_ray", lambda: ray)
    how = Sharing(engine="ray", runs_per_gpu=3)
    outcomes = list(engines._on_ray(study, [first, second, third], how, SimpleNamespace()))  # type: ignore[arg-type]
    assert [(one.run, one.state) for one in outcomes] == [(second, "failed"), (third, "finished"), (first, "finished")]
    assert outcomes[0].message == "on the Ray cluster, RayError: the node died"
    assert asked == {"max_retries": 3, "num_cpus": 1, "num_gpus": 0.3333}


def test_a_cluster_without_a_gpu_is_named_as_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs on CUDA would wait for ever; the message says what to start the nodes with."""
    study = quick_study(tmp_path, quick())
    fake = SimpleNamespace(is_initialized=lambda: True, cluster_resources=lambda: {"CPU": 2.0})
    monkeypatch.setattr(engines, "require_ray", lambda: fake)
    study.config = replace(study.config, device="cuda")
    with pytest.raises(GndlError, match="has no GPU: start its nodes with --num-gpus"):
        list(engines._on_ray(study, study.plan(), RAY, SimpleNamespace()))  # type: ignore[arg-type]


def test_without_ray_the_command_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named."""
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(GndlError, match=r"pip install .*\[ray\]"):
        engines.require_ray()
