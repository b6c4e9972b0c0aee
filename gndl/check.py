"""Audit a study or a packed record: derive its numbers again from its own files, and say what disagrees.

The functions that yield text yield problems, one line each, the file's name first.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gndl.check_pixels import check_pixels, check_sources, crops_of, samples_of
from gndl.files import GndlError, counted, hash_file, hash_json
from gndl.profiles import read_study_json
from gndl.record import RUN, lam_text, run_key
from gndl.results import Results, accuracy_table, read, require_one_configuration
from gndl.runs import pairs_per_epoch

SUM_TOLERANCE = 1e-3  # how far probabilities in a file may sum from 1
TOLERANCE = 1e-9  # accuracies are shares of counts; rounding changes them by less

PROVENANCE = ("versions", "seeds", "git", "machine", "written", "command", "precision", "asked")
"""What study.json must say of how a study was made."""

NEVER_VERIFIED = (
    "epochs.csv: losses, training accuracies, and test accuracies before the last epoch (the best epoch rests on them)",
    "weights, parameters and times of the runs: only training again gives these",
    "figures, tables and notebooks: `gndl study --only notebooks` makes them again",
)


@dataclass
class StudyAudit:
    """What the audit of a study found: problems, what was verified, and what could not be looked at, in words."""

    out: Path
    problems: list[str] = field(default_factory=list)
    verified: list[str] = field(default_factory=list)
    unverified: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything agrees."""
        return not self.problems

    @contextmanager
    def noting_errors(self) -> Iterator[None]:
        try:
            yield
        except (GndlError, OSError, ValueError) as error:  # a truncated file of somebody else
            self.problems.append(str(error))

    def __str__(self) -> str:
        seen = (("verified", self.verified), ("not verified", self.unverified))
        lines = [*self.problems, *(f"  {words}: {line}" for words, own in seen for line in own)]
        verdict = counted(len(self.problems), "problem") if self.problems else "everything agrees"
        return "\n".join([*lines, f"{self.out}: {verdict}"])


class AuditedRun:
    """A finished run: its row of `Results.runs`, its run.json, its identity, and its own tables."""

    def __init__(self, results: Results, number: int) -> None:
        self.row: dict[Any, Any] = results.runs.iloc[number].to_dict()
        self.results = replace(results, runs=results.runs.iloc[[number]])
        self.record = results.records[run_key(self.row)]
        self.identity: dict[str, Any] = self.record["identity"]

    def path(self, name: str) -> str:
        """File of the run to name in a problem; in a packed record, where it was packed from."""
        database, method, lam, fold, seed = run_key(self.row)
        packed = f"{self.results.out}: {database}/{method}/lam-{lam}/fold-{fold}/seed-{seed}"
        return f"{self.row['folder'] or packed}/{name}"


Tested = list[tuple[AuditedRun, pd.DataFrame]]  # runs with their predictions


def audit_study(out: Path) -> StudyAudit:
    """Derive the numbers of a study from its files, and name those that do not follow.

    - Accuracies of each run from its predictions, the best epoch from epochs.csv; predicted is the most probable class.
    - Each subject is tested in one fold, the samples of a run are those of its fold in crops.csv, and the hash of its
      training samples is that of all other subjects: no test subject appears in training.
    - Where the source files and the crops (cached, or shipped with gndl) are present, their hashes are those that
      crops.csv and the runs keep.
    - accuracy.csv is what the runs give; the runs of one variant share one configuration; study.json says how.

    `GndlError` where ``out`` holds no finished run, or a run.json is damaged.
    """
    audit, results, across = StudyAudit(out), read(out), read(out, across=True)
    runs, runs_across = ([AuditedRun(one, number) for number in range(len(one.runs))] for one in (results, across))
    if not runs and not runs_across:
        raise GndlError(f"{out} holds no finished run; to check a copy of a database, say which with --database.")
    with audit.noting_errors():
        audit.problems += _check_study_json(out, [*runs, *runs_across])
        git = read_study_json(out).get("git") or {}
        if git.get("changed") or not git.get("commit"):
            how = "had uncommitted changes" if git.get("changed") else "is of an unknown commit"
            audit.unverified.append(f"{out / 'study.json'}: the code that ran {how}")
    for database in results.runs["database"].unique():
        own = [run for run in runs if run.row["database"] == database]
        with audit.noting_errors():
            _check_database(str(database), own, audit)
    _check_across(runs_across, audit)
    for each in (results, across):
        with audit.noting_errors():
            require_one_configuration(each)
    audit.problems += _check_accuracy_csv(out, results) if runs else ()
    audit.unverified += NEVER_VERIFIED
    return audit


