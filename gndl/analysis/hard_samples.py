"""Two methods sample by sample (Fig. 9): which samples the one gets right and the other wrong, and how many of them.

The paper shows samples that the baseline gets wrong and GNDL right. The reverse belongs beside them, and so do the
counts: any two methods differ on some samples in both directions.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from gndl import results
from gndl.analysis.exact_tests import mcnemar_exact, sign_flip_exact
from gndl.analysis.variants import Variant
from gndl.comparison import FEWEST_FOLDS
from gndl.errors import GndlError

RULE = (
    "from every sequence the frame with the largest gain in the probability of the true class; of these the largest "
    "gains first, each subject once before any subject comes again"
)
"""How the samples of a gallery are chosen, in words; :func:`hard_samples` does just this."""

KEY = ["fold", "seed", "sample"]
NAMES = ["subject", "sequence", "frame", "truth"]


@dataclass(frozen=True)
class Cells:
    """How many are right by both methods, by the one alone, by the other alone, and by neither."""

    both: int
    only_a: int
    only_b: int
    neither: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.both + self.only_a + self.only_b + self.neither


@dataclass(frozen=True)
class SampleComparison:
    """Methods a and b on the same samples, by the networks that were trained.

    Parameters
    ----------
    a, b : Variant
    seed : int
        Of the runs compared.
    folds, subjects : int
        Folds that both have, and subjects tested in them.
    frames, sequences : Cells
        Counts over examined frames, and over sequences with one vote each.
    subjects_a, subjects_b : int
        Subjects of whom a, or b, gets more sequences right; of the others both get as many.
    p_mcnemar : float or None
        Exact McNemar test on the sequences; None below seven folds.
    p_subjects : float or None
        Exact sign-flip test by subject; None below seven folds.
    """

    a: Variant
    b: Variant
    seed: int
    folds: int
    subjects: int
    frames: Cells
    sequences: Cells
    subjects_a: int
    subjects_b: int
    p_mcnemar: float | None
    p_subjects: float | None

    def cells(self) -> pd.DataFrame:
        """Return the counts as numbers: one row for frames and one for sequences, p in both (NaN for none)."""
        common = {
            "a_method": self.a.method,
            "a_lam": self.a.lam,
            "b_method": self.b.method,
            "b_lam": self.b.lam,
            "seed": self.seed,
            "folds": self.folds,
            "subjects": self.subjects,
            "subjects_a": self.subjects_a,
            "subjects_b": self.subjects_b,
            "p_mcnemar": np.nan if self.p_mcnemar is None else self.p_mcnemar,
            "p_subjects": np.nan if self.p_subjects is None else self.p_subjects,
        }
        return pd.DataFrame(
            [
                {"of": what, **asdict(cells), **common}
                for what, cells in (("frames", self.frames), ("sequences", self.sequences))
            ]
        )

    def readable(self) -> pd.DataFrame:
        """Return the counts with columns in words, one row for frames and one for sequences."""
        rows = []
        for what, cells in (("frames", self.frames), ("sequences (one vote each)", self.sequences)):
            rows.append(
                {
                    "of": what,
                    "both right": cells.both,
                    f"only {self.b.title} right": cells.only_b,
                    f"only {self.a.title} right": cells.only_a,
                    "both wrong": cells.neither,
                    "all": cells.total,
                }
            )
        return pd.DataFrame(rows)


def pair_predictions(out: Path, database: str, a: Variant, b: Variant, seed: int | None = None) -> pd.DataFrame:
    """Put the predictions of two methods side by side, one row per tested frame of the folds that both have.

    Parameters
    ----------
    out : Path
        The study's directory.
    database : str
    a, b : Variant
    seed : int, optional
        Of the runs; default the smallest that both have.

    Returns
    -------
    DataFrame
        ``fold``, ``seed``, ``sample`` (position in the study's pairs), ``subject``, ``sequence``, ``frame``, ``truth``,
        then for a and for b ``predicted_…``, ``confidence_…`` (probability of the predicted class) and ``truth_p_…``
        (probability of the true class), and ``gain``, ``truth_p_b`` minus ``truth_p_a``.

    Raises
    ------
    GndlError
        Where a method has no finished run, they share no fold and seed, or they were tested on other samples.
    """
    (first, second), _ = _common(out, database, a, b, seed)
    return _side_by_side(first, second, f"{out / database}: {a.title} and {b.title}")


def pair_votes(out: Path, database: str, a: Variant, b: Variant, seed: int | None = None) -> pd.DataFrame:
    """Return the votes of :func:`votes_side_by_side` in the folds that both have; arguments as `pair_predictions`."""
    (first, second), _ = _common(out, database, a, b, seed)
    return votes_side_by_side(first, second)


def compare_samples(out: Path, database: str, a: Variant, b: Variant, seed: int | None = None) -> SampleComparison:
    """Count the four cells per frame and per sequence, and test the sequences; arguments as `pair_predictions`.

    Three frames of a sequence are near copies, so a sequence has one vote (:func:`gndl.results.sequence_votes`).
    Sequences of one subject are no independent draws either, which is what the test by subject is for. Both tests
    take the trained networks as they are: another training would give other votes.
    """
    (first, second), seed = _common(out, database, a, b, seed)
    frames = _side_by_side(first, second, f"{out / database}: {a.title} and {b.title}")
    votes = votes_side_by_side(first, second)
    by_subject = (votes["right_b"].astype(int) - votes["right_a"].astype(int)).groupby(votes["subject"]).sum()
    cells = count_cells(votes["right_a"], votes["right_b"])
    folds = int(frames["fold"].nunique())
    tested = folds >= FEWEST_FOLDS
    return SampleComparison(
        a=a,
        b=b,
        seed=seed,
        folds=folds,
        subjects=len(by_subject),
        frames=count_cells(frames["predicted_a"] == frames["truth"], frames["predicted_b"] == frames["truth"]),
        sequences=cells,
        subjects_a=int((by_subject < 0).sum()),
        subjects_b=int((by_subject > 0).sum()),
        p_mcnemar=mcnemar_exact(cells.only_a, cells.only_b) if tested else None,
        p_subjects=sign_flip_exact(by_subject.to_numpy()) if tested else None,
    )


def hard_samples(paired: pd.DataFrame, gained_by: Literal["a", "b"] = "b", count: int = 6) -> pd.DataFrame:
    """Choose samples that one method gets right and the other wrong, by the rule of :data:`RULE`.

    Parameters
    ----------
    paired : DataFrame
        Of :func:`pair_predictions`.
    gained_by : {"a", "b"}
        ``"b"``: right by b and wrong by a, as in Fig. 9; ``"a"``: the reverse.
    count : int
        Rows at most.

    Returns
    -------
    DataFrame
        Rows of ``paired`` in the order in which they are shown, ``gain`` towards the method that is right.
    """
    found = gained_samples(paired, gained_by)
    order = found.sort_values(["gain", "sequence", "sample"], ascending=[False, True, True], kind="stable")
    best = order.drop_duplicates("sequence")
    turn = best.groupby("subject").cumcount()  # 0 for a subject's best sequence, 1 for the next, …
    return best.assign(turn=turn).sort_values("turn", kind="stable").drop(columns="turn").head(count)


def gained_samples(paired: pd.DataFrame, gained_by: Literal["a", "b"] = "b") -> pd.DataFrame:
    """Every frame that one method gets right and the other wrong, ``gain`` towards the method that is right."""
    other = "a" if gained_by == "b" else "b"
    right = paired[f"predicted_{gained_by}"] == paired["truth"]
    wrong = paired[f"predicted_{other}"] != paired["truth"]
    found = paired[right & wrong]
    return found.assign(gain=found["gain"] if gained_by == "b" else -found["gain"])


def count_cells(right_a: ArrayLike, right_b: ArrayLike) -> Cells:
    """Count the four cells of two boolean arrays of one length."""
    one, other = np.asarray(right_a, dtype=bool), np.asarray(right_b, dtype=bool)
    return Cells(
        both=int((one & other).sum()),
        only_a=int((one & ~other).sum()),
        only_b=int((~one & other).sum()),
        neither=int((~one & ~other).sum()),
    )


def votes_side_by_side(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Give each sequence one vote by each method: ``fold``, ``seed``, ``sequence``, ``subject``, ``right_a``, …_b."""
    columns = ["fold", "seed", "sequence"]
    votes = [results.sequence_votes(table) for table in (first, second)]
    votes = [table.assign(right=table["predicted"] == table["truth"]) for table in votes]
    return votes[0].merge(votes[1][[*columns, "right"]], on=columns, suffixes=("_a", "_b"), validate="one_to_one")


def _common(
    out: Path, database: str, a: Variant, b: Variant, seed: int | None
) -> tuple[tuple[pd.DataFrame, pd.DataFrame], int]:
    """Predictions of both methods in the folds that both have, of one seed."""
    results.require_one_configuration(
        run for run in results.finished_runs(out) if run.database == database and Variant(run.method, run.lam) in (a, b)
    )
    first, second = (results.read_predictions(out, database, one.method, one.lam) for one in (a, b))
    seeds = set(first["seed"]) & set(second["seed"]) if seed is None else {seed}
    chosen = min(seeds, default=0)
    first, second = (table[table["seed"] == chosen] for table in (first, second))
    folds = set(first["fold"]) & set(second["fold"])
    if not folds:
        raise GndlError(
            f"{out / database}: {a.title} and {b.title} share no finished fold of one seed; "
            f"run `gndl study --out {out}` to train what is missing."
        )
    first, second = (table[table["fold"].isin(folds)].reset_index(drop=True) for table in (first, second))
    return (first, second), int(chosen)


def _side_by_side(first: pd.DataFrame, second: pd.DataFrame, whose: str) -> pd.DataFrame:
    tables = []
    for suffix, table in (("a", first), ("b", second)):
        classes = [name for name in table.columns if name.startswith("p_")]
        probabilities = table[classes].to_numpy()
        truth = [classes.index(f"p_{name}") for name in table["truth"]]
        tables.append(
            table[[*KEY, *NAMES]].assign(
                **{
                    f"predicted_{suffix}": table["predicted"],
                    f"confidence_{suffix}": probabilities.max(axis=1),
                    f"truth_p_{suffix}": probabilities[np.arange(len(table)), truth],
                }
            )
        )
    both = tables[0].merge(tables[1], on=[*KEY, *NAMES], how="outer", validate="one_to_one")
    if len(both) != len(first) or len(both) != len(second):
        raise GndlError(f"{whose} were not tested on the same samples; train them in one study, on the same folds.")
    both = both.sort_values(KEY, ignore_index=True)
    return both.assign(gain=both["truth_p_b"] - both["truth_p_a"])
