"""Beards and moustaches: which one a man wears, and where it grows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BEARDS = ("stubble", "moustache", "goatee", "full")


@dataclass(frozen=True)
class Beard:
    """One man's beard.

    Parameters
    ----------
    style : str
        One of :data:`BEARDS`.
    length : float
        How far it stands off the skin, in dm.
    density : float
        Share of the skin that it covers where it grows fully, in [0, 1].
    """

    style: str = "full"
    length: float = 0.05
    density: float = 0.9


def draw_beard(femininity: float, probability: float, rng: np.random.Generator) -> Beard | None:
    """Draw a beard; None for women, and for men but with ``probability``."""
    worn = rng.random() < probability
    style = str(rng.choice(BEARDS, p=(0.35, 0.15, 0.2, 0.3)))
    length = float(rng.uniform(0.03, 0.10)) if style != "stubble" else 0.004
    density = float(rng.uniform(0.45, 0.7) if style == "stubble" else rng.uniform(0.8, 1.0))
    return Beard(style, length, density) if worn and femininity < 0.5 else None
