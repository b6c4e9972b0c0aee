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
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from gndl import plots
from gndl.files import hash_file, hash_json, write_json

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


@pytest.fixture(autouse=True)
def _no_figure_stays_open() -> None:
    plt.close("all")


def require_whole(figure: Figure) -> None:
    """All that is drawn lies inside the figure."""
    figure.draw_without_rendering()
    box = figure.get_tightbbox()  # in inches
    assert min(box.x0, box.y0) > -0.02
    assert box.x1 < figure.get_figwidth() + 0.02 and box.y1 < figure.get_figheight() + 0.02


def test_figures_start_from_matplotlibs_defaults_whatever_the_matplotlibrc_says() -> None:
    """A reader's grid, letters and Type 3 fonts do not leak in."""
    mpl.rcParams.update({"axes.grid": True, "font.size": 30, "pdf.fonttype": 3})
    plots.style()
    assert [mpl.rcParams[name] for name in ("axes.grid", "font.size", "pdf.fonttype")] == [False, 7.5, 42]


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


def test_a_method_and_a_class_keep_their_colours_whatever_else_is_shown() -> None:
    """Also methods and classes that the paper does not have."""
    some = plots.method_colours(["gndl-stop-gradient", "gndl"])
    assert some.items() <= plots.method_colours(["baseline", "gndl", "gndl-channel-sum", "gndl-stop-gradient"]).items()
    colours = plots.class_colours(["bored", "anger", "curious"])
    assert colours["anger"] == plots.CLASS_COLOURS["anger"] and len(set(colours.values())) == 3


def test_a_confusion_matrix_has_shares_and_counts_in_the_papers_order() -> None:
    """Anger 1 of 2 right, happiness 1 of 1, fear never tested."""
    table = pd.DataFrame({"truth": ["anger", "anger", "happiness"], "predicted": ["anger", "fear", "happiness"]})
    ax = plots.confusion_matrix(table, ["anger", "fear", "happiness"])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["happiness", "fear", "anger"]
    texts = [text.get_text() for text in ax.texts if text.get_text()]
    assert texts == ["100%\n1", "50%\n1", "50%\n1", "no sample tested"]


def test_other_class_names_are_shown_whole_and_apart() -> None:
    """Names that begin with the same twenty letters are told apart, and no label is cut or covers another."""
    names = [f"very_long_expression_name_{number}" for number in range(7)]
    figure, ax = plt.subplots(figsize=(3.5, 3.5))
    plots.confusion_matrix(pd.DataFrame({"truth": names, "predicted": names}), names, ax)
    require_whole(figure)
    for labels in (ax.get_xticklabels(), ax.get_yticklabels()):
        assert [label.get_text().replace("\n", "_").replace(" ", "_") for label in labels] == names
        boxes = [label.get_window_extent() for label in labels]
        assert not any(one.overlaps(other) for k, one in enumerate(boxes) for other in boxes[k + 1 :])


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
    run_notebook(name, pretrained_study, "import sys; assert not {'torch', 'warp', 'sklearn'} & set(sys.modules)")
    of_database, of_all = pretrained_study / "ckplus" / "figures", pretrained_study / "figures"
    assert (of_database / "sensitivity.pdf" if name == "3_sensitivity" else of_all / "tables/table1.tex").exists()
    if name == "7_report":
        assert set(pd.read_csv(of_all / "ablations.csv")["method"].str.removesuffix("-imagenet")) == {
            *("baseline", "gndl", "gndl-stop-gradient")
        }, "the study's own ablations, and nobody else's"
