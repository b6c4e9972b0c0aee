"""Databases of dim noisy pictures with two marks for eyes, for the tests of the crop stage."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from PIL import Image

from gndl.align import Eyes
from gndl.eyes import FIRST_ATTEMPT, FoundEyes
from gndl.profiles import CropSettings
from gndl.sequences import Database, FrameRef, Sequence

SMALL = CropSettings(size=32)
LEFT, RIGHT = (30, 40), (60, 44)
"""Where the two eyes of a marked picture lie, (x, y)."""


def marked(left: tuple[int, int] | None = LEFT, right: tuple[int, int] = RIGHT, seed: int = 0) -> np.ndarray:
    """A dim noisy picture, 80 × 100, with a white square for the left eye and a lighter grey one for the right."""
    picture = np.random.default_rng(seed).integers(0, 90, (80, 100)).astype(np.uint8)
    if left is not None:
        for (x, y), value in ((left, 255), (right, 200)):
            picture[y - 1 : y + 2, x - 1 : x + 2] = value
    return picture


def find_marks(grey: np.ndarray, *, second_attempt: bool = True) -> FoundEyes | None:
    """Stand in for the detector: sees the two marks where they lie upright, left of each other."""
    centres = []
    for low, high in ((245, 255), (185, 215)):
        rows, columns = np.nonzero((grey >= low) & (grey <= high))
        if not len(rows):
            return None
        centres.append((float(np.median(columns)), float(np.median(rows))))
    left, right = centres
    if right[0] - left[0] < abs(right[1] - left[1]):
        return None
    return FoundEyes(Eyes(left, right), 1.0, FIRST_ATTEMPT, 1)


def landmark_file(path: Path, left: tuple[float, float], right: tuple[float, float], mouth: float = 0.0) -> Path:
    """Write 68 landmarks with the given eye centres and the mouth opened by ``mouth`` pixels."""
    rng = np.random.default_rng(7)
    points = rng.uniform(10, 90, (68, 2))
    ring = np.array([(-3, 0), (-1, -1), (1, -1), (3, 0), (1, 1), (-1, 1)], float)
    points[36:42], points[42:48] = ring + left, ring + right
    points[48:68, 1] += mouth * np.linspace(0, 1, 20)
    path.write_text("\n".join(f"   {x:.7e}   {y:.7e}" for x, y in points) + "\n")
    return path


def make_database(
    root: Path, pictures: dict[str, list[np.ndarray]], *, landmarks: bool = True, name: str = "ckplus", taken: int = 3
) -> Database:
    """Write sequences of pictures; the first is the neutral face and the last ``taken`` are examined."""
    sequences = []
    for sequence, frames in pictures.items():
        references = []
        for number, picture in enumerate(frames, start=1):
            path = root / sequence / f"{sequence}_{number:08d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(path)
            marks = landmark_file(path.with_suffix(".txt"), LEFT, RIGHT) if landmarks else None
            references.append(FrameRef(path, landmarks=marks))
        examined = tuple(references[-taken:])
        sequences.append(Sequence(sequence[:4], sequence, "anger", references[0], examined, tuple(references)))
    return Database(name, root, "own", ("anger", "fear"), tuple(sequences))


def sequence_of(count: int = 5, first_seed: int = 0) -> list[np.ndarray]:
    return [marked(seed=first_seed + i) for i in range(count)]


def two_subjects(root: Path) -> Database:
    """Two subjects, three sequences of five frames, with landmarks."""
    names = ("S001_001", "S001_002", "S002_001")
    return make_database(root, {name: sequence_of(first_seed=10 * i) for i, name in enumerate(names)})


def write_clip(path: Path, frames: list[np.ndarray]) -> None:
    """Write a lossless clip."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "gray"
        for picture in frames:
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="gray")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def clip_database(root: Path, frames: list[np.ndarray], **options: object) -> Database:
    """One clip; frame 1 is the neutral face and frames 5 to 7 are examined."""
    root.mkdir()
    path = root / "S001-001.avi"
    write_clip(path, frames)
    examined = tuple(FrameRef(path, i) for i in (4, 5, 6))
    sequence = Sequence("S001", "S001-001", "anger", FrameRef(path, 0), examined, **options)  # type: ignore[arg-type]
    return Database("mmi", root, "own", ("anger",), (sequence,))
