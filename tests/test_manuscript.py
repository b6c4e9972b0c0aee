"""What goes into a paper compiles, stays within its columns, embeds its fonts, and says what it was measured on."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from written_runs import predictions, write_run, write_simulated_study

from gndl import cli, figures, paper, results
from gndl.errors import GndlError
from gndl.figures.captions import caption_of, read_caption, stacked_words
from gndl.figures.redraw import read_figure_csv, redraw
from gndl.figures_of_record import draw_figures_of_record, gallery, heading_of
from gndl.files import aside_of, whole, write_json
from gndl.manuscript import floats as manuscript
from gndl.manuscript.analysis_numbers import numbers_of_analyses
from gndl.manuscript.bibliography import REFERENCE_KEYS, bibliography
from gndl.manuscript.tex import escape, macro_name
from gndl.report import report_study, settings_of
from gndl.request import StudyRequest, fix_source, profile_named, save_request
from gndl.tables import results_table as tables
from gndl.tables.latex import Tex, to_latex

CLASSES = paper.EXPRESSIONS["oulu_casia"]
KINDS = ("pdf", "svg", "png", "csv", "tex")


def folds_figure() -> mpl.figure.Figure:
    """A small figure."""
    return figures.fold_balance(pd.DataFrame({"anger": [1, 2], "fear": [2, 1]}), source="rendered")


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of TeX or poppler and return what it says, in whatever encoding."""
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=300, check=False)
    text = done.stdout.decode("utf-8", "replace")
    return subprocess.CompletedProcess(command, done.returncode, text, done.stderr.decode("utf-8", "replace"))


def fonts(pdf: Path) -> list[tuple[str, bool]]:
    """Type and embedding of every font in a PDF, as pdffonts tells."""
    lines = run(pdf.parent, "pdffonts", pdf.name).stdout.splitlines()
    start, end = lines[0].index("type"), lines[0].index("encoding")
    embedded = lines[0].index("emb")
    return [(line[start:end].strip(), line[embedded : embedded + 3].strip() == "yes") for line in lines[2:]]


