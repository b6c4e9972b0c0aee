"""What notebook 7 shows beyond the paper's table: what each part of GNDL earns, and results across databases."""

from __future__ import annotations

from typing import Any

from IPython.display import Markdown

from gndl.methods import METHOD_GROUPS
from gndl.narrative.study import StudyReport
from gndl.report import settings_of
from gndl.tables.across import cross_caption, cross_in_words, cross_table, readable_cross
from gndl.tables.variants import readable_variants, variant_table, variants_caption, variants_in_words

COMMANDS = {
    **{group: f"gndl train --methods {group} --only-folds 0,1,2,3 --out runs/{group}" for group in METHOD_GROUPS},
    "across": "gndl train --across",
}


def further_questions(report: StudyReport) -> list[Any]:
    """Return what is to be displayed: caption, table and plain words for each question that the study has runs for.

    The questions that it has none for are named with the command that would answer them.
    """
    shown: list[Any] = []
    missing = []
    lam = settings_of(report.out).lam if report.databases else 0.0
    for group in METHOD_GROUPS:
        table = variant_table(report.out, group, lam)
        table = table[table["database"].isin(report.databases)]
        if table.empty:
            missing.append(group)
            continue
        shown += [Markdown(f"*{variants_caption(table)}*"), readable_variants(table).style.hide(axis="index")]
        shown.append(Markdown(variants_in_words(table)))
    across = cross_table(report.out, lam)
    if across.empty:
        missing.append("across")
    else:
        shown += [Markdown(f"*{cross_caption(across)}*"), readable_cross(across).style.hide(axis="index")]
        shown.append(Markdown(cross_in_words(across)))
    if missing:
        lines = "\n".join(f"    {COMMANDS[name]}" for name in missing)
        shown.append(Markdown(f"Not asked in this study; these commands would answer:\n\n{lines}"))
    return shown
