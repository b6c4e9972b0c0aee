"""Pictures, clips and landmark files as arrays; a file that cannot be read is named.

Files from outside are opened with care. Pillow and FFmpeg know many more formats than any database uses; some of them
start other programs (EPS) or name further files and addresses (playlists). Only the formats listed here are tried,
whatever a file is called, and nothing gigantic is decoded.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from PIL import Image, ImageOps, UnidentifiedImageError

from gndl.files import GndlError
from gndl.sequences import FrameRef

PICTURE_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "PPM", "GIF")
"""Formats of pictures in databases, by Pillow's names; ``PPM`` includes PGM and PBM."""

PHOTOGRAPH_FORMATS = (*PICTURE_FORMATS, "WEBP")
CLIP_FORMATS = ("avi", "mpeg", "mpegvideo", "mpegts", "mov", "matroska", "asf", "dv", "m4v", "mjpeg")
"""Containers of clips, by FFmpeg's names; ``mov`` includes MP4. Playlists and series of pictures are not among them."""

MAX_PIXELS = 64_000_000
"""Largest picture or frame that is decoded: a compressed file of a few kilobytes may claim billions of pixels."""

WHITES = tuple(2**bits - 1 for bits in (8, 10, 12, 14, 16))
"""White in pictures of more than 8 bits, by the bits that their camera used."""

MIN_EYE_DISTANCE = 4.0
"""Pixels between both eye centres below which a landmark file does not describe a face."""

ONE_PACKET_PER_FRAME = {
    *("mjpeg", "dvvideo", "rawvideo", "huffyuv", "ffvhuff", "ffv1", "cinepak", "indeo3", "indeo5"),
    *("mpeg1video", "mpeg2video", "mpeg4", "msmpeg4v1", "msmpeg4v2", "msmpeg4v3", "wmv1", "wmv2"),
}
"""Codecs with exactly one packet a frame, so that frames can be counted without decoding (H.264 is not one)."""


class Unreadable(ValueError):
    """A picture or clip that is refused or does not decode, with the reason; ``decoded`` frames precede the failure."""

    def __init__(self, reason: str, decoded: int = 0) -> None:
        super().__init__(reason)
        self.decoded = decoded


# Pictures


def read_image(path: Path, white: int = 0) -> np.ndarray:
    """Read a picture, turned upright according to its EXIF orientation.

    Returns uint8, shape (H, W) where the picture is grey (one channel, or three equal ones), else (H, W, 3). ``white``
    is the value of white where it has more than 8 bits; without one, the least of `WHITES` that holds its values.
    Raises GndlError where the file is missing, not in one of `PICTURE_FORMATS`, gigantic or damaged.
    """
    advice = "replace it with an undamaged copy, or leave its sequence out"
    return _upright(path, str(path), PICTURE_FORMATS, advice, white)


def open_photograph(photograph: str | Path | bytes, name: str = "the photo") -> np.ndarray:
    """Read your own photo, also a WebP, from a file or its bytes (called ``name`` in errors), as `read_image` does."""
    advice = "use a JPEG, PNG or WebP (export HEIC as JPEG first)"
    if isinstance(photograph, bytes):
        return _upright(io.BytesIO(photograph), name, PHOTOGRAPH_FORMATS, advice)
    return _upright(Path(photograph), str(photograph), PHOTOGRAPH_FORMATS, advice)


def _upright(source: Path | BinaryIO, name: str, formats: tuple[str, ...], advice: str, white: int = 0) -> np.ndarray:
    try:
        with open_picture(source, formats) as image:
            return _as_bytes(ImageOps.exif_transpose(image), white)
    except FileNotFoundError as error:
        raise GndlError(f"{name}: no such picture") from error
    except Unreadable as error:
        raise GndlError(f"{name}: cannot be read as a picture ({error}); {advice}") from error


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height as stored, read from the file's header alone; raises as `read_image`."""
    try:
        with open_picture(path) as image:
            return image.size
    except (FileNotFoundError, Unreadable) as error:
        raise GndlError(f"{path}: cannot be read as a picture ({error})") from error


def largest_value(path: Path) -> float | None:
    """Largest value in a picture of more than 8 bits; None for any other, and for one that cannot be read."""
    try:
        with open_picture(path) as image:
            return float(np.asarray(image).max(initial=0)) if image.mode.startswith(("I", "F")) else None
    except (FileNotFoundError, Unreadable):
        return None


def white_of(largest: float) -> int:
    """The least of `WHITES` that is not below the largest value."""
    return next((white for white in WHITES if largest <= white), WHITES[-1])


