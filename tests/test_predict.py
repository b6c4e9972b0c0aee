"""Your own photo: cropped as the study crops, and given probabilities by a trained run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import open_trained
from PIL import Image
from planted import SequenceMean

from gndl import cli, predict
from gndl.export import FromBytes
from gndl.eyes import FIRST_ATTEMPT, SECOND_ATTEMPT, Eyes, FoundEyes, cut, geometry_from_eyes
from gndl.files import GndlError, write_json
from gndl.frames import as_grey
from gndl.model import Output
from gndl.pairs import downscale
from gndl.predict import crop_photograph, crop_settings_of, predict_photographs
from gndl.profiles import CropSettings

EYES = Eyes((40.0, 50.0), (70.0, 52.0))


@pytest.fixture
def a_face_at_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for the detector: a face at `EYES`, and a second one in bright pictures."""

    def find(grey: np.ndarray) -> FoundEyes | None:
        bright = bool((grey == 200).all())
        if (grey == 0).all():
            return None
        return FoundEyes(EYES, 1.5, SECOND_ATTEMPT, 2, 0.2) if bright else FoundEyes(EYES, 1.5, FIRST_ATTEMPT, 1)

    monkeypatch.setattr(predict, "find_eyes", find)


@pytest.fixture
def run(trained_study: Path) -> Path:
    return trained_study / "study/ckplus/gndl/lam-5/fold-0/seed-0"


def save(path: Path, seed: int = 0) -> Path:
    """Save a noisy picture, 100 × 120."""
    picture = np.random.default_rng(seed).integers(0, 199, (100, 120, 3)).astype(np.uint8)
    Image.fromarray(picture).save(path)
    return path


def test_a_photo_is_cropped_as_the_study_crops(tmp_path: Path, a_face_at_its_place: None) -> None:
    """The same geometry from the eyes, from a file and from an array; a choice among faces is noted."""
    path, settings = save(tmp_path / "me.png"), CropSettings(size=48)
    picture = np.asarray(Image.open(path))
    crop = crop_photograph(path, settings)
    assert np.array_equal(crop.image, cut(picture, geometry_from_eyes(EYES, settings)))
    assert np.array_equal(crop.image, crop_photograph(picture, settings).image)
    assert (crop.faces, crop.note) == (1, "")
    bright = crop_photograph(np.full((100, 120), 200, np.uint8), settings)
    assert (bright.faces, bright.score, bright.eyes) == (2, 1.5, EYES)
    for words in ("2 faces found, the largest clear one was used", "the eyes are uncertain", "enlarging"):
        assert words in bright.note
    assert crop_photograph(picture).image.shape[0] == CropSettings().size


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((9, 9, 3)), r"float64 \(9, 9, 3\); pass uint8 .*255 \* x"),
        (np.zeros((9, 9), np.uint16), "uint16"),
        (np.zeros((9, 9, 4), np.uint8), r"\(9, 9, 4\).*x\[\.\.\., :3\]"),
        (np.zeros((1, 9, 9, 3), np.uint8), r"\(1, 9, 9, 3\)"),
        (np.zeros(9, np.uint8), r"\(9,\)"),
        (np.zeros((0, 9), np.uint8), r"\(0, 9\)"),
    ],
)
def test_an_array_that_is_not_taken_is_told_what_is(array: np.ndarray, words: str) -> None:
    """Floats, 16 bits, four channels, a batch, nothing."""
    with pytest.raises(GndlError, match=words):
        crop_photograph(array)


def test_a_photo_without_a_face_is_named(tmp_path: Path) -> None:
    """The real detector finds none in noise; text is not a picture."""
    with pytest.raises(GndlError, match=r"nobody\.png: no face found"):
        crop_photograph(save(tmp_path / "nobody.png"))
    (tmp_path / "letter.jpg").write_text("Dear reader")
    for name in ("letter.jpg", "absent.jpg"):
        with pytest.raises(GndlError, match=name):
            crop_photograph(tmp_path / name)


