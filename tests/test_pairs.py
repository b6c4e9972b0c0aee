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

NAMES = ("subject", "sequence", "frame")
COLUMNS = ("neutral_index", "label", *NAMES)
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


def test_flips_mirror_left_and_right_of_both_faces() -> None:
    """Always at probability 1, never at 0; up stays up."""
    pairs = planted_pairs()
    (plain,) = pairs.on("cpu").evaluation_batches(np.arange(24), 99, with_neutral=True)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(0))
    for probability in (0.0, 1.0):
        (batch,) = epoch(pairs, Augmentation(probability, 0.0), 99)
        for drawn, faces in ((batch.examined, plain.examined), (batch.neutral, plain.neutral)):
            assert drawn is not None and faces is not None
            assert torch.equal(drawn, faces[order].flip(3) if probability else faces[order])


@pytest.mark.parametrize("colour", [False, True])
def test_every_epoch_every_seed_and_every_pair_has_its_own_noise(colour: bool) -> None:
    """And the same seed gives the same noise: on flat pictures, of which nothing but the noise is left."""
    pairs = planted_pairs(colour=colour)
    data = replace(pairs, images=np.full_like(pairs.images, 128)).on("cpu", mean=(0.5,) * 3, std=(1.0,) * 3)

    def epochs(seed: int) -> list[torch.Tensor]:
        generator, only_noise = torch.Generator().manual_seed(seed), Augmentation(0.0, 1.0, 0.1)
        drawn = [data.training_batches(np.arange(24), 12, generator, only_noise) for _ in range(2)]
        return [batch.examined - 0.5 / 255 for one in drawn for batch in one]

    first, other = epochs(0), epochs(1)
    assert all(torch.equal(a, b) for a, b in zip(first, epochs(0), strict=True))
    noises = torch.stack([face for batch in (*first, *other) for face in batch])  # (96, 3, 32, 32)
    assert noises.std().item() == pytest.approx(0.1, rel=0.01)  # of pixels in [0, 1]
    assert torch.corrcoef(noises[:, 0].flatten(1)).fill_diagonal_(0).abs().max() < 0.2
    assert torch.equal(noises[:, 0], noises[:, 1]) is not colour  # grey is repeated, colours have their own


def test_flips_and_noise_fall_on_each_pair_by_itself() -> None:
    """Flipped or not, noisy or not: of the four kinds as many as their probabilities say, over several batches."""
    pairs = planted_pairs(200, 10, 16)
    clean = next(iter(pairs.on("cpu").evaluation_batches(np.arange(200), 200))).examined
    clean = clean[torch.randperm(200, generator=torch.Generator().manual_seed(0))]
    drawn = torch.cat([batch.examined for batch in epoch(pairs, Augmentation(0.3, 0.6, 0.02), 50)])
    away = torch.stack([(drawn - faces).abs().mean((1, 2, 3)) for faces in (clean, clean.flip(3))])
    flipped, noisy = away.argmin(0), (away.min(0).values > 1e-4).long()
    kinds = [[((flipped == f) & (noisy == n)).float().mean().item() for n in (0, 1)] for f in (0, 1)]
    np.testing.assert_allclose(kinds, [[0.7 * 0.4, 0.7 * 0.6], [0.3 * 0.4, 0.3 * 0.6]], atol=0.08)


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
        *(({name: getattr(pairs, name)[:-1]}, f"23 entries in {name}") for name in COLUMNS),
        ({"images": pairs.images / 255}, "float64"),
        ({"images": pairs.images[:, :-1]}, r"\(30, 31, 32\)"),
        ({"images": np.zeros((30, 32, 32, 4), np.uint8)}, r"\(30, 32, 32, 4\)"),
        ({"examined_index": pairs.examined_index[:0]}, "There are no pairs"),
    ):
        with pytest.raises(GndlError, match=message):
            replace(pairs, **wrong)
    with pytest.raises(GndlError, match="image_size is 64 but the crops have 32 pixels"):
        pairs.on("cpu", 64)


def test_the_content_hash_tells_pairs_apart(tmp_path: Path) -> None:
    """Whatever field is changed, in one place, changes it; a memory-mapped copy does not; it is version 1's."""
    pairs = planted_pairs()
    assert pairs.content_hash == "0a2ba881a3c80b6a3bd1cebd7d9f5a1f5061d55ae4a745542441422c15f3a68c"
    np.save(tmp_path / "images.npy", pairs.images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    assert replace(pairs, images=mapped).content_hash == pairs.content_hash
    hashes = {pairs.content_hash}
    for name in ("images", "examined_index", "neutral_index", "label"):
        values = getattr(pairs, name).copy()
        values.flat[-1] ^= 1
        hashes.add(replace(pairs, **{name: values}).content_hash)
    for name in NAMES:
        hashes.add(replace(pairs, **{name: [*getattr(pairs, name)[:-1], "x"]}).content_hash)
    swapped = pairs.neutral_index.copy()
    swapped[[0, 1]] = swapped[[1, 0]]  # which neutral face belongs to which pair
    hashes.add(replace(pairs, neutral_index=swapped).content_hash)
    hashes.add(replace(pairs, subject=pairs.sequence, sequence=pairs.subject).content_hash)
    hashes.add(replace(pairs, expressions=("anger", "happiness", "fear")).content_hash)
    hashes.add(replace(pairs, images=pairs.images.reshape(120, 16, 16)).content_hash)
    assert len(hashes) == 12


def test_pairs_can_be_taken_with_their_own_crops_alone() -> None:
    """A neutral face that two pairs share is taken once; single faces are each their own neutral face."""
    pairs, index = planted_pairs(), np.array([7, 2, 13])
    few = pairs.take(index)
    assert len(few.images) == 5 and few.label.tolist() == pairs.label[index].tolist()
    for name in NAMES:
        assert getattr(few, name) == [getattr(pairs, name)[number] for number in index]
    for own, every in ((few.examined_index, pairs.examined_index), (few.neutral_index, pairs.neutral_index)):
        np.testing.assert_array_equal(few.images[own], pairs.images[every[index]])
    alone = FacePairs.of_faces(pairs.images[:3], pairs.expressions)
    assert len(alone) == 3 and len(set(alone.sequence)) == 3 and not alone.label.any()
    assert alone.examined_index.tolist() == alone.neutral_index.tolist() == [0, 1, 2]


def test_a_batch_can_be_seen_as_pictures() -> None:
    """Bytes come back as they went in."""
    pairs = planted_pairs(colour=True)
    data = pairs.on("cpu")
    batch = next(data.evaluation_batches(np.arange(4), 4))
    np.testing.assert_array_equal(data.to_bytes(batch.examined), pairs.images[pairs.examined_index[:4]])
