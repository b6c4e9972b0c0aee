"""Nothing from outside is executed, nothing is fetched, and a photograph of one's own is written nowhere."""

from __future__ import annotations

import ast
import io
import json
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
UNPICKLING = {"pickle", "_pickle", "cPickle", "pickle5", "dill", "cloudpickle", "jsonpickle", "marshal", "shelve"}
"""Modules that execute what they read; not even imported."""

LOADERS = {"load", "loads", "read_pickle", "Unpickler", "unsafe_load", "full_load", "load_pickle"}
"""Last names of what reads objects, whichever module they are taken from and whatever it is called there."""

PLAIN = {"json.load", "json.loads", "np.load", "numpy.load", "torch.load"}
"""Loaders that give plain data: numpy's and torch's by the arguments, which are looked at as well."""

ON_PURPOSE = {
    "gndl/databases/pictures.py: image.load": "Pillow decodes the pixels of a picture whose format is one of a list",
    "gndl/outside_methods.py: entry.load": "a method of a package that the user has installed for it",
}
"""Calls that are meant, with the reason."""


def unsafe_in(source: str) -> set[str]:
    """Every call and import of a source by which content of a file could be executed."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {f"import {alias.name}" for alias in node.names if alias.name.split(".")[0] in UNPICKLING}
        if isinstance(node, ast.ImportFrom):
            module = (node.module or "").split(".")[0]
            taken = [alias.name for alias in node.names if alias.name in LOADERS and module != "json"]
            if module in UNPICKLING or taken:
                found.add(f"from {node.module} import {', '.join(taken)}")
        if not isinstance(node, ast.Call):
            continue
        called, given = ast.unparse(node.func), {word.arg: word.value for word in node.keywords}
        first = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
        last = called.split(".")[-1]
        if called in ("eval", "exec") or (last in LOADERS and called not in PLAIN):
            found.add(called)
        if last in ("import_module", "__import__") and str(first).split(".")[0] in UNPICKLING:
            found.add(f"{last} {first}")
        if called == "torch.load" and ast.unparse(given.get("weights_only", ast.Constant(None))) != "True":
            found.add("torch.load without weights_only")
        if "allow_pickle" in given or (called in ("np.load", "numpy.load") and (len(node.args) > 2 or None in given)):
            found.add("allow_pickle")
    return found


def fetches(source: str) -> bool:
    """Whether a source imports something that opens connections, or asks torch to."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            if any(module.split(".")[0] in NETWORK for module in modules):
                return True
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("torch.hub."):
            return True
    return False


def sources() -> dict[str, str]:
    """The code of the package, of its notebooks and of the campaigns, by path; of notebooks without magic lines."""
    root = PACKAGE.parent
    code = {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
        for folder in (PACKAGE, root / "campaigns")
        for path in sorted(folder.rglob("*.py"))
    }
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        lines = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code").splitlines()
        code[path.relative_to(root).as_posix()] = "\n".join(line for line in lines if not line.startswith(("%", "!")))
    return code


def test_only_one_module_can_fetch_anything_and_none_unpickles() -> None:
    """Fetching is `gndl fetch-weights`; torch.load asks for plain tensors, numpy for no pickles, everywhere."""
    code = sources()
    assert {name.split("/")[0] for name in code} == {"gndl", "campaigns", "notebooks"}
    unsafe = {f"{name}: {what}" for name, source in code.items() for what in unsafe_in(source)}
    assert unsafe == set(ON_PURPOSE)
    assert {name for name, source in code.items() if fetches(source)} == {"gndl/weights.py"}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import pickle as p\np.load(file)",
        "from pickle import load\nload(file)",
        "from pickle import load as read",
        "import _pickle",
        "import dill",
        "import shelve",
        "from cloudpickle import loads",
        "importlib.import_module('pickle')",
        "__import__('pickle').loads(b'')",
        "reader.Unpickler(file).load()",
        "import pandas as pd\npd.read_pickle('a.pkl')",
        "from pandas import read_pickle",
        "joblib.load('a')",
        "from joblib import load",
        "import joblib as j\nj.load('a')",
        "torch.load('a')",
        "torch.load('a', weights_only=False)",
        "import torch as t\nt.load('a')",
        "from torch import load",
        "torch.jit.load('a')",
        "np.load('a', allow_pickle=True)",
        "np.load('a', None, True)",
        "np.load('a', **options)",
        "yaml.unsafe_load(text)",
        "eval(text)",
        "exec(text)",
    ],
)
def test_every_common_way_to_unpickle_is_seen(source: str) -> None:
    """Under another name, from a module or by a method: planted, each of them is found."""
    assert unsafe_in(source)


@pytest.mark.parametrize(
    "source",
    ["json.loads(text)", "torch.load('a', weights_only=True)", "np.load('a', mmap_mode='r')", "network.eval()"],
)
def test_reading_plain_data_is_allowed(source: str) -> None:
    """So that a finding is one."""
    assert not unsafe_in(source)


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
