"""Pictures, clips and landmark files as arrays; whatever cannot be read is named."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import av
import numpy as np
from PIL import ExifTags, Image, ImageOps

from gndl.align import Eyes
from gndl.errors import GndlError
from gndl.opening import UnreadableContainer, UnreadablePicture, opened_clip, opened_picture
from gndl.sequences import FrameRef

CLOSEST_EYES = 4.0
"""Pixels between the centres of both eyes below which a landmark file says nothing of a face."""


LARGEST_LANDMARKS = 100_000
"""Bytes of a landmark file at most; 68 lines have about 2300."""


def read_image(path: Path) -> np.ndarray:
    """Read a picture, turned upright as its EXIF orientation says.

    Returns
    -------
    ndarray of uint8, shape (H, W) where the picture is grey (one channel, or three equal ones), else (H, W, 3)

    Raises
    ------
    GndlError
        Where the file is missing, is no picture of a known format (`gndl.opening`), is gigantic or is damaged.
    """
    try:
        with opened_picture(path) as image:
            return _as_bytes(ImageOps.exif_transpose(image))
    except FileNotFoundError as error:
        raise GndlError(f"{path}: there is no such picture") from error
    except UnreadablePicture as error:
        raise GndlError(
            f"{path}: cannot be read as a picture ({error}); replace it with an undamaged copy, "
            "or leave its sequence out"
        ) from error


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels of what `read_image` gives, from the file's header alone.

    Raises
    ------
    GndlError
        Where the file is missing or is no picture.
    """
    try:
        with opened_picture(path) as image:
            # Asking a PNG for tags that it does not have would decode all of it.
            tags = image.getexif() if image.format != "PNG" or "exif" in image.info else {}
            lies = tags.get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
            return (image.height, image.width) if lies else (image.width, image.height)
    except (FileNotFoundError, UnreadablePicture) as error:
        raise GndlError(f"{path}: cannot be read as a picture ({error})") from error


def read_frames(frames: Collection[FrameRef]) -> dict[FrameRef, np.ndarray]:
    """Read several frames; each clip among them is decoded once, from its start.

    Raises
    ------
    GndlError
        Where a picture or clip cannot be read, or a clip ends before a frame that is asked for.
    """
    pictures = {frame: read_image(frame.path) for frame in frames if not frame.is_video}
    for path in sorted({frame.path for frame in frames if frame.is_video}):
        wanted = {frame.index: frame for frame in frames if frame.is_video and frame.path == path}
        for index, picture in iterate_clip(path, set(wanted)):
            pictures[wanted[index]] = picture
    return pictures


def iterate_clip(path: Path, indices: Collection[int] | None = None) -> Iterator[tuple[int, np.ndarray]]:
    """Decode a clip from its start and yield its frames, all or those of ``indices``, as (index, picture).

    Never seeks: the index of a frame is its place in the order of decoding, which is exact for every codec. In a
    frame marked as interlaced the second field's lines are replaced by the mean of their neighbours, so that no
    comb of two moments remains and a frame still depends on itself alone. Pixels are taken as stored; an aspect
    ratio other than 1 that a clip declares is not applied.

    Raises
    ------
    GndlError
        Where the clip cannot be read or ends before the last of ``indices``.
    """
    last = max(indices) if indices else None
    index = -1
    try:
        with opened_clip(path) as (container, stream):
            for index, frame in enumerate(container.decode(stream)):
                if indices is None or index in indices:
                    yield index, _frame_as_bytes(frame)
                if index == last:
                    return
    except UnreadableContainer as error:
        raise GndlError(f"{path}: cannot be read as a clip ({error}); replace it, or leave its session out") from error
    except (av.FFmpegError, OSError, ValueError) as error:
        raise GndlError(
            f"{path}: cannot be read as a clip after frame {index + 1} ({error}); "
            "replace it with an undamaged copy, or leave its session out"
        ) from error
    if index < 0:
        raise GndlError(f"{path}: holds no frame")
    if last is not None:
        raise GndlError(f"{path}: ends after {index + 1} frames, but frame {last + 1} is asked for")


