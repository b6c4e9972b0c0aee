"""Is the generated neutral feature the person's own? Agreement, retrieval and silhouettes, in numbers.

Everything is measured on one test fold, whose subjects the network has never seen. Three frames of a sequence are near
copies, so nearly everywhere a sequence counts once, by the mean of its frames.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.metrics import pairwise_distances, pairwise_distances_argmin, silhouette_score

from gndl.analysis import features
from gndl.analysis.features import DEVIATION, DEVIATION_REAL, F_EXAM, F_GEN, F_NEU, FoldFeatures, row, sequence_means
from gndl.analysis.groups import face_factors
from gndl.analysis.probes import probes
from gndl.files import GndlError, progress, write_csv
from gndl.methods import MethodSettings
from gndl.record import lam_text

if TYPE_CHECKING:
    from gndl.study import Study

RUN = ["database", "method", "lam", "fold", "seed", "run"]
WHAT = ["analysis", "measure", "feature", "condition"]
DEFAULTS: features.Row = dict.fromkeys(WHAT) | {"condition": "all", "value": np.nan, "weight": 0, "chance": np.nan}
DEFAULTS |= {"choices": 0, "note": ""}
"""Columns of every number, and their values where a measurement says nothing."""

SHUFFLES = 200
"""Random labellings that give a silhouette's chance."""


def measure(
    study: Study, methods: Iterable[str | MethodSettings] = ("gndl", "baseline"), folds: Iterable[int] | None = None
) -> pd.DataFrame:
    """Measure the features of several runs at the study's λ, in rows of :func:`measure_fold`; nothing is trained.

    What was measured before is read from ``analysis/deviation_folds.csv`` where it is of the same run, by its identity:
    so a record keeps its numbers without weights. Delete the file to measure anew. Runs without weights that were not
    measured before are left out, and named; where nothing can be measured, `GndlError` names the command that trains.
    """
    kept = study.results().analysis("deviation_folds").reindex(columns=[*RUN, *DEFAULTS])
    kept = kept.astype({"note": object}).fillna({"note": ""})
    asked = [(method, fold) for method in methods for fold in (study.run_folds if folds is None else folds)]
    tables, left_out, factors = [], [], None
    for method, fold in progress(asked, "Measuring features", unit="run"):
        run = features.run_of(study, method, fold)
        own = kept[kept["run"] == features.identity_key(study, run)]
        if own.empty and features.has_weights(study, method, fold):
            factors = drawn_factors(study) if factors is None else factors
            own = measure_fold(features.of_fold(study, method, fold), factors)
        if own.empty:
            left_out.append(run.name)
        else:
            tables.append(own)
    if not tables:
        features.of_fold(study, *asked[0])  # says why, and which command helps
    if left_out:
        print(f"Not measured (not trained, or without weights here): {', '.join(left_out)}")
    table = pd.concat(tables, ignore_index=True)
    if not study.is_record and not set(table["run"]) <= set(kept["run"]):
        others = [own for own in (kept[~kept["run"].isin(table["run"])],) if len(own)]
        everything = pd.concat([table, *others], ignore_index=True)
        everything = everything.assign(lam=everything["lam"].map(lam_text), source=study.source)
        write_csv(everything, study.analysis / "deviation_folds.csv")
    return table


def drawn_factors(study: Study) -> pd.DataFrame:
    """What was drawn for every pair's examined face (`groups.face_factors`); no column where that is not known."""
    if study.source == "rendered":
        try:
            return face_factors(study.crops.table, study.pairs.examined_index, study.database.root)
        except GndlError:  # rendered, but its ground truth is elsewhere
            pass
    return pd.DataFrame(index=pd.RangeIndex(len(study.pairs)))


def measure_fold(own: FoldFeatures, factors: pd.DataFrame) -> pd.DataFrame:
    """Measure everything that one fold's features can tell; ``factors`` are those of :func:`drawn_factors`.

    Returns
    -------
    DataFrame
        One row a number: what names the run; ``analysis`` (agreement, retrieval, silhouette or probe), ``measure``,
        ``feature`` and ``condition``; ``value`` (NaN where it could not be measured, with the reason as ``note``);
        ``weight`` among folds, mostly the number of sequences; ``chance``, what guessing gives, among ``choices``.
    """
    with config_context(assume_finite=True, skip_parameter_validation=True):  # thousands of small fits
        found = [*agreement(own), *deviations(own), *retrieval(own), *silhouettes(own), *probes(own, factors)]
    return pd.DataFrame([own.about | DEFAULTS | one for one in found])


