"""Shares of a plan: which of several workers that see one study folder trains which runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gndl.errors import GndlError


@dataclass(frozen=True)
class Shard:
    """One of ``count`` shares, numbered from 1."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def read_shard(text: str) -> Shard:
    """Read ``2/8``, the second of eight shares; anything else raises `GndlError`."""
    match = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise GndlError(
            f"--shard takes a share of how many, counted from 1, such as 1/8 to 8/8; it was given {text!r}."
        )
    return Shard(int(match[1]), int(match[2]))


def dealt(costs: Mapping[Path, float], shard: Shard) -> set[Path]:
    """Return the folders of those runs that belong to ``shard``, whatever order they are listed in.

    Parameters
    ----------
    costs : mapping of Path to float
        The folder of every run of the plan to its cost (`gndl.sweeping.estimate.cost_to_deal`).
    """
    folders = sorted(costs)
    return {folders[position] for position in share_of([costs[folder] for folder in folders], shard)}


def share_of(costs: Sequence[float], shard: Shard) -> list[int]:
    """Return the positions of ``costs`` that belong to ``shard``, ascending.

    The costliest is dealt first, each to the share that has least so far; so the shares are about as long, every
    position is in one of them, and who deals the same plan again, on whatever node, deals it alike.

    Parameters
    ----------
    costs : sequence of float
        Of the whole plan, what is finished included.
    shard : Shard
    """
    totals = [0.0] * shard.count
    own = []
    for position in sorted(range(len(costs)), key=lambda position: (-costs[position], position)):
        lightest = min(range(shard.count), key=lambda share: totals[share])
        totals[lightest] += costs[position]
        if lightest == shard.number - 1:
            own.append(position)
    return sorted(own)
