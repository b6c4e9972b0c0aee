"""Rendering of a whole stand-in database, by several processes, resumable, complete only when it says so."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from gndl.files import locked, write_text
from gndl.paper import DATABASE_TITLES, DATABASES
from gndl.profiles import StandInSize
from gndl.progress import progress
from gndl.sequences import STAND_IN_LABEL
from gndl.standins import ckplus, mmi, oulu_casia
from gndl.standins.difficulty import Difficulty
from gndl.standins.faces import Face
from gndl.standins.filming import Studio, Subject, invite
from gndl.standins.head import load_head
from gndl.standins.identity import draw_identity
from gndl.standins.label import is_text, label_text, require_the_same
from gndl.standins.plan import PlannedSubject, plan
from gndl.standins.truth import SequenceTruth, join_parts, write_part

WRITERS = {
    "ckplus": (ckplus.STUDIO, ckplus.write_sequence),
    "oulu_casia": (oulu_casia.STUDIO, oulu_casia.write_sequence),
    "mmi": (mmi.STUDIO, mmi.write_sequence),
}


def render_database(
    name: str,
    root: Path,
    *,
    size: StandInSize,
    seed: int = 0,
    jobs: int = 1,
    description: str | None = None,
    difficulty: Difficulty | None = None,
) -> Path:
    """Render one stand-in database in its official layout, or return at once where it is already there.

    Parameters
    ----------
    name : {"ckplus", "oulu_casia", "mmi"}
    root : Path
        Folder to write. It appears when it is complete; until then the pictures lie beside it in ``.NAME.partial``,
        and a rendering that was killed is taken up after the last whole subject. A second process
        at the same folder waits for the first. Beside it comes ``NAME.truth`` (:mod:`gndl.standins.truth`).
    size : StandInSize
        Subjects, sequences and frames.
    seed : int
        Every subject and every sequence has its own random stream derived from it, so that the bytes depend neither
        on ``jobs`` nor on the order of the work.
    jobs : int
        Processes, each with one thread.
    description : str, optional
        Text of the progress bar.
    difficulty : Difficulty, optional
        Other than the database's standard one, for calibration; ``STAND-IN.txt`` says so.

    Raises
    ------
    GndlError
        Where something else lies at ``root``: a stand-in of another size, seed or version, or no stand-in at all.
    """
    root = Path(root)
    label = label_text(name, size, seed, difficulty)
    if root.exists():
        require_the_same(root, label)
        return root
    with locked(root):  # beside it the partial folder, which another process may be filling
        if not root.exists():
            _render(name, root, label, plan(name, size, seed), seed, jobs, description, difficulty)
    require_the_same(root, label)
    return root


def studio_of(name: str, difficulty: Difficulty | None = None) -> Studio:
    """Where a database is filmed, at its standard difficulty or another one."""
    studio = WRITERS[name][0]
    return studio if difficulty is None else replace(studio, difficulty=difficulty)


def invited(name: str, subject: PlannedSubject, seed: int, studio: Studio) -> Subject:
    """Make a subject's face and set the studio up for it."""
    rng = _stream(name, seed, subject.index)
    identity = draw_identity(load_head(), rng, appearance=studio.difficulty.appearance)
    return invite(Face(identity), studio, rng)


def _render(
    name: str,
    root: Path,
    label: str,
    subjects: tuple[PlannedSubject, ...],
    seed: int,
    jobs: int,
    description: str | None,
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
    studio = studio_of(name, difficulty)
    work = (delayed(_render_subject)(name, partial, subject, seed, studio) for subject in waiting)
    title = description or f"Rendering the {DATABASE_TITLES[name]} stand-in"
    n_frames = sum(subject.n_frames for subject in subjects)
    with progress(list[int](), title, total=n_frames, unit="frame") as bar:
        bar.update(n_frames - sum(subject.n_frames for subject in waiting))
        pool = Parallel(n_jobs=min(jobs, max(len(waiting), 1)), return_as="generator_unordered")
        for rendered in pool(work):
            bar.update(rendered)
    join_parts(parts.values(), root, label)
    shutil.rmtree(done)
    write_text(partial / STAND_IN_LABEL, label)
    partial.rename(root)


def _render_subject(name: str, root: Path, subject: PlannedSubject, seed: int, studio: Studio) -> int:
    """Render all sequences of one subject and note what is known of them; return the number of frames."""
    _, write_sequence = WRITERS[name]
    truth = SequenceTruth()
    # Another number of threads would add up in another order, and so give other bits.
    with threadpool_limits(1):
        visitor = invited(name, subject, seed, studio)
        for sequence in subject.sequences:
            rng = _stream(name, seed, subject.index, sequence.number)
            truth.extend(write_sequence(root, subject.name, visitor, sequence, studio, rng))
    write_part(root / ".done" / f"{subject.name}.npz", subject.name, visitor.face.identity, truth)
    return subject.n_frames


def _stream(name: str, seed: int, *place: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence((seed, DATABASES.index(name), *place, len(place))))
