"""MMI (Pantic et al. 2005) as it is downloaded.

::

    Sessions/1/session.xml              a <track> with view 0 (frontal), 1 (profile) or 2 (both through a mirror)
    Sessions/1/S001-001.avi             the clip: subject S001, clip 001
    Sessions/1/S001-001.xml             <Metatag Name="Emotion" Value="4"/>
    Sessions/1/S001-001-oao_aucs.xml    markers of its action units, where it is AU-coded

Taken (section 4.1): the first frame as neutral and three at the apex, of frontal clips of the six basic emotions.
Any number of downloads is joined; sessions may have been renamed. The subject is the SNNN of the clip's name.
Some clips were recorded lying on their side; the crop stage tells which. MMI's still pictures are not read.
"""

from __future__ import annotations

import filecmp
import re
from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import parse

from gndl.databases.common import (
    CLIPS,
    LAST,
    PICTURES,
    Findings,
    contents,
    explain,
    is_too_short,
    licensed,
    walk,
)
from gndl.files import counted
from gndl.frames import Unreadable, count_frames
from gndl.sequences import Database, FrameRef, ReadOptions, Sequence

EMOTIONS = {"1": "anger", "2": "disgust", "3": "fear", "4": "happiness", "5": "sadness", "6": "surprise"}
"""Codes of the basic emotions; the database has others beyond them."""

VIEWS = {"0": "frontal", "1": "profile", "2": "both views in one frame"}
ONSET, APEX, OFFSET = 1, 2, 3
"""Marker types; 0 is neutral and may stand at both ends."""

AGAIN = "download its session again"
_NAME = re.compile(r"(S\d{3})[-_](\d+)", re.IGNORECASE)

Marker = tuple[int, int]
"""Type and frame; frames count from 1, as in MMI's own files."""


@dataclass(frozen=True)
class _Recording:
    name: str
    clip: Path
    session: Path | None
    metadata: Path | None
    action_units: Path | None


def read(root: Path, options: ReadOptions) -> Database:
    """Read a copy of MMI, of one or several downloads; error findings say why the study cannot run."""
    findings = Findings()
    sessions = _session_folders(root)
    if not sessions:
        findings.error(root, explain(root, "mmi"))
    parents = sorted({session.parent for session in sessions})
    folders = {f"sessions {n}" if n > 1 else "sessions": parent for n, parent in enumerate(parents, 1)}
    by_name: dict[str, list[_Recording]] = defaultdict(list)
    for session in sessions:
        for recording in _recordings_in(session, findings):
            by_name[recording.name].append(recording)
    recordings = [_joined(copies, findings) for copies in by_name.values()]
    labelled = [(recording, emotion) for recording in recordings if (emotion := _expression(recording, findings))]
    sequences = [
        sequence
        for recording, emotion in labelled
        if (view := _view(recording, options, findings)) and (sequence := _sequence(recording, emotion, view, findings))
    ]
    subjects = {recording.name[:4] for recording, _ in labelled}
    found = {"clips": len(recordings), "sequences": len(labelled), "subjects": len(subjects)}
    return licensed("mmi", root, sequences, findings, folders, found if sessions else {})


# Sessions


def _name_of(stem: str) -> str | None:
    match = _NAME.match(stem)
    return f"{match[1].upper()}-{match[2]}" if match else None


def _session_folders(root: Path) -> list[Path]:
    sessions = []
    for folder, subfolders, files in walk(root, 6):
        named = [file for file in files if _name_of(file.stem) or file.name.lower() == "session.xml"]
        is_session = any(file.suffix.lower() in {*CLIPS, ".xml"} for file in named)
        if is_session or (folder.parent.name.lower() == "sessions" and not subfolders):
            sessions.append(folder)
            subfolders.clear()
    return sessions


