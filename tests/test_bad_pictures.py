"""Pictures as people's copies hold them: what can be read is read right, anything else is named with what to do."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from layouts import write_ckplus, write_picture
from PIL import Image

from gndl.databases import audit
from gndl.errors import GndlError
from gndl.frames_reading import picture_size, read_image
from gndl.opening import MOST_PIXELS, PICTURE_FORMATS

TAKEN = "cohn-kanade-images/S005/001/S005_001_00000006.png"
RAMP = np.arange(64 * 48, dtype=np.uint16).reshape(48, 64) % 251


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG of a few dozen bytes whose header promises a picture of any size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"\0" * 9)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def damaged(kind: str, good: bytes) -> bytes:
    """The bytes of a picture that was damaged in one of the ways that happen."""
    return {
        "empty": b"",
        "truncated": good[: len(good) // 2],
        "first bytes lost": good[9:],
        "text": b"<html>404 not found</html>",
        "bomb": png_that_claims(60_000, 60_000),
        "gigantic": png_that_claims(9000, 9000),
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "webp": b"RIFF\x24\0\0\0WEBPVP8 ",
        "heic": b"\0\0\0\x18ftypheic",
    }[kind]


REASONS = {
    "empty": "it is empty (0 bytes)",
    "truncated": "truncated",
    "first bytes lost": "damaged at its very beginning",
    "text": "it is a HTML file",
    "bomb": "pixels",
    "gigantic": f"9000×9000 pixels are more than the {MOST_PIXELS:,}",
    "postscript": "it is a PostScript file; pictures are read as PNG",
    "webp": "it is a WebP picture; pictures are read as PNG",
    "heic": "it is a heic file",
}


@pytest.mark.parametrize("kind", REASONS)
def test_a_picture_that_cannot_be_used_is_named_with_the_reason_and_what_to_do(tmp_path: Path, kind: str) -> None:
    """By the crop stage and by the check of a copy."""
    picture = write_ckplus(tmp_path) / TAKEN
    content = damaged(kind, picture.read_bytes())
    picture.write_bytes(content)
    with pytest.raises(GndlError, match="replace it with an undamaged copy") as error:
        read_image(picture)
    assert str(picture) in str(error.value) and REASONS[kind] in str(error.value)
    if kind != "truncated":  # its header is whole
        with pytest.raises(GndlError, match=r"S005_001_00000006\.png"):
            picture_size(picture)
    result = audit(tmp_path, "ckplus")
    said = [finding.message for finding in result.findings if finding.kind == "error" and finding.path == picture]
    assert not result.ok and len(said) == 1 and REASONS[kind] in said[0] and "unpack it again" in said[0]


def test_a_mislabelled_picture_is_read_as_what_it_is_and_named(tmp_path: Path) -> None:
    """A JPEG called .png: the decoder looks at the content, and the check says so."""
    picture = write_ckplus(tmp_path) / TAKEN
    shown = Image.open(picture).convert("L")
    shown.save(picture, format="JPEG", quality=100)
    assert np.abs(read_image(picture).astype(int) - np.asarray(shown)).max() < 30
    result = audit(tmp_path, "ckplus")
    named = {finding.path: finding.message for finding in result.findings if finding.kind == "problem"}
    assert result.ok and "it is a JPEG picture" in named[picture]


@pytest.mark.parametrize("side", [(1, 1), (64, 1), (8, 200)])
def test_a_picture_of_a_few_pixels_is_an_error_of_the_check(tmp_path: Path, side: tuple[int, int]) -> None:
    """No face fits into it; reading it raises nothing."""
    picture = write_ckplus(tmp_path) / TAKEN
    Image.new("L", side, 9).save(picture)
    assert read_image(picture).shape == side[::-1]
    errors = [finding for finding in audit(tmp_path, "ckplus").findings if finding.kind == "error"]
    assert [finding.path for finding in errors] == [picture]
    assert f"{side[0]}×{side[1]} pixels can show no face" in errors[0].message


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_sixteen_bits_keep_their_upper_eight(tmp_path: Path, suffix: str) -> None:
    """65535 becomes 255 and 257 becomes 1, in every format that holds 16 bits."""
    Image.fromarray((RAMP * 257).astype(np.uint16)).save(tmp_path / f"deep.{suffix}")
    assert np.array_equal(read_image(tmp_path / f"deep.{suffix}"), RAMP)


@pytest.mark.parametrize("values", [np.nan, np.inf, -1.0, 1e9])
def test_values_that_are_no_grey_are_refused(tmp_path: Path, values: float) -> None:
    """A TIFF of floats may hold anything; nothing is made of it silently."""
    Image.fromarray(np.full((20, 20), values, np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(GndlError, match=r"float\.tif: .*do not lie between 0 and 65535"):
        read_image(tmp_path / "float.tif")


def test_alpha_is_dropped_and_palettes_are_resolved(tmp_path: Path) -> None:
    """The same face with transparency, in a palette and plain is the same array."""
    colour = np.stack([RAMP, RAMP // 2, 250 - RAMP], axis=2).astype(np.uint8) // 64 * 64
    plain = Image.fromarray(colour)
    alpha = plain.copy()
    alpha.putalpha(Image.fromarray((RAMP % 200).astype(np.uint8)))
    grey = Image.fromarray(RAMP.astype(np.uint8))
    with_alpha = grey.copy()
    with_alpha.putalpha(7)
    for image, expected in (
        (alpha, colour),
        (plain.quantize(64), colour),
        (with_alpha, RAMP),
        (grey.convert("P"), RAMP),
        (Image.fromarray(RAMP > 100), np.where(RAMP > 100, 255, 0)),
        (Image.fromarray(np.repeat(RAMP.astype(np.uint8)[..., None], 3, axis=2)), RAMP),
    ):
        image.save(tmp_path / "picture.png")
        assert np.array_equal(read_image(tmp_path / "picture.png"), expected), image.mode


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_its_camera_noted(tmp_path: Path, orientation: int) -> None:
    """All eight orientations of EXIF; the size is told from the header alone."""
    upright = write_picture(tmp_path / "upright.png", size=(60, 40))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transpositions that the viewer will undo
    stored = Image.open(upright)
    if orientation > 1:
        stored = stored.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "stored.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "stored.png"), read_image(upright))
    assert picture_size(tmp_path / "stored.png") == (60, 40)


def test_every_format_that_is_promised_is_read(tmp_path: Path) -> None:
    """Lossless ones come back as they were."""
    for name in PICTURE_FORMATS:
        Image.fromarray(RAMP.astype(np.uint8)).save(tmp_path / f"picture.{name}", format=name, quality=100)
        assert np.abs(read_image(tmp_path / f"picture.{name}").astype(int) - RAMP).max() <= 30 * (name == "JPEG")


def test_links_to_nowhere_and_to_themselves_are_named(tmp_path: Path) -> None:
    """As a frame that is taken; nothing hangs and nothing raises but the error for the reader."""
    picture = write_ckplus(tmp_path) / TAKEN
    for target in ("nowhere.png", picture.name):
        picture.unlink()
        picture.symlink_to(target)
        with pytest.raises(GndlError, match=r"S005_001_00000006\.png"):
            read_image(picture)
        errors = [finding for finding in audit(tmp_path, "ckplus").findings if finding.kind == "error"]
        assert [finding.path for finding in errors] == [picture]