@contextmanager
def open_picture(source: Path | BinaryIO, formats: tuple[str, ...] = PICTURE_FORMATS) -> Iterator[Image.Image]:
    """Open a picture; whatever its decoder raises inside the block becomes `Unreadable` (a missing file does not)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below is lower
            image = Image.open(source, formats=formats)
    except FileNotFoundError:
        raise
    except UnidentifiedImageError as error:
        reason = f"it is empty, damaged or not in a supported format: {', '.join(formats)}"
        raise Unreadable(reason) from error
    except Image.DecompressionBombError as error:
        raise Unreadable(f"it claims more than the limit of {MAX_PIXELS:,} pixels") from error
    except Exception as error:  # decoders raise anything on damaged files
        raise Unreadable(_reason(error)) from error
    with image:
        if image.width * image.height > MAX_PIXELS:
            raise Unreadable(f"{image.width}×{image.height} pixels are more than the limit of {MAX_PIXELS:,}")
        try:
            yield image
        except Unreadable:
            raise
        except Exception as error:
            raise Unreadable(_reason(error)) from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _as_bytes(image: Image.Image, white: int) -> np.ndarray:
    if image.mode.startswith(("I", "F")):  # 16 and 32 bits
        values = np.asarray(image, dtype=np.float64)
        if not (np.isfinite(values).all() and values.min(initial=0) >= 0 and values.max(initial=0) <= 65535):
            raise Unreadable(f"its values, in mode {image.mode}, do not lie between 0 and 65535")
        scale = (white or white_of(values.max(initial=0))) / 255
        return np.clip(np.rint(values / scale), 0, 255).astype(np.uint8)
    if image.mode in ("1", "L", "LA", "La"):
        return np.asarray(image.convert("L"))
    return without_colour(np.asarray(image.convert("RGB")))


def as_grey(picture: np.ndarray) -> np.ndarray:
    """Convert a picture to grey, uint8 (H, W), with the luma weights of Rec. 601."""
    return picture if picture.ndim == 2 else np.asarray(Image.fromarray(picture).convert("L"))


def as_colour(picture: np.ndarray) -> np.ndarray:
    """Convert a picture to colour, uint8 (H, W, 3); grey is repeated."""
    return picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)


def without_colour(picture: np.ndarray) -> np.ndarray:
    """Drop two of three channels where all three are equal."""
    if picture.ndim == 3 and (picture == picture[..., :1]).all():
        return np.ascontiguousarray(picture[..., 0])
    return picture


# Clips


def read_frames(frames: Collection[FrameRef]) -> dict[FrameRef, np.ndarray]:
    """Read several frames; each clip is decoded once, from its start."""
    pictures = {frame: read_image(frame.path, frame.white) for frame in frames if not frame.is_video}
    for path in sorted({frame.path for frame in frames if frame.is_video}):
        wanted = {frame.index: frame for frame in frames if frame.is_video and frame.path == path}
        for index, picture in iterate_clip(path, set(wanted)):
            pictures[wanted[index]] = picture
    return pictures


def iterate_clip(path: Path, indices: Collection[int] | None = None) -> Iterator[tuple[int, np.ndarray]]:
    """Decode a clip from its start and yield all of its frames, or those of ``indices``, as (index, picture).

    Never seeks: the index of a frame is its place in the order of decoding, which is exact for every codec. In a
    frame marked as interlaced, the second field's lines are replaced by the mean of their neighbours. Pixels are taken
    as stored; an aspect ratio declared by the clip is not applied. Raises GndlError where the clip cannot be read or
    ends before the last of ``indices``.
    """
    last = max(indices) if indices else None
    count = 0
    try:
        for index, frame in enumerate(_decode(path)):
            count = index + 1
            if indices is None or index in indices:
                yield index, _frame_as_bytes(frame)
            if index == last:
                return
    except (Unreadable, av.FFmpegError) as error:
        after = f" after frame {count}" if count else ""
        advice = "replace it with an undamaged copy, or leave its session out"
        raise GndlError(f"{path}: cannot be read as a clip{after} ({error}); {advice}") from error
    if count == 0:
        raise GndlError(f"{path}: no frame in it decodes; replace it, or leave its session out")
    if last is not None:
        raise GndlError(f"{path}: ends after {count} frames, but frame {last + 1} is needed")


def count_frames(path: Path) -> int:
    """Number of frames of a clip, without decoding all of it where that is certain; `Unreadable` where it fails."""
    with _open_clip(path) as (container, stream):
        if stream.codec_context.name not in ONE_PACKET_PER_FRAME:
            return decode_clip(path)
        if next(container.decode(stream), None) is None:
            raise Unreadable("no frame in it decodes")
    with _open_clip(path) as (container, stream):  # decoding has taken packets from the first pass
        return sum(1 for packet in container.demux(stream) if packet.size)


def decode_clip(path: Path) -> int:
    """Decode a whole clip and count its frames; `Unreadable` where one fails."""
    count = 0
    try:
        for _ in _decode(path):
            count += 1
    except Unreadable as error:
        raise Unreadable(f"frame {count + 1} does not decode: {error}", count) from error
    if count == 0:
        raise Unreadable("no frame in it decodes")
    return count


def _decode(path: Path) -> Iterator[av.VideoFrame]:
    with _open_clip(path) as (container, stream):
        yield from container.decode(stream)


@contextmanager
def _open_clip(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a clip; nothing but this file is read, and whatever FFmpeg raises inside the block becomes `Unreadable`.

    The size of every frame is checked before its pixels are decoded: it may change within a clip.
    """
    stream = None
    try:
        if path.stat().st_size == 0:
            raise Unreadable("it is empty (0 bytes)")
        # An absolute path is not an address; titles in old clips are in Latin-1, which must not stop the reading.
        with av.open(
            f"file:{path.absolute()}",
            options={"max_pixels": str(MAX_PIXELS)},  # of the frames decoded to tell what the streams are
            container_options={"protocol_whitelist": "file", "format_whitelist": ",".join(CLIP_FORMATS)},
            metadata_errors="replace",
        ) as container:
            if not container.streams.video or container.streams.video[0].codec_context is None:
                raise Unreadable("no video with a known codec in it")
            stream = container.streams.video[0]
            width, height = stream.codec_context.width, stream.codec_context.height
            if width * height > MAX_PIXELS:
                raise Unreadable(f"frames of {width}×{height} pixels are more than the limit of {MAX_PIXELS:,}")
            stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
            yield container, stream
    except Unreadable:
        raise
    except (av.FFmpegError, OSError, ValueError) as error:
        # A decoder that refuses a size leaves a context without one.
        refused = isinstance(error, av.FFmpegError) and stream is not None and not stream.codec_context.width
        reason = f"a frame claims more than the limit of {MAX_PIXELS:,} pixels, or no size" if refused else ""
        raise Unreadable(reason or _reason(error)) from error


