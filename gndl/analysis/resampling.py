"""Uncertainty by drawing subjects anew: frames and sequences of one subject are no independent draws."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

DRAWS = 2000
COVERED = 0.95
FEWEST_SUBJECTS = 5
"""Subjects below which no interval is given: so few can hardly stand for others."""


def interval_over_subjects(
    sums: ArrayLike, counts: ArrayLike, subjects: ArrayLike, *, seed: int = 0, draws: int = DRAWS
) -> tuple[float, float] | None:
    """Bootstrap interval (95 %, percentiles) of a mean, with subjects drawn with replacement.

    Parameters
    ----------
    sums, counts : array (n,)
        What is averaged, and over how many, of every row: the mean is Σ sums / Σ counts.
    subjects : array (n,)
        Whose row it is.
    seed : int
    draws : int

    Returns
    -------
    (low, high), or None below five subjects
    """
    names, place = np.unique(np.asarray(subjects), return_inverse=True)
    if len(names) < FEWEST_SUBJECTS:
        return None
    total = np.bincount(place, weights=np.asarray(sums, dtype=float))
    number = np.bincount(place, weights=np.asarray(counts, dtype=float))
    times = _times_drawn(len(names), draws, seed)
    means = (times @ total) / (times @ number)
    low, high = np.quantile(means, [(1 - COVERED) / 2, (1 + COVERED) / 2])
    return float(low), float(high)


def _times_drawn(count: int, draws: int, seed: int) -> NDArray[np.float64]:
    """How often each of ``count`` subjects is drawn, (draws, count)."""
    random = np.random.default_rng(seed)
    return random.multinomial(count, np.full(count, 1 / count), size=draws).astype(float)
