"""What was measured in deviation features, in plain words and in tables that can be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from gndl.analysis.agreement import ALL
from gndl.analysis.factors import FACTORS
from gndl.analysis.measurement import DEVIATION, DEVIATION_REAL, F_EXAM, F_GEN, F_NEU, MEAN_NEUTRAL
from gndl.analysis.probes import CONSTANT
from gndl.analysis.retrieval import ANOTHER, DATABASE, RECIPROCAL_RANK, SAME, TOP_1, TOP_5, VALIDATION

NOT_PEOPLE = " Measured on rendered faces, it says nothing about people."

NAMES = {F_GEN: "G(F_exam)", F_EXAM: "F_exam", F_NEU: "F_neu (real)", MEAN_NEUTRAL: "mean neutral of others"}

EQUAL_DISTANCE = 0.05
"""Gain over the mean neutral below which G is said to come no closer."""

DRAWN_TOGETHER = 0.2
"""Spread of neutral features, relative to F_exam's, below which neutral faces are said to be drawn together."""

READABLE = 0.1
"""R² from which on a factor is said to be found."""


def agreement_table(numbers: pd.DataFrame) -> pd.DataFrame:
    """Cosine and relative L1 to the real neutral feature, one row per class, one column per feature; as text."""
    own = numbers[numbers["measure"].isin(["cosine", "relative L1"])]
    table = own.assign(text=[_number(row) for row in own.to_dict("records")]).pivot_table(
        index="condition", columns=["measure", "feature"], values="text", aggfunc="first", sort=False
    )
    return table.rename(index={ALL: "all classes"}, columns=NAMES).rename_axis("class")


def retrieval_table(numbers: pd.DataFrame) -> pd.DataFrame:
    """Retrieval with its chance and the gallery's size, one row per gallery, own neutral face and query; as text."""
    own = numbers[numbers["analysis"] == "retrieval"]
    rows = []
    for (condition, feature), group in own.groupby(["condition", "feature"], sort=False):
        gallery, _, own_neutral = str(condition).partition(", ")
        row = {"gallery": gallery, "own subject by": own_neutral, "query": NAMES[str(feature)]}
        first = group.iloc[0]
        row["subjects in it"] = "–" if np.isnan(first["choices"]) else f"{first['choices']:.3g}"
        for measure, heading in ((TOP_1, "top-1 %"), (TOP_5, "top-5 %"), (RECIPROCAL_RANK, "reciprocal rank %")):
            one = group[group["measure"] == measure].iloc[0]
            row[heading] = "–" if one["folds"] == 0 else f"{_percent(one)} (chance {100 * one['chance']:.1f})"
        row["note"] = first["note"]
        rows.append(row)
    return pd.DataFrame(rows)


def silhouette_table(numbers: pd.DataFrame) -> pd.DataFrame:
    """Silhouettes by class and by subject, one row per method and feature; as text."""
    return _wide(numbers[numbers["analysis"] == "silhouette"])


def probe_table(numbers: pd.DataFrame) -> pd.DataFrame:
    """Probe scores, one row per method and feature: identity as accuracy, the rest as R²; as text."""
    return _wide(numbers[numbers["analysis"] == "probe"])


def _wide(own: pd.DataFrame) -> pd.DataFrame:
    if own.empty:
        return pd.DataFrame()
    texts = own.assign(
        text=[
            "–" if row["folds"] == 0 else f"{_number(row)} (chance {row['chance']:.2f})"
            for row in own.to_dict("records")
        ],
        feature=own["feature"].map(lambda name: NAMES.get(name, name)),
    )
    table = texts.pivot_table(
        index=["method", "feature"], columns="measure", values="text", aggfunc="first", sort=False
    )
    return table.fillna("–").rename_axis(columns=None).reset_index()


