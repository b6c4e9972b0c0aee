"""Crop a database: every face that the study needs, once, aligned by its eyes and cached by what went in.

One set of crops is a folder named by a hash of all that it is made from (`gndl.crop_identity`). It holds
``images.npy`` (all crops), ``crops.csv`` (where each came from) and ``crops.json`` (settings and counts).
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from gndl.crop_identity import CROP_VERSION, hash_of_crops
from gndl.crop_records import counted, crop_notes, crop_rows, relative_to_root
from gndl.crop_sequence import CroppedFrame, crop_subject, frame_name, stack_images, taken_frames
from gndl.errors import GndlError
from gndl.eyes import require_predictor
from gndl.files import aside_of, naming, write_json
from gndl.pairs import FacePairs
from gndl.profiles import CropSettings
from gndl.progress import progress
from gndl.sequences import Database, FrameRef, Sequence
from gndl.source_hashes import hash_sources
from gndl.streaming import StreamedPairs

BYTES_OF_NAMES: Final = "surrogateescape"
"""A file's name that is no UTF-8 keeps its bytes in crops.csv."""

TEXT_COLUMNS = (
    "database",
    "source",
    "sequence",
    "subject",
    "role",
    "frame",
    "source_file",
    "source_sha256",
    "how",
    "half",
)