def _check_study_json(out: Path, runs: list[AuditedRun]) -> Iterator[str]:
    path, content = out / "study.json", read_study_json(out)
    yield from (f"{path}: does not say {name}" for name in PROVENANCE if not content.get(name))
    for run in runs:
        kept, precision = run.path("run.json"), run.identity["train"].get("precision")
        if run.row["seed"] not in content.get("seeds", ()):
            yield f"{path}: does not name seed {run.row['seed']} of {kept}"
        if precision not in (None, content.get("precision")):
            yield f"{path}: says {content.get('precision')}, {kept} was trained in {precision}"
        if run.row["source"] != content.get("source", run.row["source"]):
            yield f"{path}: says {content['source']} faces, {kept} {run.row['source']}"


def _check_accuracy_csv(out: Path, results: Results) -> Iterator[str]:
    path = out / "accuracy.csv"
    kept = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    given = accuracy_table(results).to_csv(index=False, lineterminator="\n").splitlines()
    for own, other, words in ((kept, given, "no run gives the line"), (given, kept, "lacks the line of a run:")):
        yield from (f"{path}: {words} {line}" for line in own if line not in set(other))


def _tested(runs: list[AuditedRun], audit: StudyAudit) -> Tested:
    """Check every run by itself; give those whose predictions can be read."""
    tested = []
    for run in runs:
        audit.problems += _check_record(run)
        with audit.noting_errors():
            predictions = run.results.predictions
            audit.problems += _check_predictions(run, predictions)
            audit.problems += _check_imported(run) if run.row["imported"] else _check_epochs(run)
            tested.append((run, predictions))
    return tested


def _check_record(run: AuditedRun) -> Iterator[str]:
    path, record, identity = run.path("run.json"), run.record, run.identity
    if hash_json(identity) != record["identity_hash"]:
        yield f"{path}: its identity does not have the hash stored with it; the file was changed"
    lam = identity["lam"]
    said = {"fold": identity["fold"], "seed": identity["seed"], "lam": lam_text(None if lam == "none" else lam)}
    said["method"] = record.get("variant", run.row["method"])
    place = dict(zip(RUN, run_key(run.row), strict=True))
    for name, value in said.items():
        if value != place[name]:
            yield f"{path}: is of {name} {value}, but lies in the folder of {name} {place[name]}"


def _check_imported(run: AuditedRun) -> Iterator[str]:
    imported, folder = run.record["imported"], run.row["folder"]
    if imported.get("subject_disjoint") is not True:
        yield f"{run.path('run.json')}: the imported folds were not declared subject-disjoint"
    if folder and imported.get("predictions_sha256") != hash_file(folder / "predictions.csv"):
        yield f"{run.path('predictions.csv')}: is not what was imported; the file was changed"


