"""Crops: aligned by the eyes alone, each from its own frame, cached by everything that could change a pixel."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import PIL
import pytest
from PIL import Image
from planted import (
    LEFT,
    RIGHT,
    SMALL,
    clip_database,
    find_marks,
    landmark_file,
    marked,
    marked_database,
    marked_sequence,
    two_subjects,
)

from gndl import crops
from gndl.alignment import View, _best_view, frame_name
from gndl.crops import Crops, doubtful, pairs_from_crops, prepare_crops
from gndl.databases import read_database
from gndl.eyes import FIRST_ATTEMPT, Eyes, FoundEyes, eyes_in_crop
from gndl.files import GndlError, hash_file
from gndl.profiles import CropSettings
from gndl.sequences import Database, FrameRef

NOT_UTF8 = os.fsdecode(b"caf\xe9")


@pytest.fixture
def marks_for_eyes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Crop by the two marks of `marked` instead of detecting a face."""
    monkeypatch.setattr("gndl.alignment.find_eyes", find_marks)


@pytest.fixture
def database(tmp_path: Path, marks_for_eyes: None) -> Database:
    """Two subjects, three sequences of five frames, with landmarks."""
    return two_subjects(tmp_path / "db")


def golden(crops: Crops) -> tuple[str, str]:
    """The first digits of the hashes of images.npy and of the columns that version 1 has of crops.csv."""
    table = crops.table.loc[:, :"crop"].to_csv(index=False, lineterminator="\n").encode("utf-8", "surrogateescape")
    return hash_file(crops.folder / "images.npy")[:12], hashlib.sha256(table).hexdigest()[:12]


# The pixels and the texts of version 1. Who changes them on purpose raises `gndl.crops.CROPS`.


def _lying() -> list[np.ndarray]:
    upright = [marked(seed=i) if i != 5 else marked(None, seed=5) for i in range(9)]
    return [np.ascontiguousarray(np.rot90(picture)) for picture in upright]


def _coloured() -> list[np.ndarray]:
    pictures = [np.repeat(marked(seed=i)[..., None], 3, axis=2) for i in range(4)]
    for picture in pictures:
        picture[..., 2] //= 2
    return pictures


def _moving() -> list[np.ndarray]:
    return [marked((20 + i, 40), (60 + i, 40), seed=i) for i in range(9)]


def _dual() -> list[np.ndarray]:
    return [np.hstack([marked(None, seed=50 + i), marked(seed=i)]) for i in range(9)]


PLANTED: dict[str, tuple[str, str, Callable[[Path], Database]]] = {
    "landmarks": ("8590132c3c85", "fee3bcb118b4", two_subjects),
    "colour": ("274191e07d14", "44014ffe9be0", lambda root: marked_database(root, {"S001_001": _coloured()})),
    "clip": ("ba1b4e30bba3", "972c26b48318", lambda root: clip_database(root, _moving())),
    "lying": ("489f3f7031af", "42852a183045", lambda root: clip_database(root, _lying(), may_lie_on_its_side=True)),
    "dual": ("e47c8493a6cf", "fe0c136dc1fe", lambda root: clip_database(root, _dual(), view="dual")),
}


@pytest.mark.golden
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="other processors may round otherwise")
@pytest.mark.parametrize("name", PLANTED)
def test_planted_pictures_give_the_crops_of_version_1(tmp_path: Path, marks_for_eyes: None, name: str) -> None:
    """Byte for byte, images.npy and crops.csv; and the same pairs."""
    *expected, make = PLANTED[name]
    database = make(tmp_path / "db")
    jobs = 1 + (name == "landmarks")  # the number changes nothing
    made = prepare_crops(database, SMALL, tmp_path / "crops", jobs=jobs)
    assert golden(made) == tuple(expected)
    turned, half = (made.table[column].unique().tolist() for column in ("turned", "half"))
    assert (turned, half) == ([90 if name == "lying" else 0], ["right" if name == "dual" else ""])
    if name == "landmarks":
        assert pairs_from_crops(database, made).content_hash[:12] == "1c1cf9790fb6"


