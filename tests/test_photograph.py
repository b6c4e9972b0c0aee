"""Predicting one's own photographs with a trained run."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gndl import photograph
from gndl.align import Eyes, cut, geometry_from_eyes
from gndl.errors import GndlError
from gndl.eyes import FIRST_ATTEMPT, FoundEyes
from gndl.pairs import FacePairs
from gndl.photograph import crop_photograph, crop_settings_of, predict_photographs
from gndl.profiles import SMOKE, CropSettings, TrainSettings
from gndl.request import StudyRequest, save_request
from gndl.train import fit

EYES = Eyes((40.0, 50.0), (70.0, 52.0))
EXPRESSIONS = ("anger", "fear", "surprise")


@pytest.fixture
def a_face_at_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for the detector: a face at `EYES` in every picture that is not black."""

    def find(grey: np.ndarray) -> FoundEyes | None:
        return FoundEyes(EYES, 1.5, FIRST_ATTEMPT, 2 if grey[0, 0] == 200 else 1) if grey.any() else None

    monkeypatch.setattr(photograph, "find_eyes", find)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of GNDL trained for one epoch on noise, inside a study."""
    out = tmp_path_factory.mktemp("study")
    train = TrainSettings(image_size=32, epochs=1, batch_size=4)
    settings = dataclasses.replace(SMOKE, train=train, crop=CropSettings(size=32, eye_distance=0.3))
    save_request(StudyRequest(out, settings, {"manifest": "faces.csv"}))
    rng = np.random.default_rng(0)
    subjects = ("a", "a", "b", "b", "c", "c")
    pairs = FacePairs(
        rng.integers(0, 256, (12, 32, 32), dtype=np.uint8),
        np.arange(6),
        np.arange(6, 12),
        np.array([0, 1, 2, 0, 1, 2]),
        subjects,
        subjects,
        subjects,
        EXPRESSIONS,
    )
    folder = out / "manifest" / "gndl" / "lam-5" / "fold-0" / "seed-0"
    fit("gndl", pairs, np.arange(4), np.array([4, 5]), train, run_folder=folder, lam=5.0, show_progress=False)
    return folder


def save(path: Path, seed: int = 0) -> Path:
    """Save a noisy picture, 100 × 120."""
    picture = np.random.default_rng(seed).integers(0, 199, (100, 120, 3)).astype(np.uint8)
    Image.fromarray(picture).save(path)
    return path


def test_a_photograph_is_cropped_as_the_study_crops(tmp_path: Path, a_face_at_its_place: None) -> None:
    """The same geometry from the eyes, from a file and from an array."""
    path, settings = save(tmp_path / "me.png"), CropSettings(size=48)
    picture = np.asarray(Image.open(path))
    crop = crop_photograph(path, settings)
    assert np.array_equal(crop.image, cut(picture, geometry_from_eyes(EYES, settings)))
    assert np.array_equal(crop.image, crop_photograph(picture, settings).image)
    assert (crop.faces, crop.note) == (1, "")


def test_the_orientation_that_a_camera_noted_is_honoured(tmp_path: Path, a_face_at_its_place: None) -> None:
    """A photograph stored on its side, with EXIF orientation 6, gives the crop of the upright one."""
    upright = save(tmp_path / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90° clockwise for viewing
    Image.open(upright).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "stored.png", exif=exif)
    crops = [crop_photograph(path, CropSettings(size=48)).image for path in (upright, tmp_path / "stored.png")]
    assert np.array_equal(*crops)


def test_one_of_several_faces_is_taken_and_it_is_said(tmp_path: Path, a_face_at_its_place: None) -> None:
    """The note counts the faces."""
    crop = crop_photograph(np.full((100, 120), 200, np.uint8), CropSettings(size=48))
    assert crop.faces == 2 and "2 faces were found and the largest was taken" in crop.note


def test_a_photograph_without_a_face_is_named(tmp_path: Path) -> None:
    """The real detector finds none in noise."""
    with pytest.raises(GndlError, match=r"nobody\.png: no face was found"):
        crop_photograph(save(tmp_path / "nobody.png"))


@pytest.mark.parametrize("content", [b"", b"no picture", None])
def test_a_file_that_is_no_picture_is_named(tmp_path: Path, content: bytes | None) -> None:
    """Empty, text, or absent."""
    path = tmp_path / "letter.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(GndlError, match=r"letter\.jpg"):
        crop_photograph(path)


def test_probabilities_of_a_run(tmp_path: Path, run: Path, a_face_at_its_place: None) -> None:
    """One row a photograph, one probability a class, the largest named; each row is that of its photograph alone."""
    paths = [save(tmp_path / f"{seed}.png", seed) for seed in range(3)]
    table = predict_photographs(paths, run, "cpu")
    columns = [f"p_{expression}" for expression in EXPRESSIONS]
    assert list(table.columns) == ["photograph", "predicted", *columns, "faces", "note"]
    np.testing.assert_allclose(table[columns].sum(axis=1), 1, atol=1e-6)
    assert list(table["predicted"]) == [EXPRESSIONS[best] for best in table[columns].to_numpy().argmax(axis=1)]
    alone = predict_photographs(paths[1:2], run, "cpu")
    np.testing.assert_allclose(alone[columns].iloc[0].astype(float), table[columns].iloc[1].astype(float), atol=1e-5)


def test_the_runs_own_crop_settings_are_used(run: Path) -> None:
    """They come from study.json; a folder outside a study is named."""
    assert crop_settings_of(run) == CropSettings(size=32, eye_distance=0.3)
    with pytest.raises(GndlError, match="holds no study"):
        crop_settings_of(run.parents[1])
    study = run.parents[4]
    assert crop_settings_of(study / "across/ckplus-to-mmi/gndl/lam-5/fold-0/seed-0") == crop_settings_of(run)


def test_a_run_without_weights_is_named(tmp_path: Path, run: Path, a_face_at_its_place: None) -> None:
    """Weights may be absent from a copy; the message says whose."""
    copy = tmp_path / "study" / Path(*run.parts[-5:])
    copy.mkdir(parents=True)
    for name in ("run.json", "epochs.csv", "predictions.csv"):
        (copy / name).write_bytes((run / name).read_bytes())
    with pytest.raises(GndlError, match="seed-0"):
        predict_photographs([save(tmp_path / "me.png")], copy, "cpu")
    with pytest.raises(GndlError, match="holds no finished run"):
        predict_photographs([save(tmp_path / "me.png")], tmp_path, "cpu")


def test_a_run_that_needs_the_neutral_face_is_refused(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A photograph has none."""
    record = json.loads((run / "run.json").read_text()) | {"needs_neutral_at_test": True}
    monkeypatch.setattr(photograph, "load_method", lambda folder: (None, record))
    with pytest.raises(GndlError, match="neutral face"):
        predict_photographs([save(tmp_path / "me.png")], run, "cpu")
