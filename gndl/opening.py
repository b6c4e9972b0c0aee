"""Pictures and clips from outside, opened with care: known formats alone, nothing gigantic, nothing fetched.

Pillow and FFmpeg know many more formats than any database uses, some of which start other programs (EPS) or name
further files and addresses (playlists). Only those listed here are tried, whatever a file is called.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import av
from av.container import InputContainer
from av.video.stream import VideoStream
from PIL import Image, UnidentifiedImageError

PICTURE_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "PPM", "GIF")
"""Formats of pictures in databases, by Pillow's names; ``PPM`` stands for PGM and PBM too."""

PHOTOGRAPH_FORMATS = (*PICTURE_FORMATS, "WEBP")
"""Formats of a photograph of one's own, which a browser or a telephone may have saved."""

CLIP_FORMATS = ("avi", "mpeg", "mpegvideo", "mpegts", "mov", "matroska", "asf", "dv", "m4v", "mjpeg")
"""Containers of clips, by FFmpeg's names; ``mov`` stands for MP4 too. Playlists and series of pictures are none."""

MOST_PIXELS = 64_000_000
"""Pixels of a picture or of a clip's frame at most: a compressed file of a few kilobytes may claim billions."""

_OTHERS = {
    b"%!PS": "PostScript",
    b"8BPS": "Photoshop",
    b"%PDF": "PDF",
    b"\0\0\0\x0cjP": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\1\0": "icon",
    b"DDS ": "DDS",
    b"<svg": "SVG",
    b"<?xml": "XML",
    b"<!DO": "HTML",
    b"<htm": "HTML",
    b"PK\3\4": "zip",
    b"\x1f\x8b": "gzip",
}
"""First bytes of files that are met instead of pictures."""


class UnreadablePicture(ValueError):
    """A picture that is refused or does not decode, with the reason."""


class UnreadableContainer(ValueError):
    """A clip that is refused or does not open, with the reason."""


@contextmanager
def opened_picture(source: Path | BinaryIO, formats: tuple[str, ...] = PICTURE_FORMATS) -> Iterator[Image.Image]:
    """Open a picture of one of ``formats``; whatever its decoder raises inside the block becomes `UnreadablePicture`.

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    UnreadablePicture
        Where it is empty, of another format (which is named), of more than `MOST_PIXELS`, or damaged.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below is lower
            image = Image.open(source, formats=formats)
    except FileNotFoundError:
        raise
    except UnidentifiedImageError as error:
        raise UnreadablePicture(_unknown(source, formats)) from error
    except Image.DecompressionBombError as error:
        raise UnreadablePicture(f"it claims more than the {MOST_PIXELS:,} pixels that are read") from error
    except Exception as error:  # Decoders of outside input raise whatever they meet.
        raise UnreadablePicture(_reason(error)) from error
    with image:
        if image.width * image.height > MOST_PIXELS:
            raise UnreadablePicture(
                f"{image.width}×{image.height} pixels are more than the {MOST_PIXELS:,} that are read"
            )
        try:
            yield image
        except UnreadablePicture:
            raise
        except Exception as error:
            raise UnreadablePicture(_reason(error)) from error


def format_named(path: Path) -> str | None:
    """The format that a picture's suffix promises, by Pillow's name; None where no format of databases has it."""
    suffixes = {
        **{".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".bmp": "BMP", ".gif": "GIF"},
        **{".tif": "TIFF", ".tiff": "TIFF", ".pgm": "PPM", ".ppm": "PPM", ".pbm": "PPM"},
    }
    return suffixes.get(path.suffix.lower())


@contextmanager
def opened_clip(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a clip in one of `CLIP_FORMATS` and yield it with its first video stream; nothing but this file is read.

    A frame's size is checked before its pixels are decoded, the first one's and every other's: in a clip of JPEG
    pictures, and at a new header of any other codec, it may change.

    Raises
    ------
    UnreadableContainer
        Where it is empty, no such container, without video, or a frame has more than `MOST_PIXELS`; the latter also
        inside the block, where that frame is met.
    av.FFmpegError
        Where it does not open or, inside the block, does not decode.
    """
    if path.stat().st_size == 0:
        raise UnreadableContainer("it is empty (0 bytes)")
    options = {"protocol_whitelist": "file", "format_whitelist": ",".join(CLIP_FORMATS)}
    # An absolute path is no address; titles in old clips are in Latin-1, which must not keep them from being read.
    with av.open(
        f"file:{path.absolute()}",
        options={"max_pixels": str(MOST_PIXELS)},  # of the frames that are decoded to tell what the streams are
        container_options=options,
        metadata_errors="replace",
    ) as container:
        if not container.streams.video:
            raise UnreadableContainer("no video in it")
        stream = container.streams.video[0]
        if stream.codec_context is None:
            raise UnreadableContainer("its codec is not known")
        width, height = stream.codec_context.width, stream.codec_context.height
        if width * height > MOST_PIXELS:
            raise UnreadableContainer(
                f"frames of {width}×{height} pixels are more than the {MOST_PIXELS:,} that are read"
            )
        stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
        try:
            yield container, stream
        except av.FFmpegError as error:
            if stream.codec_context.width:
                raise
            # What a decoder leaves behind that refuses a size.
            raise UnreadableContainer(
                f"a frame claims more than the {MOST_PIXELS:,} pixels that are read, or no size"
            ) from error


def _unknown(source: Path | BinaryIO, formats: tuple[str, ...]) -> str:
    """Say what a file is, as its first bytes tell, that is no picture of the known formats."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            first = file.read(32)
    else:
        source.seek(0)
        first = source.read(32)
    if not first:
        return "it is empty (0 bytes)"
    known = f"pictures are read as {', '.join(formats)}"
    if first[:4] == b"RIFF" and first[8:12] == b"WEBP":
        return f"it is a WebP picture; {known}"
    if first[4:8] == b"ftyp":
        return f"it is a {first[8:12].decode('ascii', 'replace').strip()} file (HEIC, AVIF or a clip); {known}"
    for begin, what in _OTHERS.items():
        if first.startswith(begin):
            return f"it is a {what} file; {known}"
    return f"it is not a picture, or damaged at its very beginning; {known}"


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
