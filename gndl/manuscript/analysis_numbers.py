"""Numbers for a manuscript from the CSV files that the analyses leave: the sweep over λ, samples and features."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from gndl.figures.redraw import has_rows, read_figure_csv
from gndl.manuscript.quoted_numbers import Number, count_number, decimal_number, p_number, percent_number, points_number
from gndl.paper import EXPRESSIONS

_CLASSES = {name for classes in EXPRESSIONS.values() for name in classes}


def numbers_of_analyses(folder: Path, database: str) -> Iterator[Number]:
    """Collect what the CSV files behind one database's figures hold; nothing for those that are not there.

    Parameters
    ----------
    folder : Path
        Of the figures, such as ``OUT/DATABASE/figures``.
    database : str
    """
    kinds = {
        "sensitivity": _sweep, "sample_cells": _cells, "deviation_measures": _features, "reliability": _calibration,
    }  # fmt: skip
    for name, numbers in kinds.items():
        if has_rows(folder / f"{name}.csv"):
            table = read_figure_csv(folder / f"{name}.csv")[0]
            if name == "reliability":  # one row a bin; what is quoted is the same in all of a method
                table = table.drop_duplicates(["method", "lam"])
            for row in table.to_dict("records"):
                yield from numbers(database, row)


def _sweep(database: str, row: dict[Any, Any]) -> Iterator[Number]:
    """Accuracy at one value of λ, on the folds of the sweep, which may be fewer than the headline's."""
    if not row["folds"]:
        return
    name = (database, str(row["method"]), "lam", f"{float(row['lam']):g}")
    of = f"{row['method']} at λ = {float(row['lam']):g} on {database}, folds of the sweep"
    yield percent_number(("sweep", "accuracy", *name), row["accuracy"], f"accuracy of {of}")
    yield percent_number(("sweep", "sd", *name), row["sd"], f"standard deviation between folds of {of}")
    yield count_number(("sweep", "folds", *name), row["folds"], f"folds of {of}")
    if row["to_baseline_folds"]:
        meaning = f"{of}: mean difference to the baseline"
        yield points_number(("sweep", "difference", *name), row["to_baseline_difference"], meaning)
    if row.get("to_fixed_folds"):
        meaning = f"{of}: mean difference to the λ fixed beforehand"
        yield points_number(("sweep", "to", "fixed", *name), row["to_fixed_difference"], meaning)
        for end, word in (("low", "lower"), ("high", "upper")):
            text = f"{meaning}, {word} end of the 95 % interval"
            yield points_number(("sweep", "to", "fixed", end, *name), row[f"to_fixed_{end}"], text)


def _cells(database: str, row: dict[Any, Any]) -> Iterator[Number]:
    """How many samples both methods, one or none gets right; tests are of sequences and of subjects alone."""
    a, b, of = row["a_method"], row["b_method"], str(row["of"])
    words = {"both": f"{a} and {b}", "only_a": f"{a} alone", "only_b": f"{b} alone", "neither": "neither"}
    for cell, who in words.items():
        part = {"only_a": f"only {a}", "only_b": f"only {b}"}.get(cell, cell)
        yield count_number(("cells", database, of, part), row[cell], f"{of} of {database} that {who} gets right")
    if of == "sequences":
        meaning = f"{a} against {b} on {database}"
        yield p_number(("p", "exact", "mcnemar", database), row["p_mcnemar"], f"{meaning}: p of McNemar's exact test")
        yield p_number(("p", "subjects", database), row["p_subjects"], f"{meaning}: p of the test by subject")


def _features(database: str, row: dict[Any, Any]) -> Iterator[Number]:
    """What was measured in features, joined over folds; single classes are left to the CSV."""
    if row["condition"] in _CLASSES or pd.isna(row["value"]):
        return
    parts = [str(row[part]) for part in ("measure", "feature")]
    parts += [str(row["condition"])] * (row["condition"] != "all")
    name = (database, str(row["method"]), str(row["analysis"]), *parts)
    meaning = f"{row['method']} on {database}: {', '.join(parts)}"
    yield decimal_number(name, row["value"], meaning)
    if not pd.isna(row["chance"]):
        yield decimal_number((*name, "chance"), row["chance"], f"{meaning}: by chance")


def _calibration(database: str, row: dict[Any, Any]) -> Iterator[Number]:
    """How sure a method is on average, and how far confidence and accuracy are apart."""
    name = (database, str(row["method"]), *(("lam", str(row["lam"])) if row["lam"] != "none" else ()))
    of = f"{row['method']} on {database}"
    yield percent_number(("confidence", *name), row["mean_confidence"], f"mean confidence of {of}")
    yield points_number(("calibration", "error", *name), row["error"], f"calibration error of {of}")
