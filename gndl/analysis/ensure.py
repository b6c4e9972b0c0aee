"""Have the weights of a run at hand: those of the study, or, where they were not kept, those of a second training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from gndl import results
from gndl.checkpoint import WEIGHTS
from gndl.errors import GndlError
from gndl.imported import is_imported
from gndl.methods import MethodSettings, method_settings
from gndl.paths import data_folder
from gndl.prepare import Prepared
from gndl.record import PREDICTIONS
from gndl.runs import Run, find_finished, fit_run, plan_runs
from gndl.train import FitResult


@dataclass(frozen=True)
class EnsuredRun:
    """A finished run whose weights are there.

    Parameters
    ----------
    run : Run
    folder : Path
        Where the weights lie: the run's own folder, or that of its second training.
    key : str
        Of the run as the study holds it (:func:`run_key`).
    note : str
        What a reader must know of a second training: whether it gave the predictions of the study; "" without one.
    """

    run: Run
    folder: Path
    key: str
    note: str = ""


def one_run(
    study: Prepared, method: str | MethodSettings, lam: float | None, fold: int, seed: int | None = None
) -> Run:
    """Name one run of a study; λ is left out for methods without it, the seed is the study's first by default.

    Raises
    ------
    GndlError
        Where the method was imported: there is no network of it, only what it said.
    """
    if is_imported(method):
        raise GndlError(f"{method} was imported: there are predictions of it and no network, so it cannot be asked.")
    known = method_settings(method)
    seed = study.request.seeds[0] if seed is None else seed
    value = study.request.settings.lam if lam is None else lam
    return plan_runs(study, [known], [value], [fold], [seed])[0]


def ensure_run(
    study: Prepared, method: str | MethodSettings, lam: float | None, fold: int, seed: int | None = None
) -> EnsuredRun:
    """Return a run with its weights, and train it where it is missing; a line says which run is trained, and why.

    A run that the study lacks is trained in its place. A finished run without weights (they are not committed) is
    trained again beside the rendered data, never in the study, and its predictions are compared with the study's: the
    same processor gives the same bytes, another may round otherwise.

    Parameters
    ----------
    study : Prepared
    method : str or MethodSettings
    lam : float or None
        λ of Eq. 11; the profile's by default, left out for methods without it.
    fold : int
    seed : int, optional
        The study's first by default.

    Raises
    ------
    GndlError
        Where another configuration lies in the run's folder, or the training fails.
    """
    run = one_run(study, method, lam, fold, seed)
    finished = find_finished(study, run)
    if finished is None:
        print(f"{run.name}: is not in this study yet, so it is trained now, {study.train.epochs} epochs.", flush=True)
        finished = fit_run(study, run, show_progress=True)
        results.write_accuracy(study.request.out)
    key = run_key(finished)
    if (run.folder / WEIGHTS).exists():
        return EnsuredRun(run, run.folder, key)
    folder = retrained_folder(finished)
    if not (folder / WEIGHTS).exists():
        print(
            f"{run.name}: its weights are not kept in {run.folder}, so it is trained again, {study.train.epochs} "
            f"epochs, into {folder}.",
            flush=True,
        )
    fit_run(study, replace(run, folder=folder), show_progress=True)  # reads what is there
    return EnsuredRun(run, folder, key, _agreement(run, folder))


def has_weights(study: Prepared, run: Run) -> bool:
    """Whether a run is finished and its weights are at hand, in the study or from a second training."""
    finished = find_finished(study, run)
    return finished is not None and any(
        (folder / WEIGHTS).exists() for folder in (run.folder, retrained_folder(finished))
    )


def folds_with_weights(
    study: Prepared, method: str | MethodSettings, lam: float | None, seed: int | None = None
) -> tuple[int, ...]:
    """The folds whose run of one variant is finished and has its weights, so that no training is needed for them."""
    runs = [one_run(study, method, lam, fold, seed) for fold in study.run_folds]
    return tuple(run.fold for run in runs if has_weights(study, run))


def retrained_folder(finished: FitResult) -> Path:
    """Folder for the second training of a finished run."""
    return data_folder() / "retrained" / run_key(finished)


def run_key(finished: FitResult) -> str:
    """Name a finished run by all that can change its numbers: the beginning of its identity's hash, and its epochs."""
    return f"{finished.record['identity_hash'][:16]}-{finished.record['epochs']}"


def _agreement(run: Run, folder: Path) -> str:
    """Say whether a second training gave the predictions of the first."""
    kept, again = run.folder / PREDICTIONS, folder / PREDICTIONS
    if kept.read_bytes() == again.read_bytes():
        return f"{run.name} was trained again for its weights and gave the same predictions, to the last byte."
    columns = ("sample", "truth", "predicted")
    old, new = results.read_csv(kept, columns), results.read_csv(again, columns)
    names = [name for name in old.columns if name.startswith("p_")]
    if list(old["sample"]) != list(new["sample"]) or names != [name for name in new.columns if name.startswith("p_")]:
        return f"{run.name} was trained again for its weights, and its predictions are of other samples."
    changed = int((old["predicted"] != new["predicted"]).sum())
    largest = float((old[names] - new[names]).abs().to_numpy().max())
    return (
        f"{run.name} was trained again for its weights, and this machine rounds otherwise than the one of the study: "
        f"{changed} of {len(old)} predictions differ, probabilities by at most {largest:.2g}. What follows is of the "
        "second training."
    )
