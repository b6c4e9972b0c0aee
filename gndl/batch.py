"""``gndl study``: every database from what lies on disk to its executed notebooks, with an estimate of what remains."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import pandas as pd

from gndl import figures, gallery, results
from gndl.errors import GndlError
from gndl.execute import FOR_EACH_DATABASE, FOR_THE_STUDY, Task, execute_missing, inputs_of, notebook_sources
from gndl.methods import method_settings
from gndl.paper import DATABASE_TITLES
from gndl.paths import standin_folder
from gndl.prepare import STAND_IN_SEED, Prepared, database_root, prepare
from gndl.report import report_study
from gndl.request import StudyRequest, changing_study_json, save_request
from gndl.runs import Run, find_finished, runs_of_study, sweep_folds
from gndl.sequences import STAND_IN_LABEL
from gndl.standins import planned_frames, preview_sheet
from gndl.study import train_missing
from gndl.sweeping.estimate import Estimate, expected_images, expected_size
from gndl.sweeping.sweep import Sweep
from gndl.tables import results_table as tables
from gndl.train import FitResult


def say(text: str) -> None:
    """Print a line at once, also where the output is a file."""
    print(text, flush=True)


class Batch:
    """One call of ``gndl study``: the request, the estimate of what remains, and how long each stage took."""

    def __init__(self, request: StudyRequest, jobs: int, how: Sweep) -> None:
        self.request = request
        self.jobs = jobs
        self.how = how
        settings = request.settings
        self.estimate = Estimate(jobs, settings.train.image_size)
        self.seconds: dict[str, float] = {}
        self.recorded: dict[str, float] = {}
        self.failures: list[str] = []
        self.notebooks = self.notebooks_there = 0
        self.first_faces_shown = False
        self.first_matrix_shown = False
        for name, root in request.data_roots.items():
            sequences, subjects = expected_size(settings, name, rendered=not root)
            if self._must_render(name):
                self.estimate.plan("render", name, self._frames(name))
            self.estimate.plan("crop", name, 4 * sequences)
            self.estimate.plan("train", name, expected_images(settings, sequences, subjects))
            self.estimate.plan("notebooks", name, len(notebook_sources(FOR_EACH_DATABASE)))
        self.estimate.plan("notebooks", "", len(notebook_sources(FOR_THE_STUDY)))

    def run(self) -> int:
        """Run the whole study; return the exit status: 0, or 1 where a run or a notebook failed."""
        say(f"Study {self.request.out}, profile {self.request.settings.name}: {self.request.settings.purpose}.")
        for name in self.request.data_roots:
            self._one_database(name)
        self._record_times()  # notebook 7 tells them
        table = self._report()
        say(f"\nThe whole study  {self.estimate.line()}")
        self._notebooks("")
        self._record_times()
        self._summary(table)
        return 1 if self.failures else 0

    def _must_render(self, name: str) -> bool:
        folder = standin_folder(self.request.settings.name, name)
        return self.request.data_roots[name] == "" and not (folder / STAND_IN_LABEL).exists()

    def _frames(self, name: str) -> int:
        return planned_frames(name, self.request.settings.standins[name], STAND_IN_SEED)

    def _finished(self, stage: str, name: str, units: float, started: float) -> None:
        seconds = time.monotonic() - started
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
        self.estimate.finished(stage, name, units, seconds)

    def _one_database(self, name: str) -> None:
        request = self.request
        say(f"\n{DATABASE_TITLES[name]}  {self.estimate.line()}")
        if self._must_render(name):
            started = time.monotonic()
            if not self.first_faces_shown:
                self.first_faces_shown = True
                sheet = request.out / "figures" / "first_faces.png"
                preview_sheet(name, sheet, size=request.settings.standins[name], seed=STAND_IN_SEED)
                say(f"  first contact sheet, rendered stand-in faces: {sheet}")
            database_root(request, name, self.jobs)
            self._finished("render", name, self._frames(name), started)
        started = time.monotonic()
        study = prepare(request, name, self.jobs)
        self._finished("crop", name, len(study.crops.images), started)
        self._say_what_was_found(study)
        self._train(study)
        self._notebooks(name)

    def _train(self, study: Prepared) -> None:
        """Train the headline's runs and then those of the sweep over λ, so that the notebooks only read."""
        name, settings = study.database.name, self.request.settings
        methods = [method for method in settings.methods if method_settings(method).uses_lam]
        lams, folds = [lam for lam in settings.lams if lam != settings.lam], sweep_folds(study)
        runs = runs_of_study(study)
        missing = [run for run in runs if find_finished(study, run) is None]
        work = sum(run.images * study.train.epochs for run in missing)
        self.estimate.plan("train", name, work)
        say(f"  {len(runs)} runs, {len(runs) - len(missing)} of them there already  {self.estimate.line()}")
        started = time.monotonic()
        train = partial(train_missing, study, how=self.how, on_finished=partial(self._show_first, study))
        for do in (train, partial(train, methods=methods, lams=lams, folds=folds)):
            try:
                do()
            except GndlError as error:
                self._failed(str(error))
        self._finished("train", name, work, started)

    def _failed(self, text: str) -> None:
        say(f"  FAILED: {text}")
        self.failures.append(text)

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
        figure = gallery.draw(study, sheet, f"{database.title}: neutral face and apex of each class")
        say(f"  contact sheet of the crops: {gallery.save(study, sheet, figure, 'contact_sheet')}")
        if sheet.note:
            say(f"    {sheet.note}")

    def _show_first(self, study: Prepared, run: Run, result: FitResult) -> None:
        """After the first run of the study, draw its confusion matrix and say where it lies."""
        if self.first_matrix_shown:
            return
        self.first_matrix_shown = True
        predictions = pd.read_csv(result.folder / "predictions.csv")
        counts = results.confusion_counts(predictions, study.database.expressions)
        title = f"{study.database.title}: {run.variant}, fold {run.fold} alone"
        figure = figures.confusion_matrices({title: counts}, source=study.database.source, width=figures.ONE_COLUMN)
        source = study.database.source
        folder = study.folder / "figures"
        path = figures.save_figure(figure, folder, "first_confusion_matrix", counts.reset_index(), source)
        say(f"  first confusion matrix: {path}")

    def tasks(self, database: str) -> list[Task]:
        """The notebooks of one database with what they are run with; those of the whole study for ``""``."""
        request = self.request
        parameters: dict[str, Any] = {
            "database": database,
            "data_root": request.data_roots.get(database, ""),
            "profile": request.settings.name,
            "out": str(request.out),
            "device": request.device,
            "seed": request.seeds[0],
        }
        folder, inputs = request.out / database / "notebooks", partial(inputs_of, request.out, database)
        sources = notebook_sources(FOR_EACH_DATABASE if database else FOR_THE_STUDY)
        return [Task(source, folder, parameters, inputs) for source in sources]

    def _notebooks(self, database: str) -> None:
        """Run the notebooks of one database, or of the whole study, as far as something has changed."""
        tasks = self.tasks(database)
        started = time.monotonic()
        there = 0
        for done in execute_missing(tasks, self.jobs):
            if done.error:
                self._failed(f"notebook {done.path}: {done.error}")
            elif done.there:
                there += 1
            else:
                say(f"  notebook {done.path}: {done.seconds:.0f} s")
        if there:
            say(f"  {there} of {len(tasks)} notebooks there already, nothing that they were made from has changed")
        self.notebooks += len(tasks)
        self.notebooks_there += there
        self._finished("notebooks", database, len(tasks) - there, started)

    def _report(self) -> pd.DataFrame | None:
        """Write what the study's CSV files give; the headline's rows, None where no run was finished."""
        if not results.finished_runs(self.request.out):
            return None
        try:
            return report_study(self.request.out)
        except GndlError as error:
            self._failed(str(error))
            return None

    def _record_times(self) -> None:
        """Add to study.json how long each stage took in this call, and in all calls together."""
        with changing_study_json(self.request.out) as content:
            total = content.get("seconds", {})
            for stage, seconds in self.seconds.items():
                total[stage] = round(total.get(stage, 0.0) + seconds - self.recorded.get(stage, 0.0), 1)
            content["seconds"] = total
            content["seconds_of_last_call"] = {stage: round(seconds, 1) for stage, seconds in self.seconds.items()}
        self.recorded = dict(self.seconds)

    def _summary(self, table: pd.DataFrame | None) -> None:
        out = self.request.out
        say("")
        if table is not None:
            text = tables.readable(table)
            columns = ["On", "Method", "Accuracy %", "Folds", "Per sequence %", "Chance %", "Images per epoch"]
            say(text[columns].to_string(index=False))
        took = ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in self.seconds.items())
        say(f"\nTook {took}.")
        failed = sum(failure.startswith("notebook ") for failure in self.failures)
        run = self.notebooks - self.notebooks_there - failed
        say(f"Notebooks: {run} executed, {self.notebooks_there} there already, {failed} failed.")
        say(f"Accuracies: {out / 'accuracy.csv'}")
        report = out / "notebooks" / "7_report.ipynb"
        places = [*([report] if report.exists() else []), out / "tables", out / "preview.tex"]
        say(f"The whole study: {', '.join(map(str, places))}")
        for name in self.request.data_roots:
            say(f"{DATABASE_TITLES[name]}: {out / name}/notebooks, figures, tables")
        for failure in self.failures:
            say(f"FAILED: {failure}")


def run_study(request: StudyRequest, jobs: int, how: Sweep) -> int:
    """Run a study as asked and return its exit status.

    ``jobs`` processes share rendering, cropping and notebooks; ``how`` says who trains the runs.
    """
    if not request.data_roots:
        raise GndlError("No database was asked for; name some with --databases.")
    return Batch(save_request(request), jobs, how).run()