RENDERED = {
    "ckplus": ("46a7f8982c69", "01e55b9e736c", "b1ac7214c7f0"),
    "oulu_casia": ("b30b5401dacb", "f47cfd602bda", "b1c0159629eb"),
    "mmi": ("ac93fff17c94", "df22c09f191d", "522cc5716a1e"),
}
"""Hashes of the rendered pictures, and of their crops."""


@pytest.mark.parametrize("name", RENDERED)
def test_rendered_databases_give_the_crops_of_version_1(
    rendered_trees: dict[str, Path], tmp_path: Path, name: str
) -> None:
    """By the real detector and predictor; on a processor that renders other pictures, with the same properties."""
    database = read_database(name, rendered_trees[name])
    made = prepare_crops(database, CropSettings(size=64), tmp_path)
    table = made.table
    assert len(table) == 4 * len(database.sequences) and made.faceless == {} and set(table["source"]) == {"rendered"}
    assert (made.images.ndim == 4) is (name != "ckplus")
    assert (table["how"] == ("landmarks" if name == "ckplus" else FIRST_ATTEMPT)).mean() > 0.9
    assert (table.groupby("sequence")["turned"].nunique() == 1).all() and table["contrast"].min() > 10
    assert (table["faces"] == 1).mean() > 0.9 and table["spread"].median() < 0.03
    assert table["apart"].isna().all() if name != "ckplus" else table["apart"].median() < 0.06
    distance = np.hypot(table["right_eye_x"] - table["left_eye_x"], table["right_eye_y"] - table["left_eye_y"])
    assert distance.groupby(table["sequence"]).agg(lambda own: np.ptp(own) / np.median(own)).max() < 0.2
    sources = hashlib.sha256("".join(table["source_sha256"]).encode()).hexdigest()[:12]
    if sources == RENDERED[name][0] and platform.machine() in ("x86_64", "AMD64"):
        assert golden(made) == RENDERED[name][1:]


def test_each_distinct_frame_is_cropped_once_with_its_record(database: Database, tmp_path: Path) -> None:
    """Four frames a sequence, one row for every use, with file, hash and eyes; a shared frame is kept once."""
    made = prepare_crops(database, SMALL, tmp_path / "crops")
    assert made.images.shape == (12, 32, 32) and made.images.dtype == np.uint8
    assert list(made.table["role"][:4]) == ["neutral", "examined 1", "examined 2", "examined 3"]
    first = made.table.iloc[0]
    assert first["source_file"] == "S001_001/S001_001_00000001.png" and first["how"] == "landmarks"
    assert (first["left_eye_x"], first["left_eye_y"]) == LEFT and (first["right_eye_x"], first["right_eye_y"]) == RIGHT
    assert first["source_sha256"] == hash_file(database.sequences[0].neutral.path)
    one, two, _ = database.sequences
    shared = replace(database, sequences=(one, replace(two, neutral=one.neutral)))
    made = prepare_crops(shared, SMALL, tmp_path / "crops")
    assert len(made.images) == 7 and len(made.table) == 8


def test_eyes_are_at_the_same_place_in_every_crop(tmp_path: Path, marks_for_eyes: None) -> None:
    """Faces of different size, place and roll."""
    places = [((30, 40), (60, 40)), ((20, 30), (70, 45)), ((40, 50), (64, 40)), ((25, 20), (75, 25))]
    pictures, crop = [marked(left, right, seed=3) for left, right in places], CropSettings(size=128)
    made = prepare_crops(marked_database(tmp_path / "db", {"S001_001": pictures}, landmarks=False), crop, tmp_path)
    for image in made.images:
        for (x, y), (low, high) in ((eyes_in_crop(crop).left, (225, 255)), (eyes_in_crop(crop).right, (175, 215))):
            assert low <= int(image[round(y), round(x)]) <= high


