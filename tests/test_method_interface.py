"""What a method may ask for beside its model and its loss: parameter groups, a hook before epochs, whole sequences."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from gndl.batches import DevicePairs
from gndl.methods import method_settings, register_method
from gndl.model import Method, Output
from gndl.pairs import FacePairs
from gndl.profiles import Augmentation, TrainSettings
from gndl.train import evaluate, fit, load_method
from gndl.trainer import Trainer

SETTINGS = TrainSettings(
    image_size=16, epochs=3, batch_size=6, learning_rate=0.01, schedule="cosine", augmentation=Augmentation()
)


class TwoSpeeds(Method):
    """A linear classifier whose bias learns ten times slower and is frozen in the first epoch."""

    images_per_pair = 1

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(3 * 16 * 16, n_classes)
        self.register_buffer("epochs_seen", torch.zeros(()))

    def forward(self, examined: Tensor, neutral: Tensor | None = None) -> Output:
        """Classify pixels."""
        pixels = examined.flatten(1)
        return Output(self.linear(pixels), pixels)

    def parameter_groups(self, learning_rate: float) -> Iterable[dict[str, Any]]:
        """The bias has a tenth of the learning rate."""
        return [{"params": [self.linear.weight]}, {"params": [self.linear.bias], "lr": 0.1 * learning_rate}]

    def on_epoch(self, epoch: int, epochs: int) -> None:
        """Freeze the bias in the first epoch; count the epochs in a buffer."""
        self.linear.bias.requires_grad_(epoch > 1)
        self.epochs_seen += 1


class SequenceMean(Method):
    """Every frame gets the mean of its sequence's pixels; it remembers the sequences that it was given."""

    images_per_pair = 1
    whole_sequences = True

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(3 * 16 * 16, n_classes)
        self.given: list[Tensor] = []

    def forward(self, examined: Tensor, neutral: Tensor | None = None, sequence: Tensor | None = None) -> Output:
        """Classify the mean over the frames of each sequence."""
        assert sequence is not None
        self.given.append(sequence)
        pixels = examined.flatten(1)
        sums = torch.zeros(int(sequence.max()) + 1, pixels.shape[1]).index_add(0, sequence, pixels)
        means = (sums / torch.bincount(sequence)[:, None])[sequence]
        return Output(self.linear(means), means)


def pairs_of(lengths: list[int], shuffled: bool = False) -> FacePairs:
    """One subject per sequence of the lengths given; the pairs in mixed order where ``shuffled``."""
    who = np.repeat(np.arange(len(lengths)), lengths)
    if shuffled:
        who = np.random.default_rng(0).permutation(who)
    count = len(who)
    images = np.random.default_rng(1).integers(0, 256, (2 * count, 16, 16), dtype=np.uint8)
    return FacePairs(
        images, np.arange(count), count + np.arange(count), who % 2, [f"S{i}" for i in who],
        [f"S{i}_1" for i in who], [str(i) for i in range(count)], ("anger", "fear"),
    )  # fmt: skip


def test_a_group_keeps_its_ratio_to_the_learning_rate_and_the_hook_comes_before_each_epoch() -> None:
    """Cosine over three epochs: 1, 0.75 and 0.25 of the rate for the weight, a tenth of that for the bias."""
    settings = register_method("two-speeds", TwoSpeeds)
    trainer = Trainer(
        settings, pairs_of([3, 3, 3, 3]), np.arange(9), np.arange(9, 12), SETTINGS, None, 0, torch.device("cpu"), None
    )
    network = trainer.network
    assert isinstance(network, TwoSpeeds)
    start = network.linear.bias.detach().clone()
    rates = []
    for epoch in (1, 2, 3):
        trainer.train_epoch(epoch)
        rates.append([group["lr"] for group in trainer.optimizer.param_groups])
        assert torch.equal(network.linear.bias.detach(), start) == (epoch == 1)
    assert np.allclose(rates, [[0.01, 0.001], [0.0075, 0.00075], [0.0025, 0.00025]])
    assert network.epochs_seen == 3


