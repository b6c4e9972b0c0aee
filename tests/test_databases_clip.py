"""The frames of a clip are counted as they decode."""

from __future__ import annotations

import pytest
from layouts import write_clip, write_text

from gndl.databases.clip import ONE_PACKET_PER_FRAME, UnreadableClip, count_frames, decode_all

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
