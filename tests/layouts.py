"""Tiny databases in the official layouts, of flat pictures: what the readers' tests are planted in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from PIL import Image

from gndl.sequences import Database, Sequence

CKPLUS_LABELS = {"001": 1, "002": 5, "003": 7}
OULU_EXPRESSIONS = ("Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise")


def write_picture(path: Path, shade: int = 0, size: tuple[int, int] = (64, 64)) -> Path:
    """A flat grey picture with a patch that depends on the path, so that no two are the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([shade, *path.as_posix().encode()[-40:]])
    image = Image.new("L", size, shade % 256)
    image.paste(Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)), (0, 0))
    image.save(path)
    return path


def write_text(path: Path, text: str) -> Path:
    """A text file with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def write_clip(path: Path, frames: int, codec: str = "mjpeg", pixel_format: str = "yuvj420p", **options: str) -> Path:
    """A video whose frame k has the shade 4 k + 10."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        size = (720, 576) if codec == "dvvideo" else (64, 48)
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, pixel_format
        for index in range(frames):
            picture = np.full((size[1], size[0], 3), 4 * index + 10, dtype=np.uint8)
            picture[:4, : sum(path.name.encode()) % size[0]] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def landmark_lines(points: int = 68) -> str:
    """Landmarks as CK+ writes them, all inside a picture of 64×64, the eyes 5 pixels apart."""
    return "".join(f"   {4 + 5 * (k // 6)}.0000000e+00   {20 + k % 5}.5\n" for k in range(points))


def write_ckplus(root: Path, subjects: tuple[str, ...] = ("S005", "S010"), frames: int = 6) -> Path:
    """CK+ with three sequences a subject (anger, happiness, surprise) of consecutive frames, and landmarks."""
    for subject in subjects:
        for number, label in CKPLUS_LABELS.items():
            for frame in range(1, frames + 1):
                write_ckplus_frame(root, subject, number, frame)
            name = f"{subject}_{number}_{frames:08d}_emotion.txt"
            write_text(root / "Emotion" / subject / number / name, f"   {label}.0000000e+00\n")
    return root


def write_ckplus_frame(root: Path, subject: str, number: str, frame: int, *, landmarks: bool = True) -> Path:
    """One frame of CK+ and its landmarks."""
    name = f"{subject}_{number}_{frame:08d}"
    if landmarks:
        write_text(root / "Landmarks" / subject / number / f"{name}_landmarks.txt", landmark_lines())
    return write_picture(root / "cohn-kanade-images" / subject / number / f"{name}.png", frame)


def write_oulu(root: Path, tree: str = "OriginalImg/VL/Strong", size: tuple[int, int] = (320, 240)) -> Path:
    """Oulu-CASIA with two subjects, six expressions and five frames each."""
    for subject in ("P001", "P002"):
        for expression in OULU_EXPRESSIONS:
            for frame in range(5):
                write_picture(root / tree / subject / expression / f"{frame:03d}.jpeg", frame, size)
    return root


def action_unit(number: str, *markers: tuple[int, int]) -> str:
    """One action unit in MMI's XML."""
    inner = "".join(f'<Marker Type="{kind}" Frame="{frame}"/>' for kind, frame in markers)
    return f'<ActionUnit Number="{number}">{inner}</ActionUnit>'


def write_session(
    folder: Path,
    name: str,
    *,
    emotion: str | None = "4",
    view: str | None = "0",
    units: str | None = None,
    frames: int = 30,
) -> Path:
    """One MMI session with a clip, or without one where ``frames`` is 0; returns its folder."""
    if frames:
        write_clip(folder / f"{name}.avi", frames)
    if view is not None:
        files = f'<annotation filename="{name}.xml"/>'
        write_text(
            folder / "session.xml", f'<?xml version="1.0"?><session><track view="{view}">{files}</track></session>'
        )
    tag = "" if emotion is None else f'<Metatag Name="Emotion" Value="{emotion}"/>'
    write_text(folder / f"{name}.xml", f'<?xml version="1.0"?><Clip><Metatag Name="Quality" Value="2"/>{tag}</Clip>')
    if units is not None:
        write_text(folder / f"{name}-oao_aucs.xml", f'<?xml version="1.0"?><Annotation>{units}</Annotation>')
    return folder


def write_mmi(root: Path) -> Path:
    """MMI with three frontal sessions: anger, happiness (AU-coded) and surprise, of three subjects."""
    write_session(root / "Sessions/1", "S001-001", emotion="1")
    coded = action_unit("12", (0, 1), (1, 5), (2, 11), (3, 20), (0, 26))
    write_session(root / "Sessions/2", "S002-002", emotion="4", units=coded)
    write_session(root / "Sessions/10", "S003-010", emotion="6")
    return root


WRITERS: dict[str, Callable[[Path], Path]] = {"ckplus": write_ckplus, "oulu_casia": write_oulu, "mmi": write_mmi}


def said(database: Database, kind: str) -> dict[str, str]:
    """Findings of one kind: file name → message."""
    return {finding.path.name: finding.message for finding in database.findings if finding.kind == kind}


def one(database: Database, name: str) -> Sequence:
    """The sequence of that name."""
    return next(sequence for sequence in database.sequences if sequence.sequence == name)
