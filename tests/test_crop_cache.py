"""The cache of crops: read while nothing changed, made again for everything that could change a pixel."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import av
import dlib
import PIL
import pytest
from marked import RIGHT, SMALL, landmark_file, make_database, marked, two_subjects
from PIL import Image
from test_files import NO_UTF8

from gndl import crop, crop_identity, frames_reading, source_hashes
from gndl.crop import Crops, pairs_from_crops, prepare_crops
from gndl.errors import GndlError
from gndl.profiles import CropSettings
from gndl.sequences import Database, FrameRef


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """Two subjects, three sequences of five frames, with landmarks."""
    return two_subjects(tmp_path / "db")


def _bytes(crops: Crops) -> tuple[bytes, bytes]:
    return (crops.folder / "images.npy").read_bytes(), (crops.folder / "crops.csv").read_bytes()


def test_the_cache_is_read_while_nothing_changed(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second call opens the same folder and reads neither picture nor landmarks, not even to hash them."""
    first = prepare_crops(database, SMALL, tmp_path / "crops")
    before = _bytes(first)
    for module, name in (
        (frames_reading, "read_image"),
        (frames_reading, "read_landmarks"),
        (source_hashes, "hash_file"),
        (crop, "crop_subject"),
    ):
        monkeypatch.setattr(module, name, lambda *_, name=name: pytest.fail(f"{name} was called"))
    second = prepare_crops(database, SMALL, tmp_path / "crops")
    assert second.hash == first.hash and _bytes(second) == before
    assert second.table.equals(first.table)


