"""A run is the same bytes however often it is trained, killed and resumed, and is never taken for another."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from planted import EXPRESSIONS, planted_pairs
from torch import nn

from gndl import train
from gndl.checkpoint import read_weights
from gndl.errors import GndlError
from gndl.folds import deal_folds
from gndl.methods import build_method, method_settings, register_method
from gndl.model import GNDL, Losses, Method, Output, ResNetBaseline
from gndl.profiles import Augmentation, TrainSettings
from gndl.train import FitResult, evaluate, find_run, fit, load_method, raise_epochs, steps_per_epoch
from gndl.trainer import learning_rate

SETTINGS = TrainSettings(image_size=32, epochs=3, batch_size=8, checkpoint_every=0)
WITH_CHECKPOINTS = replace(SETTINGS, checkpoint_every=1)
PAIRS = planted_pairs()
TRAIN, TEST = deal_folds(PAIRS.subject, PAIRS.label, 3).train_test(0, PAIRS.subject)
LOSSES = ("loss", "loss_cls", "loss_neu")
COMPARED = ("weights.safetensors", "predictions.csv", "epochs.csv")


class SmallGNDL(GNDL):
    """GNDL on one convolution: what a run's files go through does not depend on the size of its network."""

    def __init__(self, n_classes: int, lam: float) -> None:
        super().__init__(n_classes, lam)
        features = [nn.Conv2d(3, 16, 8, stride=8), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(), nn.Linear(256, 512)]
        self.backbone = nn.Sequential(*features)


register_method("small", SmallGNDL)


def run(folder: Path, settings: TrainSettings = SETTINGS, method: str = "small", **options: Any) -> FitResult:
    """Train the planted pairs on their first fold, with λ = 5 where the method uses it."""
    if method_settings(method).uses_lam:
        options.setdefault("lam", 5.0)
    options = {"pairs": PAIRS, "train_index": TRAIN, "test_index": TEST, "show_progress": False} | options
    return fit(method, settings=settings, run_folder=folder, **options)


def same_bytes(one: Path, other: Path) -> bool:
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in COMPARED)


