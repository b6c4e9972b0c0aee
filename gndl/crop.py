"""Crop a database: every face that the study needs, once, aligned by its eyes and cached by what went in.

One set of crops is a folder named by a hash of its sources' content, the settings and the eye predictor. It holds
``images.npy`` (all crops), ``crops.csv`` (where each came from) and ``crops.json`` (settings and counts).
"""

from __future__ import annotations

import json
import shutil
import sys
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from gndl.crop_records import counted, crop_notes, crop_rows, relative_to_root
from gndl.crop_sequence import CroppedFrame, crop_subject, frame_name, taken_frames
from gndl.errors import GndlError
from gndl.eyes import PREDICTOR, require_predictor
from gndl.files import hash_file, hash_json
from gndl.frames_reading import as_colour, as_grey
from gndl.pairs import FacePairs
from gndl.profiles import CropSettings
from gndl.progress import progress
from gndl.sequences import Database, FrameRef, Sequence
from gndl.source_hashes import hash_sources

CROP_VERSION = 1
"""Raised whenever a change of the code changes a crop, so that no crop of the old code is reused."""

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
    faceless : tuple of str
        Sequences left out because no frame of theirs shows a face.
    notes : tuple of str
        What a reader of the results should know, in sentences.
    root : Path
        The database's root, to which ``source_file`` is relative.
    """

    folder: Path
    hash: str
    images: np.ndarray
    table: pd.DataFrame
    faceless: tuple[str, ...]
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
        Leave out sequences in which no face is found, and say how many, instead of stopping.
    jobs : int
        Worker processes; the crops are the same for any number.

    Returns
    -------
    Crops

    Raises
    ------
    GndlError
        Where a file cannot be read, or a sequence shows no face and ``allow_missing_faces`` is not given.
    """
    root = database.root.parent if database.root.is_file() else database.root
    by_landmarks = all(f.landmarks is not None for s in database.sequences for f in taken_frames(s))
    if not database.sequences:
        raise GndlError(f"{database.root}: holds no sequence to crop; `gndl check` says what was found")
    if not by_landmarks:
        require_predictor()
    sources = _sources(database, by_landmarks)
    hashes = hash_sources(sources, cache / "source-hashes.json")
    key = _hash_of_input(
        database, settings, by_landmarks, {relative_to_root(p, root): h for p, h in hashes.items()}, root
    )
    folder = cache / key
    if not (folder / "crops.json").is_file():
        _build(folder, database, settings, by_landmarks, hashes, root, jobs)
    crops = _read(folder, root)
    for note in crops.notes:
        print(note, file=sys.stderr)
    if crops.faceless and not allow_missing_faces:
        raise GndlError(
            f"{database.root}: no face was found in any frame of {counted(crops.faceless, 'sequence')}: "
            f"{', '.join(crops.faceless)}. Look at them and leave them out, or give --allow-missing-faces "
            "to go on without them"
        )
    return crops


def pairs_from_crops(database: Database, crops: Crops) -> FacePairs:
    """Pair every examined crop with the neutral crop of its sequence; sequences without a face are left out.

    Raises
    ------
    GndlError
        Where no pair is left.
    """
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


def _sources(database: Database, by_landmarks: bool) -> list[Path]:
    """Every file that can have a say: a frame without a face may borrow from any other of its sequence."""
    paths: dict[Path, None] = {}
    for sequence in database.sequences:
        for frame in taken_frames(sequence) if by_landmarks else (*taken_frames(sequence), *sequence.frames):
            paths[frame.path] = None
            if by_landmarks and frame.landmarks is not None:
                paths[frame.landmarks] = None
    return list(paths)


def _hash_of_input(
    database: Database, settings: CropSettings, by_landmarks: bool, contents: dict[str, str], root: Path
) -> str:
    def named(frames: Iterable[FrameRef]) -> list[list[str]]:
        return [[relative_to_root(frame.path, root), frame_name(frame)] for frame in frames]

    sequences = [
        [s.sequence, s.subject, named(taken_frames(s)), named(s.frames), s.view, s.may_lie_on_its_side]
        for s in database.sequences
    ]
    content = {
        "version": CROP_VERSION,
        "settings": asdict(settings),
        "database": [database.name, database.source],
        "predictor": None if by_landmarks else hash_file(PREDICTOR),
        "sequences": sequences,
        "contents": contents,
    }
    return hash_json(content)[:16]


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
    work = (delayed(crop_subject)(sequences, settings, by_landmarks) for sequences in by_subject.values())
    results = Parallel(n_jobs=min(jobs, len(by_subject)), return_as="generator")(work)
    crops: dict[FrameRef, CroppedFrame] = {}
    faceless: list[str] = []
    for some, without in progress(results, f"cropping {database.title}", total=len(by_subject), unit="subject"):
        for crop in some:
            crops.setdefault(crop.frame, crop)
        faceless += without
    if not crops:
        raise GndlError(
            f"{database.root}: no face was found in any frame of any sequence; are these pictures of faces?"
        )
    images, colour_note = _stack([crop.image for crop in crops.values()])
    table = crop_rows(database, crops, set(faceless), hashes, root)
    notes = [*crop_notes(database, table, sorted(faceless), by_landmarks), *colour_note]
    content = {"settings": asdict(settings), "version": CROP_VERSION, "faceless": sorted(faceless), "notes": notes}

    aside = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
    try:
        aside.mkdir(parents=True)
        np.save(aside / "images.npy", images)
        table.to_csv(aside / "crops.csv", index=False, lineterminator="\n")
        (aside / "crops.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        try:
            aside.rename(folder)
        except OSError:
            if not (folder / "crops.json").is_file():  # otherwise another process was faster with the same crops
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _stack(images: list[np.ndarray]) -> tuple[np.ndarray, list[str]]:
    """Bring all crops to grey where more than half of them are grey, else all to colour."""
    grey = sum(image.ndim == 2 for image in images)
    to_grey = grey > len(images) / 2
    note = []
    if 0 < grey < len(images):
        verdict = "all are taken as grey" if to_grey else "the grey ones are repeated in three channels"
        note.append(f"{grey} of {len(images)} frames are grey and the others in colour: {verdict}.")
    return np.stack([as_grey(image) if to_grey else as_colour(image) for image in images]), note


def _read(folder: Path, root: Path) -> Crops:
    content = json.loads((folder / "crops.json").read_text(encoding="utf-8"))
    text = {column: str for column in TEXT_COLUMNS}
    table = pd.read_csv(folder / "crops.csv", dtype=text, keep_default_na=False, na_values={"score": [""]})
    images = np.load(folder / "images.npy", mmap_mode="r")
    return Crops(folder, folder.name, images, table, tuple(content["faceless"]), tuple(content["notes"]), root)
