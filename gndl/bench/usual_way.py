"""Training throughput beside the usual way: one image file a face, decoded and transformed in a DataLoader's workers.

The usual way is a common pipeline, not the fastest that could be written: aligned crops in small JPEGs that lie in
the system's cache, decoded and scaled by PIL in every epoch; workers that live on between epochs; the best of several
numbers of workers and threads. The package scales its crops once, before the clock starts. The same is measured with
files that already have the training size, and beside both stands the bare network: the limit, within the noise.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from joblib import cpu_count
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import functional as transforms

from gndl.bench.asked import Asked
from gndl.bench.plots import ratios
from gndl.bench.repeats import Result, interleaved, rate, spread, verdicts
from gndl.bench.trainings import LAM, Limit, Way, WayTrainer
from gndl.device import autocast, choose_device, computing_on, has_fast_bf16
from gndl.methods import build_method
from gndl.model import GNDL, Output
from gndl.pairs import IMAGENET_MEAN, IMAGENET_STD, FacePairs
from gndl.profiles import Augmentation, Precision, TrainSettings

OURS, LIMIT = "gndl", "random tensors in memory"
GOAL, GOAL_SIZE, GOAL_CORES = 1.5, 112, 2
CHOOSING = 2
"""Turns after which the fastest number of workers and threads is chosen."""


class FilePairs(Dataset[tuple[Tensor, Tensor, int]]):
    """Pairs of image files, opened, scaled, flipped, made noisy and normalised one by one."""

    def __init__(self, examined: list[Path], neutral: list[Path], label: list[int], size: int) -> None:
        self.examined, self.neutral, self.label, self.size = examined, neutral, label, size
        self.augmentation = Augmentation()

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor, int]:
        """Return both faces (3, S, S) with the same flip and the same noise, and the class."""
        flipped, noisy = torch.rand(2).tolist()
        faces = []
        noise: Tensor | None = None
        for path in (self.examined[item], self.neutral[item]):
            with Image.open(path) as file:
                picture = file.convert("RGB")
            if picture.width != self.size:
                picture = transforms.resize(picture, [self.size, self.size])
            if flipped < self.augmentation.flip_probability:
                picture = transforms.hflip(picture)
            values = transforms.to_tensor(picture)
            if noisy < self.augmentation.noise_probability:
                noise = torch.randn(1, *values.shape[1:]) if noise is None else noise
                values = values + self.augmentation.noise_sigma * noise
            faces.append(transforms.normalize(values, IMAGENET_MEAN, IMAGENET_STD))
        return faces[0], faces[1], self.label[item]


class UsualTraining:
    """What people write otherwise: the same network and losses, Adam, two forward passes, batches of a DataLoader."""

    def __init__(self, data: FilePairs, settings: TrainSettings, device: torch.device, workers: int) -> None:
        self.settings, self.device = settings, device
        self.network: Any = build_method("gndl", 7, LAM).to(device).train()
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=settings.learning_rate)
        self.loader: DataLoader[tuple[Tensor, Tensor, int]] = DataLoader(
            data, settings.batch_size, shuffle=True, num_workers=workers, persistent_workers=workers > 0,
            pin_memory=device.type == "cuda",
        )  # fmt: skip

    def epoch(self) -> None:
        """One pass over the files."""
        settings = self.settings
        with computing_on(self.device, settings.precision, settings.threads, 0):
            for examined, neutral, label in self.loader:
                examined, neutral, label = (one.to(self.device) for one in (examined, neutral, label))
                self.optimizer.zero_grad()
                with autocast(self.device, settings.precision):
                    losses = self.network.loss(two_passes(self.network, examined, neutral), label)
                losses.total.backward()
                self.optimizer.step()
                float(losses.total.detach())  # most print it


def two_passes(network: GNDL, examined: Tensor, neutral: Tensor) -> Output:
    """Run examined and neutral faces through the backbone one after the other."""
    f_exam, f_neu = network.backbone(examined).float(), network.backbone(neutral).float()
    f_gen = network.generator(f_exam)
    return Output(network.classifier(f_exam - f_gen), f_exam, f_neu, f_gen, f_exam - f_gen)


def write_faces(folder: Path, count: int, stored: int, size: int) -> tuple[FacePairs, FilePairs]:
    """Write smooth pictures of ``stored`` pixels as JPEG files; return the same pairs from memory and from files."""
    random = np.random.default_rng(0)
    folder.mkdir()
    faces = []
    for face in range(2 * count):
        coarse = Image.fromarray(random.integers(0, 256, (12, 12), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((stored, stored), Image.Resampling.BICUBIC), dtype=np.float64)
        faces.append(np.clip(smooth + random.normal(0, 3, smooth.shape), 0, 255).astype(np.uint8))
        Image.fromarray(faces[-1]).save(folder / f"{face:05d}.jpg", quality=95)
    index, files = np.arange(count), [folder / f"{face:05d}.jpg" for face in range(2 * count)]
    names = [str(number) for number in index]
    pairs = FacePairs(np.stack(faces), index, index + count, index % 7, names, names, names, tuple("abcdefg"))
    return pairs, FilePairs(files[:count], files[count:], [int(label) for label in index % 7], size)


def usual_turns(files: FilePairs, settings: TrainSettings, asked: Asked) -> dict[str, Callable[[], float]]:
    """Return the usual way with every number of workers and threads that is tried, in images a second."""
    device, turns = choose_device(asked.device), {}
    for workers in asked.workers:
        for threads in sorted({asked.cores, max(1, asked.cores - workers)}):
            usual = UsualTraining(files, replace(settings, threads=threads), device, workers)
            turns[f"{workers} workers, {threads} threads"] = rate(usual.epoch, 2 * len(files), device)
    return turns


def measure_size(size: int, asked: Asked, folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Choose the fastest usual way of each kind of files, then let it take turns with ours and the bare network.

    Few ways take turns, and ours lies between the two kinds of files, so that those compared are neighbours in time.

    Returns
    -------
    table, repeats, tried : DataFrame
        Ours and the limit beside each kind of files; every repeat of it; every number of workers and threads.
    """
    device, precision = choose_device(asked.device), precision_of(asked)
    settings = TrainSettings(image_size=size, batch_size=asked.batch_size, threads=asked.cores, precision=precision)
    count = asked.batch_size * asked.loaded_batches
    tried, fastest = [], {}
    for stored in sorted({size, asked.stored_size}):
        pairs, files = write_faces(folder / str(stored), count, stored, size)
        turns = usual_turns(files, settings, asked)
        found = interleaved(turns, min(CHOOSING, asked.repeats), description=f"{files_of(stored)}, trained at {size}")
        found = found.assign(pixels=size, files=files_of(stored))
        best = str(found.groupby("way", sort=False)["value"].median().idxmax())
        tried.append(spread(found, best, ["pixels", "files"]))
        fastest[files_of(stored)] = turns[best]
    ours = WayTrainer(Way(precision), pairs, np.arange(count), np.arange(count), settings, 0, device)
    limit = Limit(Way(precision), settings, device, asked.loaded_batches)
    *scaled, kept = fastest.items()
    compared = dict(scaled) | {OURS: rate(ours.epoch, 2 * count, device)} | dict([kept])
    compared |= {LIMIT: rate(limit.epoch, 2 * count, device)}
    repeats = interleaved(compared, asked.repeats, description=f"{size} pixels").assign(pixels=size)
    # With more cores than it is asked to use, the usual way's workers would take some beside its threads.
    judged = device.type == "cpu" and asked.cores == cpu_count() == GOAL_CORES and size == GOAL_SIZE
    table = [
        spread(repeats[repeats["way"].isin([OURS, LIMIT, usual])], usual, ["pixels"], {OURS: GOAL} if judged else {})
        for usual in fastest
    ]
    return pd.concat(table), repeats, pd.concat(tried)


