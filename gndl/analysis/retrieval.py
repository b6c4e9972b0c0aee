"""Whose neutral face G has generated: search for the true subject among real neutral features.

The gallery holds one neutral face per subject. A query finds its subject at rank 1 where no other subject's neutral
feature is more similar to it. Similar is what lies in the same direction from the mean neutral feature of the training
subjects, by the cosine of the angle; plain cosines of features that are never negative are all near 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gndl.analysis.agreement import mean_neutral
from gndl.analysis.features import Floats, FoldFeatures
from gndl.analysis.measurement import F_EXAM, F_GEN, F_NEU, Measurement

VALIDATION, DATABASE = "validation fold", "whole database"
SAME, ANOTHER = "same sequence", "another sequence"
TOP_1, TOP_5, RECIPROCAL_RANK = "top-1", "top-5", "mean reciprocal rank"

FEWEST_SUBJECTS = 2
"""Subjects below which there is nobody to be mistaken for."""


def retrieval_scores(similarity: Floats, own: NDArray[np.int64]) -> dict[str, float]:
    """Score a search for one right entry among S, each of Q queries with an entry of its own.

    Parameters
    ----------
    similarity : array (Q, S)
        Of each query to each entry of the gallery.
    own : int array (Q,)
        The right entry of each query.

    Returns
    -------
    dict
        ``top-1`` and ``top-5`` (share of queries with the right entry among the first one or five) and ``mean
        reciprocal rank``. Entries equally similar stand in random order, and the expected value is given.
    """
    right = similarity[np.arange(len(own)), own][:, None]
    before = (similarity > right).sum(axis=1)
    tied = (similarity == right).sum(axis=1)  # the right one among them
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, similarity.shape[1] + 1))])
    return {
        TOP_1: float(np.clip((1 - before) / tied, 0, 1).mean()),
        TOP_5: float(np.clip((5 - before) / tied, 0, 1).mean()),
        RECIPROCAL_RANK: float(((harmonic[before + tied] - harmonic[before]) / tied).mean()),
    }


def chance_scores(size: int) -> dict[str, float]:
    """What guessing scores in a gallery of ``size`` entries, by the names of :func:`retrieval_scores`."""
    return {
        TOP_1: 1 / size,
        TOP_5: min(5, size) / size,
        RECIPROCAL_RANK: float((1 / np.arange(1, size + 1)).sum() / size),
    }


def measure_retrieval(features: FoldFeatures) -> list[Measurement]:
    """Search for the subjects of one validation fold in two galleries: the fold's subjects, and the whole database's.

    Queries are G(F_exam); F_exam for reference; and F_neu of the sample's own sequence, the most that a generator could
    reach. Every other subject is in the gallery with its first neutral face; the query's own subject either with that
    of the ``same sequence``, which shares its light and pose, or with that of ``another sequence``, which shares the
    person alone (subjects with one sequence are left out then).
    """
    centre = mean_neutral(features)
    gallery = _unit(features.gallery - centre)
    queries = {} if features.f_gen is None else {F_GEN: features.f_gen}
    found = []
    for name, query in (queries | {F_EXAM: features.f_exam, F_NEU: features.f_neu}).items():
        similarity = _unit(query - centre) @ gallery.T  # (T, N)
        for where in (VALIDATION, DATABASE):
            for own_neutral in (SAME, ANOTHER):
                if (name, own_neutral) != (F_NEU, SAME):  # which would find itself
                    found += _search(features, similarity, name, where, own_neutral)
    return found


def _search(features: FoldFeatures, similarity: Floats, query: str, where: str, own_neutral: str) -> list[Measurement]:
    shown = np.unique(features.subject if where == VALIDATION else features.gallery_subject)
    _, first = np.unique(features.gallery_subject, return_index=True)  # the first neutral face of each, by name
    first = first[np.isin(features.gallery_subject[first], shown)]
    entry = features.own if own_neutral == SAME else _another_neutral(features)
    asked = entry >= 0
    note = ""
    if len(shown) < FEWEST_SUBJECTS:
        note = "one subject alone, nobody to be mistaken for"
    elif not asked.any():
        note = "no subject has another sequence"
    scores, chance = dict.fromkeys((TOP_1, TOP_5, RECIPROCAL_RANK), np.nan), chance_scores(len(shown))
    if not note:
        own = np.searchsorted(shown, features.subject)
        among = similarity[:, first].copy()
        among[np.arange(len(own)), own] = similarity[np.arange(len(own)), entry]
        scores = retrieval_scores(among[asked], own[asked])
    condition, weight = f"{where}, {own_neutral}", int(asked.sum())
    return [
        Measurement("retrieval", measure, query, condition, value, weight, chance[measure], len(shown), note)
        for measure, value in scores.items()
    ]


def _another_neutral(features: FoldFeatures) -> NDArray[np.int64]:
    """For each sample, the row of its subject's next other neutral face in the gallery; −1 where there is none."""
    another = np.full(len(features.gallery), -1, dtype=np.int64)
    for subject in np.unique(features.subject):
        rows = np.flatnonzero(features.gallery_subject == subject)
        if len(rows) > 1:
            another[rows] = np.roll(rows, -1)
    return another[features.own]


def _unit(values: Floats) -> Floats:
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return np.divide(values, length, out=np.zeros_like(values), where=length > 0)
