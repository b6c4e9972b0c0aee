"""Rendering of a whole stand-in database, by several processes, resumable, complete only when it says so."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from standins.difficulty import Difficulty
from standins.faces import Face
from standins.files import STAND_IN_LABEL, locked, progress, write_text
from standins.filming import FilmSet, Subject, invite
from standins.head import load_head
from standins.identity import draw_identity
from standins.label import is_text, label_text, require_the_same
from standins.layouts import LAYOUTS
from standins.plan import DATABASES, TITLES, PlannedSubject, plan
from standins.truth import SequenceTruth, join_parts, write_part


def render_database(
    name: str,
    folder: Path,
    *,
    size: Any,
    seed: int = 0,
    jobs: int = 1,
    description: str = "",
    difficulty: Difficulty | None = None,
) -> Path:
    """Render one stand-in database in its official layout, or return at once where it already exists.

    Parameters
    ----------
    name : {"ckplus", "oulu_casia", "mmi"}
    folder : Path
        It appears when it is complete; until then the pictures are next to it in ``.NAME.partial``, where an
        interrupted rendering continues after the last whole subject. A second process at the same folder waits for the
        first. ``NAME.truth`` (:mod:`standins.truth`) comes next to it.
    size : Size or any object with its attributes
    seed : int
        Every subject and every sequence has its own random stream, so the bytes depend neither on ``jobs`` nor on the
        order of the work.
    jobs : int
        Processes, each with one thread.
    description : str
        Text of the progress bar.
    difficulty : Difficulty, optional
        Other than the database's standard one, for calibration; ``STAND-IN.txt`` says so.

    Raises
    ------
    StandInError
        Where ``folder`` holds anything else, ``size`` is impossible, or Warp or anny is missing.
    """
    subjects = plan(name, size, seed)
    root = Path(folder)
    label = label_text(name, size, seed, difficulty)
    if root.exists():
        require_the_same(root, label)
        return root
    with locked(root):  # another process may be filling the partial folder
        if not root.exists():
            _render(name, root, label, subjects, seed, jobs, description, difficulty)
    require_the_same(root, label)
    return root


def invited(name: str, subject: PlannedSubject, seed: int, film_set: FilmSet) -> Subject:
    """Make a subject's face and draw the light and wall that all of its sequences share."""
    rng = stream(name, seed, subject.index)
    identity = draw_identity(load_head(), rng, appearance=film_set.difficulty.appearance)
    return invite(Face(identity), film_set, rng)


def _render(
    name: str,
    root: Path,
    label: str,
    subjects: tuple[PlannedSubject, ...],
    seed: int,
    jobs: int,
    description: str,
    difficulty: Difficulty | None,
) -> None:
    """Render the subjects that are still missing in the partial folder, and give it the name of ``root``."""
    partial = root.with_name(f".{root.name}.partial")
    done = partial / ".done"
    if partial.exists() and not is_text(done / STAND_IN_LABEL, label):
        shutil.rmtree(partial)
    write_text(done / STAND_IN_LABEL, label)
    load_head()
    parts = {subject.name: done / f"{subject.name}.npz" for subject in subjects}
    waiting = [subject for subject in subjects if not parts[subject.name].exists()]
    film_set = LAYOUTS[name].film_set if difficulty is None else replace(LAYOUTS[name].film_set, difficulty=difficulty)
    work = (delayed(_render_subject)(name, partial, subject, seed, film_set) for subject in waiting)
    title = description or f"Rendering the {TITLES[name]} stand-in"
    n_frames = sum(subject.n_frames for subject in subjects)
    with progress(list[int](), title, total=n_frames, unit="frame") as bar:
        bar.update(n_frames - sum(subject.n_frames for subject in waiting))
        pool = Parallel(n_jobs=min(jobs, max(len(waiting), 1)), return_as="generator_unordered")
        for rendered in pool(work):
            bar.update(rendered)
    join_parts(parts.values(), root, label)
    shutil.rmtree(done)
    for left in list(partial.rglob(".*")):  # what a killed process was just writing
        left.unlink()
    write_text(partial / STAND_IN_LABEL, label)
    partial.rename(root)


def _render_subject(name: str, root: Path, subject: PlannedSubject, seed: int, film_set: FilmSet) -> int:
    """Render all sequences of one subject and note what is known of them; return the number of frames."""
    truth = SequenceTruth()
    # Another number of threads would add up in another order, and so give other bits.
    with threadpool_limits(1):
        visitor = invited(name, subject, seed, film_set)
        for sequence in subject.sequences:
            rng = stream(name, seed, subject.index, sequence.number)
            truth.extend(LAYOUTS[name].write(root, subject.name, visitor, sequence, film_set, rng))
    write_part(root / ".done" / f"{subject.name}.npz", subject.name, visitor.face.identity, truth)
    return subject.n_frames


def stream(name: str, seed: int, *place: int) -> np.random.Generator:
    """The random stream of a subject, or of one of its sequences."""
    return np.random.default_rng(np.random.SeedSequence((seed, DATABASES.index(name), *place, len(place))))
