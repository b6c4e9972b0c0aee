"""A finished study written by hand that passes every audit: source files, cached crops, honest hashes, figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from gndl import results
from gndl.analysis.comparisons import compare_database
from gndl.analysis.hard_samples import compare_samples
from gndl.analysis.paired import paired_differences
from gndl.analysis.variants import Variant
from gndl.checking.samples import samples_of_crops
from gndl.comparison import with_holm
from gndl.figures.training import counts_table
from gndl.files import hash_file, hash_json, write_json, write_text
from gndl.manuscript.floats import numbers_tex, study_numbers
from gndl.pairs import FacePairs
from gndl.report import confusion_by_title, settings_of
from gndl.tables.results_table import save_table_1, table_1
from gndl.tables.scores import save_scores, score_table
from gndl.tables.study import save_comparisons, save_study_table, study_table_1

CLASSES = ("anger", "happiness")
FOLDS = (("S001", "S002"), ("S003", "S004"), ("S005", "S006"))
VARIANTS = (("baseline", "none", 0.7), ("gndl", "5", 0.9))


def write_audited_study(base: Path, *, seeds: tuple[int, ...] = (0,), precision: str = "fp32", draw: int = 0) -> Path:
    """Write source files, crops (in ``base/data``) and a study of two methods on three folds; return its directory.

    ``GNDL_DATA`` must be ``base/data``. Another ``draw`` gives other predictions on the same faces.
    """
    out, random = base / "study", np.random.default_rng(draw)
    crops, images = _crops(base)
    samples = samples_of_crops(crops)
    truth = [CLASSES[int(name[-1]) % 2] for name in samples["sequence"]]
    pairs = FacePairs(
        images=images,
        examined_index=samples["crop"].to_numpy(np.int64),
        neutral_index=samples["neutral_crop"].to_numpy(np.int64),
        label=np.array([CLASSES.index(name) for name in truth], dtype=np.int64),
        subject=tuple(samples["subject"]),
        sequence=tuple(samples["sequence"]),
        frame=tuple(samples["frame"]),
        expressions=CLASSES,
    )
    folder = out / "ckplus"
    results.write_csv(crops, folder / "crops.csv")
    write_json(folder / "folds.json", {str(fold): list(tested) for fold, tested in enumerate(FOLDS)})
    for seed in seeds:
        for method, lam, skill in VARIANTS:
            for fold, tested in enumerate(FOLDS):
                own = samples.assign(truth=truth)[samples["subject"].isin(tested)]
                _write_run(out, method, lam, fold, seed, own, skill, random, pairs, samples, precision)
    _write_study_json(base, out, seeds, precision)
    results.write_accuracy(out)
    _figures(out, folder)
    return out


def _crops(base: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """Six subjects with two sequences of a neutral and three examined frames each."""
    rows, root = [], base / "copy"
    random = np.random.default_rng(7)
    for subject in (name for tested in FOLDS for name in tested):
        for number in range(2):
            sequence = f"{subject}_00{number}"
            for place, role in enumerate(("neutral", "examined 1", "examined 2", "examined 3")):
                name = f"images/{sequence}_{place:08}.png"
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_bytes(random.bytes(40))
                rows.append(
                    {
                        "database": "ckplus",
                        "source": "rendered",
                        "sequence": sequence,
                        "subject": subject,
                        "role": role,
                        "frame": Path(name).name,
                        "source_file": name,
                        "source_sha256": hash_file(root / name),
                        "how": "landmarks",
                        "crop": len(rows),
                    }
                )
    crops = pd.DataFrame(rows)
    images = random.integers(0, 256, (len(rows), 8, 8), dtype=np.uint8)
    cached = base / "data" / "crops" / "0123456789abcdef"
    cached.mkdir(parents=True, exist_ok=True)
    np.save(cached / "images.npy", images)
    results.write_csv(crops, cached / "crops.csv")
    return crops, images


def _write_run(
    out: Path,
    method: str,
    lam: str,
    fold: int,
    seed: int,
    own: pd.DataFrame,
    skill: float,
    random: np.random.Generator,
    pairs: FacePairs,
    samples: pd.DataFrame,
    precision: str,
) -> None:
    folder = out / "ckplus" / method / f"lam-{lam}" / f"fold-{fold}" / f"seed-{seed}"
    right = random.random(len(own)) < skill
    sure = random.uniform(0.55, 0.95, len(own)).round(6)
    anger = np.where((own["truth"] == "anger") == right, sure, 1 - sure)
    predicted = np.where(anger > 0.5, "anger", "happiness")
    table = pd.DataFrame(
        {
            "sample": own.index,
            **{name: own[name].to_numpy() for name in ("subject", "sequence", "frame", "truth")},
            "predicted": predicted,
            "p_anger": anger,
            "p_happiness": 1 - anger,
        }
    )
    results.write_csv(table, folder / "predictions.csv")
    accuracy = float((table["truth"] == table["predicted"]).mean())
    tested = [*(0.4, min(1.0, accuracy + 0.1)), accuracy]
    columns = {"epoch": [1, 2, 3], "loss": [1.0, 0.5, 0.4], "accuracy_train": [0.5, 0.9, 1.0], "accuracy_test": tested}
    results.write_csv(pd.DataFrame(columns), folder / "epochs.csv")
    test = own.index.tolist()
    train = [number for number in samples.index if number not in set(test)]
    images = 2 if method == "gndl" else 1
    settings = {"name": method, "base": method, "options": {}, "images_per_pair": images}
    number = None if lam == "none" else float(lam)
    identity = {
        "method": settings,
        "lam": number,
        "fold": fold,
        "seed": seed,
        "device": "cpu",
        "train": {"batch_size": 8, "precision": precision},
        "weights": None,
        "pairs": pairs.content_hash,
        "train_samples": hash_json(train),
        "test_samples": hash_json(test),
        "code": {"model": "1"},
        "extra": {"database": "ckplus", "source": "rendered", "test_subjects": hash_json(sorted(FOLDS[fold]))},
    }
    record = {
        "method": settings,
        "variant": method,
        "lam": number,
        "fold": fold,
        "seed": seed,
        "epochs": 3,
        "needs_neutral_at_test": False,
        "accuracy_last": accuracy,
        "accuracy_best": max(tested),
        "epoch_best": tested.index(max(tested)) + 1,
        "n_train": len(train),
        "n_test": len(test),
        "parameters": 1000,
        "images_per_epoch": images * len(train),
        "expressions": list(CLASSES),
        "identity": identity,
        "identity_hash": hash_json(identity),
    }
    write_json(folder / "run.json", record)


def _write_study_json(base: Path, out: Path, seeds: tuple[int, ...], precision: str) -> None:
    from dataclasses import asdict

    from gndl.profiles import PROFILES

    content = {
        "profile": "smoke",
        "purpose": "a test",
        "precision": precision,
        "seeds": list(seeds),
        "asked": {
            "settings": asdict(PROFILES["smoke"]),
            "seeds": list(seeds),
            "data_roots": {"ckplus": str(base / "copy")},
            "read_options": {},
        },
        "command": "gndl study",
        "versions": {"python": "3"},
        "git": {"commit": "0", "changed": False},
        "machine": {"cores": 2},
        "written": "2026-01-01T00:00:00Z",
        "source": "rendered",
    }
    write_json(out / "study.json", content)


def _figures(out: Path, folder: Path) -> None:
    """The CSV files of figures and tables as notebook 2 leaves them, without the drawings."""
    baseline, gndl = Variant("baseline"), Variant("gndl", "5")
    summary = results.headline(results.summarise(out, "ckplus"), settings_of(out).lam)
    counts = confusion_by_title(out, "ckplus", summary)
    named = {
        "confusion_matrices": counts_table(counts),
        "learning_curves": results.read_epochs(out, "ckplus"),
        "paired_differences": paired_differences(out, "ckplus", [gndl], baseline).table(),
        "sample_cells": compare_samples(out, "ckplus", baseline, gndl).cells(),
        "mean_faces": pd.DataFrame({"shown": ["neutral"], "crops": [12]}),
    }
    for name, table in named.items():
        results.write_csv(table.assign(source="rendered"), folder / "figures" / f"{name}.csv")
    save_table_1(table_1(summary, "ckplus"), folder / "tables", "ckplus")
    results.write_csv(compare_database(out, "ckplus", summary), folder / "tables" / "comparison.csv")
    scores = score_table(out, "ckplus", summary)
    save_scores(scores, summary, folder / "tables", "ckplus")
    _tables_of_the_study(out, summary, scores)


def _tables_of_the_study(out: Path, summary: pd.DataFrame, scores: pd.DataFrame) -> None:
    """What `gndl report` writes beside them for all databases together."""
    summaries, figures = {"ckplus": summary}, {"ckplus": out / "ckplus" / "figures"}
    comparisons = with_holm(compare_database(out, "ckplus", summary))
    save_study_table(study_table_1(summaries), out / "tables")
    save_comparisons(comparisons, out / "tables")
    numbers = study_numbers(out, settings_of(out), summaries, comparisons, figures, [scores])
    results.write_csv(numbers.assign(source="rendered"), out / "tables" / "numbers.csv")
    write_text(out / "tables" / "numbers.tex", numbers_tex(numbers, "rendered"))
