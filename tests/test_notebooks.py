"""Every notebook runs from top to bottom on any study, as papermill runs it, and reads well outside JupyterLab."""

from __future__ import annotations

import ast
import linecache
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import papermill
import pytest
from matplotlib import pyplot as plt
from nbconvert import HTMLExporter
from PIL import Image
from planted import find_marks, marked

import gndl
from gndl.batch import check_parameters
from gndl.files import GndlError

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
EVERY = sorted(path.stem for path in NOTEBOOKS.glob("[0-8]_*.ipynb"))
OWN_CLASSES = ("happiness", "sleepy")
"""One of the seven, and one that nobody foresaw; two in all."""


def cells_of(name: str) -> list[Any]:
    """Code cells of a notebook as it is in the repository."""
    cells = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4).cells
    return [cell for cell in cells if cell.cell_type == "code"]


def run_cell(source: str, namespace: dict[str, Any]) -> None:
    """Run a cell in this process; what its last line shows is made HTML, as a notebook does."""
    tree, name = ast.parse(source), f"cell {hash(source)}"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)  # for inspect.getsource
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), namespace)
    if isinstance(last, ast.Expr):
        shown = eval(compile(ast.Expression(last.value), name, "eval"), namespace)
        getattr(shown, "_repr_html_", str)()


@pytest.fixture(scope="module")
def executed(tiny_study: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The executed notebooks of the tiny study, by name; the two tutorials are executed here."""
    found = {path.stem: path for path in [*tiny_study.glob("ckplus/notebooks/*"), *tiny_study.glob("notebooks/*")]}
    for name in ("0_tour", "8_your_own_method"):
        found[name] = tmp_path_factory.mktemp("tutorials") / f"{name}.ipynb"
        asked = {"profile": "smoke", "out": str(tiny_study), "device": "cpu"}
        asked["data_root"] = str(tiny_study.parent.parent / "rendered_trees" / "ckplus")
        limits = {"kernel_name": "python3", "progress_bar": False, "start_timeout": 900, "iopub_timeout": 900}
        papermill.execute_notebook(NOTEBOOKS / f"{name}.ipynb", found[name], asked, **limits)
    return found


def raw_markup(notebook: Any) -> list[str]:
    """Table markup, emphasis and mathematics that stand unrendered in a notebook's page, outside code."""
    page, _ = HTMLExporter().from_notebook_node(notebook)
    prose = " ".join(re.findall(r'<div class="[^"]*jp-RenderedMarkdown.*?</div>', page, flags=re.DOTALL))
    assert prose
    prose = re.sub(r"<(code|pre).*?</\1>|\$\$.*?\$\$|\$.*?\$", "", prose, flags=re.DOTALL)
    return re.findall(r"\|\s*-{3}|^\s*\||\*\*|\\(?:text|mathcal|frac)", prose, flags=re.MULTILINE)


@pytest.mark.parametrize("name", EVERY)
def test_a_notebook_runs_and_reads_well_as_a_page(name: str, executed: dict[str, Path]) -> None:
    notebook = nbformat.read(executed[name], as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells if cell.source.strip())
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]
    assert not raw_markup(notebook)


def test_a_table_in_a_quotation_is_found_unrendered() -> None:
    quoted = "> **Note**\n> text | more\n> |---|---|\n> | a | b |"
    for broken, found in ((quoted, "|---"), ("\\mathcal{G} = 1", "\\mathcal"), ("** bold**", "**")):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(broken)])
        assert found in "".join(raw_markup(notebook)).replace(" ", ""), broken
    fine = nbformat.v4.new_markdown_cell("| a | b |\n|---|---|\n| $\\frac{1}{2}$ | **c** |\n\n`| --- |`")
    assert not raw_markup(nbformat.v4.new_notebook(cells=[fine]))


def test_the_figures_of_the_paper_are_drawn_as_pdf_png_and_table(tiny_study: Path, executed: dict[str, Path]) -> None:
    figures = tiny_study / "ckplus" / "figures"
    for name in ("confusion_matrices", "sensitivity", "deviation_features"):
        assert {file.suffix for file in figures.glob(f"{name}.*")} == {".pdf", ".png", ".csv"}, name
    assert (tiny_study / "figures" / "tables" / "table1.csv").exists()


