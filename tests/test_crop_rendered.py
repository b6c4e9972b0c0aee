"""The crop stage with the real detector and predictor on the three rendered databases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gndl.crop import Crops, pairs_from_crops, prepare_crops
from gndl.databases import read_database
from gndl.eyes import FIRST_ATTEMPT
from gndl.profiles import CropSettings
from gndl.sequences import Database

Prepared = dict[str, tuple[Database, Crops]]


@pytest.fixture(scope="module")
def cropped(rendered_trees: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Every rendered database with its crops."""
    cache = tmp_path_factory.mktemp("crops")
    databases = {name: read_database(name, root) for name, root in rendered_trees.items()}
    return {name: (db, prepare_crops(db, CropSettings(size=64), cache, jobs=2)) for name, db in databases.items()}


@pytest.mark.parametrize(
    ("name", "how", "colour"), [("ckplus", "landmarks", False), ("oulu_casia", FIRST_ATTEMPT, True)]
)
def test_every_frame_taken_is_cropped(cropped: Prepared, name: str, how: str, colour: bool) -> None:
    """Four frames a sequence, the eyes found as announced; CK+ grey, Oulu-CASIA in colour."""
    database, crops = cropped[name]
    assert len(crops.images) == len(crops.table) == 4 * len(database.sequences)
    assert (crops.images.ndim == 4) is colour
    assert (crops.table["how"] == how).mean() > 0.9
    assert set(crops.table["source"]) == {"rendered"}
    assert len(pairs_from_crops(database, crops)) == 3 * len(database.sequences)


def test_clips_are_cropped_upright(cropped: Prepared) -> None:
    """One choice of turning for a clip; its eyes stay near one place though its frames are found one by one."""
    database, crops = cropped["mmi"]
    assert crops.faceless == {}
    for _, rows in crops.table.groupby("sequence"):
        assert rows["turned"].nunique() == 1
        eyes = rows[["left_eye_x", "left_eye_y", "right_eye_x", "right_eye_y"]].to_numpy()
        distances = np.hypot(eyes[:, 2] - eyes[:, 0], eyes[:, 3] - eyes[:, 1])
        assert np.ptp(distances) / np.median(distances) < 0.2
    assert len(pairs_from_crops(database, crops)) == 3 * len(database.sequences)


def test_detector_and_predictor_agree_with_landmarks(cropped: Prepared, tmp_path: Path) -> None:
    """CK+ without its Landmarks folder: the eyes lie within a few hundredths of their distance from the landmarks'."""
    database, crops = cropped["ckplus"]
    bare = tuple(
        replace(
            sequence,
            neutral=replace(sequence.neutral, landmarks=None),
            examined=tuple(replace(frame, landmarks=None) for frame in sequence.examined),
            frames=tuple(replace(frame, landmarks=None) for frame in sequence.frames),
        )
        for sequence in database.sequences[:6]
    )
    found = prepare_crops(replace(database, sequences=bare), CropSettings(size=64), tmp_path).table
    true = crops.table.iloc[: len(found)]
    assert list(found["frame"]) == list(true["frame"])
    columns = ["left_eye_x", "left_eye_y", "right_eye_x", "right_eye_y"]
    a, b = found[columns].to_numpy(), true[columns].to_numpy()
    distance = np.hypot(b[:, 2] - b[:, 0], b[:, 3] - b[:, 1])
    errors = (a - b).reshape(-1, 2, 2)
    assert np.median(np.linalg.norm(errors, axis=2).mean(axis=1) / distance) < 0.05
