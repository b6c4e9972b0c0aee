"""How many frames a video has, without decoding it where that is certain."""

from __future__ import annotations

from pathlib import Path

from av.error import FFmpegError

from gndl.opening import UnreadableContainer, opened_clip

ONE_PACKET_PER_FRAME = frozenset(
    {
        *("mjpeg", "dvvideo", "rawvideo", "huffyuv", "ffvhuff", "ffv1", "cinepak", "indeo3", "indeo5"),
        *("mpeg1video", "mpeg2video", "mpeg4", "msmpeg4v1", "msmpeg4v2", "msmpeg4v3", "wmv1", "wmv2"),
    }
)
"""Codecs whose frame is always one packet; of others, such as H.264 with fields coded apart, frames are decoded."""


class UnreadableClip(ValueError):
    """A video that cannot be decoded, with the reason and the number of frames before the one that fails."""

    def __init__(self, reason: str, decoded: int = 0) -> None:
        super().__init__(reason)
        self.decoded = decoded


def count_frames(path: Path) -> int:
    """Count the frames of a video; the first one is decoded as well, to see that it can be.

    Raises
    ------
    UnreadableClip
        Where the file is no video, or its first frame does not decode.
    """
    try:
        with opened_clip(path) as (container, stream):
            if stream.codec_context.name not in ONE_PACKET_PER_FRAME:
                return _decoded(path)
            if next(container.decode(stream), None) is None:
                raise UnreadableClip("no frame in it decodes")
        # A second pass: decoding has taken packets from the first one.
        with opened_clip(path) as (container, stream):
            return sum(1 for packet in container.demux(stream) if packet.size)
    except UnreadableClip:
        raise
    except (UnreadableContainer, FFmpegError, OSError, ValueError) as error:
        raise UnreadableClip(_reason(error)) from error


def decode_all(path: Path) -> tuple[int, set[tuple[int, int]]]:
    """Decode a whole video and return its number of frames and every (width, height) that occurs.

    Raises
    ------
    UnreadableClip
        Where any frame does not decode.
    """
    sizes = set()
    count = 0
    try:
        with opened_clip(path) as (container, stream):
            for frame in container.decode(stream):
                sizes.add((frame.width, frame.height))
                count += 1
    except UnreadableContainer as error:
        raise UnreadableClip(f"frame {count + 1} does not decode: {error}" if count else str(error), count) from error
    except (FFmpegError, OSError, ValueError) as error:
        raise UnreadableClip(f"frame {count + 1} does not decode: {_reason(error)}", count) from error
    if count == 0:
        raise UnreadableClip("no frame in it decodes")
    return count, sizes


def _decoded(path: Path) -> int:
    return decode_all(path)[0]


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