def distance(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> float:
    """Euclidean distance of two networks' trained weights."""
    names = [name for name in one if one[name].is_floating_point() and "running" not in name]
    return float(torch.cat([(one[name] - other[name]).flatten() for name in names]).norm())


class Killed(Exception):
    """Stands for a kill after an epoch."""


def kill_after(epoch: int) -> Callable[[dict[str, Any]], None]:
    def on_epoch(row: dict[str, Any]) -> None:
        if row["epoch"] == epoch:
            raise Killed

    return on_epoch


@pytest.fixture(scope="module")
def finished_gndl(tmp_path_factory: pytest.TempPathFactory) -> FitResult:
    """Three epochs of the paper's own network without interruption."""
    return run(tmp_path_factory.mktemp("finished") / "run", method="gndl")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> FitResult:
    """Three epochs without interruption."""
    return run(tmp_path_factory.mktemp("finished") / "run")


def test_a_finished_run_has_the_files_and_columns_of_the_contract(finished: FitResult) -> None:
    """run.json, epochs.csv, predictions.csv and weights.safetensors, with the columns that others read."""
    folder = finished.folder
    assert {path.name for path in folder.iterdir()} == {"run.json", *COMPARED}
    with (folder / "epochs.csv").open() as file:
        epochs = list(csv.DictReader(file))
    assert list(epochs[0]) == ["epoch", "loss", "loss_cls", "loss_neu", "accuracy_train", "accuracy_test"]
    assert [row["epoch"] for row in epochs] == ["1", "2", "3"]
    with (folder / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    names = [f"p_{name}" for name in EXPRESSIONS]
    assert list(rows[0]) == ["sample", "subject", "sequence", "frame", "truth", "predicted", *names]
    assert [int(row["sample"]) for row in rows] == TEST.tolist()
    for row in rows:
        sample = int(row["sample"])
        assert row["truth"] == EXPRESSIONS[PAIRS.label[sample]] and row["frame"] == PAIRS.frame[sample]
        probabilities = [float(row[name]) for name in names]
        assert abs(sum(probabilities) - 1) < 1e-6 and row["predicted"] == EXPRESSIONS[int(np.argmax(probabilities))]
    record = json.loads((folder / "run.json").read_text())
    accuracy = np.mean([row["truth"] == row["predicted"] for row in rows])
    assert record["accuracy_last"] == accuracy == float(epochs[-1]["accuracy_test"])
    assert record["accuracy_best"] == max(float(row["accuracy_test"]) for row in epochs)
    assert (record["n_train"], record["n_test"], record["steps"]) == (len(TRAIN), len(TEST), 3 * 2)
    assert record["images_per_epoch"] == 2 * len(TRAIN)


def test_losses_of_an_epoch_add_up(finished: FitResult) -> None:
    """loss = loss_cls + λ · loss_neu (Eq. 11) in every row; the baseline has no loss_neu."""
    for row in finished.epochs:
        assert row["loss"] == pytest.approx(row["loss_cls"] + 5.0 * row["loss_neu"], rel=1e-6)


def test_a_planted_signal_is_learned(tmp_path: Path) -> None:
    """Both methods recognise bands of light on unseen subjects; the baseline sees one image a pair, GNDL two."""
    settings = replace(SETTINGS, epochs=5, augmentation=Augmentation(noise_sigma=0.01))
    for method, images in (("baseline", 1), ("gndl", 2)):
        result = run(tmp_path / method, settings, method)
        assert result.record["accuracy_best"] >= 0.75, "chance is 1/3"
        assert result.record["images_per_epoch"] == images * len(TRAIN)
        assert (result.epochs[0]["loss_neu"] is None) == (method == "baseline")


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(finished: FitResult, tmp_path: Path) -> None:
    """Weights, predictions and epochs, on the CPU."""
    assert same_bytes(run(tmp_path / "again").folder, finished.folder)
    other = run(tmp_path / "other", seed=1)
    assert not any((other.folder / name).read_bytes() == (finished.folder / name).read_bytes() for name in COMPARED)


def test_a_killed_training_of_gndl_resumes_to_the_same_bytes(finished_gndl: FitResult, tmp_path: Path) -> None:
    """ResNet-18, generator, optimiser and random draws all go on where they were."""
    with pytest.raises(Killed):
        run(tmp_path, WITH_CHECKPOINTS, method="gndl", on_epoch=kill_after(1))
    run(tmp_path, WITH_CHECKPOINTS, method="gndl")
    assert same_bytes(tmp_path, finished_gndl.folder)


def test_a_run_does_not_depend_on_the_random_state_or_threads_around_it(finished: FitResult, tmp_path: Path) -> None:
    """Global seed and thread number are set for the run and put back after it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    assert same_bytes(run(tmp_path / "again").folder, finished.folder)
    assert torch.equal(torch.get_rng_state(), before) and torch.get_num_threads() == 2
    torch.set_num_threads(threads)


@pytest.mark.parametrize("checkpoint_every", [1, 2, 0])
def test_a_killed_training_resumes_to_the_same_bytes(
    finished: FitResult, tmp_path: Path, checkpoint_every: int
) -> None:
    """Killed after its second epoch, whether the last checkpoint is of that epoch or there is none."""
    settings = replace(SETTINGS, checkpoint_every=checkpoint_every)
    with pytest.raises(Killed):
        run(tmp_path, settings, on_epoch=kill_after(2))
    assert not (tmp_path / "run.json").exists()
    trained: list[int] = []
    run(tmp_path, settings, on_epoch=lambda row: trained.append(row["epoch"]))
    assert trained == ([3] if checkpoint_every else [1, 2, 3])
    assert same_bytes(tmp_path, finished.folder) and not (tmp_path / "resume.pt").exists()


def test_a_killed_process_resumes_to_the_same_bytes(finished: FitResult, tmp_path: Path) -> None:
    """SIGKILL while the second epoch trains leaves whole files only; the next process goes on from them."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path; import test_train\n"
        "import time\n"
        "def report(row):\n"
        "    print(row['epoch'], flush=True)\n"
        "    time.sleep(60 * (row['epoch'] - 1))  # never to the end, however late the kill comes\n"
        "test_train.run(Path(sys.argv[2]), test_train.WITH_CHECKPOINTS, on_epoch=report)\n"
    )
    command = [sys.executable, "-c", program, str(Path(__file__).parent), str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline().strip() == "1"
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "run" / "run.json").exists()
    assert same_bytes(run(tmp_path / "run").folder, finished.folder)


def test_a_training_killed_while_its_files_are_written_resumes_to_the_same_bytes(
    finished: FitResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while a finished run of fewer epochs gives way to one of more."""
    settings = replace(SETTINGS, epochs=2, keep_state=True)
    run(tmp_path, settings)
    for name in ("write_predictions", "write_epochs", "write_json"):
        with monkeypatch.context() as patched, pytest.raises(Killed):
            patched.setattr(train, name, lambda *_: (_ for _ in ()).throw(Killed))
            run(tmp_path, replace(settings, epochs=3))
        assert not (tmp_path / "run.json").exists()
    run(tmp_path, SETTINGS)
    assert same_bytes(tmp_path, finished.folder)


def test_a_growth_that_is_interrupted_leaves_no_finished_run(tmp_path: Path) -> None:
    """Files of two epochs beside an epochs.csv of three are not taken for a run, neither by two nor by three."""
    settings = replace(SETTINGS, keep_state=True)
    identity = run(tmp_path, replace(settings, epochs=1)).record["identity"]
    with pytest.raises(Killed):
        run(tmp_path, settings, on_epoch=kill_after(2))
    assert not (tmp_path / "run.json").exists() and find_run(tmp_path, identity, 1) is None


def test_a_run_whose_files_disagree_is_not_finished(finished: FitResult, tmp_path: Path) -> None:
    """epochs.csv has as many rows as run.json has epochs, or the run is trained again."""
    shutil.copytree(finished.folder, tmp_path / "run")
    epochs = tmp_path / "run" / "epochs.csv"
    epochs.write_text("".join(epochs.read_text().splitlines(keepends=True)[:-1]))
    assert find_run(tmp_path / "run", finished.record["identity"], 3) is None
    assert not run(tmp_path / "run").reused and same_bytes(tmp_path / "run", finished.folder)


def test_of_two_processes_on_one_run_the_second_reads_what_the_first_wrote(finished: FitResult, tmp_path: Path) -> None:
    """It waits without a step of its own, and no lock is left behind."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path; import test_train\n"
        "print('started', flush=True)\n"
        "trained = []\n"
        "result = test_train.run(Path(sys.argv[2]), on_epoch=trained.append)\n"
        "print(result.reused, len(trained), flush=True)\n"
    )
    command = [sys.executable, "-c", program, str(Path(__file__).parent), str(tmp_path / "run")]
    second: list[subprocess.Popen[str]] = []

    def start_second(row: dict[str, Any]) -> None:
        if not second:
            second.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            assert second[0].stdout is not None and second[0].stdout.readline().strip() == "started"

    assert not run(tmp_path / "run", on_epoch=start_second).reused
    assert second[0].communicate(timeout=60)[0].strip() == "True 0"
    assert same_bytes(tmp_path / "run", finished.folder)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_finished_run_is_read_and_not_trained(finished: FitResult) -> None:
    """The same call returns the same rows without an epoch; settings without effect on numbers do not matter."""
    trained: list[dict[str, Any]] = []
    settings = replace(SETTINGS, min_steps=1, checkpoint_every=5)
    again = run(finished.folder, settings, on_epoch=trained.append)
    assert again.reused and not trained and again.epochs == finished.epochs


@pytest.mark.parametrize("keep_state", [True, False])
def test_epochs_may_grow_and_training_continues(finished: FitResult, tmp_path: Path, keep_state: bool) -> None:
    """Two epochs grown to three equal three, from the kept state or, without one, trained again."""
    settings = replace(SETTINGS, keep_state=keep_state)
    run(tmp_path, replace(settings, epochs=2))
    assert (tmp_path / "continue.pt").exists() == keep_state
    trained: list[int] = []
    grown = run(tmp_path, settings, on_epoch=lambda row: trained.append(row["epoch"]))
    assert trained == ([3] if keep_state else [1, 2, 3])
    assert not grown.reused and grown.record["epochs"] == 3
    assert same_bytes(tmp_path, finished.folder)


def test_epochs_may_not_shrink(finished: FitResult, tmp_path: Path) -> None:
    """Neither those of a finished run nor those of an unfinished one."""
    with pytest.raises(GndlError, match="has 3 epochs, asked for 2; epochs may only grow"):
        run(finished.folder, replace(SETTINGS, epochs=2))
    with pytest.raises(Killed):
        run(tmp_path, WITH_CHECKPOINTS, on_epoch=kill_after(2))
    with pytest.raises(GndlError, match="has 2 epochs, asked for 1; epochs may only grow"):
        run(tmp_path, replace(SETTINGS, epochs=1))


def test_a_cosine_schedule_cannot_grow(tmp_path: Path) -> None:
    """Its learning rates depend on the last epoch, so more epochs are another configuration."""
    settings = replace(SETTINGS, epochs=1, schedule="cosine")
    run(tmp_path, settings)
    with pytest.raises(GndlError, match=r"train\.epochs: 1, now 2"):
        run(tmp_path, replace(settings, epochs=2))
    rates = [learning_rate(replace(settings, epochs=4), epoch) for epoch in (1, 3, 4)]
    assert rates[:2] == [1e-3, pytest.approx(5e-4)] and 0 < rates[2] < 5e-4


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"settings": replace(SETTINGS, learning_rate=0.01)}, r"train\.learning_rate: 0\.001, now 0\.01"),
        (
            {"settings": replace(SETTINGS, augmentation=Augmentation(noise_sigma=0.5))},
            r"train\.augmentation\.noise_sigma",
        ),
        ({"settings": replace(SETTINGS, precision="bf16")}, r"train\.precision: fp32, now bf16"),
        ({"settings": replace(SETTINGS, threads=2)}, r"train\.threads: 1, now 2"),
        ({"lam": 1.0}, r"lam: 5\.0, now 1\.0"),
        ({"seed": 2}, r"seed: 0, now 2"),
        ({"method": "gndl-sum"}, r"method\.name: small, now gndl-sum"),
        ({"pairs": planted_pairs(seed=3)}, r"pairs: "),
        ({"train_index": TRAIN[1:]}, r"train_samples: "),
        ({"test_index": TEST[1:]}, r"test_samples: "),
        ({"identity": {"crops": "another"}}, r"extra\.crops: None, now another"),
    ],
)
def test_another_configuration_in_the_same_place_is_refused_by_field(
    finished: FitResult, change: dict[str, Any], field: str
) -> None:
    """Whatever can change a run's numbers is named, and nothing is overwritten."""
    before = {path.name: path.stat().st_mtime_ns for path in finished.folder.iterdir()}
    with pytest.raises(GndlError, match=rf"run\.json: belongs to another configuration.*{field}"):
        run(finished.folder, **change)
    assert {path.name: path.stat().st_mtime_ns for path in finished.folder.iterdir()} == before


