"""Writes a subject of the MMI stand-in as the database is distributed (Pantic et al. 2005).

One folder for each session with ``session.xml`` (view), the clip, its metadata (emotion) and, for most, the action
units over time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gndl.files import write_text, written_aside
from gndl.paper import EXPRESSIONS
from gndl.standins.difficulty import DIFFICULTY
from gndl.standins.filming import Frame, Studio, Subject, film, stage
from gndl.standins.performance import Performance
from gndl.standins.performing import performed
from gndl.standins.plan import PlannedSequence
from gndl.standins.timing import Timing, rise_and_fall
from gndl.standins.truth import SequenceTruth

STUDIO = Studio(size=(720, 576), eye_distance=(72.0, 94.0), difficulty=DIFFICULTY["mmi"])
FRAMES_PER_SECOND = 25
BIT_RATE = 2_500_000
"""Of a clip's MPEG-4, in bits a second: its blocks can be seen where something moves."""
PROFILE_TURN = 78.0
"""Turn of a subject in profile view, in degrees."""


def write_sequence(
    root: Path, name: str, subject: Subject, sequence: PlannedSequence, studio: Studio, rng: np.random.Generator
) -> SequenceTruth:
    """Film one clip and write its session below ``root``."""
    emotion = str(sequence.emotion)
    performance, drifting = performed(subject, emotion, studio, rng)
    timing = rise_and_fall(sequence.n_frames, len(performance.units), rng)
    clip = f"{name}-{sequence.number:03d}"
    folder = Path("Sessions") / str(sequence.session)
    truth = SequenceTruth()

    def noted(frames: Iterable[Frame]) -> Iterable[NDArray[np.uint8]]:
        for index, frame in enumerate(frames):
            place: dict[str, float | str] = {
                "database": "mmi",
                "subject": name,
                "sequence": clip,
                "file": (folder / f"{clip}.avi").as_posix(),
                "index": index,
                "emotion": emotion,
                "view": VIEWS[sequence.view],
                "on_its_side": int(sequence.on_its_side),
            }
            truth.add(frame, place | drifting)
            yield frame.picture

    frames = _frames(subject, sequence, studio, performance, timing, rng)
    _write_clip(root / folder / f"{clip}.avi", noted(frames), studio.size)
    code = EXPRESSIONS["mmi"].index(emotion) + 1
    write_text(root / folder / f"{clip}.xml", _metadata(clip, name, sequence, code))
    write_text(root / folder / "session.xml", _session(clip, sequence))
    if sequence.coded:
        write_text(root / folder / f"{clip}-oao_aucs.xml", _action_units(clip, performance, timing))
    return truth


VIEWS = ("frontal", "profile", "dual")
"""Names of the views by their number in ``session.xml``."""


def _frames(
    subject: Subject,
    sequence: PlannedSequence,
    studio: Studio,
    performance: Performance,
    timing: Timing,
    rng: np.random.Generator,
) -> Iterable[Frame]:
    width, height = studio.size
    if sequence.view == 2:
        # A mirror beside the face: the same moment from the front and from the side, in one frame.
        studio = replace(studio, size=(width // 2, height))
        subject = replace(subject, eye_distance=subject.eye_distance * 0.75)
    elif sequence.on_its_side:
        studio = replace(studio, size=(height, width))
    take = stage(subject, studio, performance, timing, rng)
    if sequence.view == 2:
        front, side = rng.spawn(2)
        return map(
            beside,
            film(subject, studio, take, front),
            film(subject, studio, take, side, body=PROFILE_TURN),
        )
    filmed = film(subject, studio, take, rng, body=PROFILE_TURN if sequence.view == 1 else 0.0)
    return map(on_its_side, filmed) if sequence.on_its_side else filmed


def beside(frontal: Frame, profile: Frame) -> Frame:
    """Both halves of a dual view; what is known of the frame is known of its frontal half, the left one."""
    return replace(frontal, picture=np.hstack([frontal.picture, profile.picture]))


def on_its_side(frame: Frame) -> Frame:
    """A frame of a camera that was laid on its side: turned by 90° clockwise the face is upright."""
    width = frame.picture.shape[1]
    x, y = frame.landmarks.T
    return replace(frame, picture=np.rot90(frame.picture, 1), landmarks=np.stack([y, width - x], axis=1))


def as_stored(picture: NDArray[np.uint8]) -> Image.Image:
    """A frame as the database keeps it: in colour."""
    return Image.fromarray(picture)


def _write_clip(path: Path, pictures: Iterable[NDArray[np.uint8]], size: tuple[int, int]) -> None:
    """Write an MPEG-4 clip whose bytes depend on nothing but the pictures."""
    with written_aside(path) as aside, av.open(str(aside), "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("mpeg4", rate=FRAMES_PER_SECOND)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = BIT_RATE
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
