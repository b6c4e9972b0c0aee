"""``gndl doctor``: what this machine can do for a study, what stands in the way, and how to mend it.

The checks are plain functions of `Facts`; `gndl.machine.facts` gathers these from the machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gndl.machine.gpu_check import WHERE, Card, SeenGpu, not_served, other_torch, serves, why_unusable

Kind = Literal["fine", "note", "problem"]

GIGABYTE = 1_000_000_000
NEEDED_MEMORY = 3 * GIGABYTE

OLDEST_MANAGER = 5
"""Major version of the notebook server's widget extension that ipywidgets 8 talks to."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: what was found, and its mend where something is to be done.

    ``kind`` is ``"problem"`` where a study would fail or be crippled, ``"note"`` where the user should know, else
    ``"fine"``.
    """

    kind: Kind
    subject: str
    found: str
    mend: str = ""


@dataclass(frozen=True)
class Server:
    """A JupyterLab that notebooks may be opened in.

    Parameters
    ----------
    name : str
        What it is, such as its program's path.
    manager : str
        Version of its extension for widgets, ``""`` where it has none.
    own : bool
        Whether it belongs to this environment.
    """

    name: str
    manager: str
    own: bool = False


@dataclass(frozen=True)
class DatabaseFound:
    """Where a database would be read from; ``error`` says why it cannot be."""

    name: str
    place: str
    error: str = ""


@dataclass(frozen=True)
class Disk:
    """The bytes that are free where a folder lies, those that a new study needs there at most, and for what."""

    folder: str
    free: int
    needed: int
    what: str


@dataclass(frozen=True)
class Facts:
    """What was found on a machine; see `gndl.machine.facts.gather`.

    Parameters
    ----------
    python : tuple of int
        Its version, as (3, 11).
    torch : str
        Version, ``""`` where torch cannot be imported, with the error in ``torch_error``.
    torch_cuda : str or None
        CUDA that torch was built for; None for a build for processors.
    cuda_available : bool
    cards : tuple of Card
        GPUs as torch sees them.
    compiled : tuple of str
        Architectures that torch was compiled for, as ``"sm_90"``.
    seen : SeenGpu
        GPUs as the system shows them.
    hidden : bool
        ``CUDA_VISIBLE_DEVICES`` hides every GPU.
    fast_bf16 : bool
        Whether the device that is taken multiplies in bf16.
    cores, memory : int
        Cores of the processor, and bytes of memory (0 where unknown).
    ipywidgets : str
        Version in this environment, which is the kernel's.
    servers : tuple of Server
    kernels : dict of str to str
        Kernels registered on this machine: name to the Python that each starts.
    executable : str
        This environment's Python.
    disks : tuple of Disk
    databases : tuple of DatabaseFound
    notebooks : int
        Notebooks of the package that were found.
    missing : tuple of str
        Packages that gndl needs and that are not installed.
    """

    python: tuple[int, int]
    torch: str
    torch_cuda: str | None = None
    torch_error: str = ""
    cuda_available: bool = False
    cards: tuple[Card, ...] = ()
    compiled: tuple[str, ...] = ()
    seen: SeenGpu = field(default_factory=SeenGpu)
    hidden: bool = False
    fast_bf16: bool = False
    cores: int = 1
    memory: int = 0
    ipywidgets: str = ""
    servers: tuple[Server, ...] = ()
    kernels: dict[str, str] = field(default_factory=dict)
    executable: str = ""
    disks: tuple[Disk, ...] = ()
    databases: tuple[DatabaseFound, ...] = ()
    notebooks: int = 9
    missing: tuple[str, ...] = ()


def examine(facts: Facts) -> list[Finding]:
    """Make every check, in the order in which a study would meet them."""
    return [
        *_installed(facts),
        *_device(facts),
        *_widgets(facts),
        *_kernel(facts),
        *_room(facts),
        *_data(facts),
    ]


def report(findings: list[Finding]) -> str:
    """Write findings as text: one line each, its mend below it, and what they come to."""
    signs = {"fine": "ok     ", "note": "note   ", "problem": "PROBLEM"}
    lines = []
    for one in findings:
        lines.append(f"{signs[one.kind]} {one.subject}: {one.found}")
        if one.mend:
            lines.append(f"        -> {one.mend}")
    count = sum(one.kind == "problem" for one in findings)
    lines.append("")
    lines.append(f"{count} problem{'' if count == 1 else 's'}." if count else "Nothing stands in the way of a study.")
    return "\n".join(lines)


def exit_status(findings: list[Finding]) -> int:
    """1 where there is a problem, else 0; notes alone are none."""
    return int(any(one.kind == "problem" for one in findings))


def _installed(facts: Facts) -> list[Finding]:
    found = []
    version = ".".join(map(str, facts.python))
    if (3, 11) <= facts.python < (3, 14):
        found.append(Finding("fine", "Python", version))
    else:
        found.append(Finding("problem", "Python", f"{version} is not 3.11 to 3.13", "install one of these, and anew"))
    if facts.missing:
        names = ", ".join(facts.missing)
        found.append(Finding("problem", "packages", f"not installed: {names}", "make install, or pip install ."))
    if facts.notebooks == 0:
        mend = "install gndl again, or call it from the repository"
        found.append(Finding("problem", "notebooks", "none of the package's notebooks were found", mend))
    if not facts.torch:
        mend = "pip install torch torchvision; for the build for processors add --index-url INDEX/cpu, " + WHERE
        found.append(Finding("problem", "torch", f"cannot be imported ({facts.torch_error})", mend))
    return found


def _device(facts: Facts) -> list[Finding]:
    if not facts.torch:
        return []
    build = f"torch {facts.torch}, " + (f"built for CUDA {facts.torch_cuda}" if facts.torch_cuda else "for processors")
    if facts.cuda_available:
        return [_usable(facts, build)]
    if facts.seen.evidence:
        why = why_unusable(facts.seen, facts.torch, facts.torch_cuda, facts.hidden)
        mend = f"{why} Until then profile paper stops, unless --device cpu is asked for"
        return [Finding("problem", "device", f"a GPU is there ({facts.seen.evidence}) that {build} cannot use", mend)]
    found = [Finding("fine", "device", f"processor with {facts.cores} cores, no GPU seen; {build}")]
    if not facts.fast_bf16:
        words = "no bf16 instructions (avx512_bf16, amx_bf16), in which profile standard computes"
        found.append(Finding("note", "precision", words, "profiles smoke and quick need none; else --precision fp32"))
    found.append(Finding("note", "profile paper", "is meant for a GPU and takes days on a processor", ""))
    return found


def _usable(facts: Facts, build: str) -> Finding:
    unserved = [card for card in facts.cards if not serves(facts.compiled, card.capability)]
    if unserved:
        words = not_served(unserved, build, facts.compiled)
        return Finding("problem", "device", words, other_torch(unserved, facts.compiled))
    names = [card.name for card in facts.cards] or facts.seen.names or ["a CUDA device"]
    driver = f", driver {facts.seen.driver}" if facts.seen.driver else ""
    return Finding("fine", "device", f"{', '.join(names)}{driver}; {build}")


def _widgets(facts: Facts) -> list[Finding]:
    found = []
    if not facts.ipywidgets:
        found.append(Finding("problem", "widgets in the kernel", "ipywidgets is missing", "pip install ipywidgets"))
    else:
        found.append(Finding("fine", "widgets in the kernel", f"ipywidgets {facts.ipywidgets}"))
    for server in facts.servers:
        subject = "widgets in this JupyterLab" if server.own else f"widgets in {server.name}"
        mend = "in that JupyterLab's environment: pip install 'jupyterlab_widgets>=3', and start it again"
        # A server of another environment is none of this study's business until notebooks are opened in it.
        kind: Kind = "problem" if server.own else "note"
        if not server.manager:
            found.append(Finding(kind, subject, "no extension for widgets, so explorers show as text", mend))
        elif int(server.manager.split(".")[0]) < OLDEST_MANAGER:
            words = f"its extension {server.manager} is too old for ipywidgets {facts.ipywidgets}"
            found.append(Finding(kind, subject, words, mend))
        else:
            found.append(Finding("fine", subject, f"extension {server.manager}"))
    if not any(server.own for server in facts.servers):
        mend = "pip install jupyterlab here, or `make kernel` to use another JupyterLab"
        found.append(Finding("note", "JupyterLab", "none in this environment", mend))
    return found


def _kernel(facts: Facts) -> list[Finding]:
    python = facts.kernels.get("gndl")
    if python is None:
        mend = "`make kernel` (gndl lab --register-kernel) offers this environment in a JupyterLab of another one"
        return [Finding("note", "kernel", "not registered, which `make lab` does not need", mend)]
    if Path(python) != Path(facts.executable):
        words = f"the kernel gndl starts {python}, not this environment's {facts.executable}"
        return [Finding("problem", "kernel", words, "make kernel, which registers this environment instead")]
    return [Finding("fine", "kernel", f"gndl starts {python}")]


def _room(facts: Facts) -> list[Finding]:
    found = []
    for disk in facts.disks:
        words = f"{disk.free / GIGABYTE:.1f} GB free at {disk.folder}; {disk.needed / GIGABYTE:.1f} for {disk.what}"
        if disk.free < disk.needed:
            mend = "free some, or move data by GNDL_DATA=/path and studies by OUT=/path (--out)"
            found.append(Finding("problem", "disk", words, mend))
        else:
            found.append(Finding("fine", "disk", words))
    if 0 < facts.memory < NEEDED_MEMORY:
        words = f"{facts.memory / GIGABYTE:.1f} GB; two processes take about {NEEDED_MEMORY // GIGABYTE} GB"
        found.append(Finding("problem", "memory", words, "JOBS=1"))
    return found


def _data(facts: Facts) -> list[Finding]:
    found = []
    for one in facts.databases:
        if one.error:
            mend = (
                "`gndl check FOLDER --database NAME` says what a folder holds; without --data, stand-ins are rendered"
            )
            found.append(Finding("problem", one.name, one.error, mend))
        else:
            found.append(Finding("fine", one.name, one.place))
    return found
