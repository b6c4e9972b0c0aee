"""Planted data that several test files share: pairs with a signal, pictures with two marks for eyes, a bright study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
import torch
from layouts import write_ckplus
from PIL import Image
from torch import Tensor, nn

from gndl.eyes import FIRST_ATTEMPT, Eyes, FoundEyes
from gndl.methods import MethodSettings
from gndl.model import Losses, Method, Output
from gndl.pairs import FacePairs
from gndl.profiles import CropSettings
from gndl.sequences import Database, FrameRef, Sequence

if TYPE_CHECKING:
    from gndl.study import Study

_FLAGS = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
like_golden = pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() != "AVX512" or "avx512_bf16" not in _FLAGS or "amx" in _FLAGS,
    reason="other processors round otherwise than the one of the golden bytes",
)
"""Skips golden bytes elsewhere; mark the test with ``golden`` too, so that continuous integration lets it."""

EXPRESSIONS = ("anger", "happiness", "surprise")
SMALL = CropSettings(size=32)
LEFT, RIGHT = (30, 40), (60, 44)
"""Where the two eyes of a marked picture lie, (x, y)."""


def planted_pairs(
    n_pairs: int = 24, n_subjects: int = 6, size: int = 32, *, colour: bool = False, seed: int = 0
) -> FacePairs:
    """Return pairs whose class is a bright band, over one random pattern per subject."""
    random = np.random.default_rng(seed)
    neutral = random.integers(60, 180, (n_subjects, size, size))
    subject, label = np.arange(n_pairs) % n_subjects, np.arange(n_pairs) // n_subjects % len(EXPRESSIONS)
    examined = neutral[subject].copy()
    for pair, band in enumerate(label):
        examined[pair, 8 * band : 8 * band + 8] += 60
    images = np.concatenate([neutral, examined])
    images = np.clip(images + random.integers(-10, 11, images.shape), 0, 255).astype(np.uint8)
    if colour:
        images = np.repeat(images[..., None], 3, axis=3) // np.array([1, 2, 3], dtype=np.uint8)
    return FacePairs(
        images=images,
        examined_index=n_subjects + np.arange(n_pairs),
        neutral_index=subject,
        label=label,
        subject=[f"S{number:03}" for number in subject],
        sequence=[f"S{number:03}/{pair // n_subjects:03}" for pair, number in enumerate(subject)],
        frame=[f"frame_{pair:04}.png" for pair in range(n_pairs)],
        expressions=EXPRESSIONS,
    )


class SequenceMean(Method):
    """Classifies the mean brightness of the sequence, and cannot do without whole sequences."""

    whole_sequences = True

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(3, n_classes)

    def forward(self, examined: Tensor, neutral: Tensor | None, sequence: Tensor) -> Output:  # type: ignore[override]
        f_exam = examined.mean(dim=(2, 3))
        same = (sequence[:, None] == sequence).float()
        return Output(logits=self.classifier(same @ f_exam / same.sum(1, keepdim=True)), f_exam=f_exam)


def marked(left: tuple[int, int] | None = LEFT, right: tuple[int, int] = RIGHT, seed: int = 0) -> np.ndarray:
    """A dim noisy picture, 80 × 100, with a white square for the left eye and a light grey one for the right."""
    picture = np.random.default_rng(seed).integers(0, 90, (80, 100)).astype(np.uint8)
    if left is not None:
        for (x, y), value in ((left, 255), (right, 200)):
            picture[y - 1 : y + 2, x - 1 : x + 2] = value
    return picture


def find_marks(grey: np.ndarray, *, second_attempt: bool = True) -> FoundEyes | None:
    """Replace `gndl.eyes.find_eyes`: finds the two marks where they are upright, the left one on the left."""
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
    points = np.random.default_rng(7).uniform(10, 90, (68, 2))
    ring = np.array([(-3, 0), (-1, -1), (1, -1), (3, 0), (1, 1), (-1, 1)], float)
    points[36:42], points[42:48] = ring + left, ring + right
    points[48:68, 1] += mouth * np.linspace(0, 1, 20)
    path.write_text("\n".join(f"   {x:.7e}   {y:.7e}" for x, y in points) + "\n")
    return path


def marked_sequence(count: int = 5, first_seed: int = 0) -> list[np.ndarray]:
    """Marked pictures that differ in their noise alone."""
    return [marked(seed=first_seed + i) for i in range(count)]


def marked_database(
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


def two_subjects(root: Path) -> Database:
    """Two subjects, three sequences of five frames, with landmarks."""
    names = ("S001_001", "S001_002", "S002_001")
    return marked_database(root, {name: marked_sequence(first_seed=10 * i) for i, name in enumerate(names)})


def clip_database(root: Path, frames: list[np.ndarray], **options: object) -> Database:
    """One lossless clip; frame 1 is the neutral face and frames 5 to 7 are examined."""
    root.mkdir()
    path = root / "S001-001.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "gray"
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="gray")))
        container.mux(stream.encode())
    examined = tuple(FrameRef(path, i) for i in (4, 5, 6))
    sequence = Sequence("S001", "S001-001", "anger", FrameRef(path, 0), examined, **options)  # type: ignore[arg-type]
    return Database("mmi", root, "own", ("anger",), (sequence,))


SHADES = (51, 76, 102, 153, 204, 230)
"""Brightness of the six frames of every sequence of a bright study: nothing else tells them apart."""


class Brightness(Method):
    """Sure of happiness above a brightness of one half, of anger below; the deviation is brightness minus 0.1."""

    images_per_pair = 1

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.n_classes = n_classes
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, examined: Tensor, neutral: Tensor | None = None) -> Output:
        brightness = examined[:, 0].mean(dim=(1, 2)) * 0.229 + 0.485  # back to [0, 1]
        logits = torch.zeros(len(examined), self.n_classes) + 0 * self.unused
        logits[:, 4] = 30 * (brightness - 0.5)  # happiness
        logits[:, 0] = -30 * (brightness - 0.5)  # anger
        return Output(logits=logits, f_exam=brightness[:, None], deviation=brightness[:, None] - 0.1)

    def loss(self, output: Output, labels: Tensor) -> Losses:
        return Losses(total=0 * self.unused.sum(), cls=self.unused.detach().sum())


BRIGHTNESS = MethodSettings("brightness", "brightness", Brightness, images_per_pair=1)


def bright_study(folder: Path) -> Study:
    """Four subjects with a sequence of anger, happiness and surprise each in CK+'s layout; fold 0 is run."""
    from gndl.study import open_study

    root = write_ckplus(folder / "ckplus", ("S052", "S055", "S074", "S106"), frames=len(SHADES))
    for path in (root / "cohn-kanade-images").rglob("*.png"):
        Image.new("L", (64, 64), SHADES[int(path.stem.split("_")[-1]) - 1]).save(path)
    return open_study("ckplus", data_root=str(root), profile="smoke", out=folder / "study", jobs=1)
