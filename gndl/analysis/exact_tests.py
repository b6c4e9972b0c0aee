"""Exact tests of two methods on the same sequences, without draws: by sequences, and by subjects."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """Two-sided p of the exact McNemar test; 1 where the methods never differ."""
    differing = only_a + only_b
    return float(stats.binomtest(only_b, differing, 0.5).pvalue) if differing else 1.0


def sign_flip_exact(differences: ArrayLike) -> float:
    """Two-sided p of the sum of whole numbers under all 2ⁿ flips of their signs.

    No draws are needed: the sums of all flips are counted one subject after the other, in whole numbers.

    Parameters
    ----------
    differences : int array (n,)
        Of every subject, sequences that b gets right minus those that a does.
    """
    sizes = [abs(int(value)) for value in np.asarray(differences) if value]
    observed = abs(int(np.sum(np.asarray(differences, dtype=np.int64))))
    ways = {0: 1}  # sum: in how many ways it comes about
    for size in sizes:
        grown: dict[int, int] = {}
        for total, number in ways.items():
            for flipped in (total - size, total + size):
                grown[flipped] = grown.get(flipped, 0) + number
        ways = grown
    return sum(number for total, number in ways.items() if abs(total) >= observed) / 2 ** len(sizes)
