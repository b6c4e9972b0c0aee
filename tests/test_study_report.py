"""The report of a whole study: it reads what there is, says what is missing, and compares nothing that it may not."""

from __future__ import annotations

from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from written_runs import write_simulated_study

from gndl import figures
from gndl.errors import GndlError
from gndl.files import aside_of
from gndl.narrative import study as study_report
from gndl.narrative.figure_album import SMALLEST, album, small_copy
from gndl.paper import EXPRESSIONS
from gndl.request import StudyRequest, changing_study_json, profile_named, save_request
from gndl.tables import provenance as provenance_tables
from gndl.tables.study import compact_comparisons, readable_comparisons


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> study_report.StudyReport:
    """A report on three folds of one rendered database, to which no notebook has been run but one that failed."""
    out = tmp_path_factory.mktemp("study")
    skills = {("baseline", "none"): 0.5, ("gndl", "5"): 1.5, ("gndl", "0.5"): 9.0}
    write_simulated_study(out, skills, classes=EXPRESSIONS["mmi"], database="mmi", folds=3, subjects=1)
    save_request(StudyRequest(out, profile_named("quick"), {"mmi": ""}, device="cpu"))
    with changing_study_json(out) as content:
        content |= {"source": "rendered", "seconds": {"train": 7300.0}, "seconds_of_last_call": {"train": 70.0}}
    (out / "mmi" / "notebooks").mkdir()
    (out / "mmi" / "notebooks" / "2_training.failed.ipynb").write_text("{}")
    notebook = nbformat.v4.new_notebook(metadata={"gndl": {"seconds": 12.4}})
    nbformat.write(notebook, out / "mmi" / "notebooks" / "1_databases.ipynb")
    return study_report.open_report(out)


def test_without_a_study_the_report_says_so_and_shows_the_paper(tmp_path: Path) -> None:
    """No number of ours, no error, and nothing is written."""
    report = study_report.open_report(tmp_path / "nothing")
    assert "Nothing was measured yet" in study_report.box(report)
    assert len(study_report.table_1(report)) == 13
    for table in (study_report.measured_in_full(report), readable_comparisons(study_report.comparisons(report))):
        assert table.empty
    assert "nothing to compare" in study_report.in_plain_words(report)
    assert len(study_report.choices_table(report)) == 3
    assert study_report.figures(report) == []
    assert provenance_tables.provenance_table(report.content).empty
    assert provenance_tables.stage_times(report.content).empty
    assert provenance_tables.run_times(report.runs).empty
    assert set(study_report.notebooks_table(report).to_numpy().ravel()) == {"–"}
    assert "as soon as a run is finished" in study_report.for_a_manuscript(report)
    assert not (tmp_path / "nothing").exists()


def test_table_1_has_the_papers_rows_and_ours(report: study_report.StudyReport) -> None:
    """Ours stand below, are called what they are, and have images per epoch and parameters beside them."""
    table = study_report.table_1(report)
    assert list(table["What it is"]) == ["reported by the paper"] * 13 + ["measured, rendered stand-in"] * 2
    assert table["MMI %"][12] == "86.46"
    assert list(table["CK+ %"][13:]) == ["–", "–"]
    assert list(table["Images per epoch"][13:]) == ["30", "30"]
    assert list(table["Method"][13:]) == ["baseline", "GNDL, λ = 5"]  # λ = 0.5 was not fixed beforehand (L19)
    full = study_report.measured_in_full(report)
    assert list(full["Neutral face at test"]) == ["no", "no"]
    assert list(full["Seeds"]) == ["1", "1"]
    assert not [cell for cell in [*table.to_numpy().ravel(), *full.to_numpy().ravel()] if "nan" in str(cell).lower()]


def test_three_folds_allow_no_test(report: study_report.StudyReport) -> None:
    """The effect is shown, p is a dash, and the words say so."""
    text = readable_comparisons(study_report.comparisons(report))
    assert list(text["p (corrected t)"]) == ["–"]
    assert text["95 % interval"][0] != "–"
    assert "no difference shown either way" in study_report.in_plain_words(report)


