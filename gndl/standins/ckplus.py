"""Writes a subject of the CK+ stand-in as the database is distributed (Lucey et al. 2010).

``cohn-kanade-images`` with one folder of 8-bit grey frames for each sequence, ``Emotion`` and ``FACS`` for its last
frame, ``Landmarks`` for every frame. A sequence without a label has an empty folder in ``Emotion``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from gndl.files import write_text, written_aside
from gndl.paper import EXPRESSIONS
from gndl.standins.expressions import perform, perform_unlabelled, rise
from gndl.standins.filming import Studio, Subject, film
from gndl.standins.head import load_head
from gndl.standins.plan import PlannedSequence

STUDIO = Studio(size=(640, 490), eye_distance=(88.0, 112.0))


def write_sequence(
    root: Path, name: str, subject: Subject, sequence: PlannedSequence, rng: np.random.Generator
) -> None:
    """Film one sequence and write its frames, landmarks, label and action units below ``root``."""
    actions = load_head().action_names
    performance = (
        perform_unlabelled(actions, rng) if sequence.emotion is None else perform(sequence.emotion, actions, rng)
    )
    timing = rise(sequence.n_frames, len(performance.units), rng)
    place = Path(name) / f"{sequence.number:03d}"
    for frame, filmed in enumerate(film(subject, STUDIO, performance, timing, rng), start=1):
        stem = _stem(name, sequence, frame)
        with written_aside(root / "cohn-kanade-images" / place / f"{stem}.png") as aside:
            Image.fromarray(filmed.picture).convert("L").save(aside, compress_level=3)
        write_text(root / "Landmarks" / place / f"{stem}_landmarks.txt", _table(filmed.landmarks))
    last = _stem(name, sequence, sequence.n_frames)
    units = np.array(sorted(performance.intensities().items()), float)
    write_text(root / "FACS" / place / f"{last}_facs.txt", _table(units))
    (root / "Emotion" / place).mkdir(parents=True, exist_ok=True)
    if sequence.emotion is not None:
        number = EXPRESSIONS["ckplus"].index(sequence.emotion) + 1
        write_text(root / "Emotion" / place / f"{last}_emotion.txt", f"   {number:.7e}\n")


def _stem(name: str, sequence: PlannedSequence, frame: int) -> str:
    return f"{name}_{sequence.number:03d}_{frame:08d}"


def _table(rows: np.ndarray) -> str:
    """Numbers as the database's own text files print them."""
    return "".join("".join(f"   {value:.7e}" for value in row) + " \n" for row in rows)
