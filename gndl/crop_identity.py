"""What a set of crops is made from: sources, settings, code and libraries, so that no stale crop is ever reused."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import av
import dlib
import PIL
import scipy

from gndl.crop_records import relative_to_root
from gndl.crop_sequence import frame_name, taken_frames
from gndl.eyes import PREDICTOR
from gndl.files import hash_file, hash_json
from gndl.method_code import code_hash
from gndl.profiles import CropSettings
from gndl.sequences import Database, FrameRef

CROP_VERSION = 1
"""Raised when crops.csv or crops.json change their form; changes of what makes the pixels are seen by themselves."""

_MODULES = ("align", "crop_sequence", "frames_reading")
"""Modules that every crop's pixels pass through."""


EQUAL_CROPS = Path(__file__).parent / "assets" / "equal_crops.json"
"""Versions of that code that `gndl.checking.equal_crops` has shown to give the same crops, byte by byte."""


def hash_of_crops(
    database: Database,
    settings: CropSettings,
    by_landmarks: bool,
    contents: dict[str, str],
    root: Path,
    code: dict[str, str] | None = None,
) -> str:
    """Hash everything that a database's crops depend on: 16 hexadecimal digits.

    Parameters
    ----------
    database : Database
    settings : CropSettings
    by_landmarks : bool
        Whether landmark files give the eyes; otherwise detector and predictor count as well.
    contents : dict of str to str
        Hash of every source file, by its path relative to ``root``.
    root : Path
        Paths count relative to it, so that a database may be moved.
    code : dict of str to str, optional
        Hashes of the modules that make the pixels; those of `crop_code` by default.
    """

    def named(frames: Iterable[FrameRef]) -> list[list[str]]:
        return [[relative_to_root(frame.path, root), frame_name(frame)] for frame in frames]

    sequences = [
        [s.sequence, s.subject, named(taken_frames(s)), named(s.frames), s.view, s.may_lie_on_its_side]
        for s in database.sequences
    ]
    content = {
        "version": CROP_VERSION,
        "settings": asdict(settings),
        "database": [database.name, database.source],
        "predictor": None if by_landmarks else hash_file(PREDICTOR),
        "sequences": sequences,
        "contents": contents,
        "code": crop_code(by_landmarks) if code is None else code,
        "libraries": _libraries(database, by_landmarks),
    }
    return hash_json(content)[:16]


def crop_code(by_landmarks: bool) -> dict[str, str]:
    """Hash the modules that make a crop's pixels; the first version stands for all that give the same crops."""
    code = code_as_it_runs(by_landmarks)
    groups: list[list[dict[str, str]]] = json.loads(EQUAL_CROPS.read_text(encoding="utf-8"))[eyes_by(by_landmarks)]
    return next((group[0] for group in groups if code in group), code)


def code_as_it_runs(by_landmarks: bool) -> dict[str, str]:
    """Hash the modules that make a crop's pixels, as they stand today (`gndl.method_code.code_hash`)."""
    folder = Path(__file__).parent
    return {name: code_hash((folder / f"{name}.py").read_text(encoding="utf-8")) for name in crop_modules(by_landmarks)}


def crop_modules(by_landmarks: bool) -> tuple[str, ...]:
    """Name the modules that make a crop's pixels."""
    return _MODULES if by_landmarks else (*_MODULES, "eyes")


def eyes_by(by_landmarks: bool) -> str:
    """Name the way in which the eyes are found, as `EQUAL_CROPS` does: each way was shown to be equal by itself."""
    return "landmarks" if by_landmarks else "detector"


def _libraries(database: Database, by_landmarks: bool) -> dict[str, str]:
    """Versions of the libraries that read, search and cut the frames; a codec counts only where there is a clip."""
    libraries = [PIL, scipy] if by_landmarks else [PIL, scipy, dlib]
    if any(sequence.neutral.is_video for sequence in database.sequences):
        libraries.append(av)
    return {library.__name__: str(library.__version__) for library in libraries}
