"""Features of finished runs are those of the very network, in the precision of its evaluation."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import open_trained
from planted import SequenceMean
from torch import Tensor, nn

import gndl
from gndl.analysis import features
from gndl.analysis.features import FoldFeatures
from gndl.files import GndlError
from gndl.folds import with_development
from gndl.methods import MethodSettings
from gndl.model import Method, Output


@pytest.fixture(scope="module")
def study(trained_study: Path) -> gndl.Study:
    """Baseline and GNDL, one epoch on folds 0 and 1; not to be written to."""
    return open_trained(trained_study)


@pytest.fixture(scope="module")
def own(study: gndl.Study) -> FoldFeatures:
    """GNDL's features of fold 0."""
    return features.of_fold(study)


@pytest.fixture
def copied(trained_study: Path, tmp_path: Path) -> gndl.Study:
    """The same study in another folder, whose files may be changed."""
    shutil.copytree(trained_study / "study", tmp_path / "study")
    return gndl.open_study(
        "ckplus", data_root=trained_study / "ckplus", profile="smoke", out=tmp_path / "study", device="cpu", jobs=1
    )


@pytest.mark.parametrize("method", ["gndl", "baseline"])
def test_probabilities_are_those_of_the_predictions_to_the_last_digit(study: gndl.Study, method: str) -> None:
    """The same network in the same precision and batches: the same float32 as in predictions.csv."""
    own = features.of_fold(study, method, 1)
    table = pd.read_csv(features.run_of(study, method, 1).folder / "predictions.csv")
    written = table[[f"p_{name}" for name in own.expressions]].to_numpy(np.float32)
    assert np.array_equal(own.probabilities, written)
    assert own.samples["sample"].tolist() == table["sample"].tolist()
    assert own.samples[["truth", "predicted"]].equals(table[["truth", "predicted"]])
    assert set(own.subject) == set(study.folds.test_subjects[1])


def test_a_deviation_is_what_the_generator_leaves(study: gndl.Study, own: FoldFeatures) -> None:
    """Eq. 7, and its twin with the real neutral feature; the baseline has neither generator nor deviation."""
    assert own.f_gen is not None and own.deviation is not None and own.f_exam.shape == (len(own), 512)
    assert np.array_equal(own.deviation, own.f_exam - own.f_gen)
    assert np.array_equal(own.deviation_real, own.f_exam - own.f_neu)
    assert list(own.by_name) == ["F_exam", "deviation", "deviation, real neutral", "G(F_exam)", "F_neu"]
    baseline = features.of_fold(study, "baseline")
    assert list(baseline.by_name) == ["F_exam", "F_neu"] and baseline.probabilities_real is None


def test_the_gallery_holds_every_neutral_crop_once(study: gndl.Study, own: FoldFeatures) -> None:
    """Each sample's own neutral feature is what the network gives its neutral face, and the classifier its answer."""
    assert len(own.gallery) == len(np.unique(study.pairs.neutral_index))
    assert own.gallery_subject[own.own].tolist() == own.subject.tolist()
    network = features.load_network(study, features.run_of(study, "gndl", 0))
    batch = next(study.pairs.on("cpu", 16).evaluation_batches(own.pairs, 64, with_neutral=True))
    assert batch.neutral is not None
    with torch.no_grad():
        expected = network(batch.neutral).f_exam.numpy()
        real = network.classifier(torch.from_numpy(own.f_exam - expected)).softmax(1).numpy()  # type: ignore[operator]
    assert np.allclose(own.f_neu, expected, atol=1e-4)
    assert own.probabilities_real is not None and np.allclose(own.probabilities_real, real, atol=1e-4)


