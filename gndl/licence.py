"""Whose faces may be printed: galleries of a licensed copy draw from a list of publishable subjects only.

CK+'s agreement names eleven subjects. For Oulu-CASIA and MMI the licensee enters those that the agreement allows, from
a CSV file; without it there are none. Your own faces need the statement that these people have agreed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gndl.files import GndlError, read_table, write_text
from gndl.paper import DATABASE_TITLES
from gndl.profiles import read_study_json

LICENSED_FACES = "LICENSED-FACES.txt"
"""File at the root of a study, a set of crops or an export that holds faces of a licensed copy."""

CKPLUS_SUBJECTS = ("S052", "S055", "S074", "S106", "S111", "S113", "S121", "S124", "S125", "S130", "S132")
"""The subjects who may be printed by CK+'s agreement, which writes them S52, S55 and so on."""

KEY = "publishable"
"""Entry of study.json: database to the subjects that a licensee has entered; for a manifest ``["*"]``, everybody."""


@dataclass(frozen=True)
class Publishable:
    """The subjects of one database whose faces may be printed."""

    database: str
    subjects: frozenset[str] | None
    """None where everybody may be shown."""
    reason: str = ""
    """Why the others are left out, as the end of a sentence."""
    credit: str = ""
    """The line that has to stand next to a picture, "" for none."""

    def may_show(self, subject: str) -> bool:
        """Whether a subject's face may be printed."""
        return self.subjects is None or subject in self.subjects

    def note(self, subjects: Iterable[str], of: str = "subjects") -> str:
        """Say, for a caption, how many of all ``subjects`` are left out and why, with the credit; "" for nobody."""
        everybody = set(subjects)
        out = {subject for subject in everybody if not self.may_show(subject)}
        if self.subjects is None:
            return ""
        credit = f" {self.credit}." if self.credit and out != everybody else ""
        if not out:
            return credit.strip().rstrip(".")
        return f"{len(out)} of {len(everybody)} {of} left out: {self.reason}.{credit}".rstrip(".")


def publishable(out: Path, database: str, source: str) -> Publishable:
    """Whose faces of one database the study in ``out`` may print; ``source`` is rendered, licensed or own."""
    if source == "rendered":
        return Publishable(database, None)
    path = out / "study.json"
    entered = read_study_json(out).get(KEY, {}).get(database, []) if path.exists() else []
    if source == "own":
        if entered == ["*"]:
            return Publishable(database, None)
        return Publishable(database, frozenset(), "no consent of these people to be shown was stated (--consent)")
    title = DATABASE_TITLES.get(database, database)
    if database == "ckplus":
        reason = f"{title}'s agreement names {len(CKPLUS_SUBJECTS)} subjects who may be printed"
        return Publishable(database, frozenset(CKPLUS_SUBJECTS), reason, "©Jeffrey Cohn")
    reason = f"not among the subjects (--publishable) whom the agreement for {title} allows to be printed"
    return Publishable(database, frozenset(entered), reason)


def read_publishable(path: Path) -> dict[str, list[str]]:
    """Read the subjects that a licensee may print, by database, from a CSV file with columns ``database,subject``."""
    subjects: dict[str, set[str]] = {}
    for line, database, subject in read_table(path, ("database", "subject")).itertuples():
        if database == "ckplus":
            raise GndlError(
                f"{path}, row {line}: CK+'s subjects are named by its agreement ({', '.join(CKPLUS_SUBJECTS)}); "
                "remove the row."
            )
        if database not in ("oulu_casia", "mmi"):
            raise GndlError(f"{path}, row {line}: {database!r} is not one of oulu_casia, mmi.")
        if not subject or subject == "*":
            raise GndlError(f"{path}, row {line}: name one subject, as the database does (such as P001).")
        subjects.setdefault(database, set()).add(subject)
    return {name: sorted(listed) for name, listed in subjects.items()}


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
    """Write ``LICENSED-FACES.txt`` at the root of what holds faces of a licensed copy or comes from them."""
    path = folder / LICENSED_FACES
    if not path.exists():
        write_text(
            path,
            f"This folder holds {holds} a licensed copy of {title}.\n"
            "You may not pass them on: keep the folder to those whom your agreement names, and out of\n"
            "every repository, cloud folder and issue. `gndl share STUDY` makes a bundle without them.\n",
        )
