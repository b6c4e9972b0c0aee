"""Where the two eyes of a face are, and the aligned crop that follows from them alone (ledger L15).

Where a picture comes without landmarks, dlib's frontal detector (histograms of oriented gradients) finds the face and a
five-point shape predictor, trained on rendered faces (`tools/train_eyes.py`), finds the eyes inside it. The detector's
box only tells where to look: it jumps when a mouth opens, and eyes do not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import dlib
import numpy as np
from PIL import Image, ImageOps
from scipy import ndimage

from gndl.profiles import CropSettings

PREDICTOR = Path(__file__).parent / "assets" / "eyes5.dat"
"""The shipped five-point predictor."""
FIRST_ATTEMPT = "detector+predictor"
SECOND_ATTEMPT = "detector+predictor, second attempt (contrast equalised, enlarged)"

UNSURE_SCORE = 0.5
"""Score of the detector below which a face is doubtful; clear frontal faces have 1 to 3."""
UNSURE_SPREAD = 0.065
"""Spread of the predictions above which the eyes are doubtful: uncovered frontal faces stay below 0.06, a mask, a hand
before an eye or a head turned by 45° lie mostly above 0.08."""


@dataclass(frozen=True)
class Eyes:
    """The centres of both eyes as (x, y) in pixels; whole numbers are pixel centres.

    ``left`` is on the left of the upright picture: the subject's right eye, points 36 to 41 of the 68-point scheme.
    """

    left: tuple[float, float]
    right: tuple[float, float]

    @staticmethod
    def from_landmarks(points: np.ndarray) -> Eyes:
        """Average the six points around each eye of 68 landmarks (68, 2) in iBUG order, which CK+ uses too."""
        left, right = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
        return Eyes((float(left[0]), float(left[1])), (float(right[0]), float(right[1])))

    @property
    def distance(self) -> float:
        """Distance between the two centres in pixels."""
        return math.dist(self.left, self.right)


@dataclass(frozen=True)
class CropGeometry:
    """The similarity that maps pixels of a square crop of side ``size`` to its picture: ``factor * crop + shift``.

    A point (x, y) is the complex number x + iy, so that one factor holds rotation and scale.
    """

    factor: complex
    shift: complex
    size: int

    @cached_property
    def scale(self) -> float:
        """Pixels of the picture per pixel of the crop; above 1 the crop shrinks the face."""
        return abs(self.factor)

    def to_source(self, points: np.ndarray) -> np.ndarray:
        """Map points (…, 2) of the crop to the picture."""
        mapped = self.factor * (points[..., 0] + 1j * points[..., 1]) + self.shift
        return np.stack([mapped.real, mapped.imag], axis=-1)

    def to_crop(self, points: np.ndarray) -> np.ndarray:
        """Map points (…, 2) of the picture to the crop."""
        mapped = (points[..., 0] + 1j * points[..., 1] - self.shift) / self.factor
        return np.stack([mapped.real, mapped.imag], axis=-1)


def eyes_in_crop(settings: CropSettings) -> Eyes:
    """The two points at which the eyes of every crop lie, in pixels of the crop."""
    middle, half = settings.size / 2, settings.eye_distance * settings.size / 2
    height = settings.eye_height * settings.size - 0.5
    return Eyes((middle - half - 0.5, height), (middle + half - 0.5, height))


def geometry_from_eyes(eyes: Eyes, settings: CropSettings) -> CropGeometry:
    """The similarity that brings both eyes to their points in the crop."""
    return geometry_between(eyes_in_crop(settings), eyes, settings.size)


def geometry_between(crop_eyes: Eyes, eyes: Eyes, size: int) -> CropGeometry:
    """The similarity that maps ``crop_eyes`` of a crop of side ``size`` to ``eyes`` of the picture."""
    crop_left, crop_right = complex(*crop_eyes.left), complex(*crop_eyes.right)
    left, right = complex(*eyes.left), complex(*eyes.right)
    factor = (right - left) / (crop_right - crop_left)
    return CropGeometry(factor, left - factor * crop_left, size)


SETTLED = 48
"""Pixels after which a cubic spline has forgotten where its picture was cut off (a factor of 0.27 each)."""


def cut(image: np.ndarray, geometry: CropGeometry, *, order: int = 3) -> np.ndarray:
    """Cut a crop out of a picture, uint8 (H, W) or (H, W, 3).

    Pixels are interpolated by splines of ``order`` (3 cubic, 1 linear). A face larger than the crop is averaged down,
    never subsampled, so that nothing aliases. Beyond the picture's edge its border pixels are repeated: a dark frame
    would be something that a network could learn from.
    """
    factor, shift, size = geometry.factor, geometry.shift, geometry.size
    whole = int(max(1, min(geometry.scale, *image.shape[:2])))
    image, origin = _part_seen(image, geometry, whole, 2 if order == 1 else SETTLED)
    shift -= origin
    half = complex(0.5, 0.5)
    if whole > 1:  # average blocks of pixels first; the rest, below a factor of two, is supersampled
        image = np.asarray(Image.fromarray(image).reduce(whole))
        factor, shift = factor / whole, (shift + half) / whole - half
    samples = 2 if geometry.scale > 1 else 1
    sample = _sample_lines if order == 1 and image.ndim == 2 else _sample
    fine = sample(image, factor / samples, shift + factor * half * (1 / samples - 1), size * samples, order)
    if samples > 1 and fine.ndim == 2:
        rows = fine[:, 0::2] + fine[:, 1::2]  # in the order in which numpy's mean adds, but twenty times faster
        fine = (rows[0::2] + rows[1::2]) / np.float32(4)
    elif samples > 1:
        fine = fine.reshape(size, 2, size, 2, -1).mean(axis=(1, 3))
    return np.clip(np.rint(fine), 0, 255).astype(np.uint8)


def _part_seen(image: np.ndarray, geometry: CropGeometry, whole: int, margin: int) -> tuple[np.ndarray, complex]:
    # The part begins at the edge of a block, so that the same blocks are averaged as in the whole picture.
    low, high = _extent(geometry.factor, geometry.shift, geometry.size)
    first = np.maximum(0, (np.floor(low).astype(int) // whole - margin) * whole)
    last = np.minimum(image.shape[:2], (np.ceil(high).astype(int) // whole + 1 + margin) * whole)
    if (first >= last).any():  # the whole crop lies beyond the edge
        return image, 0j
    part = image[first[0] : last[0], first[1] : last[1]]
    return np.ascontiguousarray(part), complex(first[1], first[0])


def _extent(factor: complex, shift: complex, size: int) -> tuple[np.ndarray, np.ndarray]:
    corners = [factor * corner + shift for corner in (0, size, size * 1j, complex(size, size))]
    places = np.array([(corner.imag, corner.real) for corner in corners])
    return places.min(axis=0), places.max(axis=0)


def _sample_lines(image: np.ndarray, factor: complex, shift: complex, size: int, order: int) -> np.ndarray:
    # As `_sample` with order 1 for a grey picture, by Pillow, which is several times faster.
    low, high = _extent(factor, shift, size)
    before = np.maximum(0, np.ceil(1 - low).astype(int))
    after = np.maximum(0, np.ceil(high + 2 - image.shape).astype(int))
    picture = Image.fromarray(np.pad(image.astype(np.float32), np.column_stack([before, after]), mode="edge"))
    half = complex(0.5, 0.5)  # Pillow counts from a pixel's corner
    constant = shift + complex(before[1], before[0]) + half - factor * half
    matrix = (factor.real, -factor.imag, constant.real, factor.imag, factor.real, constant.imag)
    return np.asarray(picture.transform((size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR))


def _sample(image: np.ndarray, factor: complex, shift: complex, size: int, order: int) -> np.ndarray:
    """Read ``image`` at ``factor * (x + iy) + shift`` for every pixel of a square of side ``size``."""
    if image.ndim == 3:
        return np.dstack([_sample(channel, factor, shift, size, order) for channel in np.moveaxis(image, 2, 0)])
    matrix = np.array([[factor.real, factor.imag], [-factor.imag, factor.real]])  # rows and columns: (y, x)
    offset = np.array([shift.imag, shift.real])
    values = image.astype(np.float32)
    return ndimage.affine_transform(values, matrix, offset, (size, size), order=order, mode="nearest")


ENLARGE_BELOW = 480
"""Pictures whose shorter side is smaller are doubled first: the detector misses faces below 80 pixels."""
SHRINK_ABOVE = 1280
"""Pictures whose longer side is larger are searched at this size."""


@dataclass(frozen=True)
class FaceBox:
    """A detected face: a square by its centre and side in pixels, and the detector's score."""

    x: float
    y: float
    side: float
    score: float


