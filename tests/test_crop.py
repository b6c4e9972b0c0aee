"""Crops: aligned by the eyes alone, each from its own frame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from marked import (
    LEFT,
    RIGHT,
    SMALL,
    clip_database,
    find_marks,
    landmark_file,
    make_database,
    marked,
    sequence_of,
    two_subjects,
)
from PIL import Image

from gndl import crop_sequence
from gndl.align import eyes_in_crop
from gndl.crop import pairs_from_crops, prepare_crops
from gndl.errors import GndlError
from gndl.eyes import FIRST_ATTEMPT
from gndl.profiles import CropSettings
from gndl.sequences import Database


@pytest.fixture
def marks_for_eyes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Crop by the marks of `marked` instead of a face detector."""
    monkeypatch.setattr(crop_sequence, "find_eyes", find_marks)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """Two subjects, three sequences of five frames, with landmarks."""
    return two_subjects(tmp_path / "db")


def test_each_distinct_frame_is_cropped_once_with_its_record(database: Database, tmp_path: Path) -> None:
    """Four frames a sequence, one row for every use, with file, hash and eyes."""
    crops = prepare_crops(database, SMALL, tmp_path / "crops")
    assert crops.images.shape == (12, 32, 32) and crops.images.dtype == np.uint8
    assert list(crops.table["role"][:4]) == ["neutral", "examined 1", "examined 2", "examined 3"]
    first = crops.table.iloc[0]
    assert first["source_file"] == "S001_001/S001_001_00000001.png" and first["how"] == "landmarks"
    assert (first["left_eye_x"], first["left_eye_y"]) == LEFT and (first["right_eye_x"], first["right_eye_y"]) == RIGHT
    assert len(first["source_sha256"]) == 64
    assert sorted(crops.key(frame) for s in database.sequences for frame in (s.neutral, *s.examined)) == list(range(12))


def test_a_frame_shared_by_sequences_is_kept_once(tmp_path: Path) -> None:
    """One neutral photograph of a subject serves all his sequences."""
    database = make_database(tmp_path / "db", {"S001_001": sequence_of(), "S001_002": sequence_of(first_seed=9)})
    one, two = database.sequences
    shared = replace(database, sequences=(one, replace(two, neutral=one.neutral)))
    crops = prepare_crops(shared, SMALL, tmp_path / "crops")
    assert len(crops.images) == 7 and len(crops.table) == 8


def test_eyes_lie_at_the_same_place_in_every_crop(tmp_path: Path, marks_for_eyes: None) -> None:
    """Faces of different size, place and roll bring their eyes to one place."""
    places = [((30, 40), (60, 40)), ((20, 30), (70, 45)), ((40, 50), (64, 40)), ((25, 20), (75, 25))]
    pictures = [marked(left, right, seed=3) for left, right in places]
    crops = prepare_crops(
        make_database(tmp_path / "db", {"S001_001": pictures}, landmarks=False), CropSettings(size=128), tmp_path / "c"
    )
    wanted = eyes_in_crop(CropSettings(size=128))
    for image in crops.images:
        for (x, y), (low, high) in ((wanted.left, (225, 255)), (wanted.right, (175, 215))):
            value = int(image[round(y), round(x)])
            assert low <= value <= high


def test_an_opening_mouth_changes_nothing(database: Database, tmp_path: Path) -> None:
    """Other landmarks may move as they like: the crop's bytes stay."""
    before = np.array(prepare_crops(database, SMALL, tmp_path / "crops").images)
    for sequence in database.sequences:
        for frame in sequence.frames:
            assert frame.landmarks is not None
            landmark_file(frame.landmarks, LEFT, RIGHT, mouth=25.0)
    after = prepare_crops(database, SMALL, tmp_path / "crops")
    assert np.array_equal(before, after.images)


@pytest.mark.parametrize("landmarks", [True, False])
def test_a_crop_depends_on_its_own_frame_alone(tmp_path: Path, marks_for_eyes: None, landmarks: bool) -> None:
    """Every other frame replaced, this one's crop keeps its bytes."""
    pictures = {"S001_001": sequence_of(), "S001_002": sequence_of(first_seed=50)}
    database = make_database(tmp_path / "db", pictures, landmarks=landmarks)
    frame = database.sequences[0].examined[1]
    before = prepare_crops(database, SMALL, tmp_path / "crops")
    own = np.array(before.images[before.key(frame)])
    for sequence in database.sequences:
        for other in sequence.frames:
            if other != frame:
                Image.fromarray(marked((20, 50), (80, 30), seed=99)).save(other.path)
    after = prepare_crops(database, SMALL, tmp_path / "crops")
    assert after.hash != before.hash
    assert np.array_equal(own, after.images[after.key(frame)])
    other = database.sequences[0].examined[0]
    assert not np.array_equal(before.images[before.key(other)], after.images[after.key(other)])


