"""What is written down about every crop, and what is said about all of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pandas as pd

from gndl.crop_sequence import CroppedFrame, frame_name
from gndl.eyes import SECOND_ATTEMPT
from gndl.sequences import Database, FrameRef


def crop_rows(
    database: Database, crops: dict[FrameRef, CroppedFrame], faceless: set[str], hashes: dict[Path, str], root: Path
) -> pd.DataFrame:
    """Write down every use of a crop in a sequence, one row each (the columns: `gndl.crop.Crops`)."""
    places = {frame: place for place, frame in enumerate(crops)}
    rows: list[dict[str, Any]] = []
    for sequence in database.sequences:
        if sequence.sequence in faceless:
            continue
        roles = ["neutral", *(f"examined {number}" for number in range(1, len(sequence.examined) + 1))]
        for role, frame in zip(roles, (sequence.neutral, *sequence.examined), strict=True):
            crop = crops[frame]
            rows.append(
                {
                    "database": database.name,
                    "source": database.source,
                    "sequence": sequence.sequence,
                    "subject": sequence.subject,
                    "role": role,
                    "frame": frame_name(frame),
                    "source_file": relative_to_root(frame.path, root),
                    "source_sha256": hashes[frame.path],
                    "how": crop.how,
                    "left_eye_x": round(crop.eyes.left[0], 3),
                    "left_eye_y": round(crop.eyes.left[1], 3),
                    "right_eye_x": round(crop.eyes.right[0], 3),
                    "right_eye_y": round(crop.eyes.right[1], 3),
                    "turned": crop.view.turned,
                    "half": crop.view.half,
                    "score": round(crop.score, 4),
                    "crop": places[frame],
                }
            )
    return pd.DataFrame(rows)


def crop_notes(database: Database, table: pd.DataFrame, faceless: list[str], by_landmarks: bool) -> list[str]:
    """Say in sentences what a reader of the results should know about the crops."""
    title, notes = database.title, []
    if database.name == "ckplus" and not by_landmarks:
        notes.append(
            f"{title}: not every frame taken has a usable landmark file (gndl check names those without); every "
            "crop is by detector and predictor."
        )
    frames = table.drop_duplicates("crop")
    borrowed = frames[frames["how"].str.startswith("nearest frame")]
    second = frames[frames["how"] == SECOND_ATTEMPT]
    if len(borrowed):
        notes.append(
            f"{title}: no face was found in {counted(borrowed, 'frame')}, cropped like the nearest frame of the "
            f"sequence: {', '.join(borrowed['source_file'] + ' ' + borrowed['frame'])}."
        )
    if len(second):
        notes.append(f"{title}: the face was found only by the second attempt in {counted(second, 'frame')}.")
    turned = frames.loc[frames["turned"] != 0, "sequence"].unique()
    if len(turned):
        notes.append(f"{title}: {counted(turned, 'clip')} lay on the side and is read turned by 90°.")
    if faceless:
        notes.append(
            f"{title}: NO FACE in any frame of {counted(faceless, 'sequence')}, left out: {', '.join(faceless)}."
        )
    return notes


def relative_to_root(path: Path, root: Path) -> str:
    """Write a path relative to the database's root, with forward slashes."""
    return Path(os.path.relpath(path, root)).as_posix()


def counted(things: Any, noun: str) -> str:
    """Count things in words: ``3 frames``, ``1 clip``."""
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"
