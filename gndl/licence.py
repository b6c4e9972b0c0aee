"""Whose faces may be printed: galleries of a licensed copy draw from a list of publishable subjects and no others.

CK+'s agreement names eleven subjects. For Oulu-CASIA and MMI the licensee enters those that his agreement allows, from
a CSV file (`read_publishable`); without it there are none. Faces of one's own need a word that their people have
agreed. Rendered faces are nobody's. What a licensee has entered is kept in ``study.json``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gndl.csv_rows import read_table
from gndl.errors import GndlError
from gndl.files import write_text
from gndl.paper import DATABASE_TITLES

LICENSED_FACES = "LICENSED-FACES.txt"
"""Name of the file at the root of a study, a set of crops or an export that holds faces of a licensed copy."""

CKPLUS_SUBJECTS = ("S052", "S055", "S074", "S106", "S111", "S113", "S121", "S124", "S125", "S130", "S132")
"""The subjects who may be printed by CK+'s agreement, which writes them S52, S55 and so on."""

CREDITS = {"ckplus": "©Jeffrey Cohn"}
"""The line that an agreement asks for beside a picture."""

ENTERED = ("oulu_casia", "mmi")
"""Databases whose publishable subjects the licensee enters."""

KEY = "publishable"
"""Entry of study.json: database to the subjects entered; for a manifest ``["*"]``, everybody."""


@dataclass(frozen=True)
class Publishable:
    """The subjects of one database whose faces may be printed.

    Parameters
    ----------
    database : str
    subjects : frozenset of str or None
        None where everybody may be shown.
    reason : str
        Why the others are left out, as the end of a sentence; "" where nobody is.
    credit : str
        The line that has to stand beside a picture, "" for none.
    """

    database: str
    subjects: frozenset[str] | None
    reason: str = ""
    credit: str = ""

    def may_show(self, subject: str) -> bool:
        """Whether a subject's face may be printed."""
        return self.subjects is None or subject in self.subjects

    def note(self, subjects: Iterable[str], of: str = "subjects") -> str:
        """Say, for a caption, how many of ``subjects`` are left out and why, with the credit; "" where nobody is.

        Parameters
        ----------
        subjects : iterable of str
            All who would be shown, were there no agreement.
        of : str
            What they are subjects of, such as ``"subjects with such a sample"``.
        """
        everybody = set(subjects)
        out = {subject for subject in everybody if not self.may_show(subject)}
        if self.subjects is None:
            return ""
        credit = f" {self.credit}." if self.credit and out != everybody else ""
        if not out:
            return credit.strip().rstrip(".")
        return f"{len(out)} of {len(everybody)} {of} left out: {self.reason}.{credit}".rstrip(".")


def publishable(out: Path, database: str, source: str) -> Publishable:
    """Whose faces of one database a study may print.

    Parameters
    ----------
    out : Path
        The study's directory, whose ``study.json`` holds what was entered; there may be none.
    database : str
    source : {"rendered", "licensed", "own"}
    """
    if source == "rendered":
        return Publishable(database, None)
    entered = _entered(out).get(database, [])
    if source == "own":
        if entered == ["*"]:
            return Publishable(database, None)
        return Publishable(database, frozenset(), "nobody has said (--consent) that these people agreed to be shown")
    title = DATABASE_TITLES.get(database, database)
    if database == "ckplus":
        reason = f"{title}'s agreement names {len(CKPLUS_SUBJECTS)} subjects who may be printed"
        return Publishable(database, frozenset(CKPLUS_SUBJECTS), reason, CREDITS[database])
    reason = f"not among the subjects entered (--publishable) as those whom the agreement for {title} lets be printed"
    return Publishable(database, frozenset(entered), reason)


def read_publishable(path: Path) -> dict[str, list[str]]:
    """Read the subjects that a licensee may print: a CSV file with the columns ``database,subject``.

    Returns
    -------
    dict of str to list of str
        Database to its subjects, sorted.

    Raises
    ------
    GndlError
        Naming the file and the row, where a database is none whose subjects are entered.
    """
    found: dict[str, set[str]] = {}
    for row in read_table(path, ("database", "subject")):
        if row["database"] == "ckplus":
            raise GndlError(
                f"{path}, row {row.line}: CK+'s subjects are named by its agreement "
                f"({', '.join(CKPLUS_SUBJECTS)}) and need no entry; remove the row."
            )
        if row["database"] not in ENTERED:
            raise GndlError(f"{path}, row {row.line}: {row['database']!r} is none of {', '.join(ENTERED)}.")
        if not row["subject"] or row["subject"] == "*":
            raise GndlError(f"{path}, row {row.line}: name one subject, as the database does (such as P001).")
        found.setdefault(row["database"], set()).add(row["subject"])
    return {name: sorted(subjects) for name, subjects in found.items()}


def enter(content: dict[str, Any], publishable_file: str, consent: bool) -> None:
    """Enter into the content of ``study.json`` what this call names; a file replaces what an earlier one entered."""
    entered: dict[str, list[str]] = dict(content.get(KEY, {}))
    if publishable_file:
        entered = {name: subjects for name, subjects in entered.items() if name == "manifest"}
        entered |= read_publishable(Path(publishable_file))
    if consent:
        entered["manifest"] = ["*"]
    if entered:
        content[KEY] = entered


def label_licensed(folder: Path, title: str, holds: str = "faces, or pictures made from faces, of") -> None:
    """Write ``LICENSED-FACES.txt`` at the root of what holds faces of a licensed copy or comes from them, once."""
    path = folder / LICENSED_FACES
    if not path.exists():
        write_text(
            path,
            f"This folder holds {holds} a licensed copy of {title}.\n"
            "They are not yours to pass on: keep the folder to those whom your agreement names, and out of\n"
            "every repository, cloud folder and issue. `gndl share STUDY` makes a bundle without them.\n",
        )


def _entered(out: Path) -> dict[str, list[str]]:
    try:
        content = json.loads((out / "study.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    entered = content.get(KEY, {}) if isinstance(content, dict) else {}
    return entered if isinstance(entered, dict) else {}