def written(folder: Path, name: str, **columns: list[object]) -> None:
    """Write the CSV behind a figure of rendered faces."""
    results.write_csv(pd.DataFrame(columns).assign(source="rendered"), folder / f"{name}.csv")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of two rendered databases with ten and three folds, without weights and pictures."""
    out = tmp_path_factory.mktemp("study")
    skills = {("baseline", "none"): 1.0, ("gndl", "5"): 1.4, ("gndl", "0.5"): 1.2}
    write_simulated_study(out, skills, classes=CLASSES, subjects=2)
    write_simulated_study(
        out, {("baseline", "none"): 0.5, ("gndl", "5"): 0.5}, classes=CLASSES, database="mmi", folds=3, subjects=1
    )
    request = StudyRequest(out, profile_named("quick"), {"oulu_casia": "", "mmi": ""}, device="cpu")
    save_request(request)
    for database in request.data_roots:
        fix_source(out, database, "rendered")
    write_json(out / "oulu_casia" / "folds.json", {str(fold): [f"F{fold}P000", f"F{fold}P001"] for fold in range(10)})
    written(out / "oulu_casia" / "analysis", "folds", fold=[0, 1], anger=[3, 6], fear=[6, 3])
    written(out / "mmi" / "analysis", "folds", fold=[], anger=[])  # nothing to draw
    report_study(out)
    return out


# Text


def test_signs_of_latex_are_escaped_and_greek_goes_to_math() -> None:
    """What TeX would take for a command is written out; two hyphens are no dash."""
    assert escape("λ = 5 ± 2 % & a_b") == r"$\lambda$ = 5 $\pm$ 2 \% \& a\_b"
    assert escape("--jobs “é”") == "-{}-jobs ``é''"
    assert escape("№") == "[numero sign]"


@given(st.text(max_size=40))
def test_no_text_breaks_out_of_its_argument(text: str) -> None:
    """Braces balance and no sign of TeX stands alone, whatever the text."""
    written = escape(text)
    bare = re.sub(r"\\([&%$#_{}^]|[a-z]+)", "", written)
    assert bare.count("{") == bare.count("}")
    assert not re.search(r"[&%#_^]", re.sub(r"\$[^$]*\$", "", bare))


@given(
    st.lists(st.sampled_from(["accuracy", "ckplus", "oulu_casia", "gndl-channel-sum", "0.5", "50", "p+"]), min_size=1)
)
def test_macro_names_are_letters_only(parts: list[str]) -> None:
    """TeX takes nothing else after a backslash."""
    assert re.fullmatch(r"gndl[A-Za-z]+", macro_name(*parts))


def test_a_macro_is_named_as_a_reader_would_guess() -> None:
    """Words in capitals, digits spelled; different values of λ have different names."""
    assert macro_name("accuracy", "ckplus", "baseline") == "gndlAccuracyCkplusBaseline"
    assert macro_name("accuracy", "oulu_casia", "gndl", "lam", "0.5") == "gndlAccuracyOuluCasiaGndlLamZeroPointFive"
    names = {macro_name("lam", value) for value in ("0.1", "0.5", "1", "2", "5", "10", "20", "50")}
    assert len(names) == 8


# Figures


def test_a_figure_comes_with_its_latex(tmp_path: Path) -> None:
    """A narrow figure floats in one column, a wide one over both, another keeps its width; labels name the database."""
    for name, width in (("narrow", 3.33), ("wide", 7.0), ("other", 5.0)):
        figure = figures.new_figure(width, 1.0)
        folder = tmp_path / "ckplus" / "figures"
        figures.save_figure(
            figure, folder, name, pd.DataFrame({"a": [1]}), "licensed", caption="λ & σ", description="A line."
        )
    texts = {name: (folder / f"{name}.tex").read_text() for name in ("narrow", "wide", "other")}
    assert r"\begin{figure}" in texts["narrow"]
    assert r"[width=\columnwidth]{\gndlStudy/ckplus/figures/narrow.pdf}" in texts["narrow"]
    assert r"\begin{figure*}" in texts["wide"]
    assert r"[width=\textwidth]" in texts["wide"]
    assert "[width=5.00in]" in texts["other"]
    assert r"\caption{$\lambda$ \& $\sigma$}" in texts["narrow"]
    assert r"\Description{A line.}" in texts["narrow"]
    assert r"\label{fig:ckplus-narrow}" in texts["narrow"]
    assert "stand-in" not in texts["narrow"]


def test_rendered_figures_say_so_in_every_caption(tmp_path: Path) -> None:
    """With the caption that is given, with the known one and with none at all; the PNG keeps it."""
    folder = tmp_path / "mmi" / "figures"
    for name, caption in (("given", "A bar."), ("folds", ""), ("unheard_of", "")):
        png = figures.save_figure(folds_figure(), folder, name, pd.DataFrame(), "rendered", caption=caption)
        assert "rendered stand-in" in (folder / f"{name}.tex").read_text()
        assert "rendered stand-in" in read_caption(png, "rendered")[0]
    assert read_caption(folder / "folds.png", "rendered")[0].startswith(
        "Pairs that each fold of the MMI stand-in tests"
    )
    assert "Unheard of" in read_caption(folder / "unheard_of.png", "rendered")[0]
    once = caption_of("folds", folder, "rendered", "On a rendered stand-in.")[0]
    assert once.count("rendered stand-in") == 1


def test_the_style_file_is_the_style() -> None:
    """`plt.style.use` gives a reader's own plots the very settings that our figures are drawn with."""
    with figures.style():
        ours = {name: mpl.rcParams[name] for name in figures.STYLE}
    with mpl.rc_context():
        plt.style.use("gndl.figures.gndl")
        assert {name: mpl.rcParams[name] for name in figures.STYLE} == ours
    assert ours["pdf.fonttype"] == 42
    assert ours["svg.fonttype"] == "path"


