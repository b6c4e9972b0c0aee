"""A training whose loss is no number stops with the step named, and its last good checkpoint stays."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from test_train import PAIRS, SETTINGS, TEST, TRAIN, SmallGNDL, run

from gndl.checkpoint import load_state
from gndl.divergence import fit_naming_the_step, with_the_step
from gndl.errors import GndlError
from gndl.identity import run_identity
from gndl.methods import method_settings, register_method
from gndl.model import Losses, Output
from gndl.paths import repository_root
from gndl.trainer import Trainer, steps_per_epoch

STEPS = steps_per_epoch(len(TRAIN), SETTINGS.batch_size)


class Diverging(SmallGNDL):
    """Its classification loss is not finite from a step on that it counts itself, in training."""

    bad_step, value = STEPS + 2, float("nan")

    def __init__(self, n_classes: int, lam: float) -> None:
        super().__init__(n_classes, lam)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def loss(self, output: Output, labels: torch.Tensor) -> Losses:
        losses = super().loss(output, labels)
        self.steps += 1
        if int(self.steps) < self.bad_step:
            return losses
        return replace(losses, total=losses.total + self.value, cls=losses.cls + self.value)


register_method("diverging", Diverging)


@pytest.mark.parametrize(("value", "word"), [(float("nan"), "nan"), (float("inf"), "inf")])
def test_the_step_is_named_and_the_checkpoint_before_it_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float, word: str
) -> None:
    """The second step of the second epoch: the first epoch's checkpoint is found, kept and named."""
    monkeypatch.setattr(Diverging, "value", value)
    settings = replace(SETTINGS, checkpoint_every=1)
    with pytest.raises(GndlError, match=rf"the loss became {word} in epoch 2") as error:
        run(tmp_path, settings, method="diverging")
    checkpoint = (tmp_path / "resume.pt").read_bytes()
    method, cpu = method_settings("diverging"), torch.device("cpu")
    identity = run_identity(method, PAIRS, TRAIN, TEST, settings, lam=5.0, fold=0, seed=0, device=cpu)
    make = partial(Trainer, method, PAIRS, TRAIN, TEST, settings, 5.0, 0, cpu, None)
    found = str(with_the_step(error.value, make, settings, cpu, 0, tmp_path, identity))
    assert f"the loss of diverging is not finite at step 2 of epoch 2 (total {word}" in found
    assert f"classification {word}, neutral " in found and "Lower the learning rate or λ, or use fp32" in found
    assert f"{tmp_path / 'resume.pt'} keeps epoch 1" in found
    assert (tmp_path / "resume.pt").read_bytes() == checkpoint and not (tmp_path / "run.json").exists()
    state = load_state(tmp_path, identity)
    assert state is not None and state.epoch == 1 and all(v.isfinite().all() for v in state.model.values())


