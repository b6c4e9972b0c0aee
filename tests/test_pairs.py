"""Pairs stay together: one draw for both faces, exact scaling, the stated normalisation, the batches of record."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import planted_pairs

from gndl.files import GndlError
from gndl.pairs import IMAGENET_MEAN, IMAGENET_STD, Batch, FacePairs, downscale
from gndl.profiles import Augmentation

NO_AUGMENTATION = Augmentation(flip_probability=0.0, noise_probability=0.0)


def epoch(pairs: FacePairs, augmentation: Augmentation, batch_size: int = 8, seed: int = 0) -> list[Batch]:
    generator = torch.Generator().manual_seed(seed)
    return list(pairs.on("cpu").training_batches(np.arange(len(pairs)), batch_size, generator, augmentation))


def in_sequences(pairs: FacePairs) -> FacePairs:
    """The same pairs, the first half of each subject's in one sequence and the rest in another."""
    half = len(pairs) // 2
    return replace(pairs, sequence=[f"{subject}/{pair // half}" for pair, subject in enumerate(pairs.subject)])


GOLDEN: dict[str, tuple[str, dict[str, Any]]] = {
    "grey": ("8217bae0f826e199", {}),
    "colour": ("e4a6c1241eff4455", {}),
    "grey, scaled": ("9753fb5af8e8a398", {"size": 20}),
    "colour, scaled": ("f81f8d113c11ed48", {"size": 13}),
    "independent noise": ("3481b0abf0ff84da", {"augmentation": Augmentation(independent_noise=True)}),
    "without neutral": ("913ed8de21814d15", {"with_neutral": False}),
    "whole sequences": ("64aef5ccf8641ccd", {"whole_sequences": True}),
}
"""SHA-256 of version 1's batches. Raise `gndl.runs.NUMBERS` when you change bits on purpose."""


@pytest.mark.golden
@pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"), reason="other processors draw other noise"
)
@pytest.mark.parametrize("name", GOLDEN)
def test_batches_are_those_of_the_record_bit_for_bit(name: str) -> None:
    """Two epochs of training batches (order, flips, noise) and all evaluation batches."""
    golden, options = GOLDEN[name][0], dict(GOLDEN[name][1])
    pairs = planted_pairs(colour="colour" in name)
    whole = options.get("whole_sequences", False)
    data = (in_sequences(pairs) if whole else pairs).on("cpu", options.pop("size", None))
    augmentation, generator = options.pop("augmentation", Augmentation()), torch.Generator().manual_seed(3)
    batches = [
        b for _ in range(2) for b in data.training_batches(np.arange(1, 24), 7, generator, augmentation, **options)
    ]
    batches += data.evaluation_batches(np.arange(24)[::-1], 7, with_neutral=True, whole_sequences=whole)
    digest = hashlib.sha256()
    for batch in batches:
        for tensor in (batch.examined, batch.neutral, batch.label, batch.sequence):
            digest.update(b"" if tensor is None else tensor.contiguous().numpy().tobytes())
    assert digest.hexdigest()[:16] == golden


def test_crops_folds_methods_and_runs_load_no_torch() -> None:
    """Tables and plans know them without the seconds that torch takes."""
    code = "import sys, gndl.crops, gndl.folds, gndl.methods, gndl.runs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("colour", [False, True])
def test_both_faces_of_a_pair_get_the_same_flip_and_the_same_noise(colour: bool) -> None:
    """Where the neutral face is the examined one, the augmented two are equal bit for bit (section 4.2, L14)."""
    pairs = planted_pairs(colour=colour)
    of_itself = replace(pairs, neutral_index=pairs.examined_index)
    for batch in epoch(of_itself, Augmentation()):
        assert batch.neutral is not None and torch.equal(batch.examined, batch.neutral)
    other = Augmentation(independent_noise=True, noise_sigma=1e-6)
    batches = epoch(of_itself, other)  # the option draws two noises, and one flip: that alone would differ by much more
    assert 0 < max(float((batch.examined - batch.neutral).abs().max()) for batch in batches) < 1e-3


