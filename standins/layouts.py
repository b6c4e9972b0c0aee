"""Writes the sequences of each stand-in as its database is distributed.

CK+ (Lucey et al. 2010): ``cohn-kanade-images`` with one folder of 8-bit grey frames for each sequence, ``Landmarks``
for every frame, ``Emotion`` and ``FACS`` for the last one; a sequence without a label has an empty ``Emotion`` folder.
Oulu-CASIA (Zhao et al. 2011): colour JPEGs, ``OriginalImg/VL/Strong/P001/Anger/000.jpeg``.
MMI (Pantic et al. 2005): a folder for each session with ``session.xml`` (view), the clip, its metadata (emotion) and,
for most, the action units over time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from standins.camera import FURTHER, STRONG
from standins.difficulty import DIFFICULTY
from standins.files import atomic_write, write_text
from standins.filming import FilmSet, Frame, Subject, film, stage
from standins.performance import Performance, performed
from standins.plan import EXPRESSIONS, PlannedSequence
from standins.timing import Timing, rise, rise_and_fall
from standins.truth import SequenceTruth

QUALITY = 88
"""Quality of Oulu-CASIA's JPEGs."""
FRAMES_PER_SECOND = 25
BIT_RATE = 2_500_000
"""Of MMI's MPEG-4, in bits a second: its blocks can be seen where something moves."""
PROFILE_TURN = 78.0
"""Turn of a subject in profile view, in degrees."""
VIEWS = ("frontal", "profile", "dual")
"""Names of MMI's views by their number in ``session.xml``."""


@dataclass(frozen=True)
class Layout:
    """How a database is filmed, kept and written."""

    film_set: FilmSet
    as_stored: Callable[[NDArray[np.uint8]], Image.Image]
    write: Callable[[Path, str, Subject, PlannedSequence, FilmSet, np.random.Generator], SequenceTruth]


def _write_ckplus(
    root: Path, name: str, subject: Subject, sequence: PlannedSequence, film_set: FilmSet, rng: np.random.Generator
) -> SequenceTruth:
    performance, drift = performed(sequence.emotion, subject.face.identity.style, film_set.difficulty, rng)
    take = stage(subject, film_set, performance, rise(sequence.n_frames, len(performance.units), rng), rng)
    clip = f"{name}_{sequence.number:03d}"
    folder = Path(name) / f"{sequence.number:03d}"
    truth = SequenceTruth()
    for index, frame in enumerate(film(subject, film_set, take, rng)):
        stem = f"{clip}_{index + 1:08d}"
        file = Path("cohn-kanade-images") / folder / f"{stem}.png"
        with atomic_write(root / file) as aside:
            LAYOUTS["ckplus"].as_stored(frame.picture).save(aside, compress_level=3)
        write_text(root / "Landmarks" / folder / f"{stem}_landmarks.txt", _table(frame.landmarks))
        truth.add(frame, _place("ckplus", name, clip, file, index, sequence.emotion or "") | drift)
    last = f"{clip}_{sequence.n_frames:08d}"
    units = np.array(sorted(performance.intensities().items()), float)
    write_text(root / "FACS" / folder / f"{last}_facs.txt", _table(units))
    (root / "Emotion" / folder).mkdir(parents=True, exist_ok=True)
    if sequence.emotion is not None:
        number = EXPRESSIONS["ckplus"].index(sequence.emotion) + 1
        write_text(root / "Emotion" / folder / f"{last}_emotion.txt", f"   {number:.7e}\n")
    return truth


def _write_oulu_casia(
    root: Path, name: str, subject: Subject, sequence: PlannedSequence, film_set: FilmSet, rng: np.random.Generator
) -> SequenceTruth:
    emotion = str(sequence.emotion)
    performance, drift = performed(emotion, subject.face.identity.style, film_set.difficulty, rng)
    take = stage(subject, film_set, performance, rise(sequence.n_frames, len(performance.units), rng), rng)
    clip = f"{name}_{emotion.capitalize()}"
    truth = SequenceTruth()
    for lighting in (STRONG, *FURTHER) if sequence.in_all_lights else (STRONG,):
        folder = Path("OriginalImg") / lighting.camera / lighting.name / name / emotion.capitalize()
        for index, frame in enumerate(film(subject, film_set, take, rng, lighting=lighting)):
            file = folder / f"{index:03d}.jpeg"
            with atomic_write(root / file) as aside:
                Image.fromarray(frame.picture).save(aside, quality=QUALITY)
            truth.add(frame, _place("oulu_casia", name, clip, file, index, emotion) | drift)
    return truth


