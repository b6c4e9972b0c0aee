"""Find a face and its two eye centres in a picture that comes without landmarks.

dlib's frontal detector (histograms of oriented gradients) finds the face; a five-point shape predictor, trained on
rendered faces alone (`gndl.eye_predictor`), finds the eyes inside it. The box only says where to look: scale and
position of a crop come from the eyes, for a box jumps when a mouth opens and eyes do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import dlib
import numpy as np
from PIL import Image, ImageOps

from gndl.align import CropGeometry, Eyes, cut, geometry_between
from gndl.errors import GndlError

PREDICTOR = Path(__file__).parent / "assets" / "eyes5.dat"
"""The shipped five-point predictor."""

PATCH = 160
"""Side in pixels of the upright patch that the predictor sees; the face box is its middle."""
BOX_IN_PATCH = 100
MIDDLE = complex(PATCH - 1, PATCH - 1) / 2
EYES_IN_PATCH = Eyes((59.5, 62.0), (99.5, 62.0))
"""Where the eyes lie in a patch that is aligned by them."""

ENLARGE_BELOW = 480
"""Pictures whose shorter side is smaller are doubled first: the detector finds no face below 80 pixels."""
SHRINK_ABOVE = 1280
"""Pictures whose longer side is larger are searched at this size."""

FIRST_ATTEMPT = "detector+predictor"
SECOND_ATTEMPT = "detector+predictor, second attempt (contrast equalised, enlarged)"


@dataclass(frozen=True)
class FaceBox:
    """A face as the detector marks it: a square by its centre and side in pixels, and the detector's score."""

    x: float
    y: float
    side: float
    score: float


@dataclass(frozen=True)
class FoundEyes:
    """The eyes of the face that was taken.

    Parameters
    ----------
    eyes : Eyes
    score : float
        The detector's score of the face; above 0, about 1 to 3 for a clear frontal face.
    how : str
        `FIRST_ATTEMPT` or `SECOND_ATTEMPT`.
    faces : int
        Faces found in the picture in all.
    """

    eyes: Eyes
    score: float
    how: str
    faces: int


def find_eyes(
    grey: np.ndarray, *, second_attempt: bool = True, predictor: dlib.shape_predictor | None = None
) -> FoundEyes | None:
    """Find the eyes of the main face of a picture (`main_face`).

    Parameters
    ----------
    grey : ndarray of uint8, shape (H, W)
    second_attempt : bool
        Search once more, where no face is found, on the picture enlarged further and its contrast equalised;
        ``how`` says so.
    predictor : dlib.shape_predictor, optional
        The shipped one where none is given.

    Returns
    -------
    FoundEyes or None
        None where no face is found.
    """
    how, faces = FIRST_ATTEMPT, find_faces(grey)
    if not faces and second_attempt:
        how, faces = SECOND_ATTEMPT, find_faces(grey, second_attempt=True)
    if not faces:
        return None
    face = main_face(faces)
    return FoundEyes(locate_eyes(grey, face, predictor), face.score, how, len(faces))


def find_faces(grey: np.ndarray, *, second_attempt: bool = False) -> list[FaceBox]:
    """Find every frontal face of a picture, uint8 (H, W), largest first."""
    height, width = grey.shape
    scale = 2.0 if min(height, width) < ENLARGE_BELOW else min(1.0, SHRINK_ABOVE / max(height, width))
    picture = Image.fromarray(grey)
    if second_attempt:
        picture = ImageOps.equalize(picture)
        scale *= 2
    if scale != 1.0:
        resampling = Image.Resampling.BICUBIC
        picture = picture.resize((max(1, round(width * scale)), max(1, round(height * scale))), resampling)
    boxes, scores, _ = _detector().run(np.asarray(picture), 0, 0.0)
    faces = [
        FaceBox(
            (box.left() + box.right() + 1) / 2 / scale - 0.5,
            (box.top() + box.bottom() + 1) / 2 / scale - 0.5,
            (box.width() + box.height()) / 2 / scale,
            float(score),
        )
        for box, score in zip(boxes, scores, strict=True)
    ]
    return sorted(faces, key=lambda face: (-face.side, -face.score, face.x, face.y))


def main_face(faces: list[FaceBox]) -> FaceBox:
    """Pick the largest of the faces whose score is at least half the best."""
    best = max(face.score for face in faces)
    return max((face for face in faces if face.score >= best / 2), key=lambda face: (face.side, face.score))


