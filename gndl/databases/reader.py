"""One way in for all databases: read a copy, take the frames that a ``frames.csv`` names, check it as a whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from gndl.databases import ckplus, manifest, mmi, oulu_casia
from gndl.databases.ckplus_landmarks import with_landmarks_for_all_or_none
from gndl.databases.folders import how_to_unpack, leads_out, not_unpacked
from gndl.databases.found_instead import explain
from gndl.databases.frames_csv import choose_frames
from gndl.databases.reading import THE_PAPERS, Findings, ReadOptions, checked
from gndl.errors import GndlError
from gndl.sequences import Database

READERS: dict[str, Callable[[Path, ReadOptions], Database]] = {
    "ckplus": ckplus.read,
    "oulu_casia": oulu_casia.read,
    "mmi": mmi.read,
    "manifest": manifest.read,
}


def inspect_database(
    name: str, root: Path, *, frames_csv: Path | None = None, options: ReadOptions = THE_PAPERS
) -> Database:
    """Read a database as `read_database` does, but keep errors as findings, so that all of them can be seen at once.

    Raises
    ------
    GndlError
        Only where no database has this name, ``root`` does not exist, is a file or cannot be listed, or ``frames_csv``
        is wrong.
    """
    if name not in READERS:
        raise GndlError(f"no database is called {name!r}; there are {', '.join(READERS)}")
    if not root.exists():
        raise GndlError(f"{root}: no such file or folder")
    if root.is_file() and name != "manifest":
        raise GndlError(f"{root}: {explain(root, name)}")
    database = READERS[name](root, options)
    if name != "manifest" and database.folders:
        database = _with_links(_with_archives(database))
    if frames_csv is not None:
        database = choose_frames(database, frames_csv)
    if name == "ckplus":
        database = with_landmarks_for_all_or_none(database)
    return checked(database)


def _with_archives(database: Database) -> Database:
    """Name the archives beside unpacked data that may hold the rest of it."""
    findings = Findings(list(database.findings))
    for archive in not_unpacked(database.root):
        findings.note(
            archive, f"nothing of this archive was found beside it; to unpack it:\n{how_to_unpack([archive])}"
        )
    return replace(database, findings=tuple(findings.items))


def _with_links(database: Database) -> Database:
    """Say so where frames that are taken lie outside the copy, behind links: they are followed."""
    taken = {frame.path for s in database.sequences for frame in (s.neutral, *s.examined)}
    outside = {path: real for path in sorted(taken) if (real := leads_out(path, database.root)) is not None}
    if not outside:
        return database
    findings = Findings(list(database.findings))
    first, real = next(iter(outside.items()))
    findings.note(
        first, f"a link leads out of the copy, to {real}; it is followed ({len(outside)} files taken lie outside)"
    )
    return replace(database, findings=tuple(findings.items))


def read_database(
    name: str, root: Path, *, frames_csv: Path | None = None, options: ReadOptions = THE_PAPERS
) -> Database:
    """Read a database in its official layout.

    Parameters
    ----------
    name : {"ckplus", "oulu_casia", "mmi", "manifest"}
    root : Path
        Folder into which it was unpacked; for a manifest the CSV file or its folder.
    frames_csv : Path, optional
        Overrides the frames taken (`gndl.databases.frames_csv`).
    options : ReadOptions
        Which part of it is taken.

    Returns
    -------
    Database
        Sequences sorted by name, and a finding for everything that was left out or is wrong.

    Raises
    ------
    GndlError
        Where the study could not run, with every reason.
    """
    database = inspect_database(name, root, frames_csv=frames_csv, options=options)
    errors = [finding for finding in database.findings if finding.kind == "error"]
    if errors:
        lines = [f"{finding.path}: {finding.message}" for finding in errors[:10]]
        if len(errors) > 10:
            lines.append(f"and {len(errors) - 10} more; list them with gndl check {root} --database {name}")
        raise GndlError("\n".join(lines))
    return database
