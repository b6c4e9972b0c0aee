"""A method gets what it asks for: subjects, stages, further columns, and Adam's options for parts of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from planted import planted_pairs
from torch import Tensor, nn

from gndl.files import GndlError
from gndl.folds import deal_folds
from gndl.methods import MethodSettings, method_settings
from gndl.model import Losses, Method, Output, stage_of
from gndl.profiles import TrainSettings
from gndl.runs import run_identity
from gndl.train import FitResult, fit
from gndl.trainer import Trainer

SETTINGS = TrainSettings(image_size=32, epochs=2, batch_size=8, checkpoint_every=1)
PAIRS = planted_pairs()
TRAIN, TEST = deal_folds(PAIRS.subject, PAIRS.label, 3).train_test(0, PAIRS.subject)


def run(folder: Path, method: MethodSettings, settings: TrainSettings = SETTINGS) -> FitResult:
    return fit(method, PAIRS, TRAIN, TEST, method.lengthened(settings), run_folder=folder, show_progress=False)


class Staged(Method):
    """Asks for all that a method may ask for, and keeps what it was given."""

    images_per_pair = 1
    needs_subject = depends_on_epochs = True
    epochs_factor = 4 / 3
    given: list[Tensor | None] = []  # noqa: RUF012

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.classifier, self.slow = nn.Linear(3, n_classes), nn.Linear(3, n_classes)

    def forward(self, examined: Tensor, neutral: Tensor | None = None, *, subject: Tensor | None = None) -> Output:
        Staged.given.append(subject)
        f_exam = examined.mean(dim=(2, 3))
        return Output(logits=self.classifier(f_exam) + self.slow(f_exam), f_exam=f_exam)

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        own = {"lr": 0.1 * learning_rate, "betas": (0.5, 0.9), "weight_decay": 0.25}
        return [{"params": list(self.classifier.parameters())}, {"params": list(self.slow.parameters()), **own}]

    def loss(self, output: Output, labels: Tensor) -> Losses:
        losses = super().loss(output, labels)
        return replace(losses, parts={"twice": 2 * losses.cls, "none": losses.cls.new_zeros(())})


STAGED = MethodSettings(
    "staged", "staged", Staged, images_per_pair=1, needs_subject=True, depends_on_epochs=True, epochs_factor=4 / 3
)


def test_training_alone_is_told_the_subjects(monkeypatch: pytest.MonkeyPatch) -> None:
    """By their number in the whole database; evaluation gives none, and a method that does not ask gets none."""
    monkeypatch.setattr(Staged, "given", [])
    training = Trainer(STAGED, PAIRS, TRAIN, TEST, SETTINGS)
    training.optimise(1)
    numbers = torch.cat([subject for subject in Staged.given if subject is not None])
    assert sorted(numbers.tolist()) == sorted(int(PAIRS.subject[i][1:]) for i in TRAIN)
    Staged.given.clear()
    training.logits(TEST)
    Trainer(replace(STAGED, needs_subject=False), PAIRS, TRAIN, TEST, SETTINGS).optimise(1)
    assert Staged.given and not [subject for subject in Staged.given if subject is not None]


def test_further_terms_are_columns_of_epochs_csv(tmp_path: Path) -> None:
    epochs = run(tmp_path, STAGED).epochs
    assert list(epochs[0])[3:6] == ["loss_neu", "loss_twice", "loss_none"] and len(epochs) == 3, "4/3 of two epochs"
    assert [row["loss_twice"] for row in epochs] == pytest.approx([2 * row["loss_cls"] for row in epochs])
    assert all(row["loss_none"] == 0 and row["loss_neu"] is None for row in epochs)


def test_terms_that_no_column_could_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that a column has already, and other names in another batch."""
    for told in (["cls"],), (["neu", "one"],), (["one"], ["other"]), ([], ["one"]):
        batches = iter(told)

        def named(self: Method, output: Output, labels: Tensor, batches: Any = batches) -> Losses:
            losses = Method.loss(self, output, labels)
            return replace(losses, parts=dict.fromkeys(next(batches), losses.cls))

        monkeypatch.setattr(Staged, "loss", named)
        with pytest.raises(GndlError, match="staged: the parts of its losses must have the same names in every batch"):
            Trainer(STAGED, PAIRS, TRAIN, TEST, SETTINGS).optimise(1)


def test_a_group_of_parameters_has_adams_options_of_its_own() -> None:
    """They are not those of the settings, which the other group has."""
    training = Trainer(STAGED, PAIRS, TRAIN, TEST, replace(SETTINGS, betas=(0.8, 0.99)))
    training.train_epoch(1)
    found = [(group["lr"], group["betas"], group["weight_decay"]) for group in training.optimizer.param_groups]
    rate = SETTINGS.learning_rate
    assert found == [(rate, (0.8, 0.99), 0.0), (pytest.approx(0.1 * rate), (0.5, 0.9), 0.25)]


def test_a_run_with_stages_cannot_grow(tmp_path: Path) -> None:
    """The number of epochs is part of its identity under a constant schedule too, and of no other method's."""
    run(tmp_path, STAGED, replace(SETTINGS, epochs=3))
    with pytest.raises(GndlError, match=r"train\.epochs: 4, now 8"):
        run(tmp_path, STAGED, replace(SETTINGS, epochs=6))
    told = {"pairs": "", "lam": None, "fold": 0, "seed": 0, "device": "cpu"}
    staged, baseline = (run_identity(m, SETTINGS, **told) for m in (STAGED, method_settings("baseline")))
    assert (
        staged["method"].items() >= {"needs_subject": True, "depends_on_epochs": True, "epochs_factor": 4 / 3}.items()
    )
    assert "epochs" not in baseline["train"] and not baseline["method"].keys() & {"needs_subject", "epochs_factor"}


def test_stages_share_the_epochs() -> None:
    """Both get at least one; what comes before is extra, so the second stage gets no fewer than the study's epochs."""
    assert [stage_of(epoch, 4, 0.25) for epoch in (1, 2, 3, 4)] == [1, 2, 2, 2]
    assert [stage_of(1, 2, share) for share in (0.0, 1.0)] == [1, 1] and stage_of(2, 2, 1.0) == 2
    with pytest.raises(GndlError, match="at least 2 epochs"):
        stage_of(1, 1, 0.5)
    lengths = [STAGED.lengthened(replace(SETTINGS, epochs=epochs)).epochs for epochs in range(60)]
    assert [lengths[epochs] for epochs in (1, 3, 5, 30)] == [2, 4, 7, 40]
    for epochs, whole in enumerate(lengths[1:], 1):
        assert sum(stage_of(epoch, whole, 0.25) == 2 for epoch in range(1, whole + 1)) >= epochs
