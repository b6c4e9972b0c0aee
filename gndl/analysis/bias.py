"""Does a method serve everybody alike? Accuracy by skin tone, age and gender, where a stand-in's truth knows them.

What is found here holds for rendered people whose groups differ in what the renderer draws, and in nothing that history
has put into photographs. It can show a method at fault; it can acquit none.

``gndl bias STUDY`` makes the tables of a study.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from gndl.analysis.resampling import interval_of_difference, interval_over_subjects
from gndl.errors import GndlError
from gndl.files import hash_file
from gndl.results import FinishedRun, finished_runs, read_csv, require_one_configuration

TONES = {"dark": (-90.0, 10.0), "medium": (10.0, 41.0), "light": (41.0, 90.0)}
"""Individual typology angles in degrees; the six classes of Chardon et al. 1991 (Int. J. Cosmet. Sci. 13) in pairs."""

AGES = {"young": (-np.inf, 1 / 3), "middle": (1 / 3, 2 / 3), "old": (2 / 3, np.inf)}
"""The stand-ins' own scale, from a young adult (0) to an old one (1), in thirds."""

GENDERS = {"masculine": (-np.inf, 0.5), "feminine": (0.5, np.inf)}
"""The stand-ins' ``femininity``, in halves."""

BIAS_COLUMNS = (
    *("database", "source", "method", "lam", "attribute", "group", "subjects", "frames", "accuracy", "low", "high"),
    *("others", "difference", "difference_low", "difference_high"),
)


def typology_angle(colour: ArrayLike) -> NDArray[np.float64]:
    """Return the individual typology angle of skin colours, atan((L* − 50) / b*) in degrees: large for light skin.

    Parameters
    ----------
    colour : array (n, 3)
        Linear RGB with the primaries and the white (D65) of sRGB, in [0, 1].

    Returns
    -------
    array (n,)
    """
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )
    xyz = np.asarray(colour, dtype=float) @ to_xyz.T / to_xyz.sum(1)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    lightness, blue_to_yellow = 116 * f[:, 1] - 16, 200 * (f[:, 1] - f[:, 2])
    return np.degrees(np.arctan2(lightness - 50, np.maximum(blue_to_yellow, 1e-9)))


def groups_of(subjects: pd.DataFrame) -> pd.DataFrame:
    """Sort the subjects of a stand-in into groups.

    Parameters
    ----------
    subjects : DataFrame
        The rows of ``subjects.csv`` of its ground truth.

    Returns
    -------
    DataFrame
        One row per subject: subject, skin tone, age, gender.
    """
    skin = subjects[[f"complexion.skin.{channel}" for channel in range(3)]].astype(float)
    return pd.DataFrame(
        {
            "subject": subjects["name"].astype(str),
            "skin tone": _sorted_in(typology_angle(skin.to_numpy()), TONES),
            "age": _sorted_in(subjects["age"].to_numpy(dtype=float), AGES),
            "gender": _sorted_in(subjects["femininity"].to_numpy(dtype=float), GENDERS),
        }
    )


def _sorted_in(values: NDArray[np.float64], groups: Mapping[str, tuple[float, float]]) -> list[str]:
    return [next(name for name, (low, high) in groups.items() if low <= value < high) for value in values]


