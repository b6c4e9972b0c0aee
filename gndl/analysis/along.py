"""What networks make of whole sequences, from the neutral face to the apex: frames that the study does not take.

The study trains and tests on the apex alone. Here further frames of test sequences are cropped, each by itself as all
others are, and given to the networks that were tested on these sequences' subjects.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from gndl.alignment import crop_sequence, frame_name, taken_frames
from gndl.analysis.features import has_weights, load_network, outputs, run_of
from gndl.analysis.groups import read_truth
from gndl.analysis.scores import interval_over_subjects
from gndl.crops import relative_to_root
from gndl.device import choose_device, computing_on
from gndl.files import GndlError, progress, write_csv
from gndl.frames import as_colour, as_grey
from gndl.methods import MethodSettings
from gndl.pairs import FacePairs
from gndl.paper import figure_order
from gndl.record import lam_text
from gndl.sequences import Database, FrameRef, Sequence

if TYPE_CHECKING:
    from gndl.runs import Run
    from gndl.study import Study

FOLDS_ALONG = 3
"""Maximum number of folds evaluated on full sequences."""


def along_sequences(
    study: Study, methods: Iterable[str | MethodSettings], sequences: int = 18, positions: int = 5
) -> pd.DataFrame:
    """Measure methods at evenly spaced moments of test sequences, in at most three folds that have all weights.

    At most ``sequences`` of all these folds: the classes come in turn; of each, the sequence whose subject, then whose
    fold, was taken least often so far, the first of these by name. ``positions`` moments from the neutral face (0) to
    the apex (1); a short sequence has fewer frames. The curves are also kept in ``analysis/intensity.csv``, for a
    packed record. `GndlError` where no fold has the weights of all methods, naming the command that trains a run.

    Returns
    -------
    DataFrame
        One row per method, sequence and frame: ``method``, ``lam``, ``fold``, ``seed``, ``subject``, ``sequence``,
        ``truth``, ``position`` (as asked for), ``relative`` (where the frame lies), ``frame``, ``intensity`` (as
        rendered, NaN where not known), ``predicted``, ``confidence``, ``truth_p`` (probability of the sequence's
        class), ``deviation`` (Euclidean length of F_exp-d of Eq. 7, NaN for methods without it) and ``from_neutral``
        (distance of F_exam from that of the sequence's neutral frame).
    """
    methods = tuple(methods)
    folds = [fold for fold in study.run_folds if all(has_weights(study, method, fold) for method in methods)]
    for method in methods if not folds else ():
        load_network(study, run_of(study, method, study.run_folds[0]))  # says what is missing, and which command helps
    tables = []
    for fold, own in choose_sequences(study, folds[:FOLDS_ALONG], sequences).items():
        images, frames = crop_along(study, own, positions)
        tables += [_measure(study, run_of(study, method, fold), images, frames) for method in methods]
    table = pd.concat(tables, ignore_index=True)
    kept = curves(table)
    kept = kept.assign(lam=kept["lam"].map(lam_text), database=study.name, source=study.source)
    write_csv(kept, study.analysis / "intensity.csv")
    return table


def curves(along: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Average what :func:`along_sequences` measured, one row per method, λ and ``position``.

    ``sequences``, ``subjects``, ``accuracy`` with ``accuracy_low`` and ``accuracy_high`` (95 % over subjects, NaN below
    five), ``truth_p``, ``deviation`` and ``from_neutral`` (lengths relative to the same sequence's apex, averaged; NaN
    where the method has none) and ``intensity`` (as rendered).
    """
    key = ["method", "lam", "fold", "seed", "sequence"]
    table = along.sort_values([*key, "position"], ignore_index=True)
    apex = table.groupby(key, sort=False, dropna=False)[["deviation", "from_neutral"]].transform("last")
    for name in apex:
        table[name] = table[name] / apex[name].where(apex[name] > 0)
    table["right"] = table["predicted"] == table["truth"]
    rows = []
    for names, own in table.groupby(["method", "lam", "position"], dropna=False):
        row = dict(zip(("method", "lam", "position"), names, strict=True)) | {"sequences": len(own)}
        row |= {"subjects": own["subject"].nunique(), "accuracy": own["right"].mean()}
        low, high = interval_over_subjects(own["right"], own["subject"], seed=seed)
        means = own[["truth_p", "deviation", "from_neutral", "intensity"]].mean()
        rows.append(row | {"accuracy_low": low, "accuracy_high": high} | means.to_dict())
    return pd.DataFrame(rows)


def choose_sequences(study: Study, folds: Iterable[int], count: int) -> dict[int, list[Sequence]]:
    """Choose at most ``count`` test sequences of some folds by the rule of :func:`along_sequences`, by fold."""
    fold_of = {subject: fold for fold in folds for subject in study.folds.test_subjects[fold]}
    left: dict[str, list[Sequence]] = {name: [] for name in figure_order(study.database.expressions)}
    for sequence in sorted(study.database.sequences, key=lambda one: one.sequence):
        if sequence.subject in fold_of and sequence.sequence not in study.crops.faceless:
            left[sequence.expression].append(sequence)
    taken: Counter[str | int] = Counter()
    chosen: dict[int, list[Sequence]] = {}
    while count and any(left.values()):
        for own in left.values():
            if own and count:
                following = min(own, key=lambda one: (taken[one.subject], taken[fold_of[one.subject]]))
                own.remove(following)
                taken.update((following.subject, fold_of[following.subject]))
                chosen.setdefault(fold_of[following.subject], []).append(following)
                count -= 1
    return dict(sorted(chosen.items()))


def frames_along(sequence: Sequence, positions: int) -> list[tuple[float, float, FrameRef]]:
    """The frames nearest to evenly spaced moments from the neutral face to the apex, each once.

    Each with the moment asked for and where it really lies, both from 0 to 1. A frame that is nearest to two moments
    stands for the nearer one.
    """
    first, last = sequence.neutral, sequence.examined[-1]
    if first.is_video and not sequence.frames:
        every: tuple[FrameRef, ...] = ()
        start, end = first.index, last.index
    else:
        every = sequence.frames or (first, *sequence.examined)
        start, end = every.index(first), every.index(last)
    step = 1 if start <= end else -1  # backwards where a neutral frame after the apex was chosen
    order = [every[at] if every else FrameRef(first.path, at) for at in range(start, end + step, step)]
    nearest: dict[int, tuple[float, float]] = {}
    for position in np.linspace(0, 1, positions).round(6).tolist():
        place = round(position * (len(order) - 1))
        relative = place / max(len(order) - 1, 1)
        if place not in nearest or abs(position - relative) < abs(nearest[place][0] - relative):
            nearest[place] = (position, relative)
    return [(position, relative, order[place]) for place, (position, relative) in sorted(nearest.items())]


def crop_along(study: Study, sequences: list[Sequence], positions: int) -> tuple[np.ndarray, pd.DataFrame]:
    """Crop the frames of :func:`frames_along` of several sequences, and describe each in a row.

    Frames that the study takes are not cropped anew. A sequence in which a frame shows no face, and can borrow from
    none, is left out.
    """
    intensity, in_shape = true_intensity(study.database), as_grey if study.crops.images.ndim == 3 else as_colour
    images, rows = [], []
    for sequence in progress(sequences, f"Cropping sequences of {study.title}", unit="sequence"):
        along = frames_along(sequence, positions)
        faces = faces_of(study, sequence, [frame for _, _, frame in along])
        if not all(frame in faces for _, _, frame in along):
            continue
        for position, relative, frame in along:
            images.append(in_shape(faces[frame]))
            place = (relative_to_root(frame.path, study.crops.root), frame.index)
            names = (sequence.subject, sequence.sequence, sequence.expression)
            rows.append((*names, position, relative, frame_name(frame), intensity.get(place, np.nan)))
    if not images:
        raise GndlError(f"{study.database.root}: no frame of {len(sequences)} test sequences could be cropped.")
    columns = ["subject", "sequence", "truth", "position", "relative", "frame", "intensity"]
    return np.stack(images), pd.DataFrame(rows, columns=columns)


def true_intensity(database: Database) -> dict[tuple[str, int], float]:
    """What was rendered into every frame of a stand-in, by file and frame (-1 for a picture); empty where not known."""
    if database.source != "rendered":
        return {}
    try:
        frames = read_truth(database.root)[0]
    except GndlError:  # its ground truth is elsewhere
        return {}
    known = dict(zip(zip(frames["file"], frames["index"], strict=True), frames["intensity"], strict=True))
    return {(file, -1): value for (file, _), value in reversed(known.items())} | known


def faces_of(study: Study, sequence: Sequence, frames: Iterable[FrameRef]) -> dict[FrameRef, np.ndarray]:
    """The crops of some frames of one sequence, without those that show no face; taken ones are not cropped anew."""
    faces = {frame: np.asarray(study.crops.images[study.crops.key(frame)]) for frame in taken_frames(sequence)}
    rows = study.crops.table[study.crops.table["sequence"] == sequence.sequence]
    shown = [frame for frame in frames if frame not in faces]
    if (rows["turned"] == 0).all() and (rows["half"] == "").all():
        sequence = dataclasses.replace(sequence, view="frontal", may_lie_on_its_side=False)
    elif shown:
        shown = list(frames)  # the view is voted on again, and the frames taken vote as they did
    if shown:
        crops, _ = crop_sequence(
            dataclasses.replace(sequence, neutral=shown[0], examined=tuple(shown[1:]) or (shown[0],)),
            study.settings.crop,
            by_landmarks=set(rows["how"]) == {"landmarks"} and all(frame.landmarks is not None for frame in shown),
            may_borrow=study.name != "manifest",
        )
        faces = {crop.frame: crop.image for crop in crops} | faces
    return faces


def _measure(study: Study, run: Run, images: np.ndarray, frames: pd.DataFrame) -> pd.DataFrame:
    """Give every frame to a network, as an examined face; for methods that need it with its sequence's neutral face."""
    names, settings, device = study.classes, study.train_settings, choose_device(study.device)
    neutral = frames.groupby("sequence")["position"].transform("idxmin").to_numpy()
    pairs = FacePairs.of_faces(images, names)
    pairs = dataclasses.replace(pairs, neutral_index=neutral, sequence=list(frames["sequence"]))
    network = load_network(study, run)
    with computing_on(device, settings.precision, settings.threads, run.seed):
        data = pairs.on(device, settings.image_size, mean=settings.input_mean, std=settings.input_std)
        output = outputs(network, data, np.arange(len(frames)), settings)
    probabilities, f_exam = output.logits.softmax(1).double().numpy(), output.f_exam.double().numpy()
    label = np.array([names.index(name) for name in frames["truth"]])
    about = {"method": run.variant, "lam": np.nan if run.lam is None else run.lam, "fold": run.fold, "seed": run.seed}
    measured = {
        "predicted": [names[place] for place in probabilities.argmax(1)],
        "confidence": probabilities.max(1),
        "truth_p": probabilities[np.arange(len(frames)), label],
        "deviation": np.nan if output.deviation is None else output.deviation.double().norm(dim=1).numpy(),
        "from_neutral": np.linalg.norm(f_exam - f_exam[neutral], axis=1),
    }
    return pd.DataFrame(about | dict(frames.items()) | measured)
