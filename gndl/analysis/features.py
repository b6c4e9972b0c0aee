"""Features of one finished run on its test fold: F_exam, F_neu, G(F_exam) and the deviation (Fig. 2, Fig. 8).

Every fold has a network of its own, so features of two folds are never mixed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from gndl.device import autocast, choose_device, computing_on
from gndl.files import GndlError
from gndl.methods import MethodSettings, build_method, is_imported
from gndl.model import GNDL, Method, Output
from gndl.pairs import DevicePairs, FacePairs
from gndl.profiles import TrainSettings
from gndl.runs import WEIGHTS, Run
from gndl.train import read_weights
from gndl.trainer import evaluate_outputs, evaluation_batches

if TYPE_CHECKING:
    from gndl.study import Study

Floats = NDArray[np.float32]
Names = NDArray[np.str_]
Row = dict[str, Any]
"""One measured number, or what names its run, by column."""

F_EXAM, F_NEU, F_GEN, MEAN_NEUTRAL = "F_exam", "F_neu", "G(F_exam)", "mean neutral"
DEVIATION, DEVIATION_REAL = "deviation", "deviation, real neutral"
"""Names of features in every table and figure."""


@dataclass(frozen=True, eq=False)
class FoldFeatures:
    """What one trained network makes of the T samples of its test fold, D channels a feature (512 in the paper)."""

    about: Row
    """What names the run in every table: database, method, lam, fold, seed and ``run`` (`identity_key`)."""
    expressions: tuple[str, ...]
    pairs: NDArray[np.int64]
    """Positions (T,) of the samples in the study's pairs."""
    f_exam: Floats
    """F_exam (T, D) of the examined faces, by running statistics (ledger L5)."""
    f_gen: Floats | None
    """F'_neu = G(F_exam) (T, D); None for methods without a generator."""
    deviation: Floats | None
    """F_exp-d (T, D) of Eq. 7, which is classified in place of F_exam; None for methods without one."""
    probabilities: Floats
    """Softmax (T, K) of the logits (Eq. 10), those of the run's predictions.csv."""
    probabilities_real: Floats | None
    """What GNDL's classifier makes of ``deviation_real`` (T, K); None for other methods."""
    label: NDArray[np.int64]
    subject: Names
    sequence: Names
    frame: Names
    gallery: Floats
    """Features (N, D) of the neutral crops of the whole database, each once."""
    gallery_subject: Names
    """Whose they are (N,)."""
    gallery_trained: NDArray[np.bool_]
    """Whether the run was trained on that subject (N,): neither test nor development subjects were."""
    own: NDArray[np.int64]
    """Row (T,) of ``gallery`` that holds each sample's own neutral face."""

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def f_neu(self) -> Floats:
        """F_neu (T, D): features of the samples' own real neutral faces by the same network in evaluation."""
        return self.gallery[self.own]

    @property
    def deviation_real(self) -> Floats:
        """F_exam − F_neu (T, D): the deviation from the real neutral face, the squares of Fig. 8."""
        return self.f_exam - self.f_neu

    @property
    def by_name(self) -> dict[str, Floats]:
        """The features (T, D) that this method has, by their names in tables."""
        real = None if self.deviation is None else self.deviation_real
        named = {F_EXAM: self.f_exam, DEVIATION: self.deviation, DEVIATION_REAL: real, F_GEN: self.f_gen}
        return {name: values for name, values in (named | {F_NEU: self.f_neu}).items() if values is not None}

    @property
    def truth(self) -> Names:
        """Names of the samples' classes (T,)."""
        return np.asarray(self.expressions)[self.label]

    @property
    def samples(self) -> pd.DataFrame:
        """One row a sample: what names the run, ``sample``, ``subject``, ``sequence``, ``frame``, both answers."""
        predicted = np.asarray(self.expressions)[self.probabilities.argmax(axis=1)]
        columns = {"sample": self.pairs, "subject": self.subject, "sequence": self.sequence, "frame": self.frame}
        return pd.DataFrame({**self.about, **columns, "truth": self.truth, "predicted": predicted})


def of_fold(
    study: Study,
    method: str | MethodSettings = "gndl",
    fold: int = 0,
    *,
    lam: float | None = None,
    seed: int | None = None,
) -> FoldFeatures:
    """Compute the features of one run's test fold, by default at the study's λ and of its first seed.

    Nothing is trained. ``method`` may be any that returns `gndl.model.Output`, your own included.

    Raises
    ------
    GndlError
        Where the run is missing or has no weights, naming the command; or where the method returns features of another
        shape than (B, D).
    """
    run = run_of(study, method, fold, lam=lam, seed=seed)
    network = load_network(study, run)
    pairs, settings, device = study.pairs, study.train_settings, choose_device(study.device)
    trained, index = study.folds.train_test(fold, pairs.subject)
    crops, first = np.unique(np.asarray(pairs.neutral_index), return_index=True)  # each once, and a pair that uses it
    own = np.searchsorted(crops, np.asarray(pairs.neutral_index)[index])
    with computing_on(device, settings.precision, settings.threads, run.seed):
        data = _on_device(pairs, device, settings)
        output = outputs(network, data, index, settings)
        gallery = _neutral_features(network, data, crops, settings)
        real = None
        if type(network) is GNDL:  # a method made from it may classify in another way
            with torch.no_grad():
                real = network.classifier((output.f_exam - gallery[own]).to(network.classifier.weight)).float().cpu()
    deviation = output.deviation
    if deviation is None and output.f_gen is not None:
        deviation = output.f_exam - output.f_gen
    subject = np.asarray(pairs.subject)
    about = {"database": study.name, "method": run.variant, "lam": np.nan if run.lam is None else run.lam}
    return FoldFeatures(
        about=about | {"fold": run.fold, "seed": run.seed, "run": identity_key(study, run)},
        expressions=pairs.expressions,
        pairs=index,
        f_exam=output.f_exam.numpy(),
        f_gen=None if output.f_gen is None else output.f_gen.numpy(),
        deviation=None if deviation is None else deviation.numpy(),
        probabilities=output.logits.softmax(1).numpy(),
        probabilities_real=None if real is None else real.softmax(1).numpy(),
        label=np.asarray(pairs.label)[index],
        subject=subject[index],
        sequence=np.asarray(pairs.sequence)[index],
        frame=np.asarray(pairs.frame)[index],
        gallery=gallery.numpy(),
        gallery_subject=subject[first],
        gallery_trained=np.isin(subject[first], subject[trained]),
        own=own,
    )


