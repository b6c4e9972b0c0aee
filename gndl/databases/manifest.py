"""Your own faces, described by a table ``subject,sequence,expression,neutral,examined``; and ``frames.csv``.

**manifest.csv**: one row per pair; paths are relative to the table and stay below its folder; any set of expressions.
Rows with the same sequence are several examined faces of one sequence and must agree on its subject, expression and
neutral face. One picture, or pictures of the same bytes, under two subjects are an error, as is one subject spelt in
two ways: that person would be in training and in test at once.

**frames.csv**: ``sequence,neutral,examined``, the frames taken from each sequence of any database, to be corrected by
hand and read back. Several examined frames are separated by ``;``. A frame of an image sequence is named by its file,
relative to the folder of the sequence's frames; a frame of a video by its number, counted from 1 as in MMI's own files.
A row with nothing in ``examined`` leaves its sequence out; a sequence without a row keeps the frames of the reader.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import pandas as pd

from gndl.databases.common import (
    Findings,
    explain,
    relative,
    rendered_among,
    require_one_spelling,
    same_bytes,
)
from gndl.files import GndlError, counted, read_table, write_csv
from gndl.frames import Unreadable, count_frames
from gndl.sequences import Database, FrameRef, ReadOptions, Sequence

COLUMNS = ("subject", "sequence", "expression", "neutral", "examined")
FRAMES_COLUMNS = ("sequence", "neutral", "examined")


def read(root: Path, options: ReadOptions) -> Database:
    """Read a manifest, or the ``manifest.csv`` of a folder; every row that cannot be used is an error finding."""
    findings = Findings()
    file = root / "manifest.csv" if root.is_dir() else root
    table = pd.DataFrame(columns=COLUMNS)
    if not file.is_file():
        findings.error(root, explain(root, "manifest"))
    else:
        try:
            table = read_table(file, COLUMNS)
            if table.empty:
                findings.error(file, "no row below the header; one row per pair is expected")
        except GndlError as error:
            findings.error(file, str(error).removeprefix(f"{file}: "))
    names = ((line, name) for line, row in table.iterrows() for name in (row["neutral"], row["examined"]))
    if windows := [(line, name) for line, name in names if "\\" in name]:
        line, name = windows[0]
        cells = f"{name} is a path of Windows, the first of {counted(len(windows), 'cell')}"
        findings.error(file, f"row {line}: {cells}; write / for every \\ in neutral and examined")
        table = table.iloc[:0]
    for column in ("expression", "subject"):
        require_one_spelling(file, f"{column}s", table[column], findings)
    table = table.loc[[line for line, row in table.iterrows() if _is_usable(file, line, row, findings)]]
    sequences = [_sequence(file, str(name), rows, findings) for name, rows in table.groupby("sequence", sort=False)]
    expressions = tuple(sorted({sequence.expression for sequence in sequences}))
    times = Counter(frame.path for sequence in sequences for frame in sequence.examined)
    for path, number in times.items():
        if number > 1:
            findings.problem(path, f"examined in {number} sequences, so it counts {number} times; keep one row")
    pictures: dict[Path, set[str]] = defaultdict(set)
    for sequence in sequences:
        for frame in sequence.taken:
            pictures[frame.path.resolve()].add(sequence.subject)
    _require_one_subject_per_picture(file, pictures, findings)
    return Database(
        name="manifest",
        root=root,
        source="rendered" if rendered_among((file, *pictures)) else "own",
        expressions=expressions,
        sequences=tuple(sequences),
        findings=tuple(findings),
        folders={"manifest": file} if file.is_file() else {},
        found={"sequences": len(sequences), "subjects": len({sequence.subject for sequence in sequences})},
    )


def _is_usable(file: Path, line: object, row: pd.Series, findings: Findings) -> bool:
    if empty := [column for column in COLUMNS if not row[column]]:
        findings.error(file, f"row {line}: nothing in {', '.join(empty)}; fill it, or remove the row")
        return False
    if row["neutral"] == row["examined"]:
        findings.problem(file, f"row {line}: the neutral and the examined picture are the same file; name two")
    before = len(findings)
    for name in (row["neutral"], row["examined"]):
        real = Path(os.path.realpath(file.parent / name))
        if Path(name).is_absolute() or not real.is_relative_to(os.path.realpath(file.parent)):
            leads = f"row {line}: {name} is absolute or leads out of the manifest's folder (to {real})"
            findings.error(file, f"{leads}; put the pictures below the manifest's folder, and name them relative to it")
        elif not (file.parent / name).is_file():
            findings.error(file, f"row {line}: no such picture: {file.parent / name}")
    return len(findings) == before


def _sequence(file: Path, name: str, rows: pd.DataFrame, findings: Findings) -> Sequence:
    first = rows.iloc[0]
    for line, row in rows.iterrows():
        for column in ("subject", "expression", "neutral"):
            if row[column] != first[column]:
                other = f"but {first[column]} in row {rows.index[0]}; correct one, or name another sequence"
                findings.error(file, f"row {line}: sequence {name} has {column} {row[column]}, {other}")
    neutral = FrameRef(file.parent / first["neutral"])
    examined = tuple(dict.fromkeys(FrameRef(file.parent / picture) for picture in rows["examined"]))
    if len(examined) < len(rows):
        findings.problem(file, f"sequence {name}: the same examined picture in several rows; it counts once")
    return Sequence(
        subject=first["subject"],
        sequence=name,
        expression=first["expression"],
        neutral=neutral,
        examined=examined,
        frames=tuple(dict.fromkeys((neutral, *examined))),
        frames_chosen_by="manifest",
    )


def _require_one_subject_per_picture(file: Path, subjects: dict[Path, set[str]], findings: Findings) -> None:
    """A face under two subjects could be in training and in test at once."""
    try:
        copies = same_bytes(subjects)
    except OSError as error:
        findings.error(Path(error.filename), f"this picture cannot be read ({error.strerror}); make it readable")
        return
    for same in copies:
        owners = sorted({subject for path in same for subject in subjects[path]})
        if len(owners) > 1:
            what = "one picture" if len(same) == 1 else "pictures of the same bytes"
            listed = ", ".join(relative(path, file.parent.resolve()) for path in same)
            both = f"{what} under several subjects ({', '.join(owners)}): {listed}"
            findings.error(file, f"{both}; give each face to one subject")


# frames.csv


def write_frames_csv(database: Database, path: Path) -> None:
    """Write the frames taken from every sequence of a database, one row each."""
    rows = [(sequence.sequence, *_cells(sequence)) for sequence in database.sequences]
    write_csv(pd.DataFrame(rows, columns=FRAMES_COLUMNS), path)


def _cells(sequence: Sequence) -> tuple[str, str]:
    neutral, *examined = (_name_in_csv(sequence, frame) for frame in sequence.taken)
    return neutral, ";".join(examined)


def _name_in_csv(sequence: Sequence, frame: FrameRef) -> str:
    if frame.is_video:
        return str(frame.index + 1)
    folder = os.path.commonpath([other.path.absolute().parent for other in sequence.frames or sequence.taken])
    return frame.path.absolute().relative_to(folder).as_posix()


def choose_frames(database: Database, path: Path) -> Database:
    """Take the frames that a ``frames.csv`` names, in order of time; GndlError where a row is wrong.

    Sequences whose row changes nothing keep their own ``frames_chosen_by``; the others get ``"frames.csv"``.
    """
    table = read_table(path, FRAMES_COLUMNS)
    sequences = {sequence.sequence: sequence for sequence in database.sequences}
    findings = Findings(database.findings)
    for line, row in table.iterrows():
        name, where = row["sequence"], f"{path}, row {line}"
        first = table.index[table["sequence"] == name][0]
        if first != line:
            raise GndlError(f"{where}: sequence {name} already has a row (row {first}); one row per sequence")
        if name not in sequences:
            raise GndlError(f"{where}: no sequence {name!r} is taken from {database.root}; see gndl check")
        examined = [cell.strip() for cell in row["examined"].split(";") if cell.strip()]
        if not examined:
            del sequences[name]
            findings.skip(path, f"row {line}: sequence {name} has no examined frame here; left out")
        elif (row["neutral"], row["examined"]) != _cells(sequences[name]):
            sequences[name] = _chosen(sequences[name], row["neutral"], examined, where)
    findings.note(path, f"frames of {len(table)} of {len(database.sequences)} sequences are named here and taken")
    return replace(database, sequences=tuple(sequences.values()), findings=tuple(findings))


def _chosen(sequence: Sequence, neutral: str, examined: list[str], where: str) -> Sequence:
    if len({neutral, *examined}) <= len(examined):
        raise GndlError(f"{where}: a frame is named twice (the neutral frame is not among the examined ones)")
    if sequence.neutral.is_video:
        clip = sequence.neutral.path
        try:
            frames = [FrameRef(clip, index) for index in range(count_frames(clip))]
        except Unreadable as error:
            raise GndlError(f"{clip}: cannot be decoded ({error})") from error
    else:
        frames = list(sequence.frames)
    place = {_name_in_csv(sequence, frame): index for index, frame in enumerate(frames)}
    if unknown := [name for name in (neutral, *examined) if name not in place]:
        known = f"its {len(frames)} frames are {next(iter(place))} to {list(place)[-1]}"
        raise GndlError(f"{where}: sequence {sequence.sequence} has no frame {unknown[0]!r}; {known}")
    return replace(
        sequence,
        neutral=frames[place[neutral]],
        examined=tuple(frames[index] for index in sorted(place[name] for name in examined)),
        frames_chosen_by="frames.csv",
    )
