"""The same runs on a real Ray cluster of two workers: the same bytes, also where workers are killed on the way."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
from planted_study import EPOCHS, SLOW, after_epochs, epochs_done, planted_study, quick, slow_study, written

from gndl import cli
from gndl.errors import GndlError
from gndl.outside_methods import VARIABLE, use_method
from gndl.runs import plan_runs
from gndl.sweeping import engine_ray
from gndl.sweeping.engine_ray import gpus_of_a_run
from gndl.sweeping.stopping import Stopped, heeding_signals
from gndl.sweeping.sweep import Sweep, train_runs

RAY = Sweep(engine="ray", jobs=2)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[bytes, ...]]:
    """What the two slow runs write in this process, one after the other."""
    study = slow_study(tmp_path_factory.mktemp("reference"))
    runs = plan_runs(study, [SLOW])
    train_runs(study, runs, Sweep(jobs=1))
    return written(runs)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A cluster of two processors and two GPUs that are there in name only; its workers know the tests' methods."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *([before] if before else [])])
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    ray.init(
        address="local", num_cpus=2, num_gpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR"
    )
    yield
    ray.shutdown()
    os.environ.pop("PYTHONPATH")
    if before is not None:
        os.environ["PYTHONPATH"] = before


def kill_training_workers() -> None:
    """End every worker that trains as a lost node would: without a word."""
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if process.name().startswith("ray::train_one") or process.cmdline()[:1] == ["ray::train_one"]:
                process.kill()


def test_a_killed_ray_worker_is_retried_and_goes_on_from_its_checkpoint(
    cluster: None, tmp_path: Path, reference: list[tuple[bytes, ...]]
) -> None:
    """Both workers are killed after two epochs; no run begins anew, and every byte is the serial study's."""
    study = slow_study(tmp_path)
    runs = plan_runs(study, [SLOW])
    with after_epochs(2, runs, kill_training_workers) as watched:
        train_runs(study, runs, RAY)
    assert 2 <= max(watched.epochs) < EPOCHS and not watched.began_anew
    assert written(runs) == reference


def test_a_signal_stops_the_runs_of_a_cluster_between_two_epochs(
    cluster: None, tmp_path: Path, reference: list[tuple[bytes, ...]]
) -> None:
    """The command alone is signalled, although starting Ray sets a handler of its own; the next call goes on."""
    study = slow_study(tmp_path)
    runs = plan_runs(study, [SLOW])
    with (
        after_epochs(1, runs, lambda: os.kill(os.getpid(), signal.SIGTERM)),
        heeding_signals(),
        pytest.raises(Stopped),
    ):
        train_runs(study, runs, RAY)
    assert 0 < max(epochs_done(run) for run in runs) < EPOCHS
    assert any((run.folder / "resume.pt").exists() for run in runs)
    train_runs(study, runs, RAY)
    assert written(runs) == reference


def test_runs_reserve_gpus_and_each_sees_its_own(
    cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs that are at work at once, with a whole GPU each: Ray lets each see one of the two."""
    (tmp_path / "seen").mkdir()
    method = quick("seeing", seen=str(tmp_path / "seen"))
    study = planted_study(tmp_path / "out", method, epochs=1)
    monkeypatch.setattr(engine_ray, "choose_device", lambda _: torch.device("cuda"))
    send = engine_ray._to_send
    monkeypatch.setattr(engine_ray, "_to_send", lambda study, device: send(study, "cpu"))  # GPUs in name only
    train_runs(study, plan_runs(study, [method]), replace(RAY, runs_per_gpu=1))
    assert sorted(file.read_text() for file in (tmp_path / "seen").iterdir()) == ["0", "1"]


OWN = """
from planted_study import Quick


class FromAFile(Quick):
    name = "ray-from-a-file"
"""


def test_a_running_cluster_finds_a_method_from_a_file(
    cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its workers were started without the file's folder; they are told where the class is that they are sent."""
    file = tmp_path / "elsewhere" / "method_for_ray.py"
    file.parent.mkdir()
    file.write_text(OWN)
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.setenv("PYTHONPATH", os.environ["PYTHONPATH"])
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert engine_ray.variables_of_own_methods() == {}
    study = planted_study(tmp_path / "out", use_method(f"{file}:FromAFile"), epochs=1)
    train_runs(study, plan_runs(study), RAY)
    assert all((run.folder / "run.json").exists() for run in plan_runs(study))


def test_fractions_of_a_gpu_never_add_up_to_more_than_one() -> None:
    """By hand for 1, 2, 3 and 4; Ray counts in ten thousandths."""
    assert [gpus_of_a_run(runs) for runs in (1, 2, 3, 4)] == [1.0, 0.5, 0.3333, 0.25]
    with pytest.raises(GndlError, match="--runs-per-gpu"):
        gpus_of_a_run(0)


def test_a_cluster_without_a_gpu_is_named_as_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs on CUDA would wait for ever; the message says what to start the nodes with."""
    study = planted_study(tmp_path, quick())
    fake = SimpleNamespace(is_initialized=lambda: True, cluster_resources=lambda: {"CPU": 2.0})
    monkeypatch.setattr(engine_ray, "choose_device", lambda _: torch.device("cuda"))
    monkeypatch.setattr(engine_ray, "imported_ray", lambda: fake)
    with pytest.raises(GndlError, match="has no GPU: start its nodes with --num-gpus"):
        train_runs(study, plan_runs(study, [quick()]), RAY)


def test_without_ray_the_command_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named before anything else is done."""
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(GndlError, match=r"pip install .*\[ray\]"):
        cli.run(cli.Train(engine="ray", out="nowhere"))
