"""Where a crop is, against points computed by hand; and the eyes of faces that come without landmarks."""

from __future__ import annotations

import cmath
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import dlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gndl import eyes as eyes_module
from gndl.eyes import (
    FIRST_ATTEMPT,
    PREDICTOR,
    SECOND_ATTEMPT,
    UNSURE_SCORE,
    UNSURE_SPREAD,
    Eyes,
    FaceBox,
    FoundEyes,
    _sample,
    cut,
    doubts,
    eyes_in_crop,
    find_eyes,
    find_faces,
    geometry_from_eyes,
    locate_eyes,
    main_face,
)  # fmt: skip
from gndl.files import hash_file
from gndl.profiles import CropSettings

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
import train_eyes

SHARED = Path(__file__).resolve().parents[2] / "shared"
if not SHARED.is_dir():
    SHARED = SHARED.parents[1] / "shared"  # from a second working tree
REAL_FACES = SHARED / "real-faces" / "images"
HUNDRED = CropSettings(size=100, eye_distance=0.4, eye_height=0.38)
point = st.tuples(st.floats(-2000, 2000), st.floats(-2000, 2000))


def test_places_in_the_crop_and_in_the_picture_by_hand() -> None:
    """Eyes 40 of 100 pixels apart at height 38 (pixel edges); a face twice as large; one that lies: down is left."""
    eyes = eyes_in_crop(HUNDRED)
    np.testing.assert_allclose([eyes.left, eyes.right], [(29.5, 37.5), (69.5, 37.5)])
    geometry = geometry_from_eyes(Eyes((100.0, 200.0), (180.0, 200.0)), HUNDRED)
    assert geometry.scale == pytest.approx(2)
    np.testing.assert_allclose(geometry.to_source(np.array([[29.5, 37.5], [49.5, 57.5]])), [(100, 200), (140, 240)])
    lying = geometry_from_eyes(Eyes((100.0, 100.0), (100.0, 140.0)), HUNDRED)
    np.testing.assert_allclose(lying.to_source(np.array([49.5, 47.5])), (90, 120))


def test_eye_centres_are_the_means_of_six_landmarks() -> None:
    """Points 36 to 41 and 42 to 47, whatever the other 56 are."""
    points = np.full((68, 2), 1e6)
    points[36:42] = [(0, 3), (2, 0), (4, 0), (6, 3), (4, 6), (2, 6)]
    points[42:48] = points[36:42] + np.array([20, 1])
    assert Eyes.from_landmarks(points) == Eyes((3.0, 3.0), (23.0, 4.0))


@settings(max_examples=30, deadline=None)
@given(left=point, right=point, points=st.lists(point, min_size=1, max_size=5), size=st.integers(16, 512))
def test_to_crop_inverts_to_source(
    left: tuple[float, float], right: tuple[float, float], points: list[tuple[float, float]], size: int
) -> None:
    """For any two eyes at least four pixels apart; the eyes come to their places."""
    eyes = Eyes(left, right)
    if eyes.distance < 4:
        return
    crop = CropSettings(size=size)
    geometry, places = geometry_from_eyes(eyes, crop), eyes_in_crop(crop)
    np.testing.assert_allclose(geometry.to_source(geometry.to_crop(np.array(points))), points, atol=1e-6)
    np.testing.assert_allclose(geometry.to_crop(np.array([left, right])), [places.left, places.right], atol=1e-6)


@pytest.mark.parametrize("scale", [0.4, 1.7, 2.0, 7.9])
@pytest.mark.parametrize("degrees", [0, 25, 90])
def test_a_cut_reads_where_the_geometry_points(scale: float, degrees: float) -> None:
    """A smooth ramp, cut at any scale and turn, holds the values at the points that `to_source` gives."""
    size = 24
    rows, columns = np.mgrid[0:400, 0:400]
    ramp = (columns * 0.35 + rows * 0.25).astype(np.uint8)
    crop = CropSettings(size=size)
    turn = cmath.rect(scale * crop.eye_distance * size / 2, np.deg2rad(degrees))
    ends = [complex(200, 200) + side * turn for side in (-1, 1)]
    geometry = geometry_from_eyes(Eyes(*((end.real, end.imag) for end in ends)), crop)
    y, x = np.mgrid[0:size, 0:size]
    source = geometry.to_source(np.stack([x, y], axis=-1))
    expected = source[..., 0] * 0.35 + source[..., 1] * 0.25 - 0.5  # the ramp is rounded down
    assert np.abs(cut(ramp, geometry) - expected).max() < 1.2


