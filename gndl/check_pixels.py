"""Audit the pictures behind a study: source files, and the pixels of its crops, cached or shipped, by their hashes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gndl.files import GndlError, counted, crops_folder, hash_file, read_csv, standin_folder
from gndl.methods import method_names, method_settings
from gndl.pairs import FacePairs
from gndl.profiles import StudyConfig
from gndl.record import is_packed
from gndl.results import Results

if TYPE_CHECKING:
    from gndl.check import AuditedRun, StudyAudit, Tested

CROP_COLUMNS = ("sequence", "subject", "role", "frame", "source_file", "source_sha256", "crop", "source")


def crops_of(results: Results, database: str) -> pd.DataFrame:
    """crops.csv of one database; `GndlError` where it is missing or lacks a column."""
    path = results.out / ("crops.csv.gz" if is_packed(results.out) else f"{database}/crops.csv")
    table = results.crops[results.crops["database"] == database].reset_index(drop=True)
    missing = [name for name in CROP_COLUMNS if name not in table.columns]
    if table.empty or missing:
        raise GndlError(f"{path}: {'is missing or empty' if table.empty else f'lacks the column {missing[0]}'}")
    return table


def samples_of(crops: pd.DataFrame) -> pd.DataFrame:
    """The samples of a study in their order: subject, sequence, frame, and both crops."""
    neutral = crops[crops["role"] == "neutral"].drop_duplicates("sequence").set_index("sequence")["crop"]
    examined = crops[crops["role"] != "neutral"].reset_index(drop=True)
    neutral_crop = examined["sequence"].map(neutral).to_numpy()
    return examined[["subject", "sequence", "frame", "crop"]].assign(neutral_crop=neutral_crop)


def check_sources(database: str, crops: pd.DataFrame, study: dict[str, Any], audit: StudyAudit) -> None:
    """Compare the source files that are here with their hashes in crops.csv."""
    root = _root_of(database, study)
    root = root.parent if root.is_file() else root  # a manifest
    hashes = crops.drop_duplicates("source_file").set_index("source_file")["source_sha256"]
    present = [name for name in hashes.index if (root / name).is_file()]
    for name in present:
        if hash_file(root / name) != hashes[name]:
            audit.problems.append(f"{root / name}: is not the file that was cropped (another hash in crops.csv)")
    if present:
        audit.verified.append(f"{database}: {len(present)} of {len(hashes)} source files by hash")
    if len(present) < len(hashes):
        audit.unverified.append(f"{database}: {len(hashes) - len(present)} of {len(hashes)} source files are not here")


def _root_of(database: str, study: dict[str, Any]) -> Path:
    root = str(study.get("asked", {}).get("data_roots", {}).get(database, ""))
    return Path(root) if root else standin_folder(str(study.get("profile", "")), database)


def check_pixels(database: str, crops: pd.DataFrame, samples: pd.DataFrame, tested: Tested, audit: StudyAudit) -> None:
    """Compare the pixels of cached or shipped crops, with labels and names, with the hash that the runs keep."""
    from gndl.crops import pairs_from_crops
    from gndl.databases import ReadOptions, read_database
    from gndl.shipped import FOLDER, shipped_crops, shipped_database

    title = f"{database}: pixels of the cached crops"
    folders = [path.parent for path in sorted(crops_folder().glob("*/crops.csv")) if _same_crops(path, crops)]
    folders = [folder for folder in folders if (folder / "images.npy").exists()]
    shipped = bool(tested) and _is_shipped(database, tested[0][0].results, crops)
    folders += [FOLDER / database] if shipped else []
    if not tested or not folders:
        audit.unverified.append(f"{title}: not cached here ({crops_folder()})")
        return
    results, labels = tested[0][0].results, dict[str, str]()
    for _, table in tested:
        labels |= dict(zip(table["sequence"], table["truth"], strict=True))
    root = _root_of(database, results.study)
    if set(samples["sequence"]) - set(labels) and (shipped or root.exists()):  # of folds that were not run
        options = ReadOptions(**results.study["asked"].get("read_options", {}))
        read = shipped_database(database) if shipped else read_database(database, root, options=options)
        labels = {one.sequence: one.expression for one in read.sequences} | labels
    if set(samples["sequence"]) - set(labels):
        audit.unverified.append(f"{title}: the classes of the folds that were not run are not known here")
        return
    classes = results.classes(database)
    for folder in folders:
        large = dict[str, str]()  # hash of pairs of shipped crops, to that of the large crops that these were made from
        if folder == FOLDER / database:
            title, cut = f"{database}: pixels of the shipped crops", shipped_crops(database)
            about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
            large = {pairs_from_crops(shipped_database(database), cut).content_hash: about["made_from_pairs"]}
            images = cut.images
        else:
            kept = json.loads((folder / "crops.json").read_text(encoding="utf-8")).get("sha256", {}).get("images.npy")
            if kept not in (None, hash_file(folder / "images.npy")):  # None: written by version 1
                audit.problems.append(
                    f"{folder / 'images.npy'}: its pixels are not those that were cut; delete {folder}"
                )
                return
            images = np.load(folder / "images.npy", mmap_mode="r")
        pairs = FacePairs(
            images=images,
            examined_index=samples["crop"].to_numpy(np.int64),
            neutral_index=samples["neutral_crop"].to_numpy(np.int64),
            label=np.array([classes.index(labels[name]) for name in samples["sequence"]], dtype=np.int64),
            **{name: tuple(samples[name]) for name in ("subject", "sequence", "frame")},
            expressions=classes,
        )
        wrong = [run for run, predictions in tested if not _trained_on(run, predictions, pairs)]
        if pairs.content_hash in large:
            larger = [run for run in wrong if run.identity["pairs"] == large[pairs.content_hash]]
            # Of pairs that a method rearranges only the larger crops themselves would give the hash.
            other = {run.record["method"]["name"] for run in wrong if run not in larger}
            rearranged = {name for name in other & {*method_names()} if method_settings(name).rearrange}
            audit.unverified += [f"{title}: {name} was trained on larger ones, rearranged" for name in rearranged]
            wrong = [run for run in wrong if run.record["method"]["name"] in other - rearranged]
        if not wrong:
            audit.verified.append(f"{title}, labels and names, by the hash that the runs keep ({folder.name})")
            return
    audit.problems.append(
        f"{folder}: its pixels, or the labels tested, do not have the hash of what "
        f"{wrong[0].path('run.json')} was trained on ({len(wrong)} of {counted(len(tested), 'run')})"
    )


def _is_shipped(database: str, results: Results, crops: pd.DataFrame) -> bool:
    from gndl.shipped import FOLDER, is_shipped

    config = StudyConfig.from_json(results.study["asked"], results.out / "study.json")
    known = database in config.data_roots and is_shipped(config, database)
    return known and _same_crops(FOLDER / database / "crops.csv.gz", crops)


def _same_crops(path: Path, crops: pd.DataFrame) -> bool:
    try:
        cached = read_csv(path, CROP_COLUMNS)
    except GndlError:
        return False
    return all(cached[name].tolist() == crops[name].tolist() for name in ("database", "sequence", "source_sha256"))


def _trained_on(run: AuditedRun, predictions: pd.DataFrame, pairs: FacePairs) -> bool:
    name = run.record["method"]["name"]
    if name in method_names():
        train = np.flatnonzero(~np.isin(np.array(pairs.subject), predictions["subject"].unique()))
        pairs = method_settings(name).pairs_for(pairs, train)
    return bool(pairs.content_hash == run.identity["pairs"])
