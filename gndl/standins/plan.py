"""What a stand-in database contains: subjects, sequences, classes and lengths, drawn before anything is rendered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gndl.errors import GndlError
from gndl.paper import COUNTS, DATABASES, EXPRESSIONS
from gndl.profiles import StandInSize
from gndl.standins.lighting import FURTHER

LABELLED_SUBJECTS = (118, 123)
"""Of CK+'s 123 subjects, 118 have a labelled sequence."""

ON_ITS_SIDE = 0.03
"""Share of MMI's frontal clips that were recorded with the camera on its side."""


@dataclass(frozen=True)
class PlannedSequence:
    """One sequence before it is filmed.

    Parameters
    ----------
    number : int
        From 1, within its subject.
    emotion : str or None
        Class name; None for CK+'s sequences without a label.
    n_frames : int
    session : int
        Number of the clip in the whole database, from 1 (MMI).
    view : int
        0 frontal, 1 profile, 2 both side by side (MMI).
    coded : bool
        Whether its action units are coded over time (MMI).
    on_its_side : bool
        Whether the camera was laid on its side (MMI).
    in_all_lights : bool
        Filmed by both cameras in all three illuminations (Oulu-CASIA), not in strong visible light alone.
    """

    number: int
    emotion: str | None
    n_frames: int
    session: int = 0
    view: int = 0
    coded: bool = True
    on_its_side: bool = False
    in_all_lights: bool = False

    @property
    def n_pictures(self) -> int:
        """Frames over all lights in which the sequence is filmed."""
        return self.n_frames * (1 + len(FURTHER)) if self.in_all_lights else self.n_frames


@dataclass(frozen=True)
class PlannedSubject:
    """One subject with all sequences; ``index`` from 0 names its random streams."""

    index: int
    name: str
    sequences: tuple[PlannedSequence, ...]

    @property
    def n_frames(self) -> int:
        """Frames over all sequences."""
        return sum(sequence.n_pictures for sequence in self.sequences)


def plan(name: str, size: StandInSize, seed: int) -> tuple[PlannedSubject, ...]:
    """Draw the plan of one database.

    Raises
    ------
    GndlError
        Where ``size`` cannot be met, such as fewer sequences than subjects.
    """
    if not size.subjects <= size.sequences or not 1 <= size.labelled <= size.sequences or size.subjects < 1:
        raise GndlError(f"{name}: a stand-in of {size} cannot be made; it needs at least one sequence for each subject")
    rng = np.random.default_rng(np.random.SeedSequence((seed, DATABASES.index(name))))
    planner = {"ckplus": _plan_ckplus, "oulu_casia": _plan_oulu_casia, "mmi": _plan_mmi}[name]
    return planner(size, rng)


def planned_frames(name: str, size: StandInSize, seed: int = 0) -> int:
    """Number of frames that rendering a database of this size will take."""
    return sum(subject.n_frames for subject in plan(name, size, seed))


def class_counts(labelled: int) -> dict[str, int]:
    """Labelled CK+ sequences by class, in proportion to the database's own, at least two of each where possible."""
    paper = COUNTS["ckplus"].per_class or {}
    least = min(2, labelled // len(paper))
    counts = dict.fromkeys(paper, least)
    while sum(counts.values()) < labelled:
        # The class that lies furthest behind its share of the whole gets the next sequence.
        behind = {name: paper[name] / sum(paper.values()) * labelled - counts[name] for name in paper}
        counts[max(behind, key=lambda name: behind[name])] += 1
    return counts


def _plan_ckplus(size: StandInSize, rng: np.random.Generator) -> tuple[PlannedSubject, ...]:
    n_labelled_subjects = max(1, round(size.subjects * LABELLED_SUBJECTS[0] / LABELLED_SUBJECTS[1]))
    emotions: list[list[str | None]] = [[] for _ in range(size.subjects)]
    order = rng.permutation(size.subjects)
    labels = [name for name, count in class_counts(size.labelled).items() for _ in range(count)]
    for k, label in enumerate(labels):
        emotions[order[k % n_labelled_subjects]].append(label)
    # Sequences without a label go to the subjects without one first, then to everybody in turn.
    for k in range(size.sequences - size.labelled):
        emotions[order[::-1][k % size.subjects]].append(None)
    numbers = sorted(rng.choice(np.arange(5, 1000), size.subjects, replace=False).tolist())
    return tuple(
        PlannedSubject(
            index,
            f"S{number:03d}",
            tuple(
                PlannedSequence(k + 1, own[place], _length(size, rng))
                for k, place in enumerate(rng.permutation(len(own)))
            ),
        )
        for index, (number, own) in enumerate(zip(numbers, emotions, strict=True))
    )


def _plan_oulu_casia(size: StandInSize, rng: np.random.Generator) -> tuple[PlannedSubject, ...]:
    expressions = EXPRESSIONS["oulu_casia"]
    if size.sequences != size.subjects * len(expressions) or size.labelled != size.sequences:
        raise GndlError(f"oulu_casia: every subject shows all six expressions, so {size} cannot be made")
    if not 0 <= size.in_all_lights <= size.subjects:
        raise GndlError(f"oulu_casia: of {size.subjects} subjects {size.in_all_lights} cannot be filmed in all lights")
    in_all_lights = set(rng.spawn(1)[0].choice(size.subjects, size.in_all_lights, replace=False).tolist())
    return tuple(
        PlannedSubject(
            index,
            f"P{index + 1:03d}",
            tuple(
                PlannedSequence(k + 1, emotion, _length(size, rng), in_all_lights=index in in_all_lights)
                for k, emotion in enumerate(expressions)
            ),
        )
        for index in range(size.subjects)
    )


def _plan_mmi(size: StandInSize, rng: np.random.Generator) -> tuple[PlannedSubject, ...]:
    expressions = EXPRESSIONS["mmi"]
    other_views = set(rng.choice(size.sequences, size.sequences - size.labelled, replace=False).tolist())
    frontal = [clip for clip in range(size.sequences) if clip not in other_views]
    lying = set(rng.spawn(1)[0].choice(frontal, round(ON_ITS_SIDE * len(frontal)), replace=False).tolist())
    numbers = sorted(rng.choice(np.arange(1, max(60, size.subjects + 1)), size.subjects, replace=False).tolist())
    sequences: list[list[PlannedSequence]] = [[] for _ in range(size.subjects)]
    start = int(rng.integers(len(expressions)))
    for clip in range(size.sequences):
        subject = clip * size.subjects // size.sequences
        number = len(sequences[subject]) + 1
        emotion = expressions[(start + clip) % len(expressions)]
        view = 1 + clip % 2 if clip in other_views else 0
        coded = bool(rng.random() < 0.75)
        sequences[subject].append(
            PlannedSequence(number, emotion, _length(size, rng), clip + 1, view, coded, on_its_side=clip in lying)
        )
    return tuple(
        PlannedSubject(index, f"S{number:03d}", tuple(own))
        for index, (number, own) in enumerate(zip(numbers, sequences, strict=True))
    )


def _length(size: StandInSize, rng: np.random.Generator) -> int:
    return int(rng.integers(size.frames[0], size.frames[1] + 1))
