"""Preparing a database: frames a second of reading, detecting and cropping, beside the face detector alone."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd

from gndl.bench.asked import Asked
from gndl.bench.plots import ratios
from gndl.bench.repeats import NotMeasured, Result, interleaved, rate, seconds, spread, verdicts
from gndl.crop import prepare_crops
from gndl.crop_sequence import crop_subject, taken_frames
from gndl.databases import read_database
from gndl.eyes import find_faces
from gndl.frames_reading import as_grey, read_frames
from gndl.paper import DATABASE_TITLES
from gndl.paths import resolve, standin_folder
from gndl.profiles import CropSettings
from gndl.progress import progress
from gndl.sequences import STAND_IN_LABEL, Database, Sequence

DETECTOR, WHOLE = "detector alone", "read + detect + crop"
CEILING = "read + detect"
"""What no way of finding eyes and cropping can beat while this detector looks at every frame."""
LANDMARKS = "read + crop by landmarks"
FIRST, CACHED = "first run", "cached second run"
GOAL = 0.8
GOAL_SECONDS = 1.0


def root_of(asked: Asked, name: str) -> Path:
    """Return where a database lies; a stand-in has to be there.

    Raises
    ------
    NotMeasured
        Saying how to render it.
    """
    if asked.data:
        return resolve(asked.data) / name
    folder = standin_folder(asked.profile, name)
    if not (folder / STAND_IN_LABEL).exists():
        raise NotMeasured(
            f"{folder}: the stand-in is not there; render it (gndl render --profile {asked.profile} --databases "
            f"{name}), or name licensed copies (--data)."
        )
    return folder


def some_sequences(database: Database, frames: int) -> list[Sequence]:
    """Take sequences evenly from a database, until at least so many of their frames are taken by the study."""
    each = len(taken_frames(database.sequences[0]))
    count = min(len(database.sequences), -(-frames // each))
    places = np.linspace(0, len(database.sequences) - 1, count).round().astype(int)
    return [database.sequences[int(place)] for place in dict.fromkeys(places.tolist())]


def turns_of(sequences: list[Sequence], name: str) -> tuple[dict[str, Callable[[], float]], int]:
    """Return the ways of preparing some sequences, in frames a second, and the number of frames."""
    frames = [frame for sequence in sequences for frame in taken_frames(sequence)]
    greys = [as_grey(picture) for sequence in sequences for picture in read_frames(taken_frames(sequence)).values()]
    settings, may_borrow = CropSettings(), name != "manifest"

    def whole(by_landmarks: bool) -> None:
        for sequence in sequences:
            crop_subject([sequence], settings, by_landmarks, may_borrow)

    def detector() -> None:
        for grey in greys:
            find_faces(grey)

    def ceiling() -> None:
        for sequence in sequences:
            for picture in read_frames(taken_frames(sequence)).values():
                find_faces(as_grey(picture))

    turns = {
        DETECTOR: rate(detector, len(greys)),
        CEILING: rate(ceiling, len(greys)),
        WHOLE: rate(lambda: whole(False), len(greys)),
    }
    if all(frame.landmarks is not None for frame in frames):
        turns[LANDMARKS] = rate(lambda: whole(True), len(greys))
    return turns, len(greys)


def cached_turns(database: Database, cache: Path) -> dict[str, Callable[[], float]]:
    """Return, in seconds, a first run of the whole database into an empty cache, and a second one that finds it."""

    def prepare() -> None:
        with redirect_stderr(StringIO()):  # notes on the crops, the same every time
            prepare_crops(database, CropSettings(), cache, allow_missing_faces=True)

    return {FIRST: seconds(prepare), CACHED: seconds(prepare)}


def measure(asked: Asked) -> Result:
    """Measure every database: frames a second, and a first and a second run of all of it."""
    tables, cached, notes = [], [], []
    with tempfile.TemporaryDirectory(prefix="gndl-crops-", dir=asked.scratch) as folder:
        for name in asked.databases:
            database = read_database(name, root_of(asked, name))
            title = DATABASE_TITLES[name] + (", rendered" if database.source == "rendered" else "")
            turns, frames = turns_of(some_sequences(database, asked.frames), name)
            tables.append(interleaved(turns, asked.repeats, description=title).assign(database=title))
            pairs = {}
            few = range(1, min(asked.repeats, 3) + 1)  # a first run takes long, and each is followed by its second
            for repeat in progress(few, f"all of {title}", unit="turn"):
                for way, turn in cached_turns(database, Path(folder) / f"{name}-{repeat}").items():
                    pairs[way, repeat] = turn()
            rows = [{"way": way, "repeat": repeat, "value": value} for (way, repeat), value in pairs.items()]
            cached.append(pd.DataFrame(rows).assign(database=title))
            taken = len({frame for one in database.sequences for frame in taken_frames(one)})
            second = float(np.median([value for (way, _), value in pairs.items() if way == CACHED]))
            verb = "keeps" if second < GOAL_SECONDS else "MISSES"
            notes.append(
                f"{title}: the cached second run of {taken} frames takes {second:.3f} s and {verb} the goal of "
                f"{GOAL_SECONDS:g} s; {frames} frames a turn for the rates."
            )
    repeats = pd.concat(tables, ignore_index=True)
    table = spread(repeats, DETECTOR, ["database"], {WHOLE: GOAL})
    runs = pd.concat(cached, ignore_index=True)
    return Result(
        name="preparation",
        title="Preparing a database",
        reading=(
            "Frames a second, one process: reading, finding face and eyes and cropping the frames that the study "
            "takes, beside dlib's face detector alone on the same frames already read, at the size at which it is run "
            "there. Reading and detecting with nothing after it is the ceiling: finding the eyes looks at every face "
            "19 times and in the mirror, so that they do not follow the box's jumps, and is most of the rest. A clip "
            "has to be decoded whole up to its last frame taken, and one that may lie on its side is looked at both "
            "ways unless every frame shows a face as it stands. Copies with landmark files need no detector. The "
            "further table: the whole database in seconds, into an empty cache and once more."
        ),
        table=table,
        repeats=repeats,
        notes=(*verdicts(table, ["database"]), *notes),
        figure=ratios(table, "Preparation beside the face detector alone", "frames/s", ["database"]),
        further={"cached": spread(runs, FIRST, ["database"])},
    )
