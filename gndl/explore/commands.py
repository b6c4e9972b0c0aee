"""Commands that a reader may copy to get what an explorer lacks."""

from __future__ import annotations

from pathlib import Path

from gndl.paths import shown_path


def command(words: str, *, profile: str, database: str, root: str, out: Path) -> str:
    """A command line for one database of a study.

    Parameters
    ----------
    words : str
        Its beginning, such as ``"gndl study"``.
    profile, database : str
    root : str
        Folder or manifest that the database is read from; ``""`` for the rendered stand-in.
    out : Path
        The study's directory.
    """
    option = "data" if database == "manifest" else database.replace("_", "-")
    where = f" --{option} {root}" if root else ""
    return f"{words} --profile {profile} --databases {database}{where} --out {shown_path(out)}"
