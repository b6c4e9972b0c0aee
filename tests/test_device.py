"""A precision that a machine cannot do at speed is refused unless it was asked for by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gndl import device as device_module
from gndl.device import check_precision, choose_device, computing_on, has_fast_bf16
from gndl.errors import GndlError

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("flags", "fast"), [("fpu avx512f avx512_bf16", True), ("fpu amx_bf16", True), ("fpu avx2 avx512f", False)]
)
def test_bf16_needs_instructions_of_its_own_or_an_explicit_wish(
    flags: str, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the processor's flags; fp32 is always possible."""
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: f"model name : x\nflags\t\t: {flags}\n")
    assert has_fast_bf16(CPU) == fast
    check_precision("fp32", CPU)
    check_precision("bf16", CPU, explicit=True)
    if fast:
        check_precision("bf16", CPU)
    else:
        with pytest.raises(GndlError, match=r"no bf16 instructions.*--precision fp32"):
            check_precision("bf16", CPU)


def test_tf32_is_refused_on_a_cpu_however_it_was_asked_for() -> None:
    """It does not exist there."""
    with pytest.raises(GndlError, match="CUDA only"):
        check_precision("tf32", CPU, explicit=True)


def test_devices_that_are_not_there_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """auto falls to the CPU; cuda without a device, and unknown names, are errors."""
    monkeypatch.setattr(device_module.torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == CPU
    for name, message in (("cuda", "finds no CUDA"), ("gpu", "unknown"), ("meta", "not supported")):
        with pytest.raises(GndlError, match=message):
            choose_device(name)


def test_settings_are_put_back_when_a_run_fails() -> None:
    """Threads, TF32 and random state, also after an error."""
    before = (torch.get_num_threads(), torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32)
    random = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError), computing_on(CPU, "fp32", before[0] + 1, seed=3):
        assert torch.get_num_threads() == before[0] + 1 and not torch.backends.cudnn.allow_tf32
        torch.rand(1)
        raise ZeroDivisionError
    assert before == (
        torch.get_num_threads(), torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    )  # fmt: skip
    assert torch.equal(torch.get_rng_state(), random)
