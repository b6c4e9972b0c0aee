"""Who is right on whom, where a stand-in's truth knows: glasses and beards, skin tone, age and gender.

What is found here holds for synthetic identities whose groups differ in what the renderer draws, and in nothing that
history has put into photographs. It can show a method at fault; it can acquit none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from gndl.analysis.scores import VARIANT, interval_over_subjects
from gndl.files import GndlError, hash_file, read_csv
from gndl.sequences import STAND_IN_LABEL

GROUPS: dict[str, tuple[tuple[float, ...], tuple[str, ...]]] = {
    # Individual typology angles in degrees; the six classes of Chardon et al. 1991 (Int. J. Cosmet. Sci. 13) in pairs.
    "skin tone": ((-np.inf, 10.0, 41.0, np.inf), ("dark", "medium", "light")),
    # The stand-ins' own scale, from a young adult (0) to an old one (1), in thirds.
    "age": ((-np.inf, 1 / 3, 2 / 3, np.inf), ("young", "middle", "old")),
    "gender": ((-np.inf, 0.5, np.inf), ("masculine", "feminine")),
}
"""Edges of the groups of each attribute, and their names."""
LUMINANCE = np.array([0.21, 0.72, 0.07])  # shares of red, green and blue in brightness


def truth_folder(root: Path) -> Path:
    """Folder of the ground truth of a rendered database."""
    root = Path(root).resolve()
    return root.with_name(root.name + ".truth")


def read_truth(root: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Ground truth of a rendered database: a row per frame, and a row per subject (``ROOT.truth/*.csv``)."""
    folder = truth_folder(root)
    if not (folder / "subjects.csv").is_file():
        raise GndlError(f"{folder}: no ground truth; it lies next to a rendered database, in DATABASE.truth")
    if (Path(root) / STAND_IN_LABEL).read_bytes() != (folder / STAND_IN_LABEL).read_bytes():
        raise GndlError(f"{folder}: is the ground truth of another rendering than {root}; render both again")
    return read_csv(folder / "truth.csv"), read_csv(folder / "subjects.csv")


def require_same_people(crops: pd.DataFrame, root: Path) -> None:
    """Raise `GndlError` where a rendered database is not the one that a study has read.

    Another seed draws other people under the same names. One picture of each subject is compared with its hash in the
    study's crops.csv, or, where the pictures themselves were not shipped, the hash that was (`gndl.shipped`).
    """
    path = Path(root) / "crops.csv.gz"
    shipped = dict(read_csv(path)[["source_file", "source_sha256"]].to_numpy()) if path.is_file() else {}
    for own in crops.drop_duplicates("subject").to_dict("records"):
        file = Path(root) / str(own["source_file"])
        here = shipped.get(own["source_file"]) or (hash_file(file) if file.is_file() else "")
        if here != own["source_sha256"]:
            raise GndlError(f"{file}: is not the picture that the study has seen; its ground truth is of other people")