@pytest.mark.parametrize("module", ["align", "crop_sequence", "eyes", "frames_reading"])
def test_crops_of_other_code_are_not_reused(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    """Whatever makes the pixels counts as it runs: a line of code makes new crops, a comment does not."""
    by_landmarks = module != "eyes"
    folder = shutil.copytree(Path(crop_identity.__file__).parent, tmp_path / "gndl", ignore=lambda *_: ["standins"])
    source = folder / f"{module}.py"

    def hashed() -> str:
        return crop_identity.hash_of_crops(database, SMALL, by_landmarks, {}, database.root)

    first = hashed()
    monkeypatch.setattr(crop_identity, "__file__", str(folder / "crop_identity.py"))
    with source.open("a") as file:
        file.write("# a comment\n")
    assert hashed() == first
    with source.open("a") as file:
        file.write("SIDE = 1\n")
    assert hashed() != first


def test_crops_of_another_library_are_not_reused(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow always counts; dlib only where it searches, and the codecs only where there is a clip."""

    def hashed(by_landmarks: bool) -> str:
        return crop_identity.hash_of_crops(database, SMALL, by_landmarks, {}, database.root)

    before = hashed(True), hashed(False)
    monkeypatch.setattr(av, "__version__", "0")
    assert (hashed(True), hashed(False)) == before
    monkeypatch.setattr(dlib, "__version__", "0")
    assert hashed(True) == before[0] and hashed(False) != before[1]
    monkeypatch.setattr(PIL, "__version__", "0")
    assert hashed(True) != before[0]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("images.npy", None),
        ("images.npy", 500),
        ("images.npy", 0),
        ("crops.csv", None),
        ("crops.csv", 300),
        ("crops.json", None),
        ("crops.json", 20),
    ],
)
def test_a_damaged_cache_is_made_again(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: int | None
) -> None:
    """A file that is missing or cut off: it is said, and the crops are those that were there."""
    first = prepare_crops(database, SMALL, tmp_path / "crops")
    before, damaged = _bytes(first), first.folder / name
    if content is None:
        damaged.unlink()
    else:
        damaged.write_bytes(damaged.read_bytes()[:content])
    again = prepare_crops(database, SMALL, tmp_path / "crops")
    assert _bytes(again) == before and again.hash == first.hash
    assert f"{first.folder}: is damaged" in capsys.readouterr().err


def test_folders_whose_names_are_no_utf8_are_cropped(tmp_path: Path) -> None:
    """Above the database and inside it; the crops are found again under the same name."""
    database = two_subjects(tmp_path / NO_UTF8 / "db" / NO_UTF8)
    database = replace(database, root=database.root.parent)
    for _ in range(2):
        crops = prepare_crops(database, SMALL, tmp_path / NO_UTF8 / "crops")
        assert len(pairs_from_crops(database, crops)) == 9
        assert crops.table["source_file"][0] == f"{NO_UTF8}/S001_001/S001_001_00000001.png"


def test_a_changed_input_or_setting_rebuilds(database: Database, tmp_path: Path) -> None:
    """Settings, a landmark file or a picture: each gives another hash, a mere touch does not."""
    first = prepare_crops(database, SMALL, tmp_path / "crops")
    other = prepare_crops(database, replace(SMALL, eye_distance=0.35), tmp_path / "crops")
    frame = database.sequences[0].neutral
    os.utime(frame.path, (1, 1))
    assert prepare_crops(database, SMALL, tmp_path / "crops").hash == first.hash
    status = frame.path.stat()
    Image.fromarray(marked(seed=77)).save(frame.path)
    os.utime(frame.path, ns=(status.st_atime_ns, status.st_mtime_ns))  # an old date does not hide new content
    picture = prepare_crops(database, SMALL, tmp_path / "crops")
    assert frame.landmarks is not None
    landmark_file(frame.landmarks, (31, 40), RIGHT)
    marks = prepare_crops(database, SMALL, tmp_path / "crops")
    assert len({first.hash, other.hash, picture.hash, marks.hash}) == 4


def test_a_moved_database_needs_no_new_crops(database: Database, tmp_path: Path) -> None:
    """Paths count relative to the root only."""
    first = prepare_crops(database, SMALL, tmp_path / "crops")
    shutil.move(database.root, tmp_path / "elsewhere")

    def moved(frame: FrameRef) -> FrameRef:
        assert frame.landmarks is not None
        new = tmp_path / "elsewhere" / frame.path.relative_to(database.root)
        return FrameRef(new, landmarks=new.with_suffix(".txt"))

    sequences = tuple(
        replace(s, neutral=moved(s.neutral), examined=tuple(map(moved, s.examined)), frames=tuple(map(moved, s.frames)))
        for s in database.sequences
    )
    again = prepare_crops(
        replace(database, root=tmp_path / "elsewhere", sequences=sequences), SMALL, tmp_path / "crops"
    )
    assert again.hash == first.hash
    assert again.key(sequences[0].neutral) == first.key(database.sequences[0].neutral)


def test_of_an_unchanged_database_no_picture_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory of hashes makes the second look cheap: no file is hashed and no face is cropped."""
    picture = marked()
    names = [f"S{i // 10:03d}_{i % 10:03d}" for i in range(20)]
    database = make_database(tmp_path / "db", {name: [picture] * 4 for name in names})
    prepare_crops(database, CropSettings(size=8), tmp_path / "crops")

    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError("a picture was read again")

    monkeypatch.setattr("gndl.source_hashes.hash_file", refuse)
    monkeypatch.setattr("gndl.crop.crop_subject", refuse)
    prepare_crops(database, CropSettings(size=8), tmp_path / "crops")
    marked_anew = database.sequences[0].neutral.path
    marked_anew.write_bytes(marked_anew.read_bytes() + b"\0")
    with pytest.raises(AssertionError, match="read again"):
        prepare_crops(database, CropSettings(size=8), tmp_path / "crops")


def test_crops_are_the_same_bytes_for_any_number_of_processes(database: Database, tmp_path: Path) -> None:
    """One process or two."""
    one = prepare_crops(database, SMALL, tmp_path / "one", jobs=1)
    two = prepare_crops(database, SMALL, tmp_path / "two", jobs=2)
    assert _bytes(one) == _bytes(two)


def test_nothing_half_written_stays_behind(database: Database, tmp_path: Path) -> None:
    """A picture that cannot be read is named, and leaves no folder."""
    broken = database.sequences[1].examined[2].path
    broken.write_bytes(broken.read_bytes()[:400])
    with pytest.raises(GndlError, match=r"S001_002_00000005\.png: cannot be read as a picture"):
        prepare_crops(database, SMALL, tmp_path / "crops")
    assert [path for path in (tmp_path / "crops").iterdir() if path.is_dir()] == []
