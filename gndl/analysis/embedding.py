"""t-SNE of deviation features (Fig. 8), and how far classes and subjects lie apart in the features themselves.

A t-SNE map shows who is near whom; its distances, and how tight its clusters look, mean little. The silhouette is taken
in the full feature space.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.metrics import pairwise_distances
from threadpoolctl import threadpool_limits

from gndl.analysis.features import Floats, FoldFeatures
from gndl.analysis.measurement import DEVIATION, DEVIATION_REAL, F_EXAM, F_GEN, Measurement
from gndl.errors import GndlError

COMPONENTS = 50
"""Principal components that t-SNE starts from, at most."""

PERPLEXITY = 30.0
"""Of t-SNE, where there are points enough; a third of the points else."""

FEWEST_POINTS = 6
"""Points below which a map shows nothing."""

SHUFFLES = 200
"""Random labellings that give a silhouette's chance."""


def deviation_embedding(features: FoldFeatures, seed: int = 0) -> pd.DataFrame:
    """Lay the deviations from the real and from the generated neutral face out in one plane, together.

    Parameters
    ----------
    features : FoldFeatures
        T samples of a method with a generator.
    seed : int
        Of t-SNE.

    Returns
    -------
    DataFrame
        Two rows a sample: what names the run, ``sample``, ``subject``, ``sequence``, ``frame``, ``truth``,
        ``predicted`` (from the generated neutral), ``neutral`` (``"real"`` or ``"generated"``), ``x``, ``y``. Empty
        where there are fewer than three samples.

    Raises
    ------
    GndlError
        Where the method has no deviation.
    """
    if features.deviation is None:
        raise GndlError(f"{features.run.variant} generates no neutral feature, so it has no deviation to lay out.")
    about = pd.DataFrame(
        {
            **features.about,
            "sample": features.pairs,
            "subject": features.subject,
            "sequence": features.sequence,
            "frame": features.frame,
            "truth": features.truth,
            "predicted": np.asarray(features.expressions)[features.probabilities.argmax(axis=1)],
        }
    )
    both = pd.concat([about.assign(neutral="real"), about.assign(neutral="generated")], ignore_index=True)
    if len(both) < FEWEST_POINTS:
        return both.iloc[:0].assign(x=[], y=[])
    plane = in_a_plane(np.concatenate([features.deviation_real, features.deviation]), seed).astype(np.float64).round(4)
    return both.assign(x=plane[:, 0], y=plane[:, 1])


def in_a_plane(points: Floats, seed: int = 0) -> Floats:
    """Lay N points (N, D) out in a plane (N, 2): PCA to at most 50 components, then t-SNE from the first two.

    The perplexity is 30, or a third of the points where there are fewer than 90. One thread, so that the same points
    give the same plane.
    """
    with threadpool_limits(1):
        components = min(COMPONENTS, *points.shape)
        reduced = PCA(components, svd_solver="full").fit_transform(points.astype(np.float64))
        perplexity = min(PERPLEXITY, len(points) / 3)
        return TSNE(perplexity=perplexity, init="pca", random_state=seed, n_jobs=1).fit_transform(reduced)


def compared_features(features: FoldFeatures) -> dict[str, Floats]:
    """The features (T, D) of the same samples whose structure is compared, by name."""
    named = {F_EXAM: features.f_exam}
    if features.deviation is not None:
        named |= {DEVIATION: features.deviation, DEVIATION_REAL: features.deviation_real}
    if features.f_gen is not None:
        named[F_GEN] = features.f_gen
    return named


def sequence_means(values: Floats, sequence: NDArray[np.str_]) -> NDArray[np.float64]:
    """Mean (S, D) of the frames (T, D) of each sequence, in the order of the sequences' names."""
    _, number, count = np.unique(sequence, return_inverse=True, return_counts=True)
    sums = np.zeros((len(count), values.shape[1]))
    np.add.at(sums, number, values)
    return sums / count[:, None]


def measure_silhouettes(features: FoldFeatures, seed: int = 0) -> list[Measurement]:
    """Measure how far classes, and subjects, lie apart in each feature of one validation fold.

    A sequence is one point, the mean of its frames, which are near copies. The silhouette lies in [−1, 1]: 1 where a
    point is far nearer to its own group than to any other, about 0 where groups overlap. Distances are Euclidean.
    Chance is the mean over random labellings with groups of the same sizes.
    """
    _, first = np.unique(features.sequence, return_index=True)
    found = []
    for name, values in compared_features(features).items():
        distance = pairwise_distances(sequence_means(values, features.sequence))
        np.fill_diagonal(distance, 0)
        for by, groups in (("class", features.truth[first]), ("subject", features.subject[first])):
            value, chance, note = _silhouette(distance, groups, seed)
            choices = len(np.unique(groups))
            found.append(
                Measurement("silhouette", f"silhouette by {by}", name, "all", value, len(first), chance, choices, note)
            )
    return found


def silhouette(distance: NDArray[np.float64], groups: NDArray[np.int64]) -> float:
    """Mean silhouette of N points in groups 0, 1, …; a point that is alone in its group counts 0.

    Parameters
    ----------
    distance : array (N, N)
    groups : int array (N,)
    """
    members = np.eye(groups.max() + 1)[groups]  # (N, G)
    sums, size = distance @ members, members.sum(axis=0)
    everyone = np.arange(len(groups))
    within = sums[everyone, groups] / np.maximum(size[groups] - 1, 1)
    means = sums / size
    means[everyone, groups] = np.inf
    nearest = means.min(axis=1)
    larger = np.maximum(within, nearest)
    values = np.divide(nearest - within, larger, out=np.zeros_like(larger), where=larger > 0)
    return float(np.where(size[groups] > 1, values, 0.0).mean())


def _silhouette(distance: NDArray[np.float64], names: NDArray[np.str_], seed: int) -> tuple[float, float, str]:
    """Silhouette, its chance, and why there is none."""
    shown, groups = np.unique(names, return_inverse=True)
    if not 2 <= len(shown) < len(names):
        return np.nan, np.nan, "one group alone" if len(shown) < 2 else "no group has two sequences"
    random = np.random.default_rng(seed)
    shuffled = [silhouette(distance, random.permutation(groups)) for _ in range(SHUFFLES)]
    return silhouette(distance, groups), float(np.mean(shuffled)), ""
