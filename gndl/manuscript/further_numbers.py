"""Numbers for a manuscript beyond Table 1: what each part of GNDL earns, finer grains, and across databases."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from gndl.manuscript.quoted_numbers import Number, count_number, percent_number, points_number
from gndl.tables.results_table import measured_on
from gndl.tables.variants import REFERENCES


def numbers_of_variants(table: pd.DataFrame) -> Iterator[Number]:
    """Quote every variant's accuracy and its paired differences from GNDL and from the baseline.

    Parameters
    ----------
    table : DataFrame
        Of :func:`gndl.tables.variants.variant_table`, of one group.
    """
    for row in table.to_dict("records"):
        group, name = str(row["group"]), (str(row["database"]), str(row["method"]))
        of = f"{row['method']} on {measured_on(row['database'], row['source'])}, folds of the {group}"
        yield percent_number((group, "accuracy", *name), row["accuracy"], f"accuracy of {of}")
        yield percent_number((group, "sd", *name), row["sd"], f"standard deviation between folds of {of}")
        yield count_number((group, "folds", *name), row["folds"], f"folds of {of}")
        for reference, title in REFERENCES.items():
            if pd.isna(row[f"to_{reference}_difference"]):
                continue
            against, meaning = (group, "against", reference), f"{of}: difference from {title}"
            yield points_number((*against, *name), row[f"to_{reference}_difference"], meaning)
            for end, word in (("low", "lower"), ("high", "upper")):
                text = f"{meaning}, {word} end of the 95 % interval"
                yield points_number((*against, end, *name), row[f"to_{reference}_{end}"], text)


def numbers_across(table: pd.DataFrame) -> Iterator[Number]:
    """Quote the accuracy of every pair of databases with its interval over test subjects.

    Parameters
    ----------
    table : DataFrame
        Of :func:`gndl.tables.across.cross_table`; within one database the samples of all folds.
    """
    for row in table.to_dict("records"):
        name = (*str(row["train_on"]).split("+"), "to", str(row["test_on"]), str(row["method"]))
        trained = " and ".join(measured_on(part, row["source"]) for part in str(row["train_on"]).split("+"))
        of = f"{row['method']} trained on {trained}, tested on {measured_on(row['test_on'], row['source'])}"
        if row["train_on"] == row["test_on"]:
            of = f"{row['method']} within {trained}, all folds"
        yield percent_number(("across", *name), row["accuracy"], f"accuracy of {of}")
        yield percent_number(("across", "low", *name), row["low"], f"{of}: lower end of the 95 % interval")
        yield percent_number(("across", "high", *name), row["high"], f"{of}: upper end of the 95 % interval")
        yield percent_number(("across", "chance", *name), row["chance"], f"{of}: chance, the most frequent class")
