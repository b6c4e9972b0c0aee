"""What networks make of whole sequences, from the neutral face to the apex: frames that the study does not take.

The study trains and tests on the apex alone. Here further frames of validation sequences are cropped, each by itself
as all others are, and given to the networks that were tested on these sequences' subjects.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from gndl.analysis.ensure import ensure_run, one_run
from gndl.analysis.features import trained_network
from gndl.crop_records import relative_to_root
from gndl.crop_sequence import crop_subject, frame_name, taken_frames
from gndl.device import autocast, choose_device, computing_on
from gndl.errors import GndlError
from gndl.files import hash_json
from gndl.frames_reading import as_colour, as_grey
from gndl.methods import MethodSettings
from gndl.model import Method
from gndl.pairs import FacePairs
from gndl.paper import figure_order
from gndl.prepare import Prepared
from gndl.progress import progress
from gndl.results import read_csv, write_csv
from gndl.runs import Run, find_finished
from gndl.sequences import FrameRef, Sequence
from gndl.standins.truth import read_truth

SEQUENCES = 24
POSITIONS = 6
VERSION = 1
"""Raised where what is measured changes, so that no file of an earlier version is read."""

RULE = "the classes in turn, of each the next sequence by name whose subject was taken least often so far"
"""Which sequences of a fold are measured, in words; :func:`sequences_of_fold` does just this."""

COLUMNS = ("method", "lam", "fold", "seed", "subject", "sequence", "truth", "position", "relative", "predicted")


@dataclass(frozen=True, eq=False)
class FramesAlong:
    """Frames of several sequences from neutral to apex, cropped.

    Parameters
    ----------
    images : uint8 array (N, S, S) or (N, S, S, 3)
    table : DataFrame
        One row per image: ``subject``, ``sequence``, ``truth``, ``position`` (0 for neutral to 1 for the apex, as asked
        for), ``relative`` (where the frame lies), ``frame`` (its name) and ``intensity`` (what was rendered, NaN where
        that is not known).
    """

    images: np.ndarray
    table: pd.DataFrame


def along_sequences(
    study: Prepared,
    methods: Iterable[tuple[str | MethodSettings, float | None]],
    folds: Iterable[int],
    *,
    sequences: int = SEQUENCES,
    positions: int = POSITIONS,
) -> pd.DataFrame:
    """Measure methods at evenly spaced moments of validation sequences, or read what was measured before.

    What a run gives is kept in ``tables/intensity`` of the database's folder, named by the run's identity and what was
    asked, so that a second call reads it. Runs without weights are trained again (:func:`gndl.analysis.ensure_run`).

    Parameters
    ----------
    study : Prepared
    methods : iterable of (method, λ)
        λ None for the profile's, or for methods without it.
    folds : iterable of int
    sequences : int
        Of a fold at most, chosen by :data:`RULE`.
    positions : int
        Evenly spaced moments from the neutral face (0) to the apex (1); a short sequence has fewer frames.

    Returns
    -------
    DataFrame
        One row per method, sequence and frame: the columns of :class:`FramesAlong`'s table and ``method``, ``lam``,
        ``fold``, ``seed``, ``source``, ``predicted``, ``confidence``, ``truth_p`` (probability of the sequence's
        class), ``deviation`` (Euclidean length of F_exp-d of Eq. 7, NaN for methods without it), ``from_neutral``
        (distance of F_exam from that of the sequence's neutral frame) and ``note`` (on weights of a second training).
    """
    runs = [one_run(study, method, lam, fold) for fold in folds for method, lam in methods]
    files = {run.folder: _file(study, run, sequences, positions) for run in runs}
    missing = [run for run in runs if (known := files[run.folder]) is None or not known.exists()]
    cropped: dict[int, FramesAlong] = {}
    for run in missing:
        ensured = ensure_run(study, run.method, run.lam, run.fold, run.seed)
        if run.fold not in cropped:
            cropped[run.fold] = crop_along(study, sequences_of_fold(study, run.fold, sequences), positions)
        measured = _measure(study, trained_network(study, ensured), cropped[run.fold], run)
        file = _file(study, run, sequences, positions)
        assert file is not None  # the run is finished now
        files[run.folder] = file
        write_csv(measured.assign(source=study.database.source, note=ensured.note), file)
    tables = [read_csv(file, COLUMNS) for file in files.values() if file is not None]
    return pd.concat([table.astype({"note": object}).fillna({"note": ""}) for table in tables], ignore_index=True)


def sequences_of_fold(study: Prepared, fold: int, count: int = SEQUENCES) -> list[Sequence]:
    """Choose at most ``count`` validation sequences of a fold by :data:`RULE`."""
    tested = set(study.folds.test_subjects[fold])
    left: dict[str, list[Sequence]] = {name: [] for name in figure_order(study.database.expressions)}
    for sequence in sorted(study.database.sequences, key=lambda one: one.sequence):
        if sequence.subject in tested and sequence.sequence not in study.crops.faceless:
            left[sequence.expression].append(sequence)
    taken: Counter[str] = Counter()
    chosen: list[Sequence] = []
    while len(chosen) < count and any(left.values()):
        for own in left.values():
            if own and len(chosen) < count:
                following = min(own, key=lambda one: taken[one.subject])  # of equals the first, by name
                own.remove(following)
                taken[following.subject] += 1
                chosen.append(following)
    return chosen


def frames_along(sequence: Sequence, positions: int) -> list[tuple[float, float, FrameRef]]:
    """Choose the frames nearest to evenly spaced moments from the neutral face to the apex, each once.

    Returns
    -------
    list of (position, relative, frame)
        The moment asked for, where the frame really lies, both from 0 to 1, and the frame. A frame that is nearest to
        two moments stands for the nearer one.
    """
    first, last = sequence.neutral, sequence.examined[-1]
    if first.is_video:
        order = [FrameRef(first.path, index) for index in _range(first.index, last.index)]
    else:
        every = sequence.frames or (first, *sequence.examined)
        order = [every[place] for place in _range(every.index(first), every.index(last))]
    nearest: dict[int, tuple[float, float]] = {}
    steps = max(len(order) - 1, 1)
    for position in np.linspace(0, 1, positions).round(6).tolist():
        place = round(position * (len(order) - 1))
        relative = place / steps
        if place not in nearest or abs(position - relative) < abs(nearest[place][0] - relative):
            nearest[place] = (position, relative)
    return [(position, relative, order[place]) for place, (position, relative) in sorted(nearest.items())]


def _range(first: int, last: int) -> range:
    """From first to last, both included; backwards where somebody has chosen a neutral frame after the apex."""
    return range(first, last + 1) if first <= last else range(first, last - 1, -1)


def crop_along(study: Prepared, sequences: list[Sequence], positions: int) -> FramesAlong:
    """Crop the frames of :func:`frames_along` of several sequences; frames that the study takes are not cropped anew.

    A sequence in which a frame shows no face, and can borrow from none, is left out.
    """
    known = all(frame.landmarks is not None for one in study.database.sequences for frame in taken_frames(one))
    intensity = true_intensity(study)
    images, rows = [], []
    title = f"cropping frames from neutral to apex, {study.database.title}"
    for sequence in progress(sequences, title, unit="sequence"):
        along = frames_along(sequence, positions)
        faces = _faces(study, sequence, [frame for _, _, frame in along], by_landmarks=known)
        if faces is None:
            continue
        for position, relative, frame in along:
            images.append(as_grey(faces[frame]) if study.crops.images.ndim == 3 else as_colour(faces[frame]))
            place = (relative_to_root(frame.path, study.crops.root), frame.index)
            rows.append(
                {
                    "subject": sequence.subject,
                    "sequence": sequence.sequence,
                    "truth": sequence.expression,
                    "position": position,
                    "relative": relative,
                    "frame": frame_name(frame),
                    "intensity": intensity.get(place, np.nan),
                }
            )
    if not images:
        raise GndlError(f"{study.database.root}: no frame of {len(sequences)} validation sequences could be cropped.")
    return FramesAlong(np.stack(images), pd.DataFrame(rows))


def true_intensity(study: Prepared) -> dict[tuple[str, int], float]:
    """What was rendered into every frame of a stand-in, by file and frame (-1 for a picture); empty where not known."""
    if study.database.source != "rendered":
        return {}
    try:
        frames = read_truth(study.database.root).frames
    except GndlError:  # a tree from before the ground truth was kept
        return {}
    known = {}
    for file, index, value in zip(frames["file"], frames["index"], frames["intensity"], strict=True):
        known[str(file), int(index)] = float(value)
        known.setdefault((str(file), -1), float(value))
    return known


def _faces(
    study: Prepared, sequence: Sequence, frames: list[FrameRef], *, by_landmarks: bool
) -> dict[FrameRef, np.ndarray] | None:
    """The crops of some frames of one sequence; None where a frame has none."""
    faces = {frame: np.asarray(study.crops.images[study.crops.key(frame)]) for frame in taken_frames(sequence)}
    several_views = sequence.view == "dual" or sequence.may_lie_on_its_side
    # Where the view is voted on, the frames taken vote as they did.
    shown = frames if several_views else [frame for frame in frames if frame not in faces]
    if shown:
        crops, _ = crop_subject(
            [dataclasses.replace(sequence, neutral=shown[0], examined=tuple(shown[1:]) or (shown[0],))],
            study.request.settings.crop,
            by_landmarks=by_landmarks and all(frame.landmarks is not None for frame in shown),
            may_borrow=study.database.name != "manifest",
        )
        faces = {crop.frame: crop.image for crop in crops} | faces
    return faces if all(frame in faces for frame in frames) else None


def _measure(study: Prepared, network: Method, frames: FramesAlong, run: Run) -> pd.DataFrame:
    """Give every frame to a network, as an examined face; for methods that need it with its sequence's neutral face."""
    table, settings = frames.table, study.train
    names = study.pairs.expressions
    neutral = table.groupby("sequence")["position"].transform("idxmin").to_numpy()
    pairs = FacePairs(
        images=frames.images,
        examined_index=np.arange(len(table)),
        neutral_index=neutral,
        label=np.array([names.index(name) for name in table["truth"]]),
        subject=list(table["subject"]),
        sequence=list(table["sequence"]),
        frame=list(table["frame"]),
        expressions=names,
    )
    device = choose_device(study.request.device)
    parts: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]] = []
    with computing_on(device, settings.precision, settings.threads, run.seed):
        data = pairs.on(device, settings.image_size, mean=settings.input_mean, std=settings.input_std)
        batches = data.evaluation_batches(np.arange(len(table)), 64, with_neutral=run.method.needs_neutral_at_test)
        with torch.no_grad(), autocast(device, settings.precision):
            for batch in batches:
                output = network(batch.examined, batch.neutral)
                deviation = None if output.deviation is None else output.deviation.float().cpu()
                parts.append((output.logits.float().cpu(), output.f_exam.float().cpu(), deviation))
    probabilities = torch.cat([part[0] for part in parts]).softmax(1).double().numpy()
    f_exam = torch.cat([part[1] for part in parts]).double().flatten(1).numpy()
    deviations = [part[2] for part in parts if part[2] is not None]
    length = (
        torch.cat(deviations).double().flatten(1).norm(dim=1).numpy() if deviations else np.full(len(table), np.nan)
    )
    return table.assign(
        method=run.variant,
        lam=run.lam_text,
        fold=run.fold,
        seed=run.seed,
        predicted=[names[place] for place in probabilities.argmax(1)],
        confidence=probabilities.max(1),
        truth_p=probabilities[np.arange(len(table)), pairs.label],
        deviation=length,
        from_neutral=np.linalg.norm(f_exam - f_exam[neutral], axis=1),
    )


def _file(study: Prepared, run: Run, sequences: int, positions: int) -> Path | None:
    """Where the measurement of a finished run is kept; None where the run is not finished."""
    finished = find_finished(study, run)
    if finished is None:
        return None
    asked = {
        "identity": finished.record["identity_hash"],
        "epochs": finished.record["epochs"],
        "crops": study.crops.hash,
        "sequences": sequences,
        "positions": positions,
        "version": VERSION,
    }
    name = f"{run.variant}_lam-{run.lam_text}_fold-{run.fold}_seed-{run.seed}_{hash_json(asked)[:12]}.csv"
    return study.folder / "tables" / "intensity" / name
