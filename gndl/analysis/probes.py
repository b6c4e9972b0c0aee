"""What else can be read from a feature by a straight line: who it is, the light, the pose, age, skin tone, glasses.

The paper says that disentangling removes identity, illumination and occlusion. A linear probe asks the feature: F_exam
and the deviation of the same samples, within one validation fold. A sequence is one point, the mean of its frames.
Probes are fitted on parts of the fold and scored on the rest; features are standardised on the fitted part alone.
A fold has few people, so a probe finds only what is plain to see, and a low score is no proof of absence.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from gndl.analysis.embedding import sequence_means
from gndl.analysis.features import FoldFeatures
from gndl.analysis.measurement import DEVIATION, F_EXAM, F_GEN, F_NEU, Measurement

Array = NDArray[np.float64]

PARTS = 3
"""Parts that each subject's sequences are dealt to for the identity probe, at most."""

FEWEST_PEOPLE = 3
"""People with two sequences or more, below whom identity is not asked for."""

FEWEST_SUBJECTS = 6
"""Subjects below which nothing that is drawn for a whole subject can be learnt."""

GROUPS = 10
"""Groups of subjects that a factor is cross-validated by, at most."""

ALPHAS = (1e1, 1e2, 1e3, 1e4, 1e5, 1e7)
"""Ridge penalties on standardised features, of which each fit chooses one within its own part; the last is a guess."""

CONSTANT = "does not vary"
"""Note on a factor that is the same in the whole fold."""

FARTHEST = 5.0
"""Standard deviations of the fitted part to which a held-out channel is drawn in: one odd face shall not decide."""


def measure_probes(features: FoldFeatures, factors: pd.DataFrame) -> list[Measurement]:
    """Fit probes on F_exam, the deviation and G(F_exam) of one validation fold.

    Parameters
    ----------
    features : FoldFeatures
    factors : DataFrame
        Of :func:`gndl.analysis.factors.face_factors`; without a column only identity is asked for.

    Returns
    -------
    list of Measurement
        ``identity``: accuracy in telling the fold's subjects apart, one vote a sequence; of F_neu too, as a control
        that shows what the probe can find. Every other measure is named by its factor and is an R² against guessing
        the mean of the fitted part: 1 is perfect, 0 no better than guessing, below 0 worse. Its weight is the squared
        error of guessing, so that folds add up to one R².
    """
    _, first = np.unique(features.sequence, return_index=True)
    subject = features.subject[first]
    drawn = sequence_means(factors.iloc[features.pairs].to_numpy(float), features.sequence)
    found = []
    probed = {F_EXAM: features.f_exam, DEVIATION: features.deviation, F_GEN: features.f_gen, F_NEU: features.f_neu}
    for name, values in probed.items():
        if values is not None:
            means = sequence_means(values, features.sequence)
            found.append(_identity(name, means, subject))
            if name != F_NEU:  # of another frame than the one that the factors speak of
                found += _factors(name, means, drawn, tuple(factors.columns), subject)
    return found


def _identity(name: str, values: Array, subject: NDArray[np.str_]) -> Measurement:
    part, several = deal_sequences(subject)
    people = len(np.unique(subject[several]))
    if people < FEWEST_PEOPLE:
        note = f"fewer than {FEWEST_PEOPLE} people with two sequences"
        return Measurement("probe", "identity", name, "all", np.nan, 0, np.nan, people, note)
    correct = identity_probe(values[several], subject[several], part[several])
    return Measurement("probe", "identity", name, "all", float(correct.mean()), len(correct), 1 / people, people)


def deal_sequences(subject: NDArray[np.str_]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Deal each subject's sequences to parts, and say which subjects have two or more.

    The first part differs from subject to subject, so that databases whose sequences are in the order of their classes
    have every class in every part.

    Returns
    -------
    part : int array (S,)
    several : bool array (S,)
        Whether the sequence's subject has another sequence, in another part.
    """
    _, person, count = np.unique(subject, return_inverse=True, return_counts=True)
    order = pd.Series(person).groupby(person).cumcount().to_numpy()
    return (order + person) % np.minimum(PARTS, count)[person], count[person] > 1


def identity_probe(values: Array, subject: NDArray[np.str_], part: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell subjects apart by logistic regression; return for each of S points whether it was right.

    Parameters
    ----------
    values : array (S, D)
    subject : str array (S,)
    part : int array (S,)
        Each part is predicted by a probe fitted on all others.
    """
    correct = np.zeros(len(subject), dtype=bool)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message="The number of unique classes", category=UserWarning)
        for held_out in np.unique(part):
            fitted = part != held_out
            scaler = StandardScaler().fit(values[fitted])
            known, asked = scaler.transform(values[fitted]), scaler.transform(values[~fitted])
            # A penalised line lies in the span of what it is fitted on: the same answer in as many channels as points.
            span = np.linalg.svd(known, full_matrices=False)[2].T
            probe = LogisticRegression(max_iter=200).fit(known @ span, subject[fitted])
            correct[~fitted] = probe.predict(asked @ span) == subject[~fitted]
    return correct


