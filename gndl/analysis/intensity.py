"""What networks make of whole sequences, from the neutral face to the apex: frames that the study does not take.

The study trains and tests on the apex alone. Here further frames of validation sequences are cropped, each by itself
as all others are, and given to the networks that were tested on these sequences' subjects.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from gndl.analysis.ensure import ensure_run, one_run
from gndl.analysis.features import trained_network
from gndl.analysis.frames_along import POSITIONS, SEQUENCES, FramesAlong, choose_sequences, crop_along
from gndl.device import autocast, choose_device, computing_on
from gndl.files import hash_json
from gndl.methods import MethodSettings
from gndl.model import Method
from gndl.pairs import FacePairs
from gndl.prepare import Prepared
from gndl.results import read_csv, write_csv
from gndl.runs import Run, find_finished
from gndl.sequences import Sequence

VERSION = 1
"""Raised where what is measured changes, so that no file of an earlier version is read."""

COLUMNS = ("method", "lam", "fold", "seed", "subject", "sequence", "truth", "position", "relative", "predicted")


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
        Of all these folds at most, chosen by :data:`gndl.analysis.frames_along.RULE`.
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
    chosen, methods = choose_sequences(study, folds, sequences), list(methods)
    runs = [one_run(study, method, lam, fold) for fold in chosen for method, lam in methods]
    cropped: dict[int, FramesAlong] = {}
    files = []
    for run in runs:
        own = chosen[run.fold]
        file = _file(study, run, own, positions)
        if file is None or not file.exists():
            ensured = ensure_run(study, run.method, run.lam, run.fold, run.seed)
            if run.fold not in cropped:
                cropped[run.fold] = crop_along(study, own, positions)
            measured = _measure(study, trained_network(study, ensured), cropped[run.fold], run)
            file = _file(study, run, own, positions)
            assert file is not None  # the run is finished now
            write_csv(measured.assign(source=study.database.source, note=ensured.note), file)
        files.append(file)
    tables = [read_csv(file, COLUMNS) for file in files]
    return pd.concat([table.astype({"note": object}).fillna({"note": ""}) for table in tables], ignore_index=True)


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


def _file(study: Prepared, run: Run, sequences: list[Sequence], positions: int) -> Path | None:
    """Where the measurement of a finished run is kept; None where the run is not finished."""
    finished = find_finished(study, run)
    if finished is None:
        return None
    asked = {
        "identity": finished.record["identity_hash"],
        "epochs": finished.record["epochs"],
        "crops": study.crops.hash,
        "sequences": [sequence.sequence for sequence in sequences],
        "positions": positions,
        "version": VERSION,
    }
    name = f"{run.variant}_lam-{run.lam_text}_fold-{run.fold}_seed-{run.seed}_{hash_json(asked)[:12]}.csv"
    return study.folder / "tables" / "intensity" / name
