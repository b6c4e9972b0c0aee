"""Pairs of an examined and a neutral face, and the mini-batches that training draws from them.

Importing this module does not load torch; `FacePairs.on` does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gndl.files import GndlError, hash_json
from gndl.profiles import Augmentation

if TYPE_CHECKING:
    import torch
    from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, eq=False)
class FacePairs:
    """P pairs over N distinct crops (section 4.1)."""

    images: NDArray[np.uint8]
    """The crops (N, H, H) or (N, H, H, 3), each distinct frame once; may be memory-mapped."""
    examined_index: NDArray[np.int64]
    """Which crop is the examined face of each pair (P,)."""
    neutral_index: NDArray[np.int64]
    label: NDArray[np.int64]
    """Class of the examined face (P,), an index into ``expressions``."""
    subject: Sequence[str]
    sequence: Sequence[str]
    frame: Sequence[str]
    """Names of the examined frames."""
    expressions: tuple[str, ...]
    """The classes, in the order in which every table and figure shows them."""

    def __post_init__(self) -> None:
        shape = self.images.shape
        if self.images.dtype != np.uint8 or shape[1:2] != shape[2:3] or shape[3:] not in ((), (3,)):
            raise GndlError(f"Crops are {self.images.dtype} {shape}; expected uint8 (N, H, H) or (N, H, H, 3).")
        if not len(self):
            raise GndlError("There are no pairs: no sequence has both an examined and a neutral crop.")
        for name in ("neutral_index", "label", "subject", "sequence", "frame"):
            if len(getattr(self, name)) != len(self):
                raise GndlError(f"There are {len(self)} pairs but {len(getattr(self, name))} entries in {name}.")

    def __len__(self) -> int:
        return len(self.examined_index)

    @classmethod
    def of_faces(cls, images: NDArray[np.uint8], expressions: tuple[str, ...]) -> FacePairs:
        """Faces to predict: each its own neutral face, in a sequence of its own, and of the first class."""
        index, names = np.arange(len(images)), [str(number) for number in range(len(images))]
        return cls(images, index, index, np.zeros_like(index), names, names, names, expressions)

    def take(self, index: NDArray[np.int64]) -> FacePairs:
        """The pairs of ``index`` with their own crops alone, so that no whole database is scaled down for a few."""
        both = np.concatenate([np.asarray(self.examined_index)[index], np.asarray(self.neutral_index)[index]])
        crops, place = np.unique(both, return_inverse=True)
        return FacePairs(
            images=np.asarray(self.images[crops]),
            examined_index=place[: len(index)],
            neutral_index=place[len(index) :],
            label=np.asarray(self.label)[index],
            subject=[self.subject[number] for number in index],
            sequence=[self.sequence[number] for number in index],
            frame=[self.frame[number] for number in index],
            expressions=self.expressions,
        )

    @property
    def size(self) -> int:
        """Side of a crop in pixels."""
        return int(self.images.shape[1])

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over every crop, index, label and name: pairs with the same hash train alike."""
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
        """Copy the crops to ``device``, scaled down once to ``image_size`` (None keeps their size).

        ``mean`` and ``std`` normalise each colour channel of pixels in [0, 1] (ledger L20).
        """
        import torch

        size = self.size if image_size is None else image_size
        if size > self.size:
            raise GndlError(f"image_size is {size} but the crops have {self.size} pixels; use larger crops.")
        images = downscale(self.images, size) if size < self.size else self.images
        return DevicePairs(
            images=torch.tensor(images, device=device),
            examined_index=torch.tensor(self.examined_index, dtype=torch.int64, device=device),
            neutral_index=torch.tensor(self.neutral_index, dtype=torch.int64, device=device),
            label=torch.tensor(self.label, dtype=torch.int64, device=device),
            sequence=np.unique(np.asarray(self.sequence, dtype=str), return_inverse=True)[1],
            subject=torch.tensor(np.unique(np.asarray(self.subject, dtype=str), return_inverse=True)[1], device=device),
            scale=1 / (255 * torch.tensor(std, dtype=torch.float32, device=device)),
            shift=-torch.tensor(mean, dtype=torch.float32, device=device) / torch.tensor(std, device=device),
        )


