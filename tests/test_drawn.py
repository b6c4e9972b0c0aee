"""A report is drawn again when anything that it reads or writes has changed, and only then."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gndl.drawn import is_drawn, note_drawn
from gndl.narrative import study as study_report


@pytest.fixture
def study(tiny_study: Path, tmp_path: Path) -> Path:
    """A copy of the tiny study, noted as drawn."""
    out = Path(shutil.copytree(tiny_study, tmp_path / "study", ignore=shutil.ignore_patterns("*.safetensors")))
    note_drawn(out)
    return out


def test_any_change_of_runs_figures_or_tables_is_noticed(study: Path) -> None:
    """A prediction, a figure, a table, a macro, the settings; what else lies in the notebooks does not count."""
    assert is_drawn(study)
    (study / "notebooks" / "other.txt").write_text("x")
    assert is_drawn(study)
    for file in (
        study / "ckplus/gndl/lam-5/fold-0/seed-0/predictions.csv",
        study / "mmi/tables/table1.md",
        study / "ckplus/figures/confusion_matrices.png",
        study / "tables/numbers.tex",
    ):
        before = file.read_bytes()
        file.write_bytes(before + b"\n")
        assert not is_drawn(study), file
        file.unlink()
        assert not is_drawn(study), file
        file.write_bytes(before)
        assert is_drawn(study)
    text = (study / "study.json").read_text()
    (study / "study.json").write_text(text.replace('"lam": 5.0', '"lam": 2.0'))
    assert not is_drawn(study)


def test_a_report_that_is_drawn_is_only_read(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opened again nothing is written; after a change all of it is, and noted."""
    drawn: list[Path] = []
    monkeypatch.setattr(study_report, "report_study", drawn.append)
    assert study_report.open_report(study).databases and drawn == []
    (study / "preview.tex").unlink()
    study_report.open_report(study)
    assert drawn == [study] and is_drawn(study)
