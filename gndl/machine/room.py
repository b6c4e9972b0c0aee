"""How much disk a study takes by its profile: weights of every run, what paper keeps to go on from, and the faces."""

from __future__ import annotations

from collections.abc import Sequence

from gndl.errors import GndlError
from gndl.profiles import PROFILES, Profile, StandInSize

WEIGHTS = 47_000_000
"""Bytes of one run's weights at most, whatever the pictures' size."""
STATE = 90_000_000
"""Bytes of the state that a run with ``keep_state`` can go on from."""
BESIDE_RUNS = 100_000_000
"""Bytes of notebooks, figures and tables."""
OF_A_FRAME = 100_000
"""Bytes of a frame of a stand-in and of its crop, rounded up."""

WITHOUT_LAM = ("baseline",)
"""Methods of profiles that have no λ, and so no part in the sweep."""

_LICENSED = StandInSize(subjects=10, sequences=0, labelled=0, frames=(0, 0))
"""Of a database that no stand-in takes the place of: folds as for any, and frames that lie there already."""


def profile_called(name: str) -> Profile:
    """Return a profile by its name, without torch, which may be what is broken.

    Raises
    ------
    GndlError
        Where there is none of that name.
    """
    if name not in PROFILES:
        raise GndlError(f"There is no profile {name!r}; choose one of {', '.join(PROFILES)}.")
    return PROFILES[name]


def count_runs(profile: Profile, databases: Sequence[str]) -> int:
    """Count the runs of ``gndl study`` with one seed: every method in every fold, and the other values of λ."""
    swept = sum(method not in WITHOUT_LAM for method in profile.methods) * (len(profile.lams) - 1)
    runs = 0
    for name in databases:
        dealt = profile.n_folds or min(10, profile.standins.get(name, _LICENSED).subjects)
        folds = range(dealt) if profile.only_folds is None else profile.only_folds
        sweep = folds if profile.sweep_folds is None else [fold for fold in folds if fold in profile.sweep_folds]
        runs += len(folds) * len(profile.methods) + len(sweep) * swept
    return runs


def bytes_of_study(profile: Profile, databases: Sequence[str]) -> int:
    """Return the bytes that a study writes into its folder, at most."""
    each = WEIGHTS + (STATE if profile.train.keep_state else 0)
    return count_runs(profile, databases) * each + BESIDE_RUNS


def bytes_of_faces(profile: Profile, databases: Sequence[str]) -> int:
    """Return the bytes of stand-ins and crops in the data folder, at most."""
    sizes = [profile.standins.get(name, _LICENSED) for name in databases]
    return sum(size.sequences * size.frames[1] for size in sizes) * OF_A_FRAME