@dataclass(frozen=True)
class FoundEyes:
    """The eyes of the main face of a picture."""

    eyes: Eyes
    score: float
    """The detector's."""
    how: str
    """`FIRST_ATTEMPT` or `SECOND_ATTEMPT`."""
    faces: int
    """All faces found in the picture."""
    spread: float = math.nan
    """Root mean square distance of all predictions of an eye from its place, of the worse eye, over ``distance``."""


def doubts(faces: float, score: float, spread: float) -> list[str]:
    """What speaks against the eyes that detector and predictor have found, in words; NaN says nothing."""
    reasons = {
        f"{faces:g} faces found, the largest clear one was used": faces > 1,
        f"the detector is unsure of the face (score {score:.2f})": score < UNSURE_SCORE,
        f"the eyes are uncertain (spread {spread:.2f}); are they covered, or is the head turned?": spread
        > UNSURE_SPREAD,
    }
    return [reason for reason, holds in reasons.items() if holds]


def find_eyes(
    grey: np.ndarray, *, second_attempt: bool = True, predictor: dlib.shape_predictor | None = None
) -> FoundEyes | None:
    """Find the eyes of the main face of a picture, uint8 (H, W); None without a face.

    Where no face is found, ``second_attempt`` searches again on a larger picture with its contrast equalised.
    """
    how, faces = FIRST_ATTEMPT, find_faces(grey)
    if not faces and second_attempt:
        how, faces = SECOND_ATTEMPT, find_faces(grey, second_attempt=True)
    if not faces:
        return None
    face = main_face(faces)
    eyes, spread = locate_eyes(grey, face, predictor)
    return FoundEyes(eyes, face.score, how, len(faces), spread)


