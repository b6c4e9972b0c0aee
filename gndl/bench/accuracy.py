"""What a faster way of training does to accuracy: paired differences on the same folds, with their 95 % interval.

Trainings are long, so each is kept as soon as it is done and a second call goes on from there. One that a finished
study (``--study``) holds already is read from it: of the same identity, epochs and version of torch.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed

from gndl.bench.asked import Asked
from gndl.bench.faster import REFERENCE, ways_asked
from gndl.bench.plots import intervals
from gndl.bench.repeats import NotMeasured, Result
from gndl.bench.trainings import Way, WayTrainer
from gndl.checkpoint import read_record
from gndl.comparison import compare
from gndl.device import choose_device
from gndl.errors import GndlError
from gndl.files import hash_json
from gndl.identity import SHARED_CODE, differences, run_identity, shared_code_version
from gndl.methods import method_settings
from gndl.paper import DATABASE_TITLES
from gndl.paths import resolve
from gndl.prepare import Prepared
from gndl.profiles import TrainSettings
from gndl.progress import progress
from gndl.results import write_csv
from gndl.runs import run_folder
from gndl.study import open_study
from gndl.sweeping.engine_local import expect_renewed_workers

COLUMNS = ("way", "fold", "made_from", "accuracy_last", "n_train", "n_test", "seconds", "trained")
SEED = 0
INSIDE = 1.0
"""Points: a way whose whole interval lies within is said to be as accurate."""


def measure(asked: Asked) -> Result:
    """Train every way on every fold of one database, and compare each with fp32 as the study trains it."""
    device = choose_device(asked.device)
    named, why_not = ways_asked(asked, device)
    name = asked.databases[0]
    root = str(resolve(asked.data) / name) if asked.data else ""
    out = resolve(f"runs/bench/{asked.profile}" if asked.scratch is None else asked.scratch / "accuracy")
    study = open_study(name, data_root=root, profile=asked.profile, out=out, device=asked.device, jobs=asked.jobs)
    if asked.epochs:
        study = replace(study, train=replace(study.train, epochs=asked.epochs))
    folds = study.run_folds[: asked.folds]
    if len(folds) < 2:
        raise NotMeasured(f"{len(folds)} fold gives no interval; choose a profile with more (--profile).")
    found = train_missing(study, named, folds, asked, out / f"{name}-accuracies.csv")
    table = paired(found, len(folds))
    title = DATABASE_TITLES[name] + (" stand-in (rendered)" if study.database.source == "rendered" else "")
    settings = study.train
    return Result(
        name="accuracy",
        title=f"Accuracy of faster ways of training, {title}",
        reading=(
            "Accuracy of the last epoch of GNDL (λ = 5), trained in each way or read from a study that did, minus that "
            "of fp32 (channels_last, fused Adam, eager), on "
            f"the same {len(folds)} folds of {title}: profile {asked.profile}, "
            f"{settings.image_size} pixels, {settings.batch_size} pairs in a batch, {settings.epochs} epochs, seed "
            f"{SEED}. In points; the 95 % interval is that of the corrected t over folds. A way is called as accurate "
            f"only where its whole interval lies within ± {INSIDE:g} point. The column `trained` of the repeats says "
            "which runs a finished study held."
        ),
        table=table,
        repeats=found,
        notes=(*(_said(row) for row in table.to_dict("records")), *([why_not] if why_not else [])),
        figure=intervals(table, f"Accuracy against fp32, {title}"),
    )


def train_missing(
    study: Prepared, named: dict[str, Way], folds: tuple[int, ...], asked: Asked, path: Path
) -> pd.DataFrame:
    """Read or train what ``path`` does not hold yet; return one row for each way and fold, in their order."""
    known = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=list(COLUMNS))
    made_from = {(way, fold): _made_from(study, named[way], fold, asked) for way in named for fold in folds}
    there = set(known["made_from"])
    missing = [(way, fold) for fold in folds for way in named if made_from[way, fold] not in there]
    held, why_not = read_from_study(study, named, missing, asked)
    missing = [key for key in missing if key not in {(row["way"], row["fold"]) for row in held}]
    print(f"{asked.study}: {len(held)} runs are read from it, {len(missing)} are to be trained.", file=sys.stderr)
    if why_not:
        print(f"  not read, such as {why_not}", file=sys.stderr)
    work = (delayed(_train)(study, way, named[way], fold, asked) for way, fold in missing)
    expect_renewed_workers()
    done = Parallel(n_jobs=asked.jobs, return_as="generator_unordered", batch_size=1)(work)
    for row in chain(held, progress(done, "training", total=len(missing), unit="run")):
        row["made_from"] = made_from[row["way"], row["fold"]]
        known = pd.concat([known, pd.DataFrame([row])[list(COLUMNS)]], ignore_index=True)
        write_csv(known, path)
    known = pd.read_csv(path)  # as a later call will read it
    places = {made_from[way, fold]: place for place, (way, fold) in enumerate(made_from)}
    current = known[known["made_from"].isin(list(places))]
    ordered = current.assign(place=current["made_from"].map(places)).sort_values("place")
    return ordered.drop(columns=["place", "made_from"]).reset_index(drop=True)


def _made_from(study: Prepared, way: Way, fold: int, asked: Asked) -> str:
    """Hash everything that can change the numbers of one training: a run's identity, epochs, way, version of torch."""
    identity = _identity(study, study.train, way, fold, asked.device)
    code = identity.pop("code")
    others = {name: version for name, version in code.items() if name not in SHARED_CODE}
    return hash_json([identity, shared_code_version(code), others, study.train.epochs, asdict(way), torch.__version__])


