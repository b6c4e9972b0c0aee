"""Pairs turned into batches on the training device: an epoch decodes nothing and loops over no sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gndl.profiles import Augmentation


@dataclass(frozen=True, eq=False)
class Batch:
    """B pairs, ready for a network.

    Parameters
    ----------
    examined : float tensor (B, 3, S, S), channels_last
    neutral : float tensor (B, 3, S, S), channels_last, or None
        None where it was not asked for.
    label : int tensor (B,)
    sequence : int tensor (B,) or None
        Numbers the batch's sequences from 0, where whole sequences were asked for.
    """

    examined: Tensor
    neutral: Tensor | None
    label: Tensor
    sequence: Tensor | None = None


@dataclass(frozen=True, eq=False)
class DevicePairs:
    """The whole database on the training device, as bytes; an epoch decodes nothing and loops over no sample.

    Made by :meth:`gndl.pairs.FacePairs.on`. ``images`` is uint8 (N, S, S) or (N, S, S, 3); ``scale`` and ``shift`` (3,)
    take a byte to a normalised channel. ``sequence`` (P,) numbers the sequences and stays on the CPU, where batches are
    cut.
    """

    images: Tensor
    examined_index: Tensor
    neutral_index: Tensor
    label: Tensor
    sequence: Tensor
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
        whole_sequences: bool = False,
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
        whole_sequences : bool
            Draw sequences, not pairs: all pairs of one lie in one batch, which has at most ``batch_size`` pairs (more
            where a sequence alone has more), and share flip and choice of noise.
        """
        pairs = torch.as_tensor(np.asarray(index), dtype=torch.int64)
        count = len(pairs)
        drawn = pairs[torch.randperm(count, generator=generator)]
        flips = torch.rand(count, generator=generator).lt(augmentation.flip_probability)
        noisy = torch.rand(count, generator=generator).lt(augmentation.noise_probability)
        cuts = list(range(0, count, batch_size))
        if whole_sequences:
            drawn, first, cuts = _gathered(drawn, self.sequence[drawn], batch_size)
            flips, noisy = flips[first], noisy[first]
        order, flips, noisy = drawn.to(self.device), flips.to(self.device), noisy.to(self.device)
        noise_seed = int(torch.randint(2**62, (), generator=generator))
        noise = torch.Generator(self.device).manual_seed(noise_seed)
        # Noise is added to bytes (0 to 255), before one fused normalisation.
        sigma = noisy.float() * (255 * augmentation.noise_sigma)
        for start, stop in zip(cuts, [*cuts[1:], count], strict=True):
            chosen = slice(start, stop)
            if stop - start == 1:
                continue  # batch-norm could not normalise a single pair
            examined, neutral = self._augmented(
                order[chosen], flips[chosen], sigma[chosen], noise, augmentation, with_neutral
            )
            numbers = self._numbered(drawn[chosen]) if whole_sequences else None
            yield Batch(examined, neutral, self.label[order[chosen]], numbers)

    def evaluation_batches(
        self,
        index: NDArray[np.int64] | Tensor,
        batch_size: int,
        *,
        with_neutral: bool = False,
        whole_sequences: bool = False,
    ) -> Iterator[Batch]:
        """Yield the pairs of ``index`` unaltered; the neutral faces only where they are asked for.

        They come in order. With ``whole_sequences`` they come sequence by sequence, in the order of
        :meth:`sequence_order`.
        """
        listed = torch.as_tensor(np.asarray(index), dtype=torch.int64)
        parts: Sequence[Tensor] = listed.split(batch_size)
        if whole_sequences:
            listed, _, cuts = _gathered(listed, self.sequence[listed], batch_size)
            parts = listed.tensor_split(cuts[1:])
        for part in parts:
            chosen = part.to(self.device)
            examined = self._normalised(self.images[self.examined_index[chosen]].float())
            neutral = self._normalised(self.images[self.neutral_index[chosen]].float()) if with_neutral else None
            yield Batch(examined, neutral, self.label[chosen], self._numbered(part) if whole_sequences else None)

    def sequence_order(self, index: NDArray[np.int64] | Tensor) -> Tensor:
        """Return the places (T,) of ``index`` in the order in which whole sequences are evaluated."""
        listed = torch.as_tensor(np.asarray(index), dtype=torch.int64)
        places = torch.arange(len(listed))
        return _gathered(places, self.sequence[listed], max(1, len(listed)))[0]

    def _numbered(self, pairs: Tensor) -> Tensor:
        return torch.unique(self.sequence[pairs], return_inverse=True)[1].to(self.device)

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


def _gathered(pairs: Tensor, sequence: Tensor, batch_size: int) -> tuple[Tensor, Tensor, list[int]]:
    """Bring the pairs of each sequence together, sequences in the order in which they first appear.

    Returns the pairs (T,), for each of them the place in ``pairs`` of the first one of its sequence, and where batches
    of at most ``batch_size`` pairs begin.
    """
    _, number, counts = torch.unique(sequence, return_inverse=True, return_counts=True)
    first = torch.full((len(counts),), len(pairs)).scatter_reduce(0, number, torch.arange(len(pairs)), "amin")
    order = torch.argsort(first[number], stable=True)
    cuts, size = [0], 0
    for length in counts[torch.argsort(first)].tolist():
        if size and size + length > batch_size:
            cuts.append(cuts[-1] + size)
            size = 0
        size += length
    return pairs[order], first[number][order], cuts