def downscale(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Scale square crops (N, H, H) or (N, H, H, 3) down to ``size`` by area averaging, rounding halves up.

    Overlaps are whole numbers on the grid that both sizes share, and float64 holds their sums exactly: every machine
    computes the same bytes.
    """
    height = images.shape[1]
    # Output pixel i covers [i·H, (i+1)·H), input pixel j covers [j·S, (j+1)·S), both of one line of length S·H.
    out_start, in_start = np.arange(size)[:, None] * height, np.arange(height)[None] * size
    overlap = np.minimum(out_start + height, in_start + size) - np.maximum(out_start, in_start)
    weight = np.maximum(overlap, 0).astype(np.float64)  # (S, H), rows sum to H
    scaled = np.empty((len(images), size, size, *images.shape[3:]), dtype=np.uint8)
    for start in range(0, len(images), 64):
        chunk = np.asarray(images[start : start + 64], dtype=np.float64)
        rows = np.tensordot(chunk, weight, (1, 1))  # (n, H, …, S), each at most 255·H
        sums = np.tensordot(rows, weight, (1, 1))  # (n, …, S rows, S columns), each at most 255·H²
        means = np.floor(sums / height**2 + 0.5).astype(np.uint8)
        scaled[start : start + 64] = means if images.ndim == 3 else np.moveaxis(means, 1, 3)
    return scaled


@dataclass(frozen=True, eq=False)
class Batch:
    """B pairs: ``examined`` and ``neutral`` are float (B, 3, S, S) in channels_last, the others (B,).

    ``neutral`` and ``subject`` are None where they were not asked for, ``sequence`` where whole sequences were not;
    else it numbers the batch's sequences from 0. ``subject`` numbers those of the database.
    """

    examined: Tensor
    neutral: Tensor | None
    label: Tensor
    sequence: Tensor | None = None
    subject: Tensor | None = None


@dataclass(frozen=True, eq=False)
class DevicePairs:
    """The whole database on the training device, as bytes: an epoch decodes nothing and loops over no sample.

    ``scale`` and ``shift`` (3,) take a byte to a normalised channel; ``sequence`` and ``subject`` number the pairs'
    sequences and subjects.
    """

    images: Tensor
    examined_index: Tensor
    neutral_index: Tensor
    label: Tensor
    sequence: NDArray[np.int64]
    subject: Tensor
    scale: Tensor
    shift: Tensor

    @property
    def device(self) -> torch.device:
        return self.images.device

    def training_batches(
        self,
        index: NDArray[np.int64],
        batch_size: int,
        generator: torch.Generator,
        augmentation: Augmentation,
        *,
        with_neutral: bool = True,
        whole_sequences: bool = False,
        with_subject: bool = False,
    ) -> Iterator[Batch]:
        """Draw one epoch: every pair of ``index`` once, in random order, with random flips and noise.

        Both faces of a pair get the same flip and the same noise (section 4.2, ledger L14). A last batch of a single
        pair is left out of this epoch (ledger L20), since batch normalisation needs two. With ``whole_sequences`` all
        pairs of a sequence are in one batch of at most ``batch_size`` pairs (more where a single sequence has more) and
        share the flip and the choice of noise.

        Order, flips and the choice of noisy pairs are drawn on the CPU, once per epoch; the noise is drawn on the
        device, seeded from the same ``generator``, whose state is all that a checkpoint needs.
        """
        import torch

        pairs = np.asarray(index, dtype=np.int64)
        count = len(pairs)
        drawn = pairs[torch.randperm(count, generator=generator).numpy()]
        flips = torch.rand(count, generator=generator).lt(augmentation.flip_probability)
        noisy = torch.rand(count, generator=generator).lt(augmentation.noise_probability)
        cuts = list(range(0, count, batch_size))
        if whole_sequences:
            drawn, first, cuts = _gathered(drawn, self.sequence[drawn], batch_size)
            flips, noisy = flips[first], noisy[first]
        order, flips, noisy = torch.from_numpy(drawn).to(self.device), flips.to(self.device), noisy.to(self.device)
        noise_seed = int(torch.randint(2**62, (), generator=generator))
        noise = torch.Generator(self.device).manual_seed(noise_seed)
        # Noise is added to bytes (0 to 255), before one fused normalisation.
        sigma = noisy.float() * (255 * augmentation.noise_sigma)
        columns = [self.examined_index, self.neutral_index] if with_neutral else [self.examined_index]
        per_pair = (-1, *(1,) * (self.images.ndim - 1))  # (B, 1, 1) or (B, 1, 1, 1)
        for start, stop in zip(cuts, [*cuts[1:], count], strict=True):
            if stop - start == 1:
                continue
            part = slice(start, stop)
            faces, drawn_noise = [], None
            for column in columns:
                pixels = self.images[column[order[part]]]  # (B, S, S) or (B, S, S, 3)
                values = torch.where(flips[part].view(per_pair), pixels.flip(2), pixels).float()
                if augmentation.noise_probability > 0 and augmentation.noise_sigma > 0:
                    if drawn_noise is None or augmentation.independent_noise:
                        normal = torch.randn(values.shape, generator=noise, device=self.device)
                        drawn_noise = normal.mul_(sigma[part].view(per_pair))
                    values += drawn_noise
                faces.append(self._normalised(values))
            numbers = self._numbered(drawn[part]) if whole_sequences else None
            subject = self.subject[order[part]] if with_subject else None
            yield Batch(faces[0], faces[1] if with_neutral else None, self.label[order[part]], numbers, subject)

    def evaluation_batches(
        self, index: NDArray[np.int64], batch_size: int, *, with_neutral: bool = False, whole_sequences: bool = False
    ) -> Iterator[Batch]:
        """Yield the pairs of ``index`` unaltered and in order; with ``whole_sequences`` in `sequence_order`."""
        listed = np.array(index, dtype=np.int64)  # a copy: torch takes no reversed array
        cuts = list(range(0, len(listed), batch_size))
        if whole_sequences:
            listed, _, cuts = _gathered(listed, self.sequence[listed], batch_size)
        for part in np.split(listed, cuts[1:]):
            chosen = self.label.new_tensor(part)
            examined = self._normalised(self.images[self.examined_index[chosen]].float())
            neutral = self._normalised(self.images[self.neutral_index[chosen]].float()) if with_neutral else None
            yield Batch(examined, neutral, self.label[chosen], self._numbered(part) if whole_sequences else None)

    def sequence_order(self, index: NDArray[np.int64]) -> NDArray[np.int64]:
        """The positions (T,) in ``index`` in the order in which whole sequences are evaluated."""
        listed = np.array(index, dtype=np.int64)
        return _gathered(np.arange(len(listed)), self.sequence[listed], max(1, len(listed)))[0]

    def to_bytes(self, faces: Tensor) -> NDArray[np.uint8]:
        """A batch's normalised faces (B, 3, S, S) as pictures (B, S, S, 3)."""
        pixels = (faces.permute(0, 2, 3, 1) - self.shift) / self.scale
        pictures: NDArray[np.uint8] = pixels.round().clamp(0, 255).byte().cpu().numpy()
        return pictures

    def _numbered(self, pairs: NDArray[np.int64]) -> Tensor:
        return self.label.new_tensor(np.unique(self.sequence[pairs], return_inverse=True)[1])

    def _normalised(self, values: Tensor) -> Tensor:
        """Bytes as normalised channels_last images (B, 3, S, S); grey is repeated in the same pass."""
        pixels = values.unsqueeze(-1) if values.ndim == 3 else values  # (B, S, S, 1 or 3)
        return self.shift.addcmul(pixels, self.scale).permute(0, 3, 1, 2)


def _gathered(
    pairs: NDArray[np.int64], sequence: NDArray[np.int64], batch_size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], list[int]]:
    """Bring the pairs of each sequence together, sequences in the order of their first pair.

    Returns the pairs (T,), for each the position of its sequence's first pair in ``pairs``, and where batches of at
    most ``batch_size`` pairs begin.
    """
    _, first_of, number, counts = np.unique(sequence, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(first_of[number], kind="stable")
    cuts, size = [0], 0
    for length in counts[np.argsort(first_of)].tolist():
        if size and size + length > batch_size:
            cuts.append(cuts[-1] + size)
            size = 0
        size += length
    return pairs[order], first_of[number][order], cuts
