"""Where a crop lies in its picture: a rotation, a scale and a shift, from the two eye centres alone (ledger L15)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image
from scipy import ndimage

from gndl.profiles import CropSettings


@dataclass(frozen=True)
class Eyes:
    """The centres of both eyes as (x, y) in pixels; a whole number is the middle of a pixel.

    ``left`` is the eye on the picture's left where the face is upright: the subject's right eye, points 36 to 41 of
    the 68-point scheme. A crop turns the face so that ``left`` lies left of ``right`` at the same height.
    """

    left: tuple[float, float]
    right: tuple[float, float]

    @staticmethod
    def from_landmarks(points: np.ndarray) -> Eyes:
        """Take the mean of the six points around each eye.

        Parameters
        ----------
        points : ndarray, shape (68, 2)
            x and y of the 68 landmarks in the iBUG order, which CK+ uses as well.
        """
        left, right = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
        return Eyes((float(left[0]), float(left[1])), (float(right[0]), float(right[1])))

    @property
    def distance(self) -> float:
        """Distance between the two centres in pixels."""
        return math.dist(self.left, self.right)


@dataclass(frozen=True)
class CropGeometry:
    """The similarity that takes a crop's pixels to its picture's: ``source = factor * crop + shift``.

    A point (x, y) is written as the complex number x + iy, so that one factor holds rotation and scale.

    Parameters
    ----------
    factor, shift : complex
    size : int
        Side of the crop in pixels.
    """

    factor: complex
    shift: complex
    size: int

    @cached_property
    def scale(self) -> float:
        """Pixels of the picture in one pixel of the crop; above 1 the crop shrinks the face."""
        return abs(self.factor)

    def to_source(self, points: np.ndarray) -> np.ndarray:
        """Take points (…, 2) of the crop to the picture."""
        return _as_points(self.factor * _as_complex(points) + self.shift)

    def to_crop(self, points: np.ndarray) -> np.ndarray:
        """Take points (…, 2) of the picture to the crop; the inverse of `to_source`."""
        return _as_points((_as_complex(points) - self.shift) / self.factor)


def eyes_in_crop(settings: CropSettings) -> Eyes:
    """The two places at which the eyes of every crop lie, in pixels of the crop."""
    middle, half = settings.size / 2, settings.eye_distance * settings.size / 2
    height = settings.eye_height * settings.size - 0.5
    return Eyes((middle - half - 0.5, height), (middle + half - 0.5, height))


def geometry_from_eyes(eyes: Eyes, settings: CropSettings) -> CropGeometry:
    """Find the one similarity that brings both eyes to their places in the crop.

    Nothing but the eyes enters, so that an opening mouth changes nothing.
    """
    return geometry_between(eyes_in_crop(settings), eyes, settings.size)


def geometry_between(crop_eyes: Eyes, eyes: Eyes, size: int) -> CropGeometry:
    """Find the similarity that takes ``crop_eyes`` of a crop of side ``size`` to ``eyes`` of the picture."""
    crop_left, crop_right = complex(*crop_eyes.left), complex(*crop_eyes.right)
    left, right = complex(*eyes.left), complex(*eyes.right)
    factor = (right - left) / (crop_right - crop_left)
    return CropGeometry(factor, left - factor * crop_left, size)


SETTLED = 48
"""Pixels after which a cubic spline has forgotten where its picture was cut off (a factor of 0.27 for each)."""


def cut(image: np.ndarray, geometry: CropGeometry, *, order: int = 3) -> np.ndarray:
    """Cut a crop out of a picture.

    Splines of ``order`` (cubic; 1 for linear) read between pixels. A face larger than the crop is averaged down,
    never subsampled, so that no pattern of fine lines appears; beyond the picture's edge its border pixels are
    repeated, which adds no dark frame that a network could learn from. Only the part of the picture that has a say
    is looked at.

    Parameters
    ----------
    image : ndarray of uint8, shape (H, W) or (H, W, 3)
    geometry : CropGeometry

    Returns
    -------
    ndarray of uint8, shape (size, size) or (size, size, 3)
    """
    factor, shift, size = geometry.factor, geometry.shift, geometry.size
    whole = int(max(1, min(geometry.scale, *image.shape[:2])))
    image, origin = _part_seen(image, geometry, whole, 2 if order == 1 else SETTLED)
    shift -= origin
    if whole > 1:  # average blocks of pixels first; the rest, below a factor of two, is supersampled
        image = np.asarray(Image.fromarray(image).reduce(whole))
        factor, shift = factor / whole, (shift + complex(0.5, 0.5)) / whole - complex(0.5, 0.5)
    samples = 2 if geometry.scale > 1 else 1
    fine_shift = shift + factor * complex(0.5, 0.5) * (1 / samples - 1)
    sample = _sample_lines if order == 1 and image.ndim == 2 else _sample
    fine = sample(image, factor / samples, fine_shift, size * samples, order)
    if samples > 1 and fine.ndim == 2:
        rows = fine[:, 0::2] + fine[:, 1::2]  # in the order in which numpy's mean adds, but in one go each
        fine = (rows[0::2] + rows[1::2]) / np.float32(samples * samples)
    elif samples > 1:
        fine = fine.reshape(size, samples, size, samples, -1).mean(axis=(1, 3))
    return np.clip(np.rint(fine), 0, 255).astype(np.uint8)


def _part_seen(image: np.ndarray, geometry: CropGeometry, whole: int, margin: int) -> tuple[np.ndarray, complex]:
    """Return the part of a picture under a crop and ``margin`` more of its blocks of ``whole`` pixels, and its origin.

    It begins between two blocks, so that blocks are averaged as those of the whole picture are.
    """
    far = complex(geometry.size, geometry.size)
    corners = [geometry.factor * corner + geometry.shift for corner in (0, far.real, far.imag * 1j, far)]
    parts, origin = [], []
    for places, length in zip(
        ([corner.real for corner in corners], [corner.imag for corner in corners]), image.shape[1::-1], strict=True
    ):
        first = max(0, (math.floor(min(places)) // whole - margin) * whole)
        last = min(length, (math.ceil(max(places)) // whole + 1 + margin) * whole)
        if first >= last:  # all of the crop lies beyond the edge
            return image, 0j
        parts.append(slice(first, last))
        origin.append(first)
    return np.ascontiguousarray(image[parts[1], parts[0]]), complex(*origin)


def _sample_lines(image: np.ndarray, factor: complex, shift: complex, size: int, order: int) -> np.ndarray:
    """As `_sample` for ``order`` 1 and a grey picture, by Pillow, which is several times faster."""
    corners = [factor * corner + shift for corner in (0, size, size * 1j, complex(size, size))]
    before = [max(0, math.ceil(1 - min(places))) for places in _rows_and_columns(corners)]
    after = [
        max(0, math.ceil(max(places) + 2 - length))
        for places, length in zip(_rows_and_columns(corners), image.shape, strict=True)
    ]
    values = np.pad(image.astype(np.float32), tuple(zip(before, after, strict=True)), mode="edge")
    half = complex(0.5, 0.5)  # Pillow counts from a pixel's corner
    constant = shift + complex(before[1], before[0]) + half - factor * half
    matrix = (factor.real, -factor.imag, constant.real, factor.imag, factor.real, constant.imag)
    picture = Image.fromarray(values)
    return np.asarray(picture.transform((size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR))


def _rows_and_columns(points: list[complex]) -> tuple[list[float], list[float]]:
    return [point.imag for point in points], [point.real for point in points]


def _sample(image: np.ndarray, factor: complex, shift: complex, size: int, order: int) -> np.ndarray:
    """Read ``image`` at ``factor * (x + iy) + shift`` for every pixel of a square of side ``size``."""
    matrix = np.array([[factor.real, factor.imag], [-factor.imag, factor.real]])  # rows and columns: (y, x)
    offset = np.array([shift.imag, shift.real])
    channels = image[..., None] if image.ndim == 2 else image
    sampled = [
        ndimage.affine_transform(
            channels[..., channel].astype(np.float32), matrix, offset, (size, size), order=order, mode="nearest"
        )
        for channel in range(channels.shape[2])
    ]
    return sampled[0] if image.ndim == 2 else np.stack(sampled, axis=-1)


def _as_complex(points: np.ndarray) -> np.ndarray:
    points = np.asarray(points, dtype=np.float64)
    return points[..., 0] + 1j * points[..., 1]


def _as_points(values: np.ndarray) -> np.ndarray:
    return np.stack([values.real, values.imag], axis=-1)
