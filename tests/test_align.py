"""The geometry of a crop, against points computed by hand."""

from __future__ import annotations

import cmath

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gndl.align import Eyes, _sample, cut, eyes_in_crop, geometry_from_eyes
from gndl.profiles import CropSettings

coordinate = st.floats(-2000, 2000)
point = st.tuples(coordinate, coordinate)


def test_eye_places_in_the_crop() -> None:
    """Of 100 pixels, eyes 40 apart at height 38: pixel edges 30, 70 and 38 are pixel centres 29.5, 69.5 and 37.5."""
    eyes = eyes_in_crop(CropSettings(size=100, eye_distance=0.4, eye_height=0.38))
    np.testing.assert_allclose([eyes.left, eyes.right], [(29.5, 37.5), (69.5, 37.5)])


def test_upright_face_by_hand() -> None:
    """Eyes 80 pixels apart in the picture and 40 in the crop: a pixel of the crop is two of the picture."""
    geometry = geometry_from_eyes(
        Eyes((100.0, 200.0), (180.0, 200.0)), CropSettings(size=100, eye_distance=0.4, eye_height=0.38)
    )
    assert geometry.scale == pytest.approx(2)
    np.testing.assert_allclose(geometry.to_source(np.array([29.5, 37.5])), (100, 200))
    np.testing.assert_allclose(geometry.to_source(np.array([49.5, 57.5])), (140, 240))
    np.testing.assert_allclose(geometry.to_crop(np.array([140.0, 240.0])), (49.5, 57.5))


def test_face_lying_on_its_side_by_hand() -> None:
    """The right eye straight below the left one: down in the crop is left in the picture."""
    geometry = geometry_from_eyes(
        Eyes((100.0, 100.0), (100.0, 140.0)), CropSettings(size=100, eye_distance=0.4, eye_height=0.38)
    )
    np.testing.assert_allclose(geometry.to_source(np.array([49.5, 47.5])), (90, 120))


def test_eye_centres_are_the_means_of_six_landmarks() -> None:
    """Points 36 to 41 and 42 to 47, whatever the other 56 are."""
    points = np.full((68, 2), 1e6)
    points[36:42] = [(0, 3), (2, 0), (4, 0), (6, 3), (4, 6), (2, 6)]
    points[42:48] = points[36:42] + np.array([20, 1])
    assert Eyes.from_landmarks(points) == Eyes((3.0, 3.0), (23.0, 4.0))


@given(left=point, right=point, points=st.lists(point, min_size=1, max_size=5), size=st.integers(16, 512))
def test_to_crop_inverts_to_source(
    left: tuple[float, float], right: tuple[float, float], points: list[tuple[float, float]], size: int
) -> None:
    """There and back again, for any two eyes at least four pixels apart; the eyes come to their places."""
    eyes = Eyes(left, right)
    if eyes.distance < 4:
        return
    settings = CropSettings(size=size)
    geometry = geometry_from_eyes(eyes, settings)
    np.testing.assert_allclose(geometry.to_source(geometry.to_crop(np.array(points))), points, atol=1e-6)
    places = eyes_in_crop(settings)
    np.testing.assert_allclose(geometry.to_crop(np.array([left, right])), [places.left, places.right], atol=1e-6)


@pytest.mark.parametrize("scale", [0.4, 1.0, 1.7, 2.0, 3.3, 7.9])
@pytest.mark.parametrize("degrees", [0, 25, 90])
def test_a_cut_reads_where_the_geometry_points(scale: float, degrees: float) -> None:
    """A smooth ramp, cut at any scale and turn, holds the values at the points that `to_source` gives."""
    size = 24
    rows, columns = np.mgrid[0:400, 0:400]
    ramp = (columns * 0.35 + rows * 0.25).astype(np.uint8)
    settings = CropSettings(size=size)
    turn = np.exp(1j * np.deg2rad(degrees)) * scale * settings.eye_distance * size / 2
    middle = complex(200, 200)
    eyes = [((middle + side * turn).real, (middle + side * turn).imag) for side in (-1, 1)]
    geometry = geometry_from_eyes(Eyes(*eyes), settings)
    y, x = np.mgrid[0:size, 0:size]
    source = geometry.to_source(np.stack([x, y], axis=-1))
    expected = source[..., 0] * 0.35 + source[..., 1] * 0.25 - 0.5  # the ramp is rounded down
    assert np.abs(cut(ramp, geometry) - expected).max() < 1.2


def test_fine_lines_are_averaged_and_do_not_alias() -> None:
    """Lines one pixel wide, shrunk three times, become an even grey and no coarser lines."""
    lines = np.tile(np.array([[0, 255]], np.uint8), (300, 150))
    eyes = Eyes((120.0, 150.0), (120.0 + 3.3 * 16, 150.0))
    crop = cut(lines, geometry_from_eyes(eyes, CropSettings(size=40)))
    assert np.abs(crop.astype(int) - 127).max() < 40


def test_beyond_the_edge_the_border_is_repeated() -> None:
    """No dark frame appears around a face at the picture's edge."""
    picture = np.full((50, 60, 3), (200, 100, 50), np.uint8)
    crop = cut(picture, geometry_from_eyes(Eyes((0.0, 5.0), (30.0, 5.0)), CropSettings(size=64)))
    assert (crop == picture[0, 0]).all()


@given(
    st.floats(-0.2, 1.2), st.floats(-0.2, 1.2), st.floats(0.05, 0.9), st.floats(-0.6, 0.6), st.sampled_from([1, 3]),
    st.booleans(), st.integers(0, 9),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_the_part_of_a_picture_that_is_looked_at_gives_the_crop_of_the_whole(
    across: float, down: float, wide: float, turn: float, order: int, colour: bool, seed: int
) -> None:
    """Wherever a crop lies, also over the edge, its bytes are those of sampling the whole picture by scipy."""
    image = np.random.default_rng(seed).integers(0, 256, (90, 130, 3) if colour else (90, 130), dtype=np.uint8)
    middle, half = complex(across * 130, down * 90), 65 * wide * cmath.exp(1j * turn)
    ends = [middle - half, middle + half]
    geometry = geometry_from_eyes(Eyes(*((end.real, end.imag) for end in ends)), CropSettings(size=24))
    factor, shift = geometry.factor, geometry.shift
    whole = int(min(geometry.scale, 90, 130))
    reduced = image
    if whole > 1:
        reduced = np.asarray(Image.fromarray(image).reduce(whole))
        factor, shift = factor / whole, (shift + (0.5 + 0.5j)) / whole - (0.5 + 0.5j)
    samples = 2 if geometry.scale > 1 else 1
    fine_shift = shift + factor * (0.5 + 0.5j) * (1 / samples - 1)
    fine = _sample(reduced, factor / samples, fine_shift, 24 * samples, order)
    if samples > 1:
        fine = fine.reshape(24, 2, 24, 2, *fine.shape[2:]).mean(axis=(1, 3))
    expected = np.clip(np.rint(fine), 0, 255).astype(np.uint8)
    assert np.array_equal(cut(image, geometry, order=order), expected)
