"""The device, its precision, and the settings under which one seed gives the same bytes."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from gndl.files import GndlError
from gndl.profiles import Precision

_BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
"""Names in /proc/cpuinfo of instructions that multiply in bf16, on x86 and on ARM."""


def choose_device(name: str | torch.device = "auto") -> torch.device:
    """The device of that name; ``"auto"`` is CUDA if available, else the CPU. `GndlError` where there is none."""
    if str(name) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise GndlError(f'Device "{name}" is unknown; use auto, cpu or cuda.') from error
    if device.type not in ("cpu", "cuda"):
        raise GndlError(f'Device "{name}" is not supported; use auto, cpu or cuda.')
    if device.type == "cuda" and not torch.cuda.is_available():
        raise GndlError("torch finds no CUDA device; use --device cpu.")
    return device


def has_fast_bf16(device: torch.device) -> bool:
    """Whether ``device`` multiplies bf16 in hardware; False where that is not known."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    flags = {flag for line in lines if line.lower().startswith(("flags", "features")) for flag in line.split()}
    return bool(flags & _BF16_FLAGS)


def check_precision(precision: Precision, device: torch.device, explicit: bool = False) -> None:
    """Refuse a precision that ``device`` lacks, or is slow at unless the user named it (``explicit``)."""
    if precision == "tf32" and device.type != "cuda":
        raise GndlError("tf32 exists on CUDA only; use --precision fp32.")
    if precision == "bf16" and not explicit and not has_fast_bf16(device):
        raise GndlError(
            f"This {device.type} ({platform.machine()}) has no bf16 instructions: add --precision fp32 (other numbers, "
            "so in an --out of its own), or --precision bf16 to compute in bf16 all the same, slowly."
        )


@contextmanager
def computing_on(device: torch.device, precision: Precision, threads: int, seed: int) -> Iterator[None]:
    """Set threads, TF32, determinism and the random seed for one run, and restore everything afterwards.

    Another number of CPU ``threads`` gives other bits. ``seed`` is for torch's global random state, for methods that
    draw from it (dropout).
    """
    cudnn, before = torch.backends.cudnn, torch.get_num_threads()
    settings = (cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32, torch.get_float32_matmul_precision())
    devices: list[int] = []
    if device.type == "cuda":
        devices = [torch.cuda.current_device() if device.index is None else device.index]
    with torch.random.fork_rng(devices=devices):
        try:
            torch.manual_seed(seed)
            if device.type == "cpu":
                torch.set_num_threads(threads)
            # cuDNN's search for the fastest algorithm may choose another one in every run.
            cudnn.benchmark, cudnn.deterministic = False, True
            cudnn.allow_tf32 = precision == "tf32"
            torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
            yield
        finally:
            torch.set_num_threads(before)
            cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32 = settings[:3]
            torch.set_float32_matmul_precision(settings[3])


@contextmanager
def autocast(device: torch.device, precision: Precision) -> Iterator[None]:
    """Compute in bf16 where ``precision`` says so, else as the tensors are."""
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16"):
        yield
