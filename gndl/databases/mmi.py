"""MMI (Pantic et al. 2005) as it is downloaded.

::

    Sessions/1/session.xml              a <track> with view 0 (frontal), 1 (profile) or 2 (both through a mirror)
    Sessions/1/S001-001.avi             the clip: subject S001, clip 001; or its frames as pictures
    Sessions/1/S001-001.xml             <Metatag Name="Emotion" Value="4"/>
    Sessions/1/S001-001-oao_aucs.xml    markers of its action units, where it is AU-coded

Taken (section 4.1): the first frame as neutral and three at the apex, of frontal clips of the six basic emotions.
Any number of downloads is joined; sessions may have been renamed. The subject is the SNNN of the clip's name.
Some clips were recorded lying on their side; the crop stage tells which.
"""

from __future__ import annotations

from pathlib import Path

from gndl.databases.apex import Marker, choose_examined
from gndl.databases.clip import UnreadableClip, count_frames
from gndl.databases.found_instead import explain
from gndl.databases.mmi_copies import joined_copies
from gndl.databases.mmi_metadata import (
    DUAL,
    EMOTIONS,
    FRONTAL,
    PROFILE,
    MetadataError,
    read_action_units,
    read_emotion,
    read_view,
)
from gndl.databases.mmi_sessions import Recording, recordings_in, session_folders
from gndl.databases.reading import FEWEST_FRAMES, Findings, ReadOptions, source_of, too_few
from gndl.paper import EXPRESSIONS
from gndl.sequences import Database, FrameRef, Sequence

_VIEWS = {FRONTAL: "frontal", PROFILE: "profile", DUAL: "both views in one frame"}

_AGAIN = "download its session again"
_NOTHING = "nothing to do"


def read(root: Path, options: ReadOptions) -> Database:
    """Read a copy of MMI.

    Parameters
    ----------
    root : Path
        A folder with one or several downloads, or one ``Sessions`` folder.
    options : ReadOptions
        The views that are taken.

    Returns
    -------
    Database
        With a finding of kind ``"error"`` where the study could not run.
    """
    findings = Findings()
    sessions = session_folders(root)
    parents = sorted({session.parent for session in sessions})
    folders = {"sessions" if n == 0 else f"sessions {n + 1}": parent for n, parent in enumerate(parents)}
    if not sessions:
        findings.error(root, explain(root, "mmi"))
    every = [recording for session in sessions for recording in recordings_in(session, findings)]
    recordings = joined_copies(every, findings)
    labelled = [
        (recording, emotion) for recording in recordings if (emotion := _expression(recording, findings)) is not None
    ]
    sequences = [
        sequence
        for recording, emotion in labelled
        if (view := _view(recording, options, findings)) is not None
        and (sequence := _sequence(recording, emotion, view, findings)) is not None
    ]
    found = {
        "clips": len(recordings),
        "sequences": len(labelled),
        "subjects": len({recording.subject for recording, _ in labelled}),
    }
    return Database(
        name="mmi",
        root=root,
        source=source_of(root, folders, sequences, "licensed"),
        expressions=EXPRESSIONS["mmi"],
        sequences=tuple(sequences),
        findings=tuple(findings.items),
        folders=folders,
        found=found if sessions else {},
    )


def _expression(recording: Recording, findings: Findings) -> str | None:
    """Class of a recording; None, with a finding, where it has none of the six."""
    if recording.metadata is None:
        findings.skip(recording.place, f"no {recording.name}.xml beside it, so no emotion; left out, {_AGAIN}")
        return None
    try:
        value = read_emotion(recording.metadata)
    except MetadataError as error:
        findings.problem(recording.metadata, f"{error}; recording left out, {_AGAIN}")
        return None
    if value is None:
        findings.skip(recording.metadata, f"no metatag named Emotion; left out, {_NOTHING}")
        return None
    emotion = EMOTIONS.get(int(value)) if value.isdecimal() and len(value) < 9 else None
    if emotion is None:
        findings.skip(
            recording.metadata,
            f"emotion code {value[:40]} is none of the six basic ones (1 to 6); left out, {_NOTHING}",
        )
    return emotion


def _view(recording: Recording, options: ReadOptions, findings: Findings) -> str | None:
    """View of a recording that is taken; None, with a finding, where it is not."""
    session = recording.session
    if session is None:
        findings.skip(recording.place, f"no session.xml beside it, so its view is not known; left out, {_AGAIN}")
        return None
    try:
        view = read_view(session, recording.name)
    except MetadataError as error:
        findings.problem(session, f"{error}, so the view is not known; recording left out, {_AGAIN}")
        return None
    if view == FRONTAL or (view == DUAL and options.mmi_views == "frontal+dual"):
        return view
    if view is None:
        findings.skip(session, f"no track with one view in it, so the view is not known; left out, {_AGAIN}")
    else:
        advice = "ask for it by --mmi-views frontal+dual" if view == DUAL else _NOTHING
        findings.skip(
            recording.place,
            f"view {view[:40]} ({_VIEWS.get(view, 'not known')}) is not asked for; left out, {advice}",
        )
    return None


def _sequence(recording: Recording, expression: str, view: str, findings: Findings) -> Sequence | None:
    frames = tuple(FrameRef(picture) for picture in recording.pictures)
    length = len(frames)
    if recording.clip is not None:
        try:
            length = count_frames(recording.clip)
        except UnreadableClip as error:
            findings.skip(recording.clip, f"metadata without a readable clip ({error}); left out, {_AGAIN}")
            return None
    if length < FEWEST_FRAMES:
        findings.skip(recording.place, too_few(length))
        return None
    choice = choose_examined(_action_units(recording, findings), length)

    def frame(index: int) -> FrameRef:
        return FrameRef(recording.clip, index) if recording.clip else frames[index]

    return Sequence(
        subject=recording.subject,
        sequence=recording.name,
        expression=expression,
        neutral=frame(0),
        examined=tuple(map(frame, choice.frames)),
        frames=frames,
        frames_chosen_by=choice.chosen_by,
        view="dual" if view == DUAL else "frontal",
        may_lie_on_its_side=True,
    )


def _action_units(recording: Recording, findings: Findings) -> dict[str, list[Marker]] | None:
    if recording.action_units is None:
        return None
    try:
        return read_action_units(recording.action_units)
    except MetadataError as error:
        findings.problem(
            recording.action_units, f"{error}; the middle of the clip is taken instead of its apex, {_AGAIN}"
        )
        return None