@dataclass(frozen=True, eq=False)
class Crops:
    """The crops of one database.

    Parameters
    ----------
    folder : Path
        Where they lie.
    hash : str
        Of everything that went in; also the folder's name.
    images : ndarray of uint8, shape (N, S, S) or (N, S, S, 3)
        Memory-mapped. Grey where more than half of the frames are grey, else colour: one or the other for a whole
        database, so that colour tells nothing about the class.
    table : DataFrame
        The rows of crops.csv, one for every use of a frame in a sequence: database, source, sequence, subject, role
        (``neutral``, ``examined 1``, …), frame (file name; in a clip with ``#`` and the frame's number from 1),
        source_file (relative to the database's root), source_sha256, how (the eyes were found), left_eye_x,
        left_eye_y, right_eye_x, right_eye_y (in the frame as stored, in pixels; left as seen on the upright face),
        turned (degrees clockwise that bring a lying clip upright), half (of a dual view), score (the detector's), crop
        (index into ``images``).
    faceless : dict of str to list of str
        Sequences left out because no frame of theirs shows a face: an empty list; or because some frames taken show
        none and no other frame can lend them the eyes' places: their names.
    notes : tuple of str
        What a reader of the results should know, in sentences.
    root : Path
        The database's root, to which ``source_file`` is relative.
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
        columns = self.table["source_file"], self.table["frame"], self.table["crop"]
        return {(str(file), str(name)): int(crop) for file, name, crop in zip(*columns, strict=True)}


def prepare_crops(
    database: Database, settings: CropSettings, cache: Path, *, allow_missing_faces: bool = False, jobs: int = 1
) -> Crops:
    """Crop the neutral and examined frames of every sequence, or read the crops made before from the same input.

    CK+ is cropped by its landmark files where every frame taken has one; a copy that lacks any is cropped by detector
    and predictor throughout, and says so. Every other database is cropped by detector and predictor.

    Parameters
    ----------
    database : Database
    settings : CropSettings
    cache : Path
        Folder under which every set of crops has its own.
    allow_missing_faces : bool
        Leave out sequences in which a face is missing, and say how many, instead of stopping. A frame without a face
        is cropped like the nearest frame of its size that has one, except in a manifest, whose pictures may be
        unrelated photographs.
    jobs : int
        Worker processes; the crops are the same for any number.

    Returns
    -------
    Crops

    Raises
    ------
    GndlError
        Where a file cannot be read, or a face is missing and ``allow_missing_faces`` is not given.
    """
    by_landmarks, hashes, contents, root = hashed_sources(database, cache)
    folder = cache / hash_of_crops(database, settings, by_landmarks, contents, root)
    crops = _made_before(folder, root)
    if crops is None:
        _build(folder, database, settings, by_landmarks, hashes, root, jobs)
        crops = _read(folder, root)
    for note in crops.notes:
        print(note, file=sys.stderr)
    if crops.faceless and not allow_missing_faces:
        raise GndlError(
            f"{database.root}: no face was found in {counted(crops.faceless, 'sequence')}: "
            f"{_listed(crops.faceless)}. Look at them and leave them out, or give --allow-missing-faces "
            "to go on without them"
        )
    return crops


def pairs_from_crops(database: Database, crops: Crops) -> FacePairs:
    """Pair every examined crop with the neutral crop of its sequence; sequences without a face are left out.

    Crops that do not fit into the training device's memory are streamed to it, which changes no number.

    Raises
    ------
    GndlError
        Where no pair is left.
    """
    taken = [sequence for sequence in database.sequences if sequence.sequence not in crops.faceless]
    pairs = [(sequence, frame) for sequence in taken for frame in sequence.examined]
    return StreamedPairs(
        images=crops.images,
        examined_index=np.array([crops.key(frame) for _, frame in pairs], dtype=np.int64),
        neutral_index=np.array([crops.key(sequence.neutral) for sequence, _ in pairs], dtype=np.int64),
        label=np.array([database.expressions.index(sequence.expression) for sequence, _ in pairs], dtype=np.int64),
        subject=tuple(sequence.subject for sequence, _ in pairs),
        sequence=tuple(sequence.sequence for sequence, _ in pairs),
        frame=tuple(frame_name(frame) for _, frame in pairs),
        expressions=database.expressions,
    )


def hashed_sources(database: Database, cache: Path) -> tuple[bool, dict[Path, str], dict[str, str], Path]:
    """Return whether landmark files give the eyes, the hash of every source file, the same by path under the root, it.

    Raises
    ------
    GndlError
        Where there is no sequence, or the eyes have to be predicted and the predictor is missing.
    """
    root = database.root.parent if database.root.is_file() else database.root
    by_landmarks = all(f.landmarks is not None for s in database.sequences for f in taken_frames(s))
    if not database.sequences:
        raise GndlError(f"{database.root}: holds no sequence to crop; `gndl check` says what was found")
    if not by_landmarks:
        require_predictor()
    hashes = hash_sources(_sources(database, by_landmarks), cache / "source-hashes.json")
    contents = {relative_to_root(path, root): content for path, content in hashes.items()}
    return by_landmarks, hashes, contents, root


def _sources(database: Database, by_landmarks: bool) -> list[Path]:
    """Every file that can have a say: a frame without a face may borrow from any other of its sequence."""
    paths: dict[Path, None] = {}
    for sequence in database.sequences:
        for frame in taken_frames(sequence) if by_landmarks else (*taken_frames(sequence), *sequence.frames):
            paths[frame.path] = None
            if by_landmarks and frame.landmarks is not None:
                paths[frame.landmarks] = None
    return list(paths)


def _build(
    folder: Path,
    database: Database,
    settings: CropSettings,
    by_landmarks: bool,
    hashes: dict[Path, str],
    root: Path,
    jobs: int,
) -> None:
    """Crop every sequence and write the folder aside, then give it its name."""
    by_subject: dict[str, list[Sequence]] = {}
    for sequence in database.sequences:
        by_subject.setdefault(sequence.subject, []).append(sequence)
    may_borrow = database.name != "manifest"  # whose pictures may be unrelated photographs
    work = (delayed(crop_subject)(some, settings, by_landmarks, may_borrow) for some in by_subject.values())
    results = Parallel(n_jobs=min(jobs, len(by_subject)), return_as="generator")(work)
    crops: dict[FrameRef, CroppedFrame] = {}
    faceless: dict[str, list[str]] = {}
    for some, without in progress(results, f"cropping {database.title}", total=len(by_subject), unit="subject"):
        for crop in some:
            crops.setdefault(crop.frame, crop)
        faceless |= without
    if not crops:
        raise GndlError(
            f"{database.root}: no face was found in any frame of any sequence; are these pictures of faces?"
        )
    faceless = dict(sorted(faceless.items()))
    images, colour_note = stack_images([crop.image for crop in crops.values()])
    table = crop_rows(database, crops, set(faceless), hashes, root)
    notes = [*_crop_notes(database, table, faceless, by_landmarks), *colour_note]
    content = {"settings": asdict(settings), "version": CROP_VERSION, "faceless": faceless, "notes": notes}

    aside = aside_of(folder)
    try:
        aside.mkdir(parents=True)
        with naming(folder):
            np.save(aside / "images.npy", images)
            table.to_csv(aside / "crops.csv", index=False, lineterminator="\n", errors=BYTES_OF_NAMES)
        write_json(aside / "crops.json", content)
        try:
            aside.rename(folder)
        except OSError:
            if not (folder / "crops.json").is_file():  # otherwise another process was faster with the same crops
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _crop_notes(
    database: Database, table: pd.DataFrame, faceless: Mapping[str, list[str]], by_landmarks: bool
) -> list[str]:
    in_part = {name: frames for name, frames in faceless.items() if frames}
    notes = crop_notes(database, table, [name for name in faceless if name not in in_part], by_landmarks)
    if in_part:
        notes.append(
            f"{database.title}: NO FACE in some frames of {counted(in_part, 'sequence')}, and no other frame to crop "
            f"them by; left out: {_listed(in_part)}."
        )
    return notes


def _listed(faceless: Mapping[str, list[str]]) -> str:
    return ", ".join(f"{name} ({', '.join(frames)})" if frames else name for name, frames in faceless.items())


def _made_before(folder: Path, root: Path) -> Crops | None:
    """Read the crops made before from the same input; a folder that is damaged is removed, and it is said."""
    if not folder.exists():
        return None
    try:
        return _read(folder, root)
    except (FileNotFoundError, ValueError, KeyError, TypeError, EOFError) as error:
        print(f"{folder}: is damaged ({error}), so its faces are cropped again.", file=sys.stderr)
        shutil.rmtree(folder)
        return None


def _read(folder: Path, root: Path) -> Crops:
    content = json.loads((folder / "crops.json").read_text(encoding="utf-8"))
    text = {column: str for column in TEXT_COLUMNS}
    file = folder / "crops.csv"
    blank = {"score": [""]}
    table = pd.read_csv(file, dtype=text, keep_default_na=False, na_values=blank, encoding_errors=BYTES_OF_NAMES)
    images = np.load(folder / "images.npy", mmap_mode="r")
    if len(images) != table["crop"].max() + 1:
        raise ValueError(f"images.npy holds {len(images)} crops and crops.csv names {table['crop'].max() + 1}")
    return Crops(folder, folder.name, images, table, dict(content["faceless"]), tuple(content["notes"]), root)
