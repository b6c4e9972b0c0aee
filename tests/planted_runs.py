"""Finished runs written by hand, with any predictions that a test wants, and a study of them with known answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gndl.files import hash_json, write_csv, write_json
from gndl.methods import method_settings
from gndl.profiles import SMOKE, StudyConfig, TrainSettings
from gndl.results import write_accuracy
from gndl.runs import run_identity

CLASSES = ("anger", "happiness", "surprise")
Frame = tuple[str, str, str, Sequence[float]]
"""Subject, sequence, truth, and the probabilities of the classes."""

SUBJECTS = tuple(f"S{number:03}" for number in range(6))
FOLDS = 3
DATABASES = ("ckplus", "mmi")
ANSWERS = {
    ("baseline", None): (15, 15, 15),
    ("gndl", 5.0): (17, 17, 17),
    ("gndl", 0.5): (15, 17, 17),
}
"""Right answers of 18 in each fold of the planted study, by method and λ."""


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
    out: Path,
    method: str,
    lam: str,
    fold: int,
    table: pd.DataFrame,
    *,
    seed: int = 0,
    database: str = "ckplus",
    identity: dict[str, Any] | None = None,
    epochs: int = 1,
    n_train: int = 30,
) -> Path:
    """Write one finished run whose predictions are ``table``; return its folder."""
    folder = out / database / method / f"lam-{lam}" / f"fold-{fold}" / f"seed-{seed}"
    folder.mkdir(parents=True)
    accuracy = float((table["truth"] == table["predicted"]).mean())
    write_csv(table, folder / "predictions.csv")
    number = np.arange(1, epochs + 1)
    curve = {
        "epoch": number,
        "loss": 1 / number,
        "loss_cls": 1 / number,
        "loss_neu": np.nan if method == "baseline" else 0.5 / number,
        "accuracy_train": number / epochs,
        "accuracy_test": accuracy * number / epochs,
    }
    write_csv(pd.DataFrame(curve), folder / "epochs.csv")
    value = None if lam == "none" else float(lam)
    identity = identity or {
        "method": {"name": method},
        "lam": value,
        "fold": fold,
        "seed": seed,
        "device": "cpu",
        "weights": None,
        "train": {"learning_rate": 0.001, "batch_size": 16},
        "pairs": "planted",
        "train_samples": str(fold),
        "test_samples": str(fold),
        "extra": {"database": database, "source": "rendered", "test_subjects": str(fold)},
    }
    per_pair = 1 if method == "baseline" else 2
    record = {
        "method": {"name": method, "images_per_pair": per_pair},
        "variant": method,
        "lam": value,
        "fold": fold,
        "seed": seed,
        "epochs": epochs,
        "needs_neutral_at_test": False,
        "accuracy_last": accuracy,
        "accuracy_best": accuracy,
        "epoch_best": epochs,
        "n_train": n_train,
        "n_test": len(table),
        "parameters": 1000,
        "images_per_epoch": n_train * per_pair,
        "expressions": [name.removeprefix("p_") for name in map(str, table) if name.startswith("p_")],
        "identity": identity,
        "identity_hash": hash_json(identity),
        "time": {"seconds": 2.0, "images_per_second": n_train * per_pair * epochs / 2},
    }
    write_json(folder / "run.json", record)
    return folder


def planted_settings() -> StudyConfig:
    """What the planted study was asked to do: profile smoke, two epochs, all three folds, λ of 0.5 and 5."""
    train = TrainSettings(image_size=16, epochs=2, batch_size=16, checkpoint_every=0)
    settings = replace(SMOKE, train=train, lams=(0.5, 5.0), n_folds=FOLDS, only_folds=None)
    return StudyConfig(settings, data_roots=dict.fromkeys(DATABASES, ""), device="cpu")


def write_planted_study(out: Path, databases: Sequence[str] = DATABASES) -> Path:
    """Write a whole study without a picture: three subjects' sequences a fold, and the answers of `ANSWERS`."""
    config = planted_settings()
    tested = [SUBJECTS[2 * fold : 2 * fold + 2] for fold in range(FOLDS)]
    n_train = 18 * (FOLDS - 1)
    kept: dict[str, Any] = {
        "root": "",
        "frames_csv": None,
        "source": "rendered",
        "classes": list(CLASSES),
        "pairs": "planted",
    }
    kept["fewest_pairs"] = n_train
    content = {
        "profile": "smoke",
        "purpose": config.settings.purpose,
        "precision": "fp32",
        "seeds": [0],
        "asked": config.as_json() | {"data_roots": dict.fromkeys(databases, "")},
        "command": "planted",
        "device": "cpu",
        "versions": {"python": "3"},
        "git": {"commit": None, "changed": None},
        "machine": {"processor": "none", "cores": 1, "gpu": None},
        "written": "2026-01-01T00:00:00Z",
        "source": "rendered",
        "databases": dict.fromkeys(databases, kept),
    }
    write_json(out / "study.json", content)
    for database in databases:
        write_json(out / database / "folds.json", {str(fold): list(own) for fold, own in enumerate(tested)})
        write_csv(_crops(database), out / database / "crops.csv")
        for (name, lam), right in ANSWERS.items():
            for fold in range(FOLDS):
                identity = run_identity(
                    method_settings(name),
                    config.settings.train,
                    pairs="planted",
                    lam=lam,
                    fold=fold,
                    seed=0,
                    device="cpu",
                    extra={"database": database, "source": "rendered", "test_subjects": hash_json(list(tested[fold]))},
                )
                table = _answers(tested[fold], wrong=18 - right[fold], first=18 * fold)
                text = "none" if lam is None else f"{lam:g}"
                write_run(
                    out, name, text, fold, table,
                    database=database, identity=identity, epochs=config.settings.train.epochs, n_train=n_train,
                )  # fmt: skip
    write_accuracy(out)
    return out


def _answers(subjects: Sequence[str], wrong: int, first: int) -> pd.DataFrame:
    """Eighteen frames of two subjects; ``wrong`` frames of the first one's surprise are called anger."""
    frames: list[Frame] = []
    for subject in subjects:
        for number, truth in enumerate(CLASSES):
            for frame in range(3):
                missed = subject == subjects[0] and truth == "surprise" and frame < wrong
                answer = "anger" if missed else truth
                values = [0.8 if name == answer else 0.1 for name in CLASSES]
                frames.append((subject, f"{subject}_{number:03}", truth, values))
    return predictions(frames, first=first)


def _crops(database: str) -> pd.DataFrame:
    """Rows of a crops.csv: the neutral and three examined crops of every sequence."""
    roles = ("neutral", "examined 1", "examined 2", "examined 3")
    names = [(who, f"{who}_{number:03}", role) for who in SUBJECTS for number in range(len(CLASSES)) for role in roles]
    table = pd.DataFrame(names, columns=["subject", "sequence", "role"])
    eyes = {"left_eye_x": 20.0, "left_eye_y": 30.0, "right_eye_x": 44.0, "right_eye_y": 30.0}
    return table.assign(
        database=database,
        source="rendered",
        frame=table["sequence"] + "_" + table["role"].str[-1] + ".png",
        source_file=table["sequence"] + "/" + table["role"].str[-1] + ".png",
        source_sha256=[hash_json([sequence, role]) for _, sequence, role in names],
        how="landmarks",
        **eyes,
        turned=0,
        half="",
        score="",
        crop=range(len(table)),
    )
