"""Across databases: train on all subjects of one database, or of several, and test on all subjects of another.

Subjects are named by their database. Classes are intersected by name; what falls out is counted and kept. Where one of
the databases is grey all of them are made grey, for a network that has seen no colour cannot use it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from numpy.typing import NDArray

from gndl.divergence import fit_naming_the_step
from gndl.errors import GndlError
from gndl.methods import MethodSettings, method_settings, variant_name
from gndl.pairs import FacePairs
from gndl.paper import DATABASE_TITLES
from gndl.prepare import Prepared
from gndl.progress import progress
from gndl.results import FinishedRun, finished_runs, write_csv
from gndl.runs import run_folder, weights_path
from gndl.sweeping.stopping import Stopped, StopSign, heed_signals_in_worker
from gndl.train import FitResult, raise_epochs

LUMA = np.array([0.299, 0.587, 0.114])
"""Grey of a colour (ITU-R BT.601)."""


@dataclass(frozen=True)
class CrossPairs:
    """The pairs of several databases as one set, split by database.

    Parameters
    ----------
    pairs : FacePairs
        Subjects and sequences are called ``DATABASE/NAME``.
    train_index, test_index : int arrays
    train_on, test_on : tuple of str
        Databases, in the order given.
    left_out : DataFrame
        ``database``, ``expression``, ``pairs``, ``subjects``: what has a class that not every database has.
    """

    pairs: FacePairs
    train_index: NDArray[np.int64]
    test_index: NDArray[np.int64]
    train_on: tuple[str, ...]
    test_on: tuple[str, ...]
    left_out: pd.DataFrame = field(repr=False)

    @property
    def name(self) -> str:
        """Names the folder of these runs, such as ``ckplus+mmi-to-oulu_casia``."""
        return f"{'+'.join(self.train_on)}-to-{'+'.join(self.test_on)}"


def databases_of(text: str, option: str) -> tuple[str, ...]:
    """Split ``ckplus+mmi`` into the names of databases.

    Raises
    ------
    GndlError
        Where there is no such database, or one is named twice.
    """
    names = tuple(part.strip() for part in text.split("+") if part.strip())
    for name in names:
        if name not in DATABASE_TITLES:
            raise GndlError(f"{option}: there is no database {name!r}; choose among {', '.join(DATABASE_TITLES)}.")
    if not names or len(set(names)) < len(names):
        raise GndlError(f"{option} takes different databases joined by +, such as ckplus+mmi; it was given {text!r}.")
    return names


def cross_pairs(train: Sequence[tuple[str, FacePairs]], test: Sequence[tuple[str, FacePairs]]) -> CrossPairs:
    """Join databases, each with its name, into pairs to train on and pairs to test on.

    Raises
    ------
    GndlError
        Where a database stands on both sides (its subjects would be in training and test: that is what folds are for),
        crops differ in size, or fewer than two classes are common to all.
    """
    both = {name for name, _ in train} & {name for name, _ in test}
    if both:
        raise GndlError(
            f"{DATABASE_TITLES[min(both)]} is to be trained on and tested on: its subjects would be in both. Within "
            "one database use folds (`gndl train`)."
        )
    parts = [*train, *test]
    if len({part.size for _, part in parts}) > 1:
        raise GndlError("The databases' crops differ in size; prepare them with the same profile.")
    common = [name for name in parts[0][1].expressions if all(name in part.expressions for _, part in parts)]
    if len(common) < 2:
        raise GndlError(f"{', '.join(name for name, _ in parts)} have {len(common)} classes in common; two are needed.")
    grey = any(part.images.ndim == 3 for _, part in parts)
    kept = [np.flatnonzero([part.expressions[int(label)] in common for label in part.label]) for _, part in parts]
    offsets = np.cumsum([0, *(len(part.images) for _, part in parts[:-1])])
    numbered = list(zip(parts, kept, offsets, strict=True))

    def joined(column: str) -> NDArray[np.int64]:
        return np.concatenate([np.asarray(getattr(part, column))[k] + start for (_, part), k, start in numbered])

    def named(column: str) -> list[str]:
        return [f"{name}/{getattr(part, column)[int(i)]}" for (name, part), k, _ in numbered for i in k]

    labels = [common.index(part.expressions[int(part.label[int(i)])]) for (_, part), k, _ in numbered for i in k]
    pairs = FacePairs(
        np.concatenate([_grey(part.images) if grey else np.asarray(part.images) for _, part in parts]),
        joined("examined_index"),
        joined("neutral_index"),
        np.array(labels, dtype=np.int64),
        named("subject"),
        named("sequence"),
        [str(part.frame[int(i)]) for (_, part), k, _ in numbered for i in k],
        tuple(common),
    )
    n_train = sum(len(k) for k in kept[: len(train)])
    index = np.arange(len(pairs))
    names = tuple(name for name, _ in train), tuple(name for name, _ in test)
    return CrossPairs(pairs, index[:n_train], index[n_train:], *names, _left_out(parts, common))


def _grey(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey of crops, rounded; crops that are grey stay what they are."""
    if images.ndim == 3:
        return np.asarray(images)
    grey = np.empty(images.shape[:3], dtype=np.uint8)
    for start in range(0, len(images), 64):
        grey[start : start + 64] = np.floor(images[start : start + 64] @ LUMA + 0.5)
    return grey