def test_a_figure_is_drawn_again_from_its_csv(study: Path, tmp_path: Path) -> None:
    """The same bytes from the CSV that it left, to the last digit of its numbers."""
    first = redraw(study / "oulu_casia", tmp_path / "a", ["folds", "sensitivity", "reliability"])
    assert [png.name for png in first] == ["folds.png", "sensitivity.png"]
    shutil.copytree(tmp_path / "a", tmp_path / "again" / "figures")
    redraw(tmp_path / "again", tmp_path / "b", ["folds", "sensitivity"])
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes(), file
    number = np.nextafter(0.1, 1)
    results.write_csv(pd.DataFrame({"x": [number], "lam": ["none"], "source": ["own"]}), tmp_path / "x.csv")
    table, source = read_figure_csv(tmp_path / "x.csv")
    assert (table["x"][0], table["lam"][0], source) == (number, "none", "own")
    results.write_csv(pd.DataFrame({"x": [1, 2], "source": ["own", "rendered"]}), tmp_path / "x.csv")
    with pytest.raises(GndlError, match="own, rendered"):
        read_figure_csv(tmp_path / "x.csv")


def test_figures_of_record_leave_the_record_alone(study: Path, tmp_path: Path) -> None:
    """Everything goes into the folder, nothing into the study, and the gallery calls every picture a stand-in."""
    before = {file: file.stat().st_mtime_ns for file in study.rglob("*")}
    readme = draw_figures_of_record(study, tmp_path / "figures")
    assert {file: file.stat().st_mtime_ns for file in study.rglob("*")} == before
    text = readme.read_text()
    pictures = sorted((tmp_path / "figures").rglob("*.png"))
    assert {png.parent.name for png in pictures} == {"oulu_casia", "mmi"}
    for png in pictures:
        assert f"### {heading_of(png.stem)}\n" in text
        entry = text.split(f"({png.relative_to(tmp_path / 'figures').as_posix()})")[1].split("###")[0]
        assert "rendered stand-in" in entry
        assert "Command: `make figures`" in entry
        for kind in KINDS:
            assert png.with_suffix(f".{kind}").exists()
    assert r"{\gndlStudy/mmi/confusion_matrices.pdf}" in (tmp_path / "figures/mmi/confusion_matrices.tex").read_text()
    assert (tmp_path / "figures" / "tables" / "numbers.tex").exists()


def test_finer_grains_and_other_databases_stand_with_the_record(study: Path, tmp_path: Path) -> None:
    """A study of variants beside the record, and runs across in it: figure, table, macros, preview, gallery."""
    record = tmp_path / "record"
    shutil.copytree(study, record / "standard")
    frames = [(f"oulu_casia/T{i}", f"oulu_casia/T{i}_1", CLASSES[i % 6], np.eye(6)[min(i % 6, 4)]) for i in range(30)]
    across = write_run(
        record / "standard" / "across", "gndl", "5", 0, predictions(frames, CLASSES), database="mmi-to-oulu_casia"
    )
    for run_json in (across / "run.json", *(record / "standard").glob("*/*/*/*/*/run.json")):
        write_json(run_json, json.loads(run_json.read_text()) | {"expressions": list(CLASSES), "seed": 0})
    skills = {("baseline", "none"): 1.0, ("gndl", "5"): 1.4, ("gndl-layer-1", "5"): 1.2}
    write_simulated_study(record / "granularity", skills, classes=CLASSES, folds=4, subjects=2)
    shutil.copy(study / "study.json", record / "granularity" / "study.json")
    folder = tmp_path / "figures"  # a name that a study has for a folder within it
    text = draw_figures_of_record(record / "standard", folder).read_text()
    beyond = text.split("## Beyond Table 1 (rendered stand-in)")[1]
    assert "](granularity.png)" in beyond and "](across.png)" in beyond and "## Faces" not in text
    preview, macros = (folder / "preview.tex").read_text(), (folder / "tables" / "numbers.tex").read_text()
    for included in re.findall(r"\\input\{(.*)\}", preview):
        for pdf in re.findall(r"\\gndlStudy/(.*?\.pdf)", (folder / included).read_text()):
            assert (folder / pdf).is_file(), f"{included} shows {pdf}"
    for file in ("granularity.tex", "tables/granularity.tex", "across.tex", "tables/across.tex"):
        assert rf"\input{{{file}}}" in preview
    assert r"\newcommand{\gndlAcrossMmiToOuluCasiaGndl}{83.33}" in macros  # five of six classes are right
    table = pd.read_csv(folder / "tables" / "granularity.csv").set_index("method")
    difference = 100 * table.loc["gndl-layer-1", "to_gndl_difference"]
    assert rf"\gndlGranularityAgainstGndlOuluCasiaGndlLayerOne}}{{\ensuremath{{{difference:+.2f}}}}}" in macros


