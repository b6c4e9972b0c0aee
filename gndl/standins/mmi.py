"""Writes a subject of the MMI stand-in as the database is distributed (Pantic et al. 2005).

One folder for each session with ``session.xml`` (view), the clip, its metadata (emotion) and, for most, the action
units over time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import starmap
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from gndl.files import write_text, written_aside
from gndl.paper import EXPRESSIONS
from gndl.standins.expressions import Performance, Timing, perform, rise_and_fall
from gndl.standins.filming import Studio, Subject, film
from gndl.standins.head import load_head
from gndl.standins.plan import PlannedSequence

STUDIO = Studio(size=(720, 576), eye_distance=(88.0, 116.0), pose=(10.0, 7.0, 5.0), drift=2.0)
FRAMES_PER_SECOND = 25
PROFILE_TURN = 78.0
"""Turn of a subject in profile view, in degrees."""


def write_sequence(
    root: Path, name: str, subject: Subject, sequence: PlannedSequence, rng: np.random.Generator
) -> None:
    """Film one clip and write its session below ``root``."""
    emotion = str(sequence.emotion)
    performance = perform(emotion, load_head().action_names, rng)
    timing = rise_and_fall(sequence.n_frames, len(performance.units), rng)
    clip = f"{name}-{sequence.number:03d}"
    folder = root / "Sessions" / str(sequence.session)
    _write_clip(folder / f"{clip}.avi", _pictures(subject, sequence, performance, timing, rng))
    code = EXPRESSIONS["mmi"].index(emotion) + 1
    write_text(folder / f"{clip}.xml", _metadata(clip, name, sequence, code))
    write_text(folder / "session.xml", _session(clip, sequence))
    if sequence.coded:
        write_text(folder / f"{clip}-oao_aucs.xml", _action_units(clip, performance, timing))


def _pictures(
    subject: Subject, sequence: PlannedSequence, performance: Performance, timing: Timing, rng: np.random.Generator
) -> Iterable[NDArray[np.uint8]]:
    if sequence.view != 2:
        body = PROFILE_TURN if sequence.view == 1 else 0.0
        return (frame.picture for frame in film(subject, STUDIO, performance, timing, rng, body=body))
    half = replace(STUDIO, size=(STUDIO.size[0] // 2, STUDIO.size[1]))
    nearer = replace(subject, eye_distance=subject.eye_distance * 0.75)
    front, side = rng.spawn(2)
    frontal = film(nearer, half, performance, timing, front)
    profile = film(nearer, half, performance, timing, side, body=PROFILE_TURN)
    return starmap(lambda a, b: np.hstack([a.picture, b.picture]), zip(frontal, profile, strict=True))


def _write_clip(path: Path, pictures: Iterable[NDArray[np.uint8]]) -> None:
    """Write an MPEG-4 clip whose bytes depend on nothing but the pictures."""
    with written_aside(path) as aside, av.open(str(aside), "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("mpeg4", rate=FRAMES_PER_SECOND)
        stream.width, stream.height = STUDIO.size
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 6_000_000
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {"flags": "+bitexact", "g": "12"}
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        container.mux(stream.encode())


def _metadata(clip: str, name: str, sequence: PlannedSequence, code: int) -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<Sequence Name="{clip}">\n'
        f'  <Metatag Name="Subject" Value="{int(name[1:])}"/>\n'
        f'  <Metatag Name="View" Value="{sequence.view}"/>\n'
        f'  <Metatag Name="Emotion" Value="{code}"/>\n'
        "</Sequence>\n"
    )


def _session(clip: str, sequence: PlannedSequence) -> str:
    annotations = [f"{clip}.xml"] + ([f"{clip}-oao_aucs.xml"] if sequence.coded else [])
    lines = "".join(f'    <annotation filename="{name}"/>\n' for name in annotations)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<session sessionId="{sequence.session}">\n'
        f'  <track filename="{clip}.avi" view="{sequence.view}">\n{lines}  </track>\n'
        "</session>\n"
    )


def _action_units(clip: str, performance: Performance, timing: Timing) -> str:
    """Markers of each action unit: 0 neutral, 1 onset, 2 apex, 3 offset; frames from 1."""
    units = []
    for unit, (onset, apex, offset, neutral) in zip(performance.units, timing.markers.tolist(), strict=True):
        moments = [(0, 0), (1, onset), (2, apex), (3, offset), (0, neutral)]
        markers = "".join(f'    <Marker Type="{kind}" Frame="{frame + 1}"/>\n' for kind, frame in moments)
        units.append(f'  <ActionUnit Number="{unit}">\n{markers}  </ActionUnit>\n')
    return f'<?xml version="1.0" encoding="utf-8"?>\n<Annotation Sequence="{clip}">\n{"".join(units)}</Annotation>\n'