def test_an_unfinished_run_of_another_configuration_is_refused(tmp_path: Path) -> None:
    """A checkpoint is resumed by its own configuration only; a damaged one is named."""
    with pytest.raises(Killed):
        run(tmp_path, WITH_CHECKPOINTS, on_epoch=kill_after(1))
    with pytest.raises(GndlError, match=r"resume\.pt: belongs to another configuration.*seed: 0, now 1"):
        run(tmp_path, WITH_CHECKPOINTS, seed=1)
    (tmp_path / "resume.pt").write_bytes(b"PK\3\4 nothing")
    with pytest.raises(GndlError, match=r"resume\.pt: is damaged"):
        run(tmp_path)


def test_a_subject_on_both_sides_stops_the_training(tmp_path: Path) -> None:
    """Whoever dealt the folds."""
    with pytest.raises(GndlError, match="Subject S000 is in training and in test"):
        run(tmp_path, train_index=np.arange(12), test_index=np.arange(12, 24))


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path: Path) -> None:
    """With the epoch and what to do; the last checkpoint stays, and no run is left finished."""
    with pytest.raises(GndlError, match=r"the loss became (nan|inf) in epoch 1\. Lower the learning rate"):
        run(tmp_path, replace(SETTINGS, learning_rate=1e30))
    assert list(tmp_path.iterdir()) == []