def bias_table(predictions: pd.DataFrame, groups: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Accuracy of every group beside that of all others.

    Parameters
    ----------
    predictions : DataFrame
        Rows of the predictions.csv of one method's runs: subject, truth, predicted. A frame that several seeds have
        predicted counts once for each.
    groups : DataFrame
        Of :func:`groups_of`.
    seed : int
        Of the bootstrap over subjects.

    Returns
    -------
    DataFrame
        attribute, group, subjects, frames, accuracy with low and high, others (accuracy of all other groups of the
        attribute), difference (accuracy minus others) with difference_low and difference_high. Intervals are of 95 %,
        by drawing subjects anew, not corrected for the number of groups, and NaN below five subjects on a side or where
        all subjects of a side are equally often right, such as always: drawing them anew shows no doubt then.

    Raises
    ------
    GndlError
        Where a subject is in no group.
    """
    unknown = sorted(set(predictions["subject"]) - set(groups["subject"]))
    if unknown:
        raise GndlError(f"the ground truth knows nothing of subject {unknown[0]} ({len(unknown)} such in all)")
    known = predictions.merge(groups, on="subject", validate="many_to_one")
    right: NDArray[np.float64] = (known["truth"] == known["predicted"]).to_numpy().astype(np.float64)
    subject = known["subject"].to_numpy()
    once = np.ones(len(known))
    rows = []
    for attribute, names in (("skin tone", TONES), ("age", AGES), ("gender", GENDERS)):
        for group in names:
            own = (known[attribute] == group).to_numpy(dtype=bool)
            if not own.any() or own.all():
                continue
            low, high = between = np.nan, np.nan
            if _varies(right[own], subject[own]):
                low, high = interval_over_subjects(right[own], once[own], subject[own], seed=seed) or between
                if _varies(right[~own], subject[~own]):
                    between = interval_of_difference(right, once, subject, own, seed=seed) or between
            rows.append(
                {
                    "attribute": attribute,
                    "group": group,
                    "subjects": len(set(subject[own])),
                    "frames": int(own.sum()),
                    "accuracy": right[own].mean(),
                    "low": low,
                    "high": high,
                    "others": right[~own].mean(),
                    "difference": right[own].mean() - right[~own].mean(),
                    "difference_low": between[0],
                    "difference_high": between[1],
                }
            )
    return pd.DataFrame(rows)


def _varies(right: NDArray[np.float64], subject: NDArray[np.object_]) -> bool:
    """Whether the subjects of a group are not all equally often right."""
    return pd.Series(right).groupby(subject).mean().nunique() > 1


def require_rendered(study: Path, runs: Iterable[FinishedRun]) -> None:
    """Raise `GndlError` where a run has seen faces of real people: databases say little of who they are."""
    if any(run.source != "rendered" for run in runs):
        raise GndlError(f"{study}: its faces are not rendered, so nobody knows the groups of its subjects")


def require_same_people(study: Path, database: str, truth: Path) -> None:
    """Raise `GndlError` where the tree beside a ground truth is not the one that the study has read.

    Another seed, or another version of the renderer, draws other people under the same names. One picture of each
    subject is compared with its hash in the study's crops.csv.
    """
    tree = truth.with_name(truth.name.removesuffix(".truth"))
    crops = read_csv(study / database / "crops.csv", ("subject", "source_file", "source_sha256"))
    for own in crops.drop_duplicates("subject").to_dict("records"):
        file = tree / str(own["source_file"])
        if not file.is_file():
            raise GndlError(
                f"{file}: is missing, so nobody can say that {truth} is of the people whom {study} has seen"
            )
        if hash_file(file) != own["source_sha256"]:
            raise GndlError(f"{file}: is not the picture that {study} has seen; {truth} is of other people")


def study_bias(
    study: Path, database: str, truth: Path, *, variants: Collection[tuple[str, str]] | None = None, seed: int = 0
) -> pd.DataFrame:
    """Measure every method of a study on one rendered database; the columns are `BIAS_COLUMNS`.

    Parameters
    ----------
    study : Path
        The study's directory, which is only read.
    database : str
    truth : Path
        Folder of the stand-in's ground truth, ``DATABASE.truth``.
    variants : collection of (method, λ), optional
        Which methods at which λ (``none`` for methods without one); by default all that were run.
    seed : int
        Of the bootstrap over subjects.

    Raises
    ------
    GndlError
        Where there is no run, the runs have seen no rendered faces, or the truth is of other people.
    """
    file = truth / "subjects.csv"
    if not file.is_file():
        raise GndlError(f"{file}: no ground truth here; it lies beside the rendered tree, in DATABASE.truth")
    groups = groups_of(pd.read_csv(file, keep_default_na=False, dtype={"name": str}))
    runs = [run for run in finished_runs(study) if run.database == database]
    runs = [run for run in runs if variants is None or (run.method, run.lam) in variants]
    if not runs:
        raise GndlError(f"{study / database}: holds no finished run")
    require_one_configuration(runs)
    require_rendered(study, runs)
    tables = []
    for method, lam in dict.fromkeys((run.method, run.lam) for run in runs):
        own = [run for run in runs if (run.method, run.lam) == (method, lam)]
        predictions = pd.concat([pd.read_csv(run.folder / "predictions.csv", dtype={"subject": str}) for run in own])
        try:
            table = bias_table(predictions, groups, seed=seed)
        except GndlError as error:
            raise GndlError(f"{file}: {error}; give the truth of the tree that the study has read") from error
        tables.append(table.assign(database=database, source="rendered", method=method, lam=lam))
    return pd.concat(tables, ignore_index=True)[list(BIAS_COLUMNS)]
