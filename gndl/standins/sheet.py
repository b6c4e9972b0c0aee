"""Contact sheets: several subjects, every class, neutral beside apex, to be looked at before anything is believed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from threadpoolctl import threadpool_limits

from gndl.databases import read_database
from gndl.errors import GndlError
from gndl.files import written_aside
from gndl.frames_reading import as_colour, read_frames
from gndl.paper import DATABASE_TITLES, EXPRESSIONS
from gndl.profiles import StandInSize
from gndl.sequences import STAND_IN_LABEL, Database, Sequence
from gndl.standins.faces import Pose, View, backdrop, finish
from gndl.standins.head import load_head
from gndl.standins.performance import perform
from gndl.standins.plan import plan
from gndl.standins.render import invited, studio_of

Picture = NDArray[np.uint8]

TILE = 150
"""Side of one face in pixels."""


def preview_sheet(name: str, path: Path, *, size: StandInSize, seed: int = 0, subjects: int = 3) -> Path:
    """Render the first subjects of a stand-in with every class and write them to ``path`` (PNG), in a few seconds.

    The subjects are those that :func:`gndl.standins.render_database` will render for the same ``size`` and ``seed``;
    each one's first picture is neutral, the others are apexes drawn for this sheet.
    """
    actions_of = load_head().action_names
    rows: list[list[Picture | None]] = []
    with threadpool_limits(1):
        for planned in plan(name, size, seed)[:subjects]:
            subject = invited(name, planned, seed, studio_of(name))
            rng = np.random.default_rng(np.random.SeedSequence((seed, planned.index)))
            wall = backdrop((TILE, TILE), rng)
            view = View((TILE, TILE), TILE * 0.40, (TILE / 2, TILE * 0.52))
            apexes = [perform(expression, actions_of, rng).apex for expression in EXPRESSIONS[name]]
            row: list[Picture | None] = []
            neutral, pose = np.zeros(len(actions_of), np.float32), Pose(*rng.uniform(-4, 4, 3).tolist())
            # One shading serves all expressions of a subject: a sheet that is looked at first has to be quick.
            shading = subject.face.shading(neutral, pose, subject.light)
            for actions in [neutral, *apexes]:
                shot = subject.face.show(actions, pose, subject.light, view, shading)
                row.append(finish(shot, wall, rng, 1.0, 0.004))
            rows.append(row)
    return _write(
        path, rows, ["neutral", *EXPRESSIONS[name]], f"{DATABASE_TITLES[name]} stand-in: rendered faces of nobody"
    )


def contact_sheet(database: Path | Database, path: Path, *, subjects: int = 4, name: str | None = None) -> Path:
    """Write a contact sheet of a rendered database: subjects down, classes across, neutral over apex.

    Parameters
    ----------
    database : Path or Database
        Root of a rendered database, or the database as it was read.
    path : Path
        PNG to write.
    subjects : int
        Rows; the subjects with the most classes come first.
    name : str, optional
        ``"ckplus"``, ``"oulu_casia"`` or ``"mmi"``; read from ``STAND-IN.txt`` where it is not given.

    Raises
    ------
    GndlError
        Where the database cannot be read.
    """
    if not isinstance(database, Database):
        database = read_database(name or _name_of(Path(database)), Path(database))
    classes: dict[str, dict[str, Sequence]] = {subject: {} for subject in database.subjects}
    for sequence in database.sequences:
        classes[sequence.subject].setdefault(sequence.expression, sequence)
    chosen = sorted(classes, key=lambda subject: (-len(classes[subject]), subject))[:subjects]
    wanted = [s for subject in chosen for s in classes[subject].values()]
    pictures = read_frames({frame for s in wanted for frame in (s.neutral, s.examined[-1])})
    rows: list[list[Picture | None]] = []
    for subject in chosen:
        for apex in (False, True):
            row = list[Picture | None]()
            for expression in database.expressions:
                shown = classes[subject].get(expression)
                frame = None if shown is None else shown.examined[-1] if apex else shown.neutral
                row.append(None if frame is None else _tile(as_colour(pictures[frame])))
            rows.append(row)
    return _write(path, rows, list(database.expressions), database.title)


def _name_of(root: Path) -> str:
    label = root / STAND_IN_LABEL
    if label.is_file():
        for line in label.read_text(encoding="utf-8").splitlines():
            if line.startswith("database: "):
                return line.removeprefix("database: ")
    raise GndlError(f"{label}: does not say which database this stands in for; give its name")


def _tile(picture: Picture) -> Picture:
    """The middle square of a frame, made small."""
    height, width = picture.shape[:2]
    side = min(height, width)
    left = (width - side) // 2
    square = Image.fromarray(picture).crop((left, height - side, left + side, height))
    return np.asarray(square.resize((TILE, TILE), Image.Resampling.BOX))


def _write(path: Path, rows: list[list[Picture | None]], columns: list[str], title: str) -> Path:
    """Lay tiles out in rows under the names of the columns."""
    font, margin = ImageFont.load_default(13), 24
    sheet = Image.new("RGB", (TILE * len(columns), 2 * margin + TILE * len(rows)), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((6, 5), title, "black", font)
    for k, column in enumerate(columns):
        draw.text((TILE * k + 6, margin + 5), column, "black", font)
        for line, row in enumerate(rows):
            tile = row[k]
            if tile is not None:
                sheet.paste(Image.fromarray(tile), (TILE * k, 2 * margin + TILE * line))
    with written_aside(Path(path)) as aside:
        sheet.save(aside)
    return Path(path)