def _recordings_in(session: Path, findings: Findings) -> list[_Recording]:
    files = contents(session)[1]
    xml = [file for file in files if file.suffix.lower() == ".xml"]
    clips: dict[str, Path] = {}
    for file in (file for file in files if file.suffix.lower() in CLIPS):
        name = _name_of(file.stem) if _NAME.fullmatch(file.stem) else None
        if name is None:
            findings.skip(file, "not named after subject and clip (S001-001); left out, rename it if it is one")
        elif (first := clips.setdefault(name, file)) is not file:
            findings.skip(file, f"a second clip of that name; {first.name} is used, it may stay")
    recordings = []
    for name, clip in clips.items():
        own = [file for file in xml if _name_of(file.stem) == name]
        coded = [file for file in own if file.stem.lower().endswith("aucs")]
        recording = _Recording(
            name=name,
            clip=clip,
            session=next((file for file in xml if file.name.lower() == "session.xml"), None),
            metadata=next((file for file in own if _NAME.fullmatch(file.stem)), None),
            action_units=min(coded, key=lambda file: "oao" not in file.stem.lower(), default=None),
        )
        recordings.append(recording)
    pictures = sum(file.suffix.lower() in PICTURES for file in files)
    stills = f" (only {counted(pictures, 'picture')})" if pictures else ""
    described = {name for file in xml if (name := _name_of(file.stem))}
    for name in sorted(described - clips.keys()):
        findings.skip(session, f"metadata of {name} without a clip{stills}; left out, {AGAIN}")
    if not clips and not described:
        findings.skip(session, f"a session without a clip{stills}; download it again")
    return recordings


def _joined(copies: list[_Recording], findings: Findings) -> _Recording:
    """The best described of equal downloads of a recording; an error where they differ."""
    used, *others = sorted(copies, key=lambda copy: [copy.session, copy.metadata, copy.action_units].count(None))
    for other in others:
        try:
            same = filecmp.cmp(used.clip, other.clip, shallow=False)
        except OSError:
            same = False
        if same:
            findings.skip(other.clip, f"met a second time, identical to {used.clip}, which counts; it may stay")
        else:
            message = f"differs from the recording of the same name {used.clip}, or one of them was cut short"
            findings.error(other.clip, f"{message}: move the wrong one out of this copy")
    return used


# What the XML files say


def _elements(path: Path, name: str, findings: Findings, consequence: str) -> list[Element] | None:
    try:
        with path.open("rb") as file:
            root = parse(file).getroot()
        return _named(root, name) if root is not None else []
    except (OSError, ValueError, LookupError, SyntaxError) as error:  # malformed XML is a SyntaxError
        reason = getattr(error, "strerror", None) or error
        findings.problem(path, f"not readable as XML ({reason}); {consequence}, {AGAIN}")
        return None


def _named(element: Element, name: str) -> list[Element]:
    return [e for e in element.iter() if isinstance(e.tag, str) and e.tag.rpartition("}")[2].lower() == name]


def _attribute(element: Element, name: str) -> str:
    return next((value.strip() for key, value in element.attrib.items() if key.lower() == name), "")


def _expression(recording: _Recording, findings: Findings) -> str | None:
    file = recording.metadata
    if file is None:
        findings.skip(recording.clip, f"no {recording.name}.xml next to it, so no emotion; left out, {AGAIN}")
        return None
    tags = _elements(file, "metatag", findings, "recording left out")
    if tags is None:
        return None
    codes = sorted({_attribute(tag, "value") for tag in tags if _attribute(tag, "name").lower() == "emotion"})
    if len(codes) > 1:
        listed = ", ".join(codes)[:80]
        findings.problem(file, f"several emotions that disagree: {listed}; left out, {AGAIN}")
    elif not codes:
        findings.skip(file, "no metatag named Emotion; left out, nothing to do")
    elif (emotion := EMOTIONS.get(codes[0].lstrip("0"))) is not None:
        return emotion
    elif re.fullmatch(r"\d+", codes[0]):
        findings.skip(file, f"emotion code {codes[0][:40]} is not one of the six (1 to 6); left out, nothing to do")
    else:
        known = ", ".join(f"{code} {emotion}" for code, emotion in EMOTIONS.items())
        message = f"emotion {codes[0][:40]!r} is not a code; left out, {AGAIN} or write one of {known}"
        findings.problem(file, message)
    return None


def _view(recording: _Recording, options: ReadOptions, findings: Findings) -> str | None:
    if recording.session is None:
        findings.skip(recording.clip, f"no session.xml next to it, so its view is not known; left out, {AGAIN}")
        return None
    tracks = _elements(recording.session, "track", findings, "the view is not known, so the recording is left out")
    if tracks is None:
        return None
    tracks = [track for track in tracks if "view" in map(str.lower, track.attrib)]

    def names_it(track: Element) -> bool:
        files = (_attribute(element, "filename").lower() for element in track.iter())
        return any(file.startswith(recording.name.lower()) for file in files)

    views = {_attribute(track, "view") for track in list(filter(names_it, tracks)) or tracks}
    if len(views) != 1:
        findings.skip(recording.session, f"no track with one view, so the view is not known; left out, {AGAIN}")
        return None
    (view,) = views
    if view == "0" or (view == "2" and options.mmi_views == "frontal+dual"):
        return view
    advice = "to take it, use --mmi-views frontal+dual" if view == "2" else "nothing to do"
    what = f"view {view[:40]} ({VIEWS.get(view, 'not known')})"
    findings.skip(recording.clip, f"{what} is not asked for; left out, {advice}")
    return None


