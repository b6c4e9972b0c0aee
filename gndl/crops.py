"""All faces that a study needs from a database, aligned by their eyes, cut once and cached.

A set of crops is a folder named by a hash of everything that it is made from. It holds ``images.npy`` (the crops),
``crops.csv`` (where each comes from) and ``crops.json`` (settings, notes, and the hashes of the other two files).
"""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
from collections.abc import Container, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import av
import dlib
import numpy as np
import pandas as pd
import PIL
import scipy
from joblib import Parallel, delayed

from gndl.alignment import CroppedFrame, crop_and_compare, frame_name, taken_frames
from gndl.eyes import PREDICTOR, doubts
from gndl.files import (
    GndlError,
    atomic_write,
    counted,
    hash_file,
    hash_json,
    locked,
    progress,
    read_csv,
    write_csv,
    write_json,
)
from gndl.frames import as_colour, as_grey
from gndl.pairs import FacePairs
from gndl.profiles import CropSettings
from gndl.sequences import Database, FrameRef

CROPS = 2
"""Raised by hand, with a line in the changelog, when a change of the code changes a byte of the crops or crops.csv."""

COLUMNS = {
    **dict.fromkeys(("database", "source", "sequence", "subject", "role", "frame"), str),
    **dict.fromkeys(("source_file", "source_sha256", "how"), str),
    **dict.fromkeys(("left_eye_x", "left_eye_y", "right_eye_x", "right_eye_y"), float),
    **{"turned": int, "half": str, "score": float, "crop": int, "faces": int},
    **dict.fromkeys(("spread", "apart", "brightness", "contrast"), float),
}
"""Columns of crops.csv and their types, described in `Crops`; those from ``faces`` on are newer than version 1."""

APART = 0.5
"""Fraction of the eyes' distance by which detector and landmarks, or the frames of a sequence, may disagree."""
DARK, BRIGHT, EVEN = 12, 243, 5
"""Mean below or above which a crop is (nearly) black or white, and contrast below which it is one grey."""
LISTED = 12
"""How many doubtful crops a note names."""


@dataclass(frozen=True, eq=False)
class Crops:
    """The crops of one database.

    Parameters
    ----------
    folder, hash : Path, str
        Where they are, and the hash of all that they are made from (the folder's name).
    images : ndarray of uint8, shape (N, S, S) or (N, S, S, 3)
        Memory-mapped; one kind for the whole database, that of most frames, so that colour tells nothing about a class.
    table : DataFrame
        crops.csv, one row for every use of a frame in a sequence (`COLUMNS`). ``role`` is ``neutral``, ``examined 1``,
        …; the eyes are in pixels of the stored frame, left as seen on the upright face, ``how`` says how they were
        found, ``score`` is the detector's; ``turned`` are the degrees clockwise that bring a lying clip upright,
        ``half`` is the half taken of a dual view; ``crop`` an index into ``images``. ``faces`` counts the faces that
        the detector finds (of several, the largest whose score is at least half the best is taken, in each frame by
        itself), ``spread`` is `FoundEyes.spread`, ``apart`` the distance between the eyes of landmarks and detector
        over that of the eyes; ``brightness`` and ``contrast`` are mean and standard deviation of the crop's grey.
    faceless : dict of str to list of str
        Sequences left out, and their frames without a face; the list is empty where no frame shows a face.
    notes : tuple of str
        What a reader of the results should know.
    root : Path
        To which ``source_file`` is relative.
    """

    folder: Path
    hash: str
    images: np.ndarray
    table: pd.DataFrame
    faceless: dict[str, list[str]]
    notes: tuple[str, ...]
    root: Path

    def key(self, frame: FrameRef) -> int:
        """Index of a frame's crop in ``images``; KeyError where the frame was not cropped."""
        return self._index[relative_to_root(frame.path, self.root), frame_name(frame)]

    @cached_property
    def _index(self) -> dict[tuple[str, str], int]:
        return {(file, name): crop for file, name, crop in self.table[["source_file", "frame", "crop"]].to_numpy()}


Origins = Mapping[Path, tuple[str, str]]  # of every file that matters: path relative to the root, SHA-256


def relative_to_root(path: Path, root: Path) -> str:
    """A path relative to the database's root, with forward slashes."""
    return Path(os.path.relpath(path, root)).as_posix()


