"""Features of one validation fold with a structure that was put in by hand, and a tiny study to read real ones from."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from planted import EXPRESSIONS, planted_pairs

from gndl.analysis.features import FoldFeatures
from gndl.folds import Folds
from gndl.methods import method_settings
from gndl.prepare import Prepared
from gndl.profiles import SMOKE, TrainSettings
from gndl.request import StudyRequest, save_request
from gndl.runs import Run
from gndl.sequences import Database

RUN = Run(method_settings("gndl"), "gndl", 5.0, 0, 0, Path("out/ckplus/gndl/lam-5/fold-0/seed-0"), 0)


def planted_features(
    *, people: int = 6, others: int = 6, sequences: int = 3, frames: int = 3, channels: int = 24, **more: Any
) -> FoldFeatures:
    """Return features in which F_neu is the person, F_exam the person and the expression, and G knows the person.

    ``people`` are validated, ``others`` are in the gallery alone. Every sequence has a neutral crop of its own, with a
    little noise beside the person. ``more`` replaces fields.
    """
    random = np.random.default_rng(0)
    person = np.abs(random.normal(2, 1, (people + others, channels)))
    expression = random.normal(0, 2, (len(EXPRESSIONS), channels))
    whose = np.repeat(np.arange(people + others), sequences)
    gallery = person[whose] + random.normal(0, 0.01, (len(whose), channels))
    own = np.repeat(np.arange(people * sequences), frames)
    label = own % sequences % len(EXPRESSIONS)
    f_exam = person[whose[own]] + expression[label] + random.normal(0, 0.01, (len(own), channels))
    f_gen = person[whose[own]]
    probabilities = np.eye(len(EXPRESSIONS))[label] * 0.7 + 0.1
    values: dict[str, Any] = {
        "run": RUN,
        "key": "0123-2",
        "note": "",
        "expressions": EXPRESSIONS,
        "pairs": np.arange(len(own)),
        "f_exam": f_exam.astype(np.float32),
        "f_gen": f_gen.astype(np.float32),
        "deviation": (f_exam - f_gen).astype(np.float32),
        "probabilities": probabilities.astype(np.float32),
        "probabilities_real": probabilities.astype(np.float32),
        "label": label,
        "subject": np.array([f"S{k:03}" for k in whose[own]]),
        "sequence": np.array([f"S{whose[k]:03}_{k % sequences}" for k in own]),
        "frame": np.array([f"{k:04}.png" for k in range(len(own))]),
        "gallery": gallery.astype(np.float32),
        "gallery_subject": np.array([f"S{k:03}" for k in whose]),
        "gallery_crop": np.arange(len(whose)),
        "own": own,
    }
    return FoldFeatures(**(values | more))


def planted_study(out: Path, folds: int = 2) -> Prepared:
    """A study of planted faces, called rendered, with no run yet; as many ``folds`` of six subjects are run."""
    train = TrainSettings(image_size=32, epochs=1, batch_size=12, min_steps=0)
    settings = dataclasses.replace(SMOKE, train=train, only_folds=tuple(range(folds)))
    request = save_request(StudyRequest(out, settings, {"ckplus": "trees"}, device="cpu"))
    pairs = planted_pairs(n_pairs=36)
    dealt = Folds((("S000", "S001"), ("S002", "S003"), ("S004", "S005")))
    database = Database("ckplus", out / "trees", "rendered", EXPRESSIONS, ())
    crops = SimpleNamespace(notes=(), table=None)  # what is measured reads the pairs alone
    return Prepared(request, database, crops, pairs, dealt, tuple(range(folds)), train)  # type: ignore[arg-type]