def test_every_figure_can_be_drawn_at_a_width_of_ones_own(study: Path, tmp_path: Path) -> None:
    """One column for all: the pictures are so wide, the LaTeX asks for a column, panels stand above one another."""
    draw_figures_of_record(study, tmp_path, width=figures.ONE_COLUMN)
    pictures = sorted(tmp_path.rglob("*.png"))
    assert len(pictures) >= 7
    for png in pictures:
        with Image.open(png) as picture:
            assert abs(picture.width - 300 * figures.ONE_COLUMN) <= 1
        assert r"[width=\columnwidth]" in png.with_suffix(".tex").read_text()
    with pytest.raises(GndlError, match="inches wide"):
        report_study(study, tmp_path, width=0.3)
    with pytest.raises(GndlError, match="say --out FOLDER too"):  # or the figures of record would be drawn over
        cli.run(cli.Figures(run=str(study), width=5))


def test_panels_above_one_another_are_called_so() -> None:
    """A caption speaks of where panels stand in the figure that was drawn."""
    assert stacked_words("Left: a. Right: b. The right answer.") == "Above: a. Below: b. The right answer."
    assert stacked_words("Upper left: a. Lower right: b.") == "First from above: a. Fourth: b."


def test_the_gallery_names_the_command_that_draws_a_picture_of_faces(tmp_path: Path) -> None:
    """With the database whose picture it is."""
    (tmp_path / "mmi").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "mmi" / "hard_samples.png")
    text = gallery(tmp_path, "rendered")
    assert "### Hard samples\n" in text
    assert "papermill notebooks/5_hard_samples.ipynb 5.ipynb -p database mmi " in text
    assert "Command: `gndl train --profile standard --out runs/again; " in text, "the record has no weights"


def test_headings_of_the_gallery_are_words() -> None:
    """A database has its own name, every other picture begins with a capital."""
    names = ("standin_ckplus", "standin_oulu_casia", "first_faces", "hard_samples_reverse")
    assert [heading_of(name) for name in names] == [
        "CK+ stand-in", "Oulu-CASIA stand-in", "First faces", "Hard samples reverse",
    ]  # fmt: skip


# Numbers, references and tables


def test_every_number_quoted_has_a_macro(study: Path) -> None:
    """Values are those of the runs: accuracies, spreads, differences, intervals, p values and counts."""
    numbers = results.read_csv(study / "tables" / "numbers.csv", ("macro", "text", "value", "meaning")).set_index(
        "macro"
    )
    accuracy = results.read_csv(study / "accuracy.csv", ())
    own = accuracy[(accuracy["database"] == "oulu_casia") & (accuracy["lam"] != "0.5")].pivot(
        index="fold", columns="method", values="accuracy_last"
    )
    assert numbers.loc["gndlAccuracyOuluCasiaBaseline", "text"] == f"{100 * own['baseline'].mean():.2f}"
    assert numbers.loc["gndlSdOuluCasiaGndl", "value"] == pytest.approx(own["gndl"].std(ddof=1))
    difference = (own["gndl"] - own["baseline"]).mean()
    assert numbers.loc["gndlDifferenceOuluCasiaGndl", "value"] == pytest.approx(difference)
    assert numbers.loc["gndlDifferenceOuluCasiaGndl", "text"] == rf"\ensuremath{{{100 * difference:+.2f}}}"
    assert numbers.loc["gndlDifferenceLowOuluCasiaGndl", "value"] < difference
    assert 0 <= numbers.loc["gndlPCorrectedTOuluCasiaGndl", "value"] <= 1
    assert numbers.loc["gndlPCorrectedTMmiGndl", "text"] == "not tested"  # three folds
    sweep = accuracy[(accuracy["lam"] == "0.5") & (accuracy["fold"] < 3)]  # `quick` sweeps its own three folds
    assert numbers.loc["gndlSweepAccuracyOuluCasiaGndlLamZeroPointFive", "value"] == pytest.approx(
        sweep["accuracy_last"].mean()
    )
    assert numbers.loc["gndlFoldsDealtOuluCasia", "value"] == 10
    assert numbers.loc["gndlLam", "text"] == "5"
    assert numbers.loc["gndlPaperAccuracyMmiGndl", "text"] == "86.46"
    assert set(numbers["source"]) == {"rendered"}
    written = re.findall(r"^\\newcommand\{\\(\w+)\}\{(.*?)\}% ", (study / "tables" / "numbers.tex").read_text(), re.M)
    assert dict(written) == {"gndlSource": "rendered stand-in", **numbers["text"].to_dict()}
    assert all(re.fullmatch(r"gndl[A-Za-z]+", name) for name, _ in written)


