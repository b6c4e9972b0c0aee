"""Where the databases lie that a study asks for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from gndl.databases.folders import archives_in, contents, how_to_unpack
from gndl.databases.found_instead import EXPECTED
from gndl.errors import GndlError
from gndl.paper import DATABASE_TITLES

SPELLINGS = {
    "ckplus": ("ckplus", "ck+", "ck-plus", "cohn-kanade+", "cohn-kanade-plus", "extended-cohn-kanade"),
    "oulu_casia": ("oulu_casia", "oulu", "oulu-casia", "oulu_casia_nir_vis", "oulu-casia-nir&vis"),
    "mmi": ("mmi", "mmi-facial-expression-database"),
}
"""Names under which each database's folder is found; case, blanks, ``-``, ``_`` and ``&`` make no difference."""


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9+]", "", name.lower())


def _named(name: str) -> str | None:
    """The database whose folder is called like this."""
    for database, spellings in SPELLINGS.items():
        if _plain(name) in map(_plain, spellings):
            return database
    return None


def locate_databases(names: Iterable[str], data: Path | None, overrides: dict[str, Path]) -> dict[str, Path]:
    """Find the folder of each database that is asked for.

    Parameters
    ----------
    names : iterable of str
        Of ``ckplus``, ``oulu_casia``, ``mmi``, ``manifest``.
    data : Path or None
        Folder that holds one folder per database (`SPELLINGS`); for a manifest the CSV file or its folder.
    overrides : dict of str to Path
        Folders of single databases, wherever they lie.

    Raises
    ------
    GndlError
        Where a database is missing; the message has the ``DATABASES="…"`` that would work with what is there. Where a
        folder holds nothing but archives; the message has the commands that unpack them.
    """
    names = list(names)
    for name in (*names, *overrides):
        if name not in DATABASE_TITLES:
            raise GndlError(f"no database is called {name!r}; there are {', '.join(DATABASE_TITLES)}")
    if data is not None and not data.exists():
        raise GndlError(f"{data}: no such folder (DATA, where the databases lie)")
    found = {name: place for name in names if (place := _place(name, data, overrides)) is not None}
    missing = [name for name in names if name not in found]
    if missing:
        raise GndlError(_missing(missing, found, data))
    for name, place in found.items():
        _refuse_archives(name, place)
    return found


def _place(name: str, data: Path | None, overrides: dict[str, Path]) -> Path | None:
    if name in overrides:
        if not overrides[name].exists():
            raise GndlError(f"{overrides[name]}: no such folder ({name.upper()}, where {DATABASE_TITLES[name]} lies)")
        return overrides[name]
    if data is None:
        return None
    if name == "manifest":
        file = data if data.is_file() else data / "manifest.csv"
        return file if file.is_file() else None
    if not data.is_dir():
        return None
    if (data / name).is_dir():
        return data / name
    return next((folder for folder in contents(data)[0] if _named(folder.name) == name), None)


def _missing(missing: list[str], found: dict[str, Path], data: Path | None) -> str:
    lines = []
    for name in missing:
        if data is None:
            own = f"{name.upper()}=/path or " if name in SPELLINGS else ""
            lines.append(f"{DATABASE_TITLES[name]}: not given; set {own}DATA=/path")
        elif name == "manifest":
            lines.append(f"{data}: no manifest.csv here; give its path as DATA")
        else:
            lines.append(f"{data / name}: no such folder; {DATABASE_TITLES[name]} is expected here ({EXPECTED[name]})")
            if _named(data.name) == name:
                lines.append(f"    {data} itself is called like it: use {name.upper()}={data}")
    if data is not None and data.is_dir() and (packed := archives_in(data)):
        lines.append(f"not yet unpacked:\n{how_to_unpack(packed)}")
    if found:
        lines.append(f'with what is there, use DATABASES="{" ".join(found)}"')
    return "\n".join(lines)


def _refuse_archives(name: str, place: Path) -> None:
    if place.is_dir():
        folders, files = contents(place)
        if folders or not files or len(archives_in(place)) < len(files):
            return
        packed = files
    else:
        packed = archives_in(place)
    if packed:
        raise GndlError(
            f"{place}: {DATABASE_TITLES[name]} is not yet unpacked; unpack its archives and start again:\n"
            f"{how_to_unpack(packed)}"
        )
