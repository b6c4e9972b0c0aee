"""Landmarks of CK+ are used for every frame taken or for none; between equal folders nothing is guessed."""

from __future__ import annotations

import shutil

import pytest
from layouts import landmark_lines, write_ckplus, write_picture, write_text

from gndl import crop_sequence
from gndl.align import Eyes
from gndl.crop import prepare_crops
from gndl.databases import audit, read_database
from gndl.errors import GndlError
from gndl.eyes import FIRST_ATTEMPT, FoundEyes
from gndl.profiles import CropSettings
from gndl.sequences import Database

IMAGES = "cohn-kanade-images"


def messages(database: Database, kind: str) -> dict[str, str]:
    """Findings of one kind: file name → message."""
    return {finding.path.name: finding.message for finding in database.findings if finding.kind == kind}


def one(database: Database, name: str):
    """The sequence of that name."""
    return next(sequence for sequence in database.sequences if sequence.sequence == name)


def test_one_missing_landmark_file_means_none_is_used(tmp_path):
    """Landmarks are used for all frames taken or for none, never a mixture, and the missing file is named."""
    write_ckplus(tmp_path)
    (tmp_path / "Landmarks/S010/002/S010_002_00000005_landmarks.txt").unlink()
    database = read_database("ckplus", tmp_path)
    assert all(frame.landmarks is None for s in database.sequences for frame in (s.neutral, *s.examined, *s.frames))
    found = messages(database, "problem")
    assert found["S010_002_00000005.png"].startswith("no landmark file; ")
    assert "1 of the 24 frames taken" in found["Landmarks"] and "found by detection" in found["Landmarks"]


def test_a_landmark_file_missing_from_a_frame_not_taken_changes_nothing(tmp_path):
    """Frames between the first and the last three need no landmarks."""
    write_ckplus(tmp_path)
    (tmp_path / "Landmarks/S010/002/S010_002_00000002_landmarks.txt").unlink()
    database = read_database("ckplus", tmp_path)
    assert all(f.landmarks for s in database.sequences for f in (s.neutral, *s.examined))


def test_a_copy_without_landmarks_is_read(tmp_path):
    """Landmarks are a download of their own; without it the copy is usable and says that faces are detected."""
    write_ckplus(tmp_path)
    (tmp_path / "Landmarks").rename(tmp_path.parent / f"{tmp_path.name}-landmarks")
    database = read_database("ckplus", tmp_path)
    assert len(database.sequences) == 6
    assert any("found by detection" in f.message for f in database.findings)


EYES_OUTSIDE, EYES_COINCIDING = "300 200\n" * 68, "30 20\n" * 68


@pytest.mark.parametrize(
    "content",
    [
        EYES_OUTSIDE,
        EYES_COINCIDING,
        landmark_lines(67),
        landmark_lines(69),
        landmark_lines(67) + "nan 1\n",
        "x y\n",
        "",
    ],
)
def test_a_malformed_landmark_file_counts_as_missing(tmp_path, content):
    """A file without 68 finite points, or without two eyes in its picture, is named, and none is used at all."""
    write_ckplus(tmp_path)
    write_text(tmp_path / "Landmarks/S005/001/S005_001_00000001_landmarks.txt", content)
    database = read_database("ckplus", tmp_path)
    assert messages(database, "problem")["S005_001_00000001_landmarks.txt"].startswith("not usable")
    assert one(database, "S010_001").neutral.landmarks is None


@pytest.mark.parametrize("content", [None, EYES_OUTSIDE, EYES_COINCIDING])
def test_what_the_check_lets_pass_the_crop_stage_takes(tmp_path, monkeypatch, capsys, content):
    """One file that is missing, or gives no two eyes, sends every frame to the detector, and that is said."""
    root = write_ckplus(tmp_path / "db")
    file = root / "Landmarks/S005/001/S005_001_00000006_landmarks.txt"
    file.unlink() if content is None else write_text(file, content)
    assert audit(root, "ckplus").ok
    found = FoundEyes(Eyes((20, 30), (40, 30)), 1.0, FIRST_ATTEMPT, 1)
    monkeypatch.setattr(crop_sequence, "find_eyes", lambda *_, **__: found)
    crops = prepare_crops(read_database("ckplus", root), CropSettings(size=8), tmp_path / "crops")
    assert set(crops.table["how"]) == {FIRST_ATTEMPT}
    said = capsys.readouterr().err
    assert "not every frame taken has a usable landmark file" in said and "0 of" not in said


def copy_of_the_frames(root, name, size=(64, 64)):
    """A second folder of all frames, as people derive them."""
    for path in sorted((root / IMAGES).rglob("*.png")):
        write_picture(root / name / path.relative_to(root / IMAGES), size=size)


def test_of_equal_folders_the_one_called_as_distributed_is_used(tmp_path):
    """Derived frames under the same names do not win by their folder's place in the alphabet."""
    copy_of_the_frames(write_ckplus(tmp_path), "aligned")
    database = read_database("ckplus", tmp_path)
    assert database.folders["images"] == tmp_path / IMAGES
    assert messages(database, "problem")["aligned"].startswith("a second folder of images (36 files)")


def test_of_equal_folders_without_telling_name_the_landmarks_decide(tmp_path):
    """Landmarks belong to the frames in which they put two eyes."""
    copy_of_the_frames(write_ckplus(tmp_path), "aligned", size=(24, 24))
    (tmp_path / IMAGES).rename(tmp_path / "frames")
    assert read_database("ckplus", tmp_path).folders["images"] == tmp_path / "frames"


@pytest.mark.parametrize("folder", [IMAGES, "Emotion", "Landmarks"])
def test_equal_folders_that_nothing_tells_apart_are_an_error_unless_they_are_copies(tmp_path, folder):
    """Nothing is chosen by the alphabet; a plain copy changes nothing and is a problem by name."""
    write_ckplus(tmp_path)
    shutil.copytree(tmp_path / folder, tmp_path / "old" / folder)
    assert messages(read_database("ckplus", tmp_path), "problem")[folder].startswith("a second folder")
    first = min(path for path in (tmp_path / "old" / folder).rglob("*") if path.is_file())
    first.write_bytes(first.read_bytes() + b" ")
    with pytest.raises(GndlError, match="which ones are meant cannot be told"):
        read_database("ckplus", tmp_path)