def test_numbers_of_samples_and_features_have_macros_too(tmp_path: Path) -> None:
    """Counts and tests of sequences, and what was measured in features; single classes are left to the CSV."""
    written(tmp_path, "sample_cells", of=["frames", "sequences"], both=[9, 3], only_a=[0, 0], only_b=[3, 1],
            neither=[0, 0], a_method=["baseline"] * 2, b_method=["gndl"] * 2, p_mcnemar=[0.5] * 2,
            p_subjects=[np.nan] * 2)  # fmt: skip
    written(tmp_path, "deviation_measures", method=["gndl"] * 3, analysis=["agreement", "agreement", "retrieval"],
            measure=["cosine", "cosine", "top-1"], feature=["G(F_exam)"] * 3,
            condition=["all", "anger", "whole database"], value=[0.9, 0.8, 0.25],
            chance=[np.nan, np.nan, 0.01])  # fmt: skip
    written(
        tmp_path, "reliability", low=[0.0, 0.5], high=[0.5, 1.0], method=["gndl", "gndl"], lam=["5", "5"],
        error=[0.042, 0.042], mean_confidence=[0.86, 0.86],
    )  # fmt: skip
    numbers = {number.macro: number.text for number in numbers_of_analyses(tmp_path, "mmi")}
    assert numbers["gndlCalibrationErrorMmiGndlLamFive"] == r"\ensuremath{+4.20}"
    assert numbers["gndlConfidenceMmiGndlLamFive"] == "86.00"
    assert numbers["gndlCellsMmiSequencesOnlyGndl"] == "1"
    assert numbers["gndlCellsMmiFramesBoth"] == "9"
    assert numbers["gndlPExactMcnemarMmi"] == "0.500"
    assert numbers["gndlPSubjectsMmi"] == "not tested"
    assert numbers["gndlMmiGndlAgreementCosineGFExam"] == r"\ensuremath{0.900}"
    assert numbers["gndlMmiGndlRetrievalTopOneGFExamWholeDatabaseChance"] == r"\ensuremath{0.010}"
    assert not [name for name in numbers if "Anger" in name]


def test_two_methods_that_spell_alike_are_refused(study: Path) -> None:
    """`a-b` and `a_b` would share their macros; better an error than the wrong number."""
    summary = results.summarise(study, "mmi")
    alike = pd.concat([summary.iloc[[1]].assign(method="a-b"), summary.iloc[[1]].assign(method="a_b")])
    with pytest.raises(GndlError, match="gndlAccuracyMmiAB"):
        manuscript.study_numbers(study, settings_of(study), {"mmi": alike}, pd.DataFrame(), {})


def test_the_bibliography_has_every_method_and_database() -> None:
    """Each reference of Table 1 and section 4.1 has one entry; no DOI stands there that the paper does not state."""
    text = bibliography()
    keys = re.findall(r"^@\w+\{(\w+),", text, re.M)
    assert len(keys) == len(set(keys))
    assert set(REFERENCE_KEYS.values()) <= set(keys)
    assert {row.reference for row in paper.TABLE_1 if row.reference} <= set(REFERENCE_KEYS)
    assert {"lucey2010ckplus", "zhao2011oulucasia", "pantic2005mmi", "he2016resnet", "kingma2015adam", "anny"} <= set(
        keys
    )
    assert re.findall(r"doi\s+= \{(.*)\}", text) == ["10.1145/3581783.3612014"]