def test_one_missing_landmark_file_sends_the_whole_database_to_the_detector(
    tmp_path: Path, marks_for_eyes: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Never a mixture, and it is said."""
    database = make_database(tmp_path / "db", {"S001_001": sequence_of(), "S002_001": sequence_of(first_seed=9)})
    one, two = database.sequences
    bare = replace(two, neutral=replace(two.neutral, landmarks=None))
    crops = prepare_crops(replace(database, sequences=(one, bare)), SMALL, tmp_path / "crops")
    assert set(crops.table["how"]) == {FIRST_ATTEMPT}
    assert "not every frame taken has a usable landmark file" in capsys.readouterr().err


def test_a_frame_without_a_face_borrows_from_the_nearest(tmp_path: Path, marks_for_eyes: None) -> None:
    """The eyes' places come from the nearest frame that has a face, taken or not; it is listed by file."""
    frames = [*sequence_of(4), marked((20, 20), (50, 22), seed=4), marked(None, seed=5)]
    database = make_database(tmp_path / "db", {"S001_001": frames}, landmarks=False, taken=1)
    crops = prepare_crops(database, SMALL, tmp_path / "crops")
    row = crops.table.iloc[1]
    assert row["how"] == "nearest frame S001_001_00000005.png" and np.isnan(row["score"])
    assert (row["left_eye_x"], row["left_eye_y"]) == (20, 20)
    assert "1 frame" in crops.notes[-1] and "S001_001_00000006.png" in crops.notes[-1]


def test_eyes_are_borrowed_between_frames_of_one_size_only(tmp_path: Path, marks_for_eyes: None) -> None:
    """A place in a larger picture is no place of a face: the next frame of the same size lends, else none does."""
    large = np.pad(marked((20, 20), (50, 22), seed=4), ((0, 30), (0, 40)))
    frames = {"S001_001": [marked(), large, marked(None, seed=5)], "S001_002": [large, large, marked(None, seed=6)]}
    database = make_database(tmp_path / "db", frames, landmarks=False, taken=1)
    with pytest.raises(GndlError, match=r"1 sequence: S001_002 \(S001_002_00000003\.png\)"):
        prepare_crops(database, SMALL, tmp_path / "crops")
    crops = prepare_crops(database, SMALL, tmp_path / "crops", allow_missing_faces=True)
    assert crops.faceless == {"S001_002": ["S001_002_00000003.png"]}
    assert list(crops.table["how"]) == [FIRST_ATTEMPT, "nearest frame S001_001_00000001.png"]
    assert "NO FACE in some frames of 1 sequence" in crops.notes[-1] and "S001_002_00000003.png" in crops.notes[-1]
    assert set(pairs_from_crops(database, crops).sequence) == {"S001_001"}


def test_photographs_of_a_manifest_never_borrow(tmp_path: Path, marks_for_eyes: None) -> None:
    """They may be unrelated: a picture without a face stops the study by its name."""
    frames = {"a": [*sequence_of(3), marked(None, seed=5)], "b": sequence_of(4, first_seed=20)}
    database = make_database(tmp_path / "db", frames, landmarks=False, name="manifest")
    with pytest.raises(GndlError, match=r"1 sequence: a \(a_00000004\.png\)"):
        prepare_crops(database, SMALL, tmp_path / "crops")
    crops = prepare_crops(database, SMALL, tmp_path / "crops", allow_missing_faces=True)
    assert set(crops.table["how"]) == {FIRST_ATTEMPT} and set(crops.table["sequence"]) == {"b"}


def test_a_sequence_without_a_face_stops_the_study_by_name_or_is_counted(
    tmp_path: Path, marks_for_eyes: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stops; with allow_missing_faces it is left out of the pairs, and said, from the cache as well."""
    frames = {"S001_001": sequence_of(), "S001_002": [marked(None, seed=i) for i in range(5)]}
    database = make_database(tmp_path / "db", frames, landmarks=False)
    with pytest.raises(GndlError, match=r"1 sequence: S001_002"):
        prepare_crops(database, SMALL, tmp_path / "crops")
    for _ in range(2):
        crops = prepare_crops(database, SMALL, tmp_path / "crops", allow_missing_faces=True)
        assert crops.faceless == {"S001_002": []}
        assert "NO FACE in any frame of 1 sequence, left out: S001_002" in capsys.readouterr().err
    assert set(pairs_from_crops(database, crops).sequence) == {"S001_001"}


def test_pairs_follow_the_crops(database: Database, tmp_path: Path) -> None:
    """Three pairs a sequence, each examined frame with its own sequence's neutral one."""
    crops = prepare_crops(database, SMALL, tmp_path / "crops")
    pairs = pairs_from_crops(database, crops)
    assert len(pairs) == 9 and pairs.expressions == ("anger", "fear") and set(pairs.label) == {0}
    for place, (sequence, frame) in enumerate((s, f) for s in database.sequences for f in s.examined):
        assert pairs.examined_index[place] == crops.key(frame)
        assert pairs.neutral_index[place] == crops.key(sequence.neutral)
        assert (pairs.sequence[place], pairs.frame[place]) == (sequence.sequence, frame.path.name)


@pytest.mark.parametrize("text", ["1 2\n" * 67, "1 nan\n" * 68, "1 2 3\n" * 68, "a b\n" * 68, "5 5\n" * 68])
def test_a_malformed_landmark_file_is_named(database: Database, tmp_path: Path, text: str) -> None:
    """Too few points, no numbers, or eyes that coincide."""
    frame = database.sequences[0].neutral
    assert frame.landmarks is not None
    frame.landmarks.write_text(text)
    with pytest.raises(GndlError, match=r"S001_001_00000001\.txt"):
        prepare_crops(database, SMALL, tmp_path / "crops")


@pytest.mark.parametrize(
    ("coloured", "shape"), [(0, (4, 32, 32)), (1, (4, 32, 32)), (3, (4, 32, 32, 3)), (4, (4, 32, 32, 3))]
)
def test_crops_are_grey_where_most_frames_are(tmp_path: Path, coloured: int, shape: tuple[int, ...]) -> None:
    """One choice for the whole database; three equal channels count as grey."""
    pictures = [np.repeat(marked(seed=i)[..., None], 3, axis=2) for i in range(4)]
    for picture in pictures[:coloured]:
        picture[..., 2] //= 2
    crops = prepare_crops(make_database(tmp_path / "db", {"S001_001": pictures}), SMALL, tmp_path / "crops")
    assert crops.images.shape == shape


def test_frames_of_a_clip_are_the_ones_asked_for(tmp_path: Path, marks_for_eyes: None) -> None:
    """Each crop shows its own frame; the record counts frames from 1."""
    frames = [marked((20 + i, 40), (60 + i, 40), seed=i) for i in range(9)]
    crops = prepare_crops(clip_database(tmp_path / "db", frames), SMALL, tmp_path / "crops")
    assert list(crops.table["frame"]) == [f"S001-001.avi#{n}" for n in (1, 5, 6, 7)]
    assert list(crops.table["left_eye_x"]) == [20, 24, 25, 26]


def test_a_lying_clip_is_turned_as_a_whole(tmp_path: Path, marks_for_eyes: None) -> None:
    """The crops are those of the upright clip, turned by 90°, though one frame shows no face."""
    upright = [marked((30, 40), (60, 44), seed=i) for i in range(9)]
    upright[5] = marked(None, seed=5)
    lying = [np.ascontiguousarray(np.rot90(picture)) for picture in upright]  # turned back by 90° counter-clockwise
    straight = prepare_crops(clip_database(tmp_path / "a", upright), SMALL, tmp_path / "crops")
    turned = prepare_crops(clip_database(tmp_path / "b", lying, may_lie_on_its_side=True), SMALL, tmp_path / "crops")
    assert set(turned.table["turned"]) == {90} and set(straight.table["turned"]) == {0}
    difference = np.abs(straight.images.astype(int) - turned.images.astype(int))
    assert difference.max() <= 1  # the same pixels, read in another order
    upright_too = clip_database(tmp_path / "c", upright, may_lie_on_its_side=True)
    assert set(prepare_crops(upright_too, SMALL, tmp_path / "crops").table["turned"]) == {0}


@pytest.mark.parametrize("half", ["left", "right"])
def test_the_frontal_half_of_a_dual_clip_is_taken(tmp_path: Path, marks_for_eyes: None, half: str) -> None:
    """The half in which the frontal face is seen, recorded; the crops are those of that half alone."""
    frontal, other = [marked(seed=i) for i in range(9)], [marked(None, seed=50 + i) for i in range(9)]
    pairs = zip(frontal, other, strict=True)
    dual = [np.hstack([a, b] if half == "left" else [b, a]) for a, b in pairs]
    alone = prepare_crops(clip_database(tmp_path / "a", frontal), SMALL, tmp_path / "crops")
    both = prepare_crops(clip_database(tmp_path / "b", dual, view="dual"), SMALL, tmp_path / "crops")
    assert set(both.table["half"]) == {half}
    centre = (slice(None), slice(8, 24), slice(8, 24))  # away from the seam between the halves
    assert np.abs(alone.images[centre].astype(int) - both.images[centre].astype(int)).max() <= 1


def test_a_clip_that_ends_too_soon_or_is_none_is_named(tmp_path: Path, marks_for_eyes: None) -> None:
    """The message says how many frames there are."""
    with pytest.raises(GndlError, match=r"S001-001\.avi: ends after 5 frames, but frame 7"):
        prepare_crops(clip_database(tmp_path / "a", sequence_of(5)), SMALL, tmp_path / "crops")
    database = clip_database(tmp_path / "b", sequence_of(9))
    database.sequences[0].neutral.path.write_bytes(b"no clip at all")
    with pytest.raises(GndlError, match=r"S001-001\.avi: cannot be read as a clip"):
        prepare_crops(database, SMALL, tmp_path / "crops")
