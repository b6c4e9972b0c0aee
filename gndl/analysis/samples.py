"""Two methods sample by sample (Fig. 9): who is right where the other is wrong, and on how many samples.

The paper shows samples that the baseline gets wrong and GNDL right. Any two methods differ in both directions, so the
reverse and the counts belong next to them. Predictions are of one λ a method.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import bdtr

from gndl.analysis.compare import FEWEST_FOLDS, holm, paired_votes, sign_flip
from gndl.files import GndlError

KEY = ["fold", "seed", "sample", "subject", "sequence", "frame", "truth"]


def common_predictions(
    predictions: pd.DataFrame, a: str = "baseline", b: str = "gndl"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions of both methods in the folds that both have, of the smallest seed that both have."""
    both = [predictions[predictions["method"] == method] for method in (a, b)]
    several = [name for table in both for name in ("database", "lam") if table[name].nunique() > 1]
    if several:
        raise GndlError(f"samples are compared within one database and at one λ; keep one {several[0]}")
    for column in ("seed", "fold"):
        common = sorted(set(both[0][column]) & set(both[1][column]))
        common = common[:1] if column == "seed" else common
        both = [table[table[column].isin(common)].reset_index(drop=True) for table in both]
        if both[0].empty:
            raise GndlError(f"{a} and {b} share no finished fold of one seed; train what is missing with `gndl study`")
    return both[0], both[1]


def pair_predictions(predictions: pd.DataFrame, a: str = "baseline", b: str = "gndl") -> pd.DataFrame:
    """Put the predictions of two methods side by side, one row per tested frame of the folds that both have.

    For a and for b ``predicted_…``, ``confidence_…`` (probability of the predicted class) and ``truth_p_…``
    (probability of the true class); ``gain`` is ``truth_p_b`` minus ``truth_p_a``.
    """
    tables = []
    for table in common_predictions(predictions, a, b):
        probabilities = table.filter(regex="^p_")
        truth = probabilities.columns.get_indexer(pd.Index("p_" + table["truth"]))
        answers = {"predicted": table["predicted"], "confidence": probabilities.max(axis=1)}
        truth_p = probabilities.to_numpy()[np.arange(len(table)), truth]
        tables.append(table[KEY].assign(**answers, truth_p=truth_p))
    both = tables[0].merge(tables[1], on=KEY, how="outer", suffixes=("_a", "_b"), validate="one_to_one")
    if not len(both) == len(tables[0]) == len(tables[1]):
        raise GndlError(f"{a} and {b} were not tested on the same samples; train them in one study, on the same folds")
    both = both.sort_values(KEY, ignore_index=True)
    return both.assign(gain=both["truth_p_b"] - both["truth_p_a"])


def right_and_wrong(predictions: pd.DataFrame, a: str = "baseline", b: str = "gndl") -> pd.DataFrame:
    """Count what both methods get right, a alone, b alone, and neither: frames, and sequences with one vote each.

    Three frames of a sequence are near copies, so a sequence has one vote. Sequences of one subject are not independent
    draws either, which is what the test by subject is for. Both tests take the networks as trained: another training
    would give other votes. Both are secondary: the verdict is `gndl.analysis.compare.compare`.

    Two rows per database that has both methods: ``subjects_a`` and ``subjects_b`` (of whom a, or b, gets more sequences
    right); ``p_mcnemar`` (exact, on the sequences) and ``p_subjects`` (exact sign flip), NaN below seven folds, each
    with ``…_adjusted`` (Holm, over the databases given: give all of a study).
    """
    rows, databases = [], predictions.groupby("database", sort=False)
    methods = databases["method"].agg(set)
    for database in [name for name in methods.index if {a, b} <= methods[name]] or methods.index[:1]:
        own = databases.get_group(database)
        first, second = common_predictions(own, a, b)
        frames, votes = pair_predictions(own, a, b), paired_votes(first, second)
        by_subject = (votes["right_b"].astype(int) - votes["right_a"].astype(int)).groupby(votes["subject"]).sum()
        about = {"a_method": a, "a_lam": first["lam"].iloc[0], "b_method": b, "b_lam": second["lam"].iloc[0]}
        about |= {"seed": first["seed"].iloc[0], "folds": first["fold"].nunique(), "subjects": len(by_subject)}
        about |= {"subjects_a": (by_subject < 0).sum(), "subjects_b": (by_subject > 0).sum()}
        only_a, only_b = (votes["right_a"] & ~votes["right_b"]).sum(), (votes["right_b"] & ~votes["right_a"]).sum()
        if about["folds"] >= FEWEST_FOLDS:
            about |= {"p_mcnemar": mcnemar(only_a, only_b), "p_subjects": sign_flip(by_subject)}
        of_frames = tuple(frames[f"predicted_{which}"] == frames["truth"] for which in "ab")
        for of, (x, y) in {"frames": of_frames, "sequences": (votes["right_a"], votes["right_b"])}.items():
            cells = {"both": x & y, "only_a": x & ~y, "only_b": ~x & y, "neither": ~x & ~y}
            rows.append({"database": database, "of": of} | {name: cell.sum() for name, cell in cells.items()} | about)
    table = pd.DataFrame(rows)
    for name in ("p_mcnemar", "p_subjects"):
        table[name] = table.get(name, np.nan)
        table[f"{name}_adjusted"] = table.groupby("of")[name].transform(holm)
    return table


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided p of the exact McNemar test, by the binomial distribution; 1 where the methods never differ."""
    return min(1.0, float(2 * bdtr(min(only_a, only_b), only_a + only_b, 0.5))) if only_a + only_b else 1.0


def hard_samples(paired: pd.DataFrame, gained_by: Literal["a", "b"] = "b", count: int = 6) -> pd.DataFrame:
    """Choose samples that one method gets right and the other wrong, by a rule and not by hand.

    From every sequence the frame with the largest gain in the probability of the true class; of these the largest gains
    first, each subject once before any subject comes again; at most ``count``. ``gained_by`` "b" is right by b and
    wrong by a, as in Fig. 9, "a" the reverse, its ``gain`` turned round.
    """
    right, wrong = ("predicted_b", "predicted_a") if gained_by == "b" else ("predicted_a", "predicted_b")
    found = paired[(paired[right] == paired["truth"]) & (paired[wrong] != paired["truth"])]
    found = found.assign(gain=(found["gain"] if gained_by == "b" else -found["gain"]).round(9))
    order = found.sort_values(["gain", "sequence", "sample"], ascending=[False, True, True], kind="stable")
    best = order.drop_duplicates("sequence")
    turn = best.groupby("subject").cumcount()  # 0 for a subject's best sequence, 1 for the next, …
    return best.assign(turn=turn).sort_values("turn", kind="stable").drop(columns="turn").head(count)