def test_a_study_and_a_run_across_databases_say_the_step_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`gndl study`, notebooks and `--across` train by `fit_naming_the_step`, from the last checkpoint."""
    monkeypatch.setattr(Diverging, "value", float("nan"))
    settings, cpu = replace(SETTINGS, checkpoint_every=1), torch.device("cpu")
    with pytest.raises(GndlError, match=r"diverging is not finite at step 2 of epoch 2 .* keeps epoch 1\.$"):
        fit_naming_the_step(
            method_settings("diverging"), PAIRS, TRAIN, TEST, settings,
            run_folder=tmp_path, lam=5.0, device=cpu, weights=None, identity={}, show_progress=False,
        )  # fmt: skip
    for module in ("runs", "cross"):
        assert "fit_naming_the_step(" in (repository_root() / "gndl" / f"{module}.py").read_text()


class SpoiledAtTheEnd(SmallGNDL):
    """A weight is no number after the last step of the second epoch; every loss up to then is finite."""

    def on_epoch(self, epoch: int, epochs: int) -> None:
        self.last_of_second = 0 if epoch != 2 else STEPS

    def loss(self, output: Output, labels: torch.Tensor) -> Losses:
        losses = super().loss(output, labels)
        self.last_of_second -= 1
        if self.last_of_second == 0:  # its gradient is no number though its value is
            bad = next(self.parameters()).sum() * 0
            bad.register_hook(lambda gradient: gradient * float("nan"))
            return replace(losses, total=losses.total + bad)
        return losses


register_method("spoiled-at-the-end", SpoiledAtTheEnd)


@pytest.mark.parametrize("epochs", [2, 3])
def test_weights_that_are_no_numbers_are_never_kept(tmp_path: Path, epochs: int) -> None:
    """Neither as the checkpoint that a restart goes on from nor, where that epoch is the last, as a finished run."""
    settings = replace(SETTINGS, checkpoint_every=1, epochs=epochs)
    with pytest.raises(GndlError, match=r"is no finite number after the last step of epoch 2"):
        run(tmp_path, settings, method="spoiled-at-the-end")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epochs.csv", "resume.pt"]
    method = method_settings("spoiled-at-the-end")
    identity = run_identity(method, PAIRS, TRAIN, TEST, settings, lam=5.0, fold=0, seed=0, device=torch.device("cpu"))
    state = load_state(tmp_path, identity)
    assert state is not None and state.epoch == 1
    assert all(v.isfinite().all() for v in state.model.values() if v.is_floating_point())


def test_finite_weights_are_kept_however_large_their_sum() -> None:
    """Two weights near the largest float32 sum to infinity, and are finite all the same."""
    cpu = torch.device("cpu")
    trainer = Trainer(method_settings("spoiled-at-the-end"), PAIRS, TRAIN, TEST, SETTINGS, 5.0, 0, cpu, None)
    weight = trainer.network.get_parameter("classifier.weight")
    with torch.no_grad():
        weight[0, :2] = torch.finfo(torch.float32).max
    assert weight.sum().isinf()
    trainer._require_finite_weights()
    with torch.no_grad():
        weight[0, 2] = float("nan")
    with pytest.raises(GndlError, match="is no finite number after the last step"):
        trainer._require_finite_weights()


def test_a_run_whose_probabilities_are_no_numbers_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finite weights may still overflow; nothing of a finished run is written, and its last checkpoint stays."""
    original = Trainer.logits

    def overflowing(self: Trainer, index: object) -> torch.Tensor:
        logits = original(self, index)  # type: ignore[arg-type]
        return logits * float("nan") if len(self.history) == SETTINGS.epochs else logits

    monkeypatch.setattr(Trainer, "logits", overflowing)
    with pytest.raises(GndlError, match="gives no finite probabilities, so the run is not kept"):
        run(tmp_path, replace(SETTINGS, checkpoint_every=1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epochs.csv", "resume.pt"]


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    """Out of room at the second epoch; with room again, training goes on to the same bytes as undisturbed."""
    from test_faults import room_for

    settings = replace(SETTINGS, checkpoint_every=1)
    undisturbed = run(tmp_path / "undisturbed", settings).folder
    rooms = []

    def no_room(row: dict[str, object]) -> None:
        rooms.append(room_for(5000))
        rooms[-1].__enter__()

    try:
        with pytest.raises(OSError) as error:
            run(tmp_path / "run", settings, on_epoch=no_room)
    finally:
        for room in reversed(rooms):
            room.__exit__(None, None, None)
    assert error.value.filename == str(tmp_path / "run/resume.pt")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["epochs.csv", "resume.pt"]
    trained: list[object] = []
    run(tmp_path / "run", settings, on_epoch=lambda row: trained.append(row["epoch"]))
    assert trained == [2, 3]
    for name in ("weights.safetensors", "predictions.csv", "epochs.csv"):
        assert (tmp_path / "run" / name).read_bytes() == (undisturbed / name).read_bytes()
