"""Every variant of a study against its baseline: over folds, for how many subjects, and over all databases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from gndl import results
from gndl.analysis.paired import paired_differences
from gndl.analysis.variants import Variant
from gndl.comparison import compare_with_baseline, with_holm


def compare_database(out: Path, database: str, summary: pd.DataFrame) -> pd.DataFrame:
    """Compare every variant of one database with its baseline, over folds and subject by subject.

    Parameters
    ----------
    out : Path
        The study's directory.
    database : str
    summary : DataFrame
        Rows of `gndl.results.summarise`.

    Returns
    -------
    DataFrame
        Of `gndl.comparison.compare_with_baseline`, with ``subjects`` and ``subjects_better``, ``subjects_worse`` and
        ``subjects_equal``: by sequences right, one vote each, seeds averaged; NaN where there is nothing to compare.
    """
    compared = compare_with_baseline(summary, results.accuracy_table(out, database))
    if compared.empty:
        return compared
    counts = []
    for row in compared.to_dict("records"):
        counted = dict.fromkeys(("subjects", "subjects_better", "subjects_worse", "subjects_equal"), np.nan)
        if row["against"]:
            variant, baseline = Variant(str(row["method"]), str(row["lam"])), Variant(str(row["against"]))
            (found,) = paired_differences(out, database, [variant], baseline).summaries
            counted = {name: float(getattr(found, name)) for name in counted}
        counts.append(counted)
    return pd.concat([compared, pd.DataFrame(counts, index=compared.index)], axis=1)


def compare_study(out: Path, summaries: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Compare on every database of a study, and adjust for their number (`gndl.comparison.with_holm`)."""
    compared = [compare_database(out, name, summary) for name, summary in summaries.items()]
    compared = [table for table in compared if len(table)]
    return with_holm(pd.concat(compared, ignore_index=True)) if compared else pd.DataFrame()
