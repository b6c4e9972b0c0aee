"""Contact sheets: several subjects, neutral and every class, to be looked at before anything is believed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from threadpoolctl import threadpool_limits

from standins.camera import backdrop, record
from standins.faces import Pose, View
from standins.files import atomic_write, progress
from standins.filming import FilmSet, Subject, automatic_exposure
from standins.head import load_head
from standins.layouts import LAYOUTS
from standins.performance import performed
from standins.plan import EXPRESSIONS, TITLES, PlannedSubject, plan
from standins.render import invited

Picture = NDArray[np.uint8]

TILE = 150
"""Side of one face in pixels."""


def subjects_sheet(name: str, path: Path, *, size: Any, seed: int = 0, subjects: int = 20) -> Path:
    """Render subjects drawn at random, neutral and with every class, to one picture; about four seconds each.

    The subjects are among those that :func:`standins.render_database` renders for the same ``size`` and ``seed``.
    """
    planned = plan(name, size, seed)
    rng = np.random.default_rng(np.random.SeedSequence((seed, len(planned), subjects)))
    chosen = sorted(rng.choice(len(planned), min(subjects, len(planned)), replace=False).tolist())
    return _sheet_of(name, tuple(planned[k] for k in chosen), path, seed)


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
    with atomic_write(Path(path)) as aside:
        sheet.save(aside, quality=90)
    return Path(path)


def _sheet_of(name: str, subjects: tuple[PlannedSubject, ...], path: Path, seed: int) -> Path:
    film_set, emotions = LAYOUTS[name].film_set, EXPRESSIONS[name]
    title = f"{TITLES[name]} stand-in: synthetic faces (no real people)"
    waiting = progress(subjects, f"Rendering a sheet of the {TITLES[name]} stand-in", unit="subject")
    with threadpool_limits(1):
        rows = [_row(invited(name, one, seed, film_set), one, film_set, emotions, seed) for one in waiting]
    return lay_out(path, rows, ["neutral", *emotions], title, [one.name for one in subjects])


def _row(
    subject: Subject, planned: PlannedSubject, film_set: FilmSet, emotions: tuple[str, ...], seed: int
) -> list[Picture]:
    """One subject's neutral face and an apex of every emotion, in the subject's own light."""
    rng = np.random.default_rng(np.random.SeedSequence((seed, planned.index)))
    names = load_head().action_names
    wall = backdrop((TILE, TILE), rng)
    view = View((TILE, TILE), TILE * 0.40, (TILE / 2, TILE * 0.52))
    difficulty = film_set.difficulty
    pose = Pose(*(rng.uniform(-0.6, 0.6, 3) * np.array(difficulty.pose)).tolist())
    neutral = np.zeros(len(names), np.float32)
    apexes = [performed(emotion, subject.face.identity.style, difficulty, rng)[0].apex for emotion in emotions]
    row = []
    for actions in [neutral, *apexes]:
        shot = subject.face.show(actions, pose, subject.light, view)
        linear = shot.picture + wall * (1 - shot.coverage[..., None])
        row.append(record(linear, rng, exposure=automatic_exposure(subject, subject.light), noise=difficulty.noise))
    return row