def locate_eyes(grey: np.ndarray, face: FaceBox, predictor: dlib.shape_predictor | None = None) -> Eyes:
    """Locate the two eye centres of a face that the detector found.

    The predictor looks at the detector's box first, then twice at patches aligned by the eyes found so far. Each time
    it sees several patches, shifted, turned or scaled a little, and each also in the mirror; the median of what it
    says does not follow the box's jumps.

    Parameters
    ----------
    grey : ndarray of uint8, shape (H, W)
    face : FaceBox
    predictor : dlib.shape_predictor, optional
        The shipped one where none is given.
    """
    predictor = predictor or _predictor()
    eyes = _median(grey, [patch_of_box(face, *change) for change in SMALL_CHANGES[:5]], predictor)
    for changes in (SMALL_CHANGES[:5], SMALL_CHANGES):
        eyes = _median(grey, [patch_of_eyes(eyes, *change) for change in changes], predictor)
    return eyes


def _median(grey: np.ndarray, patches: list[CropGeometry], predictor: dlib.shape_predictor) -> Eyes:
    guesses = [guess for patch in patches for guess in predict_in_patch(grey, patch, predictor)]
    left, right = np.median(guesses, axis=0)
    return Eyes((float(left[0]), float(left[1])), (float(right[0]), float(right[1])))


SMALL_CHANGES: tuple[tuple[complex, complex], ...] = (
    (1, 0),
    (1.06, 3),
    (0.94, -3),
    (1 + 0.06j, 3j),
    (1 - 0.06j, -3j),
    (1.06, -3j),
    (0.94, 3j),
    (1 + 0.06j, -3),
    (1 - 0.06j, 3),
)
"""Factor (scale and turn) and shift in patch pixels of the patches whose predictions are put together."""


def patch_of_box(face: FaceBox, change: complex = 1, shift: complex = 0) -> CropGeometry:
    """Place the patch so that the detector's box is its middle part, but for a small ``change`` and ``shift``."""
    factor = complex(face.side / BOX_IN_PATCH)
    return _changed(CropGeometry(factor, complex(face.x, face.y) - factor * MIDDLE, PATCH), change, shift)


def patch_of_eyes(eyes: Eyes, change: complex = 1, shift: complex = 0) -> CropGeometry:
    """Place the patch so that the eyes lie at `EYES_IN_PATCH`, but for a small ``change`` and ``shift``."""
    return _changed(geometry_between(EYES_IN_PATCH, eyes, PATCH), change, shift)


def _changed(patch: CropGeometry, change: complex, shift: complex) -> CropGeometry:
    """Turn and scale a patch about its middle, then shift it by its own pixels."""
    factor = patch.factor * change
    return CropGeometry(factor, patch.factor * (MIDDLE + shift) + patch.shift - factor * MIDDLE, PATCH)


def read_patch(grey: np.ndarray, geometry: CropGeometry) -> np.ndarray:
    """Cut a patch and bring it to one mean and contrast, so that light and camera matter little."""
    patch = cut(grey, geometry, order=1).astype(np.float32)
    inner = patch[PATCH // 6 : -PATCH // 6, PATCH // 6 : -PATCH // 6]
    return np.clip(128 + (patch - inner.mean()) * (45 / max(float(inner.std()), 4.0)), 0, 255).astype(np.uint8)


def predict_in_patch(grey: np.ndarray, geometry: CropGeometry, predictor: dlib.shape_predictor) -> list[np.ndarray]:
    """Run the predictor on one patch and on its mirror image; each gives both eye centres in the picture, (2, 2)."""
    low = (PATCH - BOX_IN_PATCH) // 2
    box = dlib.rectangle(low, low, low + BOX_IN_PATCH - 1, low + BOX_IN_PATCH - 1)
    patch = read_patch(grey, geometry)
    guesses = []
    for seen, mirrored in ((patch, False), (np.ascontiguousarray(patch[:, ::-1]), True)):
        shape = predictor(seen, box)
        points = np.array([(shape.part(i).x, shape.part(i).y) for i in range(shape.num_parts)], dtype=np.float64)
        guesses.append(geometry.to_source((mirror(points) if mirrored else points)[:2]))
    return guesses


def mirror(points: np.ndarray) -> np.ndarray:
    """Take the five points of a patch to those of its mirror image.

    The points are the left and the right eye centre, the left and the right outer eye corner and the nose base, left
    as seen in the picture.
    """
    return np.stack([PATCH - 1 - points[:, 0], points[:, 1]], axis=1)[[1, 0, 3, 2, 4]]


@cache
def _detector() -> dlib.fhog_object_detector:
    return dlib.get_frontal_face_detector()


@cache
def _predictor() -> dlib.shape_predictor:
    require_predictor()
    return dlib.shape_predictor(str(PREDICTOR))


def require_predictor() -> None:
    """Raise GndlError where the shipped predictor is missing."""
    if not PREDICTOR.is_file():
        raise GndlError(f"{PREDICTOR}: the eye predictor is missing; make it with: python -m gndl.eye_predictor")
