"""Crops that stay in their file and are copied to the training device batch by batch, where they do not fit there.

:func:`streamed` gives the same batches, bit for bit, as :meth:`gndl.pairs.FacePairs.on`, whose copy of all crops is
faster while it fits. Only the pages of one batch are held in memory: a memory-mapped file is let go of after each.
"""

from __future__ import annotations

import math
import mmap
import tempfile
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch import Tensor

from gndl.batches import DevicePairs
from gndl.errors import GndlError
from gndl.pairs import IMAGENET_MEAN, IMAGENET_STD, FacePairs, downscale
from gndl.paths import crops_folder

SHARE_OF_MEMORY = 0.25
"""Crops that take more than this share of the device's free memory are streamed; the network needs the rest."""

SCALED_AT_ONCE = 256
"""Crops that are scaled down before they are written."""


@dataclass(frozen=True, eq=False)
class Mapped:
    """Crops, uint8 (N, H, H) or (N, H, H, 3), with the mapping of the file they lie in; None for crops in memory."""

    images: NDArray[np.uint8]
    mapping: mmap.mmap | None = None

    @staticmethod
    def of_file(file: BinaryIO, shape: tuple[int, ...], offset: int = 0) -> Mapped:
        """Map the crops that begin at ``offset`` of an open file."""
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        flat = np.frombuffer(mapping, np.uint8, count=math.prod(shape), offset=offset)
        return Mapped(flat.reshape(shape), mapping)

    @staticmethod
    def of(images: NDArray[np.uint8]) -> Mapped:
        """Map the file behind a memory-mapped array once more, since numpy has no public way to let its pages go.

        Any other array, and a part of one that does not lie in one piece, is taken as it is.
        """
        whole: object = images
        while isinstance(whole, np.memmap) and isinstance(whole.base, np.memmap):
            whole = whole.base
        if not (isinstance(whole, np.memmap) and isinstance(whole.base, mmap.mmap) and images.flags.c_contiguous):
            return Mapped(images)
        if whole.filename is None:
            return Mapped(images)
        # The offset that numpy gives a part of an array is that of the whole.
        offset = whole.offset + images.ctypes.data - whole.ctypes.data
        with Path(whole.filename).open("rb") as file:
            return Mapped.of_file(file, images.shape, offset)

    def take(self, places: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Copy some crops, read in the order of the file, and drop its pages from this process.

        The system keeps them cached while nobody else needs the memory.
        """
        distinct, where = np.unique(places, return_inverse=True)
        taken = np.asarray(self.images[distinct][where])
        if self.mapping is not None and hasattr(mmap, "MADV_DONTNEED"):
            self.mapping.madvise(mmap.MADV_DONTNEED)
        return taken


class MappedImages:
    """Crops (N, S, S) or (N, S, S, 3) that are indexed like a tensor on the training device and stay where they are."""

    def __init__(self, crops: Mapped, device: torch.device) -> None:
        self.crops, self.device = crops, device
        self.shape, self.ndim = torch.Size(crops.images.shape), crops.images.ndim

    def __len__(self) -> int:
        return len(self.crops.images)

    def __getitem__(self, index: Tensor) -> Tensor:
        """Return the crops of ``index`` (B,) on the device, as bytes."""
        batch = torch.from_numpy(self.crops.take(index.cpu().numpy()))
        return batch.pin_memory().to(self.device, non_blocking=True) if self.device.type == "cuda" else batch


@dataclass(frozen=True, eq=False)
class StreamedPairs(FacePairs):
    """Pairs whose crops are copied to the device whole where they fit there, else batch by batch: the same batches.

    Parameters
    ----------
    side_by_side : int
        Processes that train on the same device at once, each of which copies the crops.
    """

    side_by_side: int = 1

    def shared_by(self, processes: int) -> StreamedPairs:
        """Return the same pairs for so many processes side by side; what was hashed stays hashed."""
        pairs = copy(self)
        object.__setattr__(pairs, "side_by_side", processes)  # `replace` would hash every crop again in each run
        return pairs

    def on(
        self,
        device: torch.device | str,
        image_size: int | None = None,
        *,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> DevicePairs:
        """Return the pairs on ``device``, as :meth:`gndl.pairs.FacePairs.on` does."""
        size = self.size if image_size is None else image_size
        if fits(self.images, size, torch.device(device), self.side_by_side):
            return super().on(device, image_size, mean=mean, std=std)
        return streamed(self, device, image_size, mean=mean, std=std)


def fits(images: NDArray[np.uint8], size: int, device: torch.device, copies: int = 1) -> bool:
    """Whether so many copies of crops scaled to ``size`` pixels take `SHARE_OF_MEMORY` of what is free at most."""
    needed = copies * images.size * (size / images.shape[1]) ** 2
    return bool(needed <= SHARE_OF_MEMORY * free_memory(device))


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a device: of the GPU, or of the machine."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def streamed(
    pairs: FacePairs,
    device: torch.device | str,
    image_size: int | None = None,
    *,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    scratch: Path | None = None,
) -> DevicePairs:
    """Return pairs whose crops stay where they are, scaled down once into a nameless file where that is asked for.

    Parameters
    ----------
    pairs, device, image_size, mean, std
        As for :meth:`gndl.pairs.FacePairs.on`.
    scratch : Path, optional
        Folder for the scaled crops, on a disk that has room for them; that of the crops by default. The file has no
        name and goes with the process.

    Raises
    ------
    GndlError
        Where ``image_size`` is larger than the crops.
    """
    size = pairs.size if image_size is None else image_size
    if not 0 < size <= pairs.size:
        raise GndlError(
            f"Training at {size} pixels was asked for, but the crops have {pairs.size}: set image_size to at most "
            f"{pairs.size}, or prepare larger crops."
        )
    device = torch.device(device)
    crops = Mapped.of(pairs.images)
    if size < pairs.size:
        crops = scaled_into_file(crops, size, crops_folder() if scratch is None else scratch)
    return DevicePairs(
        images=cast(Tensor, MappedImages(crops, device)),
        examined_index=torch.from_numpy(np.array(pairs.examined_index, dtype=np.int64)).to(device),
        neutral_index=torch.from_numpy(np.array(pairs.neutral_index, dtype=np.int64)).to(device),
        label=torch.from_numpy(np.array(pairs.label, dtype=np.int64)).to(device),
        sequence=torch.from_numpy(np.unique(np.asarray(pairs.sequence, dtype=str), return_inverse=True)[1]),
        scale=1 / (255 * torch.tensor(std, dtype=torch.float32, device=device)),
        shift=-torch.tensor(mean, dtype=torch.float32, device=device) / torch.tensor(std, device=device),
    )


def scaled_into_file(crops: Mapped, size: int, scratch: Path) -> Mapped:
    """Scale crops down (:func:`gndl.pairs.downscale`), a few at a time, into a file without a name in ``scratch``."""
    count = len(crops.images)
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=scratch) as file:
        for start in range(0, count, SCALED_AT_ONCE):
            some = crops.take(np.arange(start, min(start + SCALED_AT_ONCE, count)))
            file.write(downscale(some, size).numpy().tobytes())
        file.flush()
        return Mapped.of_file(file, (count, size, size, *crops.images.shape[3:]))
