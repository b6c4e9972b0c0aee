"""Pairs of an examined and a neutral face, kept once as bytes and turned into batches on the training device."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gndl.errors import GndlError
from gndl.files import hash_json
from gndl.profiles import Augmentation

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
            scale=1 / (255 * torch.tensor(std, dtype=torch.float32, device=device)),
            shift=-torch.tensor(mean, dtype=torch.float32, device=device) / torch.tensor(std, device=device),
        )


@dataclass(frozen=True, eq=False)
class Batch:
    """B pairs, ready for a network.

    Parameters
    ----------
    examined : float tensor (B, 3, S, S), channels_last
    neutral : float tensor (B, 3, S, S), channels_last, or None
        None where it was not asked for.
    label : int tensor (B,)
    """

    examined: Tensor
    neutral: Tensor | None
    label: Tensor


@dataclass(frozen=True, eq=False)
class DevicePairs:
    """The whole database on the training device, as bytes; an epoch decodes nothing and loops over no sample.

    Made by :meth:`FacePairs.on`. ``images`` is uint8 (N, S, S) or (N, S, S, 3); ``scale`` and ``shift`` (3,) take a
    byte to a normalised channel.
    """

    images: Tensor
    examined_index: Tensor
    neutral_index: Tensor
    label: Tensor
    scale: Tensor
    shift: Tensor

    @property
    def device(self) -> torch.device:
        """Where the crops lie."""
        return self.images.device

    def training_batches(
        self,
        index: NDArray[np.int64] | Tensor,
        batch_size: int,
        generator: torch.Generator,
        augmentation: Augmentation,
        *,
        with_neutral: bool = True,
    ) -> Iterator[Batch]:
        """Draw one epoch: every pair of ``index`` once, in random order, flipped and noisy at random.

        Both faces of a pair get the same flip and the same noise (section 4.2, ledger L14). A last batch of a single
        pair is left out for this epoch (ledger L20), since batch-norm could not normalise it.

        Order, flips and the choice of noisy pairs are drawn on the CPU, once per epoch, so that they are the same on
        every device and cost no synchronisation; the noise itself is drawn on the device, by a generator seeded from
        the same draw. ``generator``'s state between two epochs therefore is all that a checkpoint needs.

        Parameters
        ----------
        index : int array (T,)
            The pairs to train on.
        batch_size : int
            Pairs in a batch.
        generator : torch.Generator
            On the CPU.
        augmentation : Augmentation
            Probabilities and noise level.
        with_neutral : bool
            False leaves the neutral faces out, for methods that never look at them.
        """
        pairs = torch.as_tensor(np.asarray(index), dtype=torch.int64)
        count = len(pairs)
        order = pairs[torch.randperm(count, generator=generator)].to(self.device)
        flips = torch.rand(count, generator=generator).lt(augmentation.flip_probability).to(self.device)
        noisy = torch.rand(count, generator=generator).lt(augmentation.noise_probability).to(self.device)
        noise_seed = int(torch.randint(2**62, (), generator=generator))
        noise = torch.Generator(self.device).manual_seed(noise_seed)
        # Noise is added to bytes (0 to 255), before one fused normalisation.
        sigma = noisy.float() * (255 * augmentation.noise_sigma)
        for start in range(0, count, batch_size):
            chosen = slice(start, min(start + batch_size, count))
            if chosen.stop - chosen.start == 1:
                return
            examined, neutral = self._augmented(
                order[chosen], flips[chosen], sigma[chosen], noise, augmentation, with_neutral
            )
            yield Batch(examined, neutral, self.label[order[chosen]])

    def evaluation_batches(
        self, index: NDArray[np.int64] | Tensor, batch_size: int, *, with_neutral: bool = False
    ) -> Iterator[Batch]:
        """Yield the pairs of ``index`` in order and unaltered; the neutral faces only where they are asked for."""
        pairs = torch.as_tensor(np.asarray(index), dtype=torch.int64).to(self.device)
        for chosen in pairs.split(batch_size):
            examined = self._normalised(self.images[self.examined_index[chosen]].float())
            neutral = self._normalised(self.images[self.neutral_index[chosen]].float()) if with_neutral else None
            yield Batch(examined, neutral, self.label[chosen])

    def _augmented(
        self,
        pairs: Tensor,
        flips: Tensor,
        sigma: Tensor,
        noise: torch.Generator,
        augmentation: Augmentation,
        with_neutral: bool,
    ) -> tuple[Tensor, Tensor | None]:
        """Return examined and neutral faces of ``pairs``, each (B, 3, S, S)."""
        columns = [self.examined_index, self.neutral_index] if with_neutral else [self.examined_index]
        per_pair = (-1, *(1,) * (self.images.ndim - 1))  # (B, 1, 1) or (B, 1, 1, 1)
        faces, drawn = [], None
        for column in columns:
            bytes_ = self.images[column[pairs]]  # (B, S, S) or (B, S, S, 3)
            values = torch.where(flips.view(per_pair), bytes_.flip(2), bytes_).float()
            if augmentation.noise_probability > 0 and augmentation.noise_sigma > 0:
                if drawn is None or augmentation.independent_noise:
                    drawn = torch.randn(values.shape, generator=noise, device=self.device).mul_(sigma.view(per_pair))
                values += drawn
            faces.append(self._normalised(values))
        return faces[0], faces[1] if with_neutral else None

    def _normalised(self, values: Tensor) -> Tensor:
        """Return bytes as normalised channels_last images (B, 3, S, S); grey is repeated in the same pass."""
        pixels = values.unsqueeze(-1) if values.ndim == 3 else values  # (B, S, S, 1 or 3)
        return torch.addcmul(self.shift, pixels, self.scale).permute(0, 3, 1, 2)


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