def _left_out(parts: Iterable[tuple[str, FacePairs]], common: Sequence[str]) -> pd.DataFrame:
    rows = []
    for name, part in parts:
        for number, expression in enumerate(part.expressions):
            own = np.flatnonzero(np.asarray(part.label) == number)
            if expression not in common and len(own):
                rows.append((name, expression, len(own), len({str(part.subject[int(i)]) for i in own})))
    return pd.DataFrame(rows, columns=["database", "expression", "pairs", "subjects"])


def train_across(
    train: Sequence[Prepared],
    test: Sequence[Prepared],
    *,
    methods: Iterable[str | MethodSettings] | None = None,
    jobs: int = 1,
) -> list[FitResult]:
    """Train every method once per seed on all subjects of some databases, and test it on all subjects of others.

    Runs lie in ``OUT/across/TRAIN-to-TEST/METHOD/lam-L/fold-0/seed-S``; finished ones are read. Beside them
    ``left_out.csv`` counts what has a class that not every database has.

    Parameters
    ----------
    train, test : sequence of Prepared
        Of one study.
    methods : optional
        Default: the study's.
    jobs : int
        Runs at once; it changes no number.

    Raises
    ------
    GndlError
        As :func:`cross_pairs` and :func:`gndl.train.fit`.
    Stopped
        Where a signal said so; each run in progress has ended its epoch.
    """
    cross = cross_pairs(
        [(one.database.name, one.pairs) for one in train], [(one.database.name, one.pairs) for one in test]
    )
    request = train[0].request
    folder = request.out / "across" / cross.name
    write_csv(cross.left_out, folder / "left_out.csv")
    settings = raise_epochs(request.settings.train, len(cross.train_index))
    weights = weights_path(train[0])
    identity: dict[str, Any] = {"database": cross.name, "source": train[0].database.source}

    def one(method: MethodSettings, seed: int, stop: StopSign, caller: int) -> FitResult | None:
        heed_signals_in_worker(caller)
        if os.getpid() != caller:  # as in `gndl.sweeping.engine_local`
            torch.set_num_threads(settings.threads)
        lam = request.settings.lam if method.uses_lam else None
        try:
            stop.check()
            return fit_naming_the_step(
                method,
                method.pairs_for(cross.pairs, cross.train_index),
                cross.train_index,
                cross.test_index,
                settings,
                run_folder=run_folder(folder, variant_name(method, weights), lam, 0, seed),
                lam=lam,
                seed=seed,
                device=request.device,
                weights=weights,
                identity=identity,
                on_epoch=stop.check,
                show_progress=False,
            )
        except Stopped:
            return None

    asked = [method_settings(method) for method in (request.settings.methods if methods is None else methods)]
    with StopSign(request.out) as stop:
        tasks = [delayed(one)(method, seed, stop, os.getpid()) for seed in request.seeds for method in asked]
        running = Parallel(n_jobs=min(jobs, len(tasks)), return_as="generator", batch_size=1)(tasks)
        finished = list(progress(running, f"Training across: {cross.name}", total=len(tasks), unit="run"))
    results = [result for result in finished if result is not None]
    if len(results) < len(finished):
        raise Stopped
    return results


def finished_across(out: Path) -> list[FinishedRun]:
    """Find a study's finished runs across databases, sorted; the ``database`` of each is ``TRAIN-to-TEST``."""
    return [run for run in finished_runs(out / "across") if "-to-" in run.database]
