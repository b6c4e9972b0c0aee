"""Ways of doing one thing that take turns, and what the repeats say: medians, spreads, ratios within each repeat."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure

from gndl.errors import GndlError
from gndl.progress import progress


@dataclass(frozen=True, eq=False)
class Result:
    """One benchmark, measured.

    Parameters
    ----------
    name : str
        Of its files.
    title : str
    reading : str
        What was done and how to read the table, in sentences.
    table : DataFrame
        Medians and spreads.
    repeats : DataFrame
        Every repeat by itself.
    notes : tuple of str
        What the numbers say in a sentence each, and what was not measured and why.
    figure : Figure
    further : mapping of str to DataFrame
        Further tables by name.
    """

    name: str
    title: str
    reading: str
    table: pd.DataFrame
    repeats: pd.DataFrame
    notes: tuple[str, ...]
    figure: Figure
    further: Mapping[str, pd.DataFrame] = field(default_factory=dict)


class NotMeasured(GndlError):
    """A benchmark lacks what it needs; says what, and how to get it."""


def interleaved(
    turns: Mapping[str, Callable[[], float]], repeats: int, warm_ups: int = 1, *, description: str = "measuring"
) -> pd.DataFrame:
    """Let every way take its turn, again and again, so that a busy machine slows all alike.

    Parameters
    ----------
    turns : mapping of str to callable
        Way to a function that takes one turn and returns its value, such as images a second.
    repeats : int
        Turns that count.
    warm_ups : int
        Turns before them that do not.
    description : str
        What the progress bar says; it is drawn between turns.

    Returns
    -------
    DataFrame
        ``way``, ``repeat`` (from 1) and ``value``. Every other repeat runs the ways backwards.
    """
    rows, there, back = [], list(turns), list(turns)[::-1]
    order = [(repeat, way) for repeat in range(1 - warm_ups, repeats + 1) for way in (there if repeat % 2 else back)]
    for repeat, way in progress(order, description, unit="turn"):
        value = turns[way]()
        if repeat > 0:
            rows.append({"way": way, "repeat": repeat, "value": value})
    table = pd.DataFrame(rows)
    places = {way: place for place, way in enumerate(turns)}
    return table.sort_values("repeat", kind="stable").sort_values("way", key=lambda c: c.map(places), kind="stable")


def rate(do: Callable[[], object], units: float, device: torch.device | None = None) -> Callable[[], float]:
    """Return a turn that does ``do`` and returns its rate in ``units`` a second, the device's work included."""

    def turn() -> float:
        return units / seconds(do, device)()

    return turn


def seconds(do: Callable[[], object], device: torch.device | None = None) -> Callable[[], float]:
    """Return a turn that does ``do`` and returns the seconds it took, the device's work included."""

    def turn() -> float:
        wait_for(device)
        started = time.perf_counter()
        do()
        wait_for(device)
        return time.perf_counter() - started

    return turn


def wait_for(device: torch.device | None) -> None:
    """Wait until a GPU has done what it was given."""
    if device is not None and device.type == "cuda":
        torch.cuda.synchronize(device)


def spread(
    repeats: pd.DataFrame,
    reference: str | Mapping[Any, str],
    conditions: Sequence[str] = (),
    goals: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Summarise repeats: median, least and largest value of each way, and of its ratio to the reference.

    A ratio is taken within one repeat, whose turns are neighbours in time, before the median is.

    Parameters
    ----------
    repeats : DataFrame
        Of :func:`interleaved`, with one column for each of ``conditions``.
    reference : str, or mapping of a condition's value to str
        The way that stands for 1, in every group of equal conditions.
    conditions : sequence of str
    goals : mapping of str to float, optional
        Least ratio that a way is meant to reach.

    Returns
    -------
    DataFrame
        Conditions, ``way``, ``reference``, ``median``, ``low``, ``high``, ``ratio``, ``ratio_low``, ``ratio_high``,
        ``repeats``, ``goal`` (NaN for none) and ``reached`` ("yes", "no" or "").
    """
    rows = []
    groups = repeats.groupby(list(conditions), sort=False) if conditions else [((), repeats)]
    for key, group in groups:
        key = key if isinstance(key, tuple) else (key,)
        against = reference if isinstance(reference, str) else reference[key[0]]
        standard = group[group["way"] == against].set_index("repeat")["value"]
        for way, own in group.groupby("way", sort=False):
            values = own.set_index("repeat")["value"]
            ratios = values / standard
            goal = (goals or {}).get(str(way), float("nan"))
            ratio = float(ratios.median())
            rows.append(
                dict(zip(conditions, key, strict=True))
                | {
                    "way": way,
                    "reference": against,
                    "median": float(values.median()),
                    "low": float(values.min()),
                    "high": float(values.max()),
                    "ratio": ratio,
                    "ratio_low": float(ratios.min()),
                    "ratio_high": float(ratios.max()),
                    "repeats": len(values),
                    "goal": goal,
                    "reached": "" if goal != goal else ("yes" if ratio >= goal else "no"),
                }
            )
    return pd.DataFrame(rows)


def verdicts(table: pd.DataFrame, conditions: Sequence[str] = ()) -> list[str]:
    """Say of every way with a goal whether its median ratio reaches it."""
    said = []
    for row in table[table["goal"].notna()].to_dict("records"):
        where = "".join(f", {name.replace('_', ' ')} {row[name]}" for name in conditions)
        verb = "reaches" if row["reached"] == "yes" else "MISSES"
        said.append(f"{row['way']}{where}: {row['ratio']:.2f} × {row['reference']} {verb} the goal of {row['goal']:g}.")
    return said
