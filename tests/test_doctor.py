"""The doctor: what would stop a study is a problem with its fix, and it works on a machine without torch."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from gndl import cli, doctor
from gndl.doctor import GIGABYTE, examine


def test_the_free_disk_is_shown_for_studies_and_for_faces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where the folders do not exist yet."""
    usage = type(shutil.disk_usage("/"))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(16, 8, 8 * GIGABYTE))
    monkeypatch.setenv("GNDL_DATA", str(tmp_path / "data"))
    cli.doctor(out=str(tmp_path / "runs"))
    shown = capsys.readouterr().out
    assert f"8.0 GB free at {tmp_path / 'runs'}\n" in shown and f"8.0 GB free at {tmp_path / 'data'}\n" in shown


def test_a_missing_or_old_package_is_named_with_its_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that gndl needs is a problem; the renderer, which only stand-ins need, is a note."""

    def found(name: str) -> str:
        if name in ("tyro", "anny"):
            raise PackageNotFoundError
        return "1.0" if name == "numpy" else installed(name)

    installed = doctor.version
    monkeypatch.setattr(doctor, "version", found)
    examined = examine(tmp_path)
    findings = {one.subject: one for one in examined}
    assert findings["packages"].kind == "PROBLEM" and findings["stand-ins cannot be rendered"].kind == "note"
    assert (
        "tyro is not installed" in findings["packages"].found and "numpy 1.0 is installed" in findings["packages"].found
    )
    assert "anny" in findings["stand-ins cannot be rendered"].found
    assert "-> make install" in str(examined)


def test_a_gpu_that_torch_cannot_use_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system lists one, torch does not."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(shutil, "which", lambda name: name)
    listed = subprocess.CompletedProcess([], 0, "GPU 0: NVIDIA A100 (UUID: GPU-1)\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: listed)
    (device,) = [one for one in examine(tmp_path) if one.subject == "device"]
    assert device.kind == "PROBLEM" and "cannot use GPU 0: NVIDIA A100" in device.found and "--device cpu" in device.fix


def test_it_starts_without_torch(tmp_path: Path) -> None:
    """That torch cannot be imported is a finding, not a traceback."""
    (tmp_path / "torch.py").write_text("raise ImportError('no CUDA libraries')")
    command = [sys.executable, "-c", "import sys; sys.argv[1:] = ['doctor']; from gndl.cli import main; main()"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env={"PYTHONPATH": str(tmp_path), "PATH": ""}
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "PROBLEM torch: cannot be imported (no CUDA libraries)" in done.stdout
