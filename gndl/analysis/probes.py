"""Linear probes: whether a feature still contains identity, light, pose, age, skin tone or glasses.

The paper says that disentangling removes identity, illumination and occlusion. Probes are fitted on parts of one test
fold and scored on the rest; features are standardised on the fitted part alone. A fold has few people, so a probe finds
strong effects only.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from gndl.analysis.features import DEVIATION, F_EXAM, F_GEN, F_NEU, FoldFeatures, Row, row, sequence_means

Array = NDArray[np.float64]

PARTS = 3
"""Parts that each subject's sequences are dealt to for the identity probe, at most."""
FEWEST_PEOPLE = 3
"""People with two sequences or more, below whom identity is not probed."""
FEWEST_SUBJECTS = 6
"""Subjects below which nothing that is drawn for a whole subject can be learnt."""
GROUPS = 10
"""Groups of subjects that a factor is cross-validated by, at most."""
ALPHAS = (1e1, 1e2, 1e3, 1e4, 1e5, 1e7)
"""Ridge penalties on standardised features, chosen among within each fitted part; the last is a guess."""
FARTHEST = 5.0
"""Standard deviations of the fitted part to which a held-out channel is clipped: one odd face shall not decide."""


def probes(own: FoldFeatures, factors: pd.DataFrame) -> list[Row]:
    """Predict identity, and what was drawn for a face, from each feature by linear probes.

    ``identity``: accuracy in telling the fold's subjects apart by some of their sequences, asked on the others; of
    F_neu too, which shows what the probe can find. Every other measure is named by its factor: R² against guessing the
    mean, in subjects whom the probe has not seen; its weight is the squared error of guessing, so that folds add up to
    one R². A low score of few people proves no absence.
    """
    _, first = np.unique(own.sequence, return_index=True)
    subject = own.subject[first]
    drawn = sequence_means(factors.iloc[own.pairs].to_numpy(float), own.sequence)
    part, several = deal_sequences(subject)
    people, subjects = len(np.unique(subject[several])), len(np.unique(subject))
    found = []
    for feature in (F_EXAM, DEVIATION, F_GEN, F_NEU):
        if feature not in own.by_name:
            continue
        values = sequence_means(own.by_name[feature], own.sequence)
        if people < FEWEST_PEOPLE:
            note = f"fewer than {FEWEST_PEOPLE} people with two sequences"
            found.append(row("probe", "identity", feature, np.nan, 0, choices=people, note=note))
        else:
            right = identity_probe(values[several], subject[several], part[several])
            found.append(row("probe", "identity", feature, right.mean(), len(right), chance=1 / people, choices=people))
        if feature == F_NEU:  # of another frame than the one that the factors speak of
            continue
        error = guess = np.zeros(drawn.shape[1])
        if enough := subjects >= FEWEST_SUBJECTS:
            error, guess = factor_probe(values, drawn, subject)
        none = "does not vary" if enough else f"fewer than {FEWEST_SUBJECTS} subjects"
        for factor, wrong, by_guess in zip(factors.columns, error.tolist(), guess.tolist(), strict=True):
            value, note = (1 - wrong / by_guess, "") if by_guess > 0 else (np.nan, none)
            found.append(row("probe", factor, feature, value, by_guess, chance=0.0, choices=subjects, note=note))
    return found


def deal_sequences(subject: NDArray[np.str_]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Deal each subject's sequences to parts (S,), and say whether the subject has several (S,).

    The first part differs from subject to subject, so that databases whose sequences are in the order of their classes
    have every class in every part.
    """
    _, person, count = np.unique(subject, return_inverse=True, return_counts=True)
    order = pd.Series(person).groupby(person).cumcount().to_numpy()
    return (order + person) % np.minimum(PARTS, count)[person], count[person] > 1


def identity_probe(values: Array, subject: NDArray[np.str_], part: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell subjects apart by logistic regression fitted on all other parts; whether each of S points was right."""
    # A penalised line lies in the span of what it is fitted on: the same answer in as many components as points.
    probe = make_pipeline(StandardScaler(), PCA(svd_solver="full"), LogisticRegression(max_iter=200))
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message="The number of unique classes", category=UserWarning)
        predicted = cross_val_predict(probe, values, subject, groups=part, cv=LeaveOneGroupOut())
    return np.asarray(predicted == subject)


def factor_probe(values: Array, drawn: Array, subject: NDArray[np.str_]) -> tuple[Array, Array]:
    """Predict F numbers (S, F) of held-out subjects from S points (S, D) by ridge regression.

    Nobody is in the fitted and in the held-out part, nor within the fitted part when the penalty is chosen. Returns the
    summed squared errors (F,) of the probe, and of guessing the fitted part's mean; both 0 for what does not vary.
    """
    predicted, guessed = np.zeros_like(drawn), np.zeros_like(drawn)
    if not drawn.shape[1]:
        return np.zeros(0), np.zeros(0)
    group = np.unique(subject, return_inverse=True)[1] % GROUPS
    with threadpool_limits(1):
        for fitted, held_out in LeaveOneGroupOut().split(values, groups=group):
            penalty = _best_penalty(values[fitted], drawn[fitted], group[fitted])
            predicted[held_out] = _ridge(values[fitted], drawn[fitted], values[held_out], penalty)
            guessed[held_out] = drawn[fitted].mean(axis=0)
    varies = np.ptp(drawn, axis=0) > 1e-9
    return ((predicted - drawn) ** 2).sum(axis=0) * varies, ((guessed - drawn) ** 2).sum(axis=0) * varies


def _best_penalty(values: Array, drawn: Array, group: NDArray[np.int64]) -> Array:
    """For each factor, the penalty that predicts held-out groups best."""
    every = np.tile(drawn, len(ALPHAS))  # scikit-learn's ridge takes a penalty a target: all of them in one fit
    penalties, predicted = np.repeat(ALPHAS, drawn.shape[1]), np.zeros_like(every)
    for fitted, held_out in LeaveOneGroupOut().split(values, groups=group):
        predicted[held_out] = _ridge(values[fitted], every[fitted], values[held_out], penalties)
    errors = ((predicted - every) ** 2).sum(axis=0).reshape(len(ALPHAS), -1)
    return np.asarray(ALPHAS)[errors.argmin(axis=0)]


def _ridge(values: Array, drawn: Array, asked: Array, penalty: Array) -> Array:
    scaler = StandardScaler().fit(values)
    clipped = np.clip(scaler.transform(asked), -FARTHEST, FARTHEST)
    predicted = Ridge(alpha=penalty).fit(scaler.transform(values), drawn).predict(clipped)
    return np.asarray(predicted).reshape(len(asked), -1)
