"""Features of one finished run: F_exam, F_neu, G(F_exam) and the deviation of its validation fold (Fig. 2, Fig. 8)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gndl.analysis.ensure import EnsuredRun, ensure_run, folds_with_weights
from gndl.batches import Batch, DevicePairs
from gndl.checkpoint import read_weights
from gndl.device import autocast, choose_device, computing_on
from gndl.errors import GndlError
from gndl.methods import MethodSettings, build_method
from gndl.model import GNDL, Method, Output
from gndl.pairs import FacePairs
from gndl.prepare import Prepared
from gndl.profiles import TrainSettings
from gndl.runs import Run
from gndl.trainer import EVALUATION_BATCH, EVALUATION_PIXELS

__all__ = [
    "EnsuredRun",
    "FoldFeatures",
    "ensure_run",
    "features_of_run",
    "fold_features",
    "folds_with_weights",
    "trained_network",
]

Floats = NDArray[np.float32]
Names = NDArray[np.str_]


@dataclass(frozen=True, eq=False)
class FoldFeatures:
    """What one trained network makes of the T samples of its validation fold, D channels a feature (512 in the paper).

    Parameters
    ----------
    run : Run
        The run that the network comes from.
    key : str
        Of the run (:func:`gndl.analysis.ensure.run_key`).
    note : str
        What a reader must know about where its weights come from; "" where they lie in the study.
    expressions : tuple of K str
        Names of the classes.
    pairs : int array (T,)
        Positions of the samples in the study's pairs.
    f_exam : float32 array (T, D)
        F_exam of the examined faces, by running statistics (ledger L5).
    f_gen : float32 array (T, D) or None
        F'_neu = G(F_exam); None for methods without a generator.
    deviation : float32 array (T, D) or None
        F_exp-d of Eq. 7, which is classified in place of F_exam; None for methods without one.
    probabilities : float32 array (T, K)
        Softmax of the logits (Eq. 10), those of the run's predictions.csv.
    probabilities_real : float32 array (T, K) or None
        What GNDL's classifier makes of ``deviation_real``, the neutral face that it never sees at test time; None for
        other methods.
    label : int array (T,)
    subject, sequence, frame : str array (T,)
    gallery : float32 array (N, D)
        Features of the neutral crops of the whole database, each crop once. The network was trained on those of
        every subject but the fold's.
    gallery_subject : str array (N,)
        Whose they are.
    gallery_crop : int array (N,)
        Where they lie in ``study.pairs.images``, in rising order.
    own : int array (T,)
        Row of ``gallery`` that holds each sample's own neutral face.
    """

    run: Run
    key: str
    note: str
    expressions: tuple[str, ...]
    pairs: NDArray[np.int64]
    f_exam: Floats
    f_gen: Floats | None
    deviation: Floats | None
    probabilities: Floats
    probabilities_real: Floats | None
    label: NDArray[np.int64]
    subject: Names
    sequence: Names
    frame: Names
    gallery: Floats
    gallery_subject: Names
    gallery_crop: NDArray[np.int64]
    own: NDArray[np.int64]

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
    def about(self) -> dict[str, str | int]:
        """What names the run in every table: database, method, λ, fold, seed and the run's key."""
        run = self.run
        named = (run.folder.parents[3].name, run.variant, run.lam_text, run.fold, run.seed, self.key)
        return dict(zip(("database", "method", "lam", "fold", "seed", "run"), named, strict=True))

    @property
    def truth(self) -> Names:
        """Names of the samples' classes (T,)."""
        return np.asarray(self.expressions)[self.label]


def fold_features(
    study: Prepared, method: str | MethodSettings, lam: float | None, fold: int, seed: int | None = None
) -> FoldFeatures:
    """Compute the features of one run's validation fold, training the run first where its weights are absent.

    Parameters
    ----------
    study : Prepared
    method : str or MethodSettings
        Any method that returns :class:`gndl.model.Output`, one's own included.
    lam : float or None
        λ of Eq. 11; read by methods that use it only.
    fold : int
    seed : int, optional
        Of the run; default the study's first.

    Returns
    -------
    FoldFeatures

    Raises
    ------
    GndlError
        Where the fold does not exist, another configuration lies in the run's folder, or the method returns features
        of another shape than (B, D).
    """
    return features_of_run(study, ensure_run(study, method, lam, fold, seed))


