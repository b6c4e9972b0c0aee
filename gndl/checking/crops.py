"""Audit the pictures that were trained on: the source files, and the cached crops, against their hashes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gndl.checking.samples import read_crops_csv, samples_of_crops
from gndl.databases import ReadOptions, read_database
from gndl.errors import GndlError
from gndl.files import hash_file
from gndl.methods import method_names, method_settings
from gndl.pairs import FacePairs
from gndl.paths import crops_folder, standin_folder
from gndl.results import FinishedRun, read_csv


@dataclass(frozen=True)
class Looked:
    """What one part of an audit found.

    Parameters
    ----------
    problems : tuple of str
        One line each, the file's name first.
    verified : tuple of str
        What was looked at and agrees, in words.
    unverified : tuple of str
        What could not be looked at, and why.
    """

    problems: tuple[str, ...] = ()
    verified: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()


def database_root(database: str, study: dict[str, Any]) -> Path:
    """Where study.json says that a database lies, there or not: a folder, or a manifest."""
    given = str(study["asked"]["data_roots"].get(database, ""))
    return Path(given) if given else standin_folder(str(study["profile"]), database)


def check_sources(database: str, crops: pd.DataFrame, study: dict[str, Any]) -> Looked:
    """Compare every source file that is at hand with its hash in crops.csv.

    Parameters
    ----------
    database : str
    crops : DataFrame
        Of `gndl.checking.samples.read_crops_csv`.
    study : dict
        Of study.json, which says where the database lies.
    """
    root = database_root(database, study)
    root = root.parent if root.is_file() else root
    files = crops.drop_duplicates("source_file")
    present, problems = 0, []
    for name, expected in zip(files["source_file"], files["source_sha256"], strict=True):
        path = root / name
        if not path.is_file():
            continue
        present += 1
        if hash_file(path) != expected:
            problems.append(f"{path}: is not the file that was cropped (its hash differs from {database}/crops.csv)")
    title = f"{database}: source files of the crops"
    missing = len(files) - present
    return Looked(
        tuple(problems),
        (f"{title} by hash: {present} of {len(files)}",) if present else (),
        (f"{title}: {missing} of {len(files)} are not here",) if missing else (),
    )


def labels_of(database: str, predictions: pd.DataFrame, samples: pd.DataFrame, study: dict[str, Any]) -> dict[str, str]:
    """Class of every sequence: as the predictions say it, and for folds that were not run as the database does.

    Sequences of which neither is at hand are left out.
    """
    known = dict(zip(predictions["sequence"], predictions["truth"], strict=True))
    root = database_root(database, study)
    if set(samples["sequence"]) <= set(known) or not root.exists():
        return known
    try:
        read = read_database(database, root, options=ReadOptions(**study["asked"]["read_options"]))
    except (GndlError, TypeError):
        return known
    return {sequence.sequence: sequence.expression for sequence in read.sequences} | known


def check_cached_crops(
    out: Path, database: str, crops: pd.DataFrame, labels: dict[str, str], runs: list[FinishedRun]
) -> Looked:
    """Compare the cached crops with the hash of all pixels, labels and names that every run keeps.

    Parameters
    ----------
    out : Path
        The study's directory.
    database : str
    crops : DataFrame
        Of `gndl.checking.samples.read_crops_csv`.
    labels : dict of str to str
        Of :func:`labels_of`.
    runs : list of FinishedRun
        Of this database.
    """
    title = f"{database}: pixels of the cached crops"
    path = out / database / "crops.csv"
    if not all(run.record["identity"].get("pairs") for run in runs):
        return Looked(unverified=(f"{title}: a run keeps no hash of them",))
    candidates = cached_crops(database, crops)
    if not candidates:
        return Looked(unverified=(f"{title}: they are not cached here ({crops_folder()})",))
    if unknown := set(crops["sequence"]) - set(labels):
        text = f"{title}: the labels of {len(unknown)} sequences, which no run has tested, are not at hand"
        return Looked(unverified=(text,))
    classes = tuple(runs[0].record["expressions"])
    wrong: list[FinishedRun] = []
    for folder in candidates:
        cached = read_crops_csv(folder / "crops.csv")
        pairs = pairs_of_crops(folder, samples_of_crops(cached), labels, classes)
        wrong = runs if pairs is None else _trained_on_others(runs, pairs)
        if not wrong:
            if cached.equals(crops):
                return Looked(verified=(f"{title}, labels and names by the hash that the runs keep ({folder.name})",))
            row = _first_difference(cached, crops)
            return Looked(problems=(f"{path}: {row} in the crops that the runs were trained on ({folder})",))
    return Looked(
        problems=(
            f"{candidates[0]}: its pixels, or the labels tested, do not have the hash of what {wrong[0].folder} was "
            f"trained on ({len(wrong)} of {len(runs)} runs)",
        )
    )


def _trained_on_others(runs: list[FinishedRun], pairs: FacePairs) -> list[FinishedRun]:
    """The runs whose hash is not that of these pairs, rearranged as the run's method does."""
    subject = np.array(pairs.subject)
    wrong = []
    for run in runs:
        name, own = str(run.record["method"]["name"]), pairs
        if name in method_names() and method_settings(name).rearrange is not None:
            tested = read_csv(run.folder / "predictions.csv", ("subject",))["subject"].unique()
            own = method_settings(name).pairs_for(pairs, np.flatnonzero(~np.isin(subject, tested)))
        if own.content_hash != run.record["identity"]["pairs"]:
            wrong.append(run)
    return wrong


def cached_crops(database: str, crops: pd.DataFrame) -> list[Path]:
    """Find cached sets that may be those of a study: same database, same number of rows; the likeliest first."""
    found = []
    for file in sorted(crops_folder().glob("*/crops.csv")):
        try:
            cached = read_crops_csv(file)
        except GndlError:
            continue
        if len(cached) != len(crops) or set(cached["database"]) != {database}:
            continue
        alike = float((cached["source_sha256"].to_numpy() == crops["source_sha256"].to_numpy()).mean())
        if alike > 0.5 and (file.parent / "images.npy").is_file():
            found.append((not cached.equals(crops), -alike, file.parent))
    return [folder for *_, folder in sorted(found)]


def pairs_of_crops(
    folder: Path, samples: pd.DataFrame, labels: dict[str, str], classes: tuple[str, ...]
) -> FacePairs | None:
    """Put pairs together from a cached set of crops; None where that is not possible."""
    try:
        return FacePairs(
            images=np.load(folder / "images.npy", mmap_mode="r"),
            examined_index=samples["crop"].to_numpy(np.int64),
            neutral_index=samples["neutral_crop"].to_numpy(np.int64),
            label=np.array([classes.index(labels[name]) for name in samples["sequence"]], dtype=np.int64),
            subject=tuple(samples["subject"]),
            sequence=tuple(samples["sequence"]),
            frame=tuple(samples["frame"]),
            expressions=classes,
        )
    except (OSError, ValueError, KeyError, GndlError):
        return None


def _first_difference(cached: pd.DataFrame, crops: pd.DataFrame) -> str:
    if list(cached.columns) != list(crops.columns):
        return "has other columns"
    differs = (cached != crops).to_numpy()
    row, column = np.argwhere(differs)[0]
    return f"row {row + 2}: {crops.columns[column]} is {crops.iat[row, column]!r} and was {cached.iat[row, column]!r}"
