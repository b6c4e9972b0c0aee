"""Features of finished runs are those of the very network, in the precision of its evaluation."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from planted_features import planted_study
from torch import Tensor, nn

from gndl.analysis.ensure import ensure_run, folds_with_weights, has_weights, one_run, retrained_folder
from gndl.analysis.features import FoldFeatures, fold_features, trained_network
from gndl.errors import GndlError
from gndl.methods import MethodSettings
from gndl.model import Method, Output
from gndl.prepare import Prepared
from gndl.runs import find_finished, fit_run, plan_runs


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Baseline and GNDL trained for one epoch on one fold; not to be written to."""
    made = planted_study(tmp_path_factory.mktemp("planted"), folds=1)
    for run in plan_runs(made):
        fit_run(made, run)
    return made


@pytest.fixture(scope="module")
def features(study: Prepared) -> dict[str, FoldFeatures]:
    """Both methods' features of the fold."""
    return {method: fold_features(study, method, None, 0) for method in ("gndl", "baseline")}


@pytest.mark.parametrize("method", ["gndl", "baseline"])
def test_probabilities_are_those_of_the_predictions_to_the_last_digit(
    study: Prepared, features: dict[str, FoldFeatures], method: str
) -> None:
    """The same network in the same precision and batches: the same float32 as in predictions.csv."""
    own = features[method]
    table = pd.read_csv(own.run.folder / "predictions.csv")
    written = table[[f"p_{name}" for name in own.expressions]].to_numpy(np.float32)
    assert np.array_equal(own.probabilities, written)
    assert table["sample"].tolist() == own.pairs.tolist() and table["truth"].tolist() == own.truth.tolist()
    assert set(own.subject) == {"S000", "S001"} and own.note == ""


def test_a_deviation_is_what_the_generator_leaves(features: dict[str, FoldFeatures]) -> None:
    """Eq. 7, and its twin with the real neutral feature; the baseline has neither generator nor deviation."""
    own = features["gndl"]
    assert own.f_gen is not None and own.deviation is not None and own.f_exam.shape == (12, 512)
    assert np.array_equal(own.deviation, own.f_exam - own.f_gen)
    assert np.array_equal(own.deviation_real, own.f_exam - own.f_neu)
    assert features["baseline"].f_gen is None and features["baseline"].deviation is None
    assert features["baseline"].probabilities_real is None


def test_the_gallery_holds_every_neutral_crop_once(study: Prepared, features: dict[str, FoldFeatures]) -> None:
    """Six crops of six subjects; each sample's own is the feature that the network gives its neutral face."""
    own = features["gndl"]
    assert own.gallery_crop.tolist() == list(range(6)) and own.gallery_subject.tolist() == [f"S00{k}" for k in range(6)]
    assert own.gallery_subject[own.own].tolist() == own.subject.tolist()
    network = trained_network(study, ensure_run(study, "gndl", None, 0))
    data = study.pairs.on("cpu", 32)
    batch = next(data.evaluation_batches(own.pairs, 64, with_neutral=True))
    assert batch.neutral is not None
    with torch.no_grad():
        expected = network(batch.neutral).f_exam.numpy()
        real = network.classifier(torch.from_numpy(own.f_exam - expected)).softmax(1).numpy()  # type: ignore[operator]
    assert np.allclose(own.f_neu, expected, atol=1e-4)
    assert own.probabilities_real is not None and np.allclose(own.probabilities_real, real, atol=1e-4)


def copied(study: Prepared, folder: Path) -> Prepared:
    """The same study in another folder, whose files may be changed."""
    shutil.copytree(study.request.out, folder / "study")
    return planted_study(folder / "study", folds=1)


def test_a_run_without_weights_is_trained_again_beside_the_data(
    study: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said which run; predictions come out the same; the study stays as it is; a second call trains nothing."""
    monkeypatch.setenv("GNDL_DATA", str(tmp_path / "data"))
    own = copied(study, tmp_path)
    run = one_run(own, "gndl", None, 0)
    (run.folder / "weights.safetensors").unlink()
    before = {path: path.read_bytes() for path in run.folder.iterdir()}
    assert not has_weights(own, run) and folds_with_weights(own, "gndl", None) == ()
    ensured = ensure_run(own, "gndl", None, 0)
    assert "gndl λ=5 fold 0: its weights are not kept" in capsys.readouterr().out
    finished = find_finished(own, run)
    assert finished is not None and ensured.folder == retrained_folder(finished)
    assert ensured.folder.is_relative_to(tmp_path / "data") and "the same predictions" in ensured.note
    assert {path: path.read_bytes() for path in run.folder.iterdir()} == before
    assert has_weights(own, run) and folds_with_weights(own, "gndl", None) == (0,)
    written = (ensured.folder / "run.json").stat().st_mtime_ns
    assert ensure_run(own, "gndl", None, 0) == ensured and capsys.readouterr().out == ""
    assert (ensured.folder / "run.json").stat().st_mtime_ns == written

    # Predictions of another processor: one answer and every probability a little off.
    table = pd.read_csv(run.folder / "predictions.csv")
    names = [f"p_{name}" for name in own.pairs.expressions]
    table[names] += 0.25
    table.loc[3, "predicted"] = next(name for name in own.pairs.expressions if name != table.loc[3, "predicted"])
    table.to_csv(run.folder / "predictions.csv", index=False)
    note = ensure_run(own, "gndl", None, 0).note
    assert "1 of 12 predictions differ, probabilities by at most 0.25" in note and "second training" in note


def test_a_missing_run_is_trained_in_its_place(
    study: Prepared, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fold 2 is not among those that the study runs; asked for, it is trained, and enters accuracy.csv."""
    own = copied(study, tmp_path)
    ensured = ensure_run(own, "baseline", None, 2)
    assert "baseline fold 2: is not in this study yet" in capsys.readouterr().out
    assert ensured.folder == own.folder / "baseline/lam-none/fold-2/seed-0" and ensured.note == ""
    accuracy = pd.read_csv(own.request.out / "accuracy.csv")
    assert ((accuracy["method"] == "baseline") & (accuracy["fold"] == 2)).sum() == 1


class Small(Method):
    """A method of one's own with eight channels, a generator, and no deviation: half the feature is its guess."""

    def __init__(self, n_classes: int, depth: int = 2) -> None:
        super().__init__()
        self.depth = depth
        self.features = nn.Linear(3, 8)
        self.classifier = nn.Linear(8, n_classes)

    def forward(self, examined: Tensor, neutral: Tensor | None = None) -> Output:
        f_exam = self.features(examined.mean(dim=(2, 3)))
        shown = f_exam if self.depth == 2 else f_exam[:, :, None]
        return Output(logits=self.classifier(f_exam), f_exam=shown, f_gen=0.5 * shown)


def test_a_method_of_ones_own_needs_nothing_but_its_output(study: Prepared, tmp_path: Path) -> None:
    """Any number of channels; the deviation is what its generator leaves; other shapes are refused in words."""
    own = copied(study, tmp_path)
    found = fold_features(own, MethodSettings("small", "small", Small), None, 0)
    assert found.f_exam.shape == (12, 8) and found.gallery.shape == (6, 8) and found.probabilities_real is None
    assert found.f_gen is not None and found.deviation is not None
    assert np.allclose(found.deviation, found.f_exam / 2)
    with pytest.raises(GndlError, match=r"shape \(12, 8, 1\) as f_exam"):
        fold_features(own, MethodSettings("deep", "deep", Small, {"depth": 3}), None, 0)