def _identity(
    study: Prepared, train: TrainSettings, way: Way, fold: int, device: str, extra: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    train_index, test_index = study.folds.train_test(fold, study.pairs.subject)
    return run_identity(
        method_settings(way.method), study.pairs, train_index, test_index, train,
        lam=study.request.settings.lam, fold=fold, seed=SEED, device=choose_device(device), extra=extra,
    )  # fmt: skip


def read_from_study(
    study: Prepared, named: Mapping[str, Way], missing: Sequence[tuple[str, int]], asked: Asked
) -> tuple[list[dict[str, Any]], str]:
    """Read the trainings that the study in ``asked.study`` holds; say in what the first of another kind differs.

    A study trains in every precision, by pairs or by sequence, but always channels_last, fused and not compiled.

    Raises
    ------
    GndlError
        Where a run.json is damaged, or a study that was named is none.
    """
    root = resolve(asked.study)
    if asked.study != Asked.study and not (root / "study.json").exists():
        raise GndlError(f"{root}: holds no study; name another, or leave out --study to train every way here.")
    rows, why_not = [], ""
    for name, fold in missing:
        way = named[name]
        folder = run_folder(root / study.database.name, way.method, study.request.settings.lam, fold, SEED)
        record = read_record(folder)
        if record is None or way != Way(way.precision, by_sequence=way.by_sequence):
            continue
        train = replace(study.train, precision=way.precision)
        wanted = _identity(study, train, way, fold, asked.device, extra=study.identity(fold))
        named_differences = differences(
            {**record["identity"], "epochs": record["epochs"], "torch": record["versions"]["torch"]},
            {**wanted, "epochs": train.epochs, "torch": torch.__version__},
        )
        if named_differences:
            why_not = why_not or f"{folder}: {'; '.join(named_differences)}"
            continue
        numbers = {key: record[key] for key in ("accuracy_last", "n_train", "n_test")}
        rows.append({"way": name, "fold": fold, **numbers, "seconds": float("nan"), "trained": "in the study"})
    return rows, why_not


def _train(study: Prepared, name: str, way: Way, fold: int, asked: Asked) -> dict[str, Any]:
    train_index, test_index = study.folds.train_test(fold, study.pairs.subject)
    trainer = WayTrainer(
        way, study.pairs, train_index, test_index, study.train, SEED, choose_device(asked.device),
        study.request.settings.lam,
    )  # fmt: skip
    with trainer.settings_hold():
        for epoch in range(1, study.train.epochs + 1):
            row = trainer.train_epoch(epoch)
    return {
        "way": name,
        "fold": fold,
        "accuracy_last": row["accuracy_test"],
        "n_train": len(train_index),
        "n_test": len(test_index),
        "seconds": round(trainer.seconds, 2),
        "trained": "here",
    }


def paired(found: pd.DataFrame, folds: int) -> pd.DataFrame:
    """Compare every way with the reference, fold by fold (:func:`gndl.comparison.compare`); in points.

    Returns
    -------
    DataFrame
        ``way``, ``reference``, ``folds``, ``accuracy`` (mean, %), ``difference``, ``low``, ``high`` (points) and
        ``inside`` ("yes" where the whole interval lies within ± 1 point, else "not shown").
    """
    accuracies = found.pivot(index="fold", columns="way", values="accuracy_last")
    sizes = found[found["way"] == REFERENCE]
    ratio = float((sizes["n_test"] / sizes["n_train"]).mean())
    rows = []
    for way in dict.fromkeys(found["way"]):
        if way == REFERENCE:
            continue
        differences = (accuracies[way] - accuracies[REFERENCE]).to_numpy(np.float64)
        if len(differences) != folds or np.isnan(differences).any():
            raise GndlError(f"{way} and {REFERENCE} do not have the same {folds} folds.")
        said = compare(differences, ratio)
        difference, low, high = (round(100 * said[name], 9) + 0.0 for name in ("difference", "low", "high"))
        rows.append(
            {
                "way": way,
                "reference": REFERENCE,
                "folds": said["folds"],
                "accuracy": 100 * float(accuracies[way].mean()),
                "difference": difference,
                "low": low,
                "high": high,
                "inside": "yes" if low >= -INSIDE and high <= INSIDE else "not shown",
            }
        )
    return pd.DataFrame(rows)


def _said(row: Mapping[Any, Any]) -> str:
    inside = row["inside"] == "yes"
    verdict = f"inside ± {INSIDE:g} point" if inside else f"not shown to be inside ± {INSIDE:g} point"
    difference, low, high = (f"{round(row[name], 2) + 0.0:+.2f}" for name in ("difference", "low", "high"))  # no -0.00
    return f"{row['way']}: {difference} points ({low} to {high}), {verdict}."
