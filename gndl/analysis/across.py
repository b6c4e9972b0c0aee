"""Across databases: train on all subjects of one database, or of several, and test on all subjects of another.

Subjects are named by their database. Classes are matched by name; what falls out is counted and kept. Where one of the
databases is grey all become grey, since a network that has seen no colour cannot use it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gndl import results
from gndl.analysis.scores import interval_over_subjects
from gndl.files import GndlError, write_csv
from gndl.folds import Folds
from gndl.paper import DATABASE_TITLES
from gndl.results import Results

if TYPE_CHECKING:
    from gndl.engines import Sharing
    from gndl.methods import MethodSettings
    from gndl.pairs import FacePairs
    from gndl.study import Study

COLUMNS = [
    *("train_on", "test_on", "source", "method", "lam", "accuracy", "low", "high", "macro_recall", "chance"),
    *("classes", "seeds", "n_train", "n_test", "subjects"),
]


def cross_pairs(databases: Sequence[tuple[str, FacePairs]]) -> tuple[FacePairs, pd.DataFrame]:
    """Join the pairs of several databases, each with its name, on the classes that all of them have.

    Subjects and sequences are called ``DATABASE/NAME``. What has another class is left out and counted in the second
    table: ``database``, ``expression``, ``pairs``, ``subjects``. `GndlError` where crops differ in size, or fewer than
    two classes are common to all.
    """
    from gndl.frames import as_grey
    from gndl.pairs import FacePairs

    parts = [part for _, part in databases]
    if len({part.size for part in parts}) > 1:
        raise GndlError("The crops of the databases differ in size; prepare them with the same profile.")
    common = [name for name in parts[0].expressions if all(name in part.expressions for part in parts)]
    if len(common) < 2:
        names = ", ".join(name for name, _ in databases)
        raise GndlError(f"{names} have {len(common)} classes in common; two are needed.")
    tables, offset = [], 0
    for name, part in databases:
        columns = {
            "database": name,
            "expression": [part.expressions[int(label)] for label in part.label],
            "examined": np.asarray(part.examined_index) + offset,
            "neutral": np.asarray(part.neutral_index) + offset,
            "subject": [f"{name}/{subject}" for subject in part.subject],
            "sequence": [f"{name}/{sequence}" for sequence in part.sequence],
            "frame": [str(frame) for frame in part.frame],
        }
        tables.append(pd.DataFrame(columns))
        offset += len(part.images)
    images = [np.asarray(part.images) for part in parts]
    if any(own.ndim == 3 for own in images):
        images = [np.stack([as_grey(image) for image in own]) for own in images]
    every = pd.concat(tables)
    taken = every["expression"].isin(common)
    kept, groups = every[taken], every[~taken].groupby(["database", "expression"], sort=False)
    pairs = FacePairs(
        images=np.concatenate(images),
        examined_index=kept["examined"].to_numpy(),
        neutral_index=kept["neutral"].to_numpy(),
        label=kept["expression"].map(common.index).to_numpy(np.int64),
        subject=kept["subject"].tolist(),
        sequence=kept["sequence"].tolist(),
        frame=kept["frame"].tolist(),
        expressions=tuple(common),
    )
    return pairs, groups.agg(pairs=("subject", "size"), subjects=("subject", "nunique")).reset_index()


def train_across(
    train: Sequence[Study],
    test: Sequence[Study],
    *,
    methods: Sequence[str | MethodSettings] | None = None,
    how: Sharing | None = None,
) -> Results:
    """Train every method once per seed on all subjects of some databases, and test it on all subjects of others.

    Runs are in ``OUT/across/TRAIN-to-TEST/METHOD/lam-L/fold-0/seed-S``; finished ones are read. Next to them
    ``left_out.csv`` counts what has a class that not every database has. ``methods`` and ``how`` are those of
    `Study.train`.

    Raises
    ------
    GndlError
        Where a database is named twice, and as `cross_pairs` and `Study.train`.
    """
    from gndl.engines import train_missing
    from gndl.study import Study

    class AcrossStudy(Study):
        """Joined pairs as a study of one fold: it tests all subjects of one side and trains on all of the other."""

        def identity_of_fold(self, fold: int) -> dict[str, Any]:
            return {"database": self.name, "source": self.source}

    trained, tested = [one.name for one in train], [one.name for one in test]
    if twice := [name for name in {*trained, *tested} if [*trained, *tested].count(name) > 1]:
        raise GndlError(
            f"{DATABASE_TITLES[twice[0]]} is named twice. Trained on and tested on, its subjects would be in both: "
            "within one database use folds (`gndl train`)."
        )
    out, name = train[0].out, f"{'+'.join(trained)}-to-{'+'.join(tested)}"
    pairs, left_out = cross_pairs([(one.name, one.pairs) for one in (*train, *test)])
    study = AcrossStudy(out / "across", name, train[0].config)
    study.pairs, study.source = pairs, train[0].source
    from_test = [subject.split("/")[0] in tested for subject in pairs.subject]
    sides = pd.Series(pairs.subject).groupby(from_test).unique()
    study.folds = Folds((tuple(sorted(sides[True])), tuple(sorted(sides[False]))))
    study._pictures = study._pictures | {"fewest_pairs": from_test.count(False)}
    write_csv(left_out, study.folder / "left_out.csv")
    runs = study.plan(methods, folds=[0])
    train_missing(study, runs, how)
    found = results.read(out, name, across=True)
    return found.only(methods=[run.variant for run in runs], lams=study.settings.lam, seeds=study.seeds)


def across_table(within: Results) -> pd.DataFrame:
    """Summarise a study's runs across databases at the fixed λ, next to those ``within`` each database.

    One row per ``train_on``, ``test_on``, ``method`` and ``lam``: ``accuracy`` of the last epoch over all samples
    tested (seeds averaged), with the 95 % interval ``low`` to ``high`` over test subjects (it does not tell how much
    another training would differ); ``macro_recall``, the mean of the classes' recalls; ``chance``, always answering the
    class most frequent in the test; ``classes`` that all databases involved have; ``seeds``, ``n_train``, ``n_test``,
    ``subjects``. Within one database: the samples of all folds together, each by the run that did not see its subject,
    on the database's own classes. Empty where nothing was run across.
    """
    across = results.read(within.out, across=True).headline
    within = within.headline.only(methods=across.runs["method"].unique())
    rows = []
    for found in (across, within):
        for (database, method, lam), runs in found.runs.groupby(["database", "method", "lam"], dropna=False):
            rows.append({"method": method, "lam": lam} | _summary(replace(found, runs=runs), str(database)))
    rows.sort(key=lambda row: (_place(row["train_on"]), _place(row["test_on"]), row["method"]))
    return pd.DataFrame(rows, columns=COLUMNS)


def _place(names: str) -> tuple[int, list[int]]:
    return names.count("+"), [list(DATABASE_TITLES).index(name) for name in names.split("+")]


def _summary(found: Results, database: str) -> dict[str, Any]:
    """All runs of a cell: several seeds, or the folds of one database."""
    table, runs = found.predictions, found.runs
    right = (table["truth"] == table["predicted"]).astype(float)
    low, high = interval_over_subjects(right, table["subject"])
    train_on, _, test_on = database.partition("-to-")
    return {
        "train_on": train_on,
        "test_on": test_on or train_on,
        "source": runs["source"].iloc[0],
        "accuracy": right.mean(),
        "low": low,
        "high": high,
        "macro_recall": right.groupby(table["truth"]).mean().mean(),
        "chance": results.chance(table),
        "classes": len(found.classes(database)),
        "seeds": runs["seed"].nunique(),
        "n_train": round(runs["n_train"].mean()),
        "n_test": len(table) // runs["seed"].nunique(),
        "subjects": table["subject"].nunique(),
    }
