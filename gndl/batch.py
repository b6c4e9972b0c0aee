"""``gndl study``: every database from what is on disk to its executed notebooks, and only what is out of date."""

from __future__ import annotations

import ast
import json
import logging
import os
import sys
import threading
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from gndl import __version__
from gndl.files import GndlError, atomic_write, counted, did_you_mean, repository_root, shown_path

if TYPE_CHECKING:
    from gndl.engines import Sharing
    from gndl.profiles import StudyConfig
    from gndl.study import Study

Stage = Literal["crops", "runs", "notebooks"]

FOR_EACH_DATABASE, OF_A_RECORD, FOR_THE_STUDY = "123456", "2345", "7"
"""First digits of the notebooks that are executed; 0 and 8 are tutorials, and 1 and 6 need pictures."""

PATIENCE = 900
"""Seconds that a busy machine may take to start a kernel, or to hand over the output of a cell."""

_stopping = threading.Event()
"""Set while the notebooks are being given up, so that none of them is kept as failed."""


class Task(NamedTuple):
    """A notebook to execute: its source, the folder of the executed one, its parameters, and the runs it reads."""

    source: Path
    folder: Path
    parameters: dict[str, Any]
    runs: Path | None
    """Folder with the runs (``…/run.json``) that the notebook reads; None to execute it whatever is there."""
    may_show: Any = None
    """Whose faces it may show: another list means another notebook."""

    @property
    def target(self) -> Path:
        """The executed notebook."""
        return self.folder / self.source.name

    @property
    def stamp(self) -> dict[str, Any]:
        """What the executed notebook keeps in its metadata, to be recognised."""
        return {"version": __version__, "parameters": self.parameters, "may_show": self.may_show}

    def is_current(self) -> bool:
        """Whether the executed notebook is newer than its source and runs, and was made with the same parameters."""
        if self.runs is None:
            return False
        try:
            kept = json.loads(self.target.read_bytes())["metadata"].get("gndl")
            made = self.target.stat().st_mtime
        except (OSError, ValueError, LookupError, TypeError, AttributeError):  # there is none, or half a file
            return False
        inputs = [self.source, *self.runs.glob("**/seed-*/run.json")]
        return kept == self.stamp and all(path.stat().st_mtime <= made for path in inputs)


class Executed(NamedTuple):
    """A notebook that was executed: where it is, how long it took, the last line of its error if it failed."""

    path: Path
    seconds: float
    error: str = ""
    skipped: bool = False