@pytest.fixture(scope="module")
def own_study(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Parameters of a trained study of own faces with `OWN_CLASSES`; nobody agreed to be shown."""
    folder = tmp_path_factory.mktemp("own")
    rows = []
    for subject in range(4):
        Image.fromarray(marked(seed=100 + subject)).save(folder / f"{subject}.png")
        for number, expression in enumerate(OWN_CLASSES):
            for frame in range(2):
                name = f"{subject}_{expression}_{frame}.png"
                Image.fromarray(marked(seed=10 * subject + 2 * number + frame)).save(folder / name)
                rows.append((f"p{subject}", f"p{subject}_{expression}", expression, f"{subject}.png", name))
    columns = ["subject", "sequence", "expression", "neutral", "examined"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "manifest.csv", index=False)
    asked = {"data_root": str(folder / "manifest.csv"), "profile": "smoke", "out": str(folder / "study")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gndl.alignment.find_eyes", find_marks)
        gndl.open_study("manifest", **asked, device="cpu", jobs=1).train(jobs=1)
    return {"database": "manifest", **asked, "device": "cpu"}


@pytest.mark.parametrize("name", EVERY)
def test_every_notebook_runs_on_a_study_of_classes_that_nobody_foresaw(
    name: str, own_study: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And on two classes, on faces that may not be shown, and on one of the paper's seven only."""
    monkeypatch.setattr("gndl.alignment.find_eyes", find_marks)
    shown: list[Any] = []
    namespace: dict[str, Any] = {"display": shown.append}
    monkeypatch.setattr("gndl.explore.widgets.display", shown.append)
    first, *cells = cells_of(name)
    asked = {parameter: value for parameter, value in own_study.items() if f"{parameter} =" in first.source}
    for source in (first.source, *(f"{key} = {value!r}" for key, value in asked.items())):
        run_cell(source, namespace)
    for cell in cells:
        run_cell(cell.source, namespace)
        plt.close("all")
    said = "".join(str(getattr(one, "data", "")) for one in shown)
    assert name != "6_explore" or "cannot render these classes of the study: sleepy." in said
    if name == "2_training":
        table = pd.read_csv(Path(own_study["out"]) / "manifest/figures/confusion_matrices.csv")
        assert set(table["truth"]) == set(OWN_CLASSES)


def test_a_study_of_stand_ins_stands_next_to_the_record() -> None:
    """Folds 0 and 1 of the record as a study: equal to it on the same people, and to no row where people differ."""
    record = gndl.results.read("record/standard", "ckplus").headline
    results = record.only(folds=[0, 1])
    cells = [cell.source for cell in cells_of("2_training")]
    start = next(number for number, source in enumerate(cells) if source.startswith("record, compared = "))
    shown: list[Any] = []
    study = SimpleNamespace(name="ckplus", source="rendered", out=Path("elsewhere"))
    namespace = {"gndl": gndl, "pd": pd, "display": shown.append, "study": study, "results": results}
    namespace["summary"] = gndl.results.summarise(results)

    def table() -> pd.DataFrame:
        shown.clear()
        for source in cells[start : start + 2]:
            run_cell(source, namespace)
        return shown[0].data

    rows, runs = table(), record.runs
    assert [*rows.index] == [(m, w) for m in ("baseline", "gndl") for w in namespace["compared"]]
    assert (
        rows["folds"].tolist() == [2, 2, 10, 2, 2, 10]
        and set(rows["pixels"]) == {64}
        and set(rows["epochs"]) == set(runs["epochs"])
    )
    accuracies = runs[runs["method"] == "gndl"]["accuracy_last"]
    expected = [accuracies[:2].mean(), accuracies[:2].mean(), accuracies.mean()]
    np.testing.assert_allclose(rows.loc["gndl", "accuracy"], expected)
    results.folds["subject"] += "x"
    assert table().loc["gndl"].index.tolist() == ["this study", "record, all folds"]
    for source, out in (("licensed", Path("elsewhere")), ("rendered", record.out)):
        study.source, study.out = source, out
        with pytest.raises(IndexError):
            table()


@pytest.mark.parametrize("name", EVERY)
def test_parameters_are_checked_before_a_study_is_opened(name: str) -> None:
    """An unknown name stops with the nearest, and another type with the parameter's name."""
    cells = [cell.source for cell in cells_of(name)]
    checks = next(source for source in cells if "gndl.check_parameters(globals())" in source)
    opens = next(source for source in cells if "open_study(" in source or "results.read(" in source)
    assert cells.index(checks) <= cells.index(opens)
    assert checks is not opens or checks.index("check_parameters") < checks.index(
        re.findall("open_study|read", opens)[0]
    )

    def given(cell: str) -> dict[str, list[str]]:
        return {"In": ["", cells[0], f"# Parameters\n{cell}\n", *cells[1:3]]}

    check_parameters(given('profile = "paper"\nseed = 3\nout = "x"\ndevice = "cpu"'))
    with pytest.raises(GndlError, match=r"no parameter 'profil'\. Did you mean profile\? It has database, data_root"):
        check_parameters(given('profil = "paper"'))
    for wrong in ('"3"', "True", "1.0", "None", "float('nan')", "[3]"):
        with pytest.raises(GndlError, match=r"Parameter seed takes a whole number such as 0, got .*papermill -p reads"):
            check_parameters(given(f"seed = {wrong}"))
    with pytest.raises(GndlError, match=r"Parameter out takes text such as 'runs/quick', got 2024"):
        check_parameters(given("out = 2024"))


def test_a_wrong_parameter_stops_papermill_before_anything_is_written(tmp_path: Path) -> None:
    """`papermill -r seed 0` once damaged study.json for good."""
    asked = {"seed": "0", "profile": "smoke", "out": str(tmp_path / "study")}
    limits = {"kernel_name": "python3", "progress_bar": False, "start_timeout": 900}
    with pytest.raises(papermill.PapermillExecutionError, match="Parameter seed takes a whole number") as stopped:
        papermill.execute_notebook(NOTEBOOKS / "7_report.ipynb", tmp_path / "out.ipynb", asked, **limits)
    assert stopped.value.ename == GndlError.__name__ and not (tmp_path / "study").exists()


@pytest.mark.parametrize("name", ["4_deviation_features", "8_your_own_method"])
def test_squares_are_the_real_neutral_and_asterisks_the_generated_one(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fig. 8 of planted features: the real deviations lie at x = 0 to 5, the generated ones at 10 to 15."""
    seeds: list[Any] = []

    class Plane:
        def __init__(self, **settings: Any) -> None:
            seeds.append(settings["random_state"])

        def fit_transform(self, values: np.ndarray) -> np.ndarray:
            return values[:, :2]

    truth = np.repeat(["anger", "fear", "happiness"], 2)
    samples = pd.DataFrame({"truth": truth, "predicted": ["fear", *truth[1:]], "fold": 3})
    real = np.column_stack([np.arange(6.0), np.zeros((6, 7))])
    own = SimpleNamespace(samples=samples, deviation_real=real, deviation=real + 10 * np.eye(1, 8))
    asked: list[Any] = []
    study = SimpleNamespace(title="CK+", classes=("anger", "fear", "happiness"), analysis=Path("analysis"))
    namespace: dict[str, Any] = {"study": study, "fold": 3, "mine": "gndl-cosine", "results": SimpleNamespace()}
    namespace["results"].analysis = lambda _: pd.DataFrame()
    monkeypatch.setattr("sklearn.manifold.TSNE", Plane)
    monkeypatch.setattr("sklearn.decomposition.PCA", lambda *_, **__: SimpleNamespace(fit_transform=lambda v: v))
    monkeypatch.setattr("gndl.analysis.features.of_fold", lambda *given: (asked.append(given[1:]), own)[1])
    monkeypatch.setattr("gndl.plots.save", lambda *_, **__: None)
    monkeypatch.setattr("gndl.files.write_csv", lambda *_: None)
    cells = [cell.source for cell in cells_of(name)]
    start = next(number for number, source in enumerate(cells) if source.startswith("from sklearn"))
    end = next(number for number, source in enumerate(cells) if "sns.scatterplot(" in source)
    for source in (cells[1], *cells[start : end + 1]):
        run_cell(source, namespace)
    assert seeds == [0] and asked == [("gndl" if name.startswith("4") else "gndl-cosine", 3)]
    points = namespace["points"].set_index("neutral")["x"]
    assert points["real"].tolist() == [*range(6)] and points["generated"].tolist() == [*range(10, 16)]
    places: dict[int, list[float]] = {}
    for drawn in namespace["ax"].collections:
        paths, offsets = drawn.get_paths(), np.asarray(drawn.get_offsets())
        for number, (x, _) in enumerate(offsets):
            places.setdefault(len(paths[number % len(paths)].vertices), []).append(float(x))
    square, asterisk = 5, 11
    assert sorted(places[square]) == [*range(6)] and sorted(places[asterisk]) == [*range(10, 16)]
    circled = [x for vertices, found in places.items() if vertices not in (square, asterisk) for x in found]
    assert circled == ([10.0] if name.startswith("4") else [])
    plt.close("all")