def test_flips_and_noise_are_as_frequent_and_as_strong_as_stated() -> None:
    """About half of the pairs are flipped, half are noisy, with the stated standard deviation on [0, 1] (L14)."""
    sigma, index = 0.05, np.arange(400)
    data = planted_pairs(400, 10, 16).on("cpu")
    clean = next(iter(data.evaluation_batches(index, 400))).examined
    expected = clean[torch.randperm(400, generator=torch.Generator().manual_seed(1))]
    generator = torch.Generator().manual_seed(1)
    batch = next(iter(data.training_batches(index, 400, generator, Augmentation(0.5, 0.5, sigma))))
    straight = (batch.examined - expected).flatten(1).std(1)
    mirrored = (batch.examined - expected.flip(3)).flatten(1).std(1)
    flipped, noisy = mirrored < straight, torch.minimum(straight, mirrored) > 1e-4
    assert 150 < flipped.sum() < 250 and 150 < noisy.sum() < 250
    left = torch.where(flipped.view(-1, 1, 1, 1), expected.flip(3), expected)
    measured = (batch.examined - left)[noisy].std((0, 2, 3))
    assert torch.allclose(measured, sigma / torch.tensor(IMAGENET_STD), rtol=0.03)


@pytest.mark.parametrize("colour", [False, True])
def test_faces_are_normalised_by_imagenet_mean_and_std(colour: bool) -> None:
    """Without augmentation a channel is (pixel / 255 − mean) / std of ImageNet (L20), grey repeated, channels_last."""
    pairs = planted_pairs(colour=colour)
    batch = next(iter(pairs.on("cpu").evaluation_batches(np.arange(5), 256, with_neutral=True)))
    for faces, index in ((batch.examined, pairs.examined_index), (batch.neutral, pairs.neutral_index)):
        pixels = pairs.images[index[:5]] / 255
        pixels = pixels if colour else np.repeat(pixels[..., None], 3, axis=3)
        expected = ((pixels - IMAGENET_MEAN) / IMAGENET_STD).transpose(0, 3, 1, 2)
        assert faces is not None and faces.is_contiguous(memory_format=torch.channels_last)
        np.testing.assert_allclose(faces, expected, atol=2e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 40), st.integers(2, 12), st.integers(0, 9))
def test_an_epoch_shows_every_pair_once_except_a_last_batch_of_one(count: int, batch_size: int, seed: int) -> None:
    """Batch normalisation needs two pairs (L20)."""
    pairs = replace(planted_pairs(count, 2, 8), label=np.arange(count), expressions=tuple(map(str, range(count))))
    labels = [batch.label for batch in epoch(pairs, NO_AUGMENTATION, batch_size, seed)]
    rest = count % batch_size
    assert [len(label) for label in labels] == [batch_size] * (count // batch_size) + [rest] * (rest > 1)
    shown = torch.cat(labels).tolist() if labels else []
    assert len(set(shown)) == len(shown) == count - (rest == 1)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=30), st.integers(2, 9), st.integers(0, 9))
def test_whole_sequences_stay_in_one_batch(owner: list[int], batch_size: int, seed: int) -> None:
    """All pairs of a sequence come in one batch, which exceeds the batch size only where one sequence does."""
    count = len(owner)
    pairs = replace(
        planted_pairs(count, 1, 8), label=np.arange(count), expressions=tuple(map(str, range(count))),
        sequence=[f"S/{one}" for one in owner],
    )  # fmt: skip
    data, index = pairs.on("cpu"), np.arange(count)
    generator = torch.Generator().manual_seed(seed)
    drawn = list(data.training_batches(index, batch_size, generator, NO_AUGMENTATION, whole_sequences=True))
    listed = list(data.evaluation_batches(index, batch_size, whole_sequences=True))
    for batches in (drawn, listed):
        held = [[owner[pair] for pair in batch.label.tolist()] for batch in batches]
        assert sum(len(set(own)) for own in held) == len({one for own in held for one in own})
        assert all(len(own) <= batch_size or len(set(own)) == 1 for own in held)
        for own, batch in zip(held, batches, strict=True):
            assert batch.sequence is not None
            assert len(set(zip(own, batch.sequence.tolist(), strict=True))) == len(set(own))
    assert torch.cat([batch.label for batch in listed]).tolist() == data.sequence_order(index).tolist()


