"""What a subject does in a sequence, at a database's difficulty."""

from __future__ import annotations

import numpy as np

from gndl.standins.filming import Studio, Subject
from gndl.standins.head import load_head
from gndl.standins.performance import Performance, perform, perform_unlabelled


def performed(
    subject: Subject, emotion: str | None, studio: Studio, rng: np.random.Generator
) -> tuple[Performance, dict[str, float | str]]:
    """Draw a performance, and say what ``truth.csv`` tells of it beside its label.

    Parameters
    ----------
    emotion : str or None
        None for a sequence of CK+ that no emotion fits.
    """
    names = load_head().action_names
    if emotion is None:
        performance = perform_unlabelled(names, rng)
    else:
        difficulty, style = studio.difficulty, subject.face.identity.style
        performance = perform(
            emotion,
            names,
            rng,
            style=style,
            strength=difficulty.strength,
            blend=difficulty.blend,
            variety=difficulty.variety,
        )
    return performance, {
        "variant": performance.variant or "",
        "neighbour": performance.neighbour or "",
        "neighbour_share": performance.share,
    }
