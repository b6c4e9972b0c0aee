"""Training on a GPU versus the card's own matrix product: images a second, share of its peak, and memory.

``python benchmarks/gpu.py`` measures the paper's batch (128 pairs, 224 pixels) in fp32, tf32 and bf16; ``--compiled``
adds torch.compile. On a processor it measures a small batch: that shows that the script runs, and nothing about a GPU.
"""

from __future__ import annotations

import gc

import pandas as pd
import torch
from measuring import Training, interleaved, options, seconds, show, spread, wait_for
from torch.utils.flop_counter import FlopCounterMode

from gndl.device import choose_device, computing_on
from gndl.profiles import Precision, TrainSettings

PRODUCT = "matrix product"


def product(side: int, precision: Precision, device: torch.device) -> float:
    """Teraflops of ten products of square matrices: what the device does at its best."""
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    left, right = (torch.randn(side, side, device=device, dtype=kind) for _ in range(2))
    with computing_on(device, precision, 1, 0):
        taken = seconds(lambda: [torch.mm(left, right) for _ in range(10)], device)()
    return 10 * 2 * side**3 / taken / 1e12


def measure(training: Training, name: str, work: float, side: int, repeats: int) -> pd.DataFrame:
    """Teraflops of a training in turns with the matrix product, its images a second, and memory on a GPU in MB."""
    device, precision = training.device, training.trainer.settings.precision
    turn = seconds(training.steps, device)
    memory = float("nan")
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        training.steps()
        wait_for(device)
        memory = torch.cuda.max_memory_allocated(device) / 1e6
    turns = {name: lambda: work / turn(), PRODUCT: lambda: product(side, precision, device)}
    table = spread(interleaved(turns, repeats), PRODUCT).assign(precision=precision, unit="teraflops")
    table["images_per_second"] = (table["median"] * training.images / work).where(table.index == name)
    return table.assign(memory_mb=memory)


def main() -> None:
    """Measure every precision that the device has."""
    parser = options(__doc__)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--compiled", action="store_true", help="torch.compile too")
    asked = parser.parse_args()
    device = choose_device(asked.device)
    cuda = device.type == "cuda"
    sizes = (128, 224, 8192, 5) if cuda else (8, 64, 1024, 2)
    batch, pixels, side, steps = (4, 32, 64, 1) if asked.tiny else sizes
    precisions: tuple[Precision, ...] = ("fp32", "tf32", "bf16") if cuda else ("fp32", "bf16")
    settings = TrainSettings(image_size=pixels, batch_size=batch)
    with FlopCounterMode(display=False) as counter:  # of eager code; compiled code does the same work uncounted
        Training(settings, steps, device=device).steps()
    work, tables = counter.get_total_flops() / 1e12, []
    for compiled in (False, True) if asked.compiled else (False,):
        for precision in precisions:
            gc.collect()  # one training at a time: several would share the card's memory
            torch.compiler.reset()
            training = Training(settings, steps, precision=precision, device=device, compiled=compiled)
            name = f"{precision}, {'compiled' if compiled else 'eager'}"
            tables.append(measure(training, name, work, side, 1 if asked.tiny else asked.repeats))
            del training
    print(f"Measured on {torch.cuda.get_device_name(device) if cuda else 'a processor, one thread'}.")
    show(tables, asked.out)


if __name__ == "__main__":
    main()
