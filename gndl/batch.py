"""``gndl study``: every database from what lies on disk to its executed notebooks, with an estimate of what remains."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import pandas as pd

from gndl import figures, gallery, results, tables
from gndl.device import check_precision, choose_device
from gndl.errors import GndlError
from gndl.estimate import Estimate
from gndl.execute import Executed, execute_notebook, notebook_sources
from gndl.paper import DATABASE_TITLES
from gndl.paths import standin_folder
from gndl.prepare import STAND_IN_SEED, Prepared, database_root, prepare
from gndl.request import StudyRequest, changing_study_json, save_request
from gndl.runs import Run, find_finished, plan_runs
from gndl.sequences import STAND_IN_LABEL
from gndl.standins import planned_frames, preview_sheet
from gndl.study import train_missing
from gndl.train import FitResult


def say(text: str) -> None:
    """Print a line at once, also where the output is a file."""
    print(text, flush=True)


class Batch:
    """One call of ``gndl study``: the request, the estimate of what remains, and how long each stage took."""

    def __init__(self, request: StudyRequest, jobs: int, training_jobs: int) -> None:
        self.request = request
        self.jobs = jobs
        self.training_jobs = training_jobs
        self.estimate = Estimate(jobs)
        self.seconds: dict[str, float] = {}
        self.failed: list[Executed] = []
        self.first_faces_shown = False
        self.first_matrix_shown = False
        for name in request.data_roots:
            if self._must_render(name):
                self.estimate.plan("render", self._frames(name))
            self.estimate.plan("notebooks", len(notebook_sources()))

    def run(self) -> int:
        """Run the whole study; return the exit status: 0, or 1 where a notebook failed."""
        settings = self.request.settings
        check_precision(settings.train.precision, choose_device(self.request.device), self.request.precision_explicit)
        save_request(self.request)
        say(f"Study {self.request.out}, profile {settings.name}: {settings.purpose}.")
        for name in self.request.data_roots:
            self._one_database(name)
        results.write_accuracy(self.request.out)
        self._record_times()
        self._summary()
        return 1 if self.failed else 0

    def _must_render(self, name: str) -> bool:
        folder = standin_folder(self.request.settings.name, name)
        return self.request.data_roots[name] == "" and not (folder / STAND_IN_LABEL).exists()

    def _frames(self, name: str) -> int:
        return planned_frames(name, self.request.settings.standins[name], STAND_IN_SEED)

    def _timed(self, stage: str, started: float, units: float = 0.0) -> None:
        seconds = time.monotonic() - started
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
        if units:
            self.estimate.finished(stage, units, seconds)

    def _one_database(self, name: str) -> None:
        request = self.request
        title = DATABASE_TITLES[name]
        say(f"\n{title}  {self.estimate.line()}")
        started = time.monotonic()
        if self._must_render(name):
            if not self.first_faces_shown:
                self.first_faces_shown = True
                sheet = request.out / "figures" / "first_faces.png"
                preview_sheet(name, sheet, size=request.settings.standins[name], seed=STAND_IN_SEED)
                say(f"  first contact sheet, rendered stand-in faces: {sheet}")
            database_root(request, name, self.jobs)
            self._timed("render", started, self._frames(name))
        started = time.monotonic()
        study = prepare(request, name, self.jobs)
        self._timed("crop", started)
        self._say_what_was_found(study)
        runs = plan_runs(study)
        missing = [run for run in runs if find_finished(study, run) is None]
        work = sum(run.images * study.train.epochs for run in missing)
        self.estimate.plan("train", work)
        say(f"  {len(runs)} runs, {len(runs) - len(missing)} of them there already  {self.estimate.line()}")
        started = time.monotonic()
        train_missing(
            study, jobs=self.training_jobs, on_finished=lambda run, result, _: self._show_first(study, run, result)
        )
        self._timed("train", started, work)
        started = time.monotonic()
        self._notebooks(study)
        self._timed("notebooks", started, len(notebook_sources()))

    def _say_what_was_found(self, study: Prepared) -> None:
        database = study.database
        say(f"  read from {database.root}" + (" (rendered stand-in)" if database.source == "rendered" else ""))
        for role, folder in database.folders.items():
            say(f"    {role}: {folder}")
        for found in database.findings:
            if found.kind in ("error", "problem"):
                say(f"    {found.kind}: {found.path}: {found.message}")
        for note in study.crops.notes:
            say(f"    {note}")
        say(
            f"  {len(database.sequences)} sequences, {len(database.subjects)} subjects, {len(study.pairs)} pairs, "
            f"{len(study.folds)} folds, of which {len(study.run_folds)} are run; {study.train.epochs} epochs"
        )
        sheet = gallery.contact_sheet(study)
        figure = figures.face_grid(
            sheet.faces,
            row_labels=sheet.row_labels,
            column_labels=sheet.column_labels,
            source=database.source,
            title=f"{database.title}: neutral face and apex of each class",
        )
        path = figures.save_figure(figure, study.folder / "figures", "contact_sheet", sheet.table)
        say(f"  contact sheet of the crops: {path}")

    def _show_first(self, study: Prepared, run: Run, result: FitResult) -> None:
        """After the first run of the study, draw its confusion matrix and say where it lies."""
        if self.first_matrix_shown:
            return
        self.first_matrix_shown = True
        predictions = pd.read_csv(result.folder / "predictions.csv")
        counts = results.confusion_counts(predictions, study.database.expressions)
        title = f"{study.database.title}: {run.variant}, fold {run.fold} alone"
        figure = figures.confusion_matrices({title: counts}, source=study.database.source, width=figures.ONE_COLUMN)
        path = figures.save_figure(figure, study.folder / "figures", "first_confusion_matrix", counts.reset_index())
        say(f"  first confusion matrix: {path}")

    def _notebooks(self, study: Prepared) -> None:
        request = self.request
        parameters: dict[str, Any] = {
            "database": study.database.name,
            "data_root": request.data_roots[study.database.name],
            "profile": request.settings.name,
            "out": str(request.out),
            "device": request.device,
            "seed": request.seeds[0],
        }
        folder = study.folder / "notebooks"
        with ThreadPoolExecutor(self.jobs) as pool:
            futures = [pool.submit(execute_notebook, source, folder, parameters) for source in notebook_sources()]
            for future in as_completed(futures):
                done = future.result()
                outcome = f"FAILED ({done.error})" if done.error else f"{done.seconds:.0f} s"
                say(f"  notebook {done.path}: {outcome}")
                if done.error:
                    self.failed.append(done)

    def _record_times(self) -> None:
        """Add to study.json how long each stage took in this call."""
        with changing_study_json(self.request.out) as content:
            content["seconds_of_last_call"] = {stage: round(seconds, 1) for stage, seconds in self.seconds.items()}

    def _summary(self) -> None:
        out = self.request.out
        say("")
        parts = []
        for name in self.request.data_roots:
            summary = results.summarise(out, name)
            parts.append(tables.measured_rows(summary))
        if parts:
            table = pd.concat(parts, ignore_index=True)
            text = tables.readable(table)
            results.write_csv(table, out / "tables" / "accuracy_summary.csv")
            shown = text[["On", "Method", "Accuracy %", "Folds", "Per sequence %", "Chance %", "Images per epoch"]]
            say(shown.to_string(index=False))
        took = ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in self.seconds.items())
        say(f"\nTook {took}.")
        say(f"Accuracies: {out / 'accuracy.csv'}")
        for name in self.request.data_roots:
            say(f"{DATABASE_TITLES[name]}: {out / name}/notebooks, figures, tables")
        for failure in self.failed:
            say(f"FAILED: {failure.path}: {failure.error}")


def run_study(request: StudyRequest, jobs: int, training_jobs: int) -> int:
    """Run a study as asked and return its exit status.

    ``jobs`` processes share rendering, cropping and notebooks, ``training_jobs`` the runs (one on a GPU by default).
    """
    if not request.data_roots:
        raise GndlError("No database was asked for; name some with --databases.")
    return Batch(request, jobs, training_jobs).run()


def plan_text(request: StudyRequest, jobs: int) -> str:
    """Say what ``gndl study`` would do, without rendering, reading or training anything (``--dry-run``)."""
    settings, train = request.settings, request.settings.train
    lines = [
        f"profile {settings.name}: {settings.purpose}",
        f"into {request.out}, {jobs} runs at once, device {request.device}, precision {train.precision}",
        f"methods {', '.join(settings.methods)} at λ = {settings.lam:g}, seeds {', '.join(map(str, request.seeds))}",
        f"epochs {train.epochs}" + (f" or more, until {train.min_steps} optimiser steps" if train.min_steps else ""),
    ]
    folds = "all" if settings.only_folds is None else ", ".join(map(str, settings.only_folds))
    lines.append(f"folds {folds} of {settings.n_folds or 'min(10, subjects)'}")
    for name, root in request.data_roots.items():
        if root:
            where = root
        else:
            size = settings.standins[name]
            folder = standin_folder(settings.name, name)
            state = "there already" if (folder / STAND_IN_LABEL).exists() else "to be rendered"
            where = f"stand-in, {size.sequences} sequences of {size.subjects} subjects, {state}: {folder}"
        done = len(list((request.out / name).glob("*/lam-*/fold-*/seed-*/run.json")))
        lines.append(f"{name}: {where}; {done} finished runs there")
    lines.append("settings: " + json.dumps(vars(train), default=vars, ensure_ascii=False))
    return "\n".join(lines)


def refresh_report(out: Path) -> list[Path]:
    """Write every table and figure of a finished study again from its CSV files; nothing is trained.

    Returns the files written. Raises `GndlError` where the study holds no finished run.
    """
    accuracy = results.write_accuracy(out)
    if accuracy.empty:
        raise GndlError(f"{out} holds no finished run; run `gndl study --out {out}` first.")
    written = [out / "accuracy.csv"]
    for name in accuracy["database"].unique():
        summary = results.summarise(out, name)
        source = str(summary["source"].iloc[0])
        written.append(tables.save_table_1(tables.table_1(summary, name), out / name / "tables", name))
        title = tables.measured_on(name, source)
        counts = {}
        for row in summary.itertuples():
            predictions = results.read_predictions(out, name, str(row.method), str(row.lam))
            classes = tuple(column.removeprefix("p_") for column in predictions.columns if column.startswith("p_"))
            label = f"{title}: {row.method}" + ("" if row.lam in ("none", "5") else f", λ = {row.lam}")
            counts[label] = results.confusion_counts(predictions, classes)
        folder = out / name / "figures"
        written += figures.write_training_figures(counts, results.read_epochs(out, name), source, folder)
    return written