def test_a_stopped_run_goes_on_with_its_groups_and_what_its_buffers_keep(tmp_path: Path) -> None:
    """Interrupted after an epoch and taken up again, it ends with the same bytes."""
    register_method("two-speeds", TwoSpeeds)
    pairs, train, test = pairs_of([3, 3, 3, 3]), np.arange(9), np.arange(9, 12)

    def stop(row: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit("two-speeds", pairs, train, test, SETTINGS, run_folder=tmp_path / "a", on_epoch=stop, show_progress=False)
    for name in "ab":
        fit("two-speeds", pairs, train, test, SETTINGS, run_folder=tmp_path / name, show_progress=False)
    for file in ("weights.safetensors", "predictions.csv"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert load_method(tmp_path / "a")[0].epochs_seen == 3


@given(st.lists(st.integers(1, 5), min_size=2, max_size=9), st.integers(1, 8), st.booleans())
def test_sequences_are_never_cut(lengths: list[int], batch_size: int, shuffled: bool) -> None:
    """Every pair once, but for a batch of one; no sequence in two batches; no batch too large without need."""
    data = pairs_of(lengths, shuffled).on("cpu")
    count = sum(lengths)
    batches = list(
        data.training_batches(
            np.arange(count), batch_size, torch.Generator().manual_seed(0), Augmentation(0, 0), whole_sequences=True
        )
    )
    seen = [len(batch.label) for batch in batches]
    evaluated = list(data.evaluation_batches(np.arange(count), batch_size, whole_sequences=True))
    assert sum(len(batch.label) for batch in evaluated) == count
    assert count - sum(seen) <= lengths.count(1)
    for batch in (*batches, *evaluated):
        assert batch.sequence is not None
        sizes = torch.bincount(batch.sequence).tolist()
        assert sum(sizes) <= max(batch_size, max(sizes)) or len(sizes) == 1
        assert 0 not in sizes
    assert sorted(size for batch in evaluated for size in torch.bincount(batch.sequence).tolist()) == sorted(lengths)


def test_frames_of_a_sequence_share_their_flip_and_logits_come_back_in_order() -> None:
    """All frames of one picture: flipped together or not; and a mean over the sequence falls on its own frames."""
    pairs = pairs_of([4, 4, 4, 4], shuffled=True)
    ramp = np.tile(np.arange(16, dtype=np.uint8), (16, 1))
    same = FacePairs(
        np.stack([ramp, ramp]), np.zeros(16, np.int64), np.ones(16, np.int64), pairs.label, pairs.subject,
        pairs.sequence, pairs.frame, pairs.expressions,
    )  # fmt: skip
    for batch in same.on("cpu").training_batches(
        np.arange(16), 8, torch.Generator().manual_seed(3), Augmentation(0.5, 0), whole_sequences=True
    ):
        assert batch.sequence is not None
        for number in range(2):
            faces = batch.examined[batch.sequence == number]
            assert torch.equal(faces, faces[:1].expand_as(faces))
    method = SequenceMean(2)
    data: DevicePairs = pairs.on("cpu")
    logits = evaluate(method, data, np.arange(16), whole_sequences=True)
    names = np.asarray(pairs.sequence)
    pixels = next(data.evaluation_batches(np.arange(16), 16)).examined.flatten(1)
    for name in set(names.tolist()):
        own = torch.from_numpy(names == name)
        expected = method.linear(pixels[own].mean(0))
        assert torch.allclose(logits[own], expected.expand(4, 2), atol=1e-5)


def test_a_method_on_whole_sequences_is_trained_and_kept_like_any_other(tmp_path: Path) -> None:
    """Through fit, whose run says what it needs; its steps are not a fixed number."""
    register_method("sequence-mean", SequenceMean)
    assert method_settings("sequence-mean").as_json()["whole_sequences"] is True
    assert "whole_sequences" not in method_settings("gndl").as_json()
    run = fit(
        "sequence-mean", pairs_of([3, 2, 4, 3]), np.arange(9), np.arange(9, 12), SETTINGS,
        run_folder=tmp_path / "run", show_progress=False,
    )  # fmt: skip
    assert run.record["steps"] is None and run.record["n_test"] == 3
