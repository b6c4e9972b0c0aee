"""Every notebook runs from top to bottom, as papermill runs it, and its result reads well outside JupyterLab."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import papermill
import pytest
from nbconvert import HTMLExporter

from gndl.files import GndlError

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
FOR_A_DATABASE = sorted(NOTEBOOKS.glob("[1-6]_*.ipynb"))
EVERY = sorted(NOTEBOOKS.glob("[0-8]_*.ipynb"))


@pytest.fixture(scope="module")
def executed(tiny_study: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The executed notebooks of the tiny study, by name; the two tutorials are executed here."""
    found = {path.name: path for path in [*tiny_study.glob("ckplus/notebooks/*"), *tiny_study.glob("notebooks/*")]}
    for name in ("0_tour.ipynb", "8_your_own_method.ipynb"):
        found[name] = tmp_path_factory.mktemp("tutorials") / name
        asked = {"profile": "smoke", "out": str(tiny_study), "device": "cpu"}
        root = str(tiny_study.parent.parent / "rendered_trees" / "ckplus")
        papermill.execute_notebook(
            NOTEBOOKS / name, found[name], asked | {"data_root": root}, kernel_name="python3", progress_bar=False
        )
    return found


@pytest.mark.parametrize("source", EVERY, ids=lambda path: path.stem)
def test_a_notebook_runs_and_reads_well_as_a_page(source: Path, executed: dict[str, Path]) -> None:
    notebook = nbformat.read(executed[source.name], as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells if cell.source.strip())
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]
    page, _ = HTMLExporter().from_notebook_node(notebook)
    prose = " ".join(re.findall(r'<div class="[^"]*jp-RenderedMarkdown.*?</div>', page, flags=re.DOTALL))
    prose = re.sub(r"<(code|pre).*?</\1>|\$\$.*?\$\$|\$.*?\$", "", prose, flags=re.DOTALL)
    assert prose and not re.search(r"\|\s*-{3}|^\s*\||\*\*|\\(text|mathcal|frac)", prose, flags=re.MULTILINE)


def test_the_figures_of_the_paper_are_drawn_as_pdf_png_and_table(tiny_study: Path, executed: dict[str, Path]) -> None:
    figures = tiny_study / "ckplus" / "figures"
    for name in ("confusion_matrices", "sensitivity", "deviation_features"):
        assert {file.suffix for file in figures.glob(f"{name}.*")} == {".pdf", ".png", ".csv"}, name
    assert (tiny_study / "figures" / "tables" / "table1.csv").exists()


@pytest.mark.parametrize("source", FOR_A_DATABASE[1:3], ids=lambda path: path.stem)
def test_a_misspelt_parameter_stops_with_its_name_and_the_nearest(source: Path, tmp_path: Path) -> None:
    with pytest.raises(papermill.PapermillExecutionError, match=r"profil\b.*profile") as stopped:
        papermill.execute_notebook(source, tmp_path / "out.ipynb", {"profil": "paper"}, progress_bar=False)
    assert stopped.value.ename == GndlError.__name__
