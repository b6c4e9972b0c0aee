"""Samples of a gallery (Fig. 9) with all that is shown of them: faces, answers, and what the answers rest on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gndl.analysis.ensure import has_weights, one_run
from gndl.analysis.saliency import saliency_of_samples
from gndl.errors import GndlError
from gndl.imported import is_imported
from gndl.methods import MethodSettings
from gndl.prepare import Prepared

MethodAtLam = tuple[str | MethodSettings, float | None]
"""A method and its λ; None for the profile's, or for methods without it."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What one method says of one face.

    Parameters
    ----------
    predicted : str
    confidence : float
        Probability of ``predicted``.
    truth_p : float
        Probability of the true class.
    saliency : float32 array (S, S) or None
        What ``predicted`` rests on (`gndl.analysis.saliency`), from 0 to 1; None where the weights are not at hand.
    """

    predicted: str
    confidence: float
    truth_p: float
    saliency: NDArray[np.float32] | None


@dataclass(frozen=True, eq=False)
class ShownSample:
    """One row of a gallery."""

    subject: str
    sequence: str
    frame: str
    truth: str
    neutral: NDArray[np.uint8]
    examined: NDArray[np.uint8]
    a: Answer
    b: Answer


def show_samples(study: Prepared, chosen: pd.DataFrame, a: MethodAtLam, b: MethodAtLam) -> list[ShownSample]:
    """Bring faces and saliency to the rows of :func:`gndl.analysis.hard_samples.hard_samples`.

    Nothing is trained: where the weights of a run are not at hand, its saliency is left out.

    Raises
    ------
    GndlError
        Where the predictions were made of other pairs than the study now has.
    """
    pairs = study.pairs
    maps: dict[tuple[str, int], NDArray[np.float32]] = {}
    for fold, seed in chosen[["fold", "seed"]].drop_duplicates().astype(int).to_numpy().tolist():
        samples = chosen.loc[(chosen["fold"] == fold) & (chosen["seed"] == seed), "sample"].astype(int).tolist()
        for which, (method, lam) in (("a", a), ("b", b)):
            if not is_imported(method) and has_weights(study, one_run(study, method, lam, fold, seed)):
                found = saliency_of_samples(study, method, lam, fold, samples, seed=seed)
                maps |= {(which, sample): one for sample, one in zip(samples, found.maps, strict=True)}
    shown = []
    for row in chosen.to_dict("records"):
        sample = int(row["sample"])
        if sample >= len(pairs) or (pairs.sequence[sample], pairs.frame[sample]) != (row["sequence"], row["frame"]):
            raise GndlError(
                f"{study.folder}: sample {sample} was {row['frame']} of {row['sequence']} when it was tested, and is "
                "another one now; train again, or give back the database as it was."
            )
        shown.append(
            ShownSample(
                subject=str(row["subject"]),
                sequence=str(row["sequence"]),
                frame=str(row["frame"]),
                truth=str(row["truth"]),
                neutral=np.asarray(pairs.images[pairs.neutral_index[sample]]),
                examined=np.asarray(pairs.images[pairs.examined_index[sample]]),
                a=_answer(row, "a", maps.get(("a", sample))),
                b=_answer(row, "b", maps.get(("b", sample))),
            )
        )
    return shown


def _answer(row: dict[Any, Any], which: str, saliency: NDArray[np.float32] | None) -> Answer:
    return Answer(
        predicted=str(row[f"predicted_{which}"]),
        confidence=float(row[f"confidence_{which}"]),
        truth_p=float(row[f"truth_p_{which}"]),
        saliency=saliency,
    )
