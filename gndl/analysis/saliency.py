"""Which part of a face an answer rests on: how much it weakens where a grey patch hides that part.

Occlusion is used rather than gradients because it asks nothing of a method but its answers: any ``Method`` can be
looked at, the unit is one that a reader knows (log-probability lost), and no noise has to be averaged away. It shows
regions of the size of the patch, no wrinkles. A patch is itself a sight that no network was trained on, so a weak map
means little; every map is scaled by its own maximum, which is given beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from gndl.analysis.ensure import ensure_run
from gndl.analysis.features import trained_network
from gndl.device import autocast, choose_device, computing_on
from gndl.errors import GndlError
from gndl.methods import MethodSettings
from gndl.model import Method
from gndl.pairs import FacePairs
from gndl.prepare import Prepared
from gndl.profiles import Precision

PATCH = 0.22
"""Side of the patch as a fraction of the face's: about an eye with its brow, or half a mouth."""
STEPS = 9
"""Places of the patch along each side; 81 in all, each overlapping the next by half."""
AT_ONCE = 128


@dataclass(frozen=True, eq=False)
class Saliency:
    """Maps of T faces of S × S pixels.

    Parameters
    ----------
    maps : float32 array (T, S, S)
        From 0 to 1, 1 where hiding weakens the answer most; all 0 where hiding nothing weakens it.
    largest : float array (T,)
        Log-probability (natural logarithm) lost where the map is 1.
    target : int array (T,)
        The class that was explained.
    """

    maps: NDArray[np.float32]
    largest: NDArray[np.float64]
    target: NDArray[np.int64]


def occlusion(
    network: Method,
    examined: Tensor,
    target: Tensor | None = None,
    *,
    neutral: Tensor | None = None,
    patch: float = PATCH,
    steps: int = STEPS,
    precision: Precision = "fp32",
) -> Saliency:
    """Hide every part of each face in turn by a patch of the face's mean grey, and note what the answer loses.

    A pixel's value is the loss of the target's log-probability, averaged over the patches that cover it; where hiding
    strengthens the answer it is 0. Nothing is random.

    Parameters
    ----------
    network : Method
        In evaluation mode.
    examined : float tensor (T, 3, S, S)
        Normalised, as the network is given them.
    target : int tensor (T,), optional
        The class to explain; default the predicted one.
    neutral : float tensor (T, 3, S, S), optional
        For methods that need the neutral face; it is never hidden.
    patch : float
        Side of the patch as a fraction of S.
    steps : int
        Places along each side.
    precision : {"fp32", "tf32", "bf16"}

    Raises
    ------
    GndlError
        Where patches would leave gaps.
    """
    side = examined.shape[-1]
    width = max(1, round(patch * side))
    starts = np.unique(np.linspace(0, side - width, steps).round().astype(int))
    if np.diff(starts, append=side).max() > width:
        raise GndlError(f"{steps} patches of {width} pixels leave gaps on faces of {side}; take more steps.")
    places = [(top, left) for top in starts.tolist() for left in starts.tolist()]
    maps, largest, targets = [], [], []
    with torch.no_grad(), autocast(examined.device, precision):
        for number, face in enumerate(examined):
            own = None if neutral is None else neutral[number : number + 1]
            whole = _log_probabilities(network, face[None], own)[0]
            explained = int(whole.argmax()) if target is None else int(target[number])
            hidden = torch.cat(
                [_log_probabilities(network, faces, own)[:, explained] for faces in _hidden(face, places, width)]
            )
            loss = _spread((whole[explained] - hidden).double().cpu().numpy(), places, width, side).clip(min=0)
            maps.append(loss / loss.max() if loss.max() > 0 else loss)
            largest.append(loss.max())
            targets.append(explained)
    return Saliency(
        np.array(maps, dtype=np.float32), np.array(largest, dtype=np.float64), np.array(targets, dtype=np.int64)
    )


def saliency_of_samples(
    study: Prepared,
    method: str | MethodSettings,
    lam: float | None,
    fold: int,
    samples: Iterable[int],
    *,
    seed: int | None = None,
) -> Saliency:
    """Make the maps of some samples of one fold by the network that was tested on them, for its own answers.

    Parameters
    ----------
    study : Prepared
    method : str or MethodSettings
    lam : float or None
        λ of Eq. 11; the profile's by default, left out for methods without it.
    fold : int
    samples : iterable of int
        Positions in the study's pairs, as ``sample`` in predictions.csv.
    seed : int, optional
        Of the run; default the study's first.
    """
    ensured = ensure_run(study, method, lam, fold, seed)
    settings, device = study.train, choose_device(study.request.device)
    network = trained_network(study, ensured)
    index = np.asarray(list(samples), dtype=np.int64)
    with computing_on(device, settings.precision, settings.threads, ensured.run.seed):
        data = _only(study.pairs, index).on(
            device, settings.image_size, mean=settings.input_mean, std=settings.input_std
        )
        needs_neutral = ensured.run.method.needs_neutral_at_test
        batch = next(iter(data.evaluation_batches(np.arange(len(index)), len(index), with_neutral=needs_neutral)))
        return occlusion(network, batch.examined, neutral=batch.neutral, precision=settings.precision)


def _only(pairs: FacePairs, index: NDArray[np.int64]) -> FacePairs:
    """The pairs of ``index`` with their own crops alone, so that no whole database is scaled down for a few."""
    crops, place = np.unique(
        np.concatenate([pairs.examined_index[index], pairs.neutral_index[index]]), return_inverse=True
    )
    return FacePairs(
        images=np.asarray(pairs.images[crops]),
        examined_index=place[: len(index)],
        neutral_index=place[len(index) :],
        label=pairs.label[index],
        subject=[pairs.subject[number] for number in index],
        sequence=[pairs.sequence[number] for number in index],
        frame=[pairs.frame[number] for number in index],
        expressions=pairs.expressions,
    )


def _log_probabilities(network: Method, faces: Tensor, neutral: Tensor | None) -> Tensor:
    """Log of the softmax of Eq. 10, (B, K) in float32; one neutral face serves all."""
    alike = None if neutral is None else neutral.expand(len(faces), -1, -1, -1)
    return F.log_softmax(network(faces, alike).logits.float(), dim=1)


def _hidden(face: Tensor, places: list[tuple[int, int]], width: int) -> Iterator[Tensor]:
    """Batches of the face with one part hidden, (B, 3, S, S) in the layout that networks are given."""
    grey = face.mean(dim=(1, 2), keepdim=True)
    for start in range(0, len(places), AT_ONCE):
        some = places[start : start + AT_ONCE]
        faces = face.repeat(len(some), 1, 1, 1).contiguous(memory_format=torch.channels_last)
        for number, (top, left) in enumerate(some):
            faces[number, :, top : top + width, left : left + width] = grey
        yield faces


def _spread(values: NDArray[np.float64], places: list[tuple[int, int]], width: int, side: int) -> NDArray[np.float64]:
    """Give every pixel the mean value of the patches that cover it, (S, S)."""
    total, count = np.zeros((side, side)), np.zeros((side, side))
    for value, (top, left) in zip(values, places, strict=True):
        total[top : top + width, left : left + width] += value
        count[top : top + width, left : left + width] += 1
    return total / count
