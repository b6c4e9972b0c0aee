"""Look a machine over for ``gndl doctor``: versions, driver, device, JupyterLabs, kernels, disk and data."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from gndl.errors import GndlError
from gndl.machine.doctor import DatabaseFound, Disk, Facts, Server
from gndl.machine.gpu_check import cards, hidden_by_the_user, seen_gpu
from gndl.machine.room import bytes_of_faces, bytes_of_study, count_runs
from gndl.profiles import Profile

MANAGER = Path("share/jupyter/labextensions/@jupyter-widgets/jupyterlab-manager/package.json")
"""Where a JupyterLab keeps its extension for widgets, below the environment's root."""


def gather(databases: dict[str, str], data: str, out: Path, profile: Profile) -> Facts:
    """Look this machine over; nothing is rendered, trained or written.

    Parameters
    ----------
    databases : dict of str to str
        The databases that are asked for, each with the folder that was named for it, ``""`` for none.
    data : str
        Folder of licensed copies, ``""`` for stand-ins.
    out : Path
        Where a study would be written.
    profile : Profile
        Whose study is to fit on the disk.
    """
    from gndl.paths import data_folder, notebooks_folder

    missing = tuple(_missing())
    return Facts(
        python=sys.version_info[:2],
        **_torch(),
        seen=seen_gpu(),
        hidden=hidden_by_the_user(),
        cores=os.cpu_count() or 1,
        memory=_memory(),
        ipywidgets=_version("ipywidgets"),
        servers=tuple(_servers()),
        kernels=_kernels(),
        executable=sys.executable,
        disks=tuple(disks(data_folder(), out, profile, tuple(databases))),
        databases=() if missing else tuple(_databases(databases, data)),  # what reads them may be among the missing
        notebooks=len(list(notebooks_folder().glob("[0-9]_*.ipynb"))),
        missing=missing,
    )


def widget_manager(root: Path) -> str:
    """Version of the extension for widgets of the environment at ``root``, ``""`` where it has none."""
    try:
        return str(json.loads((root / MANAGER).read_text(encoding="utf-8"))["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _torch() -> dict[str, Any]:
    try:
        import torch
    except (ImportError, OSError) as error:
        return {"torch": "", "torch_error": str(error).splitlines()[0] if str(error) else type(error).__name__}
    from gndl.device import choose_device, has_fast_bf16

    available = torch.cuda.is_available()
    return {
        "torch": torch.__version__,
        "torch_cuda": torch.version.cuda,
        "cuda_available": available,
        "cards": cards() if available else (),
        "compiled": tuple(torch.cuda.get_arch_list()) if available else (),
        "fast_bf16": has_fast_bf16(choose_device("auto")),
    }


def _memory() -> int:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    sizes = [line.split()[1] for line in lines if line.startswith("MemTotal:")]
    return 1024 * int(sizes[0]) if sizes else 0


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _missing() -> Iterator[str]:
    """Packages that gndl requires, extras aside, and that are not there."""
    from packaging.requirements import Requirement

    for line in requires("gndl") or ():
        needed = Requirement(line)
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        found = _version(needed.name)
        if not found or not needed.specifier.contains(found, prereleases=True):
            yield f"{needed.name}{needed.specifier}" + (f" (there is {found})" if found else "")


def _servers() -> Iterator[Server]:
    """This environment's JupyterLab, the one on the path, and those that are running."""
    own = Path(sys.prefix).resolve()
    if _version("jupyterlab"):
        yield Server(str(own), widget_manager(own), own=True)
    roots: dict[Path, str] = {}
    found = shutil.which("jupyter-lab")
    if found:
        roots[Path(found).parent.parent.resolve()] = f"{found}"
    for process, root in _running_servers():
        roots.setdefault(root, f"{root} (running, process {process})")
    for root, name in roots.items():
        if root != own:
            yield Server(name, widget_manager(root))


def _running_servers() -> Iterator[tuple[int, Path]]:
    """Processes of this user's running Jupyter servers, with the root of the environment that each runs in."""
    try:
        from jupyter_server.serverapp import list_running_servers
    except ImportError:
        return
    for server in list_running_servers():
        try:
            words = Path(f"/proc/{server['pid']}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        program = Path(os.fsdecode(words[0]))
        if program.is_absolute():
            yield int(server["pid"]), program.parent.parent.resolve()


def _kernels() -> dict[str, str]:
    from jupyter_client.kernelspec import KernelSpecManager

    kernels = {}
    for name, one in KernelSpecManager().get_all_specs().items():
        words = one["spec"].get("argv") or [""]
        kernels[name] = str(words[0])
    return kernels


def disks(data: Path, out: Path, profile: Profile, databases: Sequence[str]) -> Iterator[Disk]:
    """Hold what a new study of a profile takes, at most, against the disks of its faces and of its runs.

    Folders need not be there yet. Where both lie on one disk, both have to fit on it.
    """
    faces, study = bytes_of_faces(profile, databases), bytes_of_study(profile, databases)
    new = f"a new study of profile {profile.name} (weights of {count_runs(profile, databases)} runs"
    if _disk_of(data) == _disk_of(out):
        yield Disk(str(out), _free(out), faces + study, f"{new}; faces at {data})")
        return
    yield Disk(str(data), _free(data), faces, f"the faces of profile {profile.name}")
    yield Disk(str(out), _free(out), study, f"{new})")


def _free(folder: Path) -> int:
    """Bytes free on the disk that a folder would lie on, whether or not it is there yet."""
    return shutil.disk_usage(_there(folder)).free


def _disk_of(folder: Path) -> int:
    return _there(folder).stat().st_dev


def _there(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _databases(databases: dict[str, str], data: str) -> Iterator[DatabaseFound]:
    from gndl.databases import inspect_database, locate_databases
    from gndl.paper import DATABASE_TITLES, DATABASES
    from gndl.paths import data_folder, resolve
    from gndl.sequences import STAND_IN_LABEL

    for name, folder in databases.items():
        if name not in DATABASE_TITLES:
            yield DatabaseFound(name, "", f"there is no such database; choose among {', '.join(DATABASE_TITLES)}")
            continue
        if name not in DATABASES and not data:
            yield DatabaseFound(name, "", "faces of your own need --data MANIFEST.csv; no stand-in takes their place")
            continue
        if not data and not folder:
            there = sorted(path.parts[-3] for path in (data_folder() / "standins").glob(f"*/{name}/{STAND_IN_LABEL}"))
            state = f"rendered already for {', '.join(there)}" if there else "rendered when a study asks for it"
            yield DatabaseFound(name, f"no copy was named: stand-in, {state}")
            continue
        try:
            overrides = {name: resolve(folder)} if folder else {}
            root = locate_databases([name], resolve(data) if data else None, overrides)[name]
            found = inspect_database(name, root)
        except GndlError as error:
            yield DatabaseFound(name, "", str(error).splitlines()[0])
            continue
        errors = [str(one.message).splitlines()[0] for one in found.findings if one.kind == "error"]
        words = f"{len(found.sequences)} sequences of {len(found.subjects)} subjects, {found.source}, at {root}"
        yield DatabaseFound(name, words, errors[0] if errors else "")
