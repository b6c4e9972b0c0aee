"""Whether a study's tables and figures still follow from its files: nobody should wait for the same bytes again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from gndl import __version__
from gndl.files import hash_file, hash_json, whole, write_text
from gndl.request import read_study_json

NOTE = ".drawn"
RUN_FILES = ("run.json", "epochs.csv", "predictions.csv")


def is_drawn(out: Path) -> bool:
    """Whether nothing has changed, neither runs nor figures nor tables, since :func:`note_drawn`."""
    note = out / NOTE
    return note.exists() and note.read_text(encoding="utf-8").strip() == _state(out)


def note_drawn(out: Path) -> None:
    """Note that every table and figure has just been written from what the study holds."""
    write_text(out / NOTE, _state(out) + "\n")


def _state(out: Path) -> str:
    """Hash the content of everything that a report reads or writes, by paths within the study."""
    settings = json.dumps(read_study_json(out)["asked"]["settings"], sort_keys=True)
    files = {path.relative_to(out).as_posix(): hash_file(path) for path in _files(out)}
    return hash_json([__version__, settings, files])


def _files(out: Path) -> Iterator[Path]:
    for folder in (out, *(path for path in sorted(out.iterdir()) if path.is_dir())):
        for part in ("figures", "tables", "analysis"):
            yield from sorted(path for path in whole((folder / part).glob("*")) if path.is_file())
        yield from sorted(path for name in ("preview.tex", "folds.json", "crops.csv") for path in folder.glob(name))
    for name in RUN_FILES:
        yield from sorted(out.glob(f"**/lam-*/fold-*/seed-*/{name}"))
