"""Walk through folders that people have unpacked, without ever entering what their file systems leave behind."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

from gndl.errors import GndlError

PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".pgm", ".ppm", ".gif"})
CLIP_SUFFIXES = frozenset({".avi", ".mpg", ".mpeg", ".mp4", ".m4v", ".mov", ".mkv", ".wmv"})
_ARCHIVES = {
    ".zip": "unzip -d {folder} {archive}",
    ".tar": "tar -xf {archive} -C {folder}",
    ".tar.gz": "tar -xf {archive} -C {folder}",
    ".tgz": "tar -xf {archive} -C {folder}",
    ".tar.bz2": "tar -xf {archive} -C {folder}",
    ".tar.xz": "tar -xf {archive} -C {folder}",
    ".7z": "7z x -o{folder} {archive}",
    ".rar": "unrar x {archive} {folder}/",
}
_CLUTTER = frozenset({"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin"})
WRAPPERS = 5
"""Folders that unpacking may leave between the root and the database's own ones."""


def is_clutter(name: str) -> bool:
    """Whether a file system or an archiver left this name: ``__MACOSX``, ``._name``, ``.DS_Store``, ``Thumbs.db``."""
    return name.startswith(".") or name.lower() in _CLUTTER


def contents(folder: Path) -> tuple[list[Path], list[Path]]:
    """Subfolders and files of a folder, each sorted by name, without clutter.

    Raises
    ------
    GndlError
        Where the folder cannot be listed.
    """
    folders: list[Path] = []
    files: list[Path] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_clutter(entry.name):
                    continue
                if _leads_to_folder(entry):
                    folders.append(folder / entry.name)
                elif entry.is_symlink() or entry.is_file():  # no pipe, whose reading would never end
                    files.append(folder / entry.name)
    except OSError as error:
        raise GndlError(f"{folder}: this folder cannot be listed ({error.strerror}); make it readable") from error
    return sorted(folders), sorted(files)


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder; a link that leads to itself is none, and is named where it is read."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def leads_out(path: Path, root: Path) -> Path | None:
    """Where a path below ``root`` really lies if that is outside of ``root``, by links or ``..``; None if inside."""
    real = Path(os.path.realpath(path))  # Path.resolve raises where a link leads to itself
    return None if real.is_relative_to(os.path.realpath(root)) else real


def walk(root: Path, depth: int = WRAPPERS) -> Iterator[tuple[Path, list[Path], list[Path]]]:
    """Yield every folder from ``root`` down to ``depth`` levels below it, with its subfolders and files.

    The caller may remove entries from the list of subfolders to keep the walk out of them. Folders come in the
    sorted order of their paths. A folder that a symbolic link leads back to is entered once.
    """
    seen: set[Path] = set()

    def visit(folder: Path, level: int) -> Iterator[tuple[Path, list[Path], list[Path]]]:
        real = folder.resolve()
        if real in seen:
            return
        seen.add(real)
        folders, files = contents(folder)
        yield folder, folders, files
        if level < depth:
            for subfolder in folders:
                yield from visit(subfolder, level + 1)

    yield from visit(root, 0)


def relative(path: Path, root: Path) -> str:
    """``path`` below ``root`` as text, or ``path`` itself; bytes that are no UTF-8 are made printable."""
    below = path.relative_to(root) if path != root and path.is_relative_to(root) else path
    return os.fsencode(below.as_posix()).decode("utf-8", "backslashreplace")


def is_archive(path: Path) -> bool:
    """Whether the name is that of a packed archive."""
    return path.name.lower().endswith(tuple(_ARCHIVES))


def archives_in(root: Path) -> list[Path]:
    """Archives that lie in a folder or in one of its subfolders, not yet unpacked or left after unpacking."""
    if not root.is_dir():
        return [root] if is_archive(root) else []
    return [file for _, _, files in walk(root, 1) for file in files if is_archive(file)]


def not_unpacked(root: Path) -> list[Path]:
    """Those of `archives_in` of whose content nothing is found where it would have been unpacked.

    That is a folder of the archive's name beside it or, for a zip, its first file, beside it or below ``root``.
    """
    packed = []
    for archive in archives_in(root):
        folder, first = _folder_for(archive), _first_file(archive)
        in_place = first is not None and any((place / first).is_file() for place in (archive.parent, root))
        if not in_place and not (folder.is_dir() and any(contents(folder))):
            packed.append(archive)
    return packed


def _first_file(archive: Path) -> str | None:
    """Name of the first file in a zip; None where it has none, cannot be read, or is another kind of archive."""
    if archive.suffix.lower() != ".zip":
        return None
    try:
        with zipfile.ZipFile(archive) as packed:
            names = (name for name in packed.namelist() if not name.endswith("/"))
            return next((name for name in names if not any(map(is_clutter, name.split("/")))), None)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return None


def _folder_for(archive: Path) -> Path:
    """The folder beside an archive that bears its name."""
    return archive.with_name(archive.name[: -len(_suffix(archive))])


def _suffix(archive: Path) -> str:
    return max((end for end in _ARCHIVES if archive.name.lower().endswith(end)), key=len)


def how_to_unpack(archives: list[Path]) -> str:
    """The commands that unpack these archives, each into a folder of its own name beside it, one a line."""
    lines = []
    for archive in archives:
        suffix, folder = _suffix(archive), _folder_for(archive)
        command = _ARCHIVES[suffix].format(folder=f'"{folder}"', archive=f'"{archive}"')
        lines.append(command if suffix == ".zip" else f'mkdir -p "{folder}" && {command}')
    return "\n".join(f"    {line}" for line in lines)