def test_a_page_has_room_for_comparisons_and_loses_none_of_their_numbers(report: study_report.StudyReport) -> None:
    """Fewer columns, every number still there; what is not the same in every row keeps its column."""
    text = readable_comparisons(study_report.comparisons(report))
    compact = compact_comparisons(text)
    assert list(compact.columns) == ["On", "Method", "Difference [95 %]", "Folds", "p", "Effect / rank", "Subjects"]
    said = " ".join(map(str, compact.iloc[0]))
    for name in text.columns.drop(["Against", "Folds", "Seeds", "95 % interval"]):
        assert str(text[name][0]) in said
    assert all(end in said for end in text["95 % interval"][0].split(" to ")) and list(compact["p"]) == ["–"]
    tested = text.assign(**{"p (corrected t)": "0.059", "p (Holm)": "0.176", "p (signed rank)": "0.023", "Seeds": 3})
    assert list(compact_comparisons(tested)["p"]) == ["0.059, 0.176, 0.023"]
    assert "Seeds" in compact_comparisons(tested) and "Against" in compact_comparisons(tested.assign(Against="other"))


def test_choices_say_what_they_were_made_on(report: study_report.StudyReport) -> None:
    """The paper's λ was chosen on its test folds; ours was fixed; the faces were set with the baseline alone."""
    choices = study_report.choices_table(report).set_index("method")["on what"]
    assert "test folds" in choices["GNDL of the paper"]
    assert "fixed beforehand" in choices["every method with λ, here"]
    assert "baseline alone" in choices["the rendered faces"]
    assert "profile quick" in choices["gndl, here"]


def test_times_versions_and_notebooks_are_told(report: study_report.StudyReport) -> None:
    """From study.json, from the runs and from the executed notebooks."""
    assert provenance_tables.stage_times(report.content).to_numpy().tolist() == [["training", "2.0 h", "70 s"]]
    times = provenance_tables.run_times(report.runs)
    assert list(times["λ"]) == ["none", "0.5", "5"]
    assert set(times["folds"]) == {"0–2"}
    table = provenance_tables.provenance_table(report.content).set_index("what")["this study"]
    assert "torch" in table["versions"]
    assert table["seeds of the runs"] == "0"
    notebooks = study_report.notebooks_table(report)["MMI"]
    assert notebooks["1_databases"] == "12 s"
    assert notebooks["2_training"] == "failed"
    assert notebooks["6_explore"] == "–"


def test_only_the_database_asked_for_is_shown(report: study_report.StudyReport) -> None:
    """Another one has no run here; a name that there is not is an error."""
    other = study_report.open_report(report.out, "ckplus")
    assert other.databases == ()
    assert "no finished run" in study_report.box(other)
    assert report.databases == ("mmi",)
    with pytest.raises(GndlError, match="no database 'ck'"):
        study_report.open_report(report.out, "ck")


def test_all_figures_of_a_study_fit_into_one_notebook(report: study_report.StudyReport, tmp_path: Path) -> None:
    """Paper's figures first, each with its own caption; photographs become JPEG, drawings stay PNG."""
    shown = study_report.figures(report)
    names = ["confusion_matrices", "sensitivity", "sensitivity_differences", "learning_curves"]
    assert [one.path.stem for one in shown] == names
    assert all("rendered stand-in" in one.caption and one.description for one in shown)
    assert {one.kind for one in shown} == {"png"}
    assert [one.width for one in shown] == [760, 362, 362, 760]  # two columns and one
    noise = np.random.default_rng(0).integers(0, 255, (900, 1800, 3), dtype=np.uint8)
    (tmp_path / "figures").mkdir()
    Image.fromarray(noise).save(tmp_path / "figures" / "first_faces.png")
    aside_of(tmp_path / "figures" / "first_faces.png").write_bytes(b"half of what a killed process wrote")
    [faces] = album(tmp_path, [], "rendered")
    assert (faces.kind, faces.database) == ("jpeg", "")
    assert "rendered stand-in" in faces.caption
    picture, _ = small_copy(faces.path, SMALLEST)
    assert len(picture) <= SMALLEST


def test_the_box_speaks_of_all_databases(report: study_report.StudyReport) -> None:
    """One box for the study, with the profile it was run at."""
    assert "MMI, rendered stand-in" in study_report.box(report)
    assert "Profile `quick`" in study_report.box(report)
    assert figures.STAND_IN_NOTE in study_report.box(report)
    assert isinstance(report.summaries["mmi"], pd.DataFrame)