def prepare_crops(
    database: Database, settings: CropSettings, cache: Path, *, allow_missing_faces: bool = False, jobs: int = 1
) -> Crops:
    """Crop the neutral and examined frames of every sequence, or read crops made before from the same input.

    The eyes come from landmark files where every frame taken has one (CK+), else from detector and predictor for the
    whole database. Landmarks that mostly lie elsewhere than the detector's eyes are an error. A frame without a face is
    cropped like the nearest frame of its size that has one, except in a manifest, whose pictures may be unrelated. A
    sequence in which a face is missing nevertheless is an error, or left out with ``allow_missing_faces``. ``jobs`` is
    the number of processes; it changes no byte.
    """
    if not database.sequences:
        raise GndlError(f"{database.root}: no sequences to crop; `gndl check` tells what was found")
    root = database.root.parent if database.root.is_file() else database.root
    by_landmarks = all(frame.landmarks is not None for s in database.sequences for frame in s.taken)
    # Without landmarks a frame without a face may borrow the eyes of any other frame of its sequence.
    frames = [frame for s in database.sequences for frame in (s.taken if by_landmarks else (*s.taken, *s.frames))]
    files = [file for frame in frames for file in (frame.path, frame.landmarks if by_landmarks else None) if file]
    hashes = _hash_sources(files, cache / "source-hashes.json")
    origins = {file: (relative_to_root(file, root), content) for file, content in hashes.items()}
    folder = cache / _hash_of_crops(database, root, settings, by_landmarks, origins)
    with locked(folder):
        crops = read_crops(folder, root)
        if crops is None:
            _build(folder, database, settings, by_landmarks, origins, jobs)
            crops = read_crops(folder, root)
    assert crops is not None
    for note in crops.notes:
        print(note, file=sys.stderr)
    if crops.faceless and not allow_missing_faces:
        raise GndlError(
            f"{database.root}: no face found in {counted(len(crops.faceless), 'sequence')}: {_listed(crops.faceless)}. "
            "Check these pictures and remove the sequences, or pass --allow-missing-faces to continue without them."
        )
    return crops


def pairs_from_crops(database: Database, crops: Crops) -> FacePairs:
    """Pair every examined crop with the neutral crop of its sequence; sequences without a face are left out."""
    taken = [sequence for sequence in database.sequences if sequence.sequence not in crops.faceless]
    pairs = [(sequence, frame) for sequence in taken for frame in sequence.examined]
    return FacePairs(
        images=crops.images,
        examined_index=np.array([crops.key(frame) for _, frame in pairs], dtype=np.int64),
        neutral_index=np.array([crops.key(sequence.neutral) for sequence, _ in pairs], dtype=np.int64),
        label=np.array([database.expressions.index(sequence.expression) for sequence, _ in pairs], dtype=np.int64),
        subject=tuple(sequence.subject for sequence, _ in pairs),
        sequence=tuple(sequence.sequence for sequence, _ in pairs),
        frame=tuple(frame_name(frame) for _, frame in pairs),
        expressions=database.expressions,
    )


