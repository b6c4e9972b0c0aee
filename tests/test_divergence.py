"""A training whose loss is no number stops with the step named, and its last good checkpoint stays."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch
from test_train import PAIRS, SETTINGS, TEST, TRAIN, SmallGNDL, run

from gndl import runs
from gndl.checkpoint import load_state
from gndl.divergence import require_finite_predictions, with_the_step
from gndl.errors import GndlError
from gndl.identity import run_identity
from gndl.methods import method_settings, register_method
from gndl.model import Losses, Output
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


def test_a_study_says_the_step_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`gndl study` and the notebooks train by `fit_run`, which asks for the step and raises with it."""
    asked = GndlError("small: the loss became nan in epoch 1.")
    monkeypatch.setattr(runs, "fit", lambda *_, **__: (_ for _ in ()).throw(asked))
    monkeypatch.setattr(runs, "_identity", lambda *_: {})
    monkeypatch.setattr(runs, "with_the_step", lambda error, *_: GndlError(f"at step 3: {error}"))
    study, one = _study_and_run(tmp_path)
    with pytest.raises(GndlError, match="at step 3: small: the loss became nan"):
        runs.fit_run(study, one)  # type: ignore[arg-type]


def _study_and_run(folder: Path) -> tuple[object, object]:
    from types import SimpleNamespace as Some

    from gndl.folds import deal_folds

    folds = deal_folds(PAIRS.subject, PAIRS.label, 3)
    request = Some(device="cpu", weights="")
    study = Some(request=request, folds=folds, pairs=PAIRS, train=SETTINGS, identity=lambda _: {})
    return study, Some(method=method_settings("small"), fold=0, seed=0, lam=5.0, folder=folder)


def test_a_run_that_ends_in_no_numbers_is_taken_back(tmp_path: Path) -> None:
    """The last step may spoil the weights while every loss before it was finite."""
    for name in ("run.json", "weights.safetensors", "epochs.csv"):
        (tmp_path / name).write_text("{}")
    pd.DataFrame({"sample": [0, 1], "p_anger": [0.5, 0.2], "p_fear": [0.5, 0.8]}).to_csv(tmp_path / "predictions.csv")
    require_finite_predictions(tmp_path)
    assert (tmp_path / "run.json").exists()
    pd.DataFrame({"sample": [0], "p_anger": [float("nan")], "p_fear": [0.5]}).to_csv(tmp_path / "predictions.csv")
    with pytest.raises(GndlError, match="gives no finite probabilities, so the run was taken back"):
        require_finite_predictions(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epochs.csv"]


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
