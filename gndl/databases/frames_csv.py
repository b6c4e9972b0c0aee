"""``frames.csv``: which frames are taken from each sequence, written for the eye to correct and read back.

Columns ``sequence,neutral,examined``; one row per sequence; several examined frames are separated by ``;``. A frame of
an image sequence is named by its file, relative to the folder that holds the sequence's frames; a frame of a
video by its number, counted from 1 as in MMI's own files. A row with nothing in ``examined`` leaves its sequence
out; a sequence without a row keeps the frames that the reader chose.
"""

from __future__ import annotations

import csv
import io
import os
from dataclasses import replace
from pathlib import Path

from gndl.csv_rows import Row, read_table
from gndl.databases.clip import UnreadableClip, count_frames
from gndl.databases.reading import Findings
from gndl.errors import GndlError
from gndl.files import write_text
from gndl.sequences import Database, FrameRef, Sequence

COLUMNS = ("sequence", "neutral", "examined")


def name_in_csv(sequence: Sequence, frame: FrameRef) -> str:
    """Name of a frame in ``frames.csv``: its file below the folder of the sequence's frames, or its number from 1."""
    if frame.is_video:
        return str(frame.index + 1)
    return frame.path.absolute().relative_to(_folder(sequence)).as_posix()


def _folder(sequence: Sequence) -> Path:
    frames = sequence.frames or (sequence.neutral, *sequence.examined)
    return Path(os.path.commonpath([frame.path.absolute().parent for frame in frames]))


def write_frames_csv(database: Database, path: Path) -> None:
    """Write the frames that are taken from every sequence of a database, one row each."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for sequence in database.sequences:
        examined = ";".join(name_in_csv(sequence, frame) for frame in sequence.examined)
        rows.writerow((sequence.sequence, name_in_csv(sequence, sequence.neutral), examined))
    write_text(path, text.getvalue())


def choose_frames(database: Database, path: Path) -> Database:
    """Take the frames that a ``frames.csv`` names, in order of time.

    Sequences whose row changes nothing keep their own ``frames_chosen_by``; the others get ``"frames.csv"``.

    Raises
    ------
    GndlError
        Naming the row: a sequence that the database has not or that has two rows, a frame that the sequence has not,
        a frame named twice, a neutral frame among the examined ones.
    """
    sequences = {sequence.sequence: sequence for sequence in database.sequences}
    findings = Findings(list(database.findings))
    seen: dict[str, int] = {}
    for row in read_table(path, COLUMNS):
        name = row["sequence"]
        where = f"{path}, row {row.line}"
        if name in seen:
            raise GndlError(f"{where}: sequence {name} has a row already (row {seen[name]}); one row per sequence")
        seen[name] = row.line
        if name not in sequences:
            raise GndlError(f"{where}: no sequence {name!r} is taken from {database.root}; see gndl check")
        if not _examined_names(row):
            del sequences[name]
            findings.skip(path, f"row {row.line}: sequence {name} has no examined frame here; left out")
            continue
        sequences[name] = _chosen(sequences[name], row, where)
    findings.note(path, f"frames of {len(seen)} of {len(database.sequences)} sequences are named here and taken")
    return replace(database, sequences=tuple(sequences.values()), findings=tuple(findings.items))


def _examined_names(row: Row) -> list[str]:
    return [name.strip() for name in row["examined"].split(";") if name.strip()]


def _chosen(sequence: Sequence, row: Row, where: str) -> Sequence:
    before = [name_in_csv(sequence, frame) for frame in (sequence.neutral, *sequence.examined)]
    if [row["neutral"], row["examined"]] == [before[0], ";".join(before[1:])]:
        return sequence
    by_name = {name_in_csv(sequence, frame): frame for frame in sequence.frames}
    order = {frame: n for n, frame in enumerate(sequence.frames)}
    neutral = _frame(sequence, row["neutral"], by_name, where)
    examined = [_frame(sequence, name, by_name, where) for name in _examined_names(row)]
    if len(set(examined)) < len(examined):
        raise GndlError(f"{where}: an examined frame is named twice")
    if neutral in examined:
        raise GndlError(f"{where}: the neutral frame {row['neutral']} is among the examined ones")
    in_order = tuple(sorted(examined, key=lambda frame: order.get(frame, frame.index)))
    return replace(sequence, neutral=neutral, examined=in_order, frames_chosen_by="frames.csv")


def _frame(sequence: Sequence, name: str, by_name: dict[str, FrameRef], where: str) -> FrameRef:
    if not sequence.neutral.is_video:
        if name not in by_name:
            raise GndlError(f"{where}: sequence {sequence.sequence} has no frame {name!r} in {_folder(sequence)}")
        return by_name[name]
    clip = sequence.neutral.path
    try:
        length = count_frames(clip)
    except UnreadableClip as error:
        raise GndlError(f"{clip}: cannot be decoded ({error})") from error
    if not (name.isdecimal() and len(name) < 10 and 1 <= int(name) <= length):
        raise GndlError(
            f"{where}: sequence {sequence.sequence} has no frame {name!r}; its {length} frames are numbered from 1"
        )
    return FrameRef(clip, int(name) - 1)