def features_of_run(study: Prepared, ensured: EnsuredRun, index: NDArray[np.int64] | None = None) -> FoldFeatures:
    """Compute the features of a run whose weights are there (:func:`gndl.analysis.ensure.ensure_run`).

    ``index`` (T,) names the pairs; by default those of the run's validation fold.
    """
    run, pairs, settings = ensured.run, study.pairs, study.train
    device = choose_device(study.request.device)
    network = trained_network(study, ensured)
    index = study.folds.train_test(run.fold, pairs.subject)[1] if index is None else index
    # Each neutral crop once, and a pair that uses it.
    crops, first = np.unique(np.asarray(pairs.neutral_index), return_index=True)
    with computing_on(device, settings.precision, settings.threads, run.seed):
        data = _on_device(pairs, device, settings)
        outputs = _outputs(network, data, index, settings, with_neutral=run.method.needs_neutral_at_test)
        gallery = _neutral_features(network, data, crops, settings)
        own = np.searchsorted(crops, np.asarray(pairs.neutral_index)[index])
        real = _with_real_neutral(network, outputs.f_exam, gallery[own])
    deviation = outputs.deviation
    if deviation is None and outputs.f_gen is not None:
        deviation = outputs.f_exam - outputs.f_gen
    subject = np.asarray(pairs.subject)
    return FoldFeatures(
        run=run,
        key=ensured.key,
        note=ensured.note,
        expressions=pairs.expressions,
        pairs=index,
        f_exam=outputs.f_exam.numpy(),
        f_gen=None if outputs.f_gen is None else outputs.f_gen.numpy(),
        deviation=None if deviation is None else deviation.numpy(),
        probabilities=outputs.logits.softmax(1).numpy(),
        probabilities_real=None if real is None else real.softmax(1).numpy(),
        label=np.asarray(pairs.label)[index],
        subject=subject[index],
        sequence=np.asarray(pairs.sequence)[index],
        frame=np.asarray(pairs.frame)[index],
        gallery=gallery.numpy(),
        gallery_subject=subject[first],
        gallery_crop=crops,
        own=own,
    )


def trained_network(study: Prepared, ensured: EnsuredRun) -> Method:
    """Load the network of a run in evaluation mode on the study's device, laid out as it was trained."""
    run = ensured.run
    network = build_method(run.method, len(study.pairs.expressions), run.lam)
    network.to(device=choose_device(study.request.device), memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.load_state_dict(read_weights(ensured.folder))
    return network.eval()


@lru_cache(maxsize=1)  # scaling a whole database down takes seconds, and every run of one database needs the same
def _on_device(pairs: FacePairs, device: torch.device, settings: TrainSettings) -> DevicePairs:
    return pairs.on(device, settings.image_size, mean=settings.input_mean, std=settings.input_std)


def _batches(
    data: DevicePairs, index: NDArray[np.int64], settings: TrainSettings, *, with_neutral: bool
) -> Iterable[Batch]:
    """Batches of the size in which runs are evaluated, so that the same bits come out."""
    size = max(1, min(EVALUATION_BATCH, EVALUATION_PIXELS // data.images.shape[1] ** 2))
    return data.evaluation_batches(index, size, with_neutral=with_neutral)


def _outputs(
    network: Method, data: DevicePairs, index: NDArray[np.int64], settings: TrainSettings, *, with_neutral: bool
) -> Output:
    """The network's outputs for the pairs of ``index``, joined, in float32 on the CPU."""
    parts = []
    with torch.no_grad(), autocast(data.device, settings.precision):
        for batch in _batches(data, index, settings, with_neutral=with_neutral):
            parts.append(network(batch.examined, batch.neutral))
    return Output(
        logits=_joined([part.logits for part in parts]),
        f_exam=_features([part.f_exam for part in parts], "f_exam"),
        f_gen=_features([part.f_gen for part in parts], "f_gen") if parts[0].f_gen is not None else None,
        deviation=_features([part.deviation for part in parts], "deviation")
        if parts[0].deviation is not None
        else None,
    )


def _neutral_features(network: Method, data: DevicePairs, crops: NDArray[np.int64], settings: TrainSettings) -> Tensor:
    """Features (N, D) of crops that show neutral faces.

    By the method's own ``neutral_features`` where it has one; else the neutral face is given as the examined one.
    """
    own = getattr(network, "neutral_features", None)
    crop = torch.from_numpy(crops).to(data.device)
    alone = replace(data, examined_index=crop, neutral_index=crop, label=torch.zeros_like(crop))
    parts = []
    with torch.no_grad(), autocast(data.device, settings.precision):
        for batch in _batches(alone, np.arange(len(crops)), settings, with_neutral=network.needs_neutral_at_test):
            parts.append(own(batch.examined) if own else network(batch.examined, batch.neutral).f_exam)
    return _features(parts, "f_neu")


def _with_real_neutral(network: Method, f_exam: Tensor, f_neu: Tensor) -> Tensor | None:
    """GNDL's logits for the deviation from the real neutral feature; None for other methods."""
    if type(network) is not GNDL:  # a method made from it may classify in another way
        return None
    with torch.no_grad():
        weight = network.classifier.weight
        return _joined([network.classifier((f_exam - f_neu).to(weight))])


def _joined(parts: list[Tensor]) -> Tensor:
    return torch.cat([part.float().cpu() for part in parts])


def _features(parts: list[Tensor | None], name: str) -> Tensor:
    """Join one feature of all batches, which must be (B, D) each."""
    for part in parts:
        if part is None or part.ndim != 2:
            found = "none" if part is None else f"shape {tuple(part.shape)}"
            raise GndlError(
                f"The method returned {found} as {name}; features of (B, channels) are needed to analyse it."
            )
    return _joined([part for part in parts if part is not None])