def _hash_sources(paths: Iterable[Path], memory: Path) -> dict[Path, str]:
    """SHA-256 of every file, remembered in the JSON file ``memory`` so that an unchanged file is not read again.

    A file is unchanged while its size and its times of modification and of status change (both in nanoseconds) are: the
    third notices a copy that keeps the old date.
    """
    known: dict[str, list[Any]] = {}
    with suppress(OSError, ValueError, TypeError):  # absent or damaged: every file is hashed again
        known = dict(json.loads(memory.read_text(encoding="utf-8")))
    hashes, changed = {}, {}
    for path in progress(dict.fromkeys(paths), "hashing", unit="file"):
        try:
            status = path.stat()
            stamp = [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
            *before, hashes[path] = known.get(str(path.absolute()), [""])
            if before != stamp:
                hashes[path] = hash_file(path)
                changed[str(path.absolute())] = [*stamp, hashes[path]]
        except OSError as error:
            raise GndlError(f"{path}: cannot be read ({error.strerror})") from error
    if changed:
        write_json(memory, known | changed)
    return hashes


def _hash_of_crops(database: Database, root: Path, settings: CropSettings, by_landmarks: bool, origins: Origins) -> str:
    def named(frames: Iterable[FrameRef]) -> list[list[str | int]]:  # so that a database may be moved
        return [[relative_to_root(f.path, root), frame_name(f), *([f.white] if f.white else [])] for f in frames]

    content = {
        "crops": CROPS,
        "settings": asdict(settings),
        "database": [database.name, database.source],
        "predictor": None if by_landmarks else hash_file(PREDICTOR),
        "sequences": [
            [s.sequence, s.subject, named(taken_frames(s)), named(s.frames), s.view, s.may_lie_on_its_side]
            for s in database.sequences
        ],
        "contents": dict(origins.values()),
        "libraries": {library.__name__: str(library.__version__) for library in (PIL, scipy, dlib, av)},
    }
    return hash_json(content)[:16]


def read_crops(folder: Path, root: Path) -> Crops | None:
    """The crops in a folder of the cache; None where a file is missing, or is not what was written."""
    with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
        content = json.loads((folder / "crops.json").read_text(encoding="utf-8"))
        if any(hash_file(folder / name) != content["sha256"][name] for name in ("images.npy", "crops.csv")):
            return None
        table = read_csv(folder / "crops.csv").fillna({"half": ""})
        images = np.load(folder / "images.npy", mmap_mode="r")
        return Crops(folder, folder.name, images, table, content["faceless"], tuple(content["notes"]), root)
    return None


def _build(
    folder: Path, database: Database, settings: CropSettings, by_landmarks: bool, origins: Origins, jobs: int
) -> None:
    if folder.exists():
        print(f"{folder}: damaged; cropping the faces again.", file=sys.stderr)
        shutil.rmtree(folder)
    subjects = list(dict.fromkeys(sequence.subject for sequence in database.sequences))
    sequences = sorted(database.sequences, key=lambda sequence: subjects.index(sequence.subject))
    may_borrow = database.name != "manifest"
    work = (delayed(crop_and_compare)(sequence, settings, by_landmarks, may_borrow) for sequence in sequences)
    results = Parallel(n_jobs=min(jobs, len(sequences)), return_as="generator")(work)
    bar = progress(results, f"cropping {database.title}", total=len(sequences), unit="sequence")
    crops: dict[FrameRef, CroppedFrame] = {}
    faceless: dict[str, list[str]] = {}
    for sequence, (own, missing) in zip(sequences, bar, strict=True):
        for crop in own:
            crops.setdefault(crop.frame, crop)
        if not own:
            faceless[sequence.sequence] = missing
    if not crops:
        raise GndlError(f"{database.root}: no face found in any frame of any sequence; are these pictures of faces?")
    _require_landmarks_of_these_pictures(crops)
    grey = sum(crop.image.ndim == 2 for crop in crops.values())
    in_one_kind = as_grey if grey > len(crops) / 2 else as_colour
    table = _table(database, crops, faceless, origins)
    notes, title = [], database.title
    if database.name == "ckplus" and not by_landmarks:
        notes.append(
            f"{title}: some frames taken have no usable landmark file (`gndl check` lists them), so detector "
            "and predictor find the eyes of all."
        )
    doubted = doubtful(table)
    if len(doubted):
        where = [
            Path(file).with_name(name) for file, name in zip(doubted["source_file"], doubted["frame"], strict=True)
        ]
        named = [f"{file.as_posix()} ({why})" for file, why in zip(where, doubted["why"], strict=True)][:LISTED]
        more = f"; and {len(doubted) - LISTED} more, see gndl.crops.doubtful" if len(doubted) > LISTED else ""
        notes.append(f"{title}: look at {counted(len(doubted), 'doubtful crop')}: {'; '.join(named)}{more}.")
    if faceless:
        notes.append(f"{title}: no face in {counted(len(faceless), 'sequence')}, left out: {_listed(faceless)}.")
    with atomic_write(folder) as unfinished:
        unfinished.mkdir()
        np.save(unfinished / "images.npy", np.stack([in_one_kind(crop.image) for crop in crops.values()]))
        write_csv(table, unfinished / "crops.csv")
        sha256 = {name: hash_file(unfinished / name) for name in ("images.npy", "crops.csv")}
        about = {"settings": asdict(settings), "faceless": faceless, "notes": notes, "sha256": sha256}
        write_json(unfinished / "crops.json", about)


def _require_landmarks_of_these_pictures(crops: Mapping[FrameRef, CroppedFrame]) -> None:
    compared = [crop for crop in crops.values() if not math.isnan(crop.apart)]
    elsewhere = [crop for crop in compared if crop.apart > APART]
    if len(elsewhere) > len(compared) / 2:
        first = elsewhere[0]
        raise GndlError(
            f"{first.frame.landmarks}: its eyes are {first.apart:.1f} times their distance away from those that the "
            f"detector finds in {first.frame.path}, and so it is in {len(elsewhere)} of the {len(compared)} frames "
            "with a face. Were the landmarks made for pictures of another size? Bring back pictures and landmarks "
            "that belong together, or remove the Landmarks folder to use the detector instead."
        )


def doubtful(table: pd.DataFrame) -> pd.DataFrame:
    """The crops of a crops.csv that may not show an aligned face, each once; ``why`` says what speaks against them.

    Of a table written before the newer columns, only what the older ones tell.
    """
    rows = table.reindex(columns=list(COLUMNS)).drop_duplicates(["database", "crop"])
    how, grey = rows["how"], rows["contrast"] < EVEN
    found = rows[["faces", "score", "spread"]].astype(float).where(how.str.startswith("detector"))
    reasons = {
        "no face found, cropped like the nearest frame": how.str.startswith("nearest frame"),
        "the detector finds no face": (how == "landmarks") & (rows["faces"] == 0),
        "its landmarks are not where the detector finds the eyes": rows["apart"] > APART,
        "not where the other frames of the sequence show the face": _elsewhere(rows),
        "nearly black": rows["brightness"] < DARK,
        "nearly white": rows["brightness"] > BRIGHT,
        "nearly one grey": grey & rows["brightness"].between(DARK, BRIGHT),
    }
    why = [
        "; ".join([*(text for text, bad in zip(reasons, row, strict=True) if bad), *doubts(*numbers)])
        for row, numbers in zip(zip(*reasons.values(), strict=True), found.to_numpy(), strict=True)
    ]
    return rows.assign(why=why)[np.array(why) != ""].reset_index(drop=True)


def _elsewhere(rows: pd.DataFrame) -> pd.Series:
    """Whether a face lies or is scaled unlike the median of its sequence; a manifest's pictures may be unrelated."""
    left, right = (rows[f"{side}_eye_x"] + 1j * rows[f"{side}_eye_y"] for side in ("left", "right"))
    middle, distance = (left + right) / 2, (right - left).abs()
    places = pd.DataFrame({"x": np.real(middle), "y": np.imag(middle), "distance": distance})
    median = places.groupby([rows["database"], rows["sequence"]]).transform("median")
    moved = np.hypot(places["x"] - median["x"], places["y"] - median["y"]) > APART * median["distance"]
    scaled = (places["distance"] / median["distance"] - 1).abs() > APART
    return pd.Series((moved | scaled) & (rows["database"] != "manifest"))


def _table(
    database: Database, crops: Mapping[FrameRef, CroppedFrame], faceless: Container[str], origins: Origins
) -> pd.DataFrame:
    number = {frame: place for place, frame in enumerate(crops)}
    rows: list[tuple[Any, ...]] = []
    for sequence in database.sequences:
        for place, frame in enumerate(sequence.taken if sequence.sequence not in faceless else ()):
            crop, role = crops[frame], f"examined {place}" if place else "neutral"
            named = database.name, database.source, sequence.sequence, sequence.subject, role, frame_name(frame)
            eyes = (round(value, 3) for value in (*crop.eyes.left, *crop.eyes.right))
            view = crop.view.turned, crop.view.half, round(crop.score, 4)
            grey = as_grey(crop.image)
            looks = (round(float(value), 3) for value in (crop.spread, crop.apart, grey.mean(), grey.std()))
            rows.append((*named, *origins[frame.path], crop.how, *eyes, *view, number[frame], crop.faces, *looks))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _listed(faceless: Mapping[str, list[str]]) -> str:
    return ", ".join(f"{name} ({', '.join(frames)})" if frames else name for name, frames in faceless.items())
