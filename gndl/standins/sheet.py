"""Contact sheets: several subjects, neutral and every class, to be looked at before anything is believed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from threadpoolctl import threadpool_limits

from gndl.files import written_aside
from gndl.paper import DATABASE_TITLES, EXPRESSIONS
from gndl.profiles import StandInSize
from gndl.progress import progress
from gndl.standins.faces import Pose, View, backdrop
from gndl.standins.filming import Studio, Subject, automatic_exposure
from gndl.standins.head import load_head
from gndl.standins.performing import performed
from gndl.standins.plan import PlannedSubject, plan
from gndl.standins.render import invited, studio_of
from gndl.standins.sensor import record

Picture = NDArray[np.uint8]

TILE = 150
"""Side of one face in pixels."""


def preview_sheet(name: str, path: Path, *, size: StandInSize, seed: int = 0, subjects: int = 3) -> Path:
    """Render the first subjects of a stand-in with every class and write them to ``path`` (PNG), in a few seconds.

    The subjects are those that :func:`gndl.standins.render_database` will render for the same ``size`` and ``seed``;
    each one's first picture is neutral, the others are apexes drawn for this sheet.
    """
    return _sheet_of(name, plan(name, size, seed)[:subjects], path, seed, hurried=True)


def subjects_sheet(name: str, path: Path, *, size: StandInSize, seed: int = 0, subjects: int = 20) -> Path:
    """Write a sheet of ``subjects`` people of a stand-in, drawn at random, as :func:`preview_sheet` does of the first.

    It takes about four seconds a subject: every expression shades itself.
    """
    planned = plan(name, size, seed)
    rng = np.random.default_rng(np.random.SeedSequence((seed, len(planned), subjects)))
    chosen = sorted(rng.choice(len(planned), min(subjects, len(planned)), replace=False).tolist())
    return _sheet_of(name, tuple(planned[k] for k in chosen), path, seed, hurried=False)


def lay_out(path: Path, rows: list[list[Picture]], columns: list[str], title: str, lines: list[str]) -> Path:
    """Write tiles, square and all of one size, in rows (named by ``lines``) under the names of the columns."""
    font, margin = ImageFont.load_default(13), 24
    tile = len(rows[0][0])
    left = max(round(font.getlength(line)) for line in lines) + 12
    sheet = Image.new("RGB", (left + tile * len(columns), 2 * margin + tile * len(rows)), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((6, 5), title, "black", font)
    for k, heading in enumerate(columns):
        draw.text((left + tile * k + 6, margin + 5), heading, "black", font)
    for k, (line, row) in enumerate(zip(lines, rows, strict=True)):
        top = 2 * margin + tile * k
        draw.text((6, top + tile // 2 - 8), line, "black", font)
        for column, picture in enumerate(row):
            sheet.paste(Image.fromarray(picture), (left + tile * column, top))
    with written_aside(Path(path)) as aside:
        sheet.save(aside, quality=90)
    return Path(path)


def _sheet_of(name: str, subjects: tuple[PlannedSubject, ...], path: Path, seed: int, *, hurried: bool) -> Path:
    studio, title = studio_of(name), DATABASE_TITLES[name]
    waiting = subjects if hurried else progress(subjects, f"Rendering a sheet of the {title} stand-in", unit="subject")
    with threadpool_limits(1):
        rows = [
            _row(invited(name, planned, seed, studio), planned, studio, EXPRESSIONS[name], seed, hurried)
            for planned in waiting
        ]
    columns = ["neutral", *EXPRESSIONS[name]]
    lines = [planned.name for planned in subjects]
    return lay_out(path, rows, columns, f"{title}, rendered stand-in: faces of nobody", lines)


def _row(
    subject: Subject, planned: PlannedSubject, studio: Studio, emotions: tuple[str, ...], seed: int, hurried: bool
) -> list[Picture]:
    """One subject's neutral face and an apex of every emotion, in the subject's own light."""
    rng = np.random.default_rng(np.random.SeedSequence((seed, planned.index)))
    names = load_head().action_names
    wall = backdrop((TILE, TILE), rng)
    view = View((TILE, TILE), TILE * 0.40, (TILE / 2, TILE * 0.52))
    difficulty = studio.difficulty
    pose = Pose(*(rng.uniform(-0.6, 0.6, 3) * np.array(difficulty.pose)).tolist())
    neutral = np.zeros(len(names), np.float32)
    apexes = [performed(subject, emotion, studio, rng)[0].apex for emotion in emotions]
    # One shading serves all expressions of a subject where a sheet has to be quick.
    shading = subject.face.shading(neutral, pose, subject.light) if hurried else None
    row = []
    for actions in [neutral, *apexes]:
        shot = subject.face.show(actions, pose, subject.light, view, shading)
        linear = shot.picture + wall * (1 - shot.coverage[..., None])
        row.append(record(linear, rng, exposure=automatic_exposure(subject, subject.light), noise=difficulty.noise))
    return row
