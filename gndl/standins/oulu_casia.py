"""Writes a subject of the Oulu-CASIA stand-in as the database is distributed (Zhao et al. 2011).

Colour JPEGs in visible light and strong illumination: ``OriginalImg/VL/Strong/P001/Anger/000.jpeg``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from gndl.files import written_aside
from gndl.standins.expressions import perform, rise
from gndl.standins.filming import Studio, Subject, film
from gndl.standins.head import load_head
from gndl.standins.plan import PlannedSequence

STUDIO = Studio(size=(320, 240), eye_distance=(42.0, 56.0), noise=0.007)


def write_sequence(
    root: Path, name: str, subject: Subject, sequence: PlannedSequence, rng: np.random.Generator
) -> None:
    """Film one sequence and write its frames below ``root``."""
    emotion = str(sequence.emotion)
    performance = perform(emotion, load_head().action_names, rng)
    timing = rise(sequence.n_frames, len(performance.units), rng)
    folder = root / "OriginalImg" / "VL" / "Strong" / name / emotion.capitalize()
    for frame, filmed in enumerate(film(subject, STUDIO, performance, timing, rng)):
        with written_aside(folder / f"{frame:03d}.jpeg") as aside:
            Image.fromarray(filmed.picture).save(aside, quality=92)
