"""A method of one's own is told apart by all of its code, in a file and in a notebook."""

from __future__ import annotations

import functools
import importlib.util
import linecache
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch

from gndl.errors import GndlError
from gndl.execute import execute_notebook
from gndl.method_code import method_hash
from gndl.methods import method_settings, register_method
from gndl.model import GNDL

FILE = '''
"""A method in a file."""
import torch
from torch import nn
from gndl.model import Method, Output

SCALE = 2.0


def half(images):
    return images / SCALE  # a comment


class Mine(Method):
    def __init__(self, n_classes):
        super().__init__()
        self.classifier = nn.Linear(3, n_classes)

    def forward(self, examined, neutral=None):
        f = half(examined).mean((2, 3))
        return Output(self.classifier(f), f)
'''
CHANGES = [("SCALE = 2.0", "SCALE = 3.0"), ("images / SCALE", "images * SCALE"), ("(2, 3)", "(3, 2)")]


def load_file(path: Path, source: str) -> Any:
    """Import ``source`` as a module of its own file."""
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def in_session(source: str, name: str = "session_without_file") -> Any:
    """Run ``source`` as a notebook does: in a module that has no file."""
    module = types.ModuleType(name)
    sys.modules[name] = module
    file = f"<cell {hash(source)}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    exec(compile(source, file, "exec"), module.__dict__)
    return module


@pytest.mark.parametrize("load", [lambda folder, source: load_file(folder / "own.py", source),
                                  lambda _, source: in_session(source)], ids=["file", "notebook"])  # fmt: skip
def test_constants_and_functions_that_a_method_refers_to_are_part_of_it(
    tmp_path: Path, load: Callable[[Path, str], Any]
) -> None:
    """A changed constant, helper or line of its own gives another hash; a comment or the same again does not."""
    first = method_hash(load(tmp_path, FILE).Mine)
    assert method_hash(load(tmp_path, FILE.replace("# a comment", "# another")).Mine) == first
    changed = {method_hash(load(tmp_path, FILE.replace(old, new)).Mine) for old, new in CHANGES}
    assert first not in changed and len(changed) == len(CHANGES)


def test_files_that_a_method_imports_from_are_part_of_it(tmp_path: Path) -> None:
    """Helpers in a second file of one's own, reached from a file and from a notebook."""
    source = "from gndl.model import GNDL\nimport own_layers\nclass Mine(GNDL):\n    def f(self):\n        return {}\n"
    layers = tmp_path / "own_layers.py"
    for call in ("own_layers.double(1)", "own_layers"):
        load_file(layers, "TWO = 2\ndef double(x):\n    return TWO * x\n")
        text = source.format(call)
        before = [method_hash(load_file(tmp_path / "own.py", text).Mine), method_hash(in_session(text).Mine)]
        load_file(layers, "TWO = 3\ndef double(x):\n    return TWO * x\n")
        after = [method_hash(load_file(tmp_path / "own.py", text).Mine), method_hash(in_session(text).Mine)]
        assert before[0] != after[0] and before[1] != after[1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("X = {'a': [1, 2]}", "X = {'a': [1, 3]}"),
        ("X = torch.zeros(3)", "X = torch.ones(3)"),
        ("X = torch.nn.Linear(1, 1, bias=False).requires_grad_(False); X.weight.fill_(1)",
         "X = torch.nn.Linear(1, 1, bias=False).requires_grad_(False); X.weight.fill_(2)"),
        ("X = functools.partial(max, 1)", "X = functools.partial(max, 2)"),
        ("X = lambda: 1", "X = lambda: 2"),
        ("X = torch.no_grad()(lambda: 1)", "X = torch.no_grad()(lambda: 2)"),
        ("@dataclasses.dataclass\nclass C:\n    a: int = 1\nX = C()",
         "@dataclasses.dataclass\nclass C:\n    a: int = 2\nX = C()"),
        ("class C:\n    @functools.cached_property\n    def a(self): return 1\nX = C",
         "class C:\n    @functools.cached_property\n    def a(self): return 2\nX = C"),
        ("def X(n): return X(n - 1) + 1", "def X(n): return X(n - 1) + 2"),
    ],
)  # fmt: skip
def test_values_of_a_notebook_are_told_apart_by_content(one: str, other: str) -> None:
    """Containers, tensors, networks, functions and objects of one's own classes; the same again is the same."""
    imports = "import dataclasses, functools, torch\nfrom gndl.model import GNDL\n"
    method = "\nclass Mine(GNDL):\n    def f(self):\n        return X\n"
    first, again, changed = (method_hash(in_session(imports + text + method).Mine) for text in (one, one, other))
    assert first == again != changed


