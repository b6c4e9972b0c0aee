"""Seconds of an epoch and resident memory as pairs grow, with crops on the device and crops streamed from their file.

Every size and way is measured in a process of its own, so that none inherits another's memory.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from gndl.batches import DevicePairs
from gndl.bench.asked import Asked
from gndl.bench.memory import peak_memory
from gndl.bench.plots import growth
from gndl.bench.repeats import Result
from gndl.bench.trainings import LAM
from gndl.device import choose_device, computing_on, has_fast_bf16
from gndl.methods import method_settings
from gndl.pairs import IMAGENET_MEAN, IMAGENET_STD, FacePairs
from gndl.paths import data_folder
from gndl.profiles import Precision, TrainSettings
from gndl.progress import progress
from gndl.streaming import streamed
from gndl.trainer import Trainer

WAYS = ("on the device", "streamed")
IN_EACH = 3
AT_ONCE = 1000
"""Crops that are made at once."""


class StreamedAlways(FacePairs):
    """Pairs that are streamed whether or not they would fit."""

    def on(
        self,
        device: torch.device | str,
        image_size: int | None = None,
        *,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> DevicePairs:
        """Return the pairs with their crops left in their file, or scaled down once into one beside it."""
        scratch = Path(str(getattr(self.images, "filename", data_folder()))).parent
        return streamed(self, device, image_size, mean=mean, std=std, scratch=scratch)


def write_crops(path: Path, sequences: int, size: int) -> None:
    """Write noise as crops (N, size, size) into a .npy file, a few at a time."""
    count = sequences * (1 + IN_EACH)
    file = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(count, size, size))
    random = np.random.default_rng(0)
    for start in range(0, count, AT_ONCE):
        stop = min(start + AT_ONCE, count)
        file[start:stop] = random.integers(0, 256, (stop - start, size, size), dtype=np.uint8)
    file.flush()


def mapped_pairs(path: Path, n_pairs: int, way: str) -> FacePairs:
    """Return the first pairs of a file of `write_crops`, memory-mapped; three share one neutral face."""
    images = np.load(path, mmap_mode="r")
    number = np.arange(n_pairs) // IN_EACH
    neutral = number * (1 + IN_EACH)
    examined = neutral + 1 + np.arange(n_pairs) % IN_EACH
    used = images[: int(examined.max()) + 1]
    names = [str(value) for value in number]
    make = StreamedAlways if way == WAYS[1] else FacePairs
    return make(used, examined, neutral, number % 7, names, names, names, tuple("abcdefg"))


def one_epoch(path: Path, n_pairs: int, way: str, settings: TrainSettings, device: str) -> dict[str, float]:
    """Train one epoch on a file's first pairs: seconds to load and to train, and the peak of memory, in MB."""
    on = choose_device(device)
    warm_up = mapped_pairs(path, settings.batch_size, WAYS[0])
    index = np.arange(n_pairs)
    method = method_settings("gndl")
    with computing_on(on, settings.precision, settings.threads, 0):
        few = np.arange(settings.batch_size)
        Trainer(method, warm_up, few, few, settings, LAM, 0, on, None).optimise()
        with peak_memory() as peak:
            started = time.perf_counter()
            trainer = Trainer(method, mapped_pairs(path, n_pairs, way), index, index[:1], settings, LAM, 0, on, None)
            loaded = time.perf_counter()
            trainer.optimise()  # reads its losses at the end, and so waits for the device
            done = time.perf_counter()
    return {
        "seconds": done - loaded,
        "loading": loaded - started,
        "anonymous_mb": max(peak.anonymous, 1) / 1e6,
        "files_mb": peak.files / 1e6,
        "crops_mb": n_pairs * (1 + IN_EACH) / IN_EACH * settings.image_size**2 / 1e6,
    }


