"""Two methods on the same folds: how far they differ, and how sure that is.

Folds of one cross-validation share most of their training samples, so the spread of their differences is smaller than
that of independent studies. The variance is therefore enlarged after Nadeau and Bengio (2003): (1/k + n_test/n_train)
times the sample variance in place of 1/k, with k - 1 degrees of freedom. It was derived for random splits and is an
approximation for k folds. Below seven folds there is no test, only the effect and its interval.

One rule decides every verdict: the p of this paired t-test, adjusted for the databases tested (Holm). Every other p
(signed rank, sign flip, McNemar, along λ) is secondary, and adjusted as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit  # Student's t; scipy.stats takes half a second to import

from gndl.files import GndlError
from gndl.results import Results, sequence_votes

FEWEST_FOLDS = 7
"""Folds from which on a test is made. An exact signed-rank p of seven is at least 2/2⁷ = 0.0156; 1 % takes eight."""

CONFIDENCE = 0.95

NOTHING = 1e-9
"""Differences of accuracies below this are zero: they are sums of fractions."""


def compare(runs: pd.DataFrame, method: str | Sequence[str] = "gndl", reference: str = "baseline") -> pd.DataFrame:
    """Compare methods with a reference on the folds and seeds that both have; ``runs`` are those of `Results`.

    One row a database, method and λ: what :func:`corrected_t` returns, ``seeds`` (the fewest that a fold has of both),
    ``sd_seeds`` (standard deviation of a fold's difference between seeds, pooled over folds; NaN with one seed),
    ``p_adjusted``, the verdict, and ``p_signed_rank_adjusted`` (Holm, over the ``databases_tested`` with that method
    and λ).
    """
    rows = []
    paired, key = paired_runs(runs, method, reference), ["database", "source", "method", "lam"]
    for names, own in paired.groupby(key, dropna=False, sort=False):
        folds = own.groupby("fold")
        between, freedom = own["difference"] - folds["difference"].transform("mean"), len(own) - folds.ngroups
        row = dict(zip(key, names, strict=True)) | {"reference": reference, "seeds": int(folds.size().min())}
        row["sd_seeds"] = np.sqrt((between**2).sum() / freedom) if freedom else np.nan
        rows.append(row | corrected_t(folds["difference"].mean(), folds["share"].mean().mean()))
    if not rows:
        return pd.DataFrame()
    table = pd.DataFrame(rows)
    together = table.groupby(["method", "lam"], dropna=False)
    for name, p in (("p_adjusted", "p"), ("p_signed_rank_adjusted", "p_signed_rank")):
        table[name] = together[p].transform(holm)
    return table.assign(databases_tested=together["p"].transform("count").astype(int))


def against_baseline(results: Results) -> pd.DataFrame:
    """Compare every method with the baseline that starts from the same weights: :func:`compare`, row by row.

    Added are ``subjects``, ``subjects_better``, ``subjects_worse`` and ``subjects_equal``, by sequences right, one vote
    each, seeds averaged. A method without such a baseline keeps a row without numbers; its ``reference`` is "".
    """
    runs = results.runs
    plain = runs[runs["base_method"] == "baseline"]
    baselines = dict(zip(plain["weights"].fillna(""), plain["method"], strict=True))
    tables = []
    for method, own in runs[runs["base_method"] != "baseline"].groupby("method", sort=True):
        reference = baselines.get(own["weights"].fillna("").iloc[0], "")
        found = compare(runs, str(method), reference) if reference else pd.DataFrame()
        if found.empty:
            empty = own[["database", "source", "method", "lam"]].drop_duplicates()
            tables.append(empty.assign(reference="", databases_tested=0))
            continue
        subjects = paired_differences(results, str(method), reference).query("per == 'subject'")
        sign = np.sign(subjects["difference"].round(9))
        ways = {"subjects": 1, "subjects_better": sign > 0, "subjects_worse": sign < 0, "subjects_equal": sign == 0}
        counts = subjects[["database", "lam"]].assign(**ways).groupby(["database", "lam"], dropna=False).sum()
        tables.append(found.merge(counts, on=["database", "lam"], how="left"))
    if not tables:
        return pd.DataFrame()
    places = {name: place for place, name in enumerate(runs["database"].unique())}
    table = pd.concat(tables, ignore_index=True)
    return table.sort_values("database", key=lambda names: names.map(places), kind="stable", ignore_index=True)


def corrected_t(differences: ArrayLike, n_test_over_n_train: float) -> dict[str, Any]:
    """Summarise the differences of two methods over the folds, seeds averaged first.

    ``folds``, ``difference`` (mean), ``sd``, ``low`` and ``high`` (95 % interval by the corrected t), ``better``,
    ``worse`` and ``equal`` (numbers of folds), ``effect`` (mean by standard deviation of the folds' differences),
    ``rank_effect`` (matched pairs, rank-biserial: from -1, worse in every fold that differs, to 1, better in every
    one), ``t``, ``p`` and ``p_signed_rank`` (two-sided; NaN below seven folds; the signed-rank test is exact and leaves
    equal folds out; it and the rank effect are NaN where all are equal).
    """
    values = np.asarray(differences, dtype=np.float64)
    values = np.where(np.abs(values) <= NOTHING, 0.0, values)
    k = len(values)
    mean = float(values.mean())
    sd = float(values.std(ddof=1)) if k > 1 else np.nan
    error = sd * np.sqrt(1 / k + n_test_over_n_train)
    reach = float(stdtrit(k - 1, (1 + CONFIDENCE) / 2)) * error if k > 1 else np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.float64(mean) / error
    differing = values[values != 0]
    # Rounded: shares of one fold's samples that are equal as fractions need not be as floats.
    ranks = pd.Series(np.abs(differing).round(9)).rank().to_numpy() * np.sign(differing)
    tested = k >= FEWEST_FOLDS
    p_of_t = 1.0 if error == mean == 0 else float(2 * stdtr(k - 1, -abs(t)))
    return {
        **{"folds": k, "difference": mean, "sd": sd, "low": mean - reach, "high": mean + reach},
        **{"better": int((values > 0).sum()), "worse": int((values < 0).sum()), "equal": int((values == 0).sum())},
        "effect": mean / sd if k > 1 and sd > NOTHING else np.nan,
        "rank_effect": float(ranks.sum() / np.abs(ranks).sum()) if len(ranks) else np.nan,
        "t": float(t),
        "p": p_of_t if tested else np.nan,
        "p_signed_rank": sign_flip(2 * ranks) if tested and len(ranks) else np.nan,
    }


def sign_flip(differences: ArrayLike) -> float:
    """Two-sided p of the sum of whole numbers under all 2ⁿ flips of their signs, exact, without draws."""
    sizes = [int(value) for value in np.asarray(differences) if value]
    ways = Counter({0: 1})  # sum: in how many ways it comes about
    for size in sizes:
        grown: Counter[int] = Counter()
        for total, number in ways.items():
            grown[total - size] += number
            grown[total + size] += number
        ways = grown
    return sum(number for total, number in ways.items() if abs(total) >= abs(sum(sizes))) / 2 ** len(sizes)


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Adjust p values for their number (Holm); NaN stays NaN and is not counted."""
    values = np.array(p, dtype=np.float64)
    order = np.argsort(values)[: np.isfinite(values).sum()]  # NaN comes last
    values[order] = np.maximum.accumulate(values[order] * np.arange(len(order), 0, -1)).clip(max=1)
    return values


def paired_runs(runs: pd.DataFrame, method: str | Sequence[str], reference: str) -> pd.DataFrame:
    """Accuracies of both in every fold and seed that both have; ``share`` is the ratio of tested to trained samples."""
    key = ["database", "fold", "seed"]
    other = runs.loc[runs["method"] == reference, [*key, "accuracy_last"]]
    if other.duplicated(key).any():
        raise GndlError(f"{reference} was run at several λ; choose one first, as results.headline does")
    own = runs[runs["method"].isin([method] if isinstance(method, str) else method)]
    both = own.merge(other.rename(columns={"accuracy_last": "reference"}), on=key)
    numbers = {"accuracy": both["accuracy_last"], "difference": both["accuracy_last"] - both["reference"]}
    columns = [*key, "source", "method", "lam", "reference"]
    return both[columns].assign(**numbers, share=both["n_test"] / both["n_train"])


def paired_differences(results: Results, method: str = "gndl", reference: str = "baseline") -> pd.DataFrame:
    """Differences of a method from a reference, one row a fold and one row a subject, told apart by ``per``.

    Per fold: ``accuracy`` and ``reference`` of the last epoch, seeds averaged. Per subject: ``sequences`` and how many
    of them are ``right`` and ``reference_right``, one vote a sequence, means over seeds. Only folds and seeds that both
    have.
    """
    paired = paired_runs(results.runs, method, reference)
    if paired.empty:
        raise GndlError(f"{results.out}: {method} and {reference} share no finished fold of one seed")
    key = ["database", "lam", "fold"]
    groups = paired.groupby(key, dropna=False)
    folds = groups[["accuracy", "reference", "difference"]].mean().assign(seeds=groups.size(), per="fold")
    predictions = results.only(methods=[method, reference]).predictions
    one, other = (predictions[predictions["method"] == name] for name in (method, reference))
    votes = paired_votes(other, one)
    of_seed = votes.groupby([*key, "subject", "seed"], dropna=False).agg(
        sequences=("sequence", "size"), right=("right_b", "sum"), reference_right=("right_a", "sum")
    )
    subjects = of_seed.groupby([*key, "subject"], dropna=False).mean()
    difference = (subjects["right"] - subjects["reference_right"]) / subjects["sequences"].round()
    both = [folds.reset_index(), subjects.assign(difference=difference, per="subject").reset_index()]
    table = pd.concat(both, ignore_index=True).assign(method=method, reference_method=reference)
    first = ["database", "per", "method", "lam", "reference_method", "fold", "subject", "difference"]
    return table[[*first, *table.columns.drop(first)]]


def paired_votes(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    """Give each sequence one vote by each of two methods: right_a and right_b, with λ of b.

    Sequences of the folds and seeds that both have; ``b`` may have several λ.
    """
    key = ["database", "fold", "seed", "sequence"]
    votes = [sequence_votes(table) for table in (a, b)]
    one, other = (table.assign(right=table["predicted"] == table["truth"]) for table in votes)
    own = one[[*key, "subject", "truth", "right"]]
    return own.merge(other[[*key, "lam", "right"]], on=key, suffixes=("_a", "_b"), validate="one_to_many")


def compare_variants(runs: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    """Compare ``methods``, such as ``METHOD_GROUPS["ablations"]``, with GNDL and with the baseline on the same folds.

    One row per database, starting weights and method that was run, methods that need the neutral face at test last:
    ``accuracy`` (mean of the folds, seeds averaged first), ``sd``, ``folds``, ``seeds`` (the fewest that a fold has),
    ``to_gndl_…`` and ``to_baseline_…`` (``folds``, ``difference``, ``low``, ``high``; of the same weights),
    ``images_per_epoch``, ``parameters``. Databases with nothing but the baseline and GNDL are left out.
    """
    tables = []
    parts = ["folds", "difference", "low", "high"]
    known = runs[runs["base_method"].isin(methods)].fillna({"weights": ""})
    for _, own in known.groupby(["database", "weights"], sort=False):
        names = own.drop_duplicates("base_method").set_index("base_method")["method"]
        if set(names.index) <= {"gndl", "baseline"}:
            continue
        table = own.drop_duplicates("method").set_index("method", drop=False)
        sizes = table[["images_per_epoch", "parameters"]]
        by_fold = own.groupby(["method", "fold"])["accuracy_last"].agg(["mean", "size"]).groupby("method")
        table = table[["database", "source", "method", "lam", "needs_neutral_at_test"]].assign(
            folds=by_fold.size(), seeds=by_fold["size"].min(), accuracy=by_fold["mean"].mean(), sd=by_fold["mean"].std()
        )
        for reference in ("gndl", "baseline"):
            found = compare(own, list(names.drop(reference, errors="ignore")), names.get(reference, ""))
            found = found.reindex(columns=["method", *parts]).set_index("method")
            table = table.join(found.add_prefix(f"to_{reference}_"))
        in_order = table.join(sizes).loc[[names[name] for name in methods if name in names]]
        tables.append(in_order.sort_values("needs_neutral_at_test", kind="stable"))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
