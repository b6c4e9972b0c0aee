"""What this machine can do for a study, what is missing, and how to fix it. Starts without torch."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal, NamedTuple

from gndl.files import counted, data_folder

GIGABYTE = 1_000_000_000


class Finding(NamedTuple):
    """One check: what was found, and the fix where there is one."""

    kind: Literal["ok", "note", "PROBLEM"]
    subject: str
    found: str
    fix: str = ""


class Findings(list[Finding]):
    """All checks; as text one line each, its fix below it."""

    @property
    def ok(self) -> bool:
        """Whether a study could run."""
        return all(one.kind != "PROBLEM" for one in self)

    def __str__(self) -> str:
        lines = [f"{kind:8}{what}: {found}" + (f"\n{'':8}-> {fix}" if fix else "") for kind, what, found, fix in self]
        count = sum(one.kind == "PROBLEM" for one in self)
        return "\n".join([*lines, "", f"{counted(count, 'problem')}." if count else "No problems found."])


def examine(out: Path) -> Findings:
    """Make every check, in the order in which a study would run into them."""
    python, found = sys.version_info, Findings()
    fix = "" if (3, 11) <= python[:2] < (3, 14) else "install Python 3.11 to 3.13 and reinstall gndl"
    found.append(Finding("PROBLEM" if fix else "ok", "Python", ".".join(map(str, python[:3])), fix))
    if missing := list(_missing_packages("")):
        found.append(Finding("PROBLEM", "packages", ", ".join(missing), "make install, or pip install ."))
    if renderer := list(_missing_packages("standins")):
        fix = "pip install 'gndl[standins]'; not needed for licensed copies or your own faces"
        found.append(Finding("note", "stand-ins cannot be rendered", ", ".join(renderer), fix))
    found.append(_device())
    for folder in (out, data_folder()):
        free = shutil.disk_usage(_existing(folder)).free
        found.append(Finding("note", "disk", f"{free / GIGABYTE:.1f} GB free at {folder}"))
    return found


def _missing_packages(extra: str) -> Iterator[str]:
    from packaging.requirements import Requirement

    for one in map(Requirement, requires("gndl") or ()):
        if extra not in str(one.marker or "") or (one.marker and not one.marker.evaluate({"extra": extra})):
            continue
        try:
            found = version(one.name)
        except PackageNotFoundError:
            yield f"{one.name} is not installed"
            continue
        if not one.specifier.contains(found, prereleases=True):
            yield f"{one.name} {found} is installed, {one.specifier} needed"


def _device() -> Finding:
    try:
        import torch
    except (ImportError, OSError) as error:
        return Finding("PROBLEM", "torch", f"cannot be imported ({error})", "pip install torch torchvision")
    build = f"torch {torch.__version__}"
    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count()))
        return Finding("ok", "device", f"{names}; {build}")
    if shutil.which("nvidia-smi"):
        gpus = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False).stdout.strip()
        if gpus:
            fix = "install the torch build for your driver (https://pytorch.org/get-started), or pass --device cpu"
            return Finding("PROBLEM", "device", f"{build} cannot use {gpus.splitlines()[0]}", fix)
    return Finding("note", "device", f"{os.cpu_count()} CPU cores, no GPU; {build}", "profile paper needs a GPU")


def _existing(folder: Path) -> Path:
    return folder if folder.exists() or folder == folder.parent else _existing(folder.parent)
