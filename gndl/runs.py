"""One run is one training: database × method × λ × fold × seed. Which there are to do, and doing one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gndl.device import choose_device
from gndl.divergence import fit_naming_the_step
from gndl.identity import run_identity
from gndl.imported import is_imported
from gndl.methods import MethodSettings, lam_folder, method_settings, variant_name
from gndl.paths import resolve
from gndl.prepare import Prepared
from gndl.train import FitResult, OnEpoch, find_run, pairs_per_epoch


@dataclass(frozen=True)
class Run:
    """One training of a study.

    Parameters
    ----------
    method : MethodSettings
    variant : str
        The method's name with that of its starting weights: METHOD of the run's folder.
    lam : float or None
        None for methods without λ.
    fold, seed : int
    folder : Path
        ``OUT/DATABASE/METHOD/lam-L/fold-K/seed-S``.
    images : int
        Images that one epoch trains on.
    """

    method: MethodSettings
    variant: str
    lam: float | None
    fold: int
    seed: int
    folder: Path
    images: int

    @property
    def lam_text(self) -> str:
        """λ as folders and tables print it."""
        return lam_folder(self.lam).removeprefix("lam-")

    @property
    def name(self) -> str:
        """The run in a few words, for progress lines."""
        lam = "" if self.lam is None else f" λ={self.lam_text}"
        return f"{self.folder.relative_to(self.folder.parents[4]).parts[0]} {self.variant}{lam} fold {self.fold}"


def run_folder(database: Path, variant: str, lam: float | None, fold: int, seed: int) -> Path:
    """Return where a run lies in a database's folder of a study."""
    return database / variant / lam_folder(lam) / f"fold-{fold}" / f"seed-{seed}"


def plan_runs(
    study: Prepared,
    methods: Iterable[str | MethodSettings] | None = None,
    lams: Iterable[float] | None = None,
    folds: Iterable[int] | None = None,
    seeds: Iterable[int] | None = None,
) -> list[Run]:
    """List the runs of one database: by default the headline's, every method at the profile's λ.

    The first fold's runs come first, so that a first confusion matrix is soon there; within a fold the costly ones.
    """
    request = study.request
    weights = weights_path(study)
    named = request.settings.methods if methods is None else methods
    asked = [method_settings(method) for method in named if not is_imported(method)]  # which nobody trains here
    runs = []
    for fold in study.run_folds if folds is None else folds:
        train_index, _ = study.folds.train_test(fold, study.pairs.subject)
        for seed in request.seeds if seeds is None else seeds:
            for method in asked:
                variant = variant_name(method, weights)
                values = (request.settings.lam,) if lams is None else tuple(lams)
                for lam in values if method.uses_lam else (None,):
                    folder = run_folder(study.folder, variant, lam, fold, seed)
                    images = pairs_per_epoch(len(train_index), study.train.batch_size) * method.images_per_pair
                    runs.append(Run(method, variant, lam, fold, seed, folder, images))
    first = runs[0].fold if runs else 0
    return sorted(runs, key=lambda run: (run.fold != first, run.fold, -run.images))


def sweep_folds(study: Prepared) -> tuple[int, ...]:
    """The folds of the sensitivity sweep (Fig. 7): the profile's, as far as they are run; else all that are run."""
    asked = study.request.settings.sweep_folds
    if asked is None:
        return study.run_folds
    return tuple(fold for fold in study.run_folds if fold in asked) or study.run_folds


def runs_of_study(study: Prepared) -> list[Run]:
    """Everything that ``gndl study`` trains: the headline's runs, then those of the sweep over λ (Fig. 7)."""
    settings = study.request.settings
    methods = [method for method in settings.methods if method_settings(method).uses_lam]
    lams = [lam for lam in settings.lams if lam != settings.lam]
    return [*plan_runs(study), *plan_runs(study, methods, lams, sweep_folds(study))]


def weights_path(study: Prepared) -> Path | None:
    """The file that backbones start from, None for random initialisation (ledger L8)."""
    return resolve(study.request.weights) if study.request.weights else None


def find_finished(study: Prepared, run: Run) -> FitResult | None:
    """The run as it lies on disk; None where it is missing, unfinished or shorter than asked.

    Raises
    ------
    GndlError
        Where another configuration lies in the run's folder; the field that differs is named.
    """
    return find_run(run.folder, _identity(study, run), study.train.epochs)


def fit_run(study: Prepared, run: Run, on_epoch: OnEpoch | None = None, *, show_progress: bool = False) -> FitResult:
    """Train one run from where it stands; silent by default, for it may be one of many side by side.

    ``on_epoch`` is called after every epoch, as by :func:`gndl.train.fit`.

    Raises
    ------
    GndlError
        Also where the loss is no finite number at some step, which is named; the last checkpoint stays.
    """
    train_index, test_index = study.folds.train_test(run.fold, study.pairs.subject)
    pairs = run.method.pairs_for(study.pairs, train_index)
    held = study.folds.development(run.fold, study.pairs.subject)
    return fit_naming_the_step(
        run.method,
        pairs,
        train_index,
        test_index,
        study.train,
        run_folder=run.folder,
        lam=run.lam,
        fold=run.fold,
        seed=run.seed,
        device=study.request.device,
        weights=weights_path(study),
        identity=study.identity(run.fold),
        on_epoch=on_epoch,
        show_progress=show_progress,
        dev_index=held if len(held) else None,
    )


def _identity(study: Prepared, run: Run) -> dict[str, Any]:
    """What tells this run apart from every other."""
    train_index, test_index = study.folds.train_test(run.fold, study.pairs.subject)
    return run_identity(
        run.method,
        run.method.pairs_for(study.pairs, train_index),
        train_index,
        test_index,
        study.train,
        lam=run.lam,
        fold=run.fold,
        seed=run.seed,
        device=choose_device(study.request.device),
        weights=weights_path(study),
        extra=study.identity(run.fold),
    )
