"""Pairs of an examined and a neutral face, every distinct crop kept once as bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gndl.batches import DevicePairs
from gndl.errors import GndlError
from gndl.files import hash_json

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, eq=False)
class FacePairs:
    """P pairs over N distinct crops (section 4.1).

    Parameters
    ----------
    images : uint8 array (N, H, W) or (N, H, W, 3)
        The crops, grey or colour, each distinct frame once; may be memory-mapped.
    examined_index, neutral_index : int array (P,)
        Which crop is the examined and which the neutral face of each pair.
    label : int array (P,)
        Class of the examined face, an index into ``expressions``.
    subject, sequence, frame : sequence of P str
        Who is seen, in which sequence, and the name of the examined frame.
    expressions : tuple of str
        Names of the classes, in the order in which every table and figure shows them.

    Raises
    ------
    GndlError
        Where arrays disagree in length or type, or an index points outside.
    """

    images: NDArray[np.uint8]
    examined_index: NDArray[np.int64]
    neutral_index: NDArray[np.int64]
    label: NDArray[np.int64]
    subject: Sequence[str]
    sequence: Sequence[str]
    frame: Sequence[str]
    expressions: tuple[str, ...]

    def __post_init__(self) -> None:
        shape = self.images.shape
        if self.images.dtype != np.uint8 or len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] != 3):
            raise GndlError(f"Crops are {self.images.dtype} {shape}; expected uint8 (N, H, W) or (N, H, W, 3).")
        if shape[1] != shape[2]:
            raise GndlError(f"Crops are {shape[1]} × {shape[2]} pixels; expected squares.")
        if not len(self):
            raise GndlError("There are no pairs: no sequence gave both an examined and a neutral crop.")
        for name in ("neutral_index", "label", "subject", "sequence", "frame"):
            if len(getattr(self, name)) != len(self):
                raise GndlError(f"There are {len(self)} pairs but {len(getattr(self, name))} entries in {name}.")
        for name, limit in (
            ("examined_index", shape[0]),
            ("neutral_index", shape[0]),
            ("label", len(self.expressions)),
        ):
            values = np.asarray(getattr(self, name))
            if values.min() < 0 or values.max() >= limit:
                raise GndlError(f"{name} runs from {values.min()} to {values.max()}; expected 0 to {limit - 1}.")

    def __len__(self) -> int:
        return len(self.examined_index)

    @property
    def size(self) -> int:
        """Side of a crop in pixels."""
        return int(self.images.shape[1])

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over every crop, index, label and name: two sets of pairs with one hash train alike."""
        digest = hashlib.sha256(hash_json([list(self.images.shape), list(self.expressions)]).encode())
        digest.update(np.ascontiguousarray(self.images).data)
        for index in (self.examined_index, self.neutral_index, self.label):
            digest.update(np.ascontiguousarray(index, dtype=np.int64).data)
        names = [[str(name) for name in column] for column in (self.subject, self.sequence, self.frame)]
        digest.update(hash_json(names).encode())
        return digest.hexdigest()

    def on(
        self,
        device: torch.device | str,
        image_size: int | None = None,
        *,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> DevicePairs:
        """Copy the crops to ``device``, scaled down once to ``image_size``.

        Parameters
        ----------
        device : torch.device or str
            Where training runs.
        image_size : int, optional
            Side in pixels, at most the crops' own; None keeps theirs.
        mean, std : sequence of 3 float
            Input normalisation per colour channel, for pixels in [0, 1] (ledger L20).

        Raises
        ------
        GndlError
            Where ``image_size`` is larger than the crops.
        """
        size = self.size if image_size is None else image_size
        if not 0 < size <= self.size:
            raise GndlError(
                f"Training at {size} pixels was asked for, but the crops have {self.size}: set image_size to at most "
                f"{self.size}, or prepare larger crops."
            )
        images = downscale(self.images, size) if size < self.size else torch.from_numpy(np.array(self.images))
        return DevicePairs(
            images=images.to(device),
            examined_index=torch.from_numpy(np.array(self.examined_index, dtype=np.int64)).to(device),
            neutral_index=torch.from_numpy(np.array(self.neutral_index, dtype=np.int64)).to(device),
            label=torch.from_numpy(np.array(self.label, dtype=np.int64)).to(device),
            sequence=torch.from_numpy(np.unique(np.asarray(self.sequence, dtype=str), return_inverse=True)[1]),
            scale=1 / (255 * torch.tensor(std, dtype=torch.float32, device=device)),
            shift=-torch.tensor(mean, dtype=torch.float32, device=device) / torch.tensor(std, device=device),
        )


def downscale(images: NDArray[Any], size: int) -> Tensor:
    """Scale square crops down by area averaging, rounding halves up.

    Each output pixel is the mean of the area that it covers, fractions of pixels included, so nothing aliases at any
    ratio. Overlaps are whole numbers on the grid that both sizes share and float64 holds their sums exactly: the
    result is the same bytes on every machine.

    Parameters
    ----------
    images : uint8 array (N, H, H) or (N, H, H, 3)
    size : int
        S, at most H.

    Returns
    -------
    uint8 tensor (N, S, S) or (N, S, S, 3)
    """
    height = images.shape[1]
    # Output pixel i covers [i·H, (i+1)·H), input pixel j covers [j·S, (j+1)·S), both of one line of length S·H.
    out_start = torch.arange(size).unsqueeze(1) * height
    in_start = torch.arange(height).unsqueeze(0) * size
    overlap = torch.minimum(out_start + height, in_start + size) - torch.maximum(out_start, in_start)
    weight = overlap.clamp(min=0).double()  # (S, H), rows sum to H
    scaled = torch.empty((len(images), size, size, *images.shape[3:]), dtype=torch.uint8)
    for start in range(0, len(images), 64):
        chunk = torch.from_numpy(np.array(images[start : start + 64])).double()
        sums = torch.einsum("ij,njk...,lk->nil...", weight, chunk, weight)  # each at most 255·H²
        scaled[start : start + 64] = torch.floor(sums / height**2 + 0.5).to(torch.uint8)
    return scaled
