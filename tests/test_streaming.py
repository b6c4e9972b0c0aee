"""Streamed crops give the batches that crops on the device give, and hold no more memory than a batch."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import planted_pairs

from gndl import streaming
from gndl.errors import GndlError
from gndl.methods import method_settings
from gndl.pairs import FacePairs
from gndl.profiles import Augmentation, TrainSettings
from gndl.streaming import Mapped, StreamedPairs, scaled_into_file, streamed
from gndl.trainer import Trainer


def streaming_where_needed(pairs: FacePairs) -> StreamedPairs:
    """The same pairs, as a study has them."""
    return StreamedPairs(**{field.name: getattr(pairs, field.name) for field in fields(FacePairs)})


def in_a_file(pairs: FacePairs, folder: Path) -> FacePairs:
    """The same pairs, their crops memory-mapped as prepared crops are."""
    np.save(folder / "images.npy", pairs.images)
    return replace(pairs, images=np.load(folder / "images.npy", mmap_mode="r"))


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("image_size", [None, 8])
def test_streamed_batches_are_those_of_the_device_bit_for_bit(
    colour: bool, image_size: int | None, tmp_path: Path
) -> None:
    """Order, flips, noise, scaling and normalisation agree in training and in evaluation."""
    pairs = in_a_file(planted_pairs(colour=colour), tmp_path)
    both = pairs.on("cpu", image_size), streamed(pairs, "cpu", image_size, scratch=tmp_path)
    index = np.arange(len(pairs))
    for name in (field.name for field in fields(both[0]) if field.name != "images"):
        assert torch.equal(getattr(both[0], name), getattr(both[1], name)), name
    drawn = [list(data.training_batches(index, 5, torch.Generator().manual_seed(3), Augmentation())) for data in both]
    assert len(drawn[0]) == len(drawn[1]) > 1
    for one, other in zip(*drawn, strict=True):
        assert torch.equal(one.examined, other.examined) and torch.equal(one.label, other.label)
        assert one.neutral is not None and other.neutral is not None and torch.equal(one.neutral, other.neutral)
    for one, other in zip(*(data.evaluation_batches(index, 4) for data in both), strict=True):
        assert torch.equal(one.examined, other.examined)


@given(st.lists(st.integers(0, 19), min_size=1, max_size=30))
@settings(max_examples=30, deadline=None)
def test_any_crops_come_in_the_order_asked(places: list[int]) -> None:
    """Crops asked for twice, backwards or out of order are those of the array."""
    images = np.random.default_rng(1).integers(0, 256, (20, 4, 4), dtype=np.uint8)
    assert np.array_equal(Mapped(images).take(np.array(places)), images[places])


def test_a_training_on_streamed_crops_has_the_numbers_of_one_on_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Losses of an epoch are equal to the last bit where the crops are said not to fit, and so is the pairs' hash."""
    pairs = in_a_file(planted_pairs(12), tmp_path)
    able = streaming_where_needed(pairs)
    assert able.content_hash == pairs.content_hash
    monkeypatch.setattr(streaming, "free_memory", lambda device: 0)
    monkeypatch.setattr(streaming, "crops_folder", lambda: tmp_path / "scaled")
    assert isinstance(able.on("cpu", 8).images, streaming.MappedImages)
    few = TrainSettings(image_size=8, batch_size=6)
    index = np.arange(len(pairs))
    rows = [
        Trainer(method_settings("gndl"), one, index, index, few, 5.0, 0, torch.device("cpu"), None).optimise()
        for one in (pairs, able)
    ]
    assert rows[0] == rows[1]


def test_a_part_of_a_file_is_read_where_it_lies(tmp_path: Path) -> None:
    """numpy gives a part the offset of the whole; crops are those of the part, in one piece or not."""
    images = np.random.default_rng(3).integers(0, 256, (12, 4, 4), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    whole = np.load(tmp_path / "images.npy", mmap_mode="r")
    for part, mapped in ((slice(5, 11), True), (slice(1, 11, 2), False)):
        crops = Mapped.of(whole[part])
        assert (crops.mapping is not None) == mapped
        assert np.array_equal(crops.take(np.array([3, 0])), images[part][[3, 0]])


def test_crops_that_fit_are_copied_whole(tmp_path: Path) -> None:
    """Streaming costs time, so it is left for crops that need it."""
    pairs = streaming_where_needed(in_a_file(planted_pairs(), tmp_path))
    assert isinstance(pairs, StreamedPairs) and isinstance(pairs.on("cpu").images, torch.Tensor)


def test_copies_of_processes_side_by_side_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: the crops are a fifth of what is free, so one copy fits into a quarter of it, and two do not."""
    pairs = streaming_where_needed(in_a_file(planted_pairs(), tmp_path))
    monkeypatch.setattr(streaming, "free_memory", lambda device: 5 * pairs.images.size)
    assert isinstance(pairs.on("cpu").images, torch.Tensor)
    known = pairs.content_hash
    both = pairs.shared_by(2)
    assert isinstance(both.on("cpu").images, streaming.MappedImages) and pairs.side_by_side == 1
    assert vars(both)["content_hash"] == known, "crops are hashed once, not in each run"


def test_the_scaled_file_goes_with_the_process(tmp_path: Path) -> None:
    """It has no name, so nothing is left behind; more crops than are scaled at once come out whole."""
    images = np.random.default_rng(2).integers(0, 256, (streaming.SCALED_AT_ONCE + 3, 4, 4), dtype=np.uint8)
    scaled = scaled_into_file(Mapped(images), 2, tmp_path / "scratch")
    assert scaled.images.shape == (len(images), 2, 2) and not list((tmp_path / "scratch").iterdir())
    assert scaled.images[-1, 0, 0] == int(images[-1, :2, :2].mean() + 0.5)


def test_larger_than_the_crops_is_refused() -> None:
    """As by the pairs themselves."""
    with pytest.raises(GndlError, match="prepare larger crops"):
        streamed(planted_pairs(), "cpu", 1000)


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="reads Linux's account of memory")
def test_no_page_of_the_file_stays_in_the_process(tmp_path: Path) -> None:
    """32 MB are read crop by crop; of the file no more than a few pages are resident afterwards."""
    np.save(tmp_path / "large.npy", np.zeros((2000, 128, 128), np.uint8))
    crops = Mapped.of(np.load(tmp_path / "large.npy", mmap_mode="r"))
    assert crops.mapping is not None
    before = resident_of_files()
    for start in range(0, 2000, 100):
        crops.take(np.arange(start, start + 100))
    assert resident_of_files() - before < 4e6


def resident_of_files() -> int:
    """Bytes of files that are mapped into this process and in memory."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssFile"))
    return 1024 * int(line.split()[1])