def _check_epochs(run: AuditedRun) -> Iterator[str]:
    path, record, epochs = run.path("epochs.csv"), run.record, run.results.epochs
    if epochs["epoch"].tolist() != list(range(1, record["epochs"] + 1)):
        yield f"{path}: does not hold the epochs 1 to {record['epochs']} of run.json, one each"
    if epochs.empty:
        return
    tested = epochs["accuracy_test"].to_numpy(float)
    best = int(tested.argmax())
    given = {"accuracy_best": tested[best], "epoch_best": epochs["epoch"].iloc[best], "accuracy_last": tested[-1]}
    for name, value in given.items():
        if not abs(value - record[name]) <= TOLERANCE:
            yield f"{path}: gives {name} {value:.6g}, run.json says {record[name]:.6g}"


def _check_predictions(run: AuditedRun, predictions: pd.DataFrame) -> Iterator[str]:
    path, record = run.path("predictions.csv"), run.record
    accuracy = float((predictions["truth"] == predictions["predicted"]).mean())
    if not abs(accuracy - record["accuracy_last"]) <= TOLERANCE:
        yield f"{path}: gives an accuracy of {accuracy:.6f}, run.json says {record['accuracy_last']:.6f}"
    columns = [name for name in predictions.columns if name.startswith("p_")]
    classes, values = [name.removeprefix("p_") for name in columns], predictions[columns].to_numpy(float)
    if classes != list(record.get("expressions", classes)):
        yield f"{path}: has probabilities of {', '.join(classes)}, run.json names other classes"
        return
    said = np.array([classes.index(name) if name in classes else -1 for name in predictions["predicted"]])
    wrong = (said < 0) | (values[np.arange(len(values)), said] < values.max(axis=1))
    off = (np.abs(values.sum(axis=1) - 1) > SUM_TOLERANCE) | (values < 0).any(axis=1)
    for bad, words in ((wrong, "is not given its most probable class"), (off, "has no probabilities that sum to 1")):
        if bad.any():
            yield f"{path}: sample {predictions['sample'].iloc[bad.argmax()]} {words} ({bad.sum()} such rows)"


def _check_database(database: str, runs: list[AuditedRun], audit: StudyAudit) -> None:
    before, results = len(audit.problems), runs[0].results
    tested = _tested(runs, audit)
    audit.problems += _check_same_truth(tested)
    crops, listed = crops_of(results, database), f"{results.out / database / 'folds.json'}"
    folds, samples = results.folds[results.folds["database"] == database], samples_of(crops)
    if folds.empty:
        raise GndlError(f"{listed}: is missing or empty")
    audit.problems += _check_folds(listed, folds, samples)
    for run, predictions in tested:
        audit.problems += _check_training_set(run, predictions, folds, samples)
    imported = sorted({run.row["method"] for run in runs if run.row["imported"]})
    if len(audit.problems) == before:
        trained = counted(sum(not run.row["imported"] for run in runs), "run")
        audit.verified.append(f"{database}: accuracies and folds of all runs, training sets of {trained}")
    audit.unverified += [f"{database}/{name}: was imported, its training was not seen" for name in imported]
    check_sources(database, crops, results.study, audit)
    check_pixels(database, crops, samples, tested, audit)


def _check_same_truth(tested: Tested) -> Iterator[str]:
    known: dict[int, str] = {}
    for run, predictions in tested:
        own = dict(zip(predictions["sample"], predictions["truth"], strict=True))
        differs = [sample for sample, truth in own.items() if known.setdefault(sample, truth) != truth]
        for sample in differs[:1]:
            yield f"{run.path('predictions.csv')}: sample {sample} is {own[sample]}; another run says {known[sample]}"


def _check_folds(path: str, folds: pd.DataFrame, samples: pd.DataFrame) -> Iterator[str]:
    test = folds[folds["role"] == "test"]
    for subject, own in test.groupby("subject")["fold"]:
        if len(own) > 1:
            yield f"{path}: {subject} is tested in fold {own.iloc[0]} and in fold {own.iloc[1]}"
    both = folds[folds["role"] == "dev"].merge(test, on=["fold", "subject"])
    for fold, subject in both[["fold", "subject"]].itertuples(index=False, name=None):
        yield f"{path}: {subject} is a development subject of fold {fold} and tested in it"
    if missing := sorted(set(samples["subject"]) - set(test["subject"])):
        yield f"{path}: {missing[0]} is in no fold ({counted(len(missing), 'subject')})"