def agreement_words(numbers: pd.DataFrame, source: str) -> str:
    """Say how close the generated neutral feature is, and what that closeness is worth."""
    generated, same, mean = (_value(numbers, "relative L1", name, ALL) for name in (F_GEN, F_EXAM, MEAN_NEUTRAL))
    gain = _value(numbers, "gain over the mean neutral", F_GEN, ALL)
    spread = _value(numbers, "spread of neutral features", F_NEU, ALL)
    if generated is None or same is None or mean is None:
        return "Nothing could be measured here."
    text = (
        f"The generated neutral feature is off the real one by {generated:.3g} of its size, F_exam itself by "
        f"{same:.3g}, and the mean neutral feature of the training subjects, which knows nobody, by {mean:.3g}. "
    )
    if gain is not None:
        text += _closer(gain, _row(numbers, "gain over the mean neutral", F_GEN, ALL))
    if spread is not None:
        drawn_together = ": all neutral faces have been drawn together, so that any guess is close"
        text += (
            "The real neutral features of different people lie "
            f"{100 * spread:.{0 if spread > 0.1 else 1}f} % as far from their mean as F_exam "
            f"does{drawn_together if spread < DRAWN_TOGETHER else ''}. "
        )
    return text.strip() + _people(source)


def deviation_words(numbers: pd.DataFrame, source: str) -> str:
    """Say in numbers what Fig. 8 shows: how alike the deviations are, and whether it matters which neutral is used."""
    cosine = _value(numbers, "cosine of the two deviations", DEVIATION, ALL)
    nearest = _row(numbers, "own sequence nearest", DEVIATION, ALL)
    if cosine is None or nearest is None:
        return "Nothing could be measured here."
    text = (
        f"Squares and asterisks: the two deviations of a sample have a cosine of {cosine:.3f}, and "
        f"{100 * nearest['value']:.0f} % of the asterisks have a square of their own sequence nearest (chance "
        f"{100 * nearest['chance']:.0f} %)."
    )
    by_generated, by_real = (_value(numbers, "accuracy", name, ALL) for name in (DEVIATION, DEVIATION_REAL))
    answers = _value(numbers, "same answers", DEVIATION_REAL, ALL)
    if by_generated is not None and by_real is not None and answers is not None:
        text += (
            f" The same classifier is right on {100 * by_generated:.1f} % of the frames with the generated neutral "
            f"feature and would be on {100 * by_real:.1f} % with the real one, which no test may look at; both give "
            f"the same answer on {100 * answers:.1f} %."
        )
    return text + _people(source)


def retrieval_words(numbers: pd.DataFrame, source: str) -> str:
    """Say whether G(F_exam) finds its subject."""
    sentences = []
    for gallery in (DATABASE, VALIDATION):
        for own in (SAME, ANOTHER):
            row = _row(numbers, TOP_1, F_GEN, f"{gallery}, {own}")
            if row is not None:
                sentences.append(
                    f"Among {row['choices']:.3g} subjects of the {gallery} (own face from {_article(own)}) G(F_exam) "
                    f"finds its own first in {100 * row['value']:.1f} % (chance {100 * row['chance']:.1f} %)"
                )
    if not sentences:
        return _nothing(numbers, "retrieval")
    real = _row(numbers, TOP_1, F_NEU, f"{DATABASE}, {ANOTHER}")
    if real is not None:
        sentences.append(
            f"The real neutral feature of another recording finds it in {100 * real['value']:.1f} % of the whole "
            "database: so much of the person was there to be generated"
        )
    return ". ".join(sentences) + "." + _people(source)


