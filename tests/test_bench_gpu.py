"""What the benchmark of a device says of its memory, and where it and the others are kept."""

from __future__ import annotations

import weakref
from dataclasses import replace
from typing import Any

import pytest
import torch

from gndl.bench import gpu, record
from gndl.bench.asked import TINY, Asked
from gndl.bench.trainings import WayTrainer

ASKED = Asked(**TINY)  # type: ignore[arg-type]


def test_the_memory_of_a_training_counts_none_that_was_measured_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """When a way's memory is measured, all other trainings are gone: compiled ones, and the one that was counted."""
    made: list[weakref.ref[WayTrainer]] = []
    alive: list[int] = []

    class Watched(WayTrainer):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(weakref.ref(self))

    def memory_of(trainer: WayTrainer, device: torch.device) -> float:
        alive.append(sum(one() is not None for one in made))
        return 1.0

    monkeypatch.setattr(gpu, "WayTrainer", Watched)
    monkeypatch.setattr(gpu, "memory_of", memory_of)
    gpu.measure(replace(ASKED, repeats=1, compile_with="eager"))
    assert alive == [1, 1, 1, 1] and len(made) == 5


def test_a_processor_beside_a_gpu_has_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """On one machine, by what was asked for; the page of the processor's numbers names no GPU."""
    machine = {"processor": "AMD EPYC", "cores": 16, "gpu": "NVIDIA H100"}
    monkeypatch.setattr(record, "machine", lambda: machine)
    processor, card = record.about("cpu"), record.about("cuda")
    assert record.folder_name(processor).endswith("-amd-epyc-16-cores")
    assert record.folder_name(card).endswith("-nvidia-h100-16-cores")
    assert (processor["device"], processor["gpu"]) == ("cpu", None) and card["gpu"] == "NVIDIA H100"