def find_faces(grey: np.ndarray, *, second_attempt: bool = False) -> list[FaceBox]:
    """Find every frontal face of a picture, uint8 (H, W), largest first."""
    height, width = grey.shape
    scale = 2.0 if min(height, width) < ENLARGE_BELOW else min(1.0, SHRINK_ABOVE / max(height, width))
    picture = Image.fromarray(grey)
    if second_attempt:
        picture = ImageOps.equalize(picture)
        scale *= 2
    if scale != 1.0:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    boxes, scores, _ = _detector().run(np.asarray(picture), 0, 0.0)
    faces = []
    for box, score in zip(boxes, scores, strict=True):
        x, y = (box.left() + box.right() + 1) / 2 / scale - 0.5, (box.top() + box.bottom() + 1) / 2 / scale - 0.5
        faces.append(FaceBox(x, y, (box.width() + box.height()) / 2 / scale, float(score)))
    return sorted(faces, key=lambda face: (-face.side, -face.score, face.x, face.y))


def main_face(faces: list[FaceBox]) -> FaceBox:
    """The largest of the faces whose score is at least half the best score."""
    best = max(face.score for face in faces)
    return max((face for face in faces if face.score >= best / 2), key=lambda face: (face.side, face.score))


PATCH = 160
"""Side in pixels of the upright patch that the predictor sees; the face box is its middle part."""
BOX_IN_PATCH = 100
MIDDLE = complex(PATCH - 1, PATCH - 1) / 2
EYES_IN_PATCH = Eyes((59.5, 62.0), (99.5, 62.0))
"""Where the eyes lie in a patch that is aligned by them."""

SMALL_CHANGES: tuple[tuple[complex, complex], ...] = (
    (1, 0), (1.06, 3), (0.94, -3), (1 + 0.06j, 3j), (1 - 0.06j, -3j),
    (1.06, -3j), (0.94, 3j), (1 + 0.06j, -3), (1 - 0.06j, 3),
)  # fmt: skip
"""Factor (scale and turn) and shift in patch pixels of the patches whose predictions are combined."""


