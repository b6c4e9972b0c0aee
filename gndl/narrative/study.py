"""What notebook 7 shows of a whole study: read from its files, and nothing is trained for it.

Where a study holds no run, or only some notebooks' figures, it says so in words and shows what there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd

from gndl import comparison, results
from gndl.analysis.comparisons import compare_study
from gndl.drawn import is_drawn, note_drawn
from gndl.errors import GndlError
from gndl.execute import FOR_EACH_DATABASE, notebook_sources
from gndl.narrative.describe import SOURCE_TEXTS
from gndl.narrative.figure_album import Shown, album
from gndl.paper import DATABASE_TITLES, DATABASES
from gndl.paths import resolve
from gndl.report import report_study, settings_of
from gndl.request import read_study_json
from gndl.results import FinishedRun, finished_runs
from gndl.standins.box import what_a_render_can_tell
from gndl.tables import results_table as tables
from gndl.tables import scores as score_tables
from gndl.tables import study as study_tables


@dataclass(frozen=True)
class StudyReport:
    """A study as it lies on disk.

    Parameters
    ----------
    out : Path
        The study's directory.
    databases : tuple of str
        Those shown; empty where no run is finished.
    content : dict
        Of ``study.json``; empty where there is no study.
    runs : list of FinishedRun
        Of the databases shown.
    summaries : dict of str to DataFrame
        Headline's rows of `gndl.results.summarise`.
    """

    out: Path
    databases: tuple[str, ...]
    content: dict[str, Any]
    runs: list[FinishedRun]
    summaries: dict[str, pd.DataFrame]

    @property
    def source(self) -> str:
        """What the study reads: ``"rendered"``, ``"licensed"``, ``"own"``; ``""`` where there is no study."""
        return str(self.content.get("source", ""))

    @property
    def settings(self) -> dict[str, Any]:
        """The profile with its overrides, as ``study.json`` keeps it."""
        return dict(self.content["asked"]["settings"])


def open_report(out: str | Path, database: str = "") -> StudyReport:
    """Read a study; write its tables and the figures that its CSV files give, unless nothing has changed since.

    Parameters
    ----------
    out : path
        The study's directory, relative to the repository.
    database : str
        Show this one alone; ``""`` shows all that have a finished run.

    Raises
    ------
    GndlError
        Where there is no such database, or runs cannot be averaged.
    """
    if database and database not in DATABASE_TITLES:
        raise GndlError(
            f"There is no database {database!r}; choose one of {', '.join(DATABASE_TITLES)}, or none for all."
        )
    out = resolve(out)
    if not (out / "study.json").exists():
        return StudyReport(out, (), {}, [], {})
    content = read_study_json(out)
    runs = [run for run in finished_runs(out) if database in ("", run.database)]
    names = tuple(dict.fromkeys(run.database for run in runs))
    if names and not is_drawn(out):
        report_study(out)
        note_drawn(out)
    lam = settings_of(out).lam
    summaries = {name: results.headline(results.summarise(out, name), lam) for name in names}
    return StudyReport(out, names, content, runs, summaries)


def box(report: StudyReport) -> str:
    """Say in Markdown what the numbers were measured on and what they can tell; or how to get a study."""
    if not report.databases:
        what = "holds no finished run of it" if report.content else "holds no study"
        return (
            f"> **Nothing was measured yet.** `{report.out}` {what}, so below stands what the paper reports, and no "
            "number of ours. `make study` renders, trains and fills this report; notebook `2_training` does it for one "
            "database in front of you."
        )
    titles = [DATABASE_TITLES[name] for name in report.databases]
    profile = f"> Profile `{report.content['profile']}`: {report.content['purpose']}."
    if report.source == "rendered":
        return f"{what_a_render_can_tell(*report.databases)}>\n{profile}"
    words = SOURCE_TEXTS.get(report.source, SOURCE_TEXTS["own"])
    return f"> {words.format(title=' and '.join(titles))}\n>\n{profile}"


def table_1(report: StudyReport) -> pd.DataFrame:
    """Table 1 in full, as text: the paper's thirteen rows as reported, then ours as measured."""
    table = study_tables.study_table_1(report.summaries)
    text = study_tables.readable_study_table(table)
    origin = {study_tables.REPORTED: "reported by the paper", "rendered": "measured, rendered stand-in"}
    text.insert(1, "What it is", [origin.get(source, f"measured, {source}") for source in table["source"]])
    return text


def measured_in_full(report: StudyReport) -> pd.DataFrame:
    """Our rows with everything that was measured beside the headline; empty where nothing was."""
    if not report.summaries:
        return pd.DataFrame()
    rows = pd.concat([tables.measured_rows(summary) for summary in report.summaries.values()], ignore_index=True)
    text = tables.readable(rows)
    seeds = pd.concat([summary for summary in report.summaries.values()], ignore_index=True)["seeds"]
    text.insert(5, "Seeds", seeds.astype(str))
    text.insert(2, "Neutral face at test", ["needed" if needed else "no" for needed in rows["needs_neutral_at_test"]])
    return text


