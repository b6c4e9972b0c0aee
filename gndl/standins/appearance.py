"""What may be drawn for the people of a database: how often they wear what, and how far they differ."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Appearance:
    """What may be drawn for the subjects of a database, and how far they differ.

    Parameters
    ----------
    glasses : float
        Probability of glasses.
    beard : float
        Probability, among men, of a beard, moustache or stubble.
    fringe : float
        Probability of a fringe that hangs over the forehead.
    long_hair : float
        Probability of long hair among women; men wear it a seventh as often.
    shape_sigma : float
        Standard deviation of the local face changes; 1 is MakeHuman's full change.
    resting_sigma : float
        Spread of the facial actions that a relaxed face always carries.
    age_wrinkles : float
        Depth of the wrinkles that belong to age; 1 is the usual depth.
    """

    glasses: float = 0.2
    beard: float = 0.35
    fringe: float = 0.2
    long_hair: float = 0.5
    shape_sigma: float = 0.2
    resting_sigma: float = 0.1
    age_wrinkles: float = 1.0


USUAL = Appearance()
"""Of a database that says nothing else."""
