"""Audit a study: derive its numbers again from its own files; say where they disagree and what was not looked at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from gndl.checking.across import check_across
from gndl.checking.crops import Looked, check_cached_crops, check_sources, labels_of
from gndl.checking.figures import check_figures
from gndl.checking.runs import (
    agree,
    check_epochs,
    check_imported,
    check_predictions,
    check_record,
    check_same_samples,
)
from gndl.checking.samples import check_folds, check_training_set, read_crops_csv, read_folds_json, samples_of_crops
from gndl.checking.study_tables import check_study_tables
from gndl.cross import finished_across
from gndl.errors import GndlError
from gndl.request import read_study_json
from gndl.results import (
    ACCURACY_COLUMNS,
    RUN_KEY,
    FinishedRun,
    accuracy_table,
    finished_runs,
    read_csv,
    require_one_configuration,
)
from gndl.run_record import require_auditable, require_study

PROVENANCE = ("versions", "seeds", "git", "machine", "written", "command", "precision", "asked")
"""What study.json must say of how a study was made."""


NEVER_LOOKED_AT = (
    "epochs.csv: losses, training accuracies, and test accuracies before the last epoch (the best one rests on them): "
    "no other file gives them again",
    "weights, parameters, steps and times of the runs: training them again gives these",
    "drawings and texts (.pdf, .svg, .png, .tex but for numbers.tex, .md, notebooks): only the CSV files behind them "
    "are looked at; `gndl report` writes them again",
)
"""What an audit cannot say of any study, so that nobody takes its verdict for more than it is."""


@dataclass(frozen=True)
class StudyAudit:
    """What the audit of a study found.

    Parameters
    ----------
    problems : tuple of str
        One line each, the file's name first.
    verified, unverified : tuple of str
        What was looked at and agrees, and what could not be looked at here, in words.
    """

    problems: tuple[str, ...]
    verified: tuple[str, ...]
    unverified: tuple[str, ...]

    def report(self, out: Path) -> str:
        """The whole audit as plain text, the verdict last."""
        lines = [*self.problems]
        lines += [f"  verified: {line}" for line in self.verified]
        lines += [f"  not verified: {line}" for line in self.unverified]
        count = len(self.problems)
        verdict = f"{count} problem{'' if count == 1 else 's'}" if count else "everything agrees"
        return "\n".join([*lines, f"{out}: {verdict}"])


def audit_study(out: Path) -> StudyAudit:
    """Derive the numbers of a study that follow from its files again; name those that do not.

    - Each run's last accuracy is derived from predictions.csv, its best (and the epoch of it) from epochs.csv; every
      row's class is the one of its largest probability.
    - Every subject is tested in one fold; the samples of a run are those of its fold in crops.csv; and the samples it
      was trained on, by the hash that it keeps, are those of all other subjects: nobody tested was trained on.
    - The cached crops, where they are there, give the hash of pixels, labels and names that every run keeps; source
      files, where they are there, have the hashes in crops.csv.
    - accuracy.csv and the CSV files of figures and tables are what the runs give.
    - The runs of one variant were trained alike, and study.json says how.
    - The runs across databases (OUT/across): all of these for each pair of databases.

    Parameters
    ----------
    out : Path
        The study's directory; only read.

    Raises
    ------
    GndlError
        Where ``out`` holds no finished run, or a run.json is damaged.
    """
    runs, across = finished_runs(out), finished_across(out)
    if not runs and not across:
        raise GndlError(f"{out} holds no finished run; to audit a copy of a database, say which with --database.")
    lacking = tuple(_lacking([*runs, *across]))
    if lacking:
        alike = _trained_alike(runs)
        return StudyAudit((*lacking, *alike.problems), (), ("everything else: every run.json has to be whole for it",))
    parts = [check_study_json(out, [*runs, *across])]
    for database in dict.fromkeys(run.database for run in runs):
        parts += _check_database(out, database, [run for run in runs if run.database == database])
    parts.append(_trained_alike(runs))
    if runs:
        parts.append(Looked(tuple(_check_accuracy_csv(out))))
    parts += check_across(out, runs, _content(out))
    if _content(out):
        parts.append(check_study_tables(out))
    if any(not run.imported for run in (*runs, *across)):
        parts.append(Looked(unverified=NEVER_LOOKED_AT))
    return StudyAudit(
        tuple(line for part in parts for line in part.problems),
        tuple(line for part in parts for line in part.verified),
        tuple(line for part in parts for line in part.unverified),
    )


def _trained_alike(runs: list[FinishedRun]) -> Looked:
    try:
        require_one_configuration(runs)
    except GndlError as error:
        return Looked((str(error),))
    return Looked()


def _lacking(runs: list[FinishedRun]) -> Iterator[str]:
    """What run.json files lack that an audit needs, one line each."""
    for run in runs:
        try:
            require_auditable(run.folder / "run.json", run.record)
        except GndlError as error:
            yield str(error)


def check_study(out: Path) -> list[str]:
    """Audit a study (:func:`audit_study`) and return its problems, one line each; none where everything agrees."""
    return list(audit_study(out).problems)


def check_study_json(out: Path, runs: list[FinishedRun]) -> Looked:
    """Check that study.json says with what, by which code, on which machine and when, and agrees with the runs."""
    path = out / "study.json"
    try:
        content = _study_json(out)
    except GndlError as error:
        return Looked((str(error),))
    problems = [f"{path}: does not say {name}" for name in PROVENANCE if not content.get(name)]
    seeds = [seed for seed in sorted({run.seed for run in runs}) if seed not in content.get("seeds", ())]
    if seeds:
        problems.append(f"{path}: does not name seed {seeds[0]}, of which there is a run")
    for run in runs:
        precision = run.record["identity"]["train"].get("precision")
        if precision is not None and precision != content.get("precision"):
            problems.append(f"{path}: says {content.get('precision')}, {run.folder} was trained in {precision}")
        if run.source != content.get("source", run.source):
            problems.append(f"{path}: says {content['source']} faces, {run.folder} has seen {run.source} ones")
    git = content.get("git") or {}
    notes = [f"{path}: the code that ran had changes which no commit holds"] if git.get("changed") else []
    if git and git.get("commit") is None:
        notes.append(f"{path}: no commit is known of the code that ran, an installed package's version alone")
    return Looked(tuple(problems), unverified=tuple(notes))


def _check_database(out: Path, database: str, runs: list[FinishedRun]) -> list[Looked]:
    problems: list[str] = []
    tested: list[tuple[FinishedRun, pd.DataFrame]] = []
    for run in runs:
        predictions, wrong = check_predictions(run)
        others = check_imported(run) if run.imported else check_epochs(run)
        problems += [*check_record(run), *others, *wrong]
        if predictions is not None:
            tested.append((run, predictions))
    problems += check_same_samples(tested)
    try:
        crops = read_crops_csv(out / database / "crops.csv")
        folds_path = out / database / "folds.json"
        folds = read_folds_json(folds_path)
    except GndlError as error:
        return [Looked((*problems, str(error)))]
    samples = samples_of_crops(crops)
    problems += check_folds(folds_path, folds, samples)
    for run, predictions in tested:
        problems += check_training_set(run, predictions, folds, samples, folds_path)
    trained, imported = [run for run in runs if not run.imported], sorted({run.method for run in runs if run.imported})
    unaudited = tuple(
        f"{out / database / name}: predictions were imported, so its training cannot be audited; that its folds are "
        "subject-disjoint is what the importer declared"
        for name in imported
    )
    verified = (
        [f"{database}: accuracies, best epochs, folds and training sets of {len(trained)} runs"] if trained else []
    )
    verified += [f"{database}: accuracies and folds of {len(runs) - len(trained)} imported runs"] if imported else []
    parts = [Looked(tuple(problems), () if problems else tuple(verified), unaudited)]
    content = _content(out)
    if content:
        parts.append(check_sources(database, crops, content))
    if content and tested:
        every = pd.concat([predictions for _, predictions in tested], ignore_index=True)
        labels = labels_of(database, every, samples, content)
        parts.append(check_cached_crops(out, database, crops, labels, runs))
    if content:
        parts.append(check_figures(out, database))
    return parts


def _study_json(out: Path) -> dict[str, Any]:
    content = read_study_json(out)
    require_study(out / "study.json", content)
    return content


def _content(out: Path) -> dict[str, Any]:
    """study.json; empty where it cannot be read, which `check_study_json` has said."""
    try:
        return _study_json(out)
    except GndlError:
        return {}


def _check_accuracy_csv(out: Path) -> list[str]:
    path = out / "accuracy.csv"
    try:
        kept = read_csv(path, ACCURACY_COLUMNS)
    except GndlError as error:
        return [str(error)]
    both = accuracy_table(out).merge(kept, on=RUN_KEY, how="outer", suffixes=("", "_kept"), indicator=True)
    problems = []
    for _, row in both.iterrows():
        name = ", ".join(str(row[part]) for part in RUN_KEY)
        if row["_merge"] == "left_only":
            problems.append(f"{path}: lacks the run {name}")
            continue
        if row["_merge"] == "right_only":
            problems.append(f"{path}: has a row for {name}, but there is no such run")
            continue
        for column in (part for part in ACCURACY_COLUMNS if part not in RUN_KEY):
            ours, theirs = row[column], row[f"{column}_kept"]
            number = column.startswith(("accuracy_", "epoch_", "n_"))
            if not (_both_missing(ours, theirs) or (agree(ours, theirs) if number else str(ours) == str(theirs))):
                problems.append(f"{path}: {column} of {name} is {theirs}, the run says {ours}")
    return problems


def _both_missing(ours: Any, theirs: Any) -> bool:
    """As the best epoch of an imported run, of whose epochs nothing is known."""
    return bool(pd.isna(ours) and pd.isna(theirs))
