"""A GPU that is there but cannot be used: seen without torch, so that nobody trains on a processor unawares."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gndl.errors import GndlError

PROFILES_FOR_A_GPU = ("paper",)
"""Profiles that stop where a GPU is there and torch cannot use it."""


@dataclass(frozen=True)
class SeenGpu:
    """What the system shows of NVIDIA GPUs, without torch.

    Parameters
    ----------
    evidence : str
        By what a GPU was seen, in words; ``""`` where none was.
    names : tuple of str
        As nvidia-smi calls them; empty where it is missing or fails.
    driver : str
        Version of the driver, ``""`` where it is not known.
    cuda : str
        Newest CUDA that the driver serves, such as ``"12.2"``; ``""`` where it is not known.
    """

    evidence: str = ""
    names: tuple[str, ...] = ()
    driver: str = ""
    cuda: str = ""


@dataclass(frozen=True)
class Card:
    """A GPU as torch sees it: its name, and what it can do (``capability``, such as ``"sm_90"``)."""

    name: str
    capability: str


def seen_gpu(devices: Path = Path("/dev")) -> SeenGpu:
    """Look for NVIDIA GPUs by nvidia-smi and by device files; a tool that answers of no GPU is no evidence.

    Device files of GPUs are ``nvidia0`` and so on. In a container without them the tool may be there alone.
    """
    files = sorted(path.name for path in devices.glob("nvidia[0-9]*")) if devices.is_dir() else []
    listed, banner = _answer("-L"), _answer()
    names = tuple(re.findall(r"^GPU \d+: (.+?) \(UUID", listed, re.MULTILINE))
    evidence = [f"nvidia-smi lists {', '.join(names)}"] if names else []
    if files:
        evidence.append(f"{devices / files[0]} is there")
    driver = re.search(r"Driver Version:\s*([\d.]+)", banner)
    cuda = re.search(r"CUDA Version:\s*([\d.]+)", banner)
    return SeenGpu(" and ".join(evidence), names, driver[1] if driver else "", cuda[1] if cuda else "")


def hidden_by_the_user() -> bool:
    """Whether the user has hidden all GPUs from programs by ``CUDA_VISIBLE_DEVICES``."""
    return os.environ.get("CUDA_VISIBLE_DEVICES", "unset").strip() in ("", "-1")


def require_usable_gpu(profile: str, device: str) -> None:
    """Stop a profile that is meant for a GPU where there is one that torch cannot use, unless ``device`` is the CPU.

    Raises
    ------
    GndlError
        Saying by what the GPU was seen and what to do.
    """
    if profile not in PROFILES_FOR_A_GPU or device == "cpu":
        return
    import torch

    if torch.cuda.is_available():
        compiled = torch.cuda.get_arch_list()
        one = re.fullmatch(r"cuda:(\d+)", device)
        used = cards()[int(one[1]) :][:1] if one else cards()
        unserved = [card for card in used if not serves(compiled, card.capability)]
        if unserved:
            why = not_served(unserved, f"torch {torch.__version__}", compiled)
            mend = other_torch(unserved, compiled)
            raise GndlError(f"Profile {profile} is meant for a GPU. {why}: {mend} `gndl doctor` says more.")
        return
    seen = seen_gpu()
    if seen.evidence:
        raise GndlError(unusable(profile, seen, torch.__version__, torch.version.cuda, hidden_by_the_user()))


def cards() -> tuple[Card, ...]:
    """Return the GPUs that torch sees; those that ``CUDA_VISIBLE_DEVICES`` hides are none of them."""
    import torch

    found = []
    for number in range(torch.cuda.device_count()):
        major, minor = torch.cuda.get_device_capability(number)
        found.append(Card(torch.cuda.get_device_name(number), f"sm_{major}{minor}"))
    return tuple(found)


def serves(compiled: Iterable[str], card: str) -> bool:
    """Whether a torch that was ``compiled`` for some architectures has code that runs on a card.

    Machine code (``sm_86``) runs on cards of its own generation that are no older, PTX (``compute_90``) on every card
    that is no older. A name that ends in ``f`` stands for its generation alone, one in ``a`` for exactly that card.
    True where nothing is known of either.

    Parameters
    ----------
    compiled : iterable of str
        As ``torch.cuda.get_arch_list`` gives them.
    card : str
        What the card can do, such as ``"sm_90"``.
    """
    names = [name for one in compiled if (name := re.fullmatch(r"(sm|compute)_(\d+)(\d)([af]?)", one))]
    this = re.fullmatch(r"sm_(\d+)(\d)", card)
    if this is None or not names:
        return True
    own = (int(this[1]), int(this[2]))
    for kind, major, minor, ending in (name.groups() for name in names):
        built = (int(major), int(minor))
        if ending == "a":
            runs = built == own
        elif kind == "sm" or ending == "f":
            runs = built[0] == own[0] and built <= own
        else:
            runs = built <= own
        if runs:
            return True
    return False


def not_served(unserved: Sequence[Card], build: str, compiled: Sequence[str]) -> str:
    """Say which cards the build of torch has no code for, and what it was compiled for."""
    listed = ", ".join(f"{card.name} ({card.capability})" for card in unserved)
    return f"{listed} cannot run what {build} was compiled for ({', '.join(compiled)})"


def other_torch(unserved: Sequence[Card], compiled: Sequence[str]) -> str:
    """Say which torch would serve the cards: an older one where they are older than all that it was compiled for."""

    def number(name: str) -> int:
        return int("".join(re.findall(r"\d+", name)) or 0)

    oldest = min(map(number, compiled), default=0)
    older = any(number(card.capability) < oldest for card in unserved)
    return (
        f"install {'an older torch that still serves' if older else 'a newer torch that serves'} it, hide it by "
        "CUDA_VISIBLE_DEVICES where another card is there, or use --device cpu."
    )


def unusable(profile: str, seen: SeenGpu, torch_version: str, torch_cuda: str | None, hidden: bool) -> str:
    """Say that a GPU is there and cannot be used, why as far as that is known, and what to do."""
    return (
        f"Profile {profile} is meant for a GPU. One is there ({seen.evidence}), but torch cannot use it: "
        f"{why_unusable(seen, torch_version, torch_cuda, hidden)} `gndl doctor` says more. "
        "To train on the processor all the same, ask for it: --device cpu."
    )


def why_unusable(seen: SeenGpu, torch_version: str, torch_cuda: str | None, hidden: bool) -> str:
    """Give the likeliest reason why torch sees no GPU, with its mend, as one or two sentences."""
    if hidden:
        return "CUDA_VISIBLE_DEVICES hides every GPU; unset it."
    if torch_cuda is None:
        return (
            f"this torch ({torch_version}) is a build for processors. Install a CUDA build: "
            f"pip install --force-reinstall torch torchvision --index-url INDEX/{torch_build(seen.cuda)}, {WHERE}"
        )
    if seen.cuda and _version(seen.cuda)[0] < _version(torch_cuda)[0]:
        return (
            f"the driver {seen.driver or '(version unknown)'} serves CUDA up to {seen.cuda}, and torch {torch_version} "
            f"was built for {torch_cuda}. Update the driver, or install a build for an older CUDA: "
            f"pip install --force-reinstall torch torchvision --index-url INDEX/{torch_build(seen.cuda)}, {WHERE}"
        )
    if not seen.names:
        return "nvidia-smi does not answer, so the driver is not loaded or broken; mend the driver first."
    return (
        "the driver answers; rights on /dev/nvidia*, a container without its runtime or a failed card may be the cause."
    )


WHERE = "where INDEX is PyTorch's own index of wheels (pytorch.org, Get Started, shows its address)"


def torch_build(cuda: str) -> str:
    """Return the newest build of torch that a driver serving ``cuda`` can run, such as ``cu126``; ``cpu`` for none."""
    served = _version(cuda) if cuda else (13, 0)
    builds = [build for build in ((13, 0), (12, 8), (12, 6)) if build <= served or build[0] == served[0]]
    chosen = next((build for build in builds if build <= served), builds[-1] if builds else None)
    name = "cpu" if chosen is None else f"cu{chosen[0]}{chosen[1]}"
    return name


def _version(text: str) -> tuple[int, int]:
    parts = [int(part) for part in re.findall(r"\d+", text)[:2]]
    return (parts[0], parts[1] if len(parts) > 1 else 0) if parts else (0, 0)


def _answer(*options: str) -> str:
    """What nvidia-smi prints; "" where it is missing, fails or hangs."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    try:
        done = subprocess.run([program, *options], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