def read_landmarks(path: Path) -> np.ndarray:
    """Read a CK+ landmark file: 68 lines of x and y in pixels.

    Returns
    -------
    ndarray of float64, shape (68, 2)

    Raises
    ------
    GndlError
        Where the file is missing or holds anything but 68 points.
    """
    expected = "68 lines of two finite numbers are expected; without the Landmarks folder the detector is used"
    try:
        if (size := path.stat().st_size) > LARGEST_LANDMARKS:
            raise ValueError(f"{size:,} bytes")
        rows = [line.split() for line in path.read_text(encoding="ascii").splitlines() if line.strip()]
        points = np.array([[float(value) for value in row] for row in rows], dtype=np.float64)
    except (OSError, ValueError) as error:
        raise GndlError(f"{path}: cannot be read as landmarks ({error}); {expected}") from error
    if points.shape != (68, 2) or not np.isfinite(points).all():
        raise GndlError(f"{path}: holds an array of shape {points.shape}; {expected}")
    return points


def read_eyes(landmarks: Path, width: int, height: int) -> Eyes:
    """Read a landmark file and check that it puts two eyes in its picture, of this size in pixels.

    Raises
    ------
    GndlError
        As `read_landmarks`, and where an eye's centre lies outside the picture or both (nearly) coincide.
    """
    eyes = Eyes.from_landmarks(read_landmarks(landmarks))
    inside = all(0 <= x < width and 0 <= y < height for x, y in (eyes.left, eyes.right))
    if not inside or eyes.distance < CLOSEST_EYES:
        left, right = (f"({x:.1f}, {y:.1f})" for x, y in (eyes.left, eyes.right))
        raise GndlError(
            f"{landmarks}: puts the eyes at {left} and {right}, which are no two places in its picture of "
            f"{width}×{height} pixels; without the Landmarks folder the detector is used"
        )
    return eyes


def as_grey(picture: np.ndarray) -> np.ndarray:
    """Take a picture to grey, uint8 (H, W), by the luma weights of Rec. 601."""
    return picture if picture.ndim == 2 else np.asarray(Image.fromarray(picture).convert("L"))


def as_colour(picture: np.ndarray) -> np.ndarray:
    """Take a picture to colour, uint8 (H, W, 3); grey is repeated."""
    return picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)


def without_colour(picture: np.ndarray) -> np.ndarray:
    """Drop two of three channels where all three are equal."""
    if picture.ndim == 3 and (picture == picture[..., :1]).all():
        return np.ascontiguousarray(picture[..., 0])
    return picture


def _as_bytes(image: Image.Image) -> np.ndarray:
    if image.mode.startswith(("I", "F")):  # 16 and 32 bits
        values = np.asarray(image, dtype=np.float64)
        if not (np.isfinite(values).all() and values.min(initial=0) >= 0 and values.max(initial=0) <= 65535):
            raise UnreadablePicture(f"its values, in mode {image.mode}, do not lie between 0 and 65535")
        return np.clip(np.rint(values / 257 if values.max(initial=0) > 255 else values), 0, 255).astype(np.uint8)
    if image.mode in ("1", "L", "LA", "La"):
        return np.asarray(image.convert("L"))
    return without_colour(np.asarray(image.convert("RGB")))


def _frame_as_bytes(frame: av.VideoFrame) -> np.ndarray:
    grey = frame.format.name.startswith(("gray", "mono"))
    picture = without_colour(frame.to_ndarray(format="gray" if grey else "rgb24"))
    if frame.interlaced_frame and len(picture) > 2:
        picture = picture.copy()
        below = picture[2::2].astype(np.uint16)
        above = picture[0:-2:2].astype(np.uint16)[: len(below)]
        picture[1 : 2 * len(below) : 2] = (above + below + 1) // 2
    return picture
