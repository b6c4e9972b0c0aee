"""What a stand-in contains: classes, subjects, sequences and their lengths, drawn before anything is rendered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from standins.files import StandInError

DATABASES = ("ckplus", "oulu_casia", "mmi")
TITLES = {"ckplus": "CK+", "oulu_casia": "Oulu-CASIA", "mmi": "MMI"}

_SIX = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
EXPRESSIONS = {
    "ckplus": ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"),
    "oulu_casia": _SIX,
    "mmi": _SIX,
}
"""Classes of each database in the order of their numbers."""

CKPLUS_SEQUENCES = dict(zip(EXPRESSIONS["ckplus"], (45, 18, 59, 25, 69, 28, 83), strict=True))
"""CK+'s labelled sequences by class (Lucey et al. 2010)."""

LABELLED_SUBJECTS = (118, 123)
"""Of CK+'s 123 subjects, 118 have a labelled sequence."""
ON_ITS_SIDE = 0.03
"""Share of MMI's frontal clips that were recorded with the camera on its side."""
LIGHTS = 6
"""Combinations of camera and illumination in Oulu-CASIA (:mod:`standins.camera`)."""


@dataclass(frozen=True)
class Size:
    """How much is rendered; any object with these attributes will do.

    ``frames`` is the least and largest number of frames in a sequence; ``in_all_lights`` is how many Oulu-CASIA
    subjects are filmed by both cameras in all three illuminations.
    """

    subjects: int
    sequences: int
    labelled: int
    frames: tuple[int, int]
    in_all_lights: int = 0


@dataclass(frozen=True)
class PlannedSequence:
    """One sequence before it is filmed."""

    number: int  # from 1, within its subject
    emotion: str | None  # None for CK+'s sequences without a label
    n_frames: int
    session: int = 0  # MMI: number of the clip in the whole database, from 1
    view: int = 0  # MMI: 0 frontal, 1 profile, 2 both in one frame
    coded: bool = True  # MMI: action units are coded over time
    on_its_side: bool = False  # MMI: the camera was laid on its side
    in_all_lights: bool = False  # Oulu-CASIA: filmed in all six lights

    @property
    def n_pictures(self) -> int:
        """Frames over all lights."""
        return self.n_frames * LIGHTS if self.in_all_lights else self.n_frames


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


def plan(name: str, size: Any, seed: int) -> tuple[PlannedSubject, ...]:
    """Draw the plan of one database; StandInError where ``size`` cannot be met."""
    if name not in DATABASES:
        raise StandInError(f"There is no stand-in of {name!r}; choose from {', '.join(DATABASES)}.")
    if not size.subjects <= size.sequences or not 1 <= size.labelled <= size.sequences or size.subjects < 1:
        raise StandInError(f"{name}: cannot make a stand-in of {size}; every subject needs at least one sequence")
    rng = np.random.default_rng(np.random.SeedSequence((seed, DATABASES.index(name))))
    planner = {"ckplus": _plan_ckplus, "oulu_casia": _plan_oulu_casia, "mmi": _plan_mmi}[name]
    return planner(size, rng)


def class_counts(labelled: int) -> dict[str, int]:
    """Labelled CK+ sequences by class, in proportion to the database's own, at least two of each where possible."""
    least = min(2, labelled // len(CKPLUS_SEQUENCES))
    counts = dict.fromkeys(CKPLUS_SEQUENCES, least)
    share = {name: count / sum(CKPLUS_SEQUENCES.values()) for name, count in CKPLUS_SEQUENCES.items()}
    while sum(counts.values()) < labelled:
        # The class furthest behind its share of the whole gets the next sequence.
        behind = {name: share[name] * labelled - counts[name] for name in counts}
        counts[max(behind, key=lambda name: behind[name])] += 1
    return counts


def _plan_ckplus(size: Any, rng: np.random.Generator) -> tuple[PlannedSubject, ...]:
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
    subjects = []
    for index, (number, own) in enumerate(zip(numbers, emotions, strict=True)):
        places = enumerate(rng.permutation(len(own)), start=1)
        sequences = tuple(PlannedSequence(k, own[place], _length(size, rng)) for k, place in places)
        subjects.append(PlannedSubject(index, f"S{number:03d}", sequences))
    return tuple(subjects)


def _plan_oulu_casia(size: Any, rng: np.random.Generator) -> tuple[PlannedSubject, ...]:
    expressions = EXPRESSIONS["oulu_casia"]
    if size.sequences != size.subjects * len(expressions) or size.labelled != size.sequences:
        raise StandInError(f"oulu_casia: every subject shows all six expressions, so {size} cannot be made")
    if not 0 <= size.in_all_lights <= size.subjects:
        raise StandInError(f"oulu_casia: {size.in_all_lights} of {size.subjects} subjects cannot be in all lights")
    chosen = set(rng.spawn(1)[0].choice(size.subjects, size.in_all_lights, replace=False).tolist())
    subjects = []
    for index in range(size.subjects):
        sequences = tuple(
            PlannedSequence(k, emotion, _length(size, rng), in_all_lights=index in chosen)
            for k, emotion in enumerate(expressions, start=1)
        )
        subjects.append(PlannedSubject(index, f"P{index + 1:03d}", sequences))
    return tuple(subjects)


def _plan_mmi(size: Any, rng: np.random.Generator) -> tuple[PlannedSubject, ...]:
    expressions = EXPRESSIONS["mmi"]
    other_views = set(rng.choice(size.sequences, size.sequences - size.labelled, replace=False).tolist())
    frontal = [clip for clip in range(size.sequences) if clip not in other_views]
    lying = set(rng.spawn(1)[0].choice(frontal, round(ON_ITS_SIDE * len(frontal)), replace=False).tolist())
    numbers = sorted(rng.choice(np.arange(1, max(60, size.subjects + 1)), size.subjects, replace=False).tolist())
    sequences: list[list[PlannedSequence]] = [[] for _ in range(size.subjects)]
    start = int(rng.integers(len(expressions)))
    for clip in range(size.sequences):
        own = sequences[clip * size.subjects // size.sequences]
        emotion = expressions[(start + clip) % len(expressions)]
        view = 1 + clip % 2 if clip in other_views else 0
        coded = bool(rng.random() < 0.75)
        length = _length(size, rng)
        own.append(PlannedSequence(len(own) + 1, emotion, length, clip + 1, view, coded, on_its_side=clip in lying))
    return tuple(
        PlannedSubject(index, f"S{number:03d}", tuple(own))
        for index, (number, own) in enumerate(zip(numbers, sequences, strict=True))
    )


def _length(size: Any, rng: np.random.Generator) -> int:
    return int(rng.integers(size.frames[0], size.frames[1] + 1))
