"""Nothing from outside is executed, nothing is fetched, and a photograph of one's own is written nowhere."""

from __future__ import annotations

import ast
import io
import os
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import resnet18, resnet34, resnet50

from gndl import frames_reading
from gndl.checkpoint import load_state
from gndl.errors import GndlError
from gndl.explore.own_photograph import decode_photograph
from gndl.photograph import crop_photograph
from gndl.weights import load_backbone_weights

PACKAGE = Path(frames_reading.__file__).parent


class Payload:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("kind", ["plain pickle", "torch", "old torch", "inside a state dict"])
@pytest.mark.parametrize("suffix", [".pt", ".pth.tar", ".safetensors", ".bin"])
def test_a_pickle_with_code_is_refused_and_does_not_run(tmp_path: Path, kind: str, suffix: str) -> None:
    """As weights and as a checkpoint, whatever it is called and however it is packed."""
    marker = tmp_path / "executed"
    content: Any = Payload(marker)
    if kind == "inside a state dict":
        content = {"state_dict": {"conv1.weight": torch.zeros(2), "epoch": content}}
    packed = io.BytesIO()
    if kind == "plain pickle":
        pickle.dump(content, packed)
    else:
        torch.save(content, packed, _use_new_zipfile_serialization=kind != "old torch")
    file = tmp_path / f"weights{suffix}"
    file.write_bytes(packed.getvalue())
    with pytest.raises(GndlError, match=r"weights.*: is no file of plain tensors .*would execute code are refused"):
        load_backbone_weights(torch.nn.ModuleDict({"backbone": torch.nn.Linear(2, 2)}), file)
    (tmp_path / "resume.pt").write_bytes(packed.getvalue())
    with pytest.raises(GndlError, match=r"resume\.pt: is damaged; delete it"):
        load_state(tmp_path, {})
    assert not marker.exists()


@pytest.mark.parametrize("size", [0, 1, 3000, 0.5, 0.99])
def test_weights_cut_short_are_refused_by_name(tmp_path: Path, size: float) -> None:
    """A download that broke off, at any place."""
    method = torch.nn.ModuleDict({"backbone": torch.nn.Linear(100, 100)})
    torch.save(method["backbone"].state_dict(), tmp_path / "cut.pth")
    whole = (tmp_path / "cut.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: int(size * len(whole)) if size < 1 else int(size)])
    with pytest.raises(GndlError, match=r"cut\.pth: is no file of plain tensors"):
        load_backbone_weights(method, tmp_path / "cut.pth")


@pytest.mark.parametrize("other", [resnet34, resnet50])
def test_weights_of_a_larger_network_are_refused_by_name(tmp_path: Path, other: Any) -> None:
    """A ResNet-34 holds every tensor of a ResNet-18 and is none; on a meta device their shapes cost nothing."""
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in other().state_dict().items()}
        method = torch.nn.ModuleDict({"backbone": resnet18()})
    torch.save({key: torch.zeros(()).expand(shape) for key, shape in shapes.items()}, tmp_path / "other.pt")
    with pytest.raises(GndlError, match=r"other\.pt: holds (blocks that a ResNet-18 has not \(layer1\.2|\d+ of the)"):
        load_backbone_weights(method, tmp_path / "other.pt")


NETWORK = {"socket", "urllib", "http", "ftplib", "smtplib", "requests", "httpx", "aiohttp", "websockets", "webbrowser"}
LOADERS = {
    "pickle.load",
    "pickle.loads",
    "joblib.load",
    "marshal.loads",
    "dill.load",
    "pandas.read_pickle",
    "eval",
    "exec",
}


def test_only_one_module_can_fetch_anything_and_none_unpickles() -> None:
    """Fetching is `gndl fetch-weights`; torch.load asks for plain tensors, numpy for no pickles, everywhere."""
    fetching, unsafe = set(), set()
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
                if any(module.split(".")[0] in NETWORK for module in modules):
                    fetching.add(name)
            if not isinstance(node, ast.Call):
                continue
            called, given = ast.unparse(node.func), {word.arg: word.value for word in node.keywords}
            if called in LOADERS:
                unsafe.add(f"{name}: {called}")
            if called == "torch.load" and ast.unparse(given.get("weights_only", ast.Constant(None))) != "True":
                unsafe.add(f"{name}: torch.load without weights_only")
            if "allow_pickle" in given:
                unsafe.add(f"{name}: allow_pickle")
            if called.startswith("torch.hub."):
                fetching.add(name)
    assert unsafe == set() and fetching == {"weights.py"}


def test_a_photograph_of_ones_own_is_written_and_sent_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From its bytes to the face that was found (or none) no file is opened for writing and no socket connected."""
    monkeypatch.chdir(tmp_path)
    content = io.BytesIO()
    Image.fromarray(np.full((120, 100, 3), 90, np.uint8)).save(content, format="PNG")
    done: list[str] = []

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event == "socket.connect":
            done.append(event)
        if watching and event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
            if "__pycache__" in str(arguments[0]):  # of a module that is met for the first time
                return
            done.append(f"{event} {arguments[0]}")

    watching = False
    sys.addaudithook(audit)
    watching = True
    try:
        (tmp_path / "planted").touch()
        with open(tmp_path / "planted", "w"):  # noqa: PTH123
            pass
        assert done, "the watch works"
        done.clear()
        with pytest.raises(GndlError, match="no face was found"):
            crop_photograph(decode_photograph(content.getvalue(), "mine.png"))
    finally:
        watching = False
    assert done == [] and [path.name for path in tmp_path.iterdir()] == ["planted"]
