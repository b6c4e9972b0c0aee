"""The house keeps its shape: imports run one way, reading results stays light, and files stay readable."""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
FLOORS = [
    *("files", "paper", "sequences", "profiles", "frames", "databases", "eyes", "alignment", "folds", "pairs"),
    *("crops", "shipped"),
    *("model", "methods", "runs", "device", "trainer", "train", "record", "results"),
    *("stopping", "licence", "opening", "engines", "study", "analysis.scores", "analysis.compare", "analysis.groups"),
    *("analysis.features", "analysis", "plots", "tables", "gallery", "predict", "explore", "check_pixels", "check"),
    *("folds_audit", "exchange", "export", "doctor", "execute", "batch", "cli"),
]
"""From the ground up; a module imports from lower floors, or from its own room."""
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-8]_*.ipynb"))
MODULES = sorted([*(ROOT / "gndl").rglob("*.py"), *(ROOT / "standins").rglob("*.py")])


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def floor_of(module: str) -> int:
    parts = module.removeprefix("gndl.").split(".")
    names = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return next((FLOORS.index(name) for name in names if name in FLOORS), -1)


def imports_of(path: Path) -> Iterator[str]:
    """Modules of this repository that a file imports anywhere but for type checking."""
    known = {name_of(module) for module in MODULES}
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in ("gndl", "standins"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("gndl", "standins"):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from names & known or {str(node.module)}


def test_imports_run_one_way() -> None:
    back = []
    for path in MODULES:
        module = name_of(path)
        if module == "gndl" or module.startswith("standins"):
            continue
        assert floor_of(module) >= 0, f"{module} has no floor in FLOORS"
        for other in imports_of(path):
            room = [*module.split("."), ""][1] == [*other.split("."), ""][1] != ""
            if other.startswith("gndl.") and not room and floor_of(other) >= floor_of(module):
                back.append(f"{module} -> {other}")
    assert not back


def test_the_stand_ins_import_nothing_of_gndl() -> None:
    found = [(name_of(path), other) for path in MODULES for other in imports_of(path) if other.startswith("gndl")]
    assert not [pair for pair in found if pair[0].startswith("standins")]


def loaded_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_importing_gndl_loads_nothing_heavy() -> None:
    assert not {"torch", "warp", "matplotlib", "pandas"} & loaded_by("import gndl")


def test_reading_results_loads_neither_torch_nor_most_of_gndl() -> None:
    loaded = loaded_by("import gndl.results")
    assert not {"torch", "warp", "matplotlib"} & loaded
    assert len([name for name in loaded if name.startswith("gndl")]) <= 20


def test_no_file_is_too_long_to_read_at_a_sitting() -> None:
    """All but the command line, whose functions are mostly the help of their options."""
    lengths = {name_of(path): path.read_text(encoding="utf-8").count("\n") for path in MODULES}
    assert not {name: length for name, length in lengths.items() if length > 410 and name != "gndl.cli"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_the_study_in_short_cells_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert cells[0].metadata.get("tags") == ["parameters"]
    assert not any(cell.outputs or cell.execution_count for cell in cells)
    lengths = [sum(bool(line.strip()) for line in cell.source.splitlines()) for cell in cells]
    assert 2 <= statistics.median(lengths) <= 6 and max(lengths) <= 10
    calls = [node.func for cell in cells for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Call)]
    assert not [name for name in map(ast.unparse, calls) if "report" in name.split(".")[-1]]


def test_the_first_notebook_imports_no_more_than_it_needs() -> None:
    cells = nbformat.read(ROOT / "notebooks/1_databases.ipynb", as_version=4).cells
    imports = next(cell.source for cell in cells if cell.source.startswith("import "))
    loaded = loaded_by(f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{imports}\ngndl.check_parameters")
    assert not {"torchvision", "captum", "warp"} & loaded