def _check_training_set(
    run: AuditedRun, predictions: pd.DataFrame, folds: pd.DataFrame, samples: pd.DataFrame
) -> Iterator[str]:
    path, identity, fold = run.path("run.json"), run.identity, run.row["fold"]
    own = folds[folds["fold"] == fold]
    sides = {role: sorted(own.loc[own["role"] == role, "subject"]) for role in ("test", "dev")}
    test = np.flatnonzero(samples["subject"].isin(sides["test"]))
    train = np.flatnonzero(~samples["subject"].isin([*sides["test"], *sides["dev"]]))
    if not len(test):
        yield f"{path}: is of fold {fold}, which folds.json does not have"
        return
    yield from _check_rows(run.path("predictions.csv"), predictions, samples, test)
    for name, index in (("train_samples", train), ("test_samples", test)):
        if identity.get(name, "") != hash_json(index.tolist()):
            what = "trained" if name == "train_samples" else "tested"
            yield f"{path}: was not {what} on exactly the samples that fold {fold} of folds.json gives (hash {name})"
    for role, subjects in sides.items():
        if identity["extra"].get(f"{role}_subjects") != (hash_json(subjects) if subjects else None):
            yield f"{path}: the hash of its {role} subjects is not that of fold {fold} of folds.json"
    counts = {"n_train": len(train), "n_test": len(test)}
    if not run.row["imported"]:
        pairs = pairs_per_epoch(len(train), identity["train"]["batch_size"])
        counts["images_per_epoch"] = pairs * identity["method"]["images_per_pair"]
    for name, expected in counts.items():
        if run.record[name] != expected:
            yield f"{path}: {name} is {run.record[name]}; folds and crops give {expected}"


def _check_rows(path: str, predictions: pd.DataFrame, samples: pd.DataFrame, test: np.ndarray) -> Iterator[str]:
    names = ["subject", "sequence", "frame"]
    said = predictions.set_index("sample")[names].astype(str).sort_index()
    right = samples.loc[test, names].astype(str)
    if said.index.tolist() != test.tolist():
        yield f"{path}: does not hold the {len(test)} samples of its fold, each once"
    elif (differs := (said != right).any(axis=1)).any():
        sample = differs.index[int(differs.to_numpy().argmax())]
        texts = [", ".join(table.loc[sample].tolist()) for table in (said, right)]
        yield f"{path}: sample {sample} is {texts[0]}; crops.csv makes it {texts[1]} ({differs.sum()} such rows)"


def _check_across(runs: list[AuditedRun], audit: StudyAudit) -> None:
    # Samples trained on are numbered first, then those tested, of another database.
    before = len(audit.problems)
    for run, predictions in _tested(runs, audit):
        train, _, test = str(run.row["database"]).partition("-to-")
        if set(predictions["subject"].str.partition("/")[0]) != {test} or test in train.split("+"):
            audit.problems.append(f"{run.path('predictions.csv')}: tests subjects who are not of {test} alone")
        n_train, n_test = run.record["n_train"], run.record["n_test"]
        index = {"train_samples": range(n_train), "test_samples": range(n_train, n_train + n_test)}
        for name, samples in index.items():
            if run.identity[name] != hash_json(list(samples)):
                audit.problems.append(f"{run.path('run.json')}: {name} is not the hash of its {len(samples)} samples")
        if predictions["sample"].tolist() != list(index["test_samples"]):
            audit.problems.append(f"{run.path('predictions.csv')}: does not hold the {n_test} test samples in order")
    if runs and len(audit.problems) == before:
        audit.verified.append(f"across databases: accuracies and test subjects of {counted(len(runs), 'run')}")