def test_neither_test_nor_development_subjects_are_trained_on(
    copied: gndl.Study, monkeypatch: pytest.MonkeyPatch, own: FoldFeatures
) -> None:
    """Two of six subjects are tested, and with development subjects two more are held out."""
    tested, held_out, trained = (set(copied.folds.test_subjects[fold]) for fold in (0, 1, 2))
    assert set(own.gallery_subject[own.gallery_trained]) == held_out | trained
    network = features.load_network(copied, features.run_of(copied, "gndl", 0))
    monkeypatch.setattr(features, "load_network", lambda *_: network)
    monkeypatch.setattr(features, "identity_key", lambda *_: "")
    _ = copied.pairs  # reading them deals the folds
    copied.folds = with_development(copied.folds)
    own = features.of_fold(copied)
    assert set(own.gallery_subject[own.gallery_trained]) == trained and set(own.subject) == tested


def test_what_is_missing_is_named_with_the_command_that_helps(copied: gndl.Study) -> None:
    """A fold that was never run, an imported method, and a run without weights: each its own sentence."""
    assert features.has_weights(copied, "gndl", 0) and not features.has_weights(copied, "gndl", 2)
    with pytest.raises(GndlError, match=r"fold 2 is not trained yet: study.train\(\['gndl'\], folds=\[2\]\)"):
        features.of_fold(copied, "gndl", 2)
    with pytest.raises(GndlError, match="imported"):
        features.of_fold(copied, "imported-poster")
    assert not features.has_weights(copied, "imported-poster", 0)
    (features.run_of(copied, "gndl", 0).folder / "weights.safetensors").unlink()
    assert not features.has_weights(copied, "gndl", 0) and features.has_weights(copied, "gndl", 1)
    with pytest.raises(GndlError, match="gndl train --profile smoke --databases ckplus --methods gndl --only-folds 0"):
        features.of_fold(copied, "gndl", 0)


class Small(Method):
    """Your own method with eight channels, a generator, and no deviation: half the feature is its guess."""

    def __init__(self, n_classes: int, depth: int = 2) -> None:
        super().__init__()
        self.depth = depth
        self.features = nn.Linear(3, 8)
        self.classifier = nn.Linear(8, n_classes)

    def forward(self, examined: Tensor, neutral: Tensor | None = None) -> Output:
        f_exam = self.features(examined.mean(dim=(2, 3)))
        shown = f_exam if self.depth == 2 else f_exam[:, :, None]
        return Output(logits=self.classifier(f_exam), f_exam=shown, f_gen=0.5 * shown)


def test_your_own_method_needs_nothing_but_its_output(copied: gndl.Study) -> None:
    """Any number of channels; the deviation is what its generator leaves; other shapes are refused in words."""
    small, deep = MethodSettings("small", "small", Small), MethodSettings("deep", "deep", Small, {"depth": 3})
    for method in (small, deep):
        copied.fit(features.run_of(copied, method, 0))
    found = features.of_fold(copied, small)
    assert found.f_exam.shape == (len(found), 8) and found.gallery.shape[1] == 8 and found.probabilities_real is None
    assert found.deviation is not None and np.allclose(found.deviation, found.f_exam / 2)
    with pytest.raises(GndlError, match=r"shape \(\d+, 8, 1\) as f_exam"):
        features.of_fold(copied, deep)


def test_a_method_of_whole_sequences_is_given_them_as_when_it_was_tested(copied: gndl.Study) -> None:
    """The probabilities are those of predictions.csv, in whatever order pairs are asked for."""
    method = MethodSettings("by-mean", "by-mean", SequenceMean, whole_sequences=True)
    run = features.run_of(copied, method, 0)
    copied.fit(run)
    own, table = features.of_fold(copied, method), pd.read_csv(run.folder / "predictions.csv")
    assert np.array_equal(own.probabilities, table[[f"p_{name}" for name in own.expressions]].to_numpy(np.float32))
    data, settings = copied.pairs.on("cpu", 16), copied.train_settings
    order = np.random.default_rng(0).permutation(len(own))
    mixed = features.outputs(features.load_network(copied, run), data, own.pairs[order], settings)
    assert np.allclose(mixed.logits.softmax(1), own.probabilities[order], atol=1e-6)
    assert np.allclose(mixed.f_exam, own.f_exam[order], atol=1e-6)
    assert own.gallery.shape == (len(np.unique(copied.pairs.neutral_index)), 3)
