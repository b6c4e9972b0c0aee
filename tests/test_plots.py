"""Figures show the numbers they are given, whole and readable, and look the same on every machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from gndl import plots, results
from gndl.files import GndlError, hash_file, hash_json, write_json
from gndl.paper import EXPRESSIONS

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


@pytest.fixture(autouse=True)
def _no_figure_stays_open() -> None:
    plt.close("all")


def require_whole(figure: Figure) -> None:
    """All that is drawn lies inside the figure."""
    figure.draw_without_rendering()
    box = figure.get_tightbbox()  # in inches
    assert min(box.x0, box.y0) > -0.04
    assert box.x1 < figure.get_figwidth() + 0.02 and box.y1 < figure.get_figheight() + 0.02


DRAW = """
import sys, pandas as pd, matplotlib.pyplot as plt
from types import SimpleNamespace
from pathlib import Path
from gndl import plots
fig, axes = plt.subplots(1, 2)
axes[0].plot([1, 2], [1, 2]), axes[1].bar([0, 1], [2, 1]), axes[0].set(title="a_b", yscale="log")
plots.save(fig, SimpleNamespace(source="own", figures=Path(sys.argv[1])), "figure")
"""


def test_figures_start_from_matplotlibs_defaults_whatever_the_matplotlibrc_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LaTeX, another font, another grid: the very bytes of a reader without a matplotlibrc."""
    settings = "text.usetex: True\nfont.family: serif\nfigure.autolayout: True\nsavefig.bbox: tight\naxes.grid: True\n"
    (tmp_path / "matplotlibrc").write_text(settings + 'axes.prop_cycle: cycler("color", ["k"])\n')
    environment = os.environ | {"MATPLOTLIBRC": str(tmp_path / "matplotlibrc"), "MPLBACKEND": "Agg"}
    subprocess.run([sys.executable, "-c", DRAW, str(tmp_path / "theirs")], check=True, env=environment)
    mpl.rcParams.update({"axes.grid": True, "font.size": 30, "pdf.fonttype": 3})  # and in a notebook
    plots.style()
    monkeypatch.setattr(sys, "argv", ["", str(tmp_path / "ours")])
    exec(DRAW, {})
    for kind in ("png", "pdf"):
        assert (tmp_path / f"theirs/figure.{kind}").read_bytes() == (tmp_path / f"ours/figure.{kind}").read_bytes()


def test_a_figure_is_saved_for_print_and_marked_as_a_stand_in(tmp_path: Path) -> None:
    """PDF with TrueType, PNG of 3.33 inches at 300 dpi, CSV with the source; the same bytes every time, nothing cut."""
    written = []
    for source in ("rendered", "rendered", "licensed"):
        figure, ax = plt.subplots(figsize=plots.ONE_COLUMN)
        ax.bar([0, 1, 2], [0.1, -0.2, 0.0])
        ax.set(xlabel="fold", ylabel="points", title="a title")
        png = plots.save(figure, SimpleNamespace(source=source, figures=tmp_path), "paired", pd.DataFrame({"a": [1]}))
        texts = [text.get_text() for text in figure.findobj(Text)]
        assert (plots.STAND_IN_MARK in texts) == (source == "rendered")
        require_whole(figure)
        written.append([png.with_suffix(kind).read_bytes() for kind in (".png", ".pdf", ".csv")])
    assert written[0] == written[1] and written[1][2] == b"a,source\n1,rendered\n"
    assert b"/FontFile2" in written[0][1] and b"/Type3" not in written[0][1]
    assert Image.open(png).width == 999


def test_methods_and_classes_keep_their_colours_whatever_else_is_shown() -> None:
    some = plots.method_colours(["gndl-stop-gradient", "gndl"])
    every = plots.method_colours(["baseline", "gndl", "gndl-channel-sum", "gndl-stop-gradient"])
    assert some.items() <= every.items()
    assert (every["baseline"], every["gndl"]) == ("#7F7F7F", "#0072B2")
    okabe_ito = ["#D55E00", "#7F7F7F", "#009E73", "#CC79A7", "#E69F00", "#0072B2", "#56B4E9"]
    assert plots.class_colours(EXPRESSIONS["ckplus"]) == dict(zip(EXPRESSIONS["ckplus"], okabe_ito, strict=True))