@pytest.mark.parametrize("landmarks", [True, False])
def test_a_crop_depends_on_its_own_frame_and_eyes_alone(tmp_path: Path, marks_for_eyes: None, landmarks: bool) -> None:
    """Every other frame and every other landmark changed, this frame's crop keeps its bytes."""
    pictures = {"S001_001": marked_sequence(), "S001_002": marked_sequence(first_seed=50)}
    database = marked_database(tmp_path / "db", pictures, landmarks=landmarks)
    frame, other = database.sequences[0].examined[1], database.sequences[0].examined[0]
    before = prepare_crops(database, SMALL, tmp_path / "crops")
    for one in (one for sequence in database.sequences for one in sequence.frames if one != frame):
        Image.fromarray(marked((28, 42), (62, 41), seed=99)).save(one.path)
    if frame.landmarks is not None:
        landmark_file(frame.landmarks, LEFT, RIGHT, mouth=25.0)
    after = prepare_crops(database, SMALL, tmp_path / "crops")
    assert after.hash != before.hash
    assert np.array_equal(before.images[before.key(frame)], after.images[after.key(frame)])
    assert not np.array_equal(before.images[before.key(other)], after.images[after.key(other)])


@pytest.mark.parametrize(
    ("coloured", "shape"), [(0, (4, 32, 32)), (1, (4, 32, 32)), (3, (4, 32, 32, 3)), (4, (4, 32, 32, 3))]
)
def test_crops_are_grey_where_most_frames_are(tmp_path: Path, coloured: int, shape: tuple[int, ...]) -> None:
    """One choice for the whole database; three equal channels count as grey."""
    pictures = _coloured()[:coloured] + marked_sequence(4 - coloured)
    made = prepare_crops(marked_database(tmp_path / "db", {"S001_001": pictures}), SMALL, tmp_path / "crops")
    assert made.images.shape == shape


