"""Where things lie: the repository, rendered data and crops, and how relative paths are read."""

from __future__ import annotations

import os
from pathlib import Path

from gndl.errors import GndlError

NOTEBOOKS = Path(__file__).parent / "notebooks"
"""The notebooks of an installed package; in a repository they lie beside the package."""


def is_repository() -> bool:
    """Whether the package runs from its repository, and not from where it was installed to."""
    return (Path(__file__).resolve().parent.parent / "pyproject.toml").exists()


def repository_root() -> Path:
    """Folder that relative paths refer to: the repository where the package runs from one, else the working folder.

    Of an installed package, ``GNDL_HOME`` names another one: `gndl study` and `gndl lab` set it for the notebooks that
    they start. A notebook in a folder ``notebooks`` that `gndl lab` has made refers to the folder above.
    """
    if is_repository():
        return Path(__file__).resolve().parent.parent
    if os.environ.get("GNDL_HOME"):
        return Path(os.environ["GNDL_HOME"]).expanduser().resolve()
    here = Path.cwd()
    return here.parent if here.name == "notebooks" and (here / "0_tour.ipynb").exists() else here


def notebooks_folder() -> Path:
    """Folder of the notebooks as they are committed, or as they were installed."""
    return repository_root() / "notebooks" if is_repository() else NOTEBOOKS


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
    """Folder under which every set of crops has its own, named by its hash: ``GNDL_CROPS``, such as a node's own disk.

    Without that variable it is ``crops/`` in the data folder.
    """
    return resolve(os.environ.get("GNDL_CROPS") or data_folder() / "crops")


def study_of_run(run: Path) -> Path:
    """Directory of the study that a run's folder lies in: five folders above it, six for a run across databases.

    Raises
    ------
    GndlError
        Where there are not so many folders above it.
    """
    parents = run.resolve().parents
    across = len(parents) > 5 and parents[4].name == "across" and "-to-" in parents[3].name
    place = 5 if across else 4
    if len(parents) <= place or not parents[place].name:
        raise GndlError(f"{run}: does not lie in a study, runs/NAME/DATABASE/METHOD/lam-L/fold-K/seed-S")
    return parents[place]