def test_what_a_factory_has_bound_is_part_of_it() -> None:
    """Closures and arguments given beforehand; this package's own methods have no code of their own."""

    def bind(slope: float) -> Callable[..., Any]:
        return lambda n_classes, lam: GNDL(n_classes, lam, slope=slope)

    assert method_hash(bind(0.1)) == method_hash(bind(0.1)) != method_hash(bind(0.2))
    partials = [functools.partial(GNDL, slope=slope) for slope in (0.1, 0.2)]
    assert method_hash(partials[0]) != method_hash(partials[1])
    assert method_hash(GNDL) is None and method_settings("gndl").code is None


def test_an_object_without_content_is_refused_by_name() -> None:
    """Rather than left out of the identity without a word."""
    module = in_session("from gndl.model import GNDL\nclass Mine(GNDL):\n    def f(self):\n        return LOCK\n")
    module.LOCK = threading.Lock()
    with pytest.raises(GndlError, match="LOCK, which the method refers to, has no content"):
        register_method("with-a-lock", module.Mine)


def test_a_constant_changed_after_registering_counts() -> None:
    """In a notebook a cell with a constant may be run again alone."""
    module = in_session(FILE)
    code = register_method("in-session", module.Mine).code
    assert method_settings("in-session").code == code
    module.SCALE = torch.tensor(5.0)
    assert method_settings("in-session").code != code


CELLS = [
    FILE,
    """
import joblib, numpy as np
from planted import planted_pairs
from gndl.errors import GndlError
from gndl.methods import register_method
from gndl.profiles import TrainSettings
from gndl.train import fit
mine = register_method("mine", Mine)
subject = np.arange(24) % 6
arguments = (planted_pairs(), np.flatnonzero(subject < 4), np.flatnonzero(subject >= 4))
settings = TrainSettings(image_size=32, epochs=1, batch_size=8)
def train(method, seed):
    return fit(method, *arguments, settings, run_folder=FOLDER / str(seed), seed=seed, show_progress=False)
results = joblib.Parallel(n_jobs=2)(joblib.delayed(train)(mine, seed) for seed in (0, 1))
assert not any(result.reused for result in results)
assert all(result.record["identity"]["code"]["method"] == mine.code for result in results)
assert train("mine", 0).reused
""",
    "SCALE = 3.0",
    """
try:
    train("mine", 0)
except GndlError as error:
    assert "code.method" in str(error)
else:
    raise AssertionError("another constant is another method")
""",
    "SCALE = 2.0",
    "assert train('mine', 1).reused",
]


def test_a_method_defined_in_a_cell_trains_in_a_real_kernel(tmp_path: Path) -> None:
    """Two processes train it, its run is found again, and a changed constant is another method."""
    start = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    start += f"from pathlib import Path; FOLDER = Path({str(tmp_path / 'runs')!r})"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in (start, *CELLS)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, tmp_path / "own_method.ipynb")
    done = execute_notebook(tmp_path / "own_method.ipynb", tmp_path / "executed", {})
    assert done.error == ""
    assert sorted(path.parent.name for path in (tmp_path / "runs").glob("*/run.json")) == ["0", "1"]
