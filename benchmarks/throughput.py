"""Training throughput beside its limit: the same network fed with random tensors that already lie in memory.

For each image size and precision, ``Trainer``'s own loop (index gather, flips, noise, normalisation, running sums) and
the bare loop (same GNDL network, losses, fused Adam, precision, one thread) take turns, and the median of the ratios of
neighbouring turns is reported, so that a busy machine slows both alike.

    python benchmarks/throughput.py --sizes 64 112 224 --repeats 5
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import torch

from gndl.device import autocast, choose_device, computing_on, has_fast_bf16
from gndl.methods import method_settings
from gndl.pairs import FacePairs
from gndl.profiles import TrainSettings
from gndl.trainer import Trainer

BATCHES = {64: 4, 112: 2, 224: 1}
"""Batches in one turn: about as long at every size."""


def random_pairs(count: int, size: int) -> FacePairs:
    """Return grey pairs of noise; speed does not depend on what is seen."""
    images = np.random.default_rng(0).integers(0, 256, (2 * count, size, size), dtype=np.uint8)
    index, names = np.arange(count), [str(number) for number in range(count)]
    return FacePairs(images, index, index + count, index % 7, names, names, names, tuple("abcdefg"))


def measure(size: int, settings: TrainSettings, device: torch.device, repeats: int) -> tuple[float, float, float]:
    """Return images per second of our loop and of the bare one, and the median ratio."""
    count = settings.batch_size * BATCHES[size]
    pairs, index = random_pairs(count, size), np.arange(count)
    with computing_on(device, settings.precision, settings.threads, seed=0):
        ours = Trainer(method_settings("gndl"), pairs, index, index, settings, 5.0, 0, device, None)
        bare = Trainer(method_settings("gndl"), pairs, index, index, settings, 5.0, 0, device, None)
        shape = (settings.batch_size, 3, size, size)
        examined, neutral = (torch.randn(shape, device=device).to(memory_format=torch.channels_last) for _ in range(2))
        label = torch.arange(settings.batch_size, device=device) % 7

        def bare_epoch() -> None:
            bare.network.train()
            for _ in range(BATCHES[size]):
                bare.optimizer.zero_grad(set_to_none=True)
                with autocast(device, settings.precision):
                    losses = bare.network.loss(bare.network(examined, neutral), label)
                losses.total.backward()
                bare.optimizer.step()

        seconds: dict[str, list[float]] = {"ours": [], "bare": []}
        for repeat in range(repeats + 1):
            turns = [("ours", ours.optimise), ("bare", bare_epoch)]
            for name, turn in turns if repeat % 2 else reversed(turns):
                start = time.perf_counter()
                turn()
                if device.type == "cuda":
                    torch.cuda.synchronize(device)
                if repeat:  # the first turn warms up
                    seconds[name].append(time.perf_counter() - start)
    ratios = [b / o for o, b in zip(seconds["ours"], seconds["bare"], strict=True)]
    rates = [2 * count / statistics.median(seconds[name]) for name in ("ours", "bare")]
    return rates[0], rates[1], statistics.median(ratios)


def main() -> None:
    """Print one line for each size and precision."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=sorted(BATCHES), choices=sorted(BATCHES))
    parser.add_argument("--batch-size", type=int, default=16, help="pairs in a batch")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    device = choose_device(options.device)
    print(f"GNDL on {device.type}, 1 thread, {options.batch_size} pairs in a batch, median of {options.repeats} turns")
    print("pixels  precision  ours images/s  bare images/s  ratio")
    for size in options.sizes:
        for precision in ("fp32", "bf16") if has_fast_bf16(device) else ("fp32",):
            settings = TrainSettings(image_size=size, batch_size=options.batch_size, precision=precision)
            ours, bare, ratio = measure(size, settings, device, options.repeats)
            print(f"{size:6d}  {precision:9s}  {ours:13.1f}  {bare:13.1f}  {ratio:5.3f}", flush=True)


if __name__ == "__main__":
    main()
