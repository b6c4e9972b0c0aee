"""``gndl doctor`` and ``gndl lab``: look the machine over, and open the notebooks in JupyterLab."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from gndl.errors import GndlError

KERNEL = "gndl"
"""Name of the kernel that this environment is registered under."""


@dataclass(frozen=True)
class Doctor:
    """Say what this machine can do for a study, what stands in the way, and how to mend it; 1 where something does."""

    databases: tuple[str, ...] = ("ckplus", "oulu_casia", "mmi")
    """Whose data is looked for; or manifest."""
    data: str = ""
    """Folder of licensed copies (ckplus, oulu_casia, mmi inside), or a manifest.csv; none: stand-ins."""
    ckplus: str = ""
    """Folder of CK+, where it lies elsewhere."""
    oulu_casia: str = ""
    """Folder of Oulu-CASIA, where it lies elsewhere."""
    mmi: str = ""
    """Folder of MMI, where it lies elsewhere."""
    out: str = "runs"
    """Where studies would be written."""
    profile: str = "quick"
    """Whose study has to fit on the disk: smoke, quick, standard or paper."""


@dataclass(frozen=True)
class Lab:
    """Open the notebooks in JupyterLab, as `make lab` does; an installed package copies them to ./notebooks first."""

    port: int = 8888
    """Port to listen at; another one is taken where it is in use."""
    browser: bool = True
    """Open a browser; --no-browser on a machine that you reach by ssh."""
    register_kernel: bool = False
    """Register this environment's kernel for the JupyterLab of another one, and open nothing (as `make kernel`)."""


def doctor(options: Doctor) -> int:
    """Print every finding with its mend; the exit status is 1 where there is a problem."""
    from gndl.machine.doctor import examine, exit_status, report
    from gndl.machine.facts import gather
    from gndl.machine.room import profile_called
    from gndl.paths import resolve

    given = {"ckplus": options.ckplus, "oulu_casia": options.oulu_casia, "mmi": options.mmi}
    names = [word for value in options.databases for word in value.replace(",", " ").split()]
    asked = {name: given.get(name, "") for name in names}
    profile = profile_called(options.profile)
    findings = examine(gather(asked, options.data, resolve(options.out), profile))
    print(report(findings))
    return exit_status(findings)


def lab(options: Lab) -> int:
    """Open JupyterLab on the notebooks and return its exit status."""
    from gndl.paths import is_repository, notebooks_folder, repository_root

    if options.register_kernel:
        return subprocess.call(register_kernel_command())
    root = repository_root()
    folder = notebooks_folder() if is_repository() else copied_notebooks(notebooks_folder(), root / "notebooks")
    # In a repository the filter keeps outputs, and so faces, out of every commit of a notebook.
    inside = subprocess.run(["git", "-C", str(root), "rev-parse", "--git-dir"], capture_output=True, check=False)
    if is_repository() and inside.returncode == 0:
        subprocess.run([sys.executable, "-m", "nbstripout", "--install"], cwd=root, check=False)
    command = [sys.executable, "-m", "jupyter", "lab", f"--port={options.port}", str(folder)]
    command += [] if options.browser else ["--no-browser"]
    return subprocess.call(command, cwd=root, env={**os.environ, "GNDL_HOME": str(root)})


def register_kernel_command() -> list[str]:
    """The command that registers this environment's kernel for the user's other JupyterLabs."""
    title = f"Python (gndl, {Path(sys.prefix).name})"
    return [sys.executable, "-m", "ipykernel", "install", "--user", "--name", KERNEL, "--display-name", title]


def copied_notebooks(source: Path, target: Path) -> Path:
    """Copy an installed package's notebooks to where they may be run and changed; those that are there stay.

    Raises
    ------
    GndlError
        Where the package has none.
    """
    found = sorted(source.glob("[0-9]_*.ipynb"))
    if not found:
        raise GndlError(f"{source}: holds no notebook; install gndl again (pip install .), or call it from its folder.")
    target.mkdir(parents=True, exist_ok=True)
    for notebook in found:
        if not (target / notebook.name).exists():
            shutil.copy2(notebook, target / notebook.name)
    return target
