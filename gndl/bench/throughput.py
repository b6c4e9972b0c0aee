"""Training throughput beside its limit: the study's own loop, and the bare network on tensors in memory."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gndl.bench.asked import Asked
from gndl.bench.plots import ratios
from gndl.bench.repeats import Result, interleaved, rate, spread, verdicts
from gndl.bench.trainings import Limit, Way, WayTrainer, batches_of_a_turn, noise_pairs
from gndl.device import choose_device, has_fast_bf16
from gndl.profiles import Precision, TrainSettings

OURS, LIMIT = "gndl", "random tensors in memory"
GOAL = 0.97


def measure(asked: Asked) -> Result:
    """Measure at every size, in fp32 and, where the device has instructions for it, in bf16."""
    device = choose_device(asked.device)
    precisions: tuple[Precision, ...] = ("fp32", "bf16") if has_fast_bf16(device) else ("fp32",)
    tables = []
    for size in asked.image_sizes:
        for precision in precisions:
            batches = batches_of_a_turn(size, asked.batches)
            settings = TrainSettings(image_size=size, batch_size=asked.batch_size)
            pairs = noise_pairs(-(-asked.batch_size * batches // 3), size)
            index = np.arange(asked.batch_size * batches)
            ours = WayTrainer(Way(precision), pairs, index, index, settings, 0, device)
            limit = Limit(Way(precision), settings, device, batches)
            images = 2 * len(index)
            turns = {OURS: rate(ours.epoch, images, device), LIMIT: rate(limit.epoch, images, device)}
            found = interleaved(turns, asked.repeats, description=f"{precision} at {size} pixels")
            tables.append(found.assign(pixels=size, precision=precision))
    repeats = pd.concat(tables, ignore_index=True)
    conditions = ["pixels", "precision"]
    table = spread(repeats, LIMIT, conditions, {OURS: GOAL})
    left_out = [] if "bf16" in precisions else ["bf16 was not measured: this device has no instructions for it."]
    return Result(
        name="throughput",
        title="Training throughput beside its limit",
        reading=(
            f"Images a second of GNDL's training (two a pair, {asked.batch_size} pairs in a batch, one thread on a "
            "processor), and of the limit: the same network, losses, fused Adam, precision and threads on random "
            "tensors that already lie in memory. What is missing to 1 goes into batches: gathering, flips, noise, "
            "normalisation, sums of losses. Crops are noise, for speed is blind to what is seen."
        ),
        table=table,
        repeats=repeats,
        notes=(*verdicts(table, conditions), *left_out),
        figure=ratios(table[table["way"] == OURS], "GNDL's training beside its limit", "images/s", conditions),
    )