def right_by_trait(votes: pd.DataFrame, traits: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Compare two methods (`compare.paired_votes`) on the sequences of subjects with and without each trait.

    Two rows per trait: ``trait``, ``has``, ``subjects``, ``sequences``, ``right_a`` and ``right_b`` (shares of the
    sequences), ``difference`` (b minus a) with ``low`` and ``high`` (95 % over subjects, NaN below five).
    """
    known = votes.merge(traits, on="subject", how="inner", validate="many_to_one")
    rows = []
    for trait in traits.columns.drop("subject"):
        for has in (True, False):
            own = known[known[trait] == has]
            gain = own["right_b"].astype(int) - own["right_a"].astype(int)
            low, high = interval_over_subjects(gain, own["subject"], seed=seed)
            numbers = {"subjects": own["subject"].nunique(), "sequences": len(own), "right_a": own["right_a"].mean()}
            numbers |= {"right_b": own["right_b"].mean(), "difference": gain.mean(), "low": low, "high": high}
            rows.append({"trait": trait, "has": has, **numbers})
    return pd.DataFrame(rows)


def typology_angle(colour: ArrayLike) -> NDArray[np.float64]:
    """Individual typology angle of skin colours, atan((L* - 50) / b*) in degrees: large for light skin.

    ``colour`` (n, 3) is linear RGB with the primaries and the white (D65) of sRGB, in [0, 1].
    """
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )
    xyz = np.asarray(colour, dtype=float) @ to_xyz.T / to_xyz.sum(1)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    lightness, blue_to_yellow = 116 * f[:, 1] - 16, 200 * (f[:, 1] - f[:, 2])
    return np.degrees(np.arctan2(lightness - 50, np.maximum(blue_to_yellow, 1e-9)))


def groups_of(subjects: pd.DataFrame) -> pd.DataFrame:
    """Sort the subjects of a stand-in into `GROUPS`, one row per subject: subject, skin tone, age, gender."""
    values = {"skin tone": typology_angle(_skin(subjects)), "age": subjects["age"], "gender": subjects["femininity"]}
    groups = pd.DataFrame({"subject": subjects["name"].astype(str)})
    for attribute, (edges, names) in GROUPS.items():
        numbers = np.asarray(values[attribute], dtype=float)
        groups[attribute] = pd.cut(numbers, edges, right=False, labels=names).astype(str)
    return groups


def accuracy_by_group(predictions: pd.DataFrame, groups: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Accuracy of every group versus all others of the attribute, with their difference, for every method.

    Intervals are of 95 %, by drawing subjects anew, not corrected for the number of groups, and NaN below five subjects
    on a side or where all subjects of a side are equally often right: drawing them anew shows no doubt then. A frame
    that several seeds have predicted counts once for each.
    """
    unknown = sorted(set(predictions["subject"]) - set(groups["subject"]))
    if unknown:
        raise GndlError(f"the ground truth knows nothing of subject {unknown[0]} ({len(unknown)} such in all)")
    rows = []
    for key, table in predictions.groupby(VARIANT, dropna=False, sort=False):
        known = table.merge(groups, on="subject", validate="many_to_one")
        known = known.assign(right=(known["truth"] == known["predicted"]).astype(float))
        for attribute, group in [(attribute, name) for attribute, (_, names) in GROUPS.items() for name in names]:
            member = known[attribute] == group
            own, others = known[member], known[~member]
            if own.empty or others.empty:  # a fold of one subject has no two groups
                continue
            row: dict[str, Any] = dict(zip(VARIANT, key, strict=True)) | {"attribute": attribute, "group": group}
            row |= {"subjects": own["subject"].nunique(), "frames": len(own), "accuracy": own["right"].mean()}
            row |= {"low": np.nan, "high": np.nan, "others": others["right"].mean()}
            row |= {"difference": row["accuracy"] - row["others"], "difference_low": np.nan, "difference_high": np.nan}
            if _varies(own):
                row["low"], row["high"] = interval_over_subjects(own["right"], own["subject"], seed=seed)
            if _varies(own) and _varies(others):
                ends = interval_over_subjects(known["right"], known["subject"], member=member, seed=seed)
                row["difference_low"], row["difference_high"] = ends
            rows.append(row)
    columns = ["attribute", "group", "subjects", "frames", "accuracy", "low", "high", "others"]
    return pd.DataFrame(rows, columns=[*VARIANT, *columns, "difference", "difference_low", "difference_high"])


def _varies(known: pd.DataFrame) -> bool:
    """Whether the subjects of a group are not all equally often right."""
    return bool(known.groupby("subject")["right"].mean().nunique() > 1)


def face_factors(crops: pd.DataFrame, examined: ArrayLike, root: Path) -> pd.DataFrame:
    """What was drawn for every pair's examined face, as numbers that a probe may look for, one row per pair.

    Training mirrors faces at random, so the side from which light comes or to which a head turns is taken off. Skin
    tone is -ln of the skin's reflectance, age from 0 (young adult) to 1; ``crops`` are rows of crops.csv, ``examined``
    is ``FacePairs.examined_index``.
    """
    frames, subjects = read_truth(root)
    in_clip = frames["file"].duplicated(keep=False)
    frames["name"] = np.where(in_clip, frames["file"] + "#" + (frames["index"] + 1).astype(str), frames["file"])
    of_crop = crops.drop_duplicates("crop").set_index("crop")
    number = of_crop["frame"].astype(str).str.extract(r"(#\d+)$", expand=False).fillna("")  # of a frame in a clip
    names = (of_crop["source_file"].astype(str) + number).loc[np.asarray(examined)]
    drawn = frames.set_index("name").loc[names].reset_index(drop=True)
    person = subjects.set_index("name").loc[drawn["subject"]].reset_index(drop=True)
    factors = {
        "light from the side": drawn["light_azimuth"].abs(),
        "light from above": drawn["light_height"],
        "amount of light": drawn["light_amount"],
        "turned to the side": drawn["yaw"].abs(),
        "nodding": drawn["pitch"],
        "age": person["age"],
        "skin tone": -np.log(_skin(person) @ LUMINANCE),
        "glasses": person["glasses"] == "yes",
    }
    return pd.DataFrame(factors).astype(float)


def _skin(subjects: pd.DataFrame) -> NDArray[np.float64]:
    return subjects[[f"complexion.skin.{channel}" for channel in range(3)]].to_numpy(dtype=float)