def test_evaluation_gives_the_network_no_neutral_face(finished_gndl: FitResult, tmp_path: Path) -> None:
    """Training and evaluation of GNDL end alike when every neutral face of the test fold is garbage."""
    garbage = PAIRS.images.copy()
    tested = np.unique(PAIRS.neutral_index[TEST])
    garbage[tested] = np.random.default_rng(1).integers(0, 256, garbage[tested].shape)
    other = run(tmp_path, method="gndl", pairs=replace(PAIRS, images=garbage))
    assert same_bytes(finished_gndl.folder, other.folder)


def test_a_trained_method_is_read_back_and_predicts_what_was_written(finished_gndl: FitResult) -> None:
    """load_method and evaluate give the probabilities of predictions.csv, whatever the batch size."""
    method, record = load_method(finished_gndl.folder)
    logits = evaluate(method, PAIRS.on("cpu", record["settings"]["image_size"]), TEST)
    written = np.loadtxt(finished_gndl.folder / "predictions.csv", delimiter=",", skiprows=1, usecols=(6, 7, 8))
    np.testing.assert_allclose(logits.softmax(1), written, atol=1e-5)


class Halved(ResNetBaseline):
    """A user's own method: the baseline on half of the difference of both faces."""

    needs_neutral_at_test = True
    images_per_pair = 2

    def forward(self, examined: torch.Tensor, neutral: torch.Tensor | None = None) -> Output:
        assert neutral is not None
        return super().forward((examined - neutral) / 2)


