"""How close the generated neutral feature is to the real one: numbers beside Fig. 8.

Everything is measured on one validation fold, whose subjects the network has never seen. Three frames of a sequence are
near copies, so every sequence counts once, by the mean of its frames.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from gndl.analysis.features import Floats, FoldFeatures
from gndl.analysis.measurement import DEVIATION, DEVIATION_REAL, F_EXAM, F_GEN, F_NEU, MEAN_NEUTRAL, Measurement

ALL = "all"


def neutral_predictions(features: FoldFeatures) -> dict[str, Floats]:
    """Return what may stand for F_neu (T, D), by name.

    ``G(F_exam)`` (not for methods without a generator); ``F_exam`` itself, which is to do nothing; and ``mean
    neutral``, the mean neutral feature of the training subjects, which knows nobody.
    """
    predictions = {} if features.f_gen is None else {F_GEN: features.f_gen}
    return predictions | {F_EXAM: features.f_exam, MEAN_NEUTRAL: np.tile(mean_neutral(features), (len(features), 1))}


def mean_neutral(features: FoldFeatures) -> Floats:
    """Mean neutral feature (D,) of the subjects that the fold does not validate on, each subject counting once."""
    others = ~np.isin(features.gallery_subject, features.subject)
    _, subject = np.unique(features.gallery_subject[others], return_inverse=True)
    means = np.zeros((subject.max() + 1, features.gallery.shape[1]))
    np.add.at(means, subject, features.gallery[others])
    return (means / np.bincount(subject)[:, None]).mean(axis=0).astype(np.float32)


def cosine(one: Floats, other: Floats) -> Floats:
    """Cosine of the angle between the rows of two arrays (T, D); 0 where a row is all zero."""
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.divide((one * other).sum(axis=1), lengths, out=np.zeros_like(lengths), where=lengths > 0)


def relative_l1(one: Floats, reference: Floats) -> Floats:
    """‖one − reference‖₁ / ‖reference‖₁ row by row (T, D): Eq. 8 in units of the feature that is aimed at.

    NaN where the reference is all zero.
    """
    size = np.abs(reference).sum(axis=1)
    return np.divide(np.abs(one - reference).sum(axis=1), size, out=np.full_like(size, np.nan), where=size > 0)


def agreement_samples(features: FoldFeatures) -> pd.DataFrame:
    """Compare every sample's F_neu with what may stand for it.

    Returns
    -------
    DataFrame
        One row per sample and feature: ``sample``, ``subject``, ``sequence``, ``frame``, ``truth``, ``feature``,
        ``cosine`` and ``relative_l1``.
    """
    about = pd.DataFrame(
        {
            "sample": features.pairs,
            "subject": features.subject,
            "sequence": features.sequence,
            "frame": features.frame,
            "truth": features.truth,
        }
    )
    f_neu = features.f_neu
    tables = [
        about.assign(feature=name, cosine=cosine(values, f_neu), relative_l1=relative_l1(values, f_neu))
        for name, values in neutral_predictions(features).items()
    ]
    return pd.concat(tables, ignore_index=True)


def measure_agreement(features: FoldFeatures) -> list[Measurement]:
    """Measure how close F_neu and what may stand for it are, in one fold.

    ``cosine`` and ``relative L1`` (of :func:`agreement_samples`) over all and per class; ``gain over the mean
    neutral``, 1 − Σ‖F_neu − F‖₁ / Σ‖F_neu − mean‖₁, which is above 0 only for what knows something of the person; and
    the ``spread of neutral features``, Σ‖F_neu − mean‖₁ / Σ‖F_exam − mean‖₁: near 0 where the network has drawn all
    neutral faces together, so that closeness says little.
    """
    samples = agreement_samples(features)
    both = pd.concat([samples.assign(truth=ALL), samples])
    found = []
    for measure, column in (("cosine", "cosine"), ("relative L1", "relative_l1")):
        for feature in dict.fromkeys(samples["feature"]):
            for truth in (ALL, *features.expressions):
                own = both[(both["feature"] == feature) & (both["truth"] == truth)]
                means = own.groupby("sequence")[column].mean()
                if len(means):
                    found.append(Measurement("agreement", measure, feature, truth, float(means.mean()), len(means)))
    f_neu, mean = features.f_neu, mean_neutral(features)
    from_mean = float(np.abs(f_neu - mean).sum())
    for feature, values in neutral_predictions(features).items():
        if feature != MEAN_NEUTRAL:
            gain = 1 - _ratio(float(np.abs(f_neu - values).sum()), from_mean)
            found.append(Measurement("agreement", "gain over the mean neutral", feature, ALL, gain, from_mean))
    whole = float(np.abs(features.f_exam - mean).sum())
    spread = Measurement("agreement", "spread of neutral features", F_NEU, ALL, _ratio(from_mean, whole), whole)
    return [*found, spread]


def measure_deviations(features: FoldFeatures) -> list[Measurement]:
    """Compare the deviation from the generated neutral face with that from the real one: Fig. 8 in numbers.

    The ``cosine of the two deviations``; ``own sequence nearest``, the share of samples whose deviation by the
    generated neutral has, of all real ones, one of its own sequence nearest; and the frame-wise ``accuracy`` of one and
    the same classifier on both, with the share of ``same answers``. The one with the real neutral needs the neutral
    face at test time and is no result. Empty for methods without a generator.
    """
    if features.deviation is None:
        return []
    real, generated, sequence = features.deviation_real, features.deviation, features.sequence
    _, number, count = np.unique(sequence, return_inverse=True, return_counts=True)
    size = len(features)
    close = float(pd.Series(cosine(generated, real)).groupby(sequence).mean().mean())
    nearest = sequence[squared_distances(generated, real).argmin(axis=1)] == sequence
    chance = float((count[number] / size).mean())
    answer = features.probabilities.argmax(axis=1)
    correct = float((answer == features.label).mean())
    found = [
        Measurement("agreement", "cosine of the two deviations", DEVIATION, ALL, close, len(count)),
        Measurement(
            "agreement", "own sequence nearest", DEVIATION, ALL, float(nearest.mean()), size, chance, len(count)
        ),
        Measurement("agreement", "accuracy", DEVIATION, ALL, correct, size),
    ]
    if features.probabilities_real is not None:
        answer_real = features.probabilities_real.argmax(axis=1)
        correct, same = float((answer_real == features.label).mean()), float((answer == answer_real).mean())
        found.append(Measurement("agreement", "accuracy", DEVIATION_REAL, ALL, correct, size))
        found.append(Measurement("agreement", "same answers", DEVIATION_REAL, ALL, same, size))
    return found


def squared_distances(one: Floats, other: Floats) -> Floats:
    """Squared Euclidean distances (A, B) between the rows of (A, D) and (B, D)."""
    squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)[None]
    return np.maximum(squares - 2 * one @ other.T, 0)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else np.nan
