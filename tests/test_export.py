"""An exported run gives other programs what PyTorch gives, and its card says what it was trained on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from planted import planted_pairs

from gndl import cli
from gndl.bench_commands import Export
from gndl.checkpoint import read_weights
from gndl.errors import GndlError
from gndl.files import write_json
from gndl.licence import LICENSED_FACES
from gndl.methods import build_method
from gndl.profiles import TrainSettings
from gndl.sharing import export
from gndl.sharing.export import FromBytes, default_folder, describe, export_run, precision_gap, trial_faces
from gndl.sharing.export_card import card_text, warning_line
from gndl.train import evaluate, fit, load_method

ort = pytest.importorskip("onnxruntime", reason="the extra gndl[export]")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch on planted faces that count as rendered."""
    folder = tmp_path_factory.mktemp("study") / "runs" / "tiny" / "ckplus" / "gndl" / "lam-5" / "fold-0" / "seed-0"
    pairs = planted_pairs(18)
    subjects = np.array(pairs.subject)
    train, test = np.flatnonzero(subjects != "S000"), np.flatnonzero(subjects == "S000")
    fit(
        "gndl", pairs, train, test, TrainSettings(image_size=16, epochs=1, batch_size=8, checkpoint_every=0),
        run_folder=folder, lam=5.0, identity={"database": "ckplus", "source": "rendered"}, show_progress=False,
    )  # fmt: skip
    return folder


def test_onnx_runtime_gives_the_probabilities_of_the_study(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From bytes to probabilities, for any number of faces, within 1e-4 of the study's own evaluation."""
    assert cli.run(Export(str(run), str(tmp_path))) == 0
    assert "These weights have seen rendered stand-in faces only" in capsys.readouterr().out
    method, record = load_method(run)
    pairs = planted_pairs(18)
    data = pairs.on("cpu", 16)
    index = np.arange(5)
    expected = evaluate(method, data, index).softmax(1).numpy()
    session = ort.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    faces = data.images[data.examined_index[:5]].numpy()
    found = session.run(["probabilities"], {"faces": faces})[0]
    assert found.shape == (5, 3) and np.abs(found - expected).max() < 1e-4
    assert torch.equal(read_weights(tmp_path)["classifier.weight"], method.state_dict()["classifier.weight"])
    about = json.loads((tmp_path / "model.json").read_text(encoding="utf-8"))
    assert about["largest_difference_to_pytorch"] <= export.TOLERANCE and about["source"] == "rendered"
    assert about["classes"] == record["expressions"] and about["input"]["shape"] == ["batch", 16, 16]
    card = (tmp_path / "MODEL-CARD.md").read_text(encoding="utf-8")
    for words in ("rendered stand-in faces only", "anger, happiness, surprise", "batch × 16 × 16", "## Limits", "grey"):
        assert words in card


def test_weights_of_licensed_faces_carry_a_warning_and_rendered_ones_do_not(run: Path) -> None:
    """Whose faces were trained on is the first thing that a card says."""
    _, record = load_method(run)
    for source, words, line in (
        ("licensed", "licensed copy of CK+", 2), ("own", "pictures of people", 2), ("rendered", "faces of nobody", 2),
    ):  # fmt: skip
        record["identity"]["extra"]["source"] = source
        about = describe(record, 16, 1e-6, 0.01)
        card = card_text(about).splitlines()
        assert words in card[line] and card[line] == warning_line(source, "ckplus")
        assert ("WARNING" in card[line]) == (source != "rendered")
        assert any("differed by 0.01" in one for one in card)
    record["identity"]["extra"] |= {"source": "licensed", "database": "ckplus+mmi-to-oulu_casia"}
    card = card_text(describe(record, 16, 1e-6, None))
    assert "licensed copy of CK+ and MMI" in card and "of Oulu-CASIA, on which it was not trained" in card


def test_an_export_of_a_licensed_run_is_labelled_and_one_of_a_rendered_run_is_not(run: Path, tmp_path: Path) -> None:
    """The file that model.json names lies there, and says what was trained on."""
    licensed = shutil.copytree(run, tmp_path / "run")
    record = json.loads((licensed / "run.json").read_text())
    record["identity"]["extra"] |= {"source": "licensed", "database": "ckplus+mmi-to-oulu_casia"}
    write_json(licensed / "run.json", record)
    export_run(licensed, tmp_path / "out")
    named = json.loads((tmp_path / "out" / "model.json").read_text(encoding="utf-8"))["labelled"]
    words = (tmp_path / "out" / named).read_text()
    assert named == LICENSED_FACES and "weights trained on faces of a licensed copy of CK+ and MMI." in words
    export_run(run, tmp_path / "rendered")
    assert not (tmp_path / "rendered" / LICENSED_FACES).exists()


def test_an_export_that_differs_from_pytorch_writes_nothing(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A graph that computes something else is refused, and says by how much."""
    monkeypatch.setattr(export, "write_onnx", lambda network, faces, path: path.write_bytes(b"graph"))
    monkeypatch.setattr(export, "largest_difference", lambda network, graph, batches: 0.02)
    with pytest.raises(GndlError, match=r"differs from PyTorch by 0\.02"):
        export_run(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_default_folder_lies_beside_the_study(run: Path, tmp_path: Path) -> None:
    """So that no bundle of a study takes weights along; a run outside a study has to be told where to."""
    assert default_folder(run) == run.parents[5] / "exports" / "tiny-ckplus-gndl-lam-5-fold-0-seed-0"
    across = tmp_path / "across/across/ckplus+mmi-to-oulu_casia/gndl/lam-5/fold-0/seed-0"  # a study of this name
    name = "across-across-ckplus+mmi-to-oulu_casia-gndl-lam-5-fold-0-seed-0"
    assert default_folder(across) == tmp_path / "exports" / name
    with pytest.raises(GndlError, match="--out"):
        default_folder(Path("/run"))


def test_colour_crops_and_bf16_runs_are_taken_as_they_are() -> None:
    """Channels keep their order: red is normalised as red; what bf16 changes is measured, and nothing for fp32."""
    settings = {"input_mean": (0.1, 0.2, 0.3), "input_std": (0.5, 0.5, 1.0)}
    seen: list[torch.Tensor] = []
    network = FromBytes(build_method("gndl", 3, 5.0).eval(), settings, colour=True).eval()
    network.method.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    face = torch.tensor([255, 0, 51], dtype=torch.uint8).expand(1, 16, 16, 3)
    with torch.no_grad():
        network(face)
    assert torch.allclose(seen[0][0, :, 0, 0], torch.tensor([1.8, -0.4, -0.1]), atol=1e-6)
    faces = trial_faces(2, 16, colour=True)
    assert faces.shape == (2, 16, 16, 3) and faces.dtype == torch.uint8
    gap = precision_gap(network, faces, "bf16")
    assert gap is not None and 0 < gap < 0.2 and precision_gap(network, faces, "fp32") is None
