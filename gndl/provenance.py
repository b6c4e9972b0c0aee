"""Where a number came from: versions, the state of the repository and the machine."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gndl.paths import is_repository, repository_root


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a number can depend on."""
    found = {"python": platform.python_version()}
    for name in ("gndl", "torch", "torchvision", "numpy", "pandas", "pillow", "av", "dlib-bin", "anny", "warp-lang"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def git_state() -> dict[str, Any]:
    """Commit of the repository that the package runs from, and whether tracked files differ from it.

    An installed package runs from none, and the user's own repository around it says nothing about the code.
    """
    if not is_repository():
        return {"commit": None, "changed": None}

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(repository_root()), *words], capture_output=True, text=True, timeout=10, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    return {"commit": commit, "changed": None if commit is None else bool(git("status", "--porcelain", "-uno"))}


def machine() -> dict[str, Any]:
    """Processor, cores, memory and GPU."""
    import torch
    from joblib import cpu_count

    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                processor = line.split(":", 1)[1].strip()
                break
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    return {
        "system": platform.platform(),
        "processor": processor,
        "cores": cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpu": gpu,
    }
