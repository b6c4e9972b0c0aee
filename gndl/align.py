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


def cut(image: np.ndarray, geometry: CropGeometry, *, order: int = 3) -> np.ndarray:
    """Cut a crop out of a picture.

    Splines of ``order`` (cubic; 1 for linear) read between pixels. A face larger than the crop is averaged down,
    never subsampled, so that no pattern of fine lines appears; beyond the picture's edge its border pixels are
    repeated, which adds no dark frame that a network could learn from.

    Parameters
    ----------
    image : ndarray of uint8, shape (H, W) or (H, W, 3)
    geometry : CropGeometry

    Returns
    -------
    ndarray of uint8, shape (size, size) or (size, size, 3)
    """
    factor, shift, size = geometry.factor, geometry.shift, geometry.size
    whole = int(min(geometry.scale, *image.shape[:2]))
    if whole > 1:  # average blocks of pixels first; the rest, below a factor of two, is supersampled
        image = np.asarray(Image.fromarray(image).reduce(whole))
        factor, shift = factor / whole, (shift + complex(0.5, 0.5)) / whole - complex(0.5, 0.5)
    samples = 2 if geometry.scale > 1 else 1
    fine_shift = shift + factor * complex(0.5, 0.5) * (1 / samples - 1)
    fine = _sample(image, factor / samples, fine_shift, size * samples, order)
    if samples > 1:
        fine = fine.reshape(size, samples, size, samples, *fine.shape[2:]).mean(axis=(1, 3))
    return np.clip(np.rint(fine), 0, 255).astype(np.uint8)


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
