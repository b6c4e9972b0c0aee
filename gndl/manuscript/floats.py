"""What a manuscript takes from a study: a macro for every number, the references, and a page that shows every float."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from gndl.errors import GndlError
from gndl.files import whole, write_text
from gndl.manuscript.analysis_numbers import numbers_of_analyses
from gndl.manuscript.bibliography import write_bibliography
from gndl.manuscript.quoted_numbers import (
    Number,
    count_number,
    decimal_number,
    p_number,
    percent_number,
    points_number,
)
from gndl.manuscript.tex import STUDY_MACRO, escape, macro_name
from gndl.paper import DATABASE_TITLES, PAPER_ROW_OF_METHOD, reported_accuracy
from gndl.profiles import Profile
from gndl.results import read_csv, write_csv
from gndl.tables.results_table import measured_on


def study_numbers(
    out: Path,
    settings: Profile,
    summaries: Mapping[str, pd.DataFrame],
    comparisons: pd.DataFrame,
    figure_folders: Mapping[str, Path],
    scores: Iterable[pd.DataFrame] = (),
    further: Iterable[Number] = (),
) -> pd.DataFrame:
    """Collect every number that a text about the study quotes, each under the name of a TeX macro.

    Parameters
    ----------
    out : Path
        The study's directory.
    settings : Profile
        Of the study.
    summaries : mapping of database to DataFrame
        Headline's rows of `gndl.results.summarise`.
    comparisons : DataFrame
        Of `gndl.comparison.compare_with_baseline`, all databases one after the other.
    figure_folders : mapping of database to Path
        Where the CSV files behind the figures lie.
    scores : iterable of DataFrame
        Of `gndl.tables.scores.score_table`, one per database.
    further : iterable of Number
        Of `gndl.manuscript.further_numbers`: variants, and across databases.

    Returns
    -------
    DataFrame
        ``macro``, ``text``, ``value`` and ``meaning``. Accuracies are texts in percent and values as fractions,
        differences in percentage points and as fractions.
    """
    numbers = [*_of_settings(settings)]
    for database, summary in summaries.items():
        numbers += _of_counts(out, database, str(summary["source"].iloc[0]))
        for row in summary.to_dict("records"):
            numbers += _of_variant(row)
        for method in PAPER_ROW_OF_METHOD:
            reported = reported_accuracy(method, database)
            if reported is not None:
                meaning = f"Table 1 of the paper: {method} on {DATABASE_TITLES[database]}"
                numbers.append(percent_number(("paper", "accuracy", database, method), reported, meaning))
    for row in comparisons.to_dict("records"):
        if not pd.isna(row.get("difference")):
            numbers += _of_comparison(row)
    for table in scores:
        numbers += _of_scores(table)
    for database, folder in figure_folders.items():
        numbers += numbers_of_analyses(folder, database)
    numbers += further
    table = pd.DataFrame(numbers, columns=list(Number._fields))
    twice = table.loc[table["macro"].duplicated(), "macro"]
    if len(twice):
        raise GndlError(
            f"{out}: two numbers would share the macro \\{twice.iloc[0]}; rename a method that spells alike."
        )
    return table


def _folds(count: int) -> str:
    return "one fold" if count == 1 else f"mean of {count} folds"


def _of_settings(settings: Profile) -> list[Number]:
    train = settings.train
    return [
        Number(
            macro_name("lam"), f"{settings.lam:g}", settings.lam, "weight of the reconstruction loss, fixed beforehand"
        ),
        count_number(("image", "size"), train.image_size, "side of the pictures trained on, in pixels"),
        count_number(("epochs",), train.epochs, "epochs asked for, at least"),
        count_number(("batch", "size"), train.batch_size, "pairs in a batch"),
    ]


def _of_counts(out: Path, database: str, source: str) -> Iterator[Number]:
    on = measured_on(database, source)
    crops_file, folds_file = out / database / "crops.csv", out / database / "folds.json"
    if crops_file.exists():
        crops = read_csv(crops_file, ("sequence", "subject", "role"))
        yield count_number(("subjects", database), crops["subject"].nunique(), f"subjects of {on}")
        yield count_number(("sequences", database), crops["sequence"].nunique(), f"labelled sequences of {on}")
        pairs = int((crops["role"] != "neutral").sum())
        yield count_number(("pairs", database), pairs, f"pairs of an examined and a neutral face of {on}")
    if folds_file.exists():
        dealt = len(json.loads(folds_file.read_text(encoding="utf-8")))
        yield count_number(("folds", "dealt", database), dealt, f"folds that the subjects of {on} were dealt to")


def _of_variant(row: Mapping[Any, Any]) -> Iterator[Number]:
    name = (str(row["database"]), str(row["method"]))
    of = f"{row['method']} on {measured_on(row['database'], row['source'])}"
    yield percent_number(("accuracy", *name), row["accuracy"], f"accuracy of {of}: last epoch, {_folds(row['folds'])}")
    yield percent_number(("sd", *name), row["sd"], f"standard deviation between folds of {of}")
    yield count_number(("folds", *name), row["folds"], f"folds run of {of}")
    yield count_number(("seeds", *name), row["seeds"], f"seeds run of {of}")
    yield percent_number(("pooled", *name), row["pooled"], f"accuracy of {of} over all samples tested")
    yield percent_number(("per", "sequence", *name), row["per_sequence"], f"accuracy of {of}, one vote a sequence")
    yield percent_number(("optimistic", *name), row["optimistic"], f"best epoch of {of}, chosen on the test folds")
    yield percent_number(("chance", *name), row["chance"], f"always answering the most frequent class tested by {of}")
    yield count_number(("tested", *name), row["n_test"], f"samples tested of {of}")
    yield count_number(("images", *name), row["images_per_epoch"], f"images that {of} sees in an epoch of training")
    millions = row["parameters"] / 1e6
    yield Number(
        macro_name("parameters", *name),
        "--" if pd.isna(millions) else f"{millions:.2f}",
        row["parameters"],
        f"parameters of {of}, in millions",
    )


def _of_comparison(row: Mapping[Any, Any]) -> Iterator[Number]:
    name = (str(row["database"]), str(row["method"]))
    of = f"{row['method']} minus {row['against']} on {measured_on(row['database'], row['source'])}"
    yield points_number(("difference", *name), row["difference"], f"{of}: {_folds(row['folds'])}")
    yield points_number(("difference", "low", *name), row["low"], f"{of}: lower end of the 95 % interval")
    yield points_number(("difference", "high", *name), row["high"], f"{of}: upper end of the 95 % interval")
    yield count_number(("difference", "folds", *name), row["folds"], f"{of}: folds compared")
    for part in ("better", "worse", "equal"):
        yield count_number((part, *name), row[part], f"{of}: folds that are {part}")
    yield p_number(("p", "corrected", "t", *name), row["p_corrected_t"], f"{of}: p of the corrected t-test")
    yield p_number(("p", "signed", "rank", *name), row["p_wilcoxon"], f"{of}: p of the signed-rank test")
    if "p_holm" in row:
        meaning = f"{of}: p of the corrected t-test, adjusted for {int(row['databases_tested'])} databases (Holm)"
        yield p_number(("p", "holm", *name), row["p_holm"], meaning)
    meaning = f"{of}: mean difference by the standard deviation of the folds' differences"
    yield decimal_number(("effect", *name), row["effect"], meaning)
    yield decimal_number(("rank", "effect", *name), row["rank_effect"], f"{of}: rank-biserial effect over folds")
    if not pd.isna(row.get("subjects", float("nan"))):
        yield count_number(("subjects", "compared", *name), row["subjects"], f"{of}: subjects compared")
        for part in ("better", "worse", "equal"):
            meaning = f"{of}: subjects that are {part} by their sequences"
            yield count_number(("subjects", part, *name), row[f"subjects_{part}"], meaning)


def _of_scores(table: pd.DataFrame) -> Iterator[Number]:
    """What is counted over all classes, with intervals over subjects; single classes are left to the CSV."""
    words = {"accuracy": "pooled accuracy", "macro_recall": "macro recall", "macro_f1": "macro F1"}
    for row in table[table["class"] == "all"].to_dict("records"):
        name = (str(row["of"]), *str(row["measure"]).split("_"), str(row["database"]), str(row["method"]))
        of = f"{words[row['measure']]} of {row['method']} on {measured_on(row['database'], row['source'])}, {row['of']}"
        yield percent_number(name, row["value"], of)
        yield percent_number(("low", *name), row["low"], f"{of}: lower end of the 95 % interval over subjects")
        yield percent_number(("high", *name), row["high"], f"{of}: upper end of the 95 % interval over subjects")


def numbers_tex(numbers: pd.DataFrame, source: str) -> str:
    r"""Write the numbers as macros, one a line with its meaning behind it; ``\gndlSource`` says what they come from."""
    kind = {"rendered": "rendered stand-in", "licensed": "licensed copy", "own": "own faces"}.get(source, source)
    lines = ["% Every number of the study, by gndl report. Accuracies in percent, differences in percentage points."]
    if source == "rendered":
        lines.append("% Rendered stand-in: faces of nobody. None of these is a result on the database itself.")
    lines.append(rf"\newcommand{{\gndlSource}}{{{kind}}}% what the numbers were measured on")
    for row in numbers.itertuples():
        lines.append(rf"\newcommand{{\{row.macro}}}{{{row.text}}}% {row.meaning}")
    return "\n".join(lines) + "\n"


def preview_tex(folder: Path) -> str:
    """Write an acmart document that shows every float which lies below ``folder``, and quotes every number.

    It asks for nothing beyond acmart itself, so ``pdflatex preview.tex`` in ``folder`` shows how all looks in print.
    """

    def place(file: Path) -> tuple[int, bool, Path]:
        return _place(file.relative_to(folder)), file.stem != "table1", file

    files = sorted(whole(folder.rglob("*.tex")), key=place)
    figures = [file for file in files if re.search(r"\\begin\{figure", _text(file))]
    tables = [file for file in files if re.search(r"\\begin\{table", _text(file))]
    numbers = next(iter(sorted(folder.rglob("numbers.tex"))), None)
    references = next(iter(sorted(folder.rglob("references.bib"))), None)
    lines = [
        "% How the study's tables and figures look in a paper: pdflatex preview, bibtex preview, pdflatex twice.",
        r"\documentclass[sigconf,nonacm]{acmart}",
        STUDY_MACRO,
        *([rf"\input{{{_inside(numbers, folder)}}}"] if numbers else []),
        r"\settopmatter{printacmref=false,printfolios=true}",
        r"\begin{document}",
        r"\title{Tables and figures of a study with gndl}",
        r"\author{The gndl authors}",
        r"\affiliation{\institution{gndl}\city{Anywhere}\country{Nowhere}}",
        r"\begin{abstract}",
        r"Every table and figure of the study, each from the file that a manuscript would include."
        + (r" Measured on: \gndlSource." if numbers else ""),
        r"\end{abstract}",
        r"\maketitle",
    ]
    for kind, files in (("Tables", tables), ("Figures", figures)):
        lines.append(rf"\section{{{kind}}}")
        for count, file in enumerate(files):
            lines.append(rf"\input{{{_inside(file, folder)}}}")
            if count % 4 == 3:  # LaTeX keeps only so many floats waiting
                lines.append(r"\clearpage")
        lines.append(r"\clearpage")
    if numbers:
        lines += [r"\section{Numbers}", r"\begingroup\raggedright\footnotesize\parindent0pt"]
        for macro, meaning in re.findall(r"\\newcommand\{\\(\w+)\}\{.*\}% (.*)", _text(numbers)):
            breakable = re.sub(r"(?=[A-Z])", r"\\allowbreak ", macro)  # long names go over the end of a line
            lines.append(rf"\texttt{{\string\{breakable}}} \{macro}: {escape(meaning)}\par")
        lines.append(r"\endgroup")
    if references:
        name = _inside(references, folder).removesuffix(".bib")
        lines += [r"\nocite{*}", r"\bibliographystyle{ACM-Reference-Format}", rf"\bibliography{{{name}}}"]
    return "\n".join([*lines, r"\end{document}", ""])


def _place(file: Path) -> int:
    """What spans the databases first, then the databases in their usual order."""
    return list(DATABASE_TITLES).index(file.parts[0]) if file.parts[0] in DATABASE_TITLES else -1


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def _inside(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix()


def write_manuscript(folder: Path, numbers: pd.DataFrame, source: str) -> None:
    """Write ``numbers.tex``, the CSV behind it and ``references.bib`` into ``folder/tables``, and ``preview.tex``."""
    write_csv(numbers.assign(source=source), folder / "tables" / "numbers.csv")
    write_text(folder / "tables" / "numbers.tex", numbers_tex(numbers, source))
    write_bibliography(folder / "tables")
    write_text(folder / "preview.tex", preview_tex(folder))
