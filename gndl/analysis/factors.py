"""What was drawn for each rendered face, as numbers that a probe may look for: light, pose, age, skin tone, glasses."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gndl.errors import GndlError
from gndl.prepare import Prepared
from gndl.standins.truth import Truth, read_truth

LUMINANCE = np.array([0.21, 0.72, 0.07])
"""Shares of red, green and blue in brightness."""

FACTORS = {
    "light from the side": "light",
    "light from above": "light",
    "amount of light": "light",
    "turned to the side": "pose",
    "nodding": "pose",
    "age": "age",
    "skin tone": "tone",
    "glasses": "glasses",
}
"""What is looked for, and the kind of thing that it is."""


def face_factors(study: Prepared) -> pd.DataFrame:
    """Look up what was drawn for every pair's examined face of a rendered study.

    Training mirrors faces at random, so the side from which light comes or to which a head turns is taken off: no
    feature can be expected to tell it.

    Returns
    -------
    DataFrame
        One row per pair, in the order of ``study.pairs``, and one column per name in ``FACTORS``: angles in degrees,
        the amount of light as a share of the usual, age from 0 (young adult) to 1, skin tone as −ln of the skin's
        reflectance, glasses as 0 or 1. No column at all where the study is not rendered, or no ground truth lies beside
        its pictures.
    """
    none = pd.DataFrame(index=pd.RangeIndex(len(study.pairs)))
    if study.database.source != "rendered":
        return none
    try:
        truth = read_truth(study.database.root)
    except GndlError:
        return none
    of_crop = study.crops.table.drop_duplicates("crop").set_index("crop")
    number = of_crop["frame"].astype(str).str.extract(r"(#\d+)$", expand=False).fillna("")  # of a frame in a clip
    of_pair = (of_crop["source_file"].astype(str) + number).loc[np.asarray(study.pairs.examined_index)]
    rows = _rows_by_file(truth.frames).reindex(of_pair.to_numpy())
    return none if rows.isna().any() else _drawn(truth).iloc[rows.to_numpy(int)].reset_index(drop=True)


def _rows_by_file(frames: pd.DataFrame) -> pd.Series:
    """Row of every frame by its file, and in a clip by ``FILE#NUMBER``, counted from 1."""
    file, in_clip = frames["file"].astype(str), frames["file"].duplicated(keep=False)
    names = np.where(in_clip, file + "#" + (frames["index"] + 1).astype(str), file)
    return pd.Series(np.arange(len(frames)), index=names)


def _drawn(truth: Truth) -> pd.DataFrame:
    """The factors of every frame of the ground truth."""
    frames, subjects = truth.frames, truth.subjects.iloc[truth.subject].reset_index(drop=True)
    skin = subjects[[f"complexion.skin.{channel}" for channel in range(3)]].to_numpy(float)
    return pd.DataFrame(
        {
            "light from the side": frames["light_azimuth"].abs(),
            "light from above": frames["light_height"],
            "amount of light": frames["light_amount"],
            "turned to the side": frames["yaw"].abs(),
            "nodding": frames["pitch"],
            "age": subjects["age"],
            "skin tone": -np.log(skin @ LUMINANCE),
            "glasses": (subjects["glasses"] == "yes").astype(float),
        }
    ).astype(float)
