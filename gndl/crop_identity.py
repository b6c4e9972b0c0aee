"""What a set of crops is made from: sources, settings, code and libraries, so that no stale crop is ever reused."""

from __future__ import annotations

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


def hash_of_crops(
    database: Database, settings: CropSettings, by_landmarks: bool, contents: dict[str, str], root: Path
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
        "code": crop_code(by_landmarks),
        "libraries": _libraries(database, by_landmarks),
    }
    return hash_json(content)[:16]


def crop_code(by_landmarks: bool) -> dict[str, str]:
    """Hash the modules that make a crop's pixels, as they run (`gndl.method_code.code_hash`)."""
    modules = _MODULES if by_landmarks else (*_MODULES, "eyes")
    folder = Path(__file__).parent
    return {name: code_hash((folder / f"{name}.py").read_text(encoding="utf-8")) for name in modules}


def _libraries(database: Database, by_landmarks: bool) -> dict[str, str]:
    """Versions of the libraries that read, search and cut the frames; a codec counts only where there is a clip."""
    libraries = [PIL, scipy] if by_landmarks else [PIL, scipy, dlib]
    if any(sequence.neutral.is_video for sequence in database.sequences):
        libraries.append(av)
    return {library.__name__: str(library.__version__) for library in libraries}
