"""Who is seen in which frames: what every database reader returns and every later stage reads."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

Source = Literal["rendered", "licensed", "own"]
Kind = Literal["error", "problem", "skip", "note"]

STAND_IN_LABEL = "STAND-IN.txt"
"""File at the root of a rendered database; its presence makes ``source`` "rendered"."""


@dataclass(frozen=True)
class ReadOptions:
    """Which part of a database is taken; the defaults are the paper's (section 4.1)."""

    oulu_camera: Literal["VL", "NI"] = "VL"
    """Oulu-CASIA: visible light or near infrared."""
    oulu_light: Literal["Strong", "Weak", "Dark"] = "Strong"
    """Oulu-CASIA: illumination."""
    oulu_pictures: Literal["original", "cropped"] = "original"
    """Oulu-CASIA: whole frames, or the faces cropped by its authors."""
    mmi_views: Literal["frontal", "frontal+dual"] = "frontal"
    """MMI: frontal clips, or also the frontal half of clips that show the frontal and the profile view."""


@dataclass(frozen=True, order=True)
class FrameRef:
    """One picture: an image file, or one frame of a video.

    Parameters
    ----------
    path : Path
        Image or video file.
    index : int
        Frame of the video, counted from 0; -1 for an image file.
    landmarks : Path or None
        File with the 68 landmarks of this frame (CK+), if there is one.
    white : int
        Value of white in a picture of 16 bits, the same for a whole database; 0 where it is not known.
    """

    path: Path
    index: int = -1
    landmarks: Path | None = None
    white: int = 0

    @property
    def is_video(self) -> bool:
        """Whether this is a frame of a video."""
        return self.index >= 0


@dataclass(frozen=True)
class Sequence:
    """One labelled sequence of one subject, with the frames that the study takes from it.

    Parameters
    ----------
    subject, sequence : str
        Names; ``sequence`` is unique within its database.
    expression : str
        Class name in the paper's words (ledger L16): ``"anger"``, ``"happiness"``, …
    neutral : FrameRef
        The subject's neutral face in this sequence.
    examined : tuple of FrameRef
        The expressive faces in order of time; each forms one pair with ``neutral``.
    frames : tuple of FrameRef
        Every frame of an image sequence in order of time; empty for a video, whose frames are its indices.
    frames_chosen_by : str
        How ``neutral`` and ``examined`` were chosen, such as ``"first and last three"``.
    view : {"frontal", "dual"}
        ``"dual"``: frontal and profile side by side in one frame; the crop stage takes the frontal half.
    may_lie_on_its_side : bool
        The clip may need a clockwise turn by 90°; the crop stage's detector decides (MMI).
    """

    subject: str
    sequence: str
    expression: str
    neutral: FrameRef
    examined: tuple[FrameRef, ...]
    frames: tuple[FrameRef, ...] = ()
    frames_chosen_by: str = ""
    view: Literal["frontal", "dual"] = "frontal"
    may_lie_on_its_side: bool = False

    @property
    def taken(self) -> tuple[FrameRef, ...]:
        """The neutral frame and the examined ones."""
        return (self.neutral, *self.examined)

    def with_frames(self, change: Callable[[FrameRef], FrameRef]) -> Sequence:
        """Return the same sequence with every frame changed."""
        neutral, *examined = map(change, self.taken)
        return replace(self, neutral=neutral, examined=tuple(examined), frames=tuple(map(change, self.frames)))


@dataclass(frozen=True)
class Finding:
    """What a reader or an audit found in a database, with the file it concerns.

    ``kind`` is ``"error"`` where the study cannot run, ``"problem"`` where something is wrong but the study can run,
    ``"skip"`` where a file or sequence is left out for a stated reason, ``"note"`` for the rest.
    """

    kind: Kind
    path: Path
    message: str


@dataclass(frozen=True)
class Database:
    """A database as found on disk.

    Parameters
    ----------
    name : str
        ``"ckplus"``, ``"oulu_casia"``, ``"mmi"`` or ``"manifest"``.
    root : Path
        Folder or manifest file that was asked for.
    source : {"rendered", "licensed", "own"}
        Where its faces come from; copied into every CSV that is made from this database.
    expressions : tuple of str
        The classes, in the paper's order (Fig. 6) for the three databases, sorted for a manifest.
    sequences : tuple of Sequence
        Labelled sequences that the study takes, sorted by name.
    findings : tuple of Finding
        What was left out and why, and every problem, by file.
    folders : dict of str to Path
        The folders found inside ``root``, by role (``"images"``, ``"labels"``, …).
    found : dict of str to int
        Counts on disk, such as ``"sequences"``, ``"labelled"``, ``"subjects"``.
    """

    name: str
    root: Path
    source: Source
    expressions: tuple[str, ...]
    sequences: tuple[Sequence, ...]
    findings: tuple[Finding, ...] = ()
    folders: dict[str, Path] = field(default_factory=dict)
    found: dict[str, int] = field(default_factory=dict)

    @property
    def subjects(self) -> tuple[str, ...]:
        """The subjects of the sequences taken, sorted."""
        return tuple(sorted({sequence.subject for sequence in self.sequences}))

    @property
    def title(self) -> str:
        """The database's name in print, such as "CK+ stand-in" where it is rendered."""
        from gndl.paper import DATABASE_TITLES

        title = DATABASE_TITLES.get(self.name, self.name)
        return f"{title} stand-in" if self.source == "rendered" else title


def normal_form(name: str) -> str:
    """Return a subject's name as it is compared: ``S021``, ``s21`` and ``S 021`` are one person.

    Case, blanks, leading zeros and Unicode's forms of one letter make no difference. Names are kept as written.
    """
    letters = "".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).split())
    return re.sub(r"(?<!\d)0+(?=\d)", "", letters)


def spelled_twice(names: Iterable[str]) -> str:
    """Show the names that fall together in their `normal_form`, such as "S021 and S21"; empty where none do.

    One person under two names would be in training and in test at once.
    """
    alike: dict[str, set[str]] = defaultdict(set)
    for name in names:
        alike[normal_form(name)].add(name)
    shown = ((one if one.isascii() else f"{one} ({one!a})" for one in sorted(same)) for same in alike.values())
    return ", ".join(" and ".join(each) for each, same in zip(shown, alike.values(), strict=True) if len(same) > 1)