def in_a_process(do: Callable[..., dict[str, float]], *arguments: object) -> dict[str, float]:
    """Call a function in a fresh process and return what it returns."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(do, *arguments).result()


def measure(asked: Asked, isolated: Callable[..., dict[str, float]] = in_a_process) -> Result:
    """Measure every number of pairs, both ways in turn."""
    device = choose_device(asked.device)
    precision: Precision = "bf16" if has_fast_bf16(device) else "fp32"
    settings = replace(
        TrainSettings(), image_size=asked.growth_trained, batch_size=2 * asked.batch_size, precision=precision
    )
    rows = []
    scratch = asked.scratch or data_folder()
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=scratch) as folder:
        path = Path(folder) / "images.npy"
        write_crops(path, -(-max(asked.growth_pairs) // IN_EACH), asked.growth_stored)
        order = [
            (repeat, n_pairs, way)
            for repeat in range(1, asked.repeats + 1)
            for n_pairs in asked.growth_pairs
            for way in (WAYS if repeat % 2 else WAYS[::-1])
        ]
        for repeat, n_pairs, way in progress(order, "growth", unit="epoch"):
            found = isolated(one_epoch, path, n_pairs, way, settings, asked.device)
            rows.append({"way": way, "pairs": n_pairs, "repeat": repeat, **found})
    repeats = pd.DataFrame(rows)
    table = summary(repeats)
    return Result(
        name="growth",
        title="Seconds of an epoch and memory, as pairs grow",
        reading=(
            f"One epoch of GNDL on noise: crops of {asked.growth_stored} pixels in a memory-mapped file, trained at "
            f"{asked.growth_trained} pixels in {precision}, {settings.batch_size} pairs in a batch, one thread on a "
            "processor, a process for each. On the device: all crops are copied there once, as the study does. "
            "Streamed (gndl.streaming): they stay in their file, and every batch is copied by itself; same batches, "
            "bit for bit. Memory is the largest resident memory of the process's own above what it had after a "
            "first batch of another training, so that network, optimiser and activations are in it; pages of files, "
            "which the system can take back, are apart. "
            "`per_pair` is the time of a pair relative to that among the fewest pairs, in the same repeat: 1 is "
            "linear. `against_device` is streamed by on-the-device time."
        ),
        table=table,
        repeats=repeats,
        notes=tuple(conclusions(table)),
        figure=growth(table, "An epoch and its memory, as pairs grow"),
    )


def summary(repeats: pd.DataFrame) -> pd.DataFrame:
    """Return medians, least and largest of seconds and memory, and ratios within each repeat."""
    key = ["way", "pairs", "repeat"]
    fewest = repeats["pairs"].min()
    took = dict(zip(repeats[key].itertuples(index=False, name=None), repeats["seconds"], strict=True))
    rows = []
    for (way, pairs), group in repeats.groupby(["way", "pairs"], sort=False):
        row: dict[str, object] = {"way": way, "pairs": pairs}
        for column in ("seconds", "loading", "anonymous_mb", "files_mb"):
            row |= {column: group[column].median(), f"{column}_low": group[column].min()}
            row[f"{column}_high"] = group[column].max()
        longer = [took[way, pairs, repeat] / took[way, fewest, repeat] for repeat in group["repeat"]]
        against = [took[way, pairs, repeat] / took[WAYS[0], pairs, repeat] for repeat in group["repeat"]]
        more = group["pairs"].iloc[0] / fewest
        row["per_pair"], row["against_device"] = np.median(longer) / more, np.median(against)
        row["crops_mb"], row["repeats"] = group["crops_mb"].iloc[0], len(group)
        rows.append(row)
    return pd.DataFrame(rows).sort_values(["way", "pairs"], ignore_index=True)


def conclusions(table: pd.DataFrame) -> list[str]:
    """Say how time and memory grow from the fewest pairs to the most."""
    said = []
    for way, own in table.groupby("way", sort=False):
        first, last = own.iloc[0], own.iloc[-1]
        said.append(
            f"{way}: from {first['pairs']:,} to {last['pairs']:,} pairs the time of a pair becomes "
            f"{last['per_pair']:.2f} times as long, and memory of its own goes from {first['anonymous_mb']:.0f} to "
            f"{last['anonymous_mb']:.0f} MB, while the crops take {last['crops_mb']:.0f} MB."
        )
    return said
