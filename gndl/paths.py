"""Where things lie: the repository, rendered data and crops, and how relative paths are read."""

from __future__ import annotations

import os
from pathlib import Path


def repository_root() -> Path:
    """Folder that relative paths refer to: the repository where the package runs from one, else the working folder."""
    root = Path(__file__).resolve().parent.parent
    return root if (root / "pyproject.toml").exists() else Path.cwd()


def resolve(path: str | Path) -> Path:
    """Read a path as every entry point does: ``~`` expanded, relative to the repository root."""
    return (repository_root() / Path(path).expanduser()).resolve()


def shown_path(path: Path) -> str:
    """The path as a reader would type it: relative to the repository where it lies inside, else whole."""
    root = repository_root()
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def data_folder() -> Path:
    """Folder of rendered databases, crops and weights: ``GNDL_DATA``, else ``data/`` in the repository."""
    return resolve(os.environ.get("GNDL_DATA") or "data")


def standin_folder(profile: str, database: str) -> Path:
    """Folder of one rendered database."""
    return data_folder() / "standins" / profile / database


def crops_folder() -> Path:
    """Folder under which every set of crops has its own, named by its hash."""
    return data_folder() / "crops"
