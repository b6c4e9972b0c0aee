"""The audit of a copy: what was found beside what the paper counts, and every problem by file name."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from gndl.databases.folders import relative
from gndl.databases.near_duplicates import check_near_duplicates
from gndl.databases.pictures import check_pictures
from gndl.databases.reader import inspect_database
from gndl.databases.reading import THE_PAPERS, Findings, ReadOptions, per_class
from gndl.errors import GndlError
from gndl.paper import COUNTS, DATABASE_TITLES
from gndl.sequences import Database, Finding

_KINDS = {
    "error": "Errors: the study cannot run",
    "problem": "Problems: something is wrong, but the study can run",
    "skip": "Left out",
    "note": "Notes",
}
_COUNTED = {
    "sequences": "sequences in all",
    "subjects": "subjects in all",
    "labelled": "sequences taken",
    "labelled_subjects": "subjects taken",
    "pairs": "pairs",
}


@dataclass(frozen=True)
class Count:
    """One line of the comparison: what is counted, how many were found, how many the paper has (None: not stated)."""

    what: str
    found: int
    paper: int | None


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Parameters
    ----------
    name : str
        Database that was asked for.
    root : Path
        Folder or file that was audited.
    database : Database or None
        As far as it could be read; None where nothing could.
    findings : tuple of Finding
        Everything that is wrong, left out or worth knowing.
    counts : tuple of Count
        Sequences, subjects, pairs, and sequences of each class, beside the paper's.
    """

    name: str
    root: Path
    database: Database | None = None
    findings: tuple[Finding, ...] = ()
    counts: tuple[Count, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether the study could run on this copy."""
        return not any(finding.kind == "error" for finding in self.findings)

    def report(self) -> str:
        """The whole audit as plain text: folders, counts, then every finding grouped by kind and message."""
        parts = [self._heading(), self._folders(), self._counts(), *map(self._findings, _KINDS), self._verdict()]
        text = "\n\n".join(part for part in parts if part) + "\n"
        # Names on disk need not be UTF-8, and must not keep the report from being printed.
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")

    def _heading(self) -> str:
        title = self.database.title if self.database else DATABASE_TITLES.get(self.name, self.name)
        source = f", {self.database.source}" if self.database else ""
        return f"{title} at {relative(self.root, self.root)}{source}"

    def _folders(self) -> str:
        if self.database is None or not self.database.folders:
            return ""
        lines = [f"  {role}: {relative(folder, self.root)}" for role, folder in self.database.folders.items()]
        return "\n".join(["Folders", *lines])

    def _counts(self) -> str:
        if not self.counts:
            return ""
        lines = [f"  {'':<24}{'found':>8}{'paper':>8}"]
        for count in self.counts:
            paper = "–" if count.paper is None else str(count.paper)
            differs = "" if count.paper in (None, count.found) else "   differs"
            lines.append(f"  {count.what:<24}{count.found:>8}{paper:>8}{differs}")
        return "\n".join(["Counts", *lines])

    def _findings(self, kind: str) -> str:
        grouped: dict[str, list[Path]] = defaultdict(list)
        for finding in self.findings:
            if finding.kind == kind:
                grouped[finding.message].append(finding.path)
        lines = [f"{_KINDS[kind]} ({sum(map(len, grouped.values()))})"] if grouped else []
        for message, paths in grouped.items():
            names = [relative(path, self.root) for path in paths]
            if len(names) == 1:
                lines.append(f"  {names[0]}: {message}")
            else:
                lines.append(f"  {message} ({len(names)}):")
                lines.append(
                    textwrap.fill(
                        ", ".join(names),
                        110,
                        initial_indent="    ",
                        subsequent_indent="    ",
                        break_long_words=False,
                        break_on_hyphens=False,
                    )
                )
        return "\n".join(lines)

    def _verdict(self) -> str:
        return "The study can run on this copy." if self.ok else "The study cannot run on this copy."


def audit(root: Path, name: str, options: ReadOptions = THE_PAPERS, *, frames_csv: Path | None = None) -> Audit:
    """Audit a copy of a database; whatever is wrong with the copy is a finding, nothing raises.

    Reads every picture and decodes every clip that the study would take frames from.

    Parameters
    ----------
    root : Path
        Folder into which the database was unpacked, or a manifest.
    name : {"ckplus", "oulu_casia", "mmi", "manifest"}
    options : ReadOptions
        Which part of it is taken.
    frames_csv : Path, optional
        Overrides the frames taken.
    """
    try:
        database = inspect_database(name, root, frames_csv=frames_csv, options=options)
    except (GndlError, OSError) as error:
        return Audit(name, root, findings=(Finding("error", root, str(error)),))
    findings = Findings(list(database.findings))
    check_pictures(database, findings)
    check_near_duplicates(database, findings)
    return Audit(name, root, database, tuple(findings.items), _compare(database))


def _compare(database: Database) -> tuple[Count, ...]:
    paper = COUNTS.get(database.name)
    counts = [
        Count(text, database.found[key], getattr(paper, key) if paper else None)
        for key, text in _COUNTED.items()
        if key in database.found
    ]
    classes = paper.per_class if paper and paper.per_class else {}
    for expression, found in per_class(database.sequences, database.expressions).items():
        counts.append(Count(expression, found, classes.get(expression)))
    return tuple(counts)
