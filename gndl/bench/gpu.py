"""Training on a GPU: images a second, share of the card's measured matrix product, and memory, eager and compiled.

``python -m gndl.bench.gpu`` (or ``gndl bench gpu --device cuda``) measures batches of 128 pairs at 224 pixels on a
card; on a processor it runs at smaller sizes, to show that it works.
"""

from __future__ import annotations

import gc
import sys
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from gndl.bench.asked import GPU_SIZES, Asked
from gndl.bench.faster import compiler
from gndl.bench.memory import peak_memory
from gndl.bench.plots import ratios
from gndl.bench.repeats import Result, interleaved, rate, seconds, spread, wait_for
from gndl.bench.trainings import Way, WayTrainer, noise_pairs
from gndl.device import choose_device, computing_on
from gndl.pairs import FacePairs
from gndl.profiles import Precision, TrainSettings


def operations_of_a_turn(trainer: WayTrainer) -> float:
    """Count the floating-point operations of one epoch's steps, forwards and backwards, as torch counts them."""
    with FlopCounterMode(display=False) as counter:
        trainer.epoch()
    return float(counter.get_total_flops())


def matmul_peak(side: int, precision: Precision, device: torch.device) -> float:
    """Return the operations a second of one product of square matrices: what the device does at its best.

    A turn runs ten products, so that starting one costs nothing.
    """
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    left, right = (torch.randn(side, side, device=device, dtype=kind) for _ in range(2))

    def products() -> None:
        for _ in range(10):
            torch.mm(left, right)

    with computing_on(device, precision, 1, 0):
        return rate(products, 10 * 2 * side**3, device)()


def memory_of(trainer: WayTrainer, device: torch.device) -> float:
    """Return the largest memory of an epoch in MB: all that is allocated on a GPU; on a processor what it adds."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        trainer.epoch()
        wait_for(device)
        return float(torch.cuda.max_memory_allocated(device)) / 1e6
    with peak_memory() as peak:
        trainer.epoch()
    return peak.anonymous / 1e6


def measure(asked: Asked) -> Result:
    """Measure every precision that the device has, eager and compiled."""
    device = choose_device(asked.device)
    cuda = device.type == "cuda"
    backend, why_not = compiler(asked, device)
    precisions: tuple[Precision, ...] = ("fp32", "tf32", "bf16") if cuda else ("fp32", "bf16")
    size, batch = asked.gpu_image_size, asked.gpu_batch_size
    settings = TrainSettings(image_size=size, batch_size=batch)
    count = batch * asked.gpu_steps
    pairs, index = noise_pairs(-(-count // 3), size), np.arange(count)
    work = operations_of_a_turn(WayTrainer(Way(), pairs, index, index, settings, 0, device))
    tables, memory = [], []
    for compile_with in ("", backend) if backend else ("",):
        for precision in precisions:
            way = Way(precision, compile_with)
            name = f"{precision}, {'compiled' if compile_with else 'eager'}"
            _let_go(device)
            found, taken = _measured(way, name, pairs, settings, work, asked, device)
            memory.append(taken)
            tables.append(found.assign(precision=precision, compiled=bool(compile_with)))
    repeats = pd.concat(tables, ignore_index=True)
    against = {precision: f"matrix product, {precision}" for precision in precisions}
    table = spread(repeats, against, ["precision", "compiled"])
    trainings = ~table["way"].isin(list(against.values()))
    for column, new in (("median", "images_per_second"), ("low", "images_low"), ("high", "images_high")):
        table[new] = (table[column] * 2 * count / work).where(trainings)
    table[["median", "low", "high"]] /= 1e12
    table = table.rename(columns={"median": "teraflops", "low": "teraflops_low", "high": "teraflops_high"})
    table = table.merge(pd.DataFrame(memory), on="way", how="left")
    where = torch.cuda.get_device_name(device) if cuda else "a processor, one thread"
    notes = [f"Measured on {where}.", *([why_not] if why_not else [])]
    if not cuda:
        notes.append(
            "No GPU was asked for (--device cuda): these numbers show that the script runs, and claim nothing "
            "about a GPU."
        )
    shown = table.rename(columns={"teraflops": "median"})[trainings]
    return Result(
        name="gpu",
        title="Training on one device, and what it could do at best",
        reading=(
            f"GNDL trained on batches of {batch} pairs at {size} pixels, as the study trains (deterministic cuDNN, "
            "channels_last, fused Adam). Operations of a step are counted by torch; the ratio is their rate to that "
            f"of a product of two matrices of side {asked.gpu_matmul} in the same precision, measured in the same "
            "repeat. Memory is the largest allocated on a GPU, with the crops; on a processor what an epoch adds."
        ),
        table=table,
        repeats=repeats,
        notes=tuple(notes),
        figure=ratios(shown, f"Share of the matrix product's peak, {where}", "TFLOPS", []),
    )


def _measured(
    way: Way, name: str, pairs: FacePairs, settings: TrainSettings, work: float, asked: Asked, device: torch.device
) -> tuple[pd.DataFrame, dict[str, object]]:
    """Train one way in turns with the matrix product, and say what memory it takes.

    Nothing outside keeps its training: several side by side would share the card's memory, and the next one's largest
    would count them.
    """
    index = np.arange(settings.batch_size * asked.gpu_steps)
    trainer = WayTrainer(way, pairs, index, index, settings, 0, device)
    first = seconds(trainer.epoch, device)()
    memory = {"way": name, "memory_mb": memory_of(trainer, device), "first_epoch_seconds": first}

    def peak() -> float:
        return matmul_peak(asked.gpu_matmul, way.precision, device)

    turns = {name: rate(trainer.epoch, work, device), f"matrix product, {way.precision}": peak}
    return interleaved(turns, asked.repeats, description=name), memory


def _let_go(device: torch.device) -> None:
    """Free what a training that is over has left: it holds itself in circles, as compiled code does its network."""
    torch.compiler.reset()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def main() -> None:
    """Measure on the GPU where there is one, and print the table."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    asked, sizes = Asked(device=device), cast(Any, GPU_SIZES)
    result = measure(replace(asked, **sizes) if device == "cuda" else asked)
    print(result.table.to_string(index=False))
    print(*result.notes, sep="\n", file=sys.stderr)


if __name__ == "__main__":
    main()
