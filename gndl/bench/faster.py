"""What makes a training faster: precision, compilation, memory format, fused Adam, and each neutral face once."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import torch

from gndl.bench.asked import Asked
from gndl.bench.plots import ratios
from gndl.bench.repeats import Result, interleaved, rate, spread, verdicts
from gndl.bench.trainings import Way, WayTrainer, batches_of_a_turn, noise_pairs, ways
from gndl.device import choose_device, has_fast_bf16
from gndl.errors import GndlError
from gndl.profiles import TrainSettings

REFERENCE = "fp32"
GOAL_BF16 = 1.6


def compiler(asked: Asked, device: torch.device) -> tuple[str, str]:
    """Return the backend to compile with, or "" and the reason why nothing is compiled."""
    if not asked.compile_with:
        return "", "torch.compile was not measured: it was not asked for."
    needs_cpp = asked.compile_with == "inductor" and device.type == "cpu"
    if needs_cpp and not any(shutil.which(name) for name in ("g++", "c++", "clang++")):
        return "", "torch.compile was not measured: it needs a C++ compiler on a processor, and none was found."
    return asked.compile_with, ""


def ways_asked(asked: Asked, device: torch.device) -> tuple[dict[str, Way], str]:
    """Return the reference and the ways that were asked for, all by default, and why nothing is compiled, if so.

    Raises
    ------
    GndlError
        Where a way is none, or the reference alone was asked for.
    """
    backend, why_not = compiler(asked, device)
    named = ways("bf16", backend)
    for name in asked.ways:
        if name not in named:
            raise GndlError(f"There is no way {name!r} of training; choose among {', '.join(named)}. {why_not}")
    if set(asked.ways) == {REFERENCE}:
        raise GndlError(f"{REFERENCE} is what the others are compared with; name one of them (--ways).")
    if asked.ways:
        named = {name: way for name, way in named.items() if name in asked.ways or name == REFERENCE}
    return named, why_not


def measure(asked: Asked) -> Result:
    """Measure every way at every size, against fp32 as the study trains it."""
    device = choose_device(asked.device)
    named, why_not = ways_asked(asked, device)
    batch = max(3, asked.batch_size - asked.batch_size % 3)  # whole sequences of three: both drawings fill it alike
    tables = []
    for size in asked.image_sizes:
        count = batch * batches_of_a_turn(size, asked.batches)
        settings = TrainSettings(image_size=size, batch_size=batch)
        pairs, index = noise_pairs(count // 3, size), np.arange(count)
        turns = {
            name: rate(WayTrainer(way, pairs, index, index, settings, 0, device).epoch, count, device)
            for name, way in named.items()
        }
        tables.append(interleaved(turns, asked.repeats, description=f"{size} pixels").assign(pixels=size))
    repeats = pd.concat(tables, ignore_index=True)
    fast = has_fast_bf16(device)
    table = spread(repeats, REFERENCE, ["pixels"], {"bf16": GOAL_BF16} if fast else {})
    notes = [*verdicts(table, ["pixels"]), *([why_not] if why_not else [])]
    if not fast:
        notes.append("This device has no instructions for bf16, so the goal for it does not apply here.")
    return Result(
        name="faster",
        title="What makes a training faster",
        reading=(
            f"Pairs a second of GNDL's training, one thread on a processor, {batch} pairs in a batch, against fp32 as "
            "the study trains it "
            "(channels_last, fused Adam, eager). Each further way changes what its name says. By sequence, a batch "
            "holds whole sequences and their one neutral face passes once: 4 passes where pairs need 6. That changes "
            "the joint normalisation of Eq. 4 to 6: its statistics are then of 3/4 examined and 1/4 neutral faces, "
            "not of half and half, and a batch shows a third as many people. What a way does to accuracy is "
            "the benchmark `accuracy`."
        ),
        table=table,
        repeats=repeats,
        notes=tuple(notes),
        figure=ratios(table[table["way"] != REFERENCE], "Ways of training GNDL", "pairs/s", ["pixels"]),
    )
