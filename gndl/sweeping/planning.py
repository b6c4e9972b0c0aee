"""What ``gndl study`` would do, what is there already, and how long the rest takes (``--dry-run``).

Nothing is rendered, read or trained for it, but for a few steps on noise that tell how fast this device is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gndl.checkpoint import epochs_kept, read_record
from gndl.execute import FOR_EACH_DATABASE, FOR_THE_STUDY, notebook_sources
from gndl.methods import method_settings, variant_name
from gndl.paths import resolve, standin_folder
from gndl.prepare import STAND_IN_SEED
from gndl.record import EPOCHS
from gndl.request import StudyRequest, joined, read_study_json
from gndl.runs import run_folder
from gndl.sequences import STAND_IN_LABEL
from gndl.standins import planned_frames
from gndl.sweeping.engine_local import processes_and_gpus
from gndl.sweeping.estimate import Estimate, cost_to_deal, duration, expected_size, expected_training
from gndl.sweeping.shard import Shard, dealt
from gndl.sweeping.sweep import Sweep, checkpoint_every
from gndl.sweeping.warm_up import Pace, describe_paces, measured_paces


@dataclass(frozen=True)
class PlannedRun:
    """One run as it is expected before its database was read.

    Parameters
    ----------
    database, method, variant, lam, fold, folder
        As of :class:`gndl.runs.Run`.
    done, epochs : int
        Epochs that need not be trained again, and epochs asked for.
    begun : bool
        It lies there unfinished; without a checkpoint its epochs are trained again.
    trained, tested : float
        Pictures that an epoch trains on and tests.
    """

    database: str
    method: str
    variant: str
    lam: float | None
    fold: int
    folder: Path
    done: int
    epochs: int
    begun: bool
    trained: float
    tested: float

    @property
    def there(self) -> bool:
        """Whether it is finished."""
        return self.done >= self.epochs


def planned_runs(request: StudyRequest) -> list[PlannedRun]:
    """List what ``gndl study`` trains: the headline's runs and those of the sweep over λ, database by database.

    Numbers of pictures and epochs are those to expect of the stand-in or of the paper's database; the folds are those
    of the study where it has some.
    """
    settings = request.settings
    weights = resolve(request.weights) if request.weights else None
    runs = []
    for name, root in request.data_roots.items():
        sequences, subjects = expected_size(settings, name, rendered=not root)
        n_folds = _folds_dealt(request.out / name / "folds.json") or settings.n_folds or min(10, subjects)
        folds = [fold for fold in range(n_folds) if settings.only_folds is None or fold in settings.only_folds]
        swept = [fold for fold in folds if settings.sweep_folds is None or fold in settings.sweep_folds] or folds
        pairs, epochs = expected_training(settings, sequences, n_folds)
        others = [lam for lam in settings.lams if lam != settings.lam]
        for method in (method_settings(method) for method in settings.methods):
            variant = variant_name(method, weights)
            values = [(settings.lam, folds), *((lam, swept) for lam in others)] if method.uses_lam else [(None, folds)]
            for lam, of in values:
                for fold in of:
                    for seed in request.seeds:
                        folder = run_folder(request.out / name, variant, lam, fold, seed)
                        done, begun = _standing(folder, epochs)
                        trained, tested = method.images_per_pair * pairs, 3 * sequences / n_folds
                        runs.append(
                            PlannedRun(
                                name, method.name, variant, lam, fold, folder, done, epochs, begun, trained, tested
                            )
                        )  # fmt: skip
    return runs


def seconds_of(run: PlannedRun, paces: Mapping[str, Pace], every: int) -> float:
    """Seconds that what is missing of a run takes one process, with a checkpoint ``every`` so many epochs (0: none)."""
    often = 1 / every if every else 0.0
    return (run.epochs - run.done) * paces[run.method].epoch(run.trained, run.tested, often) if not run.there else 0.0


def side_by_side(seconds: Sequence[float], processes: int) -> float:
    """Seconds that runs of these lengths take when ``processes`` go through them, each taking the next that waits."""
    busy = [0.0] * processes
    for length in seconds:
        busy[busy.index(min(busy))] += length
    return max(busy)


def plan_text(request: StudyRequest, how: Sweep) -> str:
    """Say what ``gndl study`` would do.

    Raises `GndlError` where the directory holds another study, as the call itself would, or a damaged checkpoint.
    """
    if (request.out / "study.json").exists():
        request = joined(request, read_study_json(request.out)["asked"])
    settings, train = request.settings, request.settings.train
    processes, _ = processes_and_gpus(request.device, how)
    runs = planned_runs(request) if how.shard is None else share_of_plan(request, how.shard)
    lines = [
        f"profile {settings.name}: {settings.purpose}",
        f"into {request.out}, {processes} runs at once ({how.engine}), device {request.device}, "
        f"precision {train.precision}",
        f"methods {', '.join(settings.methods)} at λ = {settings.lam:g}, seeds {', '.join(map(str, request.seeds))}",
        f"epochs {train.epochs}" + (f" or more, until {train.min_steps} optimiser steps" if train.min_steps else ""),
    ]
    if how.shard is not None:
        lines.append(f"share {how.shard} of the runs, and nothing but training")
    for name in request.data_roots:
        lines.append(f"{name}: {_where(request, name)}")
        lines += _lines_of_variants([run for run in runs if run.database == name])
    missing = [run for run in runs if not run.there]
    begun = sum(run.begun for run in missing)
    lines.append(
        f"{len(runs)} runs: {len(runs) - len(missing)} there, {begun} begun, {len(missing) - begun} not begun "
        "(whether those there are of this configuration is checked when they are read)"
    )
    lines += _times(request, how, missing, processes)
    lines.append("settings: " + json.dumps(vars(train), default=vars, ensure_ascii=False))
    return "\n".join(lines)


def share_of_plan(request: StudyRequest, shard: Shard) -> list[PlannedRun]:
    """Return the runs of a share, those that `gndl.sweeping.sweep.shared` trains where the folds are dealt."""
    runs = planned_runs(request)
    own = dealt({run.folder: cost_to_deal(request, run.database, method_settings(run.method)) for run in runs}, shard)
    return [run for run in runs if run.folder in own]


def _times(request: StudyRequest, how: Sweep, missing: Sequence[PlannedRun], processes: int) -> list[str]:
    """How long the training takes by what is measured now, and the other stages by a guess."""
    lines, train = [], request.settings.train
    seconds = 0.0
    if missing:
        methods = list(dict.fromkeys(run.method for run in missing))
        paces = measured_paces(methods, train, request.settings.lam, request.device, how)
        lines.append(describe_paces(paces, request.device, how))
        every = checkpoint_every(train, how)
        seconds = side_by_side([seconds_of(run, paces, every) for run in missing], processes)
        lines.append(f"training about {duration(seconds)}, by that measurement")
    other = Estimate(how.jobs or processes, train.image_size)
    for name, root in request.data_roots.items():
        sequences, _ = expected_size(request.settings, name, rendered=not root)
        if not root and not (standin_folder(request.settings.name, name) / STAND_IN_LABEL).exists():
            frames = planned_frames(name, request.settings.standins[name], STAND_IN_SEED)
            other.plan("render", name, frames)
        if not (request.out / name / "crops.csv").exists():
            other.plan("crop", name, 4 * sequences)
        if how.shard is None:
            other.plan("notebooks", name, _not_executed(request.out / name / "notebooks", FOR_EACH_DATABASE))
    if how.shard is None:
        other.plan("notebooks", "", _not_executed(request.out / "notebooks", FOR_THE_STUDY))
    guessed = {stage: other.seconds_left(stage) for stage in ("render", "crop", "notebooks")}
    words = [f"{stage} about {duration(time)}" for stage, time in guessed.items() if time]
    if words:
        lines.append(f"{', '.join(words)}, by first guesses that were not measured here")
    lines.append(f"in all about {duration(seconds + sum(guessed.values()))}")
    return lines


def _where(request: StudyRequest, name: str) -> str:
    """Where a database is read from, and whether it is there."""
    if request.data_roots[name]:
        return request.data_roots[name]
    size, folder = request.settings.standins[name], standin_folder(request.settings.name, name)
    state = "there already" if (folder / STAND_IN_LABEL).exists() else "to be rendered"
    return f"stand-in, {size.sequences} sequences of {size.subjects} subjects, {state}: {folder}"


def _lines_of_variants(runs: Sequence[PlannedRun]) -> list[str]:
    """One line for each variant and λ: its folds, which are there, which are begun."""
    groups: dict[tuple[str, float | None], list[PlannedRun]] = {}
    for run in runs:
        groups.setdefault((run.variant, run.lam), []).append(run)
    lines = []
    for (variant, lam), own in groups.items():
        there = [str(run.fold) for run in own if run.there]
        begun = [f"{run.fold} ({run.done} of {run.epochs} epochs)" for run in own if run.begun and not run.there]
        parts = [f"folds {', '.join(str(run.fold) for run in own)} of {own[0].epochs} epochs"]
        parts += [f"there: {', '.join(there)}"] if there else []
        parts += [f"begun: {', '.join(begun)}"] if begun else []
        lines.append(f"  {variant}{'' if lam is None else f' λ={lam:g}'}: {'; '.join(parts)}")
    return lines


def _standing(folder: Path, epochs: int) -> tuple[int, bool]:
    """Epochs of a run that need not be trained again, and whether it was begun; a finished one has all."""
    record = read_record(folder)
    file = folder / EPOCHS
    rows = max(0, file.read_bytes().count(b"\n") - 1) if file.exists() else 0
    if record is not None and rows >= epochs and (folder / "predictions.csv").exists():
        return epochs, False
    return min(epochs_kept(folder), epochs - 1), rows > 0


def _folds_dealt(path: Path) -> int | None:
    return len(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def _not_executed(folder: Path, numbers: str) -> int:
    return sum(not (folder / source.name).exists() for source in notebook_sources(numbers))
