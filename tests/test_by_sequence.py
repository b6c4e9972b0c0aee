"""GNDL by sequence passes each neutral face once and differs from GNDL in the joint normalisation alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from planted import planted_pairs

from gndl.errors import GndlError
from gndl.methods import build_method, method_settings
from gndl.model import GNDL
from gndl.profiles import TrainSettings
from gndl.trainer import Trainer
from gndl.variants.by_sequence import GNDLBySequence, first_of_each

SEQUENCE = torch.tensor([0, 0, 0, 1, 1, 1])


def faces(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_the_first_place_of_each_sequence_is_found() -> None:
    """Whatever the order and the lengths."""
    assert first_of_each(torch.tensor([2, 0, 0, 1, 2])).tolist() == [1, 3, 0]


def test_three_pairs_take_four_passes() -> None:
    """The backbone sees B examined and n neutral faces in one pass, where GNDL shows it 2B."""
    seen: list[int] = []
    for cls, arguments in ((GNDL, ()), (GNDLBySequence, (SEQUENCE,))):
        network = cls(7, 5.0)
        network.backbone.conv1.register_forward_hook(lambda module, inputs, output: seen.append(len(inputs[0])))
        output = network(faces(6), faces(2)[SEQUENCE], *arguments)
        assert output.f_neu is not None and output.f_neu.shape == (6, 512)
    assert seen == [12, 8]


def test_with_statistics_of_their_own_losses_and_gradients_are_those_of_the_pairs() -> None:
    """Each neutral face three times has the mean and variance of each once, so nothing else may differ."""
    sequence = torch.arange(6).repeat_interleave(2)  # statistics of few faces would be ill-conditioned
    examined, neutral = faces(12).double(), faces(6).double()
    found = []
    for cls, arguments in ((GNDL, ()), (GNDLBySequence, (sequence,))):
        torch.manual_seed(1)
        network = cls(7, 5.0, joint_norm=False).double()
        losses = network.loss(network(examined, neutral[sequence], *arguments), sequence)
        losses.total.backward()
        gradient = network.backbone.conv1.weight.grad
        assert gradient is not None and losses.neu is not None
        found.append((losses.cls.detach(), losses.neu.detach(), gradient))
    for one, other in zip(*found, strict=True):
        assert (one - other).abs().max() < 1e-6 * one.abs().max()


def test_neutral_faces_weigh_a_quarter_in_the_joint_normalisation() -> None:
    """The first batch-norm's running mean is that of 3/4 examined and 1/4 neutral; GNDL's of half and half."""
    examined, neutral = faces(6), faces(2) + 1
    for cls, arguments, share in ((GNDL, (), 1 / 2), (GNDLBySequence, (SEQUENCE,), 1 / 4)):
        network = cls(7, 5.0)
        with torch.no_grad():
            means = [network.backbone.conv1(group).mean((0, 2, 3)) for group in (examined, neutral)]
            network(examined, neutral[SEQUENCE], *arguments)
        expected = 0.1 * ((1 - share) * means[0] + share * means[1])
        assert torch.allclose(network.backbone.bn1.running_mean, expected, atol=1e-6)


def test_it_trains_as_a_method_of_the_study() -> None:
    """The trainer gives it whole sequences; in evaluation it is GNDL on the examined face alone."""
    settings, pairs = method_settings("gndl-by-sequence"), planted_pairs(12)
    pairs = replace(pairs, sequence=pairs.subject)  # six sequences of two pairs
    index, few = np.arange(12), TrainSettings(image_size=16, batch_size=6)
    trainer = Trainer(settings, pairs, index, index, few, 5.0, 0, torch.device("cpu"), None)
    row = trainer.optimise()
    assert row["loss_neu"] is not None and row["loss"] == pytest.approx(row["loss_cls"] + 5 * row["loss_neu"])
    network, gndl = trainer.network.eval(), build_method("gndl", len(pairs.expressions), 5.0).eval()
    gndl.load_state_dict(network.state_dict())
    logits = network(faces(2), None, torch.tensor([0, 1])).logits  # channels_last, which rounds otherwise
    assert torch.allclose(logits, gndl(faces(2)).logits, atol=1e-5)


def test_training_without_sequences_is_refused() -> None:
    """Which neutral face belongs to which pair is never guessed."""
    with pytest.raises(GndlError, match="sequence of every pair"):
        GNDLBySequence(7, 5.0)(faces(2), faces(2))


def test_finished_runs_stay_what_they_are() -> None:
    """The option is a method in a file of its own: what the study of record says of GNDL's code does not name it."""
    record = Path(__file__).parents[1] / "record/standard/ckplus/gndl/lam-5/fold-0/seed-0/run.json"
    code = json.loads(record.read_text(encoding="utf-8"))["identity"]["code"]
    assert not any("by_sequence" in name for name in code)
    assert method_settings("gndl").factory is GNDL