def _factors(
    name: str, values: Array, drawn: Array, names: tuple[str, ...], subject: NDArray[np.str_]
) -> list[Measurement]:
    people = len(np.unique(subject))
    if not names:
        return []
    if people < FEWEST_SUBJECTS:
        note = f"fewer than {FEWEST_SUBJECTS} subjects"
        return [Measurement("probe", factor, name, "all", np.nan, 0, 0.0, people, note) for factor in names]
    error, guessing = factor_probe(values, drawn, subject)
    return [
        Measurement("probe", factor, name, "all", 1 - wrong / guess, guess, 0.0, people)
        if guess > 0
        else Measurement("probe", factor, name, "all", np.nan, 0, 0.0, people, CONSTANT)
        for factor, wrong, guess in zip(names, error.tolist(), guessing.tolist(), strict=True)
    ]


def factor_probe(values: Array, drawn: Array, subject: NDArray[np.str_]) -> tuple[Array, Array]:
    """Predict F numbers of held-out subjects by ridge regression.

    Parameters
    ----------
    values : array (S, D)
    drawn : array (S, F)
        What is to be predicted.
    subject : str array (S,)
        Nobody is in the fitted and in the held-out part, nor within the fitted part when the penalty is chosen.

    Returns
    -------
    error, guessing : array (F,)
        Summed squared errors of the probe, and of guessing the fitted part's mean.
    """
    error, guessing = np.zeros(drawn.shape[1]), np.zeros(drawn.shape[1])
    group = np.unique(subject, return_inverse=True)[1] % GROUPS
    with threadpool_limits(1):
        for held_out in np.unique(group):
            fitted = group != held_out
            predicted = _chosen_ridge(values[fitted], drawn[fitted], group[fitted], values[~fitted])
            error += ((predicted - drawn[~fitted]) ** 2).sum(axis=0)
            guessing += ((drawn[fitted].mean(axis=0) - drawn[~fitted]) ** 2).sum(axis=0)
    varies = np.ptp(drawn, axis=0) > 1e-9
    return error * varies, guessing * varies


def _chosen_ridge(values: Array, drawn: Array, group: NDArray[np.int64], asked: Array) -> Array:
    """Predict with, for each factor, the penalty that predicts other groups of the fitted part best."""
    errors = np.zeros((len(ALPHAS), drawn.shape[1]))
    for held_out in np.unique(group):
        fitted = group != held_out
        predicted = ridge_path(values[fitted], drawn[fitted], values[~fitted])
        errors += ((predicted - drawn[~fitted]) ** 2).sum(axis=1)
    best = errors.argmin(axis=0)
    return ridge_path(values, drawn, asked)[best, :, np.arange(drawn.shape[1])].T


def ridge_path(values: Array, drawn: Array, asked: Array) -> Array:
    """Ridge regression on standardised features at every penalty of ``ALPHAS`` at once, by the Gram matrix.

    Parameters
    ----------
    values : array (S, D), drawn : array (S, F)
        Fitted on; features are standardised by these alone, the intercept is free.
    asked : array (Q, D)

    Returns
    -------
    array (len(ALPHAS), Q, F)
    """
    scaler = StandardScaler().fit(values)
    fitted, asked = scaler.transform(values), np.clip(scaler.transform(asked), -FARTHEST, FARTHEST)
    middle = drawn.mean(axis=0)
    eigenvalues, vectors = np.linalg.eigh(fitted @ fitted.T)
    onto = vectors.T @ (drawn - middle)  # (S, F)
    from_asked = asked @ fitted.T @ vectors  # (Q, S)
    shrunk = 1 / (np.maximum(eigenvalues, 0) + np.array(ALPHAS)[:, None])  # (A, S)
    return middle + np.einsum("qs,as,sf->aqf", from_asked, shrunk, onto)
