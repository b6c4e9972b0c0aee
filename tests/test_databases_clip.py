"""The frames of a clip are counted as they decode."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import pytest
from layouts import write_clip, write_text
from PIL import Image

from gndl.databases.clip import ONE_PACKET_PER_FRAME, UnreadableClip, count_frames, decode_all
from gndl.errors import GndlError
from gndl.frames_reading import iterate_clip

CODECS = [
    ("mjpeg", "avi", "yuvj420p", {}),
    ("mpeg4", "avi", "yuv420p", {}),
    ("mpeg4", "avi", "yuv420p", {"bf": "2"}),
    ("rawvideo", "avi", "yuv420p", {}),
    ("ffv1", "avi", "yuv420p", {}),
    ("huffyuv", "avi", "yuv422p", {}),
    ("dvvideo", "avi", "yuv420p", {}),
    ("mpeg2video", "avi", "yuv420p", {"flags": "+ildct+ilme"}),
    ("mpeg2video", "mpg", "yuv420p", {"bf": "2"}),
    ("wmv2", "avi", "yuv420p", {}),
    ("libx264", "mp4", "yuv420p", {}),
]


@pytest.mark.parametrize(("codec", "suffix", "pixel_format", "options"), CODECS)
def test_frames_counted_are_frames_decoded(tmp_path, codec, suffix, pixel_format, options):
    """Counting packets gives what decoding gives, for every codec that a clip may come in."""
    clip = write_clip(tmp_path / f"S001-001.{suffix}", 23, codec, pixel_format, **options)
    count, _ = decode_all(clip)
    assert count_frames(clip) == count == 23


def test_codecs_without_one_packet_per_frame_are_decoded():
    """H.264 may code the two fields of a frame apart, so its packets are not counted."""
    assert "h264" not in ONE_PACKET_PER_FRAME


def test_a_sound_file_is_no_clip(tmp_path):
    """A file without video is refused with that reason."""
    path = write_text(tmp_path / "S001-001.avi", "RIFF")
    with pytest.raises(UnreadableClip):
        count_frames(path)


def test_a_truncated_clip_keeps_the_frames_that_it_has(tmp_path):
    """The frames of a clip that was cut short are counted as far as they are there."""
    clip = write_clip(tmp_path / "S001-001.avi", 30)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    assert 5 < count_frames(clip) < 30


TOO_LARGE = r"more than the 64,000,000 pixels that are read"


def write_sizes(path: Path, sizes: list[tuple[int, int]]) -> Path:
    """A clip of JPEG pictures of these sizes, whose container claims 64×48 pixels."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for index, size in enumerate(sizes):
            content = io.BytesIO()
            Image.new("L", size, 100).save(content, "JPEG", quality=5)
            packet = av.Packet(content.getvalue())
            packet.stream, packet.time_base, packet.pts, packet.dts = stream, Fraction(1, 25), index, index
            container.mux(packet)
    return path


@pytest.mark.parametrize("whole", [0, 3])
def test_a_gigantic_frame_is_refused_wherever_it_comes(tmp_path: Path, whole: int) -> None:
    """A frame of JPEG may be larger than the clip says, and later ones than the first: none is decoded."""
    sizes = [(64, 48)] * 5
    sizes[whole] = (9000, 9000)
    clip = write_sizes(tmp_path / "S001-001.avi", sizes)
    with pytest.raises(UnreadableClip, match=TOO_LARGE) as refused:
        decode_all(clip)
    assert refused.value.decoded == whole
    seen = []
    with pytest.raises(GndlError, match=rf"S001-001\.avi: cannot be read as a clip \(.*{TOO_LARGE}.*\); replace it"):
        for index, _ in iterate_clip(clip):
            seen.append(index)
    assert seen == list(range(whole))


@pytest.mark.parametrize("codec", ["rawvideo", "ffv1"])
def test_a_clip_that_claims_gigantic_frames_is_refused(tmp_path: Path, codec: str) -> None:
    """A header of a few bytes claims 9000 × 9000 pixels."""
    clip = write_clip(tmp_path / "S001-001.avi", 3, codec, "yuv420p")
    content, before, after = clip.read_bytes(), b"\x40\0\0\0\x30\0\0\0", b"\x28\x23\0\0" * 2
    assert before in content
    clip.write_bytes(content.replace(before, after))
    with pytest.raises(UnreadableClip, match=TOO_LARGE):
        count_frames(clip)
    with pytest.raises(GndlError, match=TOO_LARGE):
        list(iterate_clip(clip))