class Pipeline:
    """One call of ``gndl study``: its failures, and the seconds of each stage."""

    def __init__(self, out: Path, config: StudyConfig, how: Sharing, jobs: int, notebook_timeout: float | None) -> None:
        from gndl.record import is_packed

        self.out, self.config, self.how, self.jobs, self.timeout = out, config, how, jobs, notebook_timeout
        self.seconds: dict[str, float] = {}
        self.failures: list[str] = []
        self.is_record = is_packed(out)
        self.shown = repository_root() / "runs" / "figures" if self.is_record else out

    def run(self, only: Stage | None = None) -> int:
        """Run the whole study, or one stage of it; return the exit status, 1 if a run or a notebook failed.

        Of a packed record the notebooks that need no pictures are executed, into ``runs/figures``.
        """
        from gndl import results, tables
        from gndl.opening import changing_study_json
        from gndl.paper import DATABASE_TITLES
        from gndl.study import Study

        say(f"Study {self.out}, profile {self.config.settings.name}: {self.config.settings.purpose}.")
        for name in self.config.data_roots:
            say(f"\n{DATABASE_TITLES[name]}")
            if only != "notebooks":
                self._crop_and_train(Study(self.out, name, self.config, self.jobs), train=only != "crops")
            if only in (None, "notebooks"):
                self._notebooks(name)
        if any(self.out.glob("*/*/lam-*/fold-*/seed-*/run.json")):
            results.write_accuracy(self.out)
        if only in (None, "notebooks"):
            self._notebooks("")
        if not self.is_record:
            with changing_study_json(self.out) as content:
                total = content.setdefault("seconds", {})
                for stage, seconds in self.seconds.items():
                    total[stage] = round(total.get(stage, 0.0) + seconds, 1)
        if only != "crops" and (self.out / "accuracy.csv").exists():
            text = tables.readable(results.summarise(results.read(self.out).headline))
            columns = ["Database", "Method", "Accuracy %", "Folds", "Per sequence %", "Chance %"]
            say("\n" + text[columns].to_string(index=False))
        say("\nTime: " + ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in self.seconds.items()))
        say("\n".join(f"FAILED: {failure}" for failure in self.failures) or f"Notebooks, figures: {self.shown}")
        return 1 if self.failures else 0

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.monotonic() - started

    def _crop_and_train(self, study: Study, train: bool) -> None:
        from gndl.engines import train_missing
        from gndl.study import runs_of_study

        if not train or not (study.folder / "crops.csv").exists():
            with self._timed("crops"):
                database = study.database
                say(f"  read from {database.root}" + (" (stand-in)" if database.source == "rendered" else ""))
                problems = [found for found in database.findings if found.kind in ("error", "problem")]
                notes = [*(f"{found.kind}: {found.path}: {found.message}" for found in problems), *study.crops.notes]
                counts: dict[str, Any] = {"sequence": database.sequences, "subject": database.subjects}
                counts |= {"pair": study.pairs, "fold": study.folds}
                say("  " + ", ".join(counted(len(found), noun) for noun, found in counts.items()))
                say("".join(f"    {note}\n" for note in notes) + f"  first faces: {shown_path(first_faces(study))}")
        if train:
            runs = runs_of_study(study)
            missing = [run for run in runs if not study.finished(run)]
            say(f"  {counted(len(runs), 'run')}, {len(runs) - len(missing)} finished before")
            try:
                with self._timed("runs"):
                    train_missing(study, missing, self.how)
            except GndlError as error:
                self._failed(str(error))

    def _notebooks(self, database: str) -> None:
        tasks, skipped = self.tasks(database), 0
        with self._timed("notebooks"):
            for done in execute_all(tasks, self.jobs, self.timeout):
                skipped += done.skipped
                if done.error:
                    self._failed(f"notebook {done.path}: {done.error}")
                elif not done.skipped:
                    say(f"  notebook {done.path}: {done.seconds:.0f} s")
        if skipped:
            say(f"  {skipped} of {counted(len(tasks), 'notebook')} up to date")

    def tasks(self, database: str) -> list[Task]:
        """The notebooks of one database; those of the whole study for ``""``."""
        from gndl.profiles import read_study_json

        parameters = {
            "database": database,
            "data_root": self.config.data_roots.get(database, ""),
            "profile": self.config.settings.name,
            "out": str(self.out),
            "device": self.config.device,
            "seed": self.config.seeds[0],
        }
        may_show = read_study_json(self.out).get("publishable")
        of_databases = OF_A_RECORD if self.is_record else FOR_EACH_DATABASE
        sources = notebook_sources(of_databases if database else FOR_THE_STUDY)
        folder = self.shown / database if self.is_record else self.out / database / "notebooks"
        runs = None if self.is_record else self.out / database
        return [Task(source, folder, parameters, runs, may_show) for source in sources]

    def _failed(self, text: str) -> None:
        say(f"  FAILED: {text}")
        self.failures.append(text)


def first_faces(study: Study) -> Path:
    """The contact sheet of notebook 1, which is soon there."""
    from gndl import gallery, plots

    path = study.figures / "contact_sheet.png"
    if not path.exists():
        figure, shown = gallery.contact_sheet(study)
        plots.save(figure, study, path.stem, data=shown)
    return path


def say(text: str) -> None:
    """Print a line at once, also into a log."""
    print(text, flush=True)


def notebook_sources(digits: str) -> list[Path]:
    """The notebooks whose names start with one of ``digits``, in order."""
    found = sorted((repository_root() / "notebooks").glob("[0-9]_*.ipynb"))
    if not found:
        raise GndlError("No notebooks found: run gndl from a checkout of its repository, in which notebooks/ lies.")
    return [path for path in found if path.name[0] in digits]


