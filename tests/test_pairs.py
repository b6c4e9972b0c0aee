"""Pairs stay whole: one draw for both faces, exact scaling, the stated normalisation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import planted_pairs

from gndl.batches import Batch
from gndl.errors import GndlError
from gndl.pairs import IMAGENET_MEAN, IMAGENET_STD, FacePairs, downscale
from gndl.profiles import Augmentation

NO_AUGMENTATION = Augmentation(flip_probability=0.0, noise_probability=0.0)


def epoch(pairs: FacePairs, augmentation: Augmentation, batch_size: int = 8, seed: int = 0) -> list[Batch]:
    generator = torch.Generator().manual_seed(seed)
    return list(pairs.on("cpu").training_batches(np.arange(len(pairs)), batch_size, generator, augmentation))


def of_itself(pairs: FacePairs) -> FacePairs:
    """The same pairs with each examined face as its own neutral face."""
    return replace(pairs, neutral_index=pairs.examined_index)


@pytest.mark.parametrize("colour", [False, True])
def test_both_faces_of_a_pair_get_the_same_flip_and_the_same_noise(colour: bool) -> None:
    """Where the neutral face is the examined one, the augmented two are equal bit for bit (section 4.2, L14)."""
    for batch in epoch(of_itself(planted_pairs(colour=colour)), Augmentation()):
        assert batch.neutral is not None
        assert torch.equal(batch.examined, batch.neutral)


def test_independent_noise_keeps_the_flip_and_draws_other_noise() -> None:
    """The L14 option draws two noises of the same pairs; pairs without noise stay equal, flipped or not."""
    batches = epoch(of_itself(planted_pairs(60)), Augmentation(independent_noise=True, noise_sigma=1e-6))
    difference = torch.cat([(batch.examined - batch.neutral).abs().amax((1, 2, 3)) for batch in batches])
    assert 10 < (difference > 0).sum() < 50
    assert difference.max() < 1e-3  # a flip of one face alone would differ by much more


def test_flips_and_noise_come_as_often_and_as_strong_as_stated() -> None:
    """About half of the pairs are flipped, half are noisy, with the stated standard deviation on [0, 1] (L14)."""
    pairs, sigma = planted_pairs(400, 10, 16), 0.05
    data = pairs.on("cpu")
    generator = torch.Generator().manual_seed(1)
    clean = next(iter(data.evaluation_batches(np.arange(400), 400))).examined
    index = np.arange(400)
    order = torch.randperm(400, generator=torch.Generator().manual_seed(1))
    batch = next(iter(data.training_batches(index, 400, generator, Augmentation(0.5, 0.5, sigma))))
    expected = clean[order]
    straight = (batch.examined - expected).flatten(1).std(1)
    mirrored = (batch.examined - expected.flip(3)).flatten(1).std(1)
    flipped = mirrored < straight
    residual = torch.minimum(straight, mirrored)
    noisy = residual > 1e-4
    assert 150 < flipped.sum() < 250
    assert 150 < noisy.sum() < 250
    per_channel = sigma / torch.tensor(IMAGENET_STD)
    left = torch.where(flipped.view(-1, 1, 1, 1), expected.flip(3), expected)
    measured = (batch.examined - left)[noisy].std((0, 2, 3))
    assert torch.allclose(measured, per_channel, rtol=0.03)


@pytest.mark.parametrize("colour", [False, True])
def test_faces_are_normalised_by_imagenet_mean_and_std_on_repeated_grey(colour: bool) -> None:
    """Without augmentation a channel is (pixel / 255 − mean) / std of ImageNet (L20), in channels_last memory."""
    pairs = planted_pairs(colour=colour)
    batch = next(iter(pairs.on("cpu").evaluation_batches(np.arange(5), 256, with_neutral=True)))
    for faces, index in ((batch.examined, pairs.examined_index), (batch.neutral, pairs.neutral_index)):
        pixels = pairs.images[index[:5]] / 255
        pixels = pixels if colour else np.repeat(pixels[..., None], 3, axis=3)
        expected = ((pixels - IMAGENET_MEAN) / IMAGENET_STD).transpose(0, 3, 1, 2)
        np.testing.assert_allclose(faces, expected, atol=2e-6)
        assert faces.is_contiguous(memory_format=torch.channels_last)


def test_an_epoch_shows_every_pair_once_and_leaves_out_a_batch_of_one() -> None:
    """25 pairs in batches of 8 give 24 distinct pairs, 26 give all with a last batch of two (L20)."""
    for count, sizes in ((25, [8, 8, 8]), (26, [8, 8, 8, 2])):
        pairs = replace(planted_pairs(count, 5, 8), label=np.arange(count), expressions=tuple(map(str, range(count))))
        labels = [batch.label for batch in epoch(pairs, NO_AUGMENTATION)]
        assert [len(label) for label in labels] == sizes
        assert len(torch.cat(labels).unique()) == sum(sizes)


def test_the_same_seed_draws_the_same_epoch_and_the_next_epoch_differs() -> None:
    """Order, flips and noise come from the generator alone, so its state resumes them."""
    pairs = planted_pairs()
    first, again = epoch(pairs, Augmentation(), seed=3), epoch(pairs, Augmentation(), seed=3)
    assert all(torch.equal(a.examined, b.examined) for a, b in zip(first, again, strict=True))
    generator = torch.Generator().manual_seed(3)
    data = pairs.on("cpu")
    for _ in data.training_batches(np.arange(24), 8, generator, Augmentation()):
        pass
    resumed = torch.Generator()
    resumed.set_state(generator.get_state())
    second = [b.examined for b in data.training_batches(np.arange(24), 8, generator, Augmentation())]
    third = [b.examined for b in data.training_batches(np.arange(24), 8, resumed, Augmentation())]
    assert all(torch.equal(a, b) for a, b in zip(second, third, strict=True))
    assert not torch.equal(second[0], first[0].examined)


def test_leaving_out_the_neutral_faces_changes_no_examined_face() -> None:
    """Baseline and GNDL see the same examined faces for the same seed."""
    data, generator = planted_pairs().on("cpu"), torch.Generator()
    with_neutral = list(data.training_batches(np.arange(24), 8, generator.manual_seed(0), Augmentation()))
    without = list(
        data.training_batches(np.arange(24), 8, generator.manual_seed(0), Augmentation(), with_neutral=False)
    )
    assert all(torch.equal(a.examined, b.examined) for a, b in zip(with_neutral, without, strict=True))
    assert all(batch.neutral is None for batch in without)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 24), st.data())
def test_downscaling_averages_exactly_the_area_under_each_pixel(height: int, data: st.DataObject) -> None:
    """At any ratio, scaling down equals averaging the nearest-neighbour enlargement to H·S, halves rounded up."""
    size = data.draw(st.integers(1, height))
    image = np.random.default_rng(height * 31 + size).integers(0, 256, (1, height, height), dtype=np.uint8)
    enlarged = np.kron(image[0], np.ones((size, size), dtype=np.int64)).reshape(size, height, size, height)
    expected = (2 * enlarged.sum((1, 3)) + height**2) // (2 * height**2)
    assert np.array_equal(downscale(image, size)[0], expected)


def test_wrong_pairs_are_refused_in_words() -> None:
    """Lengths, indices, dtypes and sizes that do not fit raise GndlError naming the field."""
    pairs = planted_pairs()
    with pytest.raises(GndlError, match="neutral_index runs from 0 to 99"):
        replace(pairs, neutral_index=np.where(np.arange(24) == 3, 99, 0))
    with pytest.raises(GndlError, match="23 entries in label"):
        replace(pairs, label=pairs.label[:-1])
    with pytest.raises(GndlError, match="float64"):
        replace(pairs, images=pairs.images / 255)
    with pytest.raises(GndlError, match="the crops have 32"):
        pairs.on("cpu", 64)


def test_the_content_hash_tells_pairs_apart() -> None:
    """One changed pixel, label or name changes the hash; a memory-mapped copy does not."""
    pairs = planted_pairs()
    other = pairs.images.copy()
    other[3, 4, 5] ^= 1
    hashes = {pairs.content_hash, replace(pairs, images=other).content_hash}
    hashes.add(replace(pairs, label=pairs.label[::-1]).content_hash)
    hashes.add(replace(pairs, frame=[*pairs.frame[:-1], "x"]).content_hash)
    assert len(hashes) == 4
    assert replace(pairs, images=pairs.images.copy()).content_hash == pairs.content_hash