def _write_mmi(
    root: Path, name: str, subject: Subject, sequence: PlannedSequence, film_set: FilmSet, rng: np.random.Generator
) -> SequenceTruth:
    emotion = str(sequence.emotion)
    performance, drift = performed(emotion, subject.face.identity.style, film_set.difficulty, rng)
    timing = rise_and_fall(sequence.n_frames, len(performance.units), rng)
    clip = f"{name}-{sequence.number:03d}"
    folder = Path("Sessions") / str(sequence.session)
    view = {"view": VIEWS[sequence.view], "on_its_side": int(sequence.on_its_side)}
    truth = SequenceTruth()

    def noted(frames: Iterable[Frame]) -> Iterable[NDArray[np.uint8]]:
        for index, frame in enumerate(frames):
            truth.add(frame, _place("mmi", name, clip, folder / f"{clip}.avi", index, emotion) | view | drift)
            yield frame.picture

    frames = _mmi_frames(subject, sequence, film_set, performance, timing, rng)
    _write_clip(root / folder / f"{clip}.avi", noted(frames), film_set.size)
    code = EXPRESSIONS["mmi"].index(emotion) + 1
    write_text(root / folder / f"{clip}.xml", _metadata(clip, name, sequence, code))
    write_text(root / folder / "session.xml", _session(clip, sequence))
    if sequence.coded:
        write_text(root / folder / f"{clip}-oao_aucs.xml", _action_units(clip, performance, timing))
    return truth


LAYOUTS = {
    "ckplus": Layout(
        FilmSet(size=(640, 490), eye_distance=(88.0, 112.0), difficulty=DIFFICULTY["ckplus"]),
        lambda picture: Image.fromarray(picture).convert("L"),
        _write_ckplus,
    ),
    "oulu_casia": Layout(
        FilmSet(size=(320, 240), eye_distance=(42.0, 56.0), difficulty=DIFFICULTY["oulu_casia"]),
        Image.fromarray,
        _write_oulu_casia,
    ),
    "mmi": Layout(
        FilmSet(size=(720, 576), eye_distance=(72.0, 94.0), difficulty=DIFFICULTY["mmi"]), Image.fromarray, _write_mmi
    ),
}


def _place(database: str, subject: str, sequence: str, file: Path, index: int, emotion: str) -> dict[str, float | str]:
    """Where a frame lies, as the first columns of ``truth.csv`` say."""
    return {
        "database": database,
        "subject": subject,
        "sequence": sequence,
        "file": file.as_posix(),
        "index": index,
        "emotion": emotion,
    }


def _table(rows: np.ndarray) -> str:
    """Numbers as CK+'s own text files print them."""
    return "".join("".join(f"   {value:.7e}" for value in row) + " \n" for row in rows)


def _mmi_frames(
    subject: Subject,
    sequence: PlannedSequence,
    film_set: FilmSet,
    performance: Performance,
    timing: Timing,
    rng: np.random.Generator,
) -> Iterable[Frame]:
    width, height = film_set.size
    if sequence.view == 2:
        # A mirror next to the face: the same moment from the front and from the side, in one frame.
        film_set = replace(film_set, size=(width // 2, height))
        subject = replace(subject, eye_distance=subject.eye_distance * 0.75)
    elif sequence.on_its_side:
        film_set = replace(film_set, size=(height, width))
    take = stage(subject, film_set, performance, timing, rng)
    if sequence.view == 2:
        front, side = rng.spawn(2)
        return map(
            _in_one_frame, film(subject, film_set, take, front), film(subject, film_set, take, side, body=PROFILE_TURN)
        )
    filmed = film(subject, film_set, take, rng, body=PROFILE_TURN if sequence.view == 1 else 0.0)
    return map(_on_its_side, filmed) if sequence.on_its_side else filmed


def _in_one_frame(frontal: Frame, profile: Frame) -> Frame:
    """Both halves of a dual view; what is known of the frame is known of its frontal half, the left one."""
    return replace(frontal, picture=np.hstack([frontal.picture, profile.picture]))


def _on_its_side(frame: Frame) -> Frame:
    """A frame of a camera that was laid on its side: turned by 90° clockwise the face is upright."""
    width = frame.picture.shape[1]
    x, y = frame.landmarks.T
    return replace(frame, picture=np.rot90(frame.picture, 1), landmarks=np.stack([y, width - x], axis=1))


def _write_clip(path: Path, pictures: Iterable[NDArray[np.uint8]], size: tuple[int, int]) -> None:
    """Write an MPEG-4 clip whose bytes depend on nothing but the pictures."""
    with atomic_write(path) as aside, av.open(str(aside), "w", options={"fflags": "+bitexact"}) as container:
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