def row(analysis: str, measure: str, feature: str, value: float, weight: float, **more: Any) -> Row:
    """One measured number; its columns are described in `gndl.analysis.neutral.measure_fold`."""
    first = {"analysis": analysis, "measure": measure, "feature": feature, "value": float(value), "weight": weight}
    return first | more


def sequence_means(values: NDArray[Any], sequence: NDArray[np.str_]) -> NDArray[np.float64]:
    """Mean (S, D) of the rows (T, D) of each sequence, in the order of the sequences' names."""
    _, number, count = np.unique(sequence, return_inverse=True, return_counts=True)
    sums = np.zeros((len(count), values.shape[1]))
    np.add.at(sums, number, values)
    return sums / count[:, None]


def run_of(
    study: Study, method: str | MethodSettings, fold: int, *, lam: float | None = None, seed: int | None = None
) -> Run:
    """One run of a study: by default at the study's λ and of its first seed."""
    if is_imported(method):
        raise GndlError(f"{method} was imported: there are predictions and no network.")
    lam = study.settings.lam if lam is None else lam
    return study.plan([method], [lam], [fold], [study.seeds[0] if seed is None else seed])[0]


def identity_key(study: Study, run: Run) -> str:
    """Name a run by all that can change its numbers: the beginning of its identity's hash, and its epochs.

    "" for a run that is not finished.
    """
    record = study.finished(run)
    return "" if record is None else f"{record['identity_hash'][:16]}-{record['epochs']}"


def has_weights(study: Study, method: str | MethodSettings, fold: int, *, seed: int | None = None) -> bool:
    """Whether a run is finished and has weights; never so in a record or for an imported method."""
    if is_imported(method):
        return False
    run = run_of(study, method, fold, seed=seed)
    return study.finished(run) is not None and (run.folder / WEIGHTS).exists()


def load_network(study: Study, run: Run) -> Method:
    """The network of a finished run in evaluation mode, on the study's device; `GndlError` where there is none."""
    if study.finished(run) is None:
        raise GndlError(f"{run.name} is not trained yet: study.train([{run.variant!r}], folds=[{run.fold}]) trains it.")
    if not (run.folder / WEIGHTS).exists():  # nor does a packed record hold any
        raise GndlError(
            f"{study.out} holds no weights of {run.name} (records and shared studies have none). Train it again: "
            f"gndl train --profile {study.settings.name} --databases {study.name} --methods {run.method.name} "
            f"--only-folds {run.fold} --out runs/again; then open that study."
        )
    network = build_method(run.method, len(study.classes), run.lam)
    network.to(device=choose_device(study.device), memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.load_state_dict(read_weights(run.folder))
    return network.eval()


def outputs(network: Method, data: DevicePairs, index: NDArray[np.int64], settings: TrainSettings) -> Output:
    """Outputs for the pairs of ``index``, joined, in float32 on the CPU, as in the run's evaluation."""
    names = ("logits", "f_exam", "f_gen", "deviation")
    options = {"with_neutral": network.needs_neutral_at_test, "whole_sequences": network.whole_sequences}
    found = evaluate_outputs(network, data, index, settings.precision, names, **options)
    for name in {"f_exam": None} | found:
        if name != "logits":
            _require_features(found.get(name), name)
    return Output(**{name: values.cpu() for name, values in found.items()})


@lru_cache(maxsize=1)  # scaling a whole database down takes seconds, and every run of one database needs the same
def _on_device(pairs: FacePairs, device: torch.device, settings: TrainSettings) -> DevicePairs:
    return pairs.on(device, settings.image_size, mean=settings.input_mean, std=settings.input_std)


def _neutral_features(network: Method, data: DevicePairs, crops: NDArray[np.int64], settings: TrainSettings) -> Tensor:
    """Features (N, D) of neutral crops: by the method's ``neutral_features``, else as if they were examined ones."""
    crop, every = torch.from_numpy(crops).to(data.device), np.arange(len(crops))
    alone = replace(data, examined_index=crop, neutral_index=crop, label=torch.zeros_like(crop), sequence=every)
    own = getattr(network, "neutral_features", None)
    if own is None:
        return outputs(network, alone, every, settings).f_exam
    with torch.no_grad(), autocast(data.device, settings.precision):
        found = torch.cat([own(batch.examined).float().cpu() for batch in evaluation_batches(alone, every)])
    _require_features(found, "f_neu")
    return found


def _require_features(values: Tensor | None, name: str) -> None:
    if values is None or values.ndim != 2:
        found = "none" if values is None else f"shape {tuple(values.shape)}"
        raise GndlError(f"The method returned {found} as {name}; features of (B, channels) are needed here.")
