"""Where a training's time goes that its limit does not need, operation by operation (`torch.profiler`)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from torch.profiler import ProfilerActivity, profile

from gndl.bench.asked import Asked
from gndl.bench.plots import ratios
from gndl.bench.repeats import Result, interleaved, seconds, spread
from gndl.bench.trainings import Limit, Way, WayTrainer, batches_of_a_turn, noise_pairs
from gndl.device import choose_device, has_fast_bf16
from gndl.profiles import TrainSettings
from gndl.progress import progress

OURS, LIMIT = "gndl", "random tensors in memory"
SHOWN = 15
"""Operations of the further table."""
FEWEST = 4
"""Repeats below which quartiles say nothing."""


def milliseconds_of_operations(do: Callable[[], None], steps: int, device: torch.device) -> dict[str, float]:
    """Return each operation's own time in a step, in ms: on the GPU where there is one, else on the processor."""
    gpu = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if gpu else [])]
    with profile(activities=activities) as profiled:
        do()
    found = {}
    for event in profiled.key_averages():
        own = event.self_device_time_total if gpu else event.self_cpu_time_total
        found[event.key] = own / 1000 / steps
    return found


def measure(asked: Asked) -> Result:
    """Profile both at the first size, turn by turn, and compare their operations."""
    device, size = choose_device(asked.device), asked.image_sizes[0]
    way, steps = (
        Way("bf16" if has_fast_bf16(device) else "fp32"),
        batches_of_a_turn(asked.image_sizes[0], asked.batches),
    )
    settings = TrainSettings(image_size=size, batch_size=asked.batch_size)
    count = asked.batch_size * steps
    pairs, index = noise_pairs(-(-count // 3), size), np.arange(count)
    ours = WayTrainer(way, pairs, index, index, settings, 0, device)
    limit = Limit(way, settings, device, steps)
    turns = {OURS: seconds(ours.epoch, device), LIMIT: seconds(limit.epoch, device)}
    repeats = interleaved(turns, asked.repeats, description=f"{size} pixels")
    repeats["value"] *= 1000 / steps
    table = spread(repeats, LIMIT)
    profiled: dict[str, list[dict[str, float]]] = {OURS: [], LIMIT: []}
    for repeat in progress(range(asked.repeats), "profiling"):
        order = [(OURS, ours.epoch), (LIMIT, limit.epoch)]
        for name, epoch in order if repeat % 2 else reversed(order):
            profiled[name].append(milliseconds_of_operations(epoch, steps, device))
    operations = difference_of_operations(profiled[OURS], profiled[LIMIT])
    whole = float(table.loc[table["way"] == LIMIT, "median"].iloc[0])
    gap = float(table.loc[table["way"] == OURS, "median"].iloc[0]) - whole
    notes = (
        f"A step takes {gap:+.2f} ms against the limit's {whole:.2f} ms ({100 * gap / whole:+.1f} %), unprofiled.",
        largest_gap(operations, whole, asked.repeats),
    )
    return Result(
        name="gap",
        title="What the limit does not need",
        reading=(
            f"Milliseconds of a step at {size} pixels in {way.precision}, {asked.batch_size} pairs in a batch. "
            "The further table has the operations of which GNDL's training spends more than its limit, by "
            "torch.profiler: own time a step, medians over repeats, on the device that computes."
        ),
        table=table,
        repeats=repeats,
        notes=notes,
        figure=ratios(table, "A step of training beside its limit", "ms"),
        further={"operations": operations.head(SHOWN)},
    )


def largest_gap(operations: pd.DataFrame, whole: float, repeats: int) -> str:
    """Name the operation that takes most beyond the limit's ``whole`` ms, of those whose lower quartile is above 0."""
    if repeats < FEWEST:
        return f"Fewer than {FEWEST} repeats tell no gap from noise: the largest remaining gap is not named."
    beyond_noise = operations[operations["more_low_ms"] > 0]
    if beyond_noise.empty:
        return (
            "No operation takes longer than in the limit in three quarters of the repeats: no remaining gap is shown."
        )
    first = beyond_noise.iloc[0]
    return (
        f"The largest remaining gap beyond the noise is {first['operation']}: {first['more_ms']:+.3f} ms a step "
        f"({100 * first['more_ms'] / whole:+.2f} % of the limit's step); quartiles over repeats "
        f"{first['more_low_ms']:+.3f} to {first['more_high_ms']:+.3f} ms. Operations that take longer in fewer than "
        "three quarters of the repeats are passed over, however much longer."
    )


def difference_of_operations(ours: list[dict[str, float]], limit: list[dict[str, float]]) -> pd.DataFrame:
    """Compare profiles, one dict of ms by operation for each repeat, the largest difference of medians first.

    Returns
    -------
    DataFrame
        ``operation``, ``gndl_ms``, ``limit_ms`` (medians), ``more_ms`` (median of the repeats' differences) and its
        quartiles ``more_low_ms``, ``more_high_ms``.
    """
    names = sorted({name for one in (*ours, *limit) for name in one})
    rows = []
    for name in names:
        own, bare = (np.array([one.get(name, 0.0) for one in many]) for many in (ours, limit))
        low, middle, high = np.quantile(own - bare, [0.25, 0.5, 0.75])
        rows.append(
            {
                "operation": name,
                "gndl_ms": float(np.median(own)),
                "limit_ms": float(np.median(bare)),
                "more_ms": float(middle),
                "more_low_ms": float(low),
                "more_high_ms": float(high),
            }
        )
    return pd.DataFrame(rows).sort_values("more_ms", ascending=False, kind="stable", ignore_index=True)