def probe_words(numbers: pd.DataFrame, source: str) -> str:
    """Say what can be read off F_exam and the deviation by a straight line, and what disentangling took away."""
    parts = []
    before, after, control = (_row(numbers, "identity", name, ALL) for name in (F_EXAM, DEVIATION, F_NEU))
    if before is not None and after is not None:
        works = control is not None and control["value"] > 2 * control["chance"]
        found_in = f"; {100 * control['value']:.0f} % from F_neu: it can be found" if works else ""  # type: ignore[index]
        parts.append(
            f"Who it is: {100 * before['value']:.0f} % from F_exam, {100 * after['value']:.0f} % from the deviation "
            f"(chance {100 * before['chance']:.0f} %{found_in})"
        )
    found, hidden = list[str](), list[str]()
    for factor in FACTORS:
        one, other = _value(numbers, factor, F_EXAM, ALL), _value(numbers, factor, DEVIATION, ALL)
        if one is not None and other is not None:
            if max(one, other) > READABLE:
                found.append(f"{factor} (R² {one:.2f} from F_exam, {other:.2f} from the deviation)")
            else:
                hidden.append(factor)
    if found:
        parts.append(f"Of what was drawn, a probe finds {', '.join(found)}")
    if hidden:
        parts.append(
            f"It finds nothing, or next to nothing, of {', '.join(hidden)} in either; with so few people no proof"
        )
    if not parts:
        return _nothing(numbers, "probe")
    still = numbers["measure"].isin(FACTORS) & (numbers["note"] == CONSTANT)
    if still.any():
        parts.append(
            f"Not asked for, since all are alike here: {', '.join(dict.fromkeys(numbers.loc[still, 'measure']))}"
        )
    return ". ".join(parts) + "." + _people(source)


def silhouette_words(numbers: pd.DataFrame, source: str) -> str:
    """Say how far classes and subjects lie apart before and after the neutral feature is taken off."""
    parts = []
    for by in ("class", "subject"):
        before, after = (_row(numbers, f"silhouette by {by}", name, ALL) for name in (F_EXAM, DEVIATION))
        if before is not None and after is not None:
            parts.append(
                f"By {by}, the silhouette is {before['value']:.2f} for F_exam and {after['value']:.2f} for the "
                f"deviation (random labels: {before['chance']:.2f})"
            )
    if not parts:
        return _nothing(numbers, "silhouette")
    return ". ".join(parts) + "." + _people(source)


def _nothing(numbers: pd.DataFrame, analysis: str) -> str:
    """Say why an analysis gave no number."""
    notes = numbers.loc[(numbers["analysis"] == analysis) & (numbers["folds"] == 0), "note"]
    return f"Nothing could be measured here: {'; '.join(dict.fromkeys(notes)) or 'no features are at hand'}."


def _article(own: str) -> str:
    return "the same sequence" if own == SAME else own


def _row(numbers: pd.DataFrame, measure: str, feature: str, condition: str) -> pd.Series | None:
    """The one number that is asked for; None where it was not measured."""
    chosen = (numbers["measure"] == measure) & (numbers["feature"] == feature) & (numbers["condition"] == condition)
    found = numbers[chosen & (numbers["folds"] > 0)]
    return found.iloc[0] if len(found) else None


def _closer(gain: float, row: pd.Series | None) -> str:
    """Whether G comes closer than the mean of others; only where every fold says so it is more than chance."""
    if gain <= EQUAL_DISTANCE or row is None:
        return (
            f"**G comes no closer than that mean** (gain {100 * gain:+.0f} %), so its closeness is no sign that "
            "it knows the person. "
        )
    closer = f"G comes closer than that mean, by {100 * gain:.0f} %"
    if row["lowest"] <= 0:
        return f"{closer}, but not in every fold: no sign yet that it knows the person. "
    where = "in every fold" if row["folds"] > 1 else "in the one fold measured"
    return f"**{closer}, {where}: it knows something of the person.** "


def _value(numbers: pd.DataFrame, measure: str, feature: str, condition: str) -> float | None:
    row = _row(numbers, measure, feature, condition)
    return None if row is None or np.isnan(row["value"]) else float(row["value"])


def _number(row: Mapping[Any, Any]) -> str:
    """A number with the spread between folds."""
    spread = "" if np.isnan(row["sd"]) else f" ± {row['sd']:.2f}"
    return "–" if np.isnan(row["value"]) else f"{row['value']:.3f}{spread}"


def _percent(row: pd.Series) -> str:
    spread = "" if np.isnan(row["sd"]) else f" ± {100 * row['sd']:.1f}"
    return f"{100 * row['value']:.1f}{spread}"


def _people(source: str) -> str:
    return NOT_PEOPLE if source == "rendered" else ""
