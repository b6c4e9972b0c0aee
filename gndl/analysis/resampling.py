"""Uncertainty by drawing subjects anew: frames and sequences of one subject are no independent draws."""

from __future__ import annotations

import warnings
from collections.abc import Callable

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


def interval_of_statistic(
    per_subject: NDArray[np.float64],
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    seed: int = 0,
    draws: int = DRAWS,
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Bootstrap interval (95 %, percentiles) of any statistic of sums over subjects, drawn with replacement.

    Parameters
    ----------
    per_subject : array (n, ...)
        What is summed, subject by subject, such as a confusion matrix.
    statistic : callable
        Takes sums (draws, ...) and returns values (draws, m); a NaN in a draw (a class that was not drawn) is left out.
    seed : int
    draws : int

    Returns
    -------
    (low, high), arrays (m,), or None below five subjects
    """
    count = len(per_subject)
    if count < FEWEST_SUBJECTS:
        return None
    sums = np.tensordot(_times_drawn(count, draws, seed), per_subject, axes=1)
    values = statistic(sums)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN", RuntimeWarning)  # no draw has it: no interval
        low, high = np.nanquantile(values, [(1 - COVERED) / 2, (1 + COVERED) / 2], axis=0)
    return low, high


def _times_drawn(count: int, draws: int, seed: int) -> NDArray[np.float64]:
    """How often each of ``count`` subjects is drawn, (draws, count)."""
    random = np.random.default_rng(seed)
    return random.multinomial(count, np.full(count, 1 / count), size=draws).astype(float)


def interval_of_difference(
    sums: ArrayLike, counts: ArrayLike, subjects: ArrayLike, member: ArrayLike, *, seed: int = 0, draws: int = DRAWS
) -> tuple[float, float] | None:
    """Bootstrap interval (95 %, percentiles) of a mean of one group of subjects minus that of all others.

    Parameters
    ----------
    sums, counts, subjects, seed, draws
        As for :func:`interval_over_subjects`.
    member : array (n,) of bool
        Whether a row is of the group; all rows of a subject are, or none.

    Returns
    -------
    (low, high), or None with fewer than five subjects on either side
    """
    inside = np.asarray(member, dtype=bool)
    names = np.asarray(subjects)
    sides = []
    for number, rows in enumerate((inside, ~inside)):
        own, place = np.unique(names[rows], return_inverse=True)
        if len(own) < FEWEST_SUBJECTS:
            return None
        total = np.bincount(place, weights=np.asarray(sums, dtype=float)[rows])
        count = np.bincount(place, weights=np.asarray(counts, dtype=float)[rows])
        times = _times_drawn(len(own), draws, 2 * seed + number)
        sides.append((times @ total) / (times @ count))
    low, high = np.quantile(sides[0] - sides[1], [(1 - COVERED) / 2, (1 + COVERED) / 2])
    return float(low), float(high)
