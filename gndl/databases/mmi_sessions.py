"""The recordings in MMI's session folders: which files belong together, whatever the folders are called."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from gndl.databases.folders import CLIP_SUFFIXES, PICTURE_SUFFIXES, contents, walk
from gndl.databases.reading import Findings

_NAME = re.compile(r"(S\d{3})[-_](\d+)", re.IGNORECASE)
_NUMBER_AT_END = re.compile(r"(\d+)$")


@dataclass(frozen=True)
class Recording:
    """One clip, or one series of pictures, with the files that describe it.

    Parameters
    ----------
    name : str
        ``S001-001``: subject, then number.
    clip : Path or None
        The video; None for a series of pictures.
    pictures : tuple of Path
        Frames in the order of their numbers; empty for a clip.
    session, metadata, action_units : Path or None
        ``session.xml``, ``S001-001.xml`` and ``S001-001-oao_aucs.xml`` beside it, where they exist.
    """

    name: str
    clip: Path | None
    pictures: tuple[Path, ...]
    session: Path | None
    metadata: Path | None
    action_units: Path | None

    @property
    def subject(self) -> str:
        """The SNNN of the name."""
        return self.name[:4]

    @property
    def files(self) -> tuple[Path, ...]:
        """The clip, or all pictures."""
        return (self.clip,) if self.clip else self.pictures

    @property
    def place(self) -> Path:
        """The clip, or the folder of the pictures: what a finding about the recording names."""
        return self.clip or self.pictures[0].parent


def _name_of(path: Path) -> str | None:
    """``S001-001`` from the name of any file of that recording."""
    match = _NAME.match(path.stem)
    return f"{match[1].upper()}-{match[2]}" if match else None


def _is_named(path: Path) -> bool:
    return _name_of(path) is not None and path.suffix.lower() in CLIP_SUFFIXES | {".xml"}


def session_folders(root: Path) -> list[Path]:
    """Every folder below ``root`` that is a session, sorted: told by ``session.xml``, or by a file named as a clip.

    Folders that lie beside a session in a folder called ``Sessions`` count as sessions too, even where nothing in
    them is known, so that they are reported.
    """
    sessions: set[Path] = set()
    for folder, subfolders, files in walk(root, 6):
        if any(file.name.lower() == "session.xml" or _is_named(file) for file in files):
            sessions.add(folder)
            subfolders.clear()
    for parent in {session.parent for session in sessions if session.parent.name.lower() == "sessions"}:
        sessions.update(contents(parent)[0])
    return sorted(sessions, key=_by_number)


def _by_number(session: Path) -> tuple[str, int, str]:
    """Sessions of one download in the order of their numbers: ``9`` before ``10``, ``4__123`` after its number 123."""
    numbers = re.findall(r"\d+", session.name)
    number = int(numbers[-1]) if numbers else -1
    return (str(session.parent), number, session.name)


def recordings_in(session: Path, findings: Findings) -> list[Recording]:
    """The recordings of one session folder; what holds none is named in a finding."""
    files = contents(session)[1]
    xml = [file for file in files if file.suffix.lower() == ".xml"]
    session_file = next((file for file in xml if file.name.lower() == "session.xml"), None)
    described = {name for file in xml if (name := _name_of(file))}
    clips: dict[str, list[Path]] = defaultdict(list)
    pictures: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        kind = file.suffix.lower()
        if kind not in CLIP_SUFFIXES | PICTURE_SUFFIXES:
            continue
        # A series of pictures may be named anyhow (img_001.jpg); the session's one metadata file then names it.
        name = _name_of(file) or (next(iter(described)) if len(described) == 1 else None)
        if name is None:
            findings.skip(
                file, "its name does not begin with subject and clip (S001-001); left out, rename it if it is one"
            )
        elif kind in CLIP_SUFFIXES:
            clips[name].append(file)
        else:
            pictures[name].append(file)
    recordings = []
    for name in sorted({*clips, *pictures}):
        clip = _clip(name, clips[name], findings)
        if clip and pictures[name]:
            findings.skip(
                session,
                f"{len(pictures[name])} pictures beside the clip {clip.name}, which is used; they may stay",
            )
        series = () if clip else _series(name, pictures[name], findings)
        if not clip and not series:
            continue
        own = [file for file in xml if _name_of(file) == name]
        coded = sorted(
            (file for file in own if file.stem.lower().endswith("aucs")),
            key=lambda file: "oao" not in file.stem.lower(),
        )
        recordings.append(
            Recording(
                name=name,
                clip=clip,
                pictures=series,
                session=session_file,
                metadata=next((file for file in own if _is_called(file, name)), None),
                action_units=coded[0] if coded else None,
            )
        )
    for name in sorted(described - {recording.name for recording in recordings}):
        findings.skip(session, f"metadata of {name} without a clip; left out, download the session again")
    if not recordings and not described:
        findings.skip(session, "a session without a clip; download it again")
    return recordings


def _is_called(file: Path, name: str) -> bool:
    """Whether the name is exactly that of the recording, with nothing behind it."""
    return file.stem.upper().replace("_", "-") == name


def _clip(name: str, clips: list[Path], findings: Findings) -> Path | None:
    """The clip that bears the recording's own name; any other one was derived from it."""
    if not clips:
        return None
    clip, *others = sorted(clips, key=lambda file: not _is_called(file, name))
    for other in others:
        what = "the same clip in a second format" if _is_called(other, name) else "a derived clip"
        findings.skip(other, f"{what}; {clip.name} is used, it may stay")
    if not _is_called(clip, name):
        findings.note(clip, f"no clip is called exactly {name}; this one is used")
    return clip


def _series(name: str, pictures: list[Path], findings: Findings) -> tuple[Path, ...]:
    """Pictures by the number at the end of their names, behind the recording's own name where they bear it.

    Any other picture is named in a finding. A single picture needs no number.
    """
    own = [picture for picture in pictures if _name_of(picture) == name]
    for stray in pictures if own else []:
        if stray not in own:
            findings.skip(
                stray,
                f"not called after its recording ({name}), as other pictures here are; ignored, rename it if it is one",
            )
    if len(own or pictures) == 1:
        return tuple(own or pictures)
    frames: dict[int, Path] = {}
    for picture in own or pictures:
        match = _NUMBER_AT_END.search(_NAME.sub("", picture.stem, count=1))
        if match is None:
            findings.skip(
                picture,
                "a picture without a frame's number at the end of its name; ignored, rename it if it is a frame",
            )
        elif (first := frames.setdefault(int(match[1]), picture)) is not picture:
            findings.problem(
                picture, f"a second picture of frame {int(match[1])}; {first.name} is used, remove the wrong one"
            )
    return tuple(frames[number] for number in sorted(frames))
