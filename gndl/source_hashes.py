"""Content hashes of source files, remembered so that an unchanged file is not read again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from gndl.errors import GndlError
from gndl.files import hash_file, write_json
from gndl.progress import progress


def hash_sources(paths: Iterable[Path], memory: Path) -> dict[Path, str]:
    """Hash files by content (SHA-256), reading again only those that changed since the last time.

    A file counts as unchanged while its size, its time of modification and its time of change of status, both in
    nanoseconds, are the same: a copy that keeps the old date is noticed by the third.

    Parameters
    ----------
    paths : iterable of Path
    memory : Path
        JSON file of what was hashed before; written anew where something changed.

    Raises
    ------
    GndlError
        Where a file is missing or cannot be read.
    """
    known = _read_memory(memory)
    hashes: dict[Path, str] = {}
    changed: list[tuple[Path, str, list[int]]] = []
    for path in dict.fromkeys(paths):
        name = str(path.absolute())
        try:
            status = path.stat()
        except OSError as error:
            raise GndlError(f"{path}: cannot be read ({error.strerror})") from error
        stamp = [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
        if name in known and known[name][:3] == stamp:
            hashes[path] = str(known[name][3])
        else:
            changed.append((path, name, stamp))
    for path, name, stamp in progress(changed, "hashing", unit="file"):
        try:
            hashes[path] = hash_file(path)
        except OSError as error:
            raise GndlError(f"{path}: cannot be read ({error.strerror})") from error
        known[name] = [*stamp, hashes[path]]
    if changed:
        write_json(memory, known)
    return hashes


def _read_memory(memory: Path) -> dict[str, list[int | str]]:
    """What was hashed before; nothing where the file is absent or damaged, for then everything is hashed again."""
    try:
        known = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