def files_of(stored: int) -> str:
    """Name the usual way that reads files of so many pixels, with the fastest number of workers and threads."""
    return f"files of {stored} pixels"


def precision_of(asked: Asked) -> Precision:
    """Return bf16 where the device has instructions for it, else fp32."""
    return "bf16" if has_fast_bf16(choose_device(asked.device)) else "fp32"


def measure(asked: Asked) -> Result:
    """Measure at every size, all on the same cores and in the same precision."""
    found = []
    for size in asked.image_sizes:
        with tempfile.TemporaryDirectory(prefix="gndl-faces-", dir=asked.scratch) as folder:
            found.append(measure_size(size, asked, Path(folder)))
    table, repeats, tried = (pd.concat(parts, ignore_index=True) for parts in zip(*found, strict=True))
    beside = table[table["way"].isin([OURS, LIMIT])]
    return Result(
        name="usual_way",
        title="Training throughput beside the usual way",
        reading=(
            f"Images a second of training GNDL in {precision_of(asked)} on {asked.cores} cores, {asked.batch_size} "
            f"pairs in a batch, {asked.loaded_batches} batches in a turn, by this package and as it is commonly "
            "written: a JPEG file for each aligned crop (in the system's cache), PIL, torchvision's transforms, a "
            "DataLoader, two forward passes, Adam's defaults, contiguous tensors. Its files have the training size, or "
            f"{asked.stored_size} pixels, as crops are kept, and are scaled whenever they are read; the package scales "
            "its crops once, untimed. The further table has the numbers of workers and threads tried first; "
            "the fastest stands for its kind of files. The goal is judged against both. Random tensors in memory: the "
            "network alone, on the same cores: its limit, within the noise. The usual way's two passes normalise the "
            "two groups apart, which is not what Eq. 4 to 6 say; it is compared for its cost."
        ),
        table=table,
        repeats=repeats,
        notes=tuple(verdicts(table, ["pixels"])),
        figure=ratios(
            beside.assign(way=beside["way"] + ", beside " + beside["reference"]),
            "GNDL's training beside the usual way", "images/s", ["pixels"],
        ),
        further={"tried": tried},
    )  # fmt: skip
