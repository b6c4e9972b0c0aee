"""Which part of a face an answer rests on: how much it weakens where a grey patch hides that part (Fig. 9).

captum's occlusion rather than gradients: it asks nothing of a method but its answers, and its unit is log-probability
lost. It shows regions of the size of the patch, no wrinkles. No network was trained on patches, so a weak map means
little; every map is scaled by its own maximum.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from captum.attr import Occlusion
from numpy.typing import NDArray
from torch import Tensor

from gndl.analysis.features import has_weights, load_network, run_of
from gndl.device import autocast, choose_device, computing_on
from gndl.model import Method
from gndl.trainer import output_alone

if TYPE_CHECKING:
    from gndl.study import Study

PATCH = 0.22
"""Side of the patch as a fraction of the face's: about an eye with its brow, or half a mouth."""
AT_ONCE = 128
"""Faces with a patch in one forward pass, about."""


def of_samples(study: Study, rows: pd.DataFrame, methods: Iterable[str]) -> dict[str, NDArray[np.float32]]:
    """Maps (n, S, S) of n tested samples, for each method by the network that was tested on them, at the study's λ.

    ``rows`` has ``fold``, ``seed`` and ``sample``, as `gndl.analysis.samples.hard_samples` gives them. A method without
    the weights of all these runs is left out. float32 from 0 to 1, 1 where hiding weakens the method's own answer most;
    all 0 where hiding nothing weakens it.
    """
    runs = rows[["fold", "seed"]].drop_duplicates().to_numpy(int).tolist()
    side, found = study.train_settings.image_size, {}
    for method in methods:
        if all(has_weights(study, method, fold, seed=seed) for fold, seed in runs):
            found[method] = np.zeros((len(rows), side, side), np.float32)
            for fold, seed in runs:
                here = ((rows["fold"] == fold) & (rows["seed"] == seed)).to_numpy()
                found[method][here] = _of_run(study, method, fold, seed, rows.loc[here, "sample"])
    return found


def _of_run(study: Study, method: str, fold: int, seed: int, samples: pd.Series) -> NDArray[np.float32]:
    network = load_network(study, run_of(study, method, fold, seed=seed))
    settings, device = study.train_settings, choose_device(study.device)
    with computing_on(device, settings.precision, settings.threads, seed):
        pairs = study.pairs.take(samples.to_numpy(np.int64))
        data = pairs.on(device, settings.image_size, mean=settings.input_mean, std=settings.input_std)
        with_neutral = network.needs_neutral_at_test
        batch = next(data.evaluation_batches(np.arange(len(pairs)), len(pairs), with_neutral=with_neutral))
        with autocast(device, settings.precision):
            return occlusion(network, batch.examined, neutral=batch.neutral)


def occlusion(
    network: Method, examined: Tensor, target: Tensor | None = None, *, neutral: Tensor | None = None
) -> NDArray[np.float32]:
    """Hide every part of each face in turn by a patch of the face's mean grey, and note what the answer loses.

    A pixel's value is the loss of the target's log-probability, averaged over the patches that cover it; where hiding
    strengthens the answer it is 0. Nothing is random. A method of whole sequences is given each face alone.

    ``network`` is in evaluation mode and given ``examined`` (T, 3, S, S) as it is, normalised. ``target`` (T,) is the
    class to explain, by default the predicted one; ``neutral`` (T, 3, S, S), for methods that need it, is never hidden.
    Returns float32 (T, S, S) from 0 to 1, each map scaled by its maximum.
    """

    def log_probabilities(faces: Tensor, neutral: Tensor | None = None) -> Tensor:
        faces = faces.contiguous(memory_format=torch.channels_last)
        return F.log_softmax(output_alone(network, faces, neutral).logits.float(), dim=1)

    width = max(1, round(PATCH * examined.shape[-1]))
    grey = examined.mean(dim=(2, 3), keepdim=True).expand_as(examined)
    with torch.no_grad():
        lost = Occlusion(log_probabilities).attribute(
            examined,
            sliding_window_shapes=(3, width, width),
            strides=(3, max(1, width // 2), max(1, width // 2)),
            baselines=grey,
            target=log_probabilities(examined, neutral).argmax(1) if target is None else target,
            additional_forward_args=neutral,
            perturbations_per_eval=max(1, AT_ONCE // len(examined)),
        )
    maps = lost[:, 0].float().clamp(min=0).cpu().numpy()  # the same in all three channels
    largest = maps.max(axis=(1, 2), keepdims=True)
    return np.divide(maps, largest, out=np.zeros_like(maps), where=largest > 0)
