"""The doctor: what would stop a study is a problem with its fix, and it works on a machine without torch."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from gndl import doctor
from gndl.doctor import GIGABYTE, Finding, examine


def finding(subject: str, out: Path) -> Finding:
    """The finding about one subject."""
    return next(one for one in examine(out) if one.subject == subject)


def test_the_free_disk_is_shown_for_studies_and_for_faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the folders do not exist yet."""
    usage = type(shutil.disk_usage("/"))
    monkeypatch.setattr(
        shutil, "disk_usage", lambda folder: usage(16, 8, (8 if folder.name == "new" else 1) * GIGABYTE)
    )
    (tmp_path / "new").mkdir()
    monkeypatch.setenv("GNDL_DATA", str(tmp_path / "new" / "data"))
    shown = str(examine(tmp_path / "new" / "far" / "runs"))
    for folder in ("far/runs", "data"):
        assert f"note    disk: 8.0 GB free at {tmp_path / 'new' / folder}\n" in shown


@pytest.mark.parametrize(
    ("python", "kind"), [((3, 10, 9), "PROBLEM"), ((3, 11, 0), "ok"), ((3, 13, 9), "ok"), ((3, 14, 0), "PROBLEM")]
)
def test_a_python_that_is_too_old_or_too_new_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, python: tuple[int, ...], kind: str
) -> None:
    monkeypatch.setattr(sys, "version_info", python)
    found = finding("Python", tmp_path)
    assert (found.kind, found.found, bool(found.fix)) == (kind, ".".join(map(str, python)), kind == "PROBLEM")


def test_a_missing_or_old_package_is_named_with_its_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that gndl needs is a problem; the renderer, which only stand-ins need, is a note; a test tool is neither."""

    def found(name: str) -> str:
        if name in ("tyro", "anny", "ruff", "ray"):
            raise PackageNotFoundError
        return "1.0" if name == "numpy" else installed(name)

    installed = doctor.version
    assert examine(tmp_path).ok and "No problems found." in str(examine(tmp_path))
    monkeypatch.setattr(doctor, "version", found)
    examined = examine(tmp_path)
    findings = {one.subject: one for one in examined}
    packages, renderer = findings["packages"], findings["stand-ins cannot be rendered"]
    assert (packages.kind, renderer.kind) == ("PROBLEM", "note")
    assert packages.found == "numpy 1.0 is installed, <3,>=2.0 needed, tyro is not installed"
    assert renderer.found == "anny is not installed" and "gndl[standins]" in renderer.fix
    assert "\n        -> make install" in str(examined)
    assert not examined.ok and str(examined).endswith("\n1 problem.")


@pytest.mark.parametrize(
    ("torch_sees", "system_lists", "kind", "words"),
    [
        (["A100", "H200"], "", "ok", "A100, H200; torch"),
        ([], "GPU 0: NVIDIA A100 (UUID: GPU-1)\nGPU 1: B", "PROBLEM", "cannot use GPU 0: NVIDIA A100 (UUID: GPU-1)"),
        ([], "", "note", "CPU cores, no GPU"),
    ],
)
def test_a_gpu_that_torch_cannot_use_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torch_sees: list[str], system_lists: str, kind: str, words: str
) -> None:
    """The system lists one, torch does not; without any, a study runs on the processor."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: bool(torch_sees))
    monkeypatch.setattr("torch.cuda.device_count", lambda: len(torch_sees))
    monkeypatch.setattr("torch.cuda.get_device_name", torch_sees.__getitem__)
    monkeypatch.setattr(shutil, "which", lambda name: name)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, f"{system_lists}\n"))
    device = finding("device", tmp_path)
    assert device.kind == kind and words in device.found and ("--device cpu" in device.fix) == (kind == "PROBLEM")


def test_it_starts_without_torch(tmp_path: Path) -> None:
    """That torch cannot be imported is a finding, not a traceback."""
    (tmp_path / "torch.py").write_text("raise ImportError('no CUDA libraries')")
    command = [sys.executable, "-c", "import sys; sys.argv[1:] = ['doctor']; from gndl.cli import main; main()"]
    environment = {"PYTHONPATH": f"{tmp_path}:{Path(doctor.__file__).parents[1]}", "PATH": ""}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "PROBLEM torch: cannot be imported (no CUDA libraries)" in done.stdout