def _action_units(recording: _Recording, findings: Findings) -> list[list[Marker]] | None:
    if recording.action_units is None:
        return None
    consequence = "the middle of the clip is taken instead of its apex"
    elements = _elements(recording.action_units, "actionunit", findings, consequence)
    if elements is None:
        return None
    units: dict[tuple[str, str], list[Marker]] = defaultdict(list)
    for unit in elements:  # the number of a unit is text, such as 46L
        markers = units[_attribute(unit, "number"), _attribute(unit, "side")]
        for marker in _named(unit, "marker"):
            kind, frame = _attribute(marker, "type"), _attribute(marker, "frame")
            if re.fullmatch(r"\d{1,9}", kind) and re.fullmatch(r"\d{1,9}", frame):
                markers.append((int(kind), int(frame)))
    return list(units.values())


# Frames


def _sequence(recording: _Recording, expression: str, view: str, findings: Findings) -> Sequence | None:
    try:
        length = count_frames(recording.clip)
    except Unreadable as error:
        findings.skip(recording.clip, f"metadata without a readable clip ({error}); left out, {AGAIN}")
        return None
    if is_too_short(recording.clip, length, findings):
        return None
    examined, chosen_by = choose_examined(_action_units(recording, findings), length)
    return Sequence(
        subject=recording.name[:4],
        sequence=recording.name,
        expression=expression,
        neutral=FrameRef(recording.clip, 0),
        examined=tuple(FrameRef(recording.clip, index) for index in examined),
        frames_chosen_by=chosen_by,
        view="dual" if view == "2" else "frontal",
        may_lie_on_its_side=True,
    )


def _apex_ranges(markers: list[Marker]) -> list[range]:
    """Frames in which one action unit is at its apex: from a marker of type 2 to the frame before the next of type 3.

    An apex that no offset follows is left out, and one on an offset's own frame begins there. Without an onset the
    markers are incomplete, and there are none.
    """
    ranges = []
    begun: int | None = None
    for kind, frame in sorted(markers, key=lambda marker: (marker[1], -marker[0])):
        if kind == APEX and begun is None:
            begun = frame
        elif kind == OFFSET and begun is not None:
            ranges.append(range(begun, frame))
            begun = None
    return ranges if any(kind == ONSET for kind, _ in markers) else []


def _most_at_apex(units: list[list[range]], length: int) -> tuple[int, int] | None:
    """First and last frame (from 1) of the longest, else earliest run in which most action units are at their apex."""
    active = {n: sum(any(n in apex for apex in unit) for unit in units) for n in range(1, length + 1)}
    if not (most := max(active.values())):
        return None
    runs = [list(run) for at_apex, run in groupby(active, key=lambda n: active[n] == most) if at_apex]
    longest = max(runs, key=len)
    return longest[0], longest[-1]


def choose_examined(units: list[list[Marker]] | None, length: int) -> tuple[tuple[int, ...], str]:
    """Three examined frames of a clip that runs neutral, onset, apex, offset, neutral; and how they were chosen.

    They are the middle frames of each third of the apex, where most action units lie between their markers of type 2
    and 3; a shorter apex is widened evenly. Without any complete action unit they are the three frames around the
    middle of the clip. Frame 0, the neutral face, is never among them.

    ``units`` has the markers of each action unit, None for a clip that is not AU-coded; ``length`` is at least 4. The
    frames returned count from 0.
    """
    complete = [ranges for markers in units or [] if (ranges := _apex_ranges(markers))]
    apex = _most_at_apex(complete, length)
    if apex is None:
        reason = "not AU-coded" if units is None else "no action unit with onset, apex and offset in the clip"
        middle = length // 2
        return (middle - 1, middle, middle + 1), f"first, and middle of the clip ({reason})"
    first, last = max(apex[0] - 1, 1), apex[1] - 1
    short = LAST - (last - first + 1)
    if short > 0:
        first = min(max(first - short // 2, 1), length - LAST)
        last = first + LAST - 1
    thirds = tuple(first + (2 * part + 1) * (last - first + 1) // (2 * LAST) for part in range(LAST))
    coded = counted(len(complete), "action unit")
    return thirds, f"first, and AU apex (frames {apex[0]}–{apex[1]}, {coded} complete)"
