"""Writes a subject of the CK+ stand-in as the database is distributed (Lucey et al. 2010).

``cohn-kanade-images`` with one folder of 8-bit grey frames for each sequence, ``Emotion`` and ``FACS`` for its last
frame, ``Landmarks`` for every frame. A sequence without a label has an empty folder in ``Emotion``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gndl.files import write_text, written_aside
from gndl.paper import EXPRESSIONS
from gndl.standins.difficulty import DIFFICULTY
from gndl.standins.filming import Studio, Subject, film, stage
from gndl.standins.performing import performed
from gndl.standins.plan import PlannedSequence
from gndl.standins.timing import rise
from gndl.standins.truth import SequenceTruth

STUDIO = Studio(size=(640, 490), eye_distance=(88.0, 112.0), difficulty=DIFFICULTY["ckplus"])


def write_sequence(
    root: Path, name: str, subject: Subject, sequence: PlannedSequence, studio: Studio, rng: np.random.Generator
) -> SequenceTruth:
    """Film one sequence and write its frames, landmarks, label and action units below ``root``."""
    performance, drifting = performed(subject, sequence.emotion, studio, rng)
    take = stage(subject, studio, performance, rise(sequence.n_frames, len(performance.units), rng), rng)
    place = Path(name) / f"{sequence.number:03d}"
    truth = SequenceTruth()
    for frame, filmed in enumerate(film(subject, studio, take, rng), start=1):
        stem = _stem(name, sequence, frame)
        file = Path("cohn-kanade-images") / place / f"{stem}.png"
        with written_aside(root / file) as aside:
            as_stored(filmed.picture).save(aside, compress_level=3)
        write_text(root / "Landmarks" / place / f"{stem}_landmarks.txt", _table(filmed.landmarks))
        truth.add(
            filmed,
            {
                "database": "ckplus",
                "subject": name,
                "sequence": f"{name}_{sequence.number:03d}",
                "file": file.as_posix(),
                "index": frame - 1,
                "emotion": sequence.emotion or "",
            }
            | drifting,
        )
    last = _stem(name, sequence, sequence.n_frames)
    units = np.array(sorted(performance.intensities().items()), float)
    write_text(root / "FACS" / place / f"{last}_facs.txt", _table(units))
    (root / "Emotion" / place).mkdir(parents=True, exist_ok=True)
    if sequence.emotion is not None:
        number = EXPRESSIONS["ckplus"].index(sequence.emotion) + 1
        write_text(root / "Emotion" / place / f"{last}_emotion.txt", f"   {number:.7e}\n")
    return truth


def as_stored(picture: NDArray[np.uint8]) -> Image.Image:
    """A frame as the database keeps it: 8-bit grey."""
    return Image.fromarray(picture).convert("L")


def _stem(name: str, sequence: PlannedSequence, frame: int) -> str:
    return f"{name}_{sequence.number:03d}_{frame:08d}"


def _table(rows: np.ndarray) -> str:
    """Numbers as the database's own text files print them."""
    return "".join("".join(f"   {value:.7e}" for value in row) + " \n" for row in rows)