def test_the_generators_state_resumes_the_epochs() -> None:
    """Order, flips and noise come from it alone; the next epoch differs."""
    data, generator = planted_pairs().on("cpu"), torch.Generator().manual_seed(3)
    first = [b.examined for b in data.training_batches(np.arange(24), 8, generator, Augmentation())]
    resumed = torch.Generator()
    resumed.set_state(generator.get_state())
    second = [b.examined for b in data.training_batches(np.arange(24), 8, generator, Augmentation())]
    again = [b.examined for b in data.training_batches(np.arange(24), 8, resumed, Augmentation())]
    assert all(torch.equal(a, b) for a, b in zip(second, again, strict=True))
    assert not torch.equal(second[0], first[0])


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 24), st.booleans(), st.data())
def test_downscaling_averages_exactly_the_area_under_each_pixel(height: int, colour: bool, data: st.DataObject) -> None:
    """At any ratio, scaling down equals averaging the nearest-neighbour enlargement to H·S, halves rounded up."""
    size = data.draw(st.integers(1, height))
    shape = (2, height, height, 3) if colour else (2, height, height)
    images = np.random.default_rng(height * 31 + size).integers(0, 256, shape, dtype=np.uint8)
    enlarged = images.astype(np.int64).repeat(size, axis=1).repeat(size, axis=2)
    areas = enlarged.reshape(2, size, height, size, height, *shape[3:])
    expected = (2 * areas.sum((2, 4)) + height**2) // (2 * height**2)
    assert np.array_equal(downscale(images, size), expected)


def test_wrong_pairs_are_refused_by_field() -> None:
    """Lengths, indices, types and sizes that do not fit."""
    pairs = planted_pairs()
    for wrong, message in (
        ({"label": pairs.label[:-1]}, "23 entries in label"),
        ({"images": pairs.images / 255}, "float64"),
        ({"images": pairs.images[:, :-1]}, r"\(30, 31, 32\)"),
        ({"examined_index": pairs.examined_index[:0]}, "There are no pairs"),
    ):
        with pytest.raises(GndlError, match=message):
            replace(pairs, **wrong)
    with pytest.raises(GndlError, match="image_size is 64 but the crops have 32 pixels"):
        pairs.on("cpu", 64)


def test_the_content_hash_tells_pairs_apart(tmp_path: Path) -> None:
    """A changed pixel, label or name changes it, a memory-mapped copy does not; it is version 1's."""
    pairs = planted_pairs()
    assert pairs.content_hash == "0a2ba881a3c80b6a3bd1cebd7d9f5a1f5061d55ae4a745542441422c15f3a68c"
    np.save(tmp_path / "images.npy", pairs.images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    assert replace(pairs, images=mapped).content_hash == pairs.content_hash
    other = pairs.images.copy()
    other[3, 4, 5] ^= 1
    changes = ({"images": other}, {"label": pairs.label[::-1]}, {"frame": [*pairs.frame[:-1], "x"]})
    assert len({pairs.content_hash, *(replace(pairs, **change).content_hash for change in changes)}) == 4


def test_pairs_can_be_taken_with_their_own_crops_alone() -> None:
    """A neutral face that two pairs share is taken once; single faces are each their own neutral face."""
    pairs, index = planted_pairs(), np.array([7, 2, 13])
    few = pairs.take(index)
    assert len(few.images) == 5 and few.frame == [pairs.frame[number] for number in index]
    for own, every in ((few.examined_index, pairs.examined_index), (few.neutral_index, pairs.neutral_index)):
        np.testing.assert_array_equal(few.images[own], pairs.images[every[index]])
    alone = FacePairs.of_faces(pairs.images[:3], pairs.expressions)
    assert len(alone) == 3 and len(set(alone.sequence)) == 3 and (alone.examined_index == alone.neutral_index).all()


def test_a_batch_can_be_seen_as_pictures() -> None:
    """Bytes come back as they went in."""
    pairs = planted_pairs(colour=True)
    data = pairs.on("cpu")
    batch = next(data.evaluation_batches(np.arange(4), 4))
    np.testing.assert_array_equal(data.to_bytes(batch.examined), pairs.images[pairs.examined_index[:4]])
