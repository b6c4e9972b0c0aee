"""Pictures and clips as people have them: what can be read is read right, anything else is refused by name."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from layouts import landmark_lines, write_clip, write_picture, write_text
from PIL import Image

from gndl.files import GndlError
from gndl.frames import (
    ONE_PACKET_PER_FRAME,
    PICTURE_FORMATS,
    Unreadable,
    count_frames,
    decode_clip,
    iterate_clip,
    open_photograph,
    picture_size,
    read_eyes,
    read_frames,
    read_image,
    read_landmarks,
)
from gndl.sequences import FrameRef

RAMP = np.arange(64 * 48, dtype=np.uint16).reshape(48, 64) % 251


def test_every_kind_of_picture_is_read_as_the_same_grey_or_colour(tmp_path: Path) -> None:
    """Formats, 16 bits, palettes, transparency and three equal channels; a photo may also be a WebP, or bytes."""
    grey = Image.fromarray(RAMP.astype(np.uint8))
    for name in PICTURE_FORMATS:
        grey.save(tmp_path / f"picture.{name}", format=name, quality=100)
        assert np.abs(read_image(tmp_path / f"picture.{name}").astype(int) - RAMP).max() <= 30 * (name == "JPEG")
    for suffix in ("png", "tif", "pgm"):
        Image.fromarray((RAMP * 257).astype(np.uint16)).save(tmp_path / f"deep.{suffix}")
        assert np.array_equal(read_image(tmp_path / f"deep.{suffix}"), RAMP)
    colour = np.stack([RAMP, RAMP // 2, 250 - RAMP], axis=2).astype(np.uint8) // 64 * 64
    clear, clear_grey = Image.fromarray(colour), grey.copy()
    clear.putalpha(Image.fromarray((RAMP % 200).astype(np.uint8)))
    clear_grey.putalpha(7)
    palette = Image.fromarray(colour).quantize(64)
    equal = Image.fromarray(np.repeat(RAMP.astype(np.uint8)[..., None], 3, axis=2))
    for image, expected in (
        (clear, colour),
        (palette, colour),
        (clear_grey, RAMP),
        (grey.convert("P"), RAMP),
        (equal, RAMP),
    ):
        image.save(tmp_path / "picture.png")
        assert np.array_equal(read_image(tmp_path / "picture.png"), expected)
    grey.save(tmp_path / "photo.webp", lossless=True)
    assert np.array_equal(open_photograph(tmp_path / "photo.webp"), RAMP)
    assert np.array_equal(open_photograph((tmp_path / "photo.webp").read_bytes()), RAMP)


def test_what_is_not_a_picture_is_refused_by_name(tmp_path: Path) -> None:
    """Missing, foreign, and floats that are no grey (other damage: test_databases_bad_copies)."""
    for values in (np.nan, np.inf, -1.0, 1e9):
        Image.fromarray(np.full((20, 20), values, np.float32)).save(tmp_path / "float.tif")
        with pytest.raises(GndlError, match=r"float\.tif: .*do not lie between 0 and 65535"):
            read_image(tmp_path / "float.tif")
    with pytest.raises(GndlError, match=r"none\.png: no such picture"):
        read_image(tmp_path / "none.png")
    with pytest.raises(GndlError, match=r"none\.png: cannot be read as a picture"):
        picture_size(tmp_path / "none.png")
    with pytest.raises(GndlError, match=r"me\.heic: cannot be read as a picture .*export HEIC as JPEG first"):
        open_photograph(b"\0\0\0\x18ftypheic", "me.heic")


@pytest.mark.parametrize(("orientation", "undo"), {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}.items())
def test_a_picture_is_turned_as_its_camera_noted(tmp_path: Path, orientation: int, undo: int | None) -> None:
    """All eight orientations of EXIF."""
    upright = write_picture(tmp_path / "upright.png", size=(60, 40))
    stored = Image.open(upright)
    stored = stored if undo is None else stored.transpose(Image.Transpose(undo))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "stored.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "stored.png"), read_image(upright))


def test_landmarks_are_68_points_with_two_eyes_in_the_picture(tmp_path: Path) -> None:
    """The eyes are the means of six points each; anything else is refused by name."""
    file = write_text(tmp_path / "landmarks.txt", landmark_lines())
    points = read_landmarks(file)
    assert points.shape == (68, 2) and points.dtype == np.float64
    assert np.allclose(read_eyes(file, 64, 64), [points[36:42].mean(axis=0), points[42:48].mean(axis=0)])
    assert read_eyes(file, 64, 30) == read_eyes(file, 40, 64) == read_eyes(file, 64, 64)
    for width, height in ((20, 20), (30, 64), (64, 20)):
        with pytest.raises(GndlError, match=rf"puts the eyes at .* not two places in its picture of {width}×{height}"):
            read_eyes(file, width, height)
    write_text(file, "".join(f"{20 + (3.9 if k >= 42 else 0)} 20\n" for k in range(68)))
    with pytest.raises(GndlError, match=r"landmarks\.txt: puts the eyes at \(20\.0, 20\.0\) and \(23\.9, 20\.0\)"):
        read_eyes(file, 64, 64)
    assert read_eyes(write_text(file, file.read_text().replace("23.9", "24")), 64, 64) == ((20, 20), (24, 20))
    for content in (landmark_lines(67), landmark_lines(67) + "nan 1\n", "x y\n", "1 2\n3\n", ""):
        with pytest.raises(GndlError, match=r"landmarks\.txt: cannot be read as landmarks .*68 lines of two finite"):
            read_landmarks(write_text(file, content))


@pytest.mark.parametrize(
    ("codec", "suffix", "pixel_format", "options"),
    [
        *[(codec, "avi", "yuv420p", {}) for codec in ("mpeg4", "rawvideo", "dvvideo")],
        ("mjpeg", "avi", "yuvj420p", {}),
        ("mpeg4", "avi", "yuv420p", {"bf": "2"}),
        ("libx264", "mp4", "yuv420p", {}),
        ("mpeg2video", "avi", "yuv420p", {"flags": "+ildct+ilme"}),
    ],
)
def test_frames_counted_are_frames_decoded(
    tmp_path: Path, codec: str, suffix: str, pixel_format: str, options: dict[str, str]
) -> None:
    """Counting packets gives what decoding gives; a frame is its place in the order of decoding, by any suffix."""
    clip = write_clip(tmp_path / f"S001-001.{suffix}", 23, codec, pixel_format, **options).rename(tmp_path / "x.wmv")
    assert count_frames(clip) == decode_clip(clip) == 23 and "h264" not in ONE_PACKET_PER_FRAME
    frames = dict(iterate_clip(clip))
    shades = [float(frames[index][30:, 40:].mean()) for index in range(23)]
    assert shades == sorted(shades)
    for frame, picture in read_frames([FrameRef(clip, 20), FrameRef(clip, 3)]).items():
        assert np.array_equal(picture, frames[frame.index])


def test_a_clip_cut_short_is_named_with_the_frames_it_has(tmp_path: Path) -> None:
    """The check of a copy and the crop stage agree on where it ends."""
    clip = write_clip(tmp_path / "S001-001.avi", 30)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    assert 5 < count_frames(clip) < 30
    with pytest.raises(GndlError, match=r"S001-001\.avi: .*(ends after|after frame)"):
        list(iterate_clip(clip, {0, 29}))
    clip.write_bytes(b"")
    with pytest.raises(GndlError, match=r"cannot be read as a clip \(it is empty \(0 bytes\)\); replace it"):
        list(iterate_clip(clip))


@pytest.mark.parametrize("whole", [0, 3])
def test_a_gigantic_frame_is_refused_wherever_it_comes(tmp_path: Path, whole: int) -> None:
    """A frame of JPEG may be larger than the clip says, and later ones than the first: none is decoded."""
    path = tmp_path / "S001-001.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for index in range(5):
            content = io.BytesIO()
            Image.new("L", (9000, 9000) if index == whole else (64, 48), 100).save(content, "JPEG", quality=5)
            packet = av.Packet(content.getvalue())
            packet.stream, packet.time_base, packet.pts, packet.dts = stream, Fraction(1, 25), index, index
            container.mux(packet)
    with pytest.raises(Unreadable, match="more than the limit of 64,000,000 pixels") as refused:
        decode_clip(path)
    assert refused.value.decoded == whole
    seen = []
    with pytest.raises(GndlError, match=r"S001-001\.avi: .*more than the limit of 64,000,000 pixels"):
        for index, _ in iterate_clip(path):
            seen.append(index)
    assert seen == list(range(whole))


def test_a_clip_that_claims_gigantic_frames_is_refused(tmp_path: Path) -> None:
    """A header of a few bytes claims 9000 × 9000 pixels."""
    clip = write_clip(tmp_path / "S001-001.avi", 3, "rawvideo", "yuv420p")
    content, size = clip.read_bytes(), b"\x40\0\0\0\x30\0\0\0"
    assert size in content
    clip.write_bytes(content.replace(size, b"\x28\x23\0\0" * 2))
    with pytest.raises(Unreadable, match="more than the limit of 64,000,000"):
        count_frames(clip)


def test_an_interlaced_clip_with_a_foreign_title_shows_no_comb(tmp_path: Path) -> None:
    """Lines of the second field are replaced by the mean of their neighbours; a title in Latin-1 stops nothing."""
    path = tmp_path / "S001-001.avi"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "MARKER-OF-THE-TITLE"
        stream = container.add_stream("mpeg2video", rate=25, options={"flags": "+ildct+ilme", "qscale": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        picture = np.full((64, 64, 3), 60, dtype=np.uint8)
        picture[1::2] = 180  # the other moment
        for _ in range(6):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        assert all(frame.interlaced_frame for frame in container.decode(video=0))
    path.write_bytes(path.read_bytes().replace(b"MARKER-OF", b"Gesicht\xe4\xff"))
    frames = [picture for _, picture in iterate_clip(path)]
    assert len(frames) == 6 and all(int(np.ptp(frame[2:-2])) < 40 for frame in frames)


def test_a_clip_in_colour_stays_in_colour(tmp_path: Path) -> None:
    """Red stays the first of three channels."""
    with av.open(str(tmp_path / "S001-001.avi"), "w") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr24"
        red = np.tile(np.array([200, 30, 10], np.uint8), (48, 64, 1))
        container.mux(stream.encode(av.VideoFrame.from_ndarray(red, format="rgb24")))
        container.mux(stream.encode(None))
    ((index, picture),) = iterate_clip(tmp_path / "S001-001.avi")
    assert index == 0 and np.array_equal(picture, red)