def _frame_as_bytes(frame: av.VideoFrame) -> np.ndarray:
    grey = frame.format.name.startswith(("gray", "mono"))
    picture = without_colour(frame.to_ndarray(format="gray" if grey else "rgb24"))
    if frame.interlaced_frame and len(picture) > 2:
        picture = picture.copy()
        below = picture[2::2].astype(np.uint16)
        above = picture[0:-2:2].astype(np.uint16)[: len(below)]
        picture[1 : 2 * len(below) : 2] = (above + below + 1) // 2
    return picture


# Landmarks


def read_landmarks(path: Path) -> np.ndarray:
    """Read a CK+ landmark file, 68 lines of x and y in pixels: float64, shape (68, 2); GndlError where it is not."""
    expected = "68 lines of two finite numbers are expected; without the Landmarks folder the detector is used"
    try:
        lines = path.read_text(encoding="ascii").splitlines()
        points = np.array([line.split() for line in lines if line.strip()], dtype=np.float64)
        if points.shape != (68, 2) or not np.isfinite(points).all():
            raise ValueError(f"an array of shape {points.shape}")
    except (OSError, ValueError) as error:
        raise GndlError(f"{path}: cannot be read as landmarks ({error}); {expected}") from error
    return points


def read_eyes(landmarks: Path, width: int, height: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Centres (x, y) of the eyes on the picture's left and right: the mean of six landmarks each.

    Raises GndlError as `read_landmarks`, and where an eye lies outside the picture or both (nearly) coincide.
    """
    points = read_landmarks(landmarks)
    left, right = ((float(x), float(y)) for x, y in (points[36:42].mean(axis=0), points[42:48].mean(axis=0)))
    inside = all(0 <= x < width and 0 <= y < height for x, y in (left, right))
    if not inside or math.dist(left, right) < MIN_EYE_DISTANCE:
        places = " and ".join(f"({x:.1f}, {y:.1f})" for x, y in (left, right))
        where = f"which are not two places in its picture of {width}×{height} pixels"
        raise GndlError(f"{landmarks}: puts the eyes at {places}, {where}; without Landmarks the detector is used")
    return left, right
