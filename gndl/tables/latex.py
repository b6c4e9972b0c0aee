"""Tables of texts as LaTeX floats (booktabs) that stay within acmart's columns."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pandas as pd

from gndl.manuscript.tex import escape

_NUMBER = re.compile(r"^(–|[+−-]?[\d.,]+( ± [\d.]+)?|< [\d.]+|[\d.,]+( / [\d.,]+)*)?$")


class Tex(str):
    """A cell that is LaTeX already, such as a citation."""


def to_latex(
    text: pd.DataFrame,
    caption: str,
    label: str,
    rules_before: tuple[int, ...] = (),
    *,
    headings: Mapping[int, str] | None = None,
    one_column: bool = False,
) -> str:
    """Write a table of texts as a booktabs float over both columns, or over one.

    A table that would still be wider than its column at footnote size is scaled down to it, so nothing overflows, and
    the log says so, since its text is then smaller than the manuscript's. Columns of numbers are aligned right.

    Parameters
    ----------
    text : DataFrame
        Of plain texts, or of `Tex` where a cell is LaTeX already.
    caption, label : str
    rules_before : tuple of int
        Rows before which a rule is drawn.
    headings : mapping of int to str, optional
        A line over the whole width before a row, after its rule.
    one_column : bool
        Float in one column instead of over both.
    """
    kind, width = ("table", r"\columnwidth") if one_column else ("table*", r"\textwidth")
    lines = [
        rf"\begin{{{kind}}}",
        rf"\caption{{{escape(caption)}}}",
        rf"\label{{{label}}}",
        r"\centering\footnotesize\setlength{\tabcolsep}{3.5pt}%",
        rf"\sbox0{{\begin{{tabular}}{{@{{}}{_alignment(text)}@{{}}}}",
        r"\toprule",
        _line(text.columns),
        r"\midrule",
    ]
    for number, row in enumerate(text.to_numpy().tolist()):
        if number in rules_before:
            lines.append(r"\midrule")
        if headings and number in headings:
            lines.append(rf"\multicolumn{{{len(text.columns)}}}{{@{{}}l}}{{\emph{{{escape(headings[number])}}}}} \\")
        lines.append(_line(row))
    lines += [
        r"\bottomrule",
        r"\end{tabular}}%",
        rf"\ifdim\wd0>{width}\typeout{{gndl: {label} is scaled down to its column}}%",
        rf"\resizebox{{{width}}}{{!}}{{\usebox0}}\else\usebox0\fi",
        rf"\end{{{kind}}}",
    ]
    return "\n".join(lines) + "\n"


def _line(cells: object) -> str:
    written = [cell if isinstance(cell, Tex) else escape(str(cell)) for cell in cells]  # type: ignore[attr-defined]
    return " & ".join(written) + r" \\"


def _alignment(text: pd.DataFrame) -> str:
    return "".join("r" if all(_NUMBER.match(str(cell)) for cell in text[name]) else "l" for name in text.columns)