def locate_eyes(grey: np.ndarray, face: FaceBox, predictor: dlib.shape_predictor | None = None) -> tuple[Eyes, float]:
    """Locate both eye centres of a detected face in a picture, uint8 (H, W); also the `FoundEyes.spread`.

    The predictor looks first at the detector's box, then twice at patches aligned by the eyes found so far. Each time
    it sees several slightly shifted, turned or scaled patches and their mirror images; the median of its answers does
    not follow the jumps of the box.
    """
    predictor = predictor or _predictor()
    every = [_guesses(grey, [patch_of_box(face, *change) for change in SMALL_CHANGES[:5]], predictor)]
    for changes in (SMALL_CHANGES[:5], SMALL_CHANGES):
        eyes = _median(every[-1])
        every.append(_guesses(grey, [patch_of_eyes(eyes, *change) for change in changes], predictor))
    eyes = _median(every[-1])
    apart = np.concatenate(every) - [eyes.left, eyes.right]  # (38, 2 eyes, 2)
    return eyes, float(np.sqrt((apart**2).sum(axis=2).mean(axis=0)).max() / eyes.distance)


def patch_of_box(face: FaceBox, change: complex = 1, shift: complex = 0) -> CropGeometry:
    """The patch whose middle part is the detector's box, up to a small ``change`` and ``shift``."""
    factor = complex(face.side / BOX_IN_PATCH)
    return _changed(CropGeometry(factor, complex(face.x, face.y) - factor * MIDDLE, PATCH), change, shift)


def patch_of_eyes(eyes: Eyes, change: complex = 1, shift: complex = 0) -> CropGeometry:
    """The patch with the eyes at `EYES_IN_PATCH`, up to a small ``change`` and ``shift``."""
    return _changed(geometry_between(EYES_IN_PATCH, eyes, PATCH), change, shift)


def _changed(patch: CropGeometry, change: complex, shift: complex) -> CropGeometry:
    """Turn and scale a patch about its middle, then shift it by its own pixels."""
    factor = patch.factor * change
    return CropGeometry(factor, patch.factor * (MIDDLE + shift) + patch.shift - factor * MIDDLE, PATCH)


def read_patch(grey: np.ndarray, geometry: CropGeometry) -> np.ndarray:
    """Cut a patch and normalise its mean and contrast, so that light and camera matter little."""
    patch = cut(grey, geometry, order=1).astype(np.float32)
    inner = patch[PATCH // 6 : -PATCH // 6, PATCH // 6 : -PATCH // 6]
    return np.clip(128 + (patch - inner.mean()) * (45 / max(float(inner.std()), 4.0)), 0, 255).astype(np.uint8)


def _guesses(grey: np.ndarray, patches: list[CropGeometry], predictor: dlib.shape_predictor) -> list[np.ndarray]:
    """Both eye centres (2, 2) in the picture, as predicted in all patches and in their mirror images."""
    low = (PATCH - BOX_IN_PATCH) // 2
    box = dlib.rectangle(low, low, low + BOX_IN_PATCH - 1, low + BOX_IN_PATCH - 1)
    guesses = []
    for geometry in patches:
        patch = read_patch(grey, geometry)
        points, mirrored = (_points(predictor(seen, box)) for seen in (patch, np.ascontiguousarray(patch[:, ::-1])))
        guesses += [geometry.to_source(found[:2]) for found in (points, mirror(mirrored))]
    return guesses


def _median(guesses: list[np.ndarray]) -> Eyes:
    left, right = np.median(guesses, axis=0).tolist()
    return Eyes(tuple(left), tuple(right))


def _points(shape: dlib.full_object_detection) -> np.ndarray:
    return np.array([(point.x, point.y) for point in shape.parts()], dtype=np.float64)


def mirror(points: np.ndarray) -> np.ndarray:
    """Map the five points of a patch (left and right eye, left and right outer corner, nose) to its mirror image."""
    return np.stack([PATCH - 1 - points[:, 0], points[:, 1]], axis=1)[[1, 0, 3, 2, 4]]


@cache
def _detector() -> dlib.fhog_object_detector:
    return dlib.get_frontal_face_detector()


@cache
def _predictor() -> dlib.shape_predictor:
    return dlib.shape_predictor(str(PREDICTOR))