def test_one_missing_landmark_file_sends_the_whole_database_to_the_detector(
    tmp_path: Path, marks_for_eyes: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Never a mixture, and it is said."""
    one, two, _ = (database := two_subjects(tmp_path / "db")).sequences
    without = replace(two, neutral=replace(two.neutral, landmarks=None))
    made = prepare_crops(replace(database, sequences=(one, without)), SMALL, tmp_path / "crops")
    assert set(made.table["how"]) == {FIRST_ATTEMPT}
    assert "some frames taken have no usable landmark file" in capsys.readouterr().err


def test_a_frame_without_a_face_borrows_the_eyes_of_the_nearest_of_its_size(
    tmp_path: Path, marks_for_eyes: None
) -> None:
    """Taken or not, and it is listed by file; in a larger picture the same place is not that of a face."""
    near, large = marked((20, 20), (50, 22), seed=4), np.pad(marked((10, 10), (40, 12)), ((0, 30), (0, 40)))
    frames = {
        "S001_001": [*marked_sequence(3), near, large, marked(None, seed=5)],
        "S001_002": [large, large, marked(None, seed=6)],
        "S001_003": marked_sequence(2, first_seed=20),
    }
    database = marked_database(tmp_path / "db", frames, landmarks=False, taken=1)
    with pytest.raises(GndlError, match=r"1 sequence: S001_002 \(S001_002_00000003\.png\)"):
        prepare_crops(database, SMALL, tmp_path / "crops")
    made = prepare_crops(database, SMALL, tmp_path / "crops", allow_missing_faces=True)
    row = made.table.iloc[1]
    assert row["how"] == "nearest frame S001_001_00000004.png" and np.isnan(row["score"]) and row["faces"] == 0
    assert (row["left_eye_x"], row["left_eye_y"]) == (20, 20)
    assert "1 doubtful crop: S001_001/S001_001_00000006.png (no face found, cropped like" in made.notes[1]
    assert made.faceless == {"S001_002": ["S001_002_00000003.png"]} and "S001_002_00000003.png" in made.notes[2]
    assert set(pairs_from_crops(database, made).sequence) == {"S001_001", "S001_003"}
    unrelated = replace(database, name="manifest")  # its photographs never borrow
    with pytest.raises(GndlError, match=r"2 sequences: S001_001 \(S001_001_00000006\.png\), S001_002"):
        prepare_crops(unrelated, SMALL, tmp_path / "crops")


def test_a_sequence_without_a_face_stops_the_study_or_is_counted(
    tmp_path: Path, marks_for_eyes: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """With allow_missing_faces it is left out of the pairs, and said, from the cache as well."""
    frames = {"S001_001": marked_sequence(), "S001_002": [marked(None, seed=i) for i in range(5)]}
    database = marked_database(tmp_path / "db", frames, landmarks=False)
    with pytest.raises(GndlError, match=r"1 sequence: S001_002\. Check these .* --allow-missing-faces"):
        prepare_crops(database, SMALL, tmp_path / "crops")
    for _ in range(2):
        made = prepare_crops(database, SMALL, tmp_path / "crops", allow_missing_faces=True)
        assert made.faceless == {"S001_002": []}
        assert "no face in 1 sequence, left out: S001_002." in capsys.readouterr().err
    faceless = replace(database, sequences=database.sequences[1:])
    with pytest.raises(GndlError, match="db: no face found in any frame"):
        prepare_crops(faceless, SMALL, tmp_path / "crops", allow_missing_faces=True)


def test_files_that_cannot_be_cropped_are_named(database: Database, tmp_path: Path, marks_for_eyes: None) -> None:
    """Landmarks that do not put two eyes into the picture, a clip that ends too soon, a picture that is gone."""
    frame = database.sequences[0].neutral
    assert frame.landmarks is not None
    frame.landmarks.write_text("5 5\n" * 68)
    with pytest.raises(GndlError, match=r"S001_001_00000001\.txt"):
        prepare_crops(database, SMALL, tmp_path / "crops")
    with pytest.raises(GndlError, match=r"S001-001\.avi: ends after 5 frames, but frame 7"):
        prepare_crops(clip_database(tmp_path / "a", marked_sequence(5)), SMALL, tmp_path / "crops")
    frame.path.unlink()
    with pytest.raises(GndlError, match=r"S001_001_00000001\.png: cannot be read"):
        prepare_crops(database, SMALL, tmp_path / "crops")
    with pytest.raises(GndlError, match="no sequences to crop"):
        prepare_crops(replace(database, sequences=()), SMALL, tmp_path / "crops")


def test_the_cache_is_read_while_nothing_changed(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second call reads neither picture nor landmarks, not even to hash them; paths count relative to the root."""
    first = prepare_crops(database, SMALL, tmp_path / "crops")
    os.utime(database.sequences[0].neutral.path, None)  # one file was touched, and is hashed again
    for name in ("crop_and_compare", "Parallel"):
        monkeypatch.setattr(crops, name, lambda *_, name=name, **__: pytest.fail(f"{name} was called"))
    hashed: list[Path] = []
    monkeypatch.setattr(crops, "hash_file", lambda path: hashed.append(path) or hash_file(path))
    second = prepare_crops(database, SMALL, tmp_path / "crops")
    assert second.hash == first.hash and second.table.equals(first.table)
    assert hashed == [database.sequences[0].neutral.path, first.folder / "images.npy", first.folder / "crops.csv"]
    assert prepare_crops(two_subjects(tmp_path / "moved" / "db"), SMALL, tmp_path / "crops").hash == first.hash


def test_whatever_could_change_a_pixel_makes_new_crops(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings, a picture with an old date and size, a landmark file, a library, and the number of the code."""
    made = [prepare_crops(database, SMALL, tmp_path / "crops").hash]
    made.append(prepare_crops(database, replace(SMALL, eye_distance=0.35), tmp_path / "crops").hash)
    frame = database.sequences[0].neutral
    status = frame.path.stat()
    Image.new("L", Image.open(frame.path).size, 90).save(frame.path)
    frame.path.write_bytes(frame.path.read_bytes().ljust(status.st_size, b"\0"))  # what follows a PNG is not read
    assert frame.path.stat().st_size == status.st_size
    os.utime(frame.path, ns=(status.st_atime_ns, status.st_mtime_ns))
    made.append(prepare_crops(database, SMALL, tmp_path / "crops").hash)
    assert frame.landmarks is not None
    landmark_file(frame.landmarks, (31, 40), RIGHT)
    made.append(prepare_crops(database, SMALL, tmp_path / "crops").hash)
    for module, name, value in ((PIL, "__version__", "0"), (crops, "CROPS", crops.CROPS + 1)):
        monkeypatch.setattr(module, name, value)
        made.append(prepare_crops(database, SMALL, tmp_path / "crops").hash)
    assert len(set(made)) == len(made) == 6


def zeros(data: bytes) -> bytes:
    """As many bytes, the header of a .npy file kept."""
    return data[:128] + bytes(len(data) - 128)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("images.npy", None),
        ("images.npy", zeros),
        ("images.npy", lambda data: data[:500]),
        ("crops.csv", lambda data: data[:300]),
        ("crops.csv", lambda data: data.replace(b",30.0,", b",31.0,", 1)),
        ("crops.json", lambda data: data[:20]),
    ],
)
def test_a_damaged_cache_is_made_again(
    database: Database,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    damage: Callable[[bytes], bytes] | None,
) -> None:
    """A file that is missing, cut off or overwritten: it is said, and the crops are those that were there."""
    first = prepare_crops(database, SMALL, tmp_path / "crops")
    before, damaged = golden(first), first.folder / name
    damaged.write_bytes(damage(damaged.read_bytes())) if damage else damaged.unlink()
    again = prepare_crops(database, SMALL, tmp_path / "crops")
    assert golden(again) == before and again.hash == first.hash and again.images.any()
    assert f"{first.folder}: damaged" in capsys.readouterr().err
    (tmp_path / "crops" / "source-hashes.json").write_text("[1]")
    assert prepare_crops(database, SMALL, tmp_path / "crops").hash == first.hash


# What may not be the face


SOUND = {
    **{"database": "ckplus", "sequence": "S1", "frame": "a.png", "source_file": "a.png", "how": FIRST_ATTEMPT},
    **{"left_eye_x": 100.0, "left_eye_y": 50.0, "right_eye_x": 140.0, "right_eye_y": 50.0, "score": 1.5, "faces": 1},
    **{"spread": 0.02, "apart": np.nan, "brightness": 120.0, "contrast": 40.0},
}
MOVED = {"left_eye_y": 71.0, "right_eye_y": 71.0}  # by 21 of the 40 pixels between the eyes
DOUBTFUL: dict[str, tuple[dict[str, object], str]] = {
    "several faces": ({"faces": 2}, "2 faces found, the largest"),
    "an unsure detector": ({"score": 0.49}, "unsure"),
    "predictions that differ": ({"spread": 0.066}, "uncertain"),
    "landmarks elsewhere": ({"how": "landmarks", "apart": 0.51, "score": np.nan}, "landmarks are not where"),
    "landmarks without a face": ({"how": "landmarks", "faces": 0, "score": np.nan}, "the detector finds no face"),
    "no face": ({"how": "nearest frame b.png", "faces": 0, "score": np.nan}, "no face found, cropped like"),
    "a black crop": ({"brightness": 11.9}, "nearly black"),
    "a white crop": ({"brightness": 243.1}, "nearly white"),
    "a crop of one grey": ({"contrast": 4.9}, "nearly one grey"),
    "another place": (MOVED, "not where the other frames"),
    "another place across": ({"left_eye_x": 79.0, "right_eye_x": 119.0}, "not where the other frames"),
    "another size": ({"left_eye_x": 89.0, "right_eye_x": 151.0}, "not where the other frames"),
}
SOUND_LIMITS: dict[str, dict[str, object]] = {
    "at the limits": {"score": 0.5, "spread": 0.065, "brightness": 12.0, "contrast": 5.0},
    "bright": {"brightness": 243.0},
    "landmarks nearby": {"how": "landmarks", "apart": 0.5, "score": np.nan, "spread": 0.5, "faces": 2},
    "half a distance away": {"left_eye_y": 70.0, "right_eye_y": 70.0},
    "half as large again": {"left_eye_x": 90.0, "right_eye_x": 150.0},
    "a manifest's photographs": MOVED | {"database": "manifest"},
}


def of_crops(odd: dict[str, object]) -> pd.DataFrame:
    """A crops.csv of two sequences with four crops each, and the second crop of the first is an odd one."""
    rows = [SOUND | {"crop": number, "sequence": f"S{number // 4}"} for number in range(8)]
    rows = [row | {"database": odd.get("database", "ckplus")} for row in rows]
    rows[1] |= odd
    return pd.DataFrame([*rows, rows[1]])  # one crop is used twice


@pytest.mark.parametrize("name", DOUBTFUL)
def test_every_doubtful_crop_is_listed_once_with_its_reason(name: str) -> None:
    """And no other crop is."""
    odd, words = DOUBTFUL[name]
    found = doubtful(of_crops(odd))
    assert found["crop"].tolist() == [1] and words in found["why"][0] and "; " not in found["why"][0].partition("?")[2]


@pytest.mark.parametrize("name", SOUND_LIMITS)
def test_a_sound_crop_is_not_doubtful(name: str) -> None:
    assert doubtful(of_crops(SOUND_LIMITS[name])).empty


def test_tables_of_version_1_are_read_for_what_they_tell() -> None:
    """They have neither faces nor spread nor grey; two databases may number their crops alike."""
    old = of_crops({"score": 0.2} | MOVED).drop(columns=["faces", "spread", "apart", "brightness", "contrast"])
    (why,) = doubtful(old)["why"]
    assert "unsure" in why and "not where" in why
    both = pd.concat([of_crops({"database": "oulu_casia"}), old])
    assert doubtful(both)["database"].tolist() == ["ckplus"]


def test_crops_csv_tells_faces_spread_and_grey_of_every_crop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the detector says it of each frame, and doubtful ones are named with the reason in the notes."""

    def find(grey: np.ndarray, *, second_attempt: bool = True) -> FoundEyes:
        found = find_marks(grey)
        assert found is not None
        return replace(found, faces=3, spread=0.25) if grey[0, 0] == 91 else replace(found, spread=0.0104)

    monkeypatch.setattr("gndl.alignment.find_eyes", find)
    pictures = marked_sequence(3)
    pictures[1][0, 0] = 91
    made = prepare_crops(
        marked_database(tmp_path / "db", {"S001_001": pictures}, landmarks=False, taken=2), SMALL, tmp_path
    )
    assert made.table["faces"].tolist() == [1, 3, 1] and made.table["spread"].tolist() == [0.01, 0.25, 0.01]
    for column, measure in (("brightness", np.mean), ("contrast", np.std)):
        np.testing.assert_allclose(made.table[column], [measure(image) for image in made.images], atol=1e-3)
    (note,) = made.notes[1:]
    assert "look at 1 doubtful crop: S001_001/S001_001_00000002.png (3 faces found" in note and "uncertain" in note


def test_black_crops_are_listed_by_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Pictures of one shade, as those of a camera whose scale was misread; a long list is cut and says so."""
    frames = [np.full((80, 100), 3, np.uint8) for _ in range(14)]
    made = prepare_crops(marked_database(tmp_path / "db", {"S001_001": frames}, taken=13), SMALL, tmp_path)
    (note,) = made.notes
    assert "14 doubtful crops" in note and "S001_001_00000012.png (the detector finds no face; nearly black)" in note
    assert "S001_001_00000013.png" not in note and "and 2 more, see gndl.crops.doubtful" in note
    assert note in capsys.readouterr().err and len(doubtful(made.table)) == 14


def test_landmarks_of_another_picture_size_are_noticed(tmp_path: Path, marks_for_eyes: None) -> None:
    """Half as large as the pictures, they lie inside and on no eye: an error where most are so, listed where one is."""
    database = two_subjects(tmp_path / "db")
    frames = [frame for sequence in database.sequences for frame in sequence.taken]
    for number, frame in enumerate(frames):
        assert frame.landmarks is not None
        if number in (0, 5):
            landmark_file(frame.landmarks, (15, 20), (30, 22))
    made = prepare_crops(database, SMALL, tmp_path / "crops")
    listed = doubtful(made.table)
    assert listed["frame"].tolist() == [frames[0].path.name, frames[5].path.name]
    assert listed["why"].str.contains("its landmarks are not where the detector finds the eyes").all()
    assert made.table["apart"][0] == pytest.approx(np.hypot(30, 22) / np.hypot(15, 2), abs=1e-3)  # the right eye's
    assert made.table["apart"][1] == 0 and made.table["faces"].eq(1).all()
    for frame in frames[:7]:
        landmark_file(frame.path.with_suffix(".txt"), (15, 20), (30, 22))
    with pytest.raises(GndlError, match=r"S001_001_00000001\.txt: its eyes are .* 7 of the 12 frames.*another size"):
        prepare_crops(database, SMALL, tmp_path / "crops")


# Views


@pytest.mark.parametrize("shape", [(5, 8), (6, 7), (4, 6, 3)])
@pytest.mark.parametrize("turned", [0, 90])
@pytest.mark.parametrize("half", ["", "left", "right"])
def test_eyes_found_in_a_view_are_mapped_to_the_picture_as_stored(
    shape: tuple[int, ...], turned: int, half: str
) -> None:
    """The pixel at a place of the view is the pixel at the mapped place of the picture."""
    picture = np.random.default_rng(0).permutation(int(np.prod(shape))).reshape(shape).astype(np.uint8)
    view = View(turned, half)
    seen = view.of(picture)
    for y, x in np.ndindex(seen.shape[:2]):
        stored = view.to_stored(Eyes((x, y), (0, 0)), picture).left
        assert (seen[y, x] == picture[int(stored[1]), int(stored[0])]).all()


def test_a_lying_picture_is_turned_clockwise_and_the_halves_meet_in_the_middle() -> None:
    """What lies at the stored picture's bottom left comes to the top left; the odd column is the right half's."""
    picture = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert View(90).of(picture).tolist() == [[3, 0], [4, 1], [5, 2]]
    assert View(0, "left").of(picture).tolist() == [[0], [3]] and View(0, "right").of(picture).shape == (2, 2)


def test_the_view_with_most_faces_is_taken_and_of_equals_the_clearer_one() -> None:
    def seen(*scores: float) -> dict[FrameRef, tuple[FoundEyes, tuple[int, ...]]]:
        eyes = Eyes((0, 0), (1, 0))
        return {
            FrameRef(Path(), i): (FoundEyes(eyes, score, FIRST_ATTEMPT, 1), (9, 9)) for i, score in enumerate(scores)
        }

    assert _best_view({View(0): seen(3.0), View(90): seen(0.5, 0.5)}) == View(90)
    assert _best_view({View(0): seen(1.0, 1.0), View(90): seen(0.9, 2.0)}) == View(90)


@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize(("missing", "lender"), [(4, 3), (6, 8), (5, 3)])
def test_the_nearest_frame_in_time_lends_its_eyes(
    tmp_path: Path, marks_for_eyes: None, clip: bool, missing: int, lender: int
) -> None:
    """Before or after, in a clip and among pictures; of two equally near ones the earlier."""
    shown = {0: 20, 3: 26, missing: None, 7: 32, 8: 38} if missing == 5 else {0: 20, 3: 26, missing: None, 8: 38}
    pictures = [
        marked(None if shown.get(i) is None else (shown[i], 40), (shown.get(i) or 0, 44), seed=i) for i in range(9)
    ]
    for i, x in shown.items():
        if x is not None:
            pictures[i] = marked((x, 40), (x + 30, 44), seed=i)
    if clip:
        database = clip_database(tmp_path / "db", pictures)
        path = database.sequences[0].neutral.path
        refs = [FrameRef(path, i) for i in range(9)]
    else:
        database = marked_database(tmp_path / "db", {"S001_001": pictures}, landmarks=False)
        refs = list(database.sequences[0].frames)
    one = replace(database.sequences[0], neutral=refs[0], examined=(refs[missing],))
    made = prepare_crops(replace(database, sequences=(one,)), SMALL, tmp_path / "crops")
    assert made.table["left_eye_x"].tolist() == [20, shown[lender]]
    assert made.table["how"][1] == f"nearest frame {frame_name(refs[lender])}"


def test_folders_whose_names_are_not_utf8_are_cropped(tmp_path: Path) -> None:
    """Above the database and inside it; the crops are found again under the same name."""
    database = two_subjects(tmp_path / NOT_UTF8 / "db" / NOT_UTF8)
    database = replace(database, root=database.root.parent)
    for _ in range(2):
        made = prepare_crops(database, SMALL, tmp_path / NOT_UTF8 / "crops")
        assert len(pairs_from_crops(database, made)) == 9
        assert made.table["source_file"][0] == f"{NOT_UTF8}/S001_001/S001_001_00000001.png"