def test_fine_lines_are_averaged_and_the_border_is_repeated() -> None:
    """Lines one pixel wide, shrunk three times, become an even grey; at the picture's edge no dark frame appears."""
    lines = np.tile(np.array([[0, 255]], np.uint8), (300, 150))
    shrunk = cut(lines, geometry_from_eyes(Eyes((120.0, 150.0), (172.8, 150.0)), CropSettings(size=40)))
    assert np.abs(shrunk.astype(int) - 127).max() < 40
    picture = np.full((50, 60, 3), (200, 100, 50), np.uint8)
    crop = cut(picture, geometry_from_eyes(Eyes((0.0, 5.0), (30.0, 5.0)), CropSettings(size=64)))
    assert (crop == picture[0, 0]).all()


@given(
    st.floats(-0.2, 1.2), st.floats(-0.2, 1.2), st.floats(0.05, 0.9), st.floats(-0.6, 0.6), st.sampled_from([1, 3]),
    st.booleans(), st.integers(0, 9),
)  # fmt: skip
@settings(max_examples=25, deadline=None)
def test_reading_a_part_of_the_picture_gives_the_crop_of_the_whole(
    across: float, down: float, wide: float, turn: float, order: int, colour: bool, seed: int
) -> None:
    """Wherever a crop is, also over the edge, its bytes are those of sampling the whole picture by scipy."""
    image = np.random.default_rng(seed).integers(0, 256, (90, 130, 3) if colour else (90, 130), dtype=np.uint8)
    middle, half = complex(across * 130, down * 90), 65 * wide * cmath.exp(1j * turn)
    ends = [middle - half, middle + half]
    geometry = geometry_from_eyes(Eyes(*((end.real, end.imag) for end in ends)), CropSettings(size=24))
    factor, shift = geometry.factor, geometry.shift
    whole, reduced = int(min(geometry.scale, 90, 130)), image
    if whole > 1:
        reduced = np.asarray(Image.fromarray(image).reduce(whole))
        factor, shift = factor / whole, (shift + (0.5 + 0.5j)) / whole - (0.5 + 0.5j)
    samples = 2 if geometry.scale > 1 else 1
    fine = _sample(reduced, factor / samples, shift + factor * (0.5 + 0.5j) * (1 / samples - 1), 24 * samples, order)
    if samples > 1:
        fine = fine.reshape(24, 2, 24, 2, *fine.shape[2:]).mean(axis=(1, 3))
    assert np.array_equal(cut(image, geometry, order=order), np.clip(np.rint(fine), 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def rendered() -> list[tuple[np.ndarray, Eyes]]:
    """Two pictures of each of two rendered people, with their true eyes."""
    from standins import Studio

    pictures = []
    for seed in range(2):
        for emotion, yaw in (("neutral", 0.0), ("surprise", 12.0)):
            studio = Studio(seed=seed).set(emotion=emotion, yaw=yaw)
            grey = np.asarray(Image.fromarray(studio.render(288)).convert("L"))
            pictures.append((grey, Eyes.from_landmarks(studio.landmarks - 0.5)))  # from the first pixel's corner
    return pictures


def test_the_eyes_of_rendered_people_are_found(rendered: list[tuple[np.ndarray, Eyes]]) -> None:
    """Within a few hundredths of the eyes' distance; a larger, lower box moves them by less than one."""
    errors, moves = [], []
    for grey, true in rendered:
        found, faces = find_eyes(grey), find_faces(grey)
        assert found is not None and found == find_eyes(grey.copy()) and found.spread < 0.03
        errors.append(train_eyes.eye_error(found.eyes, true))
        face = main_face(faces)
        other = FaceBox(face.x, face.y + 0.03 * face.side, face.side * 1.06, face.score)
        moves.append(train_eyes.eye_error(locate_eyes(grey, other)[0], found.eyes))
    assert np.median(errors) < 0.04 and np.median(moves) < 0.01


def test_nothing_is_found_where_there_is_no_face() -> None:
    """Noise and an even wall have no eyes, at either attempt."""
    assert find_eyes(np.random.default_rng(0).integers(0, 255, (200, 200)).astype(np.uint8)) is None
    assert find_eyes(np.full((120, 160), 130, np.uint8)) is None


def test_a_covered_eye_makes_the_eyes_uncertain(rendered: list[tuple[np.ndarray, Eyes]]) -> None:
    """A hand before one eye moves the predictions apart, and that is said."""
    (grey, true), *_ = rendered
    covered = grey.copy()
    x, y, half = round(true.left[0]), round(true.left[1]), round(true.distance / 2)
    covered[y - half : y + half, x - half : x + half] = 120
    found = find_eyes(covered)
    assert found is not None and found.spread > UNSURE_SPREAD
    assert any("uncertain" in reason for reason in doubts(found.faces, found.score, found.spread))


def test_doubts_begin_where_stated() -> None:
    """More than one face, a score below and a spread above the limits; each alone, and none for what is not known."""
    assert doubts(1, UNSURE_SCORE, UNSURE_SPREAD) == doubts(math.nan, math.nan, math.nan) == []
    words = ("2 faces found", "unsure", "uncertain")
    for numbers, word in zip(
        ((2, 1, 0), (1, UNSURE_SCORE - 0.01, 0), (1, 1, UNSURE_SPREAD + 0.01)), words, strict=True
    ):
        (reason,) = doubts(*numbers)
        assert word in reason


def test_the_spread_is_that_of_all_predictions_of_the_worse_eye(monkeypatch: pytest.MonkeyPatch) -> None:
    """38 predictions: the first 20 of the left eye lie 3 pixels aside, one of the right 1 pixel; the eyes are 30 apart.

    The median of the last 18 is taken; the second and third round begin at the median of the one before.
    """
    rounds = [np.tile([[10.0, 20.0], [40.0, 20.0]], (count, 1, 1)) for count in (10, 10, 18)]
    rounds[0][:, 0, 0] += 3
    rounds[1][:, 0, 1] -= 3
    rounds[2][0, 1, 0] += 1
    seen, given = [], iter(rounds)
    guesses = lambda _grey, patches, _predictor: seen.append(patches) or list(next(given))  # noqa: E731
    monkeypatch.setattr(eyes_module, "_guesses", guesses)
    face = FaceBox(25, 30, 60, 1.0)
    eyes, spread = locate_eyes(np.zeros((50, 50), np.uint8), face)
    assert (eyes, spread) == (Eyes((10, 20), (40, 20)), pytest.approx(math.sqrt(20 * 9 / 38) / 30))
    assert [len(patches) for patches in seen] == [5, 5, 9]
    middle, starts = np.array([79.5, 79.5]), [patches[0] for patches in seen]
    np.testing.assert_allclose(starts[0].to_source(middle), (25, 30))
    assert starts[0].scale == pytest.approx(0.6)
    for start, left in zip(starts[1:], ((13, 20), (10, 17)), strict=True):
        np.testing.assert_allclose(start.to_source(np.array([[59.5, 62], [99.5, 62]])), [left, (40, 20)])
    larger, moved = seen[0][1], (79.5 + 3, 79.5)  # the second patch: 6 % larger, 3 of its pixels to the right
    np.testing.assert_allclose(larger.to_source(middle), starts[0].to_source(np.array(moved)))
    assert larger.scale == pytest.approx(0.6 * 1.06)
    turned = seen[0][3]
    assert cmath.phase(turned.factor) > 0 and turned.to_source(middle)[1] == pytest.approx(30 + 3 * 0.6)


@pytest.mark.parametrize(
    ("size", "second", "scale"),
    [((479, 900), False, 2), ((480, 900), False, 1), ((900, 1280), False, 1), ((2560, 900), False, 0.5),
     ((480, 900), True, 2), ((479, 900), True, 4)],
)  # fmt: skip
def test_boxes_are_given_in_pixels_of_the_picture(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], second: bool, scale: float
) -> None:
    """Small pictures are doubled, large ones shrunk, a second attempt doubles again; the largest face comes first."""
    searched: list[np.ndarray] = []

    class Detector:
        def run(self, picture: np.ndarray, *options: float) -> tuple[list[dlib.rectangle], list[float], list[int]]:
            searched.append(picture)
            assert options == (0, 0.0)
            return [dlib.rectangle(20, 40, 59, 79), dlib.rectangle(100, 200, 179, 279)], [1.5, 0.75], [0, 0]

    monkeypatch.setattr(eyes_module, "_detector", Detector)
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
    grey = ((rows + columns) // 20).astype(np.uint8)
    large, small = find_faces(grey, second_attempt=second)
    assert searched[0].shape == (round(size[0] * scale), round(size[1] * scale))
    assert (int(np.ptp(searched[0])) > 240) is second  # its contrast equalised
    assert small == FaceBox(40 / scale - 0.5, 60 / scale - 0.5, 40 / scale, 1.5)
    assert large == FaceBox(140 / scale - 0.5, 240 / scale - 0.5, 80 / scale, 0.75)


def test_a_second_attempt_is_made_only_where_the_first_finds_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """And only where it is wanted; the main face's score and the number of faces are told."""
    first, again = [FaceBox(0, 0, 80, 2.0), FaceBox(9, 9, 90, 0.1)], [FaceBox(0, 0, 80, 0.9)]
    monkeypatch.setattr(eyes_module, "locate_eyes", lambda _grey, face, _predictor: (face, 0.5))
    grey = np.zeros((9, 9), np.uint8)
    for found_first, how, expected in ((first, FIRST_ATTEMPT, first), ([], SECOND_ATTEMPT, again)):
        monkeypatch.setattr(
            eyes_module, "find_faces",
            lambda _, *, second_attempt=False, own=found_first: again if second_attempt else own,
        )  # fmt: skip
        found = find_eyes(grey)
        assert found == FoundEyes(expected[0], expected[0].score, how, len(expected), 0.5)  # type: ignore[arg-type]
    assert find_eyes(grey, second_attempt=False) is None


def test_the_main_face_is_the_largest_of_the_clear_ones() -> None:
    """A large but doubtful face loses to a smaller clear one; of two clear ones the larger is taken."""
    clear, small, doubtful = FaceBox(0, 0, 80, 2.0), FaceBox(0, 0, 60, 2.2), FaceBox(0, 0, 200, 0.2)
    assert main_face([doubtful, clear, small]) == clear
    half = FaceBox(0, 0, 90, 1.1)  # half of the best score is clear enough; of equal sizes the clearer one
    assert main_face([half, clear, small]) == half and main_face([replace(small, score=1.9), small]) == small


def test_the_shipped_predictor_is_the_one_that_was_measured() -> None:
    """eyes5.json belongs to eyes5.dat and states its error on held-out people."""
    report = json.loads(PREDICTOR.with_suffix(".json").read_text())
    assert report["sha256"] == hash_file(PREDICTOR) and report["held_out_faces_found"] > 150
    assert report["eye_error_mean"] < 0.04 and report["eye_error_95th_percentile"] < 0.08
    assert report["missed_rate"] < 0.25 and report["false_face_rate"] < 0.02


def test_misses_and_false_faces_count_in_the_stated_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """No face is a miss, eyes elsewhere are a false face, the others give the error."""
    landmarks = np.zeros((68, 2))
    landmarks[36:42], landmarks[42:48] = (100, 100), (140, 100)
    faces = [(np.full((8, 8), number, np.uint8), landmarks) for number in range(4)]
    answers = {
        0: FoundEyes(Eyes((100.0, 102.0), (140.0, 102.0)), 1.0, FIRST_ATTEMPT, 1),
        1: FoundEyes(Eyes((104.0, 100.0), (144.0, 100.0)), 1.0, SECOND_ATTEMPT, 1),
        2: FoundEyes(Eyes((20.0, 200.0), (60.0, 200.0)), 1.0, FIRST_ATTEMPT, 1),
    }
    monkeypatch.setattr(train_eyes, "training_faces", lambda *_: iter(faces))
    monkeypatch.setattr(train_eyes, "find_eyes", lambda grey, *, predictor: answers.get(int(grey[0, 0])))
    measured = train_eyes.measure(train_eyes.PredictorTraining(held_out=2, jobs=1))
    assert list(measured.values()) == [8, 4, 0.25, 0.25, 0.25, 0.075, 0.1, 0.1]


@pytest.mark.real_faces
def test_the_eyes_of_every_real_photograph_are_found() -> None:
    """48 photographs of eight people, glasses, winks and side light included: roll and distance are plausible."""
    if not REAL_FACES.is_dir():
        pytest.skip(f"the photographs are not part of the project; expected in {REAL_FACES}")
    distances: dict[str, list[float]] = {}
    for path in sorted(REAL_FACES.glob("*.png")):
        found = find_eyes(np.asarray(Image.open(path).convert("L")))
        assert found is not None and doubts(found.faces, found.score, found.spread) == [], path.name
        (left, top), (right, bottom) = found.eyes.left, found.eyes.right
        assert abs(np.degrees(np.arctan2(bottom - top, right - left))) < 12, path.name
        distances.setdefault(path.name[:9], []).append(found.eyes.distance)
    for person, values in distances.items():
        assert np.ptp(values) / np.median(values) < 0.2, person


@pytest.mark.real_faces
@pytest.mark.parametrize(
    ("name", "words"),
    [("mask.png", "uncertain"), ("hand.png", "uncertain"), ("two_faces.jpg", "2 faces"), ("plain.png", "")],
)
def test_a_mask_a_covered_eye_and_a_bystander_are_doubtful(name: str, words: str) -> None:
    """A plain face is not."""
    path = SHARED / "cases" / "pictures" / name
    if not path.exists():
        pytest.skip(f"the pictures are not part of the project; expected in {path.parent}")
    found = find_eyes(np.asarray(Image.open(path).convert("L")))
    assert found is not None
    said = doubts(found.faces, found.score, found.spread)
    assert [reason for reason in said if words in reason] if words else not said