def scores_in_full(report: StudyReport) -> pd.DataFrame:
    """Every way to count each method's accuracy, macro averages among them, with intervals over subjects."""
    parts = []
    for name, summary in report.summaries.items():
        text = score_tables.readable_scores(score_tables.score_table(report.out, name, summary), summary)
        text.insert(0, "On", tables.measured_on(name, str(summary["source"].iloc[0])))
        parts.append(text)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def classes_in_full(report: StudyReport) -> pd.DataFrame:
    """Recall and F1 of every class of each method, by frames and by sequences."""
    parts = []
    for name, summary in report.summaries.items():
        text = score_tables.readable_classes(score_tables.score_table(report.out, name, summary))
        text.insert(0, "On", tables.measured_on(name, str(summary["source"].iloc[0])))
        parts.append(text)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def comparisons(report: StudyReport) -> pd.DataFrame:
    """Every variant against its baseline (`gndl.analysis.comparisons.compare_study`), all databases."""
    return compare_study(report.out, report.summaries)


def in_plain_words(report: StudyReport) -> str:
    """Say database by database, in Markdown, how every variant compares with the baseline."""
    parts, everything = [], comparisons(report)
    for name, summary in report.summaries.items():
        compared = everything[everything["database"] == name] if len(everything) else everything
        title = tables.measured_on(name, str(summary["source"].iloc[0]))
        parts.append(f"**{title}**\n\n{comparison.in_plain_words(compared)}")
    return "\n\n".join(parts) or "No run is finished, so there is nothing to compare."


def choices_table(report: StudyReport) -> pd.DataFrame:
    """List what was chosen for each method, and which samples the choice was made on."""
    rows = [
        ("the eleven compared methods", "everything", "as their papers did; the numbers are taken over as reported"),
        ("baseline and GNDL of the paper", "epochs, learning rate, batch", "not stated"),
        ("GNDL of the paper", "λ = 5", "the test folds that Table 1 reports (section 4.4, ledger L19)"),
    ]
    if report.content:
        train, lam = report.settings["train"], report.settings["lam"]
        named = (
            f"{train['image_size']} pixels, at least {train['epochs']} epochs, batches of {train['batch_size']} pairs, "
            f"learning rate {train['learning_rate']:g}, {train['schedule']}"
        )
        profile = f"fixed in profile {report.content['profile']} for all methods alike, before these runs"
        ours = [str(name) for summary in report.summaries.values() for name in summary["method"]]
        for method in dict.fromkeys(ours):
            rows.append((f"{method}, here", named, profile))
        rows += [
            (
                "every method with λ, here",
                f"λ = {lam:g}",
                "the paper's value, fixed beforehand; no test sample of ours",
            ),
            ("every method, here", "which epoch is reported", "none: the last one"),
        ]
        if any("n_dev" in run.record for run in report.runs):
            rows.append(
                (
                    "every method, in the table of choices",
                    "λ and epoch, fold by fold",
                    "development subjects, who are held out of training and test of each fold",
                )
            )
        if report.source == "rendered":
            rows.append(
                (
                    "the rendered faces",
                    "how hard they are",
                    "the baseline alone, on other rendered people than these (gndl.calibration)",
                )
            )
    return pd.DataFrame(rows, columns=["method", "what was chosen", "on what"])


def notebooks_table(report: StudyReport) -> pd.DataFrame:
    """Say which notebook was executed for which database, in how many seconds; a dash where it was not."""
    rows: dict[str, dict[str, str]] = {}
    for source in notebook_sources(FOR_EACH_DATABASE):
        row = {}
        for name in report.databases or DATABASES:
            folder = report.out / name / "notebooks"
            if (folder / f"{source.stem}.failed.ipynb").exists():
                row[DATABASE_TITLES[name]] = "failed"
            elif (folder / source.name).exists():
                kept = nbformat.read(folder / source.name, as_version=4).metadata.get("gndl", {})
                row[DATABASE_TITLES[name]] = f"{kept['seconds']:.0f} s" if "seconds" in kept else "executed"
            else:
                row[DATABASE_TITLES[name]] = "–"
        rows[source.stem] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("notebook")


def figures(report: StudyReport) -> list[Shown]:
    """Every figure of the databases shown that lies on disk, in small copies."""
    return album(report.out, report.databases, report.source)


def for_a_manuscript(report: StudyReport) -> str:
    """Say in Markdown where the files for a manuscript lie, with the first of the macros."""
    numbers = report.out / "tables" / "numbers.csv"
    if not report.databases:
        return "They are written as soon as a run is finished."
    table = results.read_csv(numbers, ("macro", "text", "meaning"))
    first = table[table["macro"].str.startswith("gndlAccuracy")].head(2)
    shown = "\n".join(f"    \\{row.macro}   {row.text}   {row.meaning}" for row in first.itertuples())
    return (
        f"- `{report.out / 'tables' / 'numbers.tex'}`: {len(table)} macros, such as\n\n{shown}\n\n"
        f"- `{report.out / 'tables' / 'references.bib'}`: methods, databases, software, statistics\n"
        f"- `{report.out / 'preview.tex'}`: `pdflatex preview` there shows every table and figure in print"
    )