@pytest.mark.parametrize("known", [(), ("anger", "surprise"), EXPRESSIONS["ckplus"]])
def test_classes_that_nobody_foresaw_have_colours_of_their_own(known: tuple[str, ...]) -> None:
    """All different, also of sixteen; the paper's keep theirs; the first have one that no class of the paper has."""
    colours = plots.class_colours([*(f"class {number}" for number in range(16)), *known])
    assert len(set(colours.values())) == 16 + len(known)
    assert all(colours[name] == plots.CLASS_COLOURS[name] for name in known)
    assert not {colours["class 0"], colours["class 4"]} & set(plots.CLASS_COLOURS.values())


def test_a_confusion_matrix_has_the_truth_in_rows_in_the_papers_order() -> None:
    """Anger 1 of 2 right and once called fear, happiness 1 of 1, fear never tested."""
    table = pd.DataFrame({"truth": ["anger", "anger", "happiness"], "predicted": ["anger", "fear", "happiness"]})
    ax = plots.confusion_matrix(table, ["anger", "fear", "happiness"], title="CK+")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["happiness", "fear", "anger"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["Ha", "Fe", "An"]
    texts = {text.get_position(): text.get_text() for text in ax.texts if text.get_text()}
    anger = {(1.5, 2.5): "50%\n1", (2.5, 2.5): "50%\n1"}  # x is the answer, y the truth
    assert texts == {(0.5, 0.5): "100%\n1", (1.5, 1.5): "no sample tested"} | anger
    shares = np.ma.filled(ax.collections[0].get_array(), np.nan)
    np.testing.assert_array_equal(shares, [[1, 0, 0], [np.nan] * 3, [0, 0.5, 0.5]])
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("predicted", "truth", "CK+")
    assert ax.collections[0].get_clim() == (0, 1) and ax.yaxis_inverted()


def test_classes_that_are_numbers_are_texts_in_their_order() -> None:
    """Whether a file gave them as numbers or as texts; a sample of another database's class is never left out."""
    for kind in (int, str):
        table = pd.DataFrame({"truth": [10, 9, 2], "predicted": [10, 2, 2]}).astype(kind)
        ax = plots.confusion_matrix(table, ["10", "2", "9"], plt.figure().subplots())
        assert [label.get_text() for label in ax.get_yticklabels()] == ["2", "9", "10"]
        assert {text.get_position() for text in ax.texts if text.get_text()} == {(0.5, 0.5), (0.5, 1.5), (2.5, 2.5)}
    with pytest.raises(GndlError, match="'9' is not one of the classes 2, 10"):
        plots.confusion_matrix(table, ["10", "2"])


@pytest.mark.parametrize(
    "names",
    [
        [f"very_long_expression_name_{number}" for number in range(7)],
        ["surprised_happy", "surprised_angry", "anger", "fear", *(f"compound expression {n}" for n in range(10))],
        ["pain $1 $2", "NA", r"a_b^c {x} \alpha", "50%_pain & more", "a$_$b", "True", "a b^c"],
        ["Ärger", "Überraschung", "Freude"],
        [str(number) for number in range(1, 15)],
        ["An", "anger", "fear"],  # An is anger's abbreviation
    ],
)
def test_other_class_names_are_shown_whole_and_apart(names: list[str], tmp_path: Path) -> None:
    """No label is cut, covers another or is taken for mathematics, on two panels over two columns."""
    figure, axes = plt.subplots(1, 2, figsize=(7, 3.5))
    for ax in axes:
        plots.confusion_matrix(pd.DataFrame({"truth": names, "predicted": names}), names, ax)
        ax.set_title(names[0])
    plots.save(figure, SimpleNamespace(source="own", figures=tmp_path), "matrices")
    require_whole(figure)
    for labels in (ax.get_xticklabels(), ax.get_yticklabels()):
        shown = [label.get_text().replace("\n", "") for label in labels]
        assert {name.replace(" ", "") for name in names} == {name.replace(" ", "") for name in shown}
        assert len(set(shown)) == len(names) and not any(
            label.get_parse_math() for label in labels if "$" in str(label)
        )
        boxes = [label.get_window_extent() for label in labels]
        assert not any(one.overlaps(other) for k, one in enumerate(boxes) for other in boxes[k + 1 :])
    assert min(label.get_fontsize() for label in ax.get_yticklabels()) > 4, "small letters, and still letters"
    cells = [text.get_text() for text in ax.texts if text.get_text()]
    assert set(cells) == ({"1"} if len(names) > 10 else {"100%\n1"})


def test_letters_come_from_an_installed_font_that_has_them_or_a_line_says_that_none_has(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A letter of STIX is found there; of Chinese letters, on a machine without a Chinese font, one line tells."""
    installed = [font for font in plots.fontManager.ttflist if font.name in ("DejaVu Sans", "STIXGeneral")]
    monkeypatch.setattr(plots.fontManager, "ttflist", installed)
    monkeypatch.setitem(plots.STYLE, "font.family", ["DejaVu Sans"])
    plots._fall_back.cache_clear()
    plots.class_colours(["Ärger", "anger"])
    assert mpl.rcParams["font.family"] == ["DejaVu Sans"] and not capsys.readouterr().out
    plots.class_colours(["ℊ愤"])
    assert "letters 愤:" in capsys.readouterr().out, "what STIX has not is told"
    plots.style()
    assert mpl.rcParams["font.family"] == ["DejaVu Sans", "STIXGeneral"] and not capsys.readouterr().out
    names = ["愤怒", "高兴"]
    for _ in range(2):
        plots.confusion_matrix(pd.DataFrame({"truth": names, "predicted": names}), names)
    assert capsys.readouterr().out.count("No installed font has the letters 兴怒愤高") == 1
    plots._fall_back.cache_clear()


def test_a_logarithmic_axis_keeps_its_powers(tmp_path: Path) -> None:
    figure, ax = plt.subplots()
    ax.plot([1, 2], [1, 1000], label="price in $ of $")
    ax.set(yscale="log"), ax.legend()
    plots.save(figure, SimpleNamespace(source="own", figures=tmp_path), "powers")
    plots.save(figure, SimpleNamespace(source="own", figures=tmp_path), "again")  # now that the ticks have texts
    powers = [label for label in ax.get_yticklabels() if "mathdefault" in label.get_text()]
    assert powers and all(label.get_parse_math() for label in powers)
    assert not ax.get_legend().get_texts()[0].get_parse_math()


def test_a_reliability_diagram_has_the_tables_numbers() -> None:
    """Points at confidence and accuracy, gaps to the diagonal, intervals; an empty bin is not drawn."""
    table = pd.DataFrame({"count": [0, 3, 2], "confidence": [np.nan, 0.6, 0.9], "accuracy": [np.nan, 0.5, 1.0]})
    ax = plots.reliability(table.assign(accuracy_low=table["accuracy"] - 0.1, accuracy_high=1.0), colour="#123456")
    diagonal, points = (line.get_xydata().tolist() for line in ax.lines)
    assert diagonal == [[0, 0], [1, 1]] and points == [[0.6, 0.5], [0.9, 1.0]]
    gaps, intervals = ([one.tolist() for one in lines.get_segments()] for lines in ax.collections)
    assert gaps == [[[0.6, 0.6], [0.6, 0.5]], [[0.9, 0.9], [0.9, 1.0]]]
    assert intervals == [[[0.6, 0.4], [0.6, 1.0]], [[0.9, 0.9], [0.9, 1.0]]]
    assert ax.get_xlim() == (0, 1) and ax.get_ylim() == (0, 1.02) and ax.lines[1].get_color() == "#123456"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("confidence", "accuracy")
    assert [axis.get_major_formatter()(0.5) for axis in (ax.xaxis, ax.yaxis)] == ["50%", "50%"]


def test_figures_lie_with_the_study_and_those_of_a_record_in_the_repository(
    planted_study: Path, tmp_path: Path
) -> None:
    study, record = SimpleNamespace(out=planted_study, source="rendered"), tmp_path / "record"
    assert plots.figures_of(study, "mmi") == planted_study / "mmi" / "figures"
    assert plots.figures_of(study) == planted_study / "figures"
    results.pack(planted_study, record)
    assert plots.figures_of(SimpleNamespace(out=record, source="rendered"), "mmi") == NOTEBOOKS.parent / "figures/mmi"


def test_a_row_keeps_its_own_source_and_one_rendered_row_marks_the_figure(tmp_path: Path) -> None:
    """As in a report on licensed faces that shows another study's stand-in next to them."""
    study = SimpleNamespace(source="licensed", figures=tmp_path)
    for sources in (["licensed", "rendered"], ["licensed", "licensed"]):
        figure, _ = plt.subplots()
        png = plots.save(figure, study, "both", pd.DataFrame({"source": sources}))
        assert pd.read_csv(png.with_suffix(".csv"))["source"].tolist() == sources
        texts = [text.get_text() for text in figure.findobj(Text)]
        assert (plots.STAND_IN_MARK in texts) == ("rendered" in sources)


@pytest.fixture(scope="module")
def pretrained_study(planted_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planted study with the names of ``--weights``: ``gndl-imagenet``, and an ablation; no picture, no weights."""
    folder = tmp_path_factory.mktemp("pretrained")
    out, weights = shutil.copytree(planted_study, folder / "study"), folder / "resnet18_imagenet.pth"
    weights.write_bytes(b"some weights")
    for method in out.glob("*/gndl"):
        shutil.copytree(method / "lam-5", method.with_name("gndl-stop-gradient") / "lam-5")
    for path in out.glob("*/*/lam-*/fold-*/seed-*/run.json"):
        record, name = json.loads(path.read_text()), path.parents[3].name
        record["identity"]["weights"] = hash_file(weights)
        record["method"]["name"] = record["identity"]["method"]["name"] = name
        record |= {"variant": f"{name}-imagenet", "identity_hash": hash_json(record["identity"])}
        write_json(path, record)
    for method in [path.parent for path in out.glob("*/*/lam-*") if path.name != "lam-0.5"]:
        method.rename(method.with_name(f"{method.name}-imagenet"))
    content = json.loads((out / "study.json").read_text())
    content["asked"]["weights"] = str(weights)
    write_json(out / "study.json", content)
    return out


def run_notebook(name: str, out: Path, *further: str) -> None:
    """Run the code of a notebook in a process that has no data folder."""
    cells = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    code.insert(1, f"display = print; out, profile = {str(out)!r}, 'smoke'")  # after the parameters
    data = out.parent / "no_data"
    environment = os.environ | {"MPLBACKEND": "Agg", "GNDL_DATA": str(data)}
    run = [sys.executable, "-c", "\n".join([*code, *further])]
    done = subprocess.run(run, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert not data.exists(), "no stand-in is rendered for runs that are finished"


@pytest.mark.parametrize("name", ["2_training", "5_hard_samples"])
def test_notebooks_read_finished_runs_that_started_from_weights(name: str, pretrained_study: Path) -> None:
    """Whose pictures and weights nobody has, as of an unzipped bundle: all that needs none is shown."""
    run_notebook(name, pretrained_study)
    figures = {path.stem for path in (pretrained_study / "ckplus" / "figures").glob("*.pdf")}
    expected = {"paired_differences", "ablations"} if name == "2_training" else {"sample_cells"}
    assert expected <= figures and "hard_samples" not in figures


@pytest.mark.parametrize("name", ["3_sensitivity", "7_report"])
def test_notebooks_of_results_run_on_finished_runs_without_torch(name: str, pretrained_study: Path) -> None:
    """Their code, on a study whose pictures nobody has: nothing is trained or read, and torch is not imported."""
    spared = {"torch", "warp", "sklearn", *(["seaborn", "scipy.stats"] if name == "7_report" else [])}
    run_notebook(name, pretrained_study, f"import sys; assert not {spared} & set(sys.modules)")
    of_database, of_all = pretrained_study / "ckplus" / "figures", pretrained_study / "figures"
    assert (of_database / "sensitivity.pdf" if name == "3_sensitivity" else of_all / "tables/table1.tex").exists()
    if name == "7_report":
        assert set(pd.read_csv(of_all / "ablations.csv")["method"].str.removesuffix("-imagenet")) == {
            *("baseline", "gndl", "gndl-stop-gradient")
        }, "the study's own ablations, and nobody else's"