def test_a_method_of_ones_own_trains_like_the_others(tmp_path: Path) -> None:
    """Registered from a class in one place; its needs are read from it, and its code is part of its runs' identity."""
    settings = register_method("halved", Halved, purpose="an upper bound")
    assert settings.needs_neutral_at_test and not settings.uses_lam
    result = run(tmp_path, replace(SETTINGS, epochs=1), method="halved")
    assert result.record["needs_neutral_at_test"] is True and result.record["images_per_epoch"] == 2 * len(TRAIN)
    assert "method" in result.record["identity"]["code"]

    class Changed(Halved):
        def loss(self, output: Output, labels: torch.Tensor) -> Losses:
            losses = Method.loss(self, output, labels)
            return replace(losses, total=2 * losses.total)

    register_method("halved", Changed)
    with pytest.raises(GndlError, match=r"code\.method"):
        run(tmp_path, method="halved")


def test_steps_and_epochs_follow_from_the_pairs() -> None:
    """A last batch of one pair is no step (L20); min_steps raises the epochs, never lowers them."""
    assert [steps_per_epoch(count, 8) for count in (1, 8, 9, 10)] == [0, 1, 1, 2]
    settings = TrainSettings(epochs=20, min_steps=200, batch_size=16)
    assert raise_epochs(settings, 48).epochs == 67 and raise_epochs(settings, 800).epochs == 20
    with pytest.raises(GndlError, match="no step"):
        raise_epochs(settings, 1)


def test_training_in_bf16_is_deterministic_too(tmp_path: Path) -> None:
    """The precision of the study of record."""
    settings = replace(SETTINGS, epochs=1, precision="bf16")
    one, other = (run(tmp_path / name, settings, "gndl") for name in "ab")
    assert same_bytes(one.folder, other.folder)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_training_runs_on_cuda(tmp_path: Path, precision: Any) -> None:
    """Every precision trains and evaluates on a CUDA device, and resumes to what it is without interruption."""
    settings = replace(WITH_CHECKPOINTS, precision=precision)
    whole = run(tmp_path / "whole", settings, "gndl", device="cuda")
    with pytest.raises(Killed):
        run(tmp_path / "killed", settings, "gndl", device="cuda", on_epoch=kill_after(2))
    trained: list[int] = []
    resumed = run(
        tmp_path / "killed", settings, "gndl", device="cuda", on_epoch=lambda row: trained.append(row["epoch"])
    )
    assert trained == [3] and resumed.record["epochs"] == 3
    # Sums on the device may differ in their last bits. A lost optimiser state moves the weights by half of the way that
    # training took them, another order of the last epoch by 7 % of it (measured on a CPU).
    for row, other in zip(resumed.epochs, whole.epochs, strict=True):
        assert [row[name] for name in LOSSES] == pytest.approx([other[name] for name in LOSSES], rel=0.05)
    start = build_method("gndl", len(EXPRESSIONS), 5.0, seed=0).state_dict()
    one, other_one = read_weights(resumed.folder), read_weights(whole.folder)
    assert distance(one, other_one) < 0.05 * distance(other_one, start)
