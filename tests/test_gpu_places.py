"""One process for each GPU, or several where asked: every worker sees one GPU alone. No GPU is needed for these."""

from __future__ import annotations

import multiprocessing
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from planted_study import planted_study, quick, written

from gndl.errors import GndlError
from gndl.runs import plan_runs
from gndl.sweeping import engine_local
from gndl.sweeping.engine_local import most_on_one_device, processes_and_gpus
from gndl.sweeping.gpu_places import VISIBLE, places, take_place, visible_gpus
from gndl.sweeping.sweep import Sweep, train_runs


def test_every_gpu_has_one_process_before_any_has_two() -> None:
    """By hand: two GPUs with two runs each, five and three processes at most."""
    assert places(("0", "1"), 1) == ("0", "1")
    assert places(("0", "1"), 2) == ("0", "1", "0", "1")
    assert places(("0", "1"), 2, jobs=3) == ("0", "1", "0")
    assert places(("0", "1"), 2, jobs=5) == ("0", "1", "0", "1")
    with pytest.raises(GndlError, match="--runs-per-gpu"):
        places(("0",), 0)


@pytest.mark.parametrize(
    ("named", "count", "gpus"),
    [
        (None, 2, ("0", "1")),
        ("2,3", 2, ("2", "3")),
        ("GPU-8932f937, GPU-3a7d", 2, ("GPU-8932f937", "GPU-3a7d")),
        ("1,-1,2", 1, ("1",)),
        ("", 0, ()),
    ],
)
def test_gpus_keep_the_names_that_the_batch_system_gave(
    named: str | None, count: int, gpus: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers or UUIDs; what stands after an invalid one CUDA does not see."""
    monkeypatch.delenv(VISIBLE, raising=False)
    if named is not None:
        monkeypatch.setenv(VISIBLE, named)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    assert visible_gpus() == gpus


@pytest.mark.parametrize(
    ("device", "how", "expected"),
    [
        ("cuda", Sweep(), (2, ("4", "6"))),
        ("cuda", Sweep(runs_per_gpu=3), (6, ("4", "6") * 3)),
        ("cuda", Sweep(jobs=1, runs_per_gpu=3), (1, ("4",))),
        ("cuda:1", Sweep(runs_per_gpu=2), (2, ())),
        ("cpu", Sweep(jobs=5, runs_per_gpu=3), (5, ())),
        ("cpu", Sweep(), (1, ())),
    ],
)
def test_processes_are_one_a_gpu_or_one_a_core(
    device: str, how: Sweep, expected: tuple[int, tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """--jobs bounds them; a GPU named by its number is left to CUDA; cores are those that the process may use."""
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")  # as affinity or a control group would say
    monkeypatch.setattr(engine_local, "choose_device", torch.device)
    monkeypatch.setattr(engine_local, "visible_gpus", lambda: ("4", "6"))
    assert processes_and_gpus(device, how) == expected


@pytest.mark.parametrize(
    ("gpus", "jobs", "expected"),
    [(("4", "6") * 3, 6, 3), (("4", "6") * 3, 2, 1), (("4", "6") * 3, 3, 2), ((), 8, 8), ((), 1, 1)],
)
def test_memory_is_shared_by_the_processes_of_one_device(gpus: tuple[str, ...], jobs: int, expected: int) -> None:
    """Those of other GPUs have memory of their own; without GPUs all share the machine's, or the one that is named."""
    assert most_on_one_device(gpus, jobs) == expected


def stand(of: Sequence[str], folder: Path, connection: Any) -> None:
    """Take a place, tell which, and hold it until told to go."""
    take_place(of, folder)
    take_place(of, folder)  # a second run in the same process keeps it
    connection.send(os.environ[VISIBLE])
    connection.recv()


def test_no_two_workers_hold_one_place_and_that_of_a_dead_worker_is_free(tmp_path: Path) -> None:
    """Three workers share GPUs a and b by two places on a and one on b; a fourth takes the place of one killed."""
    context = multiprocessing.get_context("fork")
    of, workers = ("a", "b", "a"), []
    for _ in of:
        here, there = context.Pipe()
        worker = context.Process(target=stand, args=(of, tmp_path, there), daemon=True)
        worker.start()
        workers.append((worker, here))
    told = [here.recv() for _, here in workers]
    assert Counter(told) == {"a": 2, "b": 1}
    lost = told.index("b")
    workers[lost][0].kill()
    here, there = context.Pipe()
    fourth = context.Process(target=stand, args=(of, tmp_path, there), daemon=True)
    fourth.start()
    assert here.recv() == "b"
    here.send("go")
    fourth.join(60)
    for worker, _ in workers:
        worker.kill()
        worker.join(60)


def test_a_process_that_has_used_a_gpu_is_given_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA reads the variable once; a change after that would be silently ignored."""
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    with pytest.raises(GndlError, match="used a GPU already"):
        take_place(("0",), tmp_path)
    take_place((), tmp_path)  # on a processor there is nothing to take


def test_workers_of_a_study_see_one_gpu_each_and_write_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two GPUs in name, two processes: each trained where it saw one of them, and nothing of it reached a number."""
    (tmp_path / "seen").mkdir()
    alone = planted_study(tmp_path / "alone", quick())
    train_runs(alone, plan_runs(alone, [quick()]), Sweep(jobs=1))
    method = quick("seeing", seen=str(tmp_path / "seen"))
    side_by_side = planted_study(tmp_path / "side", method)
    monkeypatch.setattr(engine_local, "processes_and_gpus", lambda *_: (2, ("3", "5")))
    train_runs(side_by_side, plan_runs(side_by_side, [method]), Sweep())
    assert sorted(file.read_text() for file in (tmp_path / "seen").iterdir()) == ["3", "5"]
    assert written(plan_runs(side_by_side, [method])) == written(plan_runs(alone, [quick()]))
