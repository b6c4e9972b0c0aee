"""Numbers as a text quotes them: a TeX macro, the text that it stands for, the number itself and what it means."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from gndl.manuscript.tex import escape, macro_name
from gndl.tables.study import p_value


class Number(NamedTuple):
    """One number that a text may quote: its macro, the text that it stands for, the number itself and its meaning."""

    macro: str
    text: str
    value: float
    meaning: str


def percent_number(name: tuple[str, ...], value: float, meaning: str) -> Number:
    """A fraction, quoted in percent."""
    text = "--" if pd.isna(value) else f"{100 * value:.2f}"
    return Number(macro_name(*name), text, value, f"{meaning}, in percent")


def count_number(name: tuple[str, ...], value: float, meaning: str) -> Number:
    """A whole number; a dash where it is not known."""
    text = "--" if pd.isna(value) else f"{int(value):,}".replace(",", "{,}")
    return Number(macro_name(*name), text, float(value), meaning)


def points_number(name: tuple[str, ...], value: float, meaning: str) -> Number:
    """A difference of two fractions, quoted in percentage points with its sign."""
    text = "--" if pd.isna(value) else rf"\ensuremath{{{100 * value:+.2f}}}"
    return Number(macro_name(*name), text, value, f"{meaning}, in percentage points")


def decimal_number(name: tuple[str, ...], value: float, meaning: str) -> Number:
    """Any other number, with three decimals."""
    text = "--" if pd.isna(value) else rf"\ensuremath{{{value:.3f}}}"
    return Number(macro_name(*name), text, value, meaning)


def p_number(name: tuple[str, ...], value: float, meaning: str) -> Number:
    """A p value; "not tested" where there is none."""
    text = "not tested" if pd.isna(value) else escape(p_value(value))
    return Number(macro_name(*name), text, value, meaning)
