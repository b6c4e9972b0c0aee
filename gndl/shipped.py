"""The full-size stand-ins as they come with the package: every face that a study takes from them, at 64 pixels.

So a first study renders nothing, and the record can be repeated by anyone. Of each database there are ``pictures.xz``,
``crops.csv.gz`` (crops.csv with the class) and ``about.json``, and beside its folder the truth of these frames.
``tools/ship_crops.py`` makes them from frames that ``gndl render`` has rendered.
"""

from __future__ import annotations

import hashlib
import json
import lzma
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gndl.crops import Crops
from gndl.files import GndlError, read_csv
from gndl.paper import EXPRESSIONS
from gndl.profiles import CropSettings, StudyConfig
from gndl.sequences import Database, FrameRef, ReadOptions, Sequence

FOLDER = Path(__file__).parent / "assets" / "standins"
SIZE = 64
"""Side of a shipped crop in pixels."""
_IN_SEQUENCE = 4
"""Crops of one sequence: a neutral face and three examined ones."""


def is_shipped(config: StudyConfig, name: str) -> bool:
    """Whether a study reads the shipped crops: no copy is named, and its settings ask for no other frames or pixels."""
    settings = config.settings
    as_usual = ReadOptions(**config.read_options) == ReadOptions()  # type: ignore[arg-type]
    fits = as_usual and settings.train.image_size <= SIZE and settings.crop == CropSettings()
    return fits and not config.data_roots[name] and (FOLDER / name).is_dir()


def shipped_crops(name: str) -> Crops:
    """The shipped crops of a stand-in; `GndlError` where the files are damaged."""
    folder = FOLDER / name
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        images = unpack((folder / "pictures.xz").read_bytes(), tuple(about["shape"]))
    except (OSError, ValueError, KeyError, lzma.LZMAError) as error:
        raise GndlError(f"{folder}: cannot be read ({error}); install gndl again.") from error
    if hash_pictures(images) != about["pictures"]:
        raise GndlError(f"{folder / 'pictures.xz'}: not the crops that were shipped; install gndl again.")
    note = f"Shipped crops of {SIZE} × {SIZE} pixels; `gndl render --profile standard` renders the frames themselves."
    return Crops(folder, about["pictures"][:16], images, _table(name).drop(columns="expression"), {}, (note,), folder)


def shipped_database(name: str) -> Database:
    """The sequences of the shipped crops; their only frames are those taken."""
    root, sequences = FOLDER / name, []
    for sequence, rows in _table(name).groupby("sequence", sort=True):
        numbers = rows["frame"].str.extract(r"#(\d+)$", expand=False).fillna("0").astype(int) - 1
        frames = tuple(FrameRef(root / file, number) for file, number in zip(rows["source_file"], numbers, strict=True))
        one = rows.iloc[0]
        sequences.append(
            Sequence(
                one["subject"], str(sequence), one["expression"], frames[0], frames[1:], frames, "shipped with gndl"
            )
        )
    return Database(name, root, "rendered", EXPRESSIONS[name], tuple(sequences))


def pack(images: NDArray[np.uint8]) -> bytes:
    """Compress crops (N, S, S) or (N, S, S, 3), four a sequence, without loss: differences of neighbours, then xz."""
    left = images.reshape(-1, _IN_SEQUENCE, *images.shape[1:]).copy()
    if images.ndim == 4:
        left[..., ::2] -= left[..., 1:2]  # red and blue as differences from green
    left[:, 2:] -= left[:, 1:-1].copy()  # the last two faces resemble the one before
    for axis in (2, 3):  # in the neutral and the first examined face, a pixel resembles those above and beside it
        left[:, :2] = np.diff(left[:, :2], axis=axis, prepend=np.uint8(0))
    planes = np.moveaxis(left, (1, -1), (0, 1)) if images.ndim == 4 else np.moveaxis(left, 1, 0)
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 0, "pb": 0}]
    return lzma.compress(planes.tobytes(), filters=filters)


def unpack(packed: bytes, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The crops of `pack`."""
    number, size = shape[0] // _IN_SEQUENCE, shape[1:3]
    planes = np.frombuffer(lzma.decompress(packed), np.uint8)
    if len(shape) == 4:
        left = np.moveaxis(planes.reshape(_IN_SEQUENCE, 3, number, *size), (0, 1), (1, -1)).copy()
    else:
        left = np.moveaxis(planes.reshape(_IN_SEQUENCE, number, *size), 0, 1).copy()
    for axis in (3, 2):
        left[:, :2] = np.cumsum(left[:, :2], axis=axis, dtype=np.uint8)
    left[:, 1:] = np.cumsum(left[:, 1:], axis=1, dtype=np.uint8)
    if len(shape) == 4:
        left[..., ::2] += left[..., 1:2]
    return left.reshape(shape)


def hash_pictures(images: NDArray[np.uint8]) -> str:
    """SHA-256 of the crops' bytes."""
    return hashlib.sha256(np.ascontiguousarray(images).data).hexdigest()


def _table(name: str) -> pd.DataFrame:
    return read_csv(FOLDER / name / "crops.csv.gz").fillna({"half": ""})
