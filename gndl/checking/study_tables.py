"""Audit the tables and figures that span a study's databases: what a reader quotes, derived again from the runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path

import pandas as pd

from gndl import comparison, results
from gndl.analysis.comparisons import compare_database
from gndl.checking.crops import Looked
from gndl.checking.figures import differs_from_runs
from gndl.figures.redraw import has_rows
from gndl.manuscript.floats import numbers_tex, study_numbers
from gndl.methods import METHOD_GROUPS
from gndl.paper import DATABASE_TITLES
from gndl.report import settings_of
from gndl.tables import results_table
from gndl.tables.across import cross_table
from gndl.tables.scores import score_table
from gndl.tables.study import study_table_1
from gndl.tables.variants import variant_table


class _Derived:
    """What a study's runs give, each part once and only where a file asks for it."""

    def __init__(self, out: Path) -> None:
        self.out = out

    @cached_property
    def lam(self) -> float:
        return settings_of(self.out).lam

    @cached_property
    def summaries(self) -> dict[str, pd.DataFrame]:
        trained = {run.database for run in results.finished_runs(self.out)}
        names = [name for name in DATABASE_TITLES if name in trained]
        return {name: results.headline(results.summarise(self.out, name), self.lam) for name in names}

    @cached_property
    def comparisons(self) -> pd.DataFrame:
        tables = [compare_database(self.out, name, summary) for name, summary in self.summaries.items()]
        return comparison.with_holm(pd.concat(tables, ignore_index=True))

    @cached_property
    def numbers(self) -> pd.DataFrame:
        folders = {name: self.out / name / "figures" for name in self.summaries}
        scores = [score_table(self.out, name, summary) for name, summary in self.summaries.items()]
        return study_numbers(self.out, settings_of(self.out), self.summaries, self.comparisons, folders, scores)

    def measured(self) -> pd.DataFrame:
        tables = [results_table.measured_rows(summary) for summary in self.summaries.values()]
        return pd.concat(tables, ignore_index=True)


def check_study_tables(out: Path) -> Looked:
    """Derive the CSV of every table and figure that spans the databases again, and every number for a manuscript.

    Parameters
    ----------
    out : Path
        The study's directory; only read.
    """
    derived = _Derived(out)
    derive: dict[str, Callable[[], pd.DataFrame]] = {
        "tables/table1": lambda: study_table_1(derived.summaries),
        "tables/comparisons": lambda: derived.comparisons,
        "tables/accuracy_summary": derived.measured,
        "tables/numbers": lambda: derived.numbers,
    }
    for folder in ("tables", "figures"):
        derive |= {f"{folder}/{group}": partial(_variants, derived, group) for group in METHOD_GROUPS}
        derive[f"{folder}/across"] = lambda: cross_table(out, derived.lam)
    problems: list[str] = []
    verified: list[str] = []
    for name, table in derive.items():
        file = out / f"{name}.csv"
        if has_rows(file):
            problem = differs_from_runs(file, _whatever_is_written(table))
            problems += [problem] if problem else []
            verified += [] if problem else [name]
    tex = out / "tables" / "numbers.tex"
    if tex.is_file() and "tables/numbers" in verified:
        written = results.read_csv(out / "tables" / "numbers.csv", ("macro",))
        source = str(written["source"].iloc[0]) if "source" in written else "of an unknown kind"
        if tex.read_text(encoding="utf-8", errors="replace") != numbers_tex(derived.numbers, source):
            problems.append(f"{tex}: does not say what numbers.csv beside it says; it was changed: `gndl report {out}`")
        else:
            verified.append("tables/numbers.tex")
    said = (f"tables and figures that span the databases: {', '.join(verified)}",) if verified else ()
    return Looked(tuple(problems), said)


def _whatever_is_written(derive: Callable[[], pd.DataFrame]) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda _written: derive()


def _variants(derived: _Derived, group: str) -> pd.DataFrame:
    return variant_table(derived.out, group, derived.lam)