def test_table_1_keeps_the_papers_shape(study: Path) -> None:
    """Thirteen rows as reported, then ours with one accuracy per database; citations in LaTeX alone."""
    table = results.read_csv(
        study / "tables" / "table1.csv", ("method", "accuracy_ckplus", "accuracy_mmi", "images_mmi")
    )
    assert list(table["source"]) == ["reported by the paper"] * 13 + ["rendered"] * 2
    assert table.loc[12, "accuracy_mmi"] == 0.8646
    assert table.loc[13:, "accuracy_ckplus"].isna().all()
    latex = (study / "tables" / "table1.tex").read_text()
    assert r"STM-E (2014)~\cite{liu2014stme}" in latex
    assert "Measured on rendered stand-ins" in latex
    text = (study / "tables" / "table1.md").read_text()
    assert "cite" not in text
    assert "rendered stand-in" in text


def test_a_table_too_wide_for_its_column_is_scaled_to_it() -> None:
    """LaTeX measures the table itself; numbers are aligned right, texts left, LaTeX cells are left alone."""
    text = pd.DataFrame({"Method": ["a_b", Tex(r"\cite{x}")], "%": ["97.55 ± 1.00", "–"]})
    latex = to_latex(text, "50 % of it", "tab:x", one_column=True)
    assert r"\begin{tabular}{@{}lr@{}}" in latex
    assert r"\ifdim\wd0>\columnwidth\typeout{gndl: tab:x is scaled down to its column}" in latex
    assert r"\resizebox{\columnwidth}{!}{\usebox0}\else\usebox0\fi" in latex
    assert r"a\_b & 97.55 $\pm$ 1.00 \\" in latex
    assert r"\cite{x} & -- \\" in latex
    assert r"\caption{50 \% of it}" in latex


def test_the_compact_table_drops_what_its_headings_say(study: Path) -> None:
    """In print a column that is empty or the same for a block is gone; parameters are in millions."""
    table = tables.table_1(results.summarise(study, "mmi"), "mmi")
    assert list(tables.compact(table).columns) == [
        "Method", "Setting", "Accuracy", "Folds", "Pooled", "Per seq.", "Best ep.", "Chance", "Images", "Param. (M)",
    ]  # fmt: skip


# Print

needs_tex = pytest.mark.skipif(
    not all(shutil.which(name) for name in ("pdflatex", "bibtex", "pdffonts")),
    reason="pdflatex and pdffonts are missing",
)


@needs_tex
def test_every_table_and_figure_of_a_study_prints_in_acmart(tiny_study: Path, tmp_path: Path) -> None:
    """Two columns of acmart: nothing overflows or is scaled down, and no font is of Type 3 or left out anywhere."""
    folder = tmp_path / "study"
    shutil.copytree(tiny_study, folder, ignore=shutil.ignore_patterns("*.safetensors", "notebooks", "seed-*", "*.svg"))
    aside_of(folder / "ckplus" / "figures" / "folds.tex").write_text("\\begin{figure}")  # left by a killed process
    preview = manuscript.preview_tex(folder)
    assert r"\input{ckplus/figures/." not in preview
    (folder / "preview.tex").write_text(preview, encoding="utf-8")
    included = re.findall(r"\\input\{(.*)\}", preview)
    floats = [path for path in whole(folder.rglob("*.tex")) if "figures" in path.parts or path.name.startswith("table")]
    assert {path.relative_to(folder).as_posix() for path in floats} <= set(included)
    assert len(floats) >= 13
    for command in ("pdflatex", "bibtex", "pdflatex", "pdflatex"):
        options = ("-interaction=nonstopmode", "-halt-on-error") if command == "pdflatex" else ()
        done = run(folder, command, *options, "preview")
        assert done.returncode == 0, done.stdout[-2000:]
    log = (folder / "preview.log").read_text("utf-8", "replace")
    for complaint in (
        r"Overfull \hbox",
        "Citation",
        "Reference `",
        "multiply defined",
        "Missing character",
        "Float too large",
        "is scaled down",
    ):
        assert complaint not in log, log[max(0, log.index(complaint) - 300) : log.index(complaint) + 300]
    pdfs = [folder / "preview.pdf", *folder.rglob("figures/*.pdf")]
    assert len(pdfs) >= 13
    for pdf in pdfs:
        found = fonts(pdf)
        assert found or pdf.parent.name == "figures", pdf
        assert all(kind.startswith(("Type 1", "CID TrueType", "TrueType")) and kept for kind, kept in found), (
            pdf,
            found,
        )
