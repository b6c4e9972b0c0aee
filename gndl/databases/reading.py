"""What the readers have in common: options, findings, and the checks that every database must pass."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Literal

from gndl.sequences import STAND_IN_LABEL, Database, Finding, FrameRef, Sequence, Source

EXAMINED_FRAMES = 3
"""Expressive frames taken from each sequence (section 4.1)."""

FEWEST_FRAMES = EXAMINED_FRAMES + 1
"""Frames without which a sequence cannot be taken: the neutral one and the examined ones."""


@dataclass(frozen=True)
class ReadOptions:
    """Which part of a database is taken; the defaults are the paper's (section 4.1).

    Parameters
    ----------
    oulu_camera : {"VL", "NI"}
        Oulu-CASIA: visible light or near infrared.
    oulu_light : {"Strong", "Weak", "Dark"}
        Oulu-CASIA: illumination.
    oulu_pictures : {"original", "cropped"}
        Oulu-CASIA: whole frames, or the faces that its authors have cut out.
    mmi_views : {"frontal", "frontal+dual"}
        MMI: clips in frontal view (view 0), or these and the clips that show both views in one frame (view 2).
    """

    oulu_camera: Literal["VL", "NI"] = "VL"
    oulu_light: Literal["Strong", "Weak", "Dark"] = "Strong"
    oulu_pictures: Literal["original", "cropped"] = "original"
    mmi_views: Literal["frontal", "frontal+dual"] = "frontal"


THE_PAPERS = ReadOptions()
"""What the paper takes (section 4.1)."""


@dataclass
class Findings:
    """A growing list of findings; the four methods are the four kinds of `gndl.sequences.Finding`."""

    items: list[Finding] = field(default_factory=list)

    def error(self, path: Path, message: str) -> None:
        """Record something without which the study cannot run."""
        self.items.append(Finding("error", path, message))

    def problem(self, path: Path, message: str) -> None:
        """Record something wrong that can be worked round."""
        self.items.append(Finding("problem", path, message))

    def skip(self, path: Path, message: str) -> None:
        """Record something that is left out."""
        self.items.append(Finding("skip", path, message))

    def note(self, path: Path, message: str) -> None:
        """Record something that a reader of the results should know."""
        self.items.append(Finding("note", path, message))

    def has_error(self) -> bool:
        """Whether any of them is an error."""
        return any(finding.kind == "error" for finding in self.items)


def source_of(
    root: Path, folders: dict[str, Path], sequences: Iterable[Sequence], otherwise: Literal["licensed", "own"]
) -> Source:
    """Tell rendered faces by the stand-in's label, beside or above the root, a resolved folder or any frame taken."""
    frames = {frame.path for sequence in sequences for frame in (sequence.neutral, *sequence.examined)}
    return "rendered" if rendered_among((root, *folders.values(), *frames)) else otherwise


def rendered_among(paths: Iterable[Path]) -> list[Path]:
    """Those of the paths that lie in a stand-in's tree, as given or where links lead to."""
    labelled = cache(lambda folder: (folder / STAND_IN_LABEL).is_file())
    rendered = []
    for path in paths:
        given, real = path.absolute(), Path(os.path.realpath(path))
        if any(map(labelled, (given, *given.parents, real, *real.parents))):
            rendered.append(path)
    return rendered


def first_and_last_three(frames: list[FrameRef]) -> tuple[FrameRef, tuple[FrameRef, ...]]:
    """Take the first frame as the neutral face and the last three as the examined ones (section 4.1)."""
    if len(frames) < FEWEST_FRAMES:
        raise ValueError(f"{len(frames)} frames, at least {FEWEST_FRAMES} expected")
    return frames[0], tuple(frames[-EXAMINED_FRAMES:])


def too_few(count: int) -> str:
    """Say that a sequence is too short, in the same words everywhere so that reports can group them."""
    pictures = "1 frame" if count == 1 else f"{count} frames"
    needed = f"a neutral and {EXAMINED_FRAMES} examined ones are needed"
    return f"too short: {pictures}, but {needed}; sequence left out, unpack it again"


def with_counts(database: Database) -> Database:
    """Add to ``found`` what can be counted on the sequences taken: labelled, labelled_subjects, pairs."""
    sequences = database.sequences
    taken = {
        "labelled": len(sequences),
        "labelled_subjects": len({sequence.subject for sequence in sequences}),
        "pairs": sum(len(sequence.examined) for sequence in sequences),
    }
    return replace(database, found={**database.found, **taken})


def per_class(sequences: tuple[Sequence, ...], expressions: tuple[str, ...]) -> dict[str, int]:
    """Number of sequences of each class, in the order of ``expressions``."""
    counts = Counter(sequence.expression for sequence in sequences)
    return {expression: counts[expression] for expression in expressions}


def checked(database: Database) -> Database:
    """Sort the sequences, count them and add an error where no subject-independent study is possible with them."""
    findings = Findings(list(database.findings))
    sequences = tuple(sorted(database.sequences, key=lambda sequence: sequence.sequence))
    classes = per_class(sequences, database.expressions)
    if not findings.has_error():
        subjects = {sequence.subject for sequence in sequences}
        if not sequences:
            findings.error(database.root, "no sequence can be taken: every one was left out; mend what is listed")
        elif len(subjects) < 2:
            findings.error(
                database.root,
                f"all sequences are of one subject ({min(subjects)}); at least two are needed, "
                "since no subject may be in training and test at once: add another",
            )
        elif sum(count > 0 for count in classes.values()) < 2:
            findings.error(database.root, "all sequences are of one class; at least two are needed: add another")
        elif missing := [expression for expression, count in classes.items() if not count]:
            findings.problem(
                database.root, f"no sequence of {', '.join(missing)}; add some, else none is ever recognised"
            )
    return with_counts(replace(database, sequences=sequences, findings=tuple(findings.items)))