def execute_all(tasks: Sequence[Task], jobs: int, timeout: float | None = None) -> Iterator[Executed]:
    """Execute the notebooks that are not current, ``jobs`` at once; yield each as it ends."""
    import psutil

    current = [task for task in tasks if task.is_current()]
    yield from (Executed(task.target, 0.0, skipped=True) for task in current)
    _stopping.clear()
    pool = ThreadPoolExecutor(max(1, jobs))
    futures: list[Future[Executed]] = []
    try:
        futures += [pool.submit(execute_notebook, task, timeout) for task in tasks if task not in current]
        for future in as_completed(futures):
            yield future.result()
    except BaseException:  # Ctrl-C: the kernels would run on for minutes
        _stopping.set()
        pool.shutdown(wait=False, cancel_futures=True)
        end = time.monotonic() + 120
        while not all(future.done() for future in futures) and time.monotonic() < end:
            for child in psutil.Process().children(recursive=True):  # repeatedly: one may just be starting
                with suppress(psutil.Error):
                    if any("ipykernel" in word for word in child.cmdline()):
                        child.kill()
            time.sleep(0.1)
        raise
    finally:
        pool.shutdown(wait=not _stopping.is_set())


def execute_notebook(task: Task, timeout: float | None = None) -> Executed:
    """Execute one notebook; if it fails, or takes longer than ``timeout`` seconds, keep ``NAME.failed.ipynb``."""
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # builds a parser for more than a second
    import nbclient.exceptions
    import nbformat
    import papermill

    logging.getLogger("papermill").setLevel(logging.ERROR)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # several kernels run at once
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    failed = task.folder / f"{task.source.stem}.failed.ipynb"
    running = task.folder / f".{task.source.stem}.running.ipynb"  # papermill writes it cell by cell
    task.folder.mkdir(parents=True, exist_ok=True)
    started, error = time.monotonic(), ""

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            papermill.execute_notebook(
                str(task.source),
                str(running),
                parameters=task.parameters,
                kernel_name="python3",
                progress_bar=False,
                cwd=str(task.source.parent),
                start_timeout=PATIENCE,
                iopub_timeout=PATIENCE,
                timeout_func=lambda _cell: timeout and max(1.0, started + timeout - time.monotonic()),
                extra_arguments=["--IPKernelApp.log_level=CRITICAL"],
            )
    except papermill.exceptions.PapermillExecutionError as failure:
        error = f"{failure.ename}: {failure.evalue}"
    except nbclient.exceptions.CellTimeoutError:
        error = f"stopped after {timeout:g} seconds (--notebook-timeout)"
    except Exception as failure:  # a kernel that died, a notebook that cannot be read: report it and go on
        error = f"{type(failure).__name__}: {failure}"
    seconds = time.monotonic() - started
    if error:
        if _stopping.is_set():
            running.unlink(missing_ok=True)
        elif running.exists():
            running.replace(failed)
        return Executed(failed, seconds, error)
    notebook = nbformat.read(running, as_version=4)
    notebook.metadata["gndl"] = task.stamp
    with atomic_write(task.target) as temporary:
        nbformat.write(notebook, temporary)
    running.unlink()
    failed.unlink(missing_ok=True)
    return Executed(task.target, seconds)


def check_parameters(namespace: dict[str, Any]) -> None:
    """In a notebook run by papermill, refuse a parameter that it does not have, or of another type than its default.

    Call it as ``gndl.check_parameters(globals())`` below the parameters, before anything is opened or written.
    Papermill inserts a cell of its own after the tagged one, which would otherwise set any name to anything.
    """
    cells = [str(source) for source in namespace.get("In", ())]
    for number, source in enumerate(cells):
        if source.startswith("# Parameters"):
            defaults = _assigned(cells[:number])
            for name, value in _assigned([source]).items():
                if name not in defaults:
                    has = f"It has {', '.join(defaults)}."
                    raise GndlError(f"This notebook has no parameter {name!r}.{did_you_mean(name, defaults)} {has}")
                if type(value) is not type(defaults[name]):
                    raise GndlError(
                        f"Parameter {name} takes {_KINDS[type(defaults[name])]} such as {defaults[name]!r}, got "
                        f"{value!r}. In papermill -p reads numbers, -r text, and -y lists."
                    )


_KINDS: dict[type, str] = {int: "a whole number", str: "text", list: "a list"}


def _assigned(cells: Iterable[str]) -> dict[str, Any]:
    """What cells first set names to; a value that is not plain, such as papermill's ``float('nan')``, as text."""
    found: dict[str, Any] = {}
    for source in cells:
        with suppress(SyntaxError):  # of a magic
            for line in ast.parse(source).body:
                if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
                    try:
                        found.setdefault(line.targets[0].id, ast.literal_eval(line.value))
                    except ValueError:
                        found.setdefault(line.targets[0].id, ast.unparse(line.value))
    return found