def over_folds(table: pd.DataFrame) -> pd.DataFrame:
    """Join the measurements of several folds, one row per database, method, λ and what was measured.

    ``value`` and ``chance`` (means by weight), ``sd``, ``lowest`` and ``highest`` (of the folds, NaN for one),
    ``choices`` (mean), ``folds`` (with a value) and ``note`` (why there is none), in the order of first appearance.
    """
    rows, key = [], [*RUN[:3], *WHAT]
    for names, group in table.groupby(key, sort=False, dropna=False):
        found = group[group["value"].notna()]
        value, weight, chance = (found[name].to_numpy(float) for name in ("value", "weight", "chance"))
        row = dict(zip(key, names, strict=True)) | {"value": _ratio((value * weight).sum(), weight.sum())}
        row["sd"], row["lowest"], row["highest"] = np.nan, np.nan, np.nan
        if len(found) > 1:
            row["sd"], row["lowest"], row["highest"] = value.std(ddof=1), value.min(), value.max()
        row |= {"chance": _ratio((chance * weight).sum(), weight.sum()), "choices": found["choices"].mean()}
        note = "" if len(found) else "; ".join(dict.fromkeys(group["note"]))
        rows.append(row | {"folds": len(found), "note": note})
    return pd.DataFrame(rows)


def agreement(own: FoldFeatures) -> list[features.Row]:
    """How close F_neu is to G(F_exam), to F_exam itself and to the mean neutral feature of the training subjects.

    ``cosine`` and ``relative L1`` (Eq. 8 in units of the real feature's size), over all and per class; ``gain over the
    mean neutral``, above 0 only for what knows something of the person; ``spread of neutral features``, near 0 where
    the network has drawn all neutral faces together, so that closeness says little.
    """
    f_neu, mean = own.f_neu, mean_neutral(own)
    guesses = {name: own.by_name[name] for name in (F_GEN, F_EXAM) if name in own.by_name}
    found = []
    for name, how in (("cosine", cosine), ("relative L1", relative_l1)):
        for feature, values in (guesses | {features.MEAN_NEUTRAL: np.tile(mean, (len(own), 1))}).items():
            close = pd.Series(how(values, f_neu))
            for truth in ("all", *own.expressions):
                chosen = close if truth == "all" else close[own.truth == truth]
                means = chosen.groupby(own.sequence[chosen.index]).mean()
                if len(means):
                    found.append(row("agreement", name, feature, means.mean(), len(means), condition=truth))
    from_mean = float(np.abs(f_neu - mean).sum())
    for feature, values in guesses.items():
        gain = 1 - _ratio(float(np.abs(f_neu - values).sum()), from_mean)
        found.append(row("agreement", "gain over the mean neutral", feature, gain, from_mean))
    whole = float(np.abs(own.f_exam - mean).sum())
    return [*found, row("agreement", "spread of neutral features", F_NEU, _ratio(from_mean, whole), whole)]


def deviations(own: FoldFeatures) -> list[features.Row]:
    """Compare the deviation from the generated neutral face with that from the real one: Fig. 8 in numbers.

    ``own sequence nearest``: the share of samples whose deviation has, of all real ones, one of its own sequence
    nearest. ``accuracy`` and ``same answers``: one classifier on both. Empty without a generator.
    """
    if own.deviation is None:
        return []
    real, generated, size = own.deviation_real, own.deviation, len(own)
    _, number, count = np.unique(own.sequence, return_inverse=True, return_counts=True)
    close = float(pd.Series(cosine(generated, real)).groupby(own.sequence).mean().mean())
    nearest = own.sequence[pairwise_distances_argmin(generated, real)] == own.sequence
    chance = float((count[number] / size).mean())
    answer = own.probabilities.argmax(axis=1)
    found = [
        row("agreement", "cosine of the two deviations", DEVIATION, close, len(count)),
        row("agreement", "own sequence nearest", DEVIATION, nearest.mean(), size, chance=chance, choices=len(count)),
        row("agreement", "accuracy", DEVIATION, (answer == own.label).mean(), size),
    ]
    if own.probabilities_real is not None:
        other = own.probabilities_real.argmax(axis=1)
        found.append(row("agreement", "accuracy", DEVIATION_REAL, (other == own.label).mean(), size))
        found.append(row("agreement", "same answers", DEVIATION_REAL, (answer == other).mean(), size))
    return found


