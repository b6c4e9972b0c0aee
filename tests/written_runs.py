"""Finished runs written by hand, with any predictions that a test wants, and none of the training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from gndl.files import hash_json, write_json

CLASSES = ("anger", "happiness", "surprise")
Frame = tuple[str, str, str, Sequence[float]]
"""Subject, sequence, truth, and the probabilities of `CLASSES`."""


def predictions(frames: Sequence[Frame], classes: Sequence[str] = CLASSES, first: int = 0) -> pd.DataFrame:
    """Rows of a predictions.csv, samples numbered from ``first``."""
    return pd.DataFrame(
        [
            {
                "sample": first + number,
                "subject": subject,
                "sequence": sequence,
                "frame": f"{first + number}.png",
                "truth": truth,
                "predicted": classes[int(np.argmax(values))],
                **{f"p_{name}": value for name, value in zip(classes, values, strict=True)},
            }
            for number, (subject, sequence, truth, values) in enumerate(frames)
        ]
    )


def write_run(
    out: Path, method: str, lam: str, fold: int, table: pd.DataFrame, *, seed: int = 0, database: str = "ckplus"
) -> Path:
    """Write one finished run whose predictions are ``table``; return its folder."""
    folder = out / database / method / f"lam-{lam}" / f"fold-{fold}" / f"seed-{seed}"
    folder.mkdir(parents=True)
    accuracy = float((table["truth"] == table["predicted"]).mean())
    table.to_csv(folder / "predictions.csv", index=False)
    epochs = {"epoch": [1], "loss": [1.0], "accuracy_train": [1.0], "accuracy_test": [accuracy]}
    pd.DataFrame(epochs).to_csv(folder / "epochs.csv", index=False)
    identity = {
        "method": {"name": method},
        "lam": lam,
        "fold": fold,
        "seed": seed,
        "weights": None,
        "train": {"learning_rate": 0.001},
        "train_samples": str(fold),
        "test_samples": str(fold),
        "extra": {"source": "rendered", "test_subjects": str(fold)},
    }
    record = {
        "method": {"name": method, "images_per_pair": 1 if method == "baseline" else 2},
        "epochs": 1,
        "needs_neutral_at_test": False,
        "accuracy_last": accuracy,
        "accuracy_best": accuracy,
        "epoch_best": 1,
        "n_train": 30,
        "n_test": len(table),
        "parameters": 1000,
        "images_per_epoch": 30,
        "identity": identity,
        "identity_hash": hash_json(identity),
    }
    write_json(folder / "run.json", record)
    return folder


def simulated(
    truths: Sequence[Sequence[str]],
    classes: Sequence[str],
    skill: float,
    random: np.random.Generator,
    shared: np.ndarray,
    first: int = 0,
    prefix: str = "S",
) -> pd.DataFrame:
    """Predictions of a method of some ``skill`` for one fold: one row of ``truths`` per subject, three frames each.

    ``shared`` (subjects, sequences, classes) is what two methods have in common, so that they agree as methods do.
    """
    frames: list[Frame] = []
    for number, sequences in enumerate(truths):
        easiness = random.normal(0, 0.4)
        for place, truth in enumerate(sequences):
            own = shared[number, place] + random.normal(0, 0.8, len(classes))
            own[list(classes).index(truth)] += skill + easiness
            for _ in range(3):
                values = np.exp(own + random.normal(0, 0.2, len(classes)))
                frames.append((f"{prefix}{number:03}", f"{prefix}{number:03}_{place:03}", truth, values / values.sum()))
    return predictions(frames, classes, first)


def write_simulated_study(
    out: Path,
    skills: dict[tuple[str, str], float],
    *,
    classes: Sequence[str],
    database: str = "oulu_casia",
    folds: int = 10,
    subjects: int = 8,
    seed: int = 0,
) -> None:
    """Write a study of realistic size: every method of ``skills`` (by method and λ) on the same folds."""
    for fold in range(folds):
        random = np.random.default_rng([seed, fold])
        truths = [list(classes) for _ in range(subjects)]
        shared = random.normal(0, 1.0, (subjects, len(classes), len(classes)))
        for number, ((method, lam), skill) in enumerate(skills.items()):
            own = np.random.default_rng([seed, fold, number])
            first = fold * subjects * len(classes) * 3
            table = simulated(truths, classes, skill, own, shared, first, prefix=f"F{fold}P")
            write_run(out, method, lam, fold, table, database=database)
