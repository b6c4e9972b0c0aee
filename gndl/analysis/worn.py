"""Does what hides or marks a face decide who is right? The paper's reasons for its hard samples, where they are known.

Fig. 9's samples are explained by glasses, fringes, beards and wrinkles that belong to the face. On stand-ins the ground
truth says who has them, so both methods can be compared on those who do and those who do not.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from gndl.analysis.resampling import interval_over_subjects
from gndl.errors import GndlError
from gndl.sequences import Database
from gndl.standins.truth import read_truth

TRAITS = ("glasses", "beard", "fringe", "deep wrinkles")
"""What the paper names: glasses, beards, bangs, and wrinkles that are part of the face (section 4.5, Fig. 9)."""


def traits_of(database: Database) -> pd.DataFrame:
    """Say which subjects of a stand-in have which of :data:`TRAITS`; empty where that is not known.

    Returns
    -------
    DataFrame
        One row per subject: ``subject`` and a column of bool for each trait. Wrinkles are deep where their depth is
        above the median of all subjects of the database.
    """
    if database.source != "rendered":
        return pd.DataFrame()
    try:
        subjects = read_truth(database.root).subjects
    except GndlError:  # a tree from before the ground truth was kept
        return pd.DataFrame()
    depth = subjects["wrinkle_depth"].astype(float)
    return pd.DataFrame(
        {
            "subject": subjects["name"].astype(str),
            "glasses": subjects["glasses"] == "yes",
            "beard": subjects["beard"] == "yes",
            "fringe": subjects["hair.fringe"].astype(float) > 0,
            "deep wrinkles": depth > depth.median(),
        }
    )


def right_by_trait(votes: pd.DataFrame, traits: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Compare two methods on the sequences of subjects with and without each trait.

    Parameters
    ----------
    votes : DataFrame
        Of `gndl.analysis.hard_samples.votes_side_by_side`: one vote a sequence.
    traits : DataFrame
        Of :func:`traits_of`.
    seed : int
        Of the bootstrap over subjects.

    Returns
    -------
    DataFrame
        Two rows per trait: ``trait``, ``has`` (bool), ``subjects``, ``sequences``, ``right_a`` and ``right_b`` (shares
        of the sequences, NaN where there are none), ``difference`` (b minus a) with ``low`` and ``high`` (95 % over
        subjects, NaN below five).
    """
    known = votes.merge(traits, on="subject", how="inner", validate="many_to_one")
    rows = []
    for trait in (name for name in traits.columns if name != "subject"):
        for has in (True, False):
            own = known[known[trait] == has]
            gain = own["right_b"].astype(int) - own["right_a"].astype(int)
            interval = interval_over_subjects(gain, np.ones(len(own)), own["subject"], seed=seed)
            rows.append(
                {
                    "trait": trait,
                    "has": has,
                    "subjects": own["subject"].nunique(),
                    "sequences": len(own),
                    "right_a": own["right_a"].mean() if len(own) else np.nan,
                    "right_b": own["right_b"].mean() if len(own) else np.nan,
                    "difference": gain.mean() if len(own) else np.nan,
                    "low": interval[0] if interval else np.nan,
                    "high": interval[1] if interval else np.nan,
                }
            )
    return pd.DataFrame(rows)
