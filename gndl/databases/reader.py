"""The way into every database: find a copy, read it, take the frames of a ``frames.csv``, check it as a whole."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from gndl.databases import ckplus, manifest, mmi, oulu_casia
from gndl.databases.common import EXPECTED, Findings, archives_in, contents, explain, unpack
from gndl.files import GndlError, counted
from gndl.frames import largest_value, white_of
from gndl.paper import DATABASE_TITLES
from gndl.sequences import Database, Finding, ReadOptions

READERS: dict[str, Callable[[Path, ReadOptions], Database]] = {
    "ckplus": ckplus.read,
    "oulu_casia": oulu_casia.read,
    "mmi": mmi.read,
    "manifest": manifest.read,
}
SPELLINGS = {
    "ckplus": ("ckplus", "ck+", "cohnkanade+", "cohnkanadeplus", "extendedcohnkanade"),
    "oulu_casia": ("oulu", "oulucasia", "oulucasianirvis"),
    "mmi": ("mmi", "mmifacialexpressiondatabase"),
}
"""Names under which each database's folder is found; case, blanks, ``-``, ``_`` and ``&`` make no difference."""

_PAPER = ReadOptions()


def locate_databases(names: Iterable[str], data: Path | None, overrides: dict[str, Path]) -> dict[str, Path]:
    """Find the folder of each database: in ``overrides``, else by its name (`SPELLINGS`) in the folder ``data``.

    A manifest is ``data`` itself or ``manifest.csv`` in it. Raises GndlError where a database is missing, with the
    ``DATABASES="…"`` that would work with what is there.
    """
    names = list(names)
    for name, place in {"DATA": data, **overrides}.items():
        if place is not None and not place.exists():
            raise GndlError(f"{place}: no such folder ({name.upper()})")
    found = {name: place for name in names if (place := overrides.get(name) or _below(name, data)) is not None}
    if missing := [_missing(name, data) for name in names if name not in found]:
        lines = [*missing, *([f'with what was found, use DATABASES="{" ".join(found)}"'] if found else [])]
        raise GndlError("\n".join(lines))
    return found


def _below(name: str, data: Path | None) -> Path | None:
    if name == "manifest" and data is not None:
        file = data if data.is_file() else data / "manifest.csv"
        return file if file.is_file() else None
    named = [folder for folder in contents(data)[0] if _is_named(folder, name)] if data and data.is_dir() else []
    return min(named, key=lambda folder: folder.name != name, default=None)


def _is_named(folder: Path, name: str) -> bool:
    return re.sub(r"[^a-z0-9+]", "", folder.name.lower()) in SPELLINGS.get(name, ())


def _missing(name: str, data: Path | None) -> str:
    title = DATABASE_TITLES[name]
    if name == "manifest":
        return f"{data or title}: no manifest.csv here; set DATA to it or to its folder"
    if data is None:
        return f"{title}: not given; set {name.upper()}=/path or DATA=/path"
    itself = f"; {data} itself has its name: use {name.upper()}={data}" if _is_named(data, name) else ""
    packed = f"; {unpack(archives)}" if (archives := archives_in(data)) else ""
    return f"{data / name}: no such folder; {title} is expected here ({EXPECTED[name]}){itself}{packed}"


def read_database(name: str, root: Path, *, frames_csv: Path | None = None, options: ReadOptions = _PAPER) -> Database:
    """Read a database in its official layout: its sequences sorted by name, and findings for what is left out or wrong.

    Parameters
    ----------
    name : {"ckplus", "oulu_casia", "mmi", "manifest"}
    root : Path
        Folder into which it was unpacked; for a manifest the CSV file or its folder.
    frames_csv : Path, optional
        Overrides the frames taken (`gndl.databases.manifest`).
    options : ReadOptions
        Which part of it is taken.

    Raises
    ------
    GndlError
        Where the study cannot run, with every reason.
    """
    database = inspect_database(name, root, frames_csv=frames_csv, options=options)
    errors = [f"{finding.path}: {finding.message}" for finding in database.findings if finding.kind == "error"]
    if len(errors) > 10:
        errors[10:] = [f"and {len(errors) - 10} more; list them with gndl check {root} --database {name}"]
    if errors:
        raise GndlError("\n".join(errors))
    return database


def inspect_database(
    name: str, root: Path, *, frames_csv: Path | None = None, options: ReadOptions = _PAPER
) -> Database:
    """Read a database as `read_database` does, but keep errors as findings, so that all of them are seen at once.

    Raises GndlError only where no database has this name, ``root`` is missing or cannot be listed, or ``frames_csv`` is
    wrong.
    """
    if name not in READERS:
        raise GndlError(f"no database is called {name!r}; there are {', '.join(READERS)}")
    if not root.exists():
        raise GndlError(f"{root}: no such file or folder")
    if root.is_file() and name != "manifest":
        raise GndlError(f"{root}: {explain(root, name)}")
    database = READERS[name](root, options)
    if frames_csv is not None:
        database = manifest.choose_frames(database, frames_csv)
    if name == "ckplus":
        database = ckplus.with_landmarks_for_all_or_none(database)
    return _checked(_with_one_white(database))


def _with_one_white(database: Database) -> Database:
    """Scale all pictures of more than 8 bits alike, by the fewest bits that hold every value; a note says by which."""
    paths = {frame.path for sequence in database.sequences for frame in sequence.taken if not frame.is_video}
    values = [value for path in paths if (value := largest_value(path)) is not None]
    if not values:
        return database
    white = white_of(max(values))
    scale = f"their largest value is {max(values):g}, so white is {white} ({white.bit_length()} bits) in all of them"
    note = Finding("note", database.root, f"{counted(len(values), 'picture')} of more than 8 bits: {scale}")
    sequences = [sequence.with_frames(lambda frame: replace(frame, white=white)) for sequence in database.sequences]
    return replace(database, sequences=tuple(sequences), findings=(*database.findings, note))


def _checked(database: Database) -> Database:
    findings = Findings(database.findings)
    sequences = tuple(sorted(database.sequences, key=lambda sequence: sequence.sequence))
    subjects = {sequence.subject for sequence in sequences}
    classes = Counter(sequence.expression for sequence in sequences)
    root = database.root
    if not any(finding.kind == "error" for finding in findings):
        if not sequences:
            findings.error(root, "no sequence can be taken: every one was left out; correct what is listed")
        elif len(subjects) < 2:
            only = f"all sequences are of one subject ({min(subjects)}); at least two are needed"
            findings.error(root, f"{only}, since no subject may be in training and test at once: add another")
        elif len(classes) < 2:
            findings.error(root, "all sequences are of one class; at least two are needed: add another")
        elif missing := [expression for expression in database.expressions if expression not in classes]:
            findings.problem(root, f"no sequence of {', '.join(missing)}; add some, or it is never recognised")
    taken = {
        "labelled": len(sequences),
        "labelled_subjects": len(subjects),
        "pairs": sum(len(sequence.examined) for sequence in sequences),
    }
    return replace(database, sequences=sequences, findings=tuple(findings), found={**database.found, **taken})