def retrieval(own: FoldFeatures) -> list[features.Row]:
    """Search for the fold's subjects among real neutral features, one a subject: of the fold, and of the database.

    Queries are G(F_exam); F_exam; and F_neu, the most that a generator could reach. The query's own subject is in the
    gallery with the neutral face of the ``same sequence``, which shares its light and pose, or of ``another sequence``,
    which shares the person alone (subjects with one sequence are left out then). Similar is what lies in the same
    direction from the mean neutral feature: plain cosines of features that are never negative are all near 1.
    """
    centre = mean_neutral(own)
    gallery = _unit(own.gallery - centre)
    _, first = np.unique(own.gallery_subject, return_index=True)  # the first neutral face of each subject
    found = []
    for feature in (F_GEN, F_EXAM, F_NEU):
        if feature not in own.by_name:
            continue
        similarity = _unit(own.by_name[feature] - centre) @ gallery.T  # (T, N)
        for where, subjects in (("validation fold", own.subject), ("whole database", own.gallery_subject)):
            shown = np.unique(subjects)
            entries = first[np.isin(own.gallery_subject[first], shown)]
            right, guess = np.searchsorted(shown, own.subject), np.zeros((1, len(shown)), np.float32)
            chance = retrieval_scores(guess, np.zeros(1, np.int64))
            for sequence, entry in (("same sequence", own.own), ("another sequence", _another_neutral(own))):
                if (feature, sequence) == (F_NEU, "same sequence"):  # which would find itself
                    continue
                asked, scores = entry >= 0, dict.fromkeys(chance, np.nan)
                note = "one subject alone" if len(shown) < 2 else "no subject has another sequence"
                if len(shown) > 1 and asked.any():
                    among = similarity[:, entries].copy()
                    among[np.arange(len(own)), right] = similarity[np.arange(len(own)), entry]
                    scores, note = retrieval_scores(among[asked], right[asked]), ""
                about = {"condition": f"{where}, {sequence}", "choices": len(shown), "note": note}
                for name, value in scores.items():
                    found.append(row("retrieval", name, feature, value, int(asked.sum()), chance=chance[name], **about))
    return found


def retrieval_scores(similarity: features.Floats, right: NDArray[np.int64]) -> dict[str, float]:
    """Score a search of Q queries for one right entry each among S, from similarities (Q, S).

    Entries equally similar stand in random order, and the expected value is given.
    """
    of_right = similarity[np.arange(len(right)), right][:, None]
    before = (similarity > of_right).sum(axis=1)
    tied = (similarity == of_right).sum(axis=1)  # the right one among them
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, similarity.shape[1] + 1))])
    return {
        "top-1": float(np.clip((1 - before) / tied, 0, 1).mean()),
        "top-5": float(np.clip((5 - before) / tied, 0, 1).mean()),
        "mean reciprocal rank": float(((harmonic[before + tied] - harmonic[before]) / tied).mean()),
    }


def _another_neutral(own: FoldFeatures) -> NDArray[np.int64]:
    """For each sample, the row of its subject's next other neutral face in the gallery; −1 where there is none."""
    another = np.full(len(own.gallery), -1, dtype=np.int64)
    for subject in np.unique(own.subject):
        rows = np.flatnonzero(own.gallery_subject == subject)
        if len(rows) > 1:
            another[rows] = np.roll(rows, -1)
    return another[own.own]


def silhouettes(own: FoldFeatures, seed: int = 0) -> list[features.Row]:
    """How far classes, and subjects, lie apart in each feature: scikit-learn's silhouette, in all channels.

    Chance is the mean over random labellings with groups of the same sizes.
    """
    _, first = np.unique(own.sequence, return_index=True)
    found = []
    for feature, values in own.by_name.items():
        if feature == F_NEU:
            continue
        distance = pairwise_distances(sequence_means(values, own.sequence))
        np.fill_diagonal(distance, 0)
        for by, names in (("class", own.truth[first]), ("subject", own.subject[first])):
            shown, groups = np.unique(names, return_inverse=True)
            value, chance = np.nan, np.nan
            note = "one group alone" if len(shown) < 2 else "no group has two sequences"
            if 2 <= len(shown) < len(names):
                random = np.random.default_rng(seed)
                labellings = [groups, *(random.permutation(groups) for _ in range(SHUFFLES))]
                scores = [silhouette_score(distance, one, metric="precomputed") for one in labellings]
                value, chance, note = scores[0], np.mean(scores[1:]), ""
            about = {"chance": chance, "choices": len(shown), "note": note}
            found.append(row("silhouette", f"silhouette by {by}", feature, value, len(first), **about))
    return found


def mean_neutral(own: FoldFeatures) -> features.Floats:
    """Mean neutral feature (D,) of the training subjects, each counting once; development subjects are none."""
    means = sequence_means(own.gallery[own.gallery_trained], own.gallery_subject[own.gallery_trained])
    return means.mean(axis=0).astype(np.float32)


def cosine(one: features.Floats, other: features.Floats) -> features.Floats:
    """Cosine of the angle between the rows of two arrays (T, D); 0 where a row is all zero."""
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.divide((one * other).sum(axis=1), lengths, out=np.zeros_like(lengths), where=lengths > 0)


def relative_l1(one: features.Floats, reference: features.Floats) -> features.Floats:
    """‖one − reference‖₁ / ‖reference‖₁ of the rows of two arrays (T, D); NaN where the reference is all zero."""
    size = np.abs(reference).sum(axis=1)
    return np.divide(np.abs(one - reference).sum(axis=1), size, out=np.full_like(size, np.nan), where=size > 0)


def _unit(values: features.Floats) -> features.Floats:
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return np.divide(values, length, out=np.zeros_like(values), where=length > 0)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else np.nan