def test_every_photo_gets_the_probabilities_of_the_run(
    tmp_path: Path, run: Path, a_face_at_its_place: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """One row a photo, the largest named; each row is that of its photo alone; a run on stand-ins says so."""
    paths = [save(tmp_path / f"{seed}.png", seed) for seed in range(3)]
    classes = json.loads((run / "run.json").read_text())["expressions"]
    table = predict_photographs(run, paths, "cpu")
    columns = [f"p_{name}" for name in classes]
    assert list(table.columns) == ["photograph", "predicted", *columns, "faces", "note"]
    np.testing.assert_allclose(table[columns].sum(axis=1), 1, atol=1e-6)
    assert list(table["predicted"]) == [classes[best] for best in table[columns].to_numpy().argmax(axis=1)]
    alone = predict_photographs(run, [np.asarray(Image.open(paths[1]))], "cpu")
    np.testing.assert_allclose(alone[columns].iloc[0].astype(float), table[columns].iloc[1].astype(float), atol=1e-5)
    assert cli.predict((str(paths[0]),), str(run), "cpu") == 0
    said = capsys.readouterr().out
    assert str(paths[0]) in said and "synthetic faces only" in said


def test_one_bad_photo_of_many_keeps_its_row_and_loses_no_answer(
    tmp_path: Path, run: Path, a_face_at_its_place: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """A WebP is read, text and a picture without a face are not, and their notes say why; exit status 1."""
    good = [save(tmp_path / "a.png", 0), save(tmp_path / "c.webp", 2)]
    letter, nobody = tmp_path / "letter.jpg", tmp_path / "nobody.png"
    letter.write_text("Dear reader")
    Image.new("L", (90, 90)).save(nobody)
    table = predict_photographs(run, [good[0], letter, good[1], nobody], "cpu")
    assert table["photograph"].tolist() == [str(path) for path in (good[0], letter, good[1], nobody)]
    assert table["predicted"].eq("").tolist() == table["p_fear"].isna().tolist() == [False, True, False, True]
    assert table["faces"].tolist() == [1, 0, 1, 0] and table["note"][0] == ""
    assert "cannot be read as a picture" in table["note"][1] and "no face found" in table["note"][3]
    alone, columns = predict_photographs(run, good, "cpu"), [name for name in table if name.startswith("p_")]
    assert np.array_equal(table.loc[[0, 2], columns].to_numpy(float), alone[columns].to_numpy(float))
    assert cli.predict((str(good[0]), str(letter)), str(run), "cpu") == 1
    assert "letter.jpg" in capsys.readouterr().out
    with pytest.raises(GndlError, match=r"(?s)letter\.jpg.*nobody\.png: no face"):
        predict_photographs(run, [letter, nobody], "cpu")


def test_a_photo_that_is_a_training_crop_gets_the_training_probabilities(
    trained_study: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the bit, from the frames' own files: cut, scaled, normalised and evaluated as in the study."""
    study = open_trained(trained_study)
    kept = pd.read_csv(run / "predictions.csv")
    crops = study.crops.table[study.crops.table["role"] != "neutral"].reset_index(drop=True).loc[kept["sample"]]
    places = iter(crops[["left_eye_x", "left_eye_y", "right_eye_x", "right_eye_y"]].to_numpy().tolist())

    def find(_: np.ndarray) -> FoundEyes:
        x, y, other_x, other_y = next(places)
        return FoundEyes(Eyes((x, y), (other_x, other_y)), 1.0, FIRST_ATTEMPT, 1)

    monkeypatch.setattr(predict, "find_eyes", find)
    table = predict_photographs(run, [study.database.root / file for file in crops["source_file"]], "cpu")
    columns = [f"p_{name}" for name in study.classes]
    assert table["predicted"].tolist() == kept["predicted"].tolist()
    assert np.array_equal(table[columns].to_numpy(np.float32), kept[columns].to_numpy(np.float32))


def test_the_runs_own_size_and_normalisation_are_used(
    tmp_path: Path, run: Path, a_face_at_its_place: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mean, a standard deviation and a size that no other run has, and colour where it was trained in colour."""
    record = json.loads((run / "run.json").read_text())
    own = {"image_size": 12, "input_mean": [0.1, 0.2, 0.3], "input_std": [0.5, 0.25, 0.2]}
    seen: list[torch.Tensor] = []

    class Watching(SequenceMean):
        whole_sequences = False

        def forward(self, examined: torch.Tensor, neutral: object = None) -> Output:  # type: ignore[override]
            assert neutral is None
            seen.append(examined)
            return Output(logits=self.classifier(examined.mean(dim=(2, 3))), f_exam=examined)

    photo = save(tmp_path / "me.png")
    for colour in (True, False):
        other = record | {"settings": record["settings"] | own, "colour": colour}
        method = Watching(len(record["expressions"])).eval()
        monkeypatch.setattr("gndl.train.load_method", lambda _, method=method, other=other: (method, other))
        predict_photographs(run, [photo], "cpu")
        image = crop_photograph(photo, crop_settings_of(run)).image
        small = downscale((image if colour else as_grey(image))[None], 12)[0] / 255
        small = small if colour else np.repeat(small[..., None], 3, axis=2)
        expected = (small - own["input_mean"]) / own["input_std"]
        np.testing.assert_allclose(seen[-1][0].permute(1, 2, 0), expected, atol=1e-6)


def test_a_method_of_whole_sequences_takes_each_photo_for_one(
    tmp_path: Path, run: Path, a_face_at_its_place: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row is that of its photo alone, also of arrays without a name; an exported graph does the same."""
    record = json.loads((run / "run.json").read_text())
    method = SequenceMean(len(record["expressions"])).eval()
    monkeypatch.setattr("gndl.train.load_method", lambda _: (method, record))
    photos = [np.asarray(Image.open(save(tmp_path / f"{seed}.png", seed))) // (seed + 1) for seed in range(2)]
    together, alone = (predict_photographs(run, some, "cpu").filter(like="p_") for some in (photos, photos[1:]))
    np.testing.assert_allclose(together.iloc[1], alone.iloc[0], atol=1e-6)
    faces = torch.tensor(np.stack([np.full((16, 16), shade, np.uint8) for shade in (0, 255)]))
    exported = FromBytes(method, record["settings"], colour=False)
    torch.testing.assert_close(exported(faces)[0][1:], exported(faces[1:])[0])


def test_the_runs_own_crop_settings_are_used(run: Path) -> None:
    """They are read from study.json, also for a run across databases; a folder outside a study is named."""
    study = run.parents[4]
    assert crop_settings_of(run) == CropSettings(size=48)
    assert crop_settings_of(study / "across/ckplus-to-mmi/gndl/lam-5/fold-0/seed-0") == CropSettings(size=48)
    with pytest.raises(GndlError, match="is not in a study"):
        crop_settings_of(run.parents[1])


def test_a_run_that_cannot_predict_is_named(tmp_path: Path, run: Path, a_face_at_its_place: None) -> None:
    """One that needs the neutral face, which a photo lacks."""
    photo = save(tmp_path / "me.png")
    copy = shutil.copytree(run, tmp_path / "study" / Path(*run.parts[-5:]))
    write_json(copy / "run.json", json.loads((copy / "run.json").read_text()) | {"needs_neutral_at_test": True})
    with pytest.raises(GndlError, match="neutral face"):
        predict_photographs(copy, [photo], "cpu")
